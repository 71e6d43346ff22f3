// What is on a cartridge's board beside ROM and RAM: registers, what they map where, and the MMC3's
// counter of scanlines, which counts how often address line A12 of the picture unit rises.
// https://www.nesdev.org/wiki/Mapper, https://www.nesdev.org/wiki/MMC1, .../MMC3, .../AxROM
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nes/cartridge.h"
#include "nes/inline.h"
#include "nes/picture_memory.h"
#include "nes/state.h"

namespace warpzone::nes::board {

inline constexpr uint8_t kSwapPrg = 0x40, kSwapChr = 0x80;     // of MMC3's $8000
inline constexpr uint8_t kRamEnabled = 0x80, kRamKept = 0x40;  // of MMC3's $A001
inline constexpr int32_t kLowDots = 10;  // so long A12 must have been low for a rise to count

// Works out what the registers map where.
inline void map(Board& b, Banks& banks, const Cartridge& cart) {
  const size_t prg_banks = cart.prg_banks(), chr_banks = cart.chr_banks();
  // A division takes longer than all the rest.
  const auto wrapped = [](size_t bank, size_t count) {
    return static_cast<uint8_t>((count & (count - 1)) == 0 ? bank & (count - 1) : bank % count);
  };
  const auto prg = [&](size_t slot, size_t count, size_t bank) {
    for (size_t i = 0; i < count; ++i) b.prg[slot + i] = wrapped(bank + i, prg_banks);
  };
  const auto chr = [&](size_t slot, size_t count, size_t bank) {
    for (size_t i = 0; i < count; ++i) banks.chr[slot + i] = wrapped(bank + i, chr_banks);
  };
  const auto& r = b.registers;
  b.ram_bank = 0;
  b.ram_reads = b.ram_writes = cart.prg_ram_bytes != 0 ? 1 : 0;
  banks.mirroring = cart.mirroring;
  switch (cart.mapper) {
    case Mapper::mmc1: {
      const size_t outer = prg_banks > 32 ? r[1] & 0x10U : 0U;  // of 16 KB, like these
      const size_t last = std::min<size_t>(prg_banks / 2, 16) - 1, bank = r[3] & 0x0FU;
      const unsigned mode = (r[0] >> 2) & 3U;
      if (mode < 2) {
        prg(0, 4, (outer + (bank & ~size_t{1})) * 2);
      } else {
        prg(0, 2, (outer + (mode == 2 ? 0 : bank)) * 2);
        prg(2, 2, (outer + (mode == 2 ? bank : last)) * 2);
      }
      if ((r[0] & 0x10) != 0) {
        chr(0, 4, r[1] * 4U);
        chr(4, 4, r[2] * 4U);
      } else {
        chr(0, 8, (r[1] & 0x1EU) * 4U);
      }
      constexpr std::array<Mirroring, 4> kMirrorings = {Mirroring::lower, Mirroring::upper,
                                                        Mirroring::vertical, Mirroring::horizontal};
      if (cart.mirroring != Mirroring::four) banks.mirroring = kMirrorings[r[0] & 3U];
      if (cart.prg_ram_banks() == 2) b.ram_bank = (r[1] >> 3) & 1;
      if (cart.prg_ram_banks() == 4) b.ram_bank = (r[1] >> 2) & 3;
      if ((r[3] & 0x10) != 0) b.ram_reads = b.ram_writes = 0;
      break;
    }
    case Mapper::uxrom:
      prg(0, 2, r[0] * 2U);
      prg(2, 2, prg_banks - 2);
      chr(0, 8, 0);
      break;
    case Mapper::cnrom:
      prg(0, 4, 0);
      chr(0, 8, r[0] * 8U);
      break;
    case Mapper::mmc3: {
      const bool swapped = (b.select & kSwapPrg) != 0;
      prg(swapped ? 2 : 0, 1, r[6] & 0x3FU);
      prg(1, 1, r[7] & 0x3FU);
      prg(swapped ? 0 : 2, 1, prg_banks - 2);
      prg(3, 1, prg_banks - 1);
      const size_t two = (b.select & kSwapChr) != 0 ? 4 : 0;
      chr(two, 2, r[0] & 0xFEU);
      chr(two + 2, 2, r[1] & 0xFEU);
      for (size_t i = 0; i < 4; ++i) chr((two ^ 4) + i, 1, r[2 + i]);
      if (cart.mirroring != Mirroring::four) banks.mirroring = b.mirroring;
      if ((b.protect & kRamEnabled) == 0) b.ram_reads = b.ram_writes = 0;
      if ((b.protect & kRamKept) != 0) b.ram_writes = 0;
      break;
    }
    case Mapper::axrom:
      prg(0, 4, (r[0] & 0x0FU) * 4U);
      chr(0, 8, 0);
      banks.mirroring = (r[0] & 0x10) != 0 ? Mirroring::upper : Mirroring::lower;
      break;
    default:
      prg(0, 4, 0);
      chr(0, 8, 0);
      break;
  }
}

inline void power_on(FullState& s, const Cartridge& cart) {
  Board& b = s.board;
  b = {};
  b.irq = kNever;
  b.low = b.written = -kFrameDots;
  b.mirroring = cart.mirroring;
  b.protect = kRamEnabled;
  if (cart.mapper == Mapper::mmc1) b.registers[0] = 0x0C;
  if (cart.mapper == Mapper::mmc3) b.registers = {0, 2, 4, 5, 6, 7, 0, 1};
  map(b, s.banks, cart);
}

// --- MMC3's counter ----------------------------------------------------------------------------

// Dots of a line: when the first tile's byte is fetched, the first sprite's, and the next one's.
inline constexpr int32_t kFirstTile = 5, kFirstSlot = 261, kSlot = 8;

// For each of a line's eight slots a bit: whether the tile of the tall sprite there is in the upper
// table, as that of an empty slot is.
inline unsigned high_slots(const FullState& s, int line) {
  unsigned high = 0xFF, slot = 0;
  for (size_t i = 0; i < s.oam.size() && slot < 8; i += 4) {
    if (line < s.oam[i] || line >= s.oam[i] + 16) continue;
    if ((s.oam[i + 1] & 1) == 0) high &= ~(1U << slot);
    ++slot;
  }
  return high;
}

// From the first to the last line with a tall sprite whose tile is in the lower table.
struct Lines {
  int first = kScreenHeight, last = -1;
};
inline Lines lines_of_low_sprites(const FullState& s) {
  Lines lines;
  for (size_t i = 0; i < s.oam.size(); i += 4) {
    if ((s.oam[i + 1] & 1) != 0 || s.oam[i] >= kScreenHeight) continue;
    lines.first = std::min<int>(lines.first, s.oam[i]);
    lines.last = std::max<int>(lines.last, s.oam[i] + 15);
  }
  return lines;
}

// For which lines and dots A12 rises. While a line is fetched it goes up and down with each tile;
// only a rise after a long low counts. `visit(dot)` returns whether to go on.
template <typename Visit>
inline void rises(const FullState& s, int32_t after, int32_t until, Visit&& visit) {
  if ((s.mask & ppu::kMaskRendering) == 0) return;
  const bool background = (s.ctrl & ppu::kCtrlBackgroundTable) != 0;
  const bool tall = (s.ctrl & ppu::kCtrlTallSprites) != 0;
  const bool sprites = tall || (s.ctrl & ppu::kCtrlSpriteTable) != 0;
  if (!tall && background == sprites) return;
  const bool vblank = s.phase == Phase::vblank;
  const int32_t first = vblank ? kVblankEnd - 1 : s.line0;  // dot 0 of the first line
  const int end = vblank ? 1 : kScreenHeight;
  // Where all sprites of a line are in one table and the background is in the other.
  const int32_t only_rise = first + kFirstSlot + (sprites ? 0 : 8 * kSlot);
  const Lines low = tall && !vblank ? lines_of_low_sprites(s) : Lines{};
  // Before the picture the bus has v, and A12 may have been low for long.
  if (vblank && background && (s.v & 0x1000) == 0 && first + kFirstTile > after) {
    if (first + kFirstTile > until || !visit(first + kFirstTile)) return;
  }
  for (int line = after <= first ? 0 : (after - first) / kDotsPerLine; line < end; ++line) {
    if (line < low.first || line > low.last) {
      if (sprites && background) continue;
      const int32_t dot = only_rise + line * kDotsPerLine;
      if (dot > after && (dot > until || !visit(dot))) return;
      continue;
    }
    const unsigned high = high_slots(s, line);
    int last = background ? -1 : -kDotsPerLine;  // the slot in which A12 was high
    for (int slot = 0; slot <= 8; ++slot) {
      if (slot == 8 ? !background : ((high >> slot) & 1) == 0) continue;
      const int32_t dot = first + line * kDotsPerLine + kFirstSlot + slot * kSlot;
      if (slot - last >= 2 && dot > after) {
        if (dot > until || !visit(dot)) return;
      }
      last = slot;
    }
  }
}

// Counts. Returns whether an interrupt comes of it.
inline bool clock(Board& b) {
  if (b.irq_counter == 0 || b.irq_reload != 0) {
    b.irq_counter = b.irq_latch;
  } else {
    --b.irq_counter;
  }
  b.irq_reload = 0;
  return b.irq_counter == 0 && b.irq_enabled != 0;
}

// To be called before anything changes at `dot` that decides when A12 rises or what comes of it.
inline void count(FullState& s, const Cartridge& cart, int32_t dot) {
  if (cart.mapper != Mapper::mmc3) return;
  Board& b = s.board;
  if (dot <= b.counted) return;
  rises(s, b.counted, dot, [&b](int32_t at) {
    if (clock(b) && b.irq > at) b.irq = at;
    return true;
  });
  b.counted = dot;
}

// To be called afterwards: when the next interrupt comes, were nothing written any more.
inline void foretell(FullState& s, const Cartridge& cart) {
  if (cart.mapper != Mapper::mmc3) return;
  Board& b = s.board;
  if (b.irq <= b.counted) return;  // is there already
  const int32_t before = b.irq;
  b.irq = kNever;
  if (b.irq_enabled != 0) {
    // So often it is still to be clocked.
    int left = b.irq_counter == 0 || b.irq_reload != 0 ? b.irq_latch + 1 : b.irq_counter;
    rises(s, b.counted, kNever, [&](int32_t at) {
      if (--left > 0) return true;
      b.irq = at;
      return false;
    });
  }
  if (b.irq < before) s.next_event = 0;  // ends the CPU's slice
}

// The picture unit at rest puts its address on the bus.
inline void address_changed(FullState& s, const Cartridge& cart, int32_t dot) {
  if (cart.mapper != Mapper::mmc3) return;
  Board& b = s.board;
  const uint8_t level = (s.v >> 12) & 1;
  if (level == b.a12) return;
  b.a12 = level;
  if (level == 0) {
    b.low = dot;
  } else if (dot - b.low >= kLowDots) {
    count(s, cart, dot);
    if (clock(b) && b.irq > dot) b.irq = dot;
    foretell(s, cart);
    s.next_event = 0;
  }
}

// The next frame begins: times are counted from there.
inline void begin_frame(FullState& s, const Cartridge& cart) {
  Board& b = s.board;
  const auto shift = [&](int32_t& time) { time = std::max(time - s.frame_end, -kFrameDots); };
  count(s, cart, s.frame_end);
  if (b.irq != kNever) {
    if (b.irq > b.counted) {
      b.irq = kNever;
    } else {
      shift(b.irq);
    }
  }
  shift(b.counted);
  shift(b.low);
  shift(b.written);
}

// --- registers ---------------------------------------------------------------------------------

// These return whether something else may be mapped now.
inline bool write_mmc1(Board& b, uint16_t address, uint8_t value, int32_t dot) {
  const bool at_once = dot - b.written <= 3;
  b.written = dot;
  if ((value & 0x80) != 0) {  // a reset is never lost
    b.shift = b.shifted = 0;
    b.registers[0] |= 0x0C;
    return true;
  }
  if (at_once) return false;  // of two writes in a row the second one's bit is
  b.shift |= static_cast<uint8_t>((value & 1) << b.shifted);
  if (++b.shifted < 5) return false;
  b.registers[(address >> 13) & 3U] = b.shift;
  b.shift = b.shifted = 0;
  return true;
}

inline bool write_mmc3(FullState& s, const Cartridge& cart, uint16_t address, uint8_t value,
                       int32_t dot) {
  Board& b = s.board;
  const bool odd = (address & 1) != 0;
  if (address >= 0xC000) count(s, cart, dot);
  switch (address & 0x6000) {
    case 0x0000: {
      if (odd) {
        b.registers[b.select & 7U] = value;
        return true;
      }
      const bool moved = ((b.select ^ value) & (kSwapPrg | kSwapChr)) != 0;
      b.select = value;
      return moved;
    }
    case 0x2000:
      if (odd) {
        b.protect = value;
      } else {
        b.mirroring = (value & 1) != 0 ? Mirroring::horizontal : Mirroring::vertical;
      }
      return true;
    case 0x4000:
      if (odd) {
        b.irq_counter = 0;
        b.irq_reload = 1;
      } else {
        b.irq_latch = value;
      }
      break;
    default:
      b.irq_enabled = odd ? 1 : 0;
      if (!odd) b.irq = kNever;
  }
  foretell(s, cart);
  return false;
}

// A write to $8000-$FFFF; `rom` is what is there to be read.
inline void write(FullState& s, const Cartridge& cart, uint16_t address, uint8_t value, uint8_t rom,
                  int32_t dot) {
  Board& b = s.board;
  if (cart.bus_conflicts) value &= rom;
  bool moved = true;
  switch (cart.mapper) {
    case Mapper::mmc1: moved = write_mmc1(b, address, value, dot); break;
    case Mapper::mmc3: moved = write_mmc3(s, cart, address, value, dot); break;
    case Mapper::nrom: return;
    default: b.registers[0] = value; break;
  }
  if (moved) map(b, s.banks, cart);
}

// --- memory ------------------------------------------------------------------------------------

// The byte of the program at $8000-$FFFF.
inline uint8_t program_byte(const FullState& s, const Cartridge& cart, uint16_t address) {
  return cart.prg[s.board.prg[(address >> 13) & 3U] * size_t{0x2000} + (address & 0x1FFFU)];
}

inline size_t ram_at(const FullState& s, uint16_t address) {
  return s.board.ram_bank * size_t{0x2000} + (address & 0x1FFFU);
}

}  // namespace warpzone::nes::board
