// The picture unit. It has no clock of its own: register writes are logged with their scanline,
// flags are worked out when they are read, and a picture is drawn only when somebody looks.
// Registers: https://www.nesdev.org/wiki/PPU_registers, scrolling:
// https://www.nesdev.org/wiki/PPU_scrolling. The sprite overflow flag always reads as clear.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

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
inline constexpr uint8_t kStatusVblank = 0x80, kStatusSprite0 = 0x40;
inline constexpr uint16_t kHorizontalBits = 0x041F;

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

// The first dot at or after `from` at which an opaque pixel of sprite 0 meets an opaque pixel of
// the background, were nothing written any more.
inline int32_t predict_sprite0(const State& s, const Cartridge& cart, int32_t from) {
  const uint8_t* sprite = s.oam.data();
  const int x0 = sprite[3];
  const int rows = (s.ctrl & kCtrlTallSprites) != 0 ? 16 : 8;
  for (int row = 0; row < rows; ++row) {
    const int line = sprite[0] + 1 + row;
    if (line >= kScreenHeight) break;
    if (s.line0 + (line + 1) * kDotsPerLine <= from) continue;
    const Scroll scroll = scroll_at(s, line);
    if ((scroll.mask & kMaskRendering) != kMaskRendering) continue;
    const uint64_t pixels = sprite_row(cart, sprite, scroll.ctrl, row);
    if (pixels == 0) continue;
    const int shift = (scroll.fine_x + x0) & 7;
    const int column = (scroll.fine_x + x0) >> 3;
    uint64_t background = tile_row(s, cart, scroll, column) >> (8 * shift);
    if (shift != 0) background |= tile_row(s, cart, scroll, column + 1) << (8 * (8 - shift));
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t hits = ((pixels | (pixels >> 1)) & ones) & ((background | (background >> 1)) & ones);
    const bool clipped = (scroll.mask & (kMaskLeftBackground | kMaskLeftSprites)) !=
                         (kMaskLeftBackground | kMaskLeftSprites);
    while (hits != 0) {
      const int x = x0 + std::countr_zero(hits) / 8;
      const int32_t dot = s.line0 + line * kDotsPerLine + x + 2;
      if (x < 255 && !(clipped && x < 8) && dot >= from) return dot;
      hits &= hits - 1;
    }
  }
  return kNever;
}

inline int32_t sprite0_dot(State& s, const Cartridge& cart) {
  if (s.sprite0_known == 0) {
    s.sprite0_dot = predict_sprite0(s, cart, s.sprite0_from);
    s.sprite0_known = 1;
  }
  return s.sprite0_dot;
}

inline uint8_t status_at(State& s, const Cartridge& cart, int32_t dot) {
  uint8_t status = s.status;
  if (s.phase == Phase::render && dot >= sprite0_dot(s, cart)) status |= kStatusSprite0;
  return status;
}

// The scroll entry that begins at exactly `line`, made by splitting the one before if need be.
inline size_t split_scroll(State& s, int line) {
  size_t i = s.scroll_count;
  while (i > 0 && s.scrolls[i - 1].line >= line) --i;
  if (i < s.scroll_count && s.scrolls[i].line == line) return i;
  if (s.scroll_count == s.scrolls.size()) return s.scrolls.size() - 1;  // full: coarser picture
  const Scroll scroll = scroll_at(s, line);
  for (size_t j = s.scroll_count; j > i; --j) s.scrolls[j] = s.scrolls[j - 1];
  s.scrolls[i] = scroll;
  ++s.scroll_count;
  return i;
}

// Called before a register that matters for the picture changes at `dot`.
inline void before_change(State& s, const Cartridge& cart, int32_t dot) {
  if (sprite0_dot(s, cart) > dot) {
    s.sprite0_known = 0;
    s.sprite0_from = dot;
  }
}

// Logs the registers after a change at `dot`. The picture has line precision: what changes in
// the first half of a line counts for that line, the horizontal scroll from its copy at dot 257.
inline void after_change(State& s, int32_t dot, bool address_changed) {
  const int line = (dot - s.line0) / kDotsPerLine;
  const int x = (dot - s.line0) % kDotsPerLine;
  const int registers_from = x < 128 ? line : line + 1;
  const int scroll_from = x < 257 ? line + 1 : line + 2;
  if (registers_from < kScreenHeight) {
    for (size_t i = split_scroll(s, registers_from); i < s.scroll_count; ++i) {
      s.scrolls[i].ctrl = s.ctrl;
      s.scrolls[i].mask = s.mask;
      s.scrolls[i].fine_x = s.fine_x;
    }
  }
  if (scroll_from < kScreenHeight) {
    const bool rendering = (s.mask & kMaskRendering) != 0;
    const size_t first = split_scroll(s, scroll_from);
    if (address_changed) {
      s.scroll_count = static_cast<uint8_t>(first + 1);
      s.scrolls[first].v = rendering ? advance_lines(s.v, scroll_from - line) : s.v;
    }
    for (size_t i = first; rendering && i < s.scroll_count; ++i) {
      s.scrolls[i].v =
          static_cast<uint16_t>((s.scrolls[i].v & ~kHorizontalBits) | (s.t & kHorizontalBits));
    }
  }
}

inline uint8_t read_vram(const State& s, const Cartridge& cart, uint16_t address) {
  return address < 0x2000 ? cart.chr[address] : s.vram[vram_index(cart, address & 0x0FFF)];
}

inline void step_address(State& s) {
  s.v = static_cast<uint16_t>((s.v + ((s.ctrl & kCtrlIncrement32) != 0 ? 32 : 1)) & 0x7FFF);
}

inline uint8_t read(State& s, const Cartridge& cart, uint16_t address, int32_t dot) {
  switch (address & 7) {
    case 2:
      s.bus = static_cast<uint8_t>((status_at(s, cart, dot) & 0xE0) | (s.bus & 0x1F));
      s.status &= static_cast<uint8_t>(~kStatusVblank);
      s.write_toggle = 0;
      break;
    case 4: s.bus = s.oam[s.oam_addr]; break;
    case 7: {
      const auto at = static_cast<uint16_t>(s.v & 0x3FFF);
      if (at >= 0x3F00) {
        s.bus = static_cast<uint8_t>((s.palette[palette_index(at)] & 0x3F) | (s.bus & 0xC0));
      } else {
        s.bus = s.read_buffer;
      }
      s.read_buffer = read_vram(s, cart, at);
      step_address(s);
      break;
    }
    default: break;
  }
  return s.bus;
}

// A write that raises an NMI moves `next_event`, so that the CPU stops and takes it.
inline void write(State& s, const Cartridge& cart, uint16_t address, uint8_t value, int32_t dot) {
  s.bus = value;
  const int reg = address & 7;
  const bool rendering = s.phase == Phase::render;
  if (rendering) before_change(s, cart, dot);
  bool address_changed = false;
  switch (reg) {
    case 0: {
      const bool raised = (s.ctrl & kCtrlNmi) == 0 && (value & kCtrlNmi) != 0;
      s.ctrl = value;
      s.t = static_cast<uint16_t>((s.t & 0x73FF) | ((value & 3) << 10));
      if (raised && (s.status & kStatusVblank) != 0) {
        s.nmi_pending = 1;
        s.next_event = 0;  // ends the CPU's slice after this instruction
      }
      break;
    }
    case 1: s.mask = value; break;
    case 3: s.oam_addr = value; break;
    case 4: s.oam[s.oam_addr++] = value; break;
    case 5:
      if (s.write_toggle == 0) {
        s.fine_x = value & 7;
        s.t = static_cast<uint16_t>((s.t & ~0x1F) | (value >> 3));
      } else {
        s.t = static_cast<uint16_t>((s.t & 0x0C1F) | ((value & 7) << 12) | ((value & 0xF8) << 2));
      }
      s.write_toggle ^= 1;
      break;
    case 6:
      if (s.write_toggle == 0) {
        s.t = static_cast<uint16_t>((s.t & 0x00FF) | ((value & 0x3F) << 8));
      } else {
        s.t = static_cast<uint16_t>((s.t & 0x7F00) | value);
        s.v = s.t;
        address_changed = true;
      }
      s.write_toggle ^= 1;
      break;
    case 7: {
      const auto at = static_cast<uint16_t>(s.v & 0x3FFF);
      if (at >= 0x3F00) {
        s.palette[palette_index(at)] = value & 0x3F;
      } else if (at >= 0x2000) {
        s.vram[vram_index(cart, at & 0x0FFF)] = value;
      }
      step_address(s);
      address_changed = true;
      break;
    }
    default: break;
  }
  if (rendering && reg != 3 && reg != 4) after_change(s, dot, address_changed);
}

// Scanline 261, dot 1.
inline void end_vblank(State& s) {
  s.status = 0;
  s.phase = Phase::prerender;
}

// Scanline 0. An odd frame that renders is one dot shorter:
// https://www.nesdev.org/wiki/PPU_frame_timing
inline void begin_render(State& s) {
  const bool rendering = (s.mask & kMaskRendering) != 0;
  const int32_t skipped = rendering && s.odd_frame != 0 ? 1 : 0;
  s.line0 = kRenderStart - skipped;
  s.frame_end = kFrameDots - skipped;
  if (rendering) s.v = s.t;
  s.phase = Phase::render;
  s.scroll_count = 1;
  s.scrolls[0] = {s.v, 0, s.fine_x, s.ctrl, s.mask};
  s.sprite0_known = 0;
  s.sprite0_from = s.line0;
}

// Scanline 241, dot 1: the next frame begins; times are counted from here.
inline void begin_vblank(State& s, const Cartridge& cart) {
  s.status = kStatusVblank;
  if (sprite0_dot(s, cart) < s.frame_end) s.status |= kStatusSprite0;
  const Scroll& last = s.scrolls[static_cast<size_t>(s.scroll_count - 1)];
  if ((last.mask & kMaskRendering) != 0) s.v = advance_lines(last.v, kScreenHeight - last.line);
  if ((s.ctrl & kCtrlNmi) != 0) s.nmi_pending = 1;
  s.clock += static_cast<uint64_t>(s.frame_end);
  s.dot -= s.frame_end;
  s.odd_frame ^= 1;
  ++s.frame;
  s.phase = Phase::vblank;
}

}  // namespace ppu
}  // namespace warpzone::nes
