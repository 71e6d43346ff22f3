// What the picture unit's memories say of the picture: addresses, tiles, rows of pixels of
// background and sprites. Nothing here changes a state. https://www.nesdev.org/wiki/PPU_nametables
// and https://www.nesdev.org/wiki/PPU_pattern_tables
#pragma once

#include <cstddef>
#include <cstdint>

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

inline size_t vram_index(const Cartridge& cart, uint16_t address) {
  return cart.mirroring == Mirroring::vertical ? address & 0x7FFU
                                               : ((address >> 1) & 0x400U) | (address & 0x3FFU);
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
inline TileAt tile_at(const State& s, const Cartridge& cart, uint16_t v, int column) {
  const int coarse_x = (v & 31) + column;
  if ((coarse_x & 32) != 0) v ^= 0x400;
  v = static_cast<uint16_t>((v & ~31) | (coarse_x & 31));
  const uint8_t tile = s.vram[vram_index(cart, v & 0x0FFF)];
  const uint16_t attribute_address =
      static_cast<uint16_t>(0x3C0 | (v & 0x0C00) | ((v >> 4) & 0x38) | ((v >> 2) & 7));
  const uint8_t attributes = s.vram[vram_index(cart, attribute_address)];
  const int quadrant = ((v >> 4) & 4) | (v & 2);
  return {tile, static_cast<size_t>((attributes >> quadrant) & 3)};
}

// Eight background pixels (0-3, 0 is transparent) of that tile in the line of `scroll`.
inline uint64_t tile_row(const State& s, const Cartridge& cart, const Scroll& scroll, int column) {
  const size_t table = (scroll.ctrl & kCtrlBackgroundTable) != 0 ? 256 : 0;
  const TileAt tile = tile_at(s, cart, scroll.v, column);
  return cart.rows[(table + tile.index) * 8 + ((scroll.v >> 12) & 7)];
}

// The pixels (0-3) of one row of a sprite; `line` counts from its top.
inline uint64_t sprite_row(const Cartridge& cart, const uint8_t* sprite, uint8_t ctrl, int line) {
  const uint8_t tile = sprite[1], attributes = sprite[2];
  const bool tall = (ctrl & kCtrlTallSprites) != 0;
  if ((attributes & 0x80) != 0) line = (tall ? 15 : 7) - line;
  size_t index = 0;
  if (tall) {
    index = ((tile & 1U) << 8) + (tile & 0xFEU) + static_cast<size_t>(line >> 3);
  } else {
    index = ((ctrl & kCtrlSpriteTable) != 0 ? 256U : 0U) + tile;
  }
  const auto& rows = (attributes & 0x40) != 0 ? cart.rows_flipped : cart.rows;
  return rows[index * 8 + static_cast<size_t>(line & 7)];
}

}  // namespace ppu
}  // namespace warpzone::nes
