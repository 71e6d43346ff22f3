// What the picture unit's memories say of the picture: addresses, tiles, rows of pixels of
// background and sprites. Nothing here changes a state. https://www.nesdev.org/wiki/PPU_nametables
// and https://www.nesdev.org/wiki/PPU_pattern_tables
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "nes/cartridge.h"
#include "nes/state.h"

namespace warpzone::nes {

inline constexpr int kScreenWidth = 256;
inline constexpr int kScreenHeight = 240;

namespace ppu {

inline constexpr uint8_t kCtrlNmi = 0x80, kCtrlTallSprites = 0x20, kCtrlBackgroundTable = 0x10,
                         kCtrlSpriteTable = 0x08, kCtrlIncrement32 = 0x04;
inline constexpr uint8_t kMaskGrey = 0x01, kMaskLeftBackground = 0x02, kMaskLeftSprites = 0x04,
                         kMaskBackground = 0x08, kMaskSprites = 0x10, kMaskRendering = 0x18;
inline constexpr uint8_t kStatusVblank = 0x80, kStatusSprite0 = 0x40, kStatusOverflow = 0x20;
inline constexpr uint16_t kHorizontalBits = 0x041F;

// The flag of vertical blank is set at `frame_end`. An instruction that ends kNmiDelay dots later
// or more is followed by the interrupt; one that clears the flag or switches the NMI off less than
// kNmiHeld dots later, or reads the flag one dot before, prevents it.
inline constexpr int32_t kNmiDelay = 5, kNmiHeld = 2;
// Line 261, dot 339: whether an odd frame loses a dot is decided.
inline constexpr int32_t kSkipDecided = kRenderStart - 3;
inline constexpr uint8_t kDecayFrames = 36;  // of a bit of the bus that nobody drives: 600 ms

// The CPU finishes its instruction before an event is handled. What it does in the dots between
// settles for the event (State::ahead):
inline constexpr uint8_t kFlagGone = 1;        // the flag of vertical blank was read, or kept away
inline constexpr uint8_t kNmiSettled = 2;      // its NMI was raised, or prevented
inline constexpr uint8_t kAddressSettled = 4;  // v is what it is behind the last line
inline constexpr uint8_t kSkipSettled = 8, kSkips = 16;  // whether the frame loses a dot
// What ran last did not look for interrupts when this one came: it is taken behind the next
// instruction.
inline constexpr uint8_t kBehindTheNext = 32;

inline size_t vram_index(const Cartridge& cart, uint16_t address) {
  return cart.mirroring == Mirroring::vertical ? address & 0x7FFU
                                               : ((address >> 1) & 0x400U) | (address & 0x3FFU);
}

// Where what is seen at an address comes from: nothing to know of on a plain console.
struct NoBanks {};
template <typename S>
using BanksOf = std::conditional_t<kFull<S>, Banks, NoBanks>;

// As they are now, and as they were when a line was made.
template <typename S>
inline BanksOf<S> banks_now(const S& s) {
  if constexpr (kFull<S>) return s.banks;
  return {};
}
template <typename S>
inline BanksOf<S> banks_at(const S& s, [[maybe_unused]] int line) {
  if constexpr (kFull<S>) {
    size_t i = s.scroll_count - 1U;
    while (i > 0 && s.scrolls[i].line > line) --i;
    return s.bank_log[i];
  }
  return {};
}

// The kilobyte of nametable 0-3, in a console that changes (uint8_t) or not (const uint8_t).
inline const uint8_t* nametable(const State& s, const Cartridge& cart, NoBanks, unsigned number) {
  return &s.vram[vram_index(cart, static_cast<uint16_t>(number << 10))];
}
inline const uint8_t* nametable(const FullState& s, const Cartridge& cart, const Banks& banks,
                                unsigned number) {
  switch (banks.mirroring) {
    case Mirroring::horizontal: number >>= 1; break;
    case Mirroring::vertical: number &= 1; break;
    case Mirroring::lower: number = 0; break;
    case Mirroring::upper: number = 1; break;
    case Mirroring::four: break;
  }
  if (number < 2) return &s.vram[number * size_t{0x400}];
  return &s.memory[cart.nametables_at + (number - 2) * size_t{0x400}];
}

// The byte of the nametables at an address.
template <typename S>
inline uint8_t name_at(const S& s, const Cartridge& cart, const BanksOf<S>& banks,
                       uint16_t address) {
  return nametable(s, cart, banks, (address >> 10) & 3U)[address & 0x3FFU];
}

// The byte of the tiles at an address below $2000: in ROM or in FullState::memory.
inline size_t chr_at(const Banks& banks, uint16_t address) {
  return banks.chr[(address >> 10) & 7U] * size_t{0x400} + (address & 0x3FFU);
}
inline uint8_t tile_byte(const State&, const Cartridge& cart, NoBanks, uint16_t address) {
  return cart.chr[address];
}
inline uint8_t tile_byte(const FullState& s, const Cartridge& cart, const Banks& banks,
                         uint16_t address) {
  const size_t at = chr_at(banks, address);
  return cart.chr.empty() ? s.memory[cart.chr_ram_at + at] : cart.chr[at];
}

// Eight pixels (0-3) of one row of a tile, 0-511.
inline uint64_t pattern_row(const State&, const Cartridge& cart, NoBanks, size_t tile, size_t row,
                            bool flipped) {
  return (flipped ? cart.rows_flipped : cart.rows)[tile * 8 + row];
}
inline uint64_t pattern_row(const FullState& s, const Cartridge& cart, const Banks& banks,
                            size_t tile, size_t row, bool flipped) {
  const size_t at = chr_at(banks, static_cast<uint16_t>(tile * 16));
  if (!cart.chr.empty()) {
    return (flipped ? cart.rows_flipped : cart.rows)[at / 16 * 8 + row];
  }
  const uint8_t* bytes = &s.memory[cart.chr_ram_at + at + row];
  const uint64_t pixels = tile_pixels(bytes[0], bytes[8]);
  return flipped ? flip_pixels(pixels) : pixels;
}

inline size_t palette_index(uint16_t address) {
  const size_t i = address & 0x1FU;
  return (i & 0x13U) == 0x10U ? i & 0x0FU : i;  // $3F10/14/18/1C are $3F00/04/08/0C
}

// `v` some scanlines further down.
inline uint16_t advance_lines(uint16_t v, int lines) {
  int y = ((v >> 5) & 31) * 8 + ((v >> 12) & 7);
  int nametable = (v >> 11) & 1;
  const bool in_attributes = y >= 240;  // a scroll into the attribute table wraps without a flip
  y += lines;
  if (in_attributes && y >= 256) {
    y -= 256;
  } else if (in_attributes) {
    return static_cast<uint16_t>((v & ~0x73E0) | ((y >> 3) << 5) | ((y & 7) << 12));
  }
  while (y >= 240) {
    y -= 240;
    nametable ^= 1;
  }
  return static_cast<uint16_t>((v & ~0x7BE0) | ((y >> 3) << 5) | ((y & 7) << 12) |
                               (nametable << 11));
}

// The scroll in force at `line`, with its v at the left end of that line.
inline Scroll scroll_at(const State& s, int line) {
  int i = s.scroll_count - 1;
  while (i > 0 && s.scrolls[static_cast<size_t>(i)].line > line) --i;
  Scroll scroll = s.scrolls[static_cast<size_t>(i)];
  if ((scroll.mask & kMaskRendering) != 0) scroll.v = advance_lines(scroll.v, line - scroll.line);
  scroll.line = static_cast<uint8_t>(line);
  return scroll;
}

struct TileAt {
  size_t index;    // in its pattern table
  size_t palette;  // 0-3
};

// The background tile `column` tiles right of v.
template <typename S>
inline TileAt tile_at(const S& s, const Cartridge& cart, const BanksOf<S>& banks, uint16_t v,
                      int column) {
  const int coarse_x = (v & 31) + column;
  if ((coarse_x & 32) != 0) v ^= 0x400;
  v = static_cast<uint16_t>((v & ~31) | (coarse_x & 31));
  const uint8_t tile = name_at(s, cart, banks, v & 0x0FFF);
  const uint16_t attribute_address =
      static_cast<uint16_t>(0x3C0 | (v & 0x0C00) | ((v >> 4) & 0x38) | ((v >> 2) & 7));
  const uint8_t attributes = name_at(s, cart, banks, attribute_address);
  const int quadrant = ((v >> 4) & 4) | (v & 2);
  return {tile, static_cast<size_t>((attributes >> quadrant) & 3)};
}

// Eight background pixels (0-3, 0 is transparent) of that tile in the line of `scroll`.
template <typename S>
inline uint64_t tile_row(const S& s, const Cartridge& cart, const Scroll& scroll,
                         const BanksOf<S>& banks, int column) {
  const size_t table = (scroll.ctrl & kCtrlBackgroundTable) != 0 ? 256 : 0;
  const TileAt tile = tile_at(s, cart, banks, scroll.v, column);
  return pattern_row(s, cart, banks, table + tile.index, (scroll.v >> 12) & 7U, false);
}

// The pixels (0-3) of one row of a sprite; `line` counts from its top.
template <typename S>
inline uint64_t sprite_row(const S& s, const Cartridge& cart, const BanksOf<S>& banks,
                           const uint8_t* sprite, uint8_t ctrl, int line) {
  const uint8_t tile = sprite[1], attributes = sprite[2];
  const bool tall = (ctrl & kCtrlTallSprites) != 0;
  if ((attributes & 0x80) != 0) line = (tall ? 15 : 7) - line;
  size_t index = 0;
  if (tall) {
    index = ((tile & 1U) << 8) + (tile & 0xFEU) + static_cast<size_t>(line >> 3);
  } else {
    index = ((ctrl & kCtrlSpriteTable) != 0 ? 256U : 0U) + tile;
  }
  return pattern_row(s, cart, banks, index, static_cast<size_t>(line & 7),
                     (attributes & 0x40) != 0);
}

}  // namespace ppu
}  // namespace warpzone::nes
