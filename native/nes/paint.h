// The picture of a frame, drawn after the fact from the state that the picture unit (ppu.h) has
// left behind, when somebody looks.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "nes/cartridge.h"
#include "nes/ppu.h"
#include "nes/state.h"

namespace warpzone::nes::ppu {

// Sprites of one picture, sorted into scanlines: at most eight to a line, lowest number first.
struct SpriteLines {
  std::array<uint8_t, kScreenHeight> count{};
  std::array<std::array<uint8_t, 8>, kScreenHeight> index;

  explicit SpriteLines(const State& s) {
    const int height = (s.ctrl & kCtrlTallSprites) != 0 ? 16 : 8;
    for (size_t i = 0; i < 64; ++i) {
      const int top = s.oam[i * 4] + 1;
      for (int line = top; line < std::min(top + height, kScreenHeight); ++line) {
        auto& n = count[static_cast<size_t>(line)];
        if (n < 8) index[static_cast<size_t>(line)][n++] = static_cast<uint8_t>(i);
      }
    }
  }
};

// The colours as they are.
inline constexpr std::array<uint8_t, 64> kSameColours = [] {
  std::array<uint8_t, 64> same{};
  for (size_t i = 0; i < 64; ++i) same[i] = static_cast<uint8_t>(i);
  return same;
}();

// What each of the 32 palette entries looks like: a colour (0-63), or what `table` makes of it.
class Palette {
 public:
  Palette(const State& s, uint8_t mask, const std::array<uint8_t, 64>& table) {
    const uint8_t kept = (mask & kMaskGrey) != 0 ? 0x30 : 0x3F;
    for (size_t i = 0; i < 32; ++i) entries_[i] = table[s.palette[(i & 3) == 0 ? 0 : i] & kept];
    for (size_t i = 0; i < 4; ++i) {
      for (size_t value = 1; value < 4; ++value) {
        // A factor that turns a backdrop byte into the colour when it is xor-ed in.
        change_[i][value - 1] = entries_[0] ^ entries_[i * 4 + value];
      }
    }
  }

  uint8_t operator[](size_t entry) const { return entries_[entry]; }

  // Eight background pixels (values 0-3) of one palette (0-3) at once.
  uint64_t background(uint64_t pixels, size_t palette) const {
    constexpr uint64_t kOnes = 0x0101010101010101ULL;
    const uint64_t low = pixels & kOnes, high = (pixels >> 1) & kOnes;
    const auto& change = change_[palette];
    return (kOnes * entries_[0]) ^ ((low & ~high) * change[0]) ^ ((high & ~low) * change[1]) ^
           ((low & high) * change[2]);
  }

 private:
  std::array<uint8_t, 32> entries_;
  std::array<std::array<uint64_t, 3>, 4> change_;
};

// Draws lines of one picture in order.
class Painter {
 public:
  Painter(const State& s, const Cartridge& cart, const std::array<uint8_t, 64>& table)
      : s_(s), cart_(cart), table_(table), sprites_(s), palette_(s, 0, table) {}

  // 256 pixels: colours (0-63), each looked up in the table.
  void line(int line, uint8_t* out) {
    const Scroll scroll = scroll_at(s_, line);
    if ((scroll.mask & kMaskGrey) != (mask_ & kMaskGrey)) {
      palette_ = Palette(s_, scroll.mask, table_);
    }
    mask_ = scroll.mask;
    if ((scroll.mask & kMaskBackground) != 0) {
      background(scroll, out);
    } else {
      std::memset(out, palette_[0], kScreenWidth);
    }
    const auto at = static_cast<size_t>(line);
    if ((scroll.mask & kMaskSprites) != 0 && sprites_.count[at] != 0) {
      paint_sprites(scroll, line, out);
    }
  }

 private:
  struct Column {
    const uint64_t* rows;  // of the tile, eight of them
    size_t palette;
  };

  void background(const Scroll& scroll, uint8_t* out) {
    fetch_columns(scroll);
    const size_t fine_y = (scroll.v >> 12) & 7;
    std::array<uint8_t, kScreenWidth + 8> pixels;
    uint8_t* to = pixels.data();
    for (const Column& column : columns_) {
      const uint64_t word = palette_.background(column.rows[fine_y], column.palette);
      std::memcpy(to, &word, 8);
      to += 8;
    }
    std::memcpy(out, pixels.data() + scroll.fine_x, kScreenWidth);
    if ((scroll.mask & kMaskLeftBackground) == 0) std::memset(out, palette_[0], 8);
  }

  // The tiles of a line are those of the line above, seven times out of eight.
  void fetch_columns(const Scroll& scroll) {
    const uint32_t key = (scroll.v & 0x0FFFU) | ((scroll.ctrl & kCtrlBackgroundTable) << 12);
    if (key == fetched_) return;
    fetched_ = key;
    const size_t table = (scroll.ctrl & kCtrlBackgroundTable) != 0 ? 256 : 0;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const TileAt tile = tile_at(s_, cart_, scroll.v, static_cast<int>(i));
      columns_[i] = {&cart_.rows[(table + tile.index) * 8], tile.palette};
    }
  }

  void paint_sprites(const Scroll& scroll, int line, uint8_t* out) {
    std::array<uint64_t, 5> claimed{};  // pixels of sprites with lower numbers, drawn or hidden
    for (size_t k = 0; k < sprites_.count[static_cast<size_t>(line)]; ++k) {
      const uint8_t* sprite = &s_.oam[sprites_.index[static_cast<size_t>(line)][k] * 4U];
      const uint64_t row = sprite_row(cart_, sprite, scroll.ctrl, line - sprite[0] - 1);
      if (row == 0) continue;
      const size_t palette = 0x10U | ((sprite[2] & 3U) << 2);
      const bool behind = (sprite[2] & 0x20) != 0 && (scroll.mask & kMaskBackground) != 0;
      for (size_t i = 0; i < 8; ++i) {
        const size_t value = (row >> (8 * i)) & 3, x = sprite[3] + i;
        if (value == 0 || x >= kScreenWidth) continue;
        if (x < 8 && (scroll.mask & kMaskLeftSprites) == 0) continue;
        uint64_t& taken = claimed[x / 64];
        if (((taken >> (x % 64)) & 1) != 0) continue;
        taken |= 1ULL << (x % 64);
        if (!behind || !background_opaque(scroll, x)) out[x] = palette_[palette | value];
      }
    }
  }

  bool background_opaque(const Scroll& scroll, size_t x) const {
    if (x < 8 && (scroll.mask & kMaskLeftBackground) == 0) return false;
    const size_t at = x + scroll.fine_x;
    const uint64_t row = columns_[at / 8].rows[(scroll.v >> 12) & 7];
    return ((row >> (8 * (at % 8))) & 3) != 0;
  }

  const State& s_;
  const Cartridge& cart_;
  const std::array<uint8_t, 64>& table_;
  SpriteLines sprites_;
  Palette palette_;
  uint8_t mask_ = 0;
  uint32_t fetched_ = UINT32_MAX;
  std::array<Column, 33> columns_;
};

// The picture of the frame that has just ended: uint8[240][256], colours 0-63.
inline void draw(const State& s, const Cartridge& cart, uint8_t* out) {
  Painter painter(s, cart, kSameColours);
  for (int line = 0; line < kScreenHeight; ++line) painter.line(line, out + line * kScreenWidth);
}

}  // namespace warpzone::nes::ppu
