// Random numbers of one game.
#pragma once

#include <cstdint>

namespace warpzone {

// SplitMix64 (Steele, Lea & Flood 2014): eight bytes of state, one stream per game.
struct Random {
  uint64_t state;

  uint64_t next() {
    uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }  // [0, 1)
  int below(int n) { return static_cast<int>(uniform() * n); }
};

inline Random stream(uint64_t seed, uint64_t index) {
  Random random{seed};
  Random mixed{random.next() ^ (index * 0xD1B54A32D192ED03ULL)};
  mixed.next();
  return mixed;
}

}  // namespace warpzone
