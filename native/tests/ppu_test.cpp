#include "nes/ppu.h"

#include <array>
#include <random>
#include <vector>

#include "check.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "program.h"

using warpzone::nes::Cartridge;
using warpzone::nes::Scroll;
using warpzone::nes::State;
namespace nes = warpzone::nes;
namespace ppu = warpzone::nes::ppu;

namespace {

// One scanline down, as the hardware does it (https://www.nesdev.org/wiki/PPU_scrolling).
uint16_t next_line(uint16_t v) {
  if ((v & 0x7000) != 0x7000) return static_cast<uint16_t>(v + 0x1000);
  v &= 0x0FFF;
  int y = (v & 0x03E0) >> 5;
  if (y == 29) {
    y = 0;
    v ^= 0x0800;
  } else if (y == 31) {
    y = 0;
  } else {
    ++y;
  }
  return static_cast<uint16_t>((v & ~0x03E0) | (y << 5));
}

int chr_pixel(const Cartridge& cart, size_t tile, int row, int x) {
  const size_t at = tile * 16 + static_cast<size_t>(row);
  return ((cart.chr[at] >> (7 - x)) & 1) | (((cart.chr[at + 8] >> (7 - x)) & 1) << 1);
}

// A palette index 0-15, 0 where transparent, one pixel at a time.
int background_pixel(const State& s, const Cartridge& cart, const Scroll& scroll, int x) {
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
int sprite_pixel(const State& s, const Cartridge& cart, size_t sprite, uint8_t ctrl, int line,
                 int x) {
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

int32_t slow_sprite0(const State& s, const Cartridge& cart, int32_t from) {
  for (int line = 0; line < nes::kScreenHeight; ++line) {
    const Scroll scroll = ppu::scroll_at(s, line);
    if ((scroll.mask & ppu::kMaskRendering) != ppu::kMaskRendering) continue;
    const int left = (scroll.mask & 6) == 6 ? 0 : 8;
    for (int x = left; x < 255; ++x) {
      const int32_t dot = s.line0 + line * nes::kDotsPerLine + x + 2;
      if (dot < from || sprite_pixel(s, cart, 0, scroll.ctrl, line, x) == 0) continue;
      if (background_pixel(s, cart, scroll, x) != 0) return dot;
    }
  }
  return nes::kNever;
}

uint8_t slow_colour(const State& s, const Cartridge& cart, const Scroll& scroll, int line, int x) {
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

// A frame with some register writes at random dots.
State random_scene(const Cartridge& cart, std::mt19937& random, int writes) {
  State s = nes::power_on(cart);
  program::randomise_picture(s, random);
  for (size_t i = 0; i < 30; ++i) s.oam[i * 4] = static_cast<uint8_t>(80 + random() % 20);
  s.ctrl = static_cast<uint8_t>(random() & 0x3F);
  s.mask = random() % 3 == 0 ? static_cast<uint8_t>(random() & 0x1F) : 0x1E;
  s.fine_x = random() & 7;
  s.t = static_cast<uint16_t>(random() & 0x7FFF);
  s.odd_frame = random() & 1;
  ppu::begin_render(s);
  int32_t dot = s.line0;
  for (int i = 0; i < writes; ++i) {
    dot += static_cast<int32_t>(random() % 9000);
    if (dot >= s.frame_end - 100) break;
    const uint16_t registers[] = {0x2000, 0x2001, 0x2005, 0x2005, 0x2006, 0x2006};
    const uint16_t at = registers[random() % 6];
    auto value = static_cast<uint8_t>(random());
    if (at == 0x2000) value = static_cast<uint8_t>((value & 0x1F) | (s.ctrl & 0x20));
    if (at == 0x2001)
      value = random() % 2 == 0 ? uint8_t{0x1E} : static_cast<uint8_t>(value & 0x1F);
    ppu::write(s, cart, at, value, dot);
  }
  return s;
}

}  // namespace

TEST(lines_further_down_are_single_steps) {
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    const auto v = static_cast<uint16_t>(random() & 0x7FFF);
    const int lines = static_cast<int>(random() % 241);
    uint16_t slow = v;
    for (int i = 0; i < lines; ++i) slow = next_line(slow);
    const uint16_t fast = ppu::advance_lines(v, lines);
    if (fast != slow) {
      CHECK_EQUAL(fast, slow);
      return;
    }
  }
}

TEST(sprite_0_is_foretold_to_the_dot) {
  std::mt19937 random(4);
  int hits = 0;
  for (int round = 0; round < 2000; ++round) {
    const Cartridge cart = program::with_pictures({0xEA}, random, random() % 2 == 0);
    const State s = random_scene(cart, random, static_cast<int>(random() % 6));
    const auto from = static_cast<int32_t>(s.line0 + random() % 82000);
    for (const int32_t begin : {s.line0, from}) {
      const int32_t slow = slow_sprite0(s, cart, begin);
      CHECK_EQUAL(ppu::predict_sprite0(s, cart, begin), slow);
      hits += slow != nes::kNever ? 1 : 0;
    }
  }
  CHECK(hits > 800);
}

TEST(pictures_are_those_of_a_slow_painter) {
  std::mt19937 random(5);
  std::vector<uint8_t> picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  for (int round = 0; round < 60; ++round) {
    const Cartridge cart = program::with_pictures({0xEA}, random, random() % 2 == 0);
    const State s = random_scene(cart, random, static_cast<int>(random() % 8));
    ppu::draw(s, cart, picture.data());
    int wrong = 0;
    for (int line = 0; line < nes::kScreenHeight; ++line) {
      const Scroll scroll = ppu::scroll_at(s, line);
      for (int x = 0; x < nes::kScreenWidth; ++x) {
        const size_t at = static_cast<size_t>(line) * nes::kScreenWidth + static_cast<size_t>(x);
        if (picture[at] != slow_colour(s, cart, scroll, line, x)) ++wrong;
      }
    }
    CHECK_EQUAL(wrong, 0);
  }
}

TEST(the_log_of_scrolls_survives_more_writes_than_it_holds) {
  std::mt19937 random(6);
  std::vector<uint8_t> picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  for (int round = 0; round < 200; ++round) {
    const Cartridge cart = program::with_pictures({0xEA}, random, true);
    State s = random_scene(cart, random, 0);
    for (int32_t dot = s.line0; dot < s.frame_end; dot += static_cast<int32_t>(random() % 700)) {
      ppu::write(s, cart, static_cast<uint16_t>(0x2000 + random() % 8),
                 static_cast<uint8_t>(random()), dot);
      CHECK(s.scroll_count >= 1 && s.scroll_count <= s.scrolls.size());
    }
    ppu::draw(s, cart, picture.data());
    for (const uint8_t colour : picture) CHECK(colour < 64);
  }
}

TEST(a_change_after_the_hit_does_not_undo_it) {
  std::mt19937 random(7);
  int hits = 0;
  for (int round = 0; round < 300; ++round) {
    const Cartridge cart = program::with_pictures({0xEA}, random, true);
    State s = random_scene(cart, random, 0);
    const int32_t hit = ppu::sprite0_dot(s, cart);
    if (hit == nes::kNever || hit + 50 >= s.frame_end) continue;
    ++hits;
    ppu::write(s, cart, 0x2001, 0, hit + 20);
    CHECK((ppu::status_at(s, cart, hit + 40) & ppu::kStatusSprite0) != 0);
    CHECK((ppu::status_at(s, cart, hit - 1) & ppu::kStatusSprite0) == 0);
    State before = random_scene(cart, random, 0);
    const int32_t later = ppu::sprite0_dot(before, cart);
    // Two lines earlier: what is switched in the second half of a line counts from the next on.
    const int32_t earlier = later - 2 * nes::kDotsPerLine;
    if (later == nes::kNever || earlier < before.line0) continue;
    ppu::write(before, cart, 0x2001, 0, earlier);
    CHECK((ppu::status_at(before, cart, later + 40) & ppu::kStatusSprite0) == 0);
  }
  CHECK(hits > 50);
}
