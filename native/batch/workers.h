// A few threads that work through jobs, item by item. The caller helps while it waits, so that
// `threads` counts everybody who works.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace warpzone::batch {

class Workers {
 public:
  // `sizes[j]` is the number of items of job j; `run` is called with a job and an item of it.
  // Throws std::system_error when the machine has no room for so many threads.
  Workers(int threads, const std::vector<int>& sizes, std::function<void(int job, int item)> run)
      : Workers(sizes, std::move(run)) {
    // Built already: should a thread fail to start, the destructor ends the ones before it.
    for (int i = 1; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }

  ~Workers() {
    stopping_.store(true);
    wake();
    for (auto& thread : threads_) thread.join();
  }

  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // What the caller wrote before is seen by whoever runs the items. Not while the job runs.
  void start(int job_index) { start(job_index, jobs_[static_cast<size_t>(job_index)].size); }

  // The same with another number of items, at least 1.
  void start(int job_index, int size) {
    Job& job = jobs_[static_cast<size_t>(job_index)];
    job.unfinished.store(size, std::memory_order_relaxed);
    job.claims.store(Claims{0, size}.word(), std::memory_order_release);
    if (!threads_.empty()) wake();
  }

  // Returns when every item has been run; rethrows the first exception that one of them threw.
  void wait(int job_index) {
    Job& job = jobs_[static_cast<size_t>(job_index)];
    work(job);
    // What the others still do takes less time than sleeping and being woken.
    const Patience patience;
    while (job.unfinished.load(std::memory_order_acquire) > 0 && patience.lasts()) {
      std::this_thread::yield();
    }
    for (int left = job.unfinished.load(std::memory_order_acquire); left > 0;
         left = job.unfinished.load(std::memory_order_acquire)) {
      job.unfinished.wait(left, std::memory_order_acquire);
    }
    if (job.failure) std::rethrow_exception(std::exchange(job.failure, nullptr));
  }

 private:
  Workers(const std::vector<int>& sizes, std::function<void(int job, int item)> run)
      : run_(std::move(run)), jobs_(sizes.size()) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      jobs_[i].index = static_cast<int>(i);
      jobs_[i].size = sizes[i];
    }
  }

  // Items from `next` on are free to be taken. In one word: who comes late from a round that is
  // over must not take its size for that of the round that has begun.
  struct Claims {
    int next, size;

    static Claims of(uint64_t word) {
      return {static_cast<int>(word & 0xFFFFFFFFU), static_cast<int>(word >> 32)};
    }
    uint64_t word() const {
      return static_cast<uint64_t>(size) << 32 | static_cast<uint32_t>(next);
    }
    bool any() const { return next < size; }
  };

  struct Job {
    int index = 0;
    int size = 0;  // unless `start` is told another
    std::atomic<uint64_t> claims{0};
    std::atomic<int> unfinished{0};  // items not run to their end
    std::mutex failure_mutex;
    std::exception_ptr failure;  // the first one
  };

  // How long a thread that has nothing to do stays awake.
  class Patience {
   public:
    bool lasts() const { return std::chrono::steady_clock::now() < end_; }

   private:
    std::chrono::steady_clock::time_point end_ =
        std::chrono::steady_clock::now() + std::chrono::microseconds(200);
  };

  void work(Job& job) {
    // A game's step takes far longer than the counter's way between cores: items one by one share
    // the work most evenly.
    while (Claims::of(job.claims.load(std::memory_order_acquire)).any()) {
      const Claims claimed = Claims::of(job.claims.fetch_add(1, std::memory_order_acq_rel));
      if (!claimed.any()) return;
      run_one(job, claimed.next);
      if (job.unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        job.unfinished.notify_all();
      }
    }
  }

  void run_one(Job& job, int item) {
    try {
      run_(job.index, item);
    } catch (...) {
      const std::lock_guard lock(job.failure_mutex);
      if (!job.failure) job.failure = std::current_exception();
    }
  }

  void wake() {
    rounds_.fetch_add(1, std::memory_order_release);
    rounds_.notify_all();
  }

  void serve() {
    uint32_t seen = 0;
    while (true) {
      // Waking a sleeping thread takes longer than a step's way through Python and back.
      const Patience patience;
      while (rounds_.load(std::memory_order_acquire) == seen && patience.lasts()) {
        std::this_thread::yield();
      }
      rounds_.wait(seen, std::memory_order_acquire);
      seen = rounds_.load(std::memory_order_acquire);
      if (stopping_.load()) return;
      for (Job& job : jobs_) work(job);
    }
  }

  std::function<void(int job, int item)> run_;
  std::vector<Job> jobs_;
  std::atomic<uint32_t> rounds_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

}  // namespace warpzone::batch
