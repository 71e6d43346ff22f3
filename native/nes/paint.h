// The picture of a frame, drawn after the fact from the state that the picture unit (ppu.h) has
// left behind, when somebody looks.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "nes/cartridge.h"
#include "nes/inline.h"
#include "nes/ppu.h"
#include "nes/state.h"
#include "simd/kernels.h"

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

// What each palette entry (value | palette << 2) looks like: a colour (0-63), or what `table` makes
// of it.
struct Palette {
  simd::Table background, sprites;

  Palette(const State& s, uint8_t mask, const std::array<uint8_t, 64>& table) {
    const uint8_t kept = (mask & kMaskGrey) != 0 ? 0x30 : 0x3F;
    for (size_t i = 0; i < 16; ++i) {
      background[i] = table[s.palette[(i & 3) == 0 ? 0 : i] & kept];
      sprites[i] = table[s.palette[16 + i] & kept];
    }
  }
};

// Draws the lines of one picture from `line` on, each looked up in `table`: colours (0-63), or
// anything else that is a byte.
template <typename Simd = simd::Best, typename S = State>
class Painter {
 public:
  // What a line needs: scrolling begins up to 7 px inside the first tile.
  using Line = std::array<uint8_t, simd::kLineTiles * 8>;

  Painter(const S& s, const Cartridge& cart, const std::array<uint8_t, 64>& table, int line = 0)
      : s_(s), cart_(cart), table_(table), sprites_(s), palette_(s, 0, table),
        line_(static_cast<size_t>(line)), scroll_(scroll_at(s, line)), banks_(banks_at(s, line)) {
    while (entry_ + 1 < s.scroll_count && s.scrolls[entry_ + 1].line <= line) ++entry_;
  }

  // Draws the next line. Its 256 pixels begin where the result points to. The result is nullptr
  // where a line is found to look like the one before, which must still be where it was, unless
  // `always`.
  uint8_t* next(Line& line, bool always = false) {
    if constexpr (kFull<S>) {
      if (s_.holds_from[entry_] != 0 && s_.scrolls[entry_].line == line_ && entry_ > 0) {
        return next_of_two(line);
      }
    }
    const size_t sprites = (scroll_.mask & kMaskSprites) != 0 ? sprites_.count[line_] : 0;
    const bool shows_tiles = (scroll_.mask & kMaskBackground) != 0;
    const bool fetched = shows_tiles && fetch_tiles();
    const bool was_plain = plain_;
    plain_ = sprites == 0 && (!shows_tiles || flat_);
    const bool may_repeat = plain_ && was_plain && !always;
    if (may_repeat && !fetched && !new_entry_) {
      advance();
      return nullptr;
    }
    uint8_t* pixels = draw_line(line, sprites, shows_tiles);
    advance();
    if (may_repeat && std::memcmp(pixels, last_, kScreenWidth) == 0) return nullptr;
    last_ = pixels;
    return pixels;
  }

 private:
  static constexpr size_t kShown = 33;  // tiles of a line that may be seen
  static constexpr uint64_t kOnes = 0x0101010101010101ULL;

  // 0xFF for each pixel (0-3) that is not transparent.
  static uint64_t opaque(uint64_t pixels) { return ((pixels | (pixels >> 1)) & kOnes) * 0xFF; }

  // The line as it is now; tiles are those that have been fetched.
  WZ_INLINE uint8_t* draw_line(Line& line, size_t sprites, bool shows_tiles) {
    if ((scroll_.mask & kMaskGrey) != (mask_ & kMaskGrey)) {
      palette_ = Palette(s_, scroll_.mask, table_);
    }
    mask_ = scroll_.mask;
    uint8_t* pixels = line.data();
    if (shows_tiles) {
      pixels += scroll_.fine_x;
      Simd::tiles(rows_.data(), fine_y(), palettes_, palette_.background, line.data());
      if ((mask_ & kMaskLeftBackground) == 0) std::memset(pixels, palette_.background[0], 8);
    } else {
      line.fill(palette_.background[0]);
    }
    // The first of those that overlap is seen, so it is painted last.
    for (size_t k = sprites; k-- > 0;) paint(sprites_.index[line_][k], pixels);
    return pixels;
  }

  // The next line, in the midst of which something changes.
  WZ_NOINLINE uint8_t* next_of_two(Line& line) {
    const auto whole = [this](Line& to) {
      fetched_ = UINT32_MAX;
      const bool shows_tiles = (scroll_.mask & kMaskBackground) != 0;
      if (shows_tiles) fetch_tiles();
      const bool shows_sprites = (scroll_.mask & kMaskSprites) != 0;
      return draw_line(to, shows_sprites ? sprites_.count[line_] : 0, shows_tiles);
    };
    const Scroll after = scroll_;
    const BanksOf<S> banks = banks_;
    scroll_ = s_.scrolls[entry_ - 1];
    if ((scroll_.mask & kMaskRendering) != 0) {
      scroll_.v = advance_lines(scroll_.v, after.line - scroll_.line);
    }
    banks_ = s_.bank_log[entry_ - 1];
    Line other;
    const uint8_t* left = whole(other);
    scroll_ = after;
    banks_ = banks;
    uint8_t* pixels = whole(line);
    std::memcpy(pixels, left, s_.holds_from[entry_]);
    plain_ = false;
    advance();
    last_ = pixels;
    return pixels;
  }

  size_t fine_y() const { return (scroll_.v >> 12) & 7; }

  void advance() {
    ++line_;
    new_entry_ = entry_ + 1 < s_.scroll_count && s_.scrolls[entry_ + 1].line == line_;
    if (new_entry_) {
      ++entry_;
      if constexpr (kFull<S>) {
        while (entry_ + 1 < s_.scroll_count && s_.scrolls[entry_ + 1].line == line_) ++entry_;
        if (banks_ != s_.bank_log[entry_]) fetched_ = UINT32_MAX;
        banks_ = s_.bank_log[entry_];
      }
      scroll_ = s_.scrolls[entry_];
    } else if ((scroll_.mask & kMaskRendering) != 0) {
      scroll_.v =
          fine_y() < 7 ? static_cast<uint16_t>(scroll_.v + 0x1000) : advance_lines(scroll_.v, 1);
    }
  }

  // The tiles of a line are those of the line above, seven times out of eight: returns whether they
  // are not.
  bool fetch_tiles() {
    const uint32_t key = (scroll_.v & 0x0FFFU) | ((scroll_.ctrl & kCtrlBackgroundTable) << 12);
    if (key == fetched_) return false;
    fetched_ = key;
    const Tiles tiles = tiles_of((scroll_.ctrl & kCtrlBackgroundTable) != 0 ? 256 : 0);
    const unsigned v = scroll_.v, first = v & 31;
    const uint8_t* const tables[2] = {nametable(s_, cart_, banks_, (v >> 10) & 3),
                                      nametable(s_, cart_, banks_, ((v >> 10) & 3) ^ 1)};
    // To the right end of a nametable, then on in its neighbour.
    size_t i = 0;
    const uint8_t* names = tables[0] + (v & 0x03E0);
    for (unsigned column = first; column < 32; ++column) rows_[i++] = tiles[names[column]];
    names = tables[1] + (v & 0x03E0);
    for (; i < kShown; ++names) rows_[i++] = tiles[*names];
    std::fill(rows_.begin() + kShown, rows_.end(), tiles[0]);
    // An attribute byte has the palettes of two tiles by two, twice side by side.
    uint64_t* to = all_palettes_.data();
    for (unsigned at = first / 4; to < all_palettes_.data() + all_palettes_.size(); ++at, to += 4) {
      const uint8_t attributes = tables[at / 8 & 1][0x3C0 | ((v >> 4) & 0x38) | (at & 7)];
      const unsigned two = attributes >> ((v >> 4) & 4);
      to[0] = to[1] = palette_bits(two);
      to[2] = to[3] = palette_bits(two >> 2);
    }
    palettes_ = all_palettes_.data() + first % 4;
    flat_ = all_flat();
    return true;
  }

  // The rows of the tiles of one table.
  struct PlainTiles {
    const uint64_t* first;
    const uint64_t* operator[](size_t tile) const { return first + tile * 8; }
  };
  struct BankedTiles {
    Painter* painter;
    size_t first;
    const uint64_t* operator[](size_t tile) const { return painter->rows_of(first + tile); }
  };
  using Tiles = std::conditional_t<kFull<S>, BankedTiles, PlainTiles>;

  Tiles tiles_of(size_t first) {
    if constexpr (kFull<S>) {
      return {this, first};
    } else {
      return {&cart_.rows[first * 8]};
    }
  }

  // Those of a tile as it lies in ROM, or out of RAM, unpacked when first needed.
  const uint64_t* rows_of(size_t tile) {
    const size_t at = chr_at(banks_, static_cast<uint16_t>(tile * 16)) / 16;
    if (!cart_.chr.empty()) return &cart_.rows[at * 8];
    uint64_t* rows = &unpacked_.rows[at * 8];
    if (!unpacked_.known[at]) {
      unpacked_.known[at] = true;
      const uint8_t* bytes = &s_.memory[cart_.chr_ram_at + at * 16];
      for (size_t row = 0; row < 8; ++row) rows[row] = tile_pixels(bytes[row], bytes[row + 8]);
    }
    return rows;
  }

  struct NothingUnpacked {};
  struct Unpacked {
    std::array<uint64_t, kMostChrRam / 2> rows;
    std::bitset<kMostChrRam / 16> known{};
  };

  // Whether all eight rows of all tiles are the same, as in the sky.
  bool all_flat() const {
    const uint64_t* known = nullptr;
    for (size_t i = 0; i < kShown; ++i) {
      const uint64_t* tile = rows_[i];
      if (tile == known) continue;
      for (size_t row = 1; row < 8; ++row) {
        if (tile[row] != tile[0]) return false;
      }
      known = tile;
    }
    return true;
  }

  void paint(size_t number, uint8_t* pixels) {
    const uint8_t* sprite = &s_.oam[number * 4];
    const size_t x = sprite[3];
    const uint64_t row = sprite_row(s_, cart_, banks_, sprite, scroll_.ctrl,
                                    static_cast<int>(line_) - sprite[0] - 1);
    if (row == 0) return;
    uint64_t covered = opaque(row);
    if ((mask_ & kMaskLeftSprites) == 0) covered &= right_of_column_8(x);
    uint64_t colours = Simd::look_up(palette_.sprites, row | palette_bits(sprite[2]));
    if ((sprite[2] & 0x20) != 0 && (mask_ & kMaskBackground) != 0) {
      // Behind the background, and still in front of all sprites of higher numbers.
      const auto [behind, palettes] = background_at(x);
      uint64_t hidden = opaque(behind);
      if ((mask_ & kMaskLeftBackground) == 0) hidden &= right_of_column_8(x);
      const uint64_t in_front = Simd::look_up(palette_.background, behind | palettes);
      colours = (colours & ~hidden) | (in_front & hidden);
    }
    uint64_t word = 0;
    std::memcpy(&word, pixels + x, 8);
    word = (word & ~covered) | (colours & covered);
    std::memcpy(pixels + x, &word, 8);
  }

  struct Background {
    uint64_t pixels, palettes;
  };

  // Eight pixels of the background, from x on.
  Background background_at(size_t x) const {
    const size_t at = x + scroll_.fine_x, tile = at / 8, shift = at % 8 * 8;
    const auto cut = [shift](uint64_t left, uint64_t right) {
      return shift == 0 ? left : left >> shift | right << (64 - shift);
    };
    return {cut(rows_[tile][fine_y()], rows_[tile + 1][fine_y()]),
            cut(palettes_[tile], palettes_[tile + 1])};
  }

  // A palette's bits in each of eight pixels.
  static uint64_t palette_bits(unsigned number) { return (number & 3U) * (kOnes << 2); }

  // Those of eight pixels from x on that lie outside of the leftmost eight columns.
  static uint64_t right_of_column_8(size_t x) {
    return x < 8 ? ~uint64_t{0} << (8 * (7 - x)) << 8 : ~uint64_t{0};
  }

  const S& s_;
  const Cartridge& cart_;
  const std::array<uint8_t, 64>& table_;
  SpriteLines sprites_;
  Palette palette_;
  uint8_t mask_ = 0;  // of the line before
  size_t line_;
  Scroll scroll_;          // of that line
  BanksOf<S> banks_;       // likewise
  size_t entry_ = 0;       // of the log, which they come from
  bool new_entry_ = true;  // it begins with this line
  uint32_t fetched_ = UINT32_MAX;
  std::array<const uint64_t*, simd::kLineTiles> rows_;  // of each tile, eight of them
  std::array<uint64_t, 40> all_palettes_;
  const uint64_t* palettes_ = nullptr;  // of each tile, as bits of its pixels
  bool flat_ = false;                   // all rows of those tiles look the same
  bool plain_ = false;                  // the line before had no sprites, and only such tiles
  const uint8_t* last_ = nullptr;
  std::conditional_t<kFull<S>, Unpacked, NothingUnpacked> unpacked_;
};

// The picture of the frame that has just ended: uint8[240][256], colours 0-63.
template <typename Simd = simd::Best, typename S = State>
inline void draw(const S& s, const Cartridge& cart, uint8_t* out) {
  Painter<Simd, S> painter(s, cart, kSameColours);
  std::array<typename Painter<Simd, S>::Line, 2> lines;
  size_t free = 0;
  for (int y = 0; y < kScreenHeight; ++y, out += kScreenWidth) {
    const uint8_t* line = painter.next(lines[free]);
    if (line != nullptr) free ^= 1;
    std::memcpy(out, line != nullptr ? line : out - kScreenWidth, kScreenWidth);
  }
}

}  // namespace warpzone::nes::ppu
