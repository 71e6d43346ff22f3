// The sound unit as far as programs can see it: length counters and interrupts in $4015, the frame
// counter, the bytes that the sample channel fetches while the CPU waits. It makes no sound, and
// has no clock: what has happened is worked out when somebody asks. https://www.nesdev.org/wiki/APU
// and https://www.nesdev.org/wiki/APU_Frame_Counter
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "nes/inline.h"
#include "nes/state.h"

namespace warpzone::nes::sound {

inline constexpr std::array<uint8_t, 32> kLengths = {10, 254, 20,  2,  40, 4,  80, 6,  160, 8,  60,
                                                     10, 14,  12,  26, 14, 12, 16, 24, 18,  48, 20,
                                                     96, 22,  192, 24, 72, 26, 16, 28, 32,  30};
inline constexpr std::array<uint16_t, 16> kSamplePeriods = {428, 380, 340, 320, 286, 254, 226, 214,
                                                            190, 160, 142, 128, 106, 84,  72,  54};
inline constexpr uint8_t kFiveSteps = 0x80, kInhibit = 0x40;      // of $4017
inline constexpr uint8_t kSampleIrq = 0x80, kSampleLoops = 0x40;  // of $4010
inline constexpr uint64_t kFourStepCycles = 29830, kFiveStepCycles = 37282;
inline constexpr uint64_t kFirstHalf = 14913;  // of either sequence; the other half ends it
inline constexpr uint64_t kFrameIrq = kFourStepCycles - 2;

inline uint64_t cycle_at(const State& s, int32_t dot) {
  return (s.clock + static_cast<uint64_t>(dot)) / 3;
}

// The dot of this frame at which a cycle begins; kNever where that is far away.
inline int32_t dot_of(const State& s, uint64_t cycle) {
  if (cycle == kNeverCycle) return kNever;
  const auto dots = static_cast<int64_t>(cycle * 3 + 2 - s.clock);
  return dots > 4 * int64_t{kFrameDots} ? kNever : static_cast<int32_t>(std::max<int64_t>(dots, 0));
}

inline uint64_t sample_period(const Sound& u) { return kSamplePeriods[u.dmc_control & 15]; }

// How often the present sequence has clocked the length counters until `cycle`, that one included.
inline uint64_t half_frames(const Sound& u, uint64_t cycle) {
  if (cycle < u.sequence) return 0;
  const uint64_t whole = (u.mode & kFiveSteps) != 0 ? kFiveStepCycles : kFourStepCycles;
  const uint64_t rounds = (cycle - u.sequence) / whole, at = (cycle - u.sequence) % whole;
  return 2 * rounds + (at >= kFirstHalf ? 1 : 0) + (at >= whole - 1 ? 1 : 0);
}

inline void clock_lengths(Sound& u, uint64_t times) {
  for (size_t i = 0; i < u.lengths.size(); ++i) {
    if (((u.halted >> i) & 1) != 0) continue;
    u.lengths[i] -= static_cast<uint8_t>(std::min<uint64_t>(u.lengths[i], times));
  }
}

inline void settle_lengths(Sound& u, uint64_t cycle) {
  if (cycle <= u.settled) return;
  clock_lengths(u, half_frames(u, cycle) - half_frames(u, u.settled));
  u.settled = cycle;
}

// When the frame counter's flag is set next, after `cycle`: in three cycles of each sequence.
inline uint64_t next_frame_irq(const Sound& u, uint64_t cycle) {
  if ((u.mode & (kFiveSteps | kInhibit)) != 0) return kNeverCycle;
  if (cycle < u.sequence) return u.sequence + kFrameIrq;
  const uint64_t at = (cycle - u.sequence) % kFourStepCycles;
  return at >= kFrameIrq ? cycle + 1 : cycle - at + kFrameIrq;
}

// Shifts the sample channel's bits until `cycle`, that one included.
inline void shift_bits(Sound& u, uint64_t cycle) {
  if (u.dmc_bit > cycle) return;
  const uint64_t period = sample_period(u);
  const uint64_t shifts = (cycle - u.dmc_bit) / period + 1;
  u.dmc_bit += shifts * period;
  if (shifts >= u.dmc_bits) u.dmc_full = 0;
  u.dmc_bits = static_cast<uint8_t>(8 - (shifts + 8 - u.dmc_bits) % 8);
}

inline void plan_fetch(Sound& u, uint64_t cycle) {
  if (u.dmc_remaining == 0) {
    u.dmc_fetch = kNeverCycle;
  } else {
    u.dmc_fetch = u.dmc_full == 0 ? cycle : u.dmc_bit + (u.dmc_bits - 1U) * sample_period(u);
  }
}

inline uint16_t sample_bytes(const Sound& u) {
  return static_cast<uint16_t>(u.dmc_length * 16 + 1);
}

// Takes the sample's next byte, which is due. Returns for how many cycles the CPU waits.
inline int32_t fetch(Sound& u) {
  constexpr uint64_t kCopyCycles = 514;
  const uint64_t cycle = u.dmc_fetch;
  const bool copying = cycle < u.copied && cycle + kCopyCycles >= u.copied;
  shift_bits(u, cycle);
  u.dmc_full = 1;
  if (--u.dmc_remaining == 0) {
    if ((u.dmc_control & kSampleLoops) != 0) {
      u.dmc_remaining = sample_bytes(u);
    } else if ((u.dmc_control & kSampleIrq) != 0) {
      u.dmc_irq = cycle;
    }
  }
  plan_fetch(u, cycle);
  return copying ? 2 : 4;
}

inline void power_on(Sound& u, uint64_t cycle) {
  u = {};
  u.sequence = u.settled = cycle;
  u.dmc_irq = u.dmc_fetch = kNeverCycle;
  u.dmc_bit = cycle + kSamplePeriods[0];
  u.dmc_bits = 8;
  u.frame_irq = next_frame_irq(u, cycle);
}

// What a read of $4015 shows; it clears the frame counter's flag.
inline uint8_t read_status(Sound& u, uint64_t cycle) {
  settle_lengths(u, cycle);
  uint8_t status = 0;
  for (size_t i = 0; i < u.lengths.size(); ++i) {
    if (u.lengths[i] != 0) status |= static_cast<uint8_t>(1U << i);
  }
  if (u.dmc_remaining != 0) status |= 0x10;
  if (cycle >= u.frame_irq) {
    status |= 0x40;
    u.frame_irq = next_frame_irq(u, cycle);
  }
  if (cycle >= u.dmc_irq) status |= 0x80;
  return status;
}

// A write to $4000-$4013, $4015 or $4017. Returns whether events may come at other times now.
inline bool write(Sound& u, unsigned reg, uint8_t value, uint64_t cycle) {
  switch (reg) {
    case 0x00:
    case 0x04:
    case 0x08:
    case 0x0C: {
      settle_lengths(u, cycle);
      const auto bit = static_cast<uint8_t>(1U << (reg / 4));
      const bool halts = (value & (reg == 0x08 ? 0x80 : 0x20)) != 0;
      u.halted = static_cast<uint8_t>(halts ? u.halted | bit : u.halted & ~bit);
      return false;
    }
    case 0x03:
    case 0x07:
    case 0x0B:
    case 0x0F: {
      const size_t i = reg / 4;
      if (cycle > u.settled) settle_lengths(u, cycle - 1);
      const uint8_t before = u.lengths[i];
      settle_lengths(u, cycle);
      if (((u.enabled >> i) & 1) == 0) return false;
      // Clocked in the same cycle, a counter that was running keeps its own value.
      if (u.lengths[i] == before || before == 0) u.lengths[i] = kLengths[value >> 3];
      return false;
    }
    case 0x10:
      shift_bits(u, cycle);
      u.dmc_control = value;
      if ((value & kSampleIrq) == 0) u.dmc_irq = kNeverCycle;
      plan_fetch(u, cycle);
      return true;
    case 0x13: u.dmc_length = value; return false;
    case 0x15:
      settle_lengths(u, cycle);
      shift_bits(u, cycle);
      u.enabled = value & 0x0F;
      for (size_t i = 0; i < u.lengths.size(); ++i) {
        if (((value >> i) & 1) == 0) u.lengths[i] = 0;
      }
      u.dmc_irq = kNeverCycle;
      if ((value & 0x10) == 0) {
        u.dmc_remaining = 0;
      } else if (u.dmc_remaining == 0) {
        u.dmc_remaining = sample_bytes(u);
      }
      plan_fetch(u, cycle);
      return true;
    case 0x17: {
      settle_lengths(u, cycle);
      u.mode = value & (kFiveSteps | kInhibit);
      u.sequence = cycle + 4 - (cycle & 1);
      if ((value & kFiveSteps) != 0) clock_lengths(u, 1);
      if ((value & kInhibit) != 0) {
        u.frame_irq = kNeverCycle;
      } else if (cycle < u.frame_irq) {
        u.frame_irq = next_frame_irq(u, cycle);
      }
      return true;
    }
    default: return false;
  }
}

}  // namespace warpzone::nes::sound
