// The threads of a learner: begun when there is work for several, and anew in a forked process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "batch/exclusive.h"
#include "batch/workers.h"

namespace warpzone::learn {

class Team {
 public:
  explicit Team(int threads) : threads_(threads) {}

  ~Team() { forget_lost_workers(); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return threads_; }

  // Calls `work` for each item; returns when all is done, with the first exception of any.
  void run(size_t items, std::function<void(size_t)> work) {
    start(items, std::move(work));
    finish();
  }

  // Between these two the caller may do something else, of which one thread alone gets nothing.
  void start(size_t items, std::function<void(size_t)> work) {
    if (threads_ == 1 || items == 1) {
      for (size_t i = 0; i < items; ++i) work(i);
      return;
    }
    forget_lost_workers();
    if (workers_ == nullptr) {
      born_ = batch::forks();
      workers_ = std::make_unique<batch::Workers>(
          threads_, std::vector<int>{1},
          [this](int, int item) { work_(static_cast<size_t>(item)); });
    }
    work_ = std::move(work);
    started_ = true;
    workers_->start(0, static_cast<int>(items));
  }

  void finish() {
    if (std::exchange(started_, false)) workers_->wait(0);
  }

 private:
  // Their threads stayed in the other process.
  void forget_lost_workers() {
    if (workers_ != nullptr && born_ != batch::forks()) static_cast<void>(workers_.release());
  }

  int threads_;
  std::function<void(size_t)> work_;
  bool started_ = false;
  uint32_t born_ = 0;  // `forks` when the workers were made
  std::unique_ptr<batch::Workers> workers_;
};

}  // namespace warpzone::learn
