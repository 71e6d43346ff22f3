// Boards: what their registers map where, their interrupts, and the console that has them beside
// the plain one.
#include <cstring>
#include <memory>
#include <random>
#include <utility>

#include "check.h"
#include "nes/paint.h"
#include "nes/snapshot.h"
#include "program.h"

using program::banked;
using program::Bytes;
using warpzone::nes::Cartridge;
using warpzone::nes::FullState;
using warpzone::nes::Mirroring;
namespace nes = warpzone::nes;
using program::operator+;

namespace {

struct Machine {
  explicit Machine(const Bytes& image) : cart(image), state(std::make_unique<FullState>()) {
    nes::switch_on(*state, cart);
  }
  void write(uint16_t address, uint8_t value) {
    dot += 12;
    nes::cpu::io_write(*state, cart, address, value, state->dot + dot);
  }
  void mmc1(uint16_t address, uint8_t value) {
    for (int i = 0; i < 5; ++i) write(address, static_cast<uint8_t>(value >> i));
  }
  int prg(uint16_t address) { return nes::cpu::io_read(*state, cart, address, 0); }
  int chr(uint16_t address) { return nes::ppu::tile_byte(*state, cart, state->banks, address); }
  std::string prgs() {
    std::string all;
    for (int at = 0x8000; at < 0x10000; at += 0x2000) {
      all += std::to_string(prg(static_cast<uint16_t>(at))) + " ";
    }
    return all;
  }
  std::string chrs() {
    std::string all;
    for (int at = 0; at < 0x2000; at += 0x400) {
      all += std::to_string(chr(static_cast<uint16_t>(at))) + " ";
    }
    return all;
  }
  void run(int frames) {
    for (int i = 0; i < frames; ++i) nes::run_frame(*state, cart, 0);
  }

  Cartridge cart;
  std::unique_ptr<FullState> state;
  int32_t dot = 0;
};

}  // namespace

TEST(mmc1_maps_banks) {
  Machine m(banked(1, 16, 32));
  CHECK_EQUAL(m.prgs(), "0 1 14 15 ");
  m.mmc1(0xE000, 3);
  CHECK_EQUAL(m.prgs(), "6 7 14 15 ");
  m.mmc1(0x8000, 0x0A);  // the first half fixed, 8 KB of tiles, vertical
  CHECK_EQUAL(m.prgs(), "0 1 6 7 ");
  CHECK(m.state->banks.mirroring == Mirroring::vertical);
  m.mmc1(0x8000, 0x10);  // 32 KB, 4 KB of tiles, one screen
  CHECK_EQUAL(m.prgs(), "4 5 6 7 ");
  CHECK(m.state->banks.mirroring == Mirroring::lower);
  m.mmc1(0xA000, 2);
  m.mmc1(0xC000, 5);
  CHECK_EQUAL(m.chrs(), "8 9 10 11 20 21 22 23 ");
  m.write(0x8000, 1);
  m.write(0x8000, 0x80);  // forgets what has come, and fixes the last bank
  m.mmc1(0xE000, 1);
  CHECK_EQUAL(m.prgs(), "2 3 14 15 ");
  CHECK_EQUAL(m.prg(0x6000), 0);
  m.write(0x6000, 77);
  CHECK_EQUAL(m.prg(0x6000), 77);
  m.mmc1(0xE000, 0x11);  // RAM off
  m.write(0x6000, 78);
  CHECK_EQUAL(m.prg(0x6000), 0x60);
  m.mmc1(0xE000, 1);
  CHECK_EQUAL(m.prg(0x6000), 77);
}

TEST(of_two_writes_in_a_row_mmc1_takes_the_first) {
  Machine m(banked(1, 4, 8));
  for (int i = 0; i < 2; ++i) {  // as INC does, in two cycles that follow each other
    nes::cpu::io_write(*m.state, m.cart, 0x8000, 1, m.state->dot + 30 + 3 * i);
  }
  CHECK_EQUAL(static_cast<int>(m.state->board.shifted), 1);
  m.dot = 60;
  m.write(0x8000, 1);
  CHECK_EQUAL(static_cast<int>(m.state->board.shifted), 2);
}

TEST(of_two_writes_in_a_row_the_reset_of_mmc1_is_never_lost) {
  const auto written = [](uint8_t first, uint8_t second) {
    Machine m(banked(1, 16, 8));
    m.mmc1(0x8000, 0x10);  // 32 KB: a reset fixes the last bank again
    m.write(0x8000, 1);
    nes::cpu::io_write(*m.state, m.cart, 0x8000, first, m.state->dot + m.dot + 30);
    nes::cpu::io_write(*m.state, m.cart, 0x8000, second, m.state->dot + m.dot + 33);
    m.dot += 60;
    const int shifted = m.state->board.shifted;
    m.mmc1(0xE000, 1);
    return std::to_string(shifted) + ": " + m.prgs();
  };
  CHECK_EQUAL(written(0x00, 0x80), "0: 2 3 14 15 ");  // as ROR or RRA write
  CHECK_EQUAL(written(0xFF, 0x00), "0: 2 3 14 15 ");  // INC of $FF: the second one's bit is lost
  CHECK_EQUAL(written(0xFF, 0x80), "0: 2 3 14 15 ");
}

TEST(uxrom_maps_the_first_half_and_writes_tiles) {
  Bytes image = banked(2, 16, 0);
  Machine m(image);
  CHECK_EQUAL(m.prgs(), "0 1 14 15 ");
  m.write(0xE000, 5);  // meets 15 there
  CHECK_EQUAL(m.prgs(), "10 11 14 15 ");
  m.write(0xE001, 5);  // meets 0: a conflict on the bus
  CHECK_EQUAL(m.prgs(), "0 1 14 15 ");
  for (const uint8_t value : {0x10, 0x23}) m.write(0x2006, value);
  m.state->phase = nes::Phase::vblank;
  m.write(0x2007, 99);
  CHECK_EQUAL(m.chr(0x1023), 99);
  image[7] = 0x08;  // NES 2.0, submapper 1: no conflicts; 8 KB of picture RAM
  image[8] = 0x10;
  image[11] = 7;
  Machine without(image);
  without.write(0xE001, 5);
  CHECK_EQUAL(without.prgs(), "10 11 14 15 ");
}

TEST(cnrom_maps_tiles) {
  Bytes image = banked(3, 4, 32);
  image[16 + 0x1234] = 0xFF;
  Machine m(image);
  m.write(0x9234, 2);
  CHECK_EQUAL(m.chrs(), "16 17 18 19 20 21 22 23 ");
  m.write(0x9234, 0x41);  // there are four banks
  CHECK_EQUAL(m.chrs(), "8 9 10 11 12 13 14 15 ");
}

TEST(axrom_maps_32_kb_and_chooses_a_screen) {
  Machine m(banked(7, 16, 0));
  CHECK_EQUAL(m.prgs(), "0 1 2 3 ");
  CHECK(m.state->banks.mirroring == Mirroring::lower);
  m.write(0x8000, 0x12);
  CHECK_EQUAL(m.prgs(), "8 9 10 11 ");
  CHECK(m.state->banks.mirroring == Mirroring::upper);
}

TEST(mmc3_maps_banks) {
  Machine m(banked(4, 16, 64));
  const auto set = [&](uint8_t select, uint8_t value) {
    m.write(0x8000, select);
    m.write(0x8001, value);
  };
  set(6, 4);
  set(7, 5);
  CHECK_EQUAL(m.prgs(), "4 5 14 15 ");
  set(0x46, 6);
  CHECK_EQUAL(m.prgs(), "14 5 6 15 ");
  set(0, 9);
  set(1, 12);
  for (uint8_t i = 0; i < 4; ++i) set(2 + i, 20 + i);
  CHECK_EQUAL(m.chrs(), "8 9 12 13 20 21 22 23 ");
  set(0x82, 30);
  CHECK_EQUAL(m.chrs(), "30 21 22 23 8 9 12 13 ");
  set(6, 0xFF);  // numbers of banks that are not there wrap
  CHECK_EQUAL(m.prg(0x8000), 15);
  m.write(0xA000, 0);
  CHECK(m.state->banks.mirroring == Mirroring::vertical);
  m.write(0xA000, 1);
  CHECK(m.state->banks.mirroring == Mirroring::horizontal);
  m.write(0xA001, 0xC0);  // RAM can be read, and not be written
  m.write(0x6000, 5);
  CHECK_EQUAL(m.prg(0x6000), 0);
}

TEST(the_log_has_the_banks_of_each_line) {
  Machine m(banked(4, 8, 32));
  m.write(0x2001, 0x1E);
  const auto at_line = [&m](int line, uint16_t address, uint8_t value) {
    const int32_t dot = m.state->line0 + line * nes::kDotsPerLine + 200;
    nes::cpu::io_write(*m.state, m.cart, address, value, dot);
  };
  const auto bank = [&m](int line) {
    return static_cast<int>(nes::ppu::banks_at(*m.state, line).chr[0]);
  };
  at_line(50, 0x8000, 0);
  at_line(50, 0x8001, 20);
  CHECK_EQUAL(bank(50), 0);
  CHECK_EQUAL(bank(51), 20);
  m.state->bank_log.back().chr[0] = m.state->bank_log[3].chr[0] = 99;  // of a picture before
  at_line(100, 0x2005, 8);  // changes the scroll and no bank
  at_line(100, 0x2005, 0);
  for (const int line : {51, 100, 101, 102, 239}) CHECK_EQUAL(bank(line), 20);
  at_line(150, 0x8001, 6);
  CHECK_EQUAL(bank(150), 20);
  CHECK_EQUAL(bank(151), 6);
}

TEST(mmc3_asks_for_an_interrupt_in_its_line) {
  // Sprites in the upper table, picture on, an interrupt in 101 lines, CLI; then counts in $10.
  const Bytes code = Bytes{0xA9, 0x08, 0x8D, 0x00, 0x20, 0xA9, 0x18, 0x8D, 0x01, 0x20} +
                     Bytes{0xA9, 0x64, 0x8D, 0x00, 0xC0, 0x8D, 0x01, 0xC0, 0x8D, 0x01, 0xE0} +
                     Bytes{0xA9, 0x40, 0x8D, 0x17, 0x40, 0x58, 0x4C, 0x1B, 0xF0};
  Machine m(banked(4, 4, 8, code));
  m.run(4);
  CHECK_EQUAL(static_cast<int>(m.state->ram[0x20]), 1);  // the handler has switched it off
  // The same by hand: the rise in line 0 sets the counter to 100, so that in line 100 it is 0.
  Machine hand(banked(4, 4, 8));
  hand.write(0x2000, 0x08);
  hand.write(0x2001, 0x18);
  hand.write(0xC000, 100);
  hand.write(0xC001, 0);
  hand.write(0xE001, 0);
  const int32_t line100 = hand.state->line0 + 100 * nes::kDotsPerLine;
  CHECK_EQUAL(hand.state->board.irq, line100 + 261);
  hand.write(0x2000, 0x10);  // now the background is in the upper table
  CHECK_EQUAL(hand.state->board.irq, line100 + 325);
  hand.write(0x2001, 0);
  CHECK_EQUAL(hand.state->board.irq, nes::kNever);
}

TEST(without_sprites_and_background_in_different_tables_nothing_is_counted) {
  const Bytes code = Bytes{0xA9, 0x00, 0x8D, 0x00, 0x20, 0xA9, 0x18, 0x8D, 0x01, 0x20} +
                     Bytes{0xA9, 0x04, 0x8D, 0x00, 0xC0, 0x8D, 0x01, 0xC0, 0x8D, 0x01, 0xE0} +
                     Bytes{0xA9, 0x40, 0x8D, 0x17, 0x40, 0x58, 0x4C, 0x1B, 0xF0};
  Machine m(banked(4, 4, 8, code));
  m.run(3);
  CHECK_EQUAL(static_cast<int>(m.state->ram[0x20]), 0);
}

TEST(the_frame_counter_asks_for_interrupts_until_it_is_read) {
  // CLI; the handler counts and never reads $4015: it comes again and again.
  Machine again(banked(4, 4, 8, {0x58, 0x4C, 0x01, 0xF0}));
  again.run(4);
  CHECK(again.state->ram[0x20] > 50);
  Machine inhibited(banked(4, 4, 8, {0xA9, 0x40, 0x8D, 0x17, 0x40, 0x58, 0x4C, 0x06, 0xF0}));
  inhibited.run(4);
  CHECK_EQUAL(static_cast<int>(inhibited.state->ram[0x20]), 0);
}

TEST(length_counters_count_down) {
  Machine m(banked(4, 4, 8, {0x4C, 0x00, 0xF0}));
  m.write(0x4015, 0x01);
  m.write(0x4003, 0x18);  // two half frames
  CHECK_EQUAL(m.prg(0x4015) & 1, 1);
  m.dot = 0;
  m.run(2);
  CHECK_EQUAL(nes::cpu::io_read(*m.state, m.cart, 0x4015, m.state->dot) & 1, 0);
}

TEST(samples_take_cycles_and_end) {
  // Two programs that count; one of them plays 17 bytes.
  const Bytes count = {0xE8, 0xD0, 0xFD, 0xC8, 0xD0, 0xFA, 0xE6, 0x10, 0x4C};
  Machine silent(banked(4, 4, 8, Bytes(15, 0xEA) + count + Bytes{0x0F, 0xF0}));
  Machine playing(banked(4, 4, 8,
                         Bytes{0xA9, 0x0F, 0x8D, 0x10, 0x40, 0xA9, 0x01, 0x8D, 0x13, 0x40, 0xA9,
                               0x10, 0x8D, 0x15, 0x40} +
                             count + Bytes{0x0F, 0xF0}));
  silent.run(1);
  playing.run(1);
  CHECK_EQUAL(static_cast<int>(playing.state->sound.dmc_remaining), 0);
  CHECK(playing.state->sound.dmc_fetch == nes::kNeverCycle);
  const auto rounds = [](const FullState& s) { return s.ram[0x10] << 16 | s.y << 8 | s.x; };
  CHECK(rounds(*playing.state) < rounds(*silent.state));
}

TEST(a_plain_program_runs_alike_with_everything_there) {
  std::mt19937 random(3);
  const Bytes main = Bytes{0xA9, 0x9E, 0x8D, 0x00, 0x20, 0xA9, 0x1E, 0x8D, 0x01, 0x20} +
                     Bytes{0xE6, 0x30, 0x4C, 0x0A, 0x80};
  const Bytes nmi = Bytes{0xA9, 0x02, 0x8D, 0x14, 0x40, 0xA9, 0x20, 0x8D, 0x06, 0x20, 0xA5, 0x30} +
                    Bytes{0x8D, 0x06, 0x20, 0x8D, 0x07, 0x20, 0xAD, 0x16, 0x40, 0xE6, 0x31, 0x40};
  Bytes image = program::image(main, program::kCode, nmi);
  for (size_t i = 16 + 0x8000; i < image.size(); ++i) image[i] = static_cast<uint8_t>(random());
  const Cartridge plain(image), full(image, true);
  CHECK(plain.plain);
  CHECK(!full.plain);
  nes::State s = nes::power_on(plain);
  auto other = std::make_unique<FullState>();
  nes::switch_on(*other, full);
  std::vector<uint8_t> picture(256 * 240), their_picture(256 * 240);
  for (int i = 0; i < 50; ++i) {
    for (size_t k = 0; k < s.oam.size(); ++k)
      s.ram[0x200 + k] = other->ram[0x200 + k] = random() & 255;
    nes::run_frame(s, plain, static_cast<uint8_t>(i));
    nes::run_frame(*other, full, static_cast<uint8_t>(i));
    nes::State theirs = *other;
    theirs.next_event = s.next_event;
    // The log is more exact there.
    theirs.scrolls = s.scrolls;
    theirs.scroll_count = s.scroll_count;
    CHECK(std::memcmp(&s, &theirs, sizeof(s)) == 0);
    if (i == 0) continue;  // in whose picture a line changes in its midst
    nes::ppu::draw(s, plain, picture.data());
    nes::ppu::draw(*other, full, their_picture.data());
    CHECK(picture == their_picture);
  }
}

TEST(damaged_snapshots_of_banked_consoles_are_refused_or_run) {
  std::mt19937 random(4);
  for (const uint8_t mapper : {1, 2, 3, 4, 7}) {
    const size_t chr = mapper == 2 || mapper == 7 ? 0 : 16;
    Machine m(banked(mapper, 4, chr,
                     {0xEE, 0x00, 0x80, 0xE8, 0x8E, 0x07, 0x20, 0x9D, 0x00, 0xC0, 0x8E, 0x10, 0x40,
                      0x8E, 0x15, 0x40, 0x4C, 0x00, 0xF0}));
    m.run(5);
    std::vector<uint8_t> good(nes::snapshot_bytes<FullState>(m.cart));
    nes::save(*m.state, m.cart, good.data());
    CHECK_EQUAL(check::thrown([&] { nes::load<FullState>(good, m.cart); }), "");
    CHECK(check::thrown([&] { nes::load<nes::State>(good, m.cart); }).find("bytes") !=
          std::string::npos);
    std::vector<uint8_t> picture(256 * 240);
    int refused = 0, run = 0;
    const size_t extra = sizeof(nes::SnapshotHeader) + sizeof(nes::State);
    for (int round = 0; round < 400; ++round) {
      auto bytes = good;
      const int flips = 1 + static_cast<int>(random() % 2);
      for (int i = 0; i < flips; ++i) {
        bytes[extra + random() % (nes::kFullStateHead - sizeof(nes::State))] =
            static_cast<uint8_t>(random());
      }
      try {
        auto damaged = std::make_unique<FullState>(nes::load<FullState>(bytes, m.cart));
        for (int frame = 0; frame < 2; ++frame) {
          nes::run_frame(*damaged, m.cart, 0);
          nes::ppu::draw(*damaged, m.cart, picture.data());
        }
        ++run;
      } catch (const std::invalid_argument&) {
        ++refused;
      }
    }
    CHECK(refused > 20);
    CHECK(run > 20);
  }
}

TEST(tiles_in_ram_are_drawn_like_those_in_rom) {
  std::mt19937 random(5);
  Bytes rom = banked(0, 4, 8, {0x4C, 0x00, 0xF0});
  for (size_t i = 16 + 0x8000; i < rom.size(); ++i) rom[i] = static_cast<uint8_t>(random());
  Bytes ram(rom.begin(), rom.begin() + 16 + 0x8000);
  ram[5] = 0;
  const Cartridge in_rom(rom, true), in_ram(ram, true);
  auto s = std::make_unique<FullState>(), other = std::make_unique<FullState>();
  nes::switch_on(*s, in_rom);
  nes::switch_on(*other, in_ram);
  std::copy(rom.begin() + 16 + 0x8000, rom.end(),
            other->memory.begin() + static_cast<ptrdiff_t>(in_ram.chr_ram_at));
  program::randomise_picture(*s, random);
  other->vram = s->vram;
  other->oam = s->oam;
  other->palette = s->palette;
  std::vector<uint8_t> one(256 * 240), two(256 * 240);
  for (FullState* state : {s.get(), other.get()}) state->scrolls[0].mask = 0x1E;
  nes::ppu::draw(*s, in_rom, one.data());
  nes::ppu::draw(*other, in_ram, two.data());
  CHECK(one == two);
}

TEST(a12_also_rises_before_the_picture) {
  // With the background in the upper table: with the first tile of the line before line 0, if the
  // bus has had an address with A12 low; later behind the sprites of each line.
  for (const bool low : {true, false}) {
    Machine m(banked(4, 4, 8));
    m.run(1);
    CHECK(m.state->phase == nes::Phase::vblank);
    m.state->v = low ? 0x0000 : 0x1000;
    m.write(0x2000, 0x10);
    m.write(0x2001, 0x18);
    m.write(0xC000, 0);
    m.write(0xC001, 0);
    m.write(0xE001, 0);
    const int32_t before = nes::kVblankEnd - 1;  // dot 0 of that line
    CHECK_EQUAL(m.state->board.irq, before + (low ? 5 : 325));
    m.write(0x2000, 0x08);
    CHECK_EQUAL(m.state->board.irq, before + 261);
  }
}

TEST(a_line_in_whose_midst_something_changes_shows_both) {
  std::mt19937 random(5);
  Bytes image = banked(4, 4, 32);
  for (size_t i = 16 + 4 * 0x2000; i < image.size(); ++i) image[i] = static_cast<uint8_t>(random());
  struct Write {
    uint16_t address;
    uint8_t value;
    int x, from;  // the dot of the line, the pixel that shows it first
  };
  const std::vector<Write> writes = {{0x2001, 0x00, 50, 51},   {0x2001, 0x1F, 0, 1},
                                     {0x8001, 9, 40, 56},  // two tiles have been fetched
                                     {0x2000, 0x10, 100, 112}, {0x8001, 9, 125, 136},
                                     {0x8001, 9, 126, 144}};
  for (const Write& write : writes) {
    Machine m(image);
    FullState& s = *m.state;
    for (auto& byte : s.vram) byte = static_cast<uint8_t>(random());
    for (auto& byte : s.oam) byte = static_cast<uint8_t>(random());
    for (auto& byte : s.palette) byte = random() & 0x3F;
    m.write(0x2001, 0x1E);
    const auto picture = [&m, &s] {
      std::vector<uint8_t> colours(256 * 240);
      nes::ppu::draw(s, m.cart, colours.data());
      return colours;
    };
    const std::vector<uint8_t> before = picture();
    nes::cpu::io_write(s, m.cart, write.address, write.value,
                       s.line0 + 100 * nes::kDotsPerLine + write.x);
    const std::vector<uint8_t> mixed = picture();
    s.holds_from = {};
    const std::vector<uint8_t> after = picture();
    const auto line = [](const std::vector<uint8_t>& from) { return from.begin() + 100 * 256; };
    CHECK(!std::equal(line(before), line(before) + 256, line(after)));
    CHECK(std::equal(before.begin(), line(before) + write.from, mixed.begin()));
    CHECK(std::equal(line(after) + write.from, after.end(), line(mixed) + write.from));
  }
}

TEST(a_line_that_begins_with_a_change_and_has_another_shows_both) {
  Machine m(banked(4, 4, 32));
  FullState& s = *m.state;
  m.write(0x2001, 0x1E);
  const auto at = [&](int line, int x, uint8_t value) {
    nes::cpu::io_write(s, m.cart, 0x8001, value, s.line0 + line * nes::kDotsPerLine + x);
  };
  at(99, 300, 8);   // line 100 begins with it
  at(100, 40, 16);  // and shows this from pixel 56 on,
  at(100, 60, 20);  // in which more changes
  CHECK_EQUAL(static_cast<int>(s.scroll_count), 4);
  const auto entry = [&s](size_t i) {
    return std::vector<int>{s.scrolls[i].line, s.holds_from[i], s.bank_log[i].chr[0]};
  };
  CHECK(entry(2) == (std::vector<int>{100, 0, 8}));
  CHECK(entry(3) == (std::vector<int>{100, 56, 20}));
  std::vector<uint8_t> picture(256 * 240);
  nes::ppu::draw(s, m.cart, picture.data());
  std::vector<uint8_t> snapshot(nes::snapshot_bytes<FullState>(m.cart));
  nes::save(s, m.cart, snapshot.data());
  CHECK_EQUAL(nes::load<FullState>(snapshot, m.cart).holds_from[3], 56);
}

TEST(writes_to_picture_memory_while_nothing_is_shown_do_not_fill_the_log) {
  Machine m(banked(4, 4, 32));
  FullState& s = *m.state;
  m.write(0x2001, 0x1E);
  const auto at = [&](int line, uint16_t address, uint8_t value) {
    nes::cpu::io_write(s, m.cart, address, value, s.line0 + line * nes::kDotsPerLine + 200);
  };
  at(20, 0x2001, 0);
  for (int line = 21; line < 150; ++line) {
    at(line, 0x2006, 0x20);
    at(line, 0x2006, static_cast<uint8_t>(line));
    at(line, 0x2007, 1);
  }
  at(150, 0x2001, 0x1E);
  for (const auto& [line, mask] : {std::pair{20, 0x1E}, {21, 0}, {150, 0}, {151, 0x1E}}) {
    CHECK_EQUAL(static_cast<int>(nes::ppu::scroll_at(s, line).mask), mask);
  }
  // It goes on from where the program has left the address: a row further down.
  CHECK_EQUAL(static_cast<int>(nes::ppu::scroll_at(s, 151).v & 0x7BE0), 0x1080 | (0x2000 & 0x7BE0));
}
