// What of a start is drawn anew: what the game counts by, and so in which phase Mario meets what
// moves; and what he has.
#pragma once

#include <cstdint>

#include "nes/state.h"
#include "random/random.h"
#include "smb/memory.h"

namespace warpzone::smb {

inline constexpr int kRandomPeriod = 32767;  // frames after which its random numbers come again

// The game's random numbers as they are so many frames on.
inline void advance_random(nes::State& s, int frames) {
  constexpr int kBits = 8 * memory::kRandomBytes;
  uint64_t bits = 0;
  for (int i = 0; i < memory::kRandomBytes; ++i) bits = bits << 8 | s.ram[memory::kRandom + i];
  for (int i = 0; i < frames; ++i) {
    // Shifted to the right; what comes in differs where bits 1 of the first two bytes do.
    const uint64_t in = (bits >> (kBits - 7) ^ bits >> (kBits - 15)) & 1;
    bits = bits >> 1 | in << (kBits - 1);
  }
  for (int i = memory::kRandomBytes; i-- > 0; bits >>= 8) {
    s.ram[memory::kRandom + i] = static_cast<uint8_t>(bits);
  }
}

// With that probability; where it is 0, nothing is drawn.
inline bool chosen(double probability, Random& draws) {
  return probability > 0 && draws.uniform() < probability;
}

// As if Mario had caught a mushroom before (1), or a flower too (2).
inline void give_power(nes::State& s, int power) {
  s.ram[memory::kPower] = static_cast<uint8_t>(power);
  s.ram[memory::kSize] = 0;
}

// As if the game had been going on for any time.
inline void draw_phase(nes::State& s, Random& draws) {
  advance_random(s, draws.below(kRandomPeriod));
  s.ram[memory::kFrameCounter] = static_cast<uint8_t>(draws.below(256));
  s.ram[memory::kSlowTick] = static_cast<uint8_t>(draws.below(memory::kSlowTicks));
}

}  // namespace warpzone::smb
