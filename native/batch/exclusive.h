// One thread at a time, and not the threads of another process.
#pragma once

#include <atomic>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace warpzone::batch {

// How many forks lie between the program's start and this process. A forked process has only the
// thread that forked: whoever counts on others must look here.
inline uint32_t forks() {
#if defined(__unix__) || defined(__APPLE__)
  static std::atomic<uint32_t> count{0};
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { count.fetch_add(1, std::memory_order_relaxed); });
  (void)registered;
  return count.load(std::memory_order_relaxed);
#else
  return 0;
#endif
}

// A door that lets one thread in. Whoever comes second is told so at once, and touches nothing.
class Exclusive {
 public:
  // What is behind the door, and what each thread can have of its own instead.
  explicit Exclusive(const char* what = "these games", const char* own = "an environment")
      : what_(what), own_(own) {}

  class Hold {
   public:
    explicit Hold(std::atomic<bool>& busy) : busy_(&busy) {}
    Hold(Hold&& other) noexcept : busy_(std::exchange(other.busy_, nullptr)) {}
    ~Hold() {
      if (busy_ != nullptr) busy_->store(false, std::memory_order_release);
    }
    Hold& operator=(Hold&&) = delete;

   private:
    std::atomic<bool>* busy_;
  };

  // Throws std::logic_error.
  [[nodiscard]] Hold enter() const {
    if (busy_.exchange(true, std::memory_order_acquire)) {
      throw std::logic_error("another thread is using " + std::string(what_) +
                             ". One thread at a time may; make " + own_ +
                             " for each thread, or take a lock around all calls");
    }
    return Hold(busy_);
  }

  bool busy() const { return busy_.load(std::memory_order_relaxed); }

 private:
  const char *what_, *own_;
  mutable std::atomic<bool> busy_{false};
};

}  // namespace warpzone::batch
