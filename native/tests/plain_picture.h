// Pictures made one pixel at a time, without a thought for speed.
#pragma once

#include <cstdint>
#include <vector>

#include "batch/picture.h"
#include "nes/ppu.h"

namespace plain {

namespace nes = warpzone::nes;
namespace ppu = warpzone::nes::ppu;
namespace batch = warpzone::batch;
using nes::Cartridge;
using nes::Scroll;
using nes::State;

inline int chr_pixel(const Cartridge& cart, size_t tile, int row, int x) {
  const size_t at = tile * 16 + static_cast<size_t>(row);
  return ((cart.chr[at] >> (7 - x)) & 1) | (((cart.chr[at + 8] >> (7 - x)) & 1) << 1);
}

// A palette index 0-15, 0 where transparent, one pixel at a time.
inline int background_pixel(const State& s, const Cartridge& cart, const Scroll& scroll, int x) {
  if ((scroll.mask & ppu::kMaskBackground) == 0) return 0;
  if (x < 8 && (scroll.mask & ppu::kMaskLeftBackground) == 0) return 0;
  const int at = (scroll.v & 31) * 8 + scroll.fine_x + x;  // px from the nametable's left end
  const int nametable = ((scroll.v >> 10) & 3) ^ ((at >> 8) & 1);
  const int column = (at & 255) >> 3, row = (scroll.v >> 5) & 31;
  const auto cell = static_cast<uint16_t>(nametable * 0x400 + row * 32 + column);
  const auto attribute =
      static_cast<uint16_t>(nametable * 0x400 + 0x3C0 + (row >> 2) * 8 + (column >> 2));
  const size_t table = (scroll.ctrl & ppu::kCtrlBackgroundTable) != 0 ? 256 : 0;
  const size_t tile = table + s.vram[ppu::vram_index(cart, cell)];
  const int value = chr_pixel(cart, tile, scroll.v >> 12 & 7, at & 7);
  const int shift = (row & 2) * 2 + (column & 2);
  const int palette = (s.vram[ppu::vram_index(cart, attribute)] >> shift) & 3;
  return value == 0 ? 0 : palette * 4 + value;
}

// The value 0-3 of a sprite at x of a line; 0 where it is not.
inline int sprite_pixel(const State& s, const Cartridge& cart, size_t sprite, uint8_t ctrl,
                        int line, int x) {
  const uint8_t* at = &s.oam[sprite * 4];
  const int height = (ctrl & ppu::kCtrlTallSprites) != 0 ? 16 : 8;
  int row = line - at[0] - 1, column = x - at[3];
  if (row < 0 || row >= height || column < 0 || column >= 8) return 0;
  if ((at[2] & 0x80) != 0) row = height - 1 - row;
  if ((at[2] & 0x40) != 0) column = 7 - column;
  size_t tile = at[1] + ((ctrl & ppu::kCtrlSpriteTable) != 0 ? 256U : 0U);
  if (height == 16) tile = (at[1] & 1U) * 256 + (at[1] & 0xFEU) + (row >= 8 ? 1U : 0U);
  return chr_pixel(cart, tile, row & 7, column);
}

inline uint8_t colour_at(const State& s, const Cartridge& cart, const Scroll& scroll, int line,
                         int x) {
  int colour = background_pixel(s, cart, scroll, x);
  // Which sprites show is decided by the control register at the end of the picture.
  const int height = (s.ctrl & ppu::kCtrlTallSprites) != 0 ? 16 : 8;
  const bool shown = (scroll.mask & ppu::kMaskSprites) != 0 &&
                     (x >= 8 || (scroll.mask & ppu::kMaskLeftSprites) != 0);
  int on_line = 0;
  for (size_t i = 0; i < 64 && shown && on_line < 8; ++i) {
    const int top = s.oam[i * 4] + 1;
    if (line < top || line >= top + height) continue;
    ++on_line;
    const int value = sprite_pixel(s, cart, i, scroll.ctrl, line, x);
    if (value == 0) continue;
    const bool behind = (s.oam[i * 4 + 2] & 0x20) != 0;
    if (!behind || colour == 0) colour = 16 + (s.oam[i * 4 + 2] & 3) * 4 + value;
    break;  // hidden or not, it covers those of higher numbers
  }
  const uint8_t kept = (scroll.mask & ppu::kMaskGrey) != 0 ? 0x30 : 0x3F;
  return s.palette[static_cast<size_t>(colour)] & kept;
}

// uint8[240][256], colours 0-63.
inline std::vector<uint8_t> draw(const State& s, const Cartridge& cart) {
  std::vector<uint8_t> picture;
  for (int line = 0; line < nes::kScreenHeight; ++line) {
    const Scroll scroll = ppu::scroll_at(s, line);
    for (int x = 0; x < nes::kScreenWidth; ++x) {
      picture.push_back(colour_at(s, cart, scroll, line, x));
    }
  }
  return picture;
}

// Grey and resized; with `before`, the brighter of two pictures.
inline std::vector<uint8_t> shrink(const State& s, const State* before, const Cartridge& cart,
                                   int height, int width, int top) {
  std::vector<uint8_t> grey = draw(s, cart);
  for (auto& pixel : grey) pixel = batch::kLuma[pixel];
  if (before != nullptr) {
    const std::vector<uint8_t> other = draw(*before, cart);
    for (size_t i = 0; i < grey.size(); ++i) grey[i] = std::max(grey[i], batch::kLuma[other[i]]);
  }
  const batch::Shares rows(nes::kScreenHeight - top, height), columns(nes::kScreenWidth, width);
  std::vector<uint8_t> out;
  for (size_t y = 0; y < rows.first.size(); ++y) {
    for (size_t x = 0; x < columns.first.size(); ++x) {
      uint32_t sum = 1U << 15;  // rounds
      for (size_t i = 0; i < rows.taps; ++i) {
        for (size_t k = 0; k < columns.taps; ++k) {
          const uint32_t weight =
              rows.weights[y * rows.taps + i] * columns.weights[x * columns.taps + k];
          if (weight == 0) continue;
          const size_t line = static_cast<size_t>(top) + rows.first[y] + i;
          sum += weight * grey[line * nes::kScreenWidth + columns.first[x] + k];
        }
      }
      out.push_back(static_cast<uint8_t>(sum >> 16));
    }
  }
  return out;
}

}  // namespace plain
