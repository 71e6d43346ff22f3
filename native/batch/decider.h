// What chooses actions while a batch plays by itself. A batch knows no network.
#pragma once

#include <cstddef>
#include <cstdint>

namespace warpzone::batch {

// The most observations that a decider is asked about at once.
inline constexpr size_t kMostRows = 8;

class Decider {
 public:
  struct Sizes {
    size_t bytes, scalars;  // of one observation
    size_t actions;         // that there are to choose from
    bool operator==(const Sizes&) const = default;
  };

  virtual ~Decider() = default;
  virtual Sizes sizes() const = 0;

  // Logits [rows, actions] and values [rows] of observations that lie one after the other: `bytes`
  // [rows, sizes().bytes] and `scalars` [rows, sizes().scalars]. What comes of one must not depend
  // on those beside it, to the last bit: how many they are depends on the number of threads. Called
  // by several threads at once. What it throws ends the play.
  virtual void decide(size_t rows, const uint8_t* bytes, const float* scalars, float* logits,
                      float* values) const = 0;
};

}  // namespace warpzone::batch
