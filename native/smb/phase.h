// What of a start is drawn anew: what the game counts by, and so in which phase Mario meets what
// moves; and what he has.
#pragma once

#include <bit>
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

// What is drawn anew of a start, as one number, so that the game can be played again from there; 0:
// nothing. With a phase it is as if the game had been going on for any time.
struct Variation {
  uint32_t phase : 1, random : 15, frame : 8, tick : 5, power : 2;

  static Variation none() { return std::bit_cast<Variation>(0U); }
  uint32_t number() const { return std::bit_cast<uint32_t>(*this); }
  bool possible() const {
    return tick < memory::kSlowTicks && random < kRandomPeriod && power <= 2;
  }
};
static_assert(kRandomPeriod < 1 << 15 && memory::kSlowTicks < 1 << 5);

inline Variation draw_phase(Random& draws) {
  Variation drawn = Variation::none();
  drawn.phase = 1;
  drawn.random = static_cast<uint32_t>(draws.below(kRandomPeriod));
  drawn.frame = static_cast<uint32_t>(draws.below(256));
  drawn.tick = static_cast<uint32_t>(draws.below(memory::kSlowTicks));
  return drawn;
}

inline Variation draw_variation(double phase_share, double power_share, Random& draws) {
  Variation drawn = chosen(phase_share, draws) ? draw_phase(draws) : Variation::none();
  if (chosen(power_share, draws)) drawn.power = 1U + static_cast<uint32_t>(draws.below(2));
  return drawn;
}

inline void vary(nes::State& s, Variation variation) {
  if (variation.phase != 0) {
    advance_random(s, static_cast<int>(variation.random));
    s.ram[memory::kFrameCounter] = static_cast<uint8_t>(variation.frame);
    s.ram[memory::kSlowTick] = static_cast<uint8_t>(variation.tick);
  }
  if (variation.power != 0) give_power(s, static_cast<int>(variation.power));
}

}  // namespace warpzone::smb
