// Workers that are made anew in a forked process, whose threads stayed in the other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "batch/exclusive.h"
#include "batch/workers.h"

namespace warpzone::batch {

class Crew {
 public:
  Crew() = default;
  ~Crew() { stop(); }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // See Workers.
  void start(int threads, std::vector<int> sizes, std::function<void(int job, int item)> run) {
    threads_ = threads;
    sizes_ = std::move(sizes);
    run_ = std::move(run);
    begin();
  }

  // The threads of another process can be neither ended nor waited for: their memory is left alone.
  void stop() {
    if (elsewhere()) {
      static_cast<void>(workers_.release());
    } else {
      workers_.reset();
    }
  }

  void revive() {
    if (!elsewhere()) return;
    stop();
    begin();
  }

  // Whether the threads are those of the process that this one was forked from.
  bool elsewhere() const { return born_ != forks(); }
  bool works() const { return workers_ != nullptr; }
  Workers* operator->() const { return workers_.get(); }

 private:
  void begin() {
    workers_ = std::make_unique<Workers>(threads_, sizes_, run_);
    born_ = forks();
  }

  int threads_ = 1;
  std::vector<int> sizes_;
  std::function<void(int job, int item)> run_;
  uint32_t born_ = 0;  // `forks` when the workers were made
  std::unique_ptr<Workers> workers_;
};

}  // namespace warpzone::batch
