#include "nes/ppu.h"

#include <array>
#include <random>
#include <vector>

#include "check.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "plain_picture.h"
#include "program.h"

using warpzone::nes::Cartridge;
using warpzone::nes::Scroll;
using warpzone::nes::State;
namespace nes = warpzone::nes;
namespace ppu = warpzone::nes::ppu;
using plain::background_pixel;
using plain::sprite_pixel;
using program::random_scene;

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

// The search for sprites, dot by dot as https://www.nesdev.org/wiki/PPU_sprite_evaluation tells it.
int32_t slow_overflow(const State& s, int32_t from) {
  for (int line = 0; line < nes::kScreenHeight; ++line) {
    const Scroll scroll = ppu::scroll_at(s, line);
    if ((scroll.mask & ppu::kMaskRendering) == 0) continue;
    const int height = (scroll.ctrl & ppu::kCtrlTallSprites) != 0 ? 16 : 8;
    int n = 0, m = 0, found = 0, copying = 0;
    for (int x = 66; x <= 256 && n < 64; x += 2) {
      const int y = s.oam[static_cast<size_t>(n * 4 + m)];
      const bool hit = y <= line && line < y + height;
      if (copying > 0) {
        if (--copying == 0) ++n;
      } else if (found < 8) {
        if (hit)
          ++found, copying = 3;
        else
          ++n;
      } else if (hit) {
        const int32_t dot = s.line0 + line * nes::kDotsPerLine + x;
        if (dot >= from) return dot;
        break;
      } else {
        ++n, m = (m + 1) & 3;
      }
    }
  }
  return nes::kNever;
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

TEST(sprite_overflow_is_foretold_to_the_dot) {
  std::mt19937 random(8);
  int overflows = 0;
  for (int round = 0; round < 3000; ++round) {
    const Cartridge cart = program::with_pictures({0xEA}, random, true);
    State s = random_scene(cart, random, static_cast<int>(random() % 4));
    const unsigned spread = 1 + random() % 60;
    const size_t crowd = random() % 24;
    for (size_t i = 0; i < 64; ++i) s.oam[i * 4] = static_cast<uint8_t>(240 + random() % 16);
    for (size_t i = 0; i < crowd; ++i) {
      s.oam[(random() % 64) * 4] = static_cast<uint8_t>(random() % 250 / spread * spread);
    }
    for (size_t i = 0; i < crowd / 2 + 5; ++i) {
      s.oam[(random() % 64) * 4] = static_cast<uint8_t>(90 + random() % spread);
    }
    const auto from = static_cast<int32_t>(s.line0 + random() % 82000);
    for (const int32_t begin : {s.line0, from}) {
      const int32_t slow = slow_overflow(s, begin);
      CHECK_EQUAL(ppu::predict_overflow(s, begin), slow);
      overflows += slow != nes::kNever ? 1 : 0;
    }
  }
  CHECK(overflows > 800);
  CHECK(overflows < 5000);
}

namespace {

// After power-on, with the NMI on or off, `code` is run so that it begins at `dot`.
State at(int32_t dot, uint8_t ctrl, const Cartridge& cart) {
  State s = nes::power_on(cart);
  s.ctrl = ctrl;
  s.dot = dot;
  return s;
}

void run_until(State& s, const Cartridge& cart, int32_t event) {
  s.next_event = event;
  while (s.dot < event) {
    nes::cpu::run(s, cart);
    s.next_event = event;
  }
}

constexpr uint8_t kNmiOn = ppu::kCtrlNmi;
const program::Bytes kCountNmi = {0xE6, 0x20, 0x40};  // INC $20, RTI
const program::Bytes kWait = {0x4C, 0x03, 0x80};      // behind three bytes: JMP to itself

}  // namespace

TEST(reading_the_flag_as_it_is_set_keeps_it_and_the_interrupt_away) {
  using program::operator+;
  const Cartridge cart = program::cartridge(program::Bytes{0xAD, 0x02, 0x20} + kWait,
                                            program::kCode, kCountNmi);  // LDA $2002
  for (int k = -5; k <= 8; ++k) {
    State s = at(0, kNmiOn, cart);
    s.dot = s.frame_end + k - 9;  // its last cycle reads
    nes::run_frame(s, cart, 0);
    nes::run_frame(s, cart, 0);
    CHECK_EQUAL(s.a >> 7, k >= 0 ? 1 : 0);
    CHECK_EQUAL(s.ram[0x20], k >= -1 && k <= 1 ? 0 : 1);
  }
}

TEST(the_interrupt_waits_for_the_instruction_that_it_comes_too_late_for) {
  const Cartridge cart = program::cartridge(program::Bytes(40, 0xEA), program::kCode, {0x02});
  for (int k = 0; k < 6; ++k) {
    State s = at(0, kNmiOn, cart);
    s.dot = s.frame_end - 12 + k;  // NOPs of six dots
    nes::run_frame(s, cart, 0);
    nes::run_frame(s, cart, 0);
    CHECK_EQUAL(s.ram[0x1FC], k >= 5 ? 2 : 3);  // low byte of where the interrupt returns to
  }
}

TEST(switching_the_interrupt_off_as_the_flag_is_set) {
  using program::operator+;
  const Cartridge cart = program::cartridge(program::Bytes{0x8E, 0x00, 0x20} + kWait,
                                            program::kCode, kCountNmi);  // STX $2000
  for (int k = -4; k <= 6; ++k) {
    State s = at(0, kNmiOn, cart);
    s.dot = s.frame_end + k - 9;
    nes::run_frame(s, cart, 0);
    nes::run_frame(s, cart, 0);
    CHECK_EQUAL(s.ram[0x20], k >= 2 ? 1 : 0);
  }
}

TEST(switching_the_interrupt_on_in_vertical_blank_lets_one_more_instruction_run) {
  using program::operator+;
  // STX $2000; three INY; wait
  const Cartridge cart =
      program::cartridge(program::Bytes{0x8E, 0x00, 0x20, 0xC8, 0xC8, 0xC8, 0x4C, 0x06, 0x80},
                         program::kCode, {0x84, 0x20, 0xE6, 0x21, 0x40});  // STY $20, INC $21, RTI
  for (const int32_t write :
       {nes::kFrameDots + 3, nes::kFrameDots + 4000, nes::kFrameDots + nes::kVblankEnd - 2,
        nes::kFrameDots + nes::kVblankEnd - 1}) {
    State s = at(0, 0, cart);
    s.x = kNmiOn;
    s.dot = s.frame_end;
    if (write > nes::kFrameDots + 9) {
      ppu::begin_vblank(s, cart);
      s.dot = write - nes::kFrameDots - 9;
    } else {
      s.dot = write - 9;
      nes::run_frame(s, cart, 0);
    }
    s.buttons = 0;
    run_until(s, cart, nes::kRenderStart);
    const bool in_time = write < nes::kFrameDots + nes::kVblankEnd - 1;
    CHECK_EQUAL(s.ram[0x21], in_time ? 1 : 0);
    if (in_time) CHECK_EQUAL(s.ram[0x20], 1);
  }
}

TEST(a_jump_to_itself_does_not_swallow_the_instruction_before_an_interrupt) {
  using program::operator+;
  const Cartridge cart =
      program::cartridge(program::Bytes{0x8E, 0x00, 0x20} + kWait, program::kCode, kCountNmi);
  State s = at(0, 0, cart);
  s.x = kNmiOn;
  ppu::begin_vblank(s, cart);
  s.dot = 100;
  run_until(s, cart, 1000);
  CHECK_EQUAL(s.ram[0x20], 1);
}

TEST(rendering_switched_on_late_does_not_shorten_the_frame) {
  using program::operator+;
  const Cartridge cart = program::cartridge(program::Bytes{0x8E, 0x01, 0x20} + kWait);  // STX $2001
  for (const bool on : {false, true}) {
    for (int k = -3; k <= 3; ++k) {
      State s = at(0, 0, cart);
      nes::run_frame(s, cart, 0);
      s.odd_frame = 1;
      s.pc = program::kCode;
      s.mask = on ? 0 : ppu::kMaskBackground;
      s.x = on ? ppu::kMaskBackground : 0;
      s.dot = ppu::kSkipDecided + k - 9;
      nes::run_frame(s, cart, 0);
      CHECK_EQUAL(nes::kFrameDots - s.frame_end, (k < 0) == on ? 1 : 0);
    }
  }
}

TEST(what_nobody_drives_decays) {
  const Cartridge cart = program::cartridge({0x4C, 0x00, 0x80});
  State s = nes::power_on(cart);
  ppu::write(s, cart, 0x2002, 0xFF, s.dot);
  nes::run_frame(s, cart, 0);
  CHECK_EQUAL(ppu::read(s, cart, 0x2000, 100), 0xFF);
  for (int i = 0; i < 20; ++i) nes::run_frame(s, cart, 0);
  CHECK_EQUAL(ppu::read(s, cart, 0x2002, 100) & 0x1F, 0x1F);  // drives the other three bits
  for (int i = 0; i < 20; ++i) nes::run_frame(s, cart, 0);
  CHECK_EQUAL(ppu::read(s, cart, 0x2000, 100), 0x80);
  for (int i = 0; i < 20; ++i) nes::run_frame(s, cart, 0);
  CHECK_EQUAL(ppu::read(s, cart, 0x2000, 100), 0);
}

TEST(sprite_memory_has_no_bits_2_to_4_of_attributes_and_is_busy_while_rendering) {
  const Cartridge cart = program::cartridge({0x4C, 0x00, 0x80});
  State s = nes::power_on(cart);
  for (uint8_t i = 0; i < 4; ++i) ppu::write(s, cart, 0x2004, 0xFF, s.dot);
  for (uint8_t i = 0; i < 4; ++i) {
    ppu::write(s, cart, 0x2003, i, s.dot);
    CHECK_EQUAL(ppu::read(s, cart, 0x2004, s.dot), i == 2 ? 0xE3 : 0xFF);
  }
  ppu::write(s, cart, 0x2001, ppu::kMaskBackground, s.dot);
  ppu::write(s, cart, 0x2003, 9, s.dot);
  ppu::write(s, cart, 0x2004, 0x12, s.dot);
  CHECK_EQUAL(s.oam[9], 0);
  CHECK_EQUAL(s.oam_addr, 12);
  nes::run_frame(s, cart, 0);
  CHECK_EQUAL(s.oam_addr, 0);
}

TEST(an_address_set_below_the_picture_stays) {
  const Cartridge cart = program::cartridge({0x4C, 0x00, 0x80});
  State s = nes::power_on(cart);
  s.mask = ppu::kMaskBackground;
  ppu::begin_render(s, cart);
  const int32_t below = s.line0 + nes::kScreenHeight * nes::kDotsPerLine;
  ppu::write(s, cart, 0x2006, 0x21, below);
  ppu::write(s, cart, 0x2006, 0x08, below + 12);
  ppu::write(s, cart, 0x2007, 0x77, below + 24);
  nes::run_frame(s, cart, 0);
  CHECK_EQUAL(s.v, 0x2109);
  CHECK_EQUAL(s.vram[0x108], 0x77);
}
