// A clock for who wants to know where the time goes.
#pragma once

#include <chrono>

namespace warpzone::batch {

// Adds the time since it was made, or since the last lap, to what it is told.
class Watch {
 public:
  explicit Watch(double& seconds) : seconds_(seconds) {}
  ~Watch() { lap(seconds_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void lap(double& seconds) {
    const auto now = std::chrono::steady_clock::now();
    seconds += std::chrono::duration<double>(now - begin_).count();
    begin_ = now;
  }

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace warpzone::batch
