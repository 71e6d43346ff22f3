#include "nes/cpu.h"

#include <memory>
#include <vector>

#include "check.h"
#include "nes/console.h"
#include "program.h"

using program::Bytes;
using warpzone::nes::Cartridge;
using warpzone::nes::State;
namespace nes = warpzone::nes;
namespace cpu = warpzone::nes::cpu;

namespace {

constexpr uint8_t C = cpu::kCarry, Z = cpu::kZero, I = cpu::kInterrupt, V = cpu::kOverflow,
                  N = cpu::kNegative, U = cpu::kUnused, B = cpu::kBreak;

// Runs one instruction; returns its cycles.
int one(State& s, const Cartridge& cart) {
  const int32_t before = s.dot;
  s.next_event = s.dot + 1;
  cpu::run(s, cart);
  CHECK_EQUAL((s.dot - before) % 3, 0);
  return (s.dot - before) / 3;
}

struct Sample {
  const char* name;
  Bytes code;
  uint8_t a, x, y, p;  // before; p without the bits that are always the same
  uint8_t a_after, x_after, y_after, p_after;
  int cycles;
};

}  // namespace

TEST(samples_of_instructions) {
  const std::vector<Sample> samples = {
      {"LDA #0", {0xA9, 0x00}, 1, 2, 3, C, 0, 2, 3, C | Z, 2},
      {"LDA #80", {0xA9, 0x80}, 1, 2, 3, Z, 0x80, 2, 3, N, 2},
      {"ADC: 7F + 1 overflows", {0x69, 0x01}, 0x7F, 0, 0, 0, 0x80, 0, 0, N | V, 2},
      {"ADC: FF + 1 carries", {0x69, 0x01}, 0xFF, 0, 0, 0, 0x00, 0, 0, C | Z, 2},
      {"ADC: 80 + 80", {0x69, 0x80}, 0x80, 0, 0, C, 0x01, 0, 0, C | V, 2},
      {"SBC: 0 - 1", {0xE9, 0x01}, 0x00, 0, 0, C, 0xFF, 0, 0, N, 2},
      {"SBC: 80 - 1 overflows", {0xE9, 0x01}, 0x80, 0, 0, C, 0x7F, 0, 0, C | V, 2},
      {"SBC with borrow", {0xE9, 0x01}, 0x02, 0, 0, 0, 0x00, 0, 0, C | Z, 2},
      {"CMP equal", {0xC9, 0x42}, 0x42, 0, 0, 0, 0x42, 0, 0, C | Z, 2},
      {"CPX less", {0xE0, 0x43}, 0, 0x42, 0, C, 0, 0x42, 0, N, 2},
      {"CPY more", {0xC0, 0x41}, 0, 0, 0x42, N, 0, 0, 0x42, C, 2},
      {"ASL A", {0x0A}, 0x81, 0, 0, 0, 0x02, 0, 0, C, 2},
      {"ROR A", {0x6A}, 0x01, 0, 0, C, 0x80, 0, 0, C | N, 2},
      {"ROL A", {0x2A}, 0x80, 0, 0, 0, 0x00, 0, 0, C | Z, 2},
      {"LSR A", {0x4A}, 0x01, 0, 0, 0, 0x00, 0, 0, C | Z, 2},
      {"INX wraps", {0xE8}, 0, 0xFF, 0, 0, 0, 0x00, 0, Z, 2},
      {"DEY wraps", {0x88}, 0, 0, 0x00, 0, 0, 0, 0xFF, N, 2},
      {"BIT: flags from memory, Z from AND", {0x24, 0x10}, 0x01, 0, 0, 0, 0x01, 0, 0, N | V | Z, 3},
      {"EOR", {0x49, 0xFF}, 0x0F, 0, 0, 0, 0xF0, 0, 0, N, 2},
      {"no decimal mode: SED", {0xF8}, 1, 2, 3, 0, 1, 2, 3, cpu::kDecimal, 2},
      {"no decimal mode: ADC", {0x69, 0x09}, 1, 0, 0, cpu::kDecimal, 0x0A, 0, 0, cpu::kDecimal, 2},
      {"LAX", {0xA7, 0x10}, 0, 0, 0, 0, 0xC0, 0xC0, 0, N, 3},
      {"ANC", {0x0B, 0x80}, 0xFF, 0, 0, 0, 0x80, 0, 0, N | C, 2},
      {"ALR", {0x4B, 0x03}, 0x01, 0, 0, 0, 0x00, 0, 0, Z | C, 2},
      {"ARR", {0x6B, 0xFF}, 0xC0, 0, 0, 0, 0x60, 0, 0, C, 2},
      {"ARR overflows", {0x6B, 0x80}, 0x80, 0, 0, 0, 0x40, 0, 0, C | V, 2},
      {"AXS", {0xCB, 0x02}, 0x0F, 0x05, 0, 0, 0x0F, 0x03, 0, C, 2},
      {"LDA abs,X", {0xBD, 0x00, 0x03}, 0, 0x08, 0, 0, 0x33, 8, 0, 0, 4},
      {"LDA abs,X to the next page", {0xBD, 0xFF, 0x02}, 0, 0x09, 0, 0, 0x33, 9, 0, 0, 5},
      {"STA abs,X", {0x9D, 0x00, 0x04}, 1, 8, 0, 0, 1, 8, 0, 0, 5},
      {"LDA (zp),Y", {0xB1, 0x20}, 0, 0, 0x08, 0, 0x33, 0, 8, 0, 5},
      {"LDA (zp),Y to the next page", {0xB1, 0x22}, 0, 0, 0x09, 0, 0x33, 0, 9, 0, 6},
      {"LDA (zp,X)", {0xA1, 0x1E}, 0, 0x06, 0, Z, 0x33, 6, 0, 0, 6},
      {"zero page,X wraps", {0xB5, 0xFF}, 0, 0x11, 0, 0, 0xC0, 0x11, 0, N, 4},
      {"NOP abs,X", {0x1C, 0xFF, 0x02}, 1, 1, 1, 0, 1, 1, 1, 0, 5},
      {"TXS has no flags", {0x9A}, 1, 0, 0, N, 1, 0, 0, N, 2},
  };
  for (const Sample& sample : samples) {
    const Cartridge cart = program::cartridge(sample.code);
    State s = nes::power_on(cart);
    s.ram[0x10] = 0xC0;
    s.ram[0x308] = 0x33;
    s.ram[0x20] = 0x00, s.ram[0x21] = 0x03;  // -> $0300
    s.ram[0x22] = 0xFF, s.ram[0x23] = 0x02;  // -> $02FF
    s.ram[0x24] = 0x08, s.ram[0x25] = 0x03;  // -> $0308
    s.a = sample.a, s.x = sample.x, s.y = sample.y;
    s.p = static_cast<uint8_t>(sample.p | U);
    const int cycles = one(s, cart);
    const bool same = s.a == sample.a_after && s.x == sample.x_after && s.y == sample.y_after &&
                      s.p == (sample.p_after | U) && cycles == sample.cycles &&
                      s.pc == program::kCode + sample.code.size();
    if (!same) check::fail(__FILE__, __LINE__, std::string("wrong: ") + sample.name);
  }
}

TEST(undocumented_read_modify_writes) {
  struct Combined {
    uint8_t opcode, memory, a, memory_after, a_after, p_after;
  };
  // SLO, RLA, SRE, RRA, DCP, ISC on zero page, carry clear before.
  const std::vector<Combined> all = {
      {0x07, 0x81, 0x01, 0x02, 0x03, C},     {0x27, 0x81, 0x03, 0x02, 0x02, C},
      {0x47, 0x03, 0x01, 0x01, 0x00, C | Z}, {0x67, 0x03, 0x10, 0x01, 0x12, 0},
      {0xC7, 0x11, 0x10, 0x10, 0x10, C | Z}, {0xE7, 0x0F, 0x20, 0x10, 0x0F, C},
  };
  for (const Combined& c : all) {
    const Cartridge cart = program::cartridge({c.opcode, 0x40});
    State s = nes::power_on(cart);
    s.ram[0x40] = c.memory;
    s.a = c.a;
    s.p = U;
    CHECK_EQUAL(one(s, cart), 5);
    CHECK_EQUAL(s.ram[0x40], c.memory_after);
    CHECK_EQUAL(s.a, c.a_after);
    CHECK_EQUAL(s.p, c.p_after | U);
  }
}

TEST(branches_take_two_three_or_four_cycles) {
  struct Case {
    uint16_t at;
    uint8_t carry;
    int cycles;
  };
  const Bytes branch = {0x90, 0x02};  // BCC over two bytes
  const std::vector<Case> cases = {
      {0x8000, C, 2}, {0x8000, 0, 3}, {0x80FC, 0, 4}, {0x80FA, 0, 3}, {0x80FC, C, 2}};
  for (const auto& [at, carry, cycles] : cases) {
    const Cartridge cart = program::cartridge(branch, at);
    State s = nes::power_on(cart);
    s.p = static_cast<uint8_t>(U | carry);
    CHECK_EQUAL(one(s, cart), cycles);
    CHECK_EQUAL(s.pc, at + (carry != 0 ? 2 : 4));
  }
}

TEST(jumps_calls_and_the_page_bug) {
  const Cartridge cart = program::cartridge({0x6C, 0xFF, 0x02});
  State s = nes::power_on(cart);
  s.ram[0x2FF] = 0x34;
  s.ram[0x200] = 0x12;  // from here, not from $0300
  s.ram[0x300] = 0x99;
  CHECK_EQUAL(one(s, cart), 5);
  CHECK_EQUAL(s.pc, 0x1234);

  const Cartridge calls = program::cartridge({0x20, 0x10, 0x80});
  s = nes::power_on(calls);
  CHECK_EQUAL(one(s, calls), 6);
  CHECK_EQUAL(s.pc, 0x8010);
  CHECK_EQUAL(s.s, 0xFB);
  CHECK_EQUAL(s.ram[0x1FD], 0x80);
  CHECK_EQUAL(s.ram[0x1FC], 0x02);  // the last byte of the call
}

TEST(breaks_and_interrupts_keep_the_flags) {
  const Cartridge cart = program::cartridge({0x00, 0xFF, 0xEA});
  State s = nes::power_on(cart);
  s.p = U | N | C;
  CHECK_EQUAL(one(s, cart), 7);
  CHECK_EQUAL(s.pc, program::kIrq);
  CHECK_EQUAL(s.ram[0x1FB], U | N | C | B);
  CHECK((s.p & I) != 0);
  CHECK_EQUAL(one(s, cart), 6);  // RTI
  CHECK_EQUAL(s.pc, 0x8002);
  CHECK_EQUAL(s.p, U | N | C);

  s.nmi_pending = 1;
  const int cycles = one(s, cart);  // the interrupt alone: it ends the short slice
  CHECK_EQUAL(cycles, 7);
  CHECK_EQUAL(s.pc, program::kNmi);
  CHECK_EQUAL(s.ram[0x1FB], U | N | C);  // no break bit
  CHECK_EQUAL(s.nmi_pending, 0);
}

TEST(copying_sprites_halts_for_513_or_514_cycles) {
  int seen[2] = {0, 0};
  for (int nops = 0; nops < 2; ++nops) {
    // Two NOPs take 4 cycles, a zero-page load 3: the store begins on either parity.
    const Bytes lead = nops == 0 ? Bytes{0xEA, 0xEA} : Bytes{0xA6, 0x10};
    using program::operator+;
    const Cartridge cart = program::cartridge(lead + Bytes{0x8D, 0x14, 0x40});
    State s = nes::power_on(cart);
    s.a = 2;
    s.oam_addr = 4;
    for (size_t i = 0; i < 256; ++i) s.ram[0x200 + i] = static_cast<uint8_t>(i ^ 0x5A);
    while (s.pc != program::kCode + 2) one(s, cart);
    const int cycles = one(s, cart);
    CHECK(cycles == 517 || cycles == 518);
    seen[cycles - 517] = 1;
    CHECK_EQUAL(s.oam[4], 0x5A);
    CHECK_EQUAL(s.oam[3], 0xFF ^ 0x5A);
  }
  CHECK_EQUAL(seen[0] + seen[1], 2);
}

TEST(a_halted_processor_stays_halted_and_frames_go_on) {
  const Cartridge cart = program::cartridge({0xEA, 0x02});
  State s = nes::power_on(cart);
  for (int i = 0; i < 3; ++i) nes::run_frame(s, cart, 0);
  CHECK_EQUAL(s.jammed, 1);
  CHECK_EQUAL(s.pc, 0x8001);
  CHECK_EQUAL(s.frame, 3ULL);
}

TEST(a_frame_has_29780_cycles_and_a_half) {
  // Counts a loop of 12 cycles: INC $10 (5), BNE (3) to itself ... plus INC $11 at wraps.
  const Cartridge cart = program::cartridge({0xE6, 0x10, 0xD0, 0xFC, 0xE6, 0x11, 0x4C, 0x00, 0x80});
  State s = nes::power_on(cart);
  nes::run_frame(s, cart, 0);
  const auto count = [&] { return s.ram[0x10] + 256 * s.ram[0x11]; };
  const int first = count();
  for (int i = 0; i < 10; ++i) nes::run_frame(s, cart, 0);
  const double cycles = 8.0 * (count() - first) + 7.0 * (count() - first) / 256;
  CHECK(cycles > 297805 - 16);
  CHECK(cycles < 297805 + 16);
}

TEST(the_controller_reports_a_first_and_ones_at_the_end) {
  using program::operator+;
  // Strobe, then ten reads into $10..$19.
  Bytes code = {0xA9, 1, 0x8D, 0x16, 0x40, 0xA9, 0, 0x8D, 0x16, 0x40, 0xA2, 0};
  code = code + Bytes{0xAD, 0x16, 0x40, 0x29, 1, 0x95, 0x10, 0xE8, 0xE0, 10, 0xD0, 0xF4};
  code = code + Bytes{0x4C, 0x18, 0x80};
  const Cartridge cart = program::cartridge(code);
  State s = nes::power_on(cart);
  nes::run_frame(s, cart, nes::kButtonB | nes::kButtonRight);
  const Bytes expected = {0, 1, 0, 0, 0, 0, 0, 1, 1, 1};
  for (size_t i = 0; i < expected.size(); ++i) CHECK_EQUAL(s.ram[0x10 + i], expected[i]);
}

TEST(accesses_besides_show_in_io) {
  struct Case {
    const char* name;
    Bytes code;
    int steps;  // of the picture unit's address: one for each access of $2007
  };
  const std::vector<Case> cases = {
      {"LDA abs", {0xAD, 0x07, 0x20}, 1},
      {"LDA abs,X within a page", {0xBD, 0xF7, 0x20}, 1},
      {"LDA abs,X to the next page", {0xBD, 0xFF, 0x20}, 2},
      {"LDA abs,X from RAM into I/O", {0xBD, 0xFF, 0x1F}, 1},
      {"STA abs", {0x8D, 0x07, 0x20}, 1},
      {"STA abs,X", {0x9D, 0xF7, 0x20}, 2},
      {"STA abs,X to the next page", {0x9D, 0xFF, 0x20}, 2},
      {"STA abs,X from RAM into I/O", {0x9D, 0xFF, 0x1F}, 1},
      {"LDA (zp),Y to the next page", {0xB1, 0x20}, 2},
      {"STA (zp),Y", {0x91, 0x22}, 2},
      {"INC abs", {0xEE, 0x07, 0x20}, 3},
      {"INC abs,X", {0xFE, 0xF7, 0x20}, 4},
      {"SLO (zp),Y", {0x13, 0x20}, 4},
  };
  for (const Case& test : cases) {
    const Cartridge cart = program::cartridge(test.code);
    State s = nes::power_on(cart);
    s.x = s.y = 8;
    s.ram[0x20] = 0xFF, s.ram[0x21] = 0x20;
    s.ram[0x22] = 0xF7, s.ram[0x23] = 0x20;
    s.v = 0x2000;
    one(s, cart);
    if (s.v != 0x2000 + test.steps) check::fail(__FILE__, __LINE__, test.name);
  }
}

TEST(what_is_modified_in_io_is_first_written_back) {
  // INC $2007 reads the buffer (5), writes 5, then 6.
  const Cartridge cart = program::cartridge({0xEE, 0x07, 0x20});
  State s = nes::power_on(cart);
  s.v = 0x2100;
  s.read_buffer = 5;
  CHECK_EQUAL(one(s, cart), 6);
  CHECK_EQUAL(s.vram[0x101], 5);
  CHECK_EQUAL(s.vram[0x102], 6);
}

// --- interrupts that meet -----------------------------------------------------------------------

namespace {

// How many INX have run before the NMI is taken that comes `dots` after the program begins, how
// many times P and the address were put on the stack, and the first of these P.
struct Taken {
  int instructions, pushes;
  uint8_t first;
};

template <typename S = State>
Taken until_nmi(const Bytes& code, int32_t dots, bool irq = false, uint16_t at = program::kCode) {
  Bytes image = program::image(code, at);
  program::put(image, program::kIrq, {0xE8, 0xE8, 0x40});
  const Cartridge cart(image, nes::kFull<S>);
  const auto console = std::make_unique<S>();
  S& s = *console;
  nes::switch_on(s, cart);
  s.ctrl = nes::ppu::kCtrlNmi;
  s.p = U;
  s.dot = s.frame_end + nes::ppu::kNmiDelay - dots;
  if constexpr (nes::kFull<S>) {
    if (irq) s.sound.frame_irq = nes::sound::cycle_at(s, s.dot) - 10;
  }
  nes::run_frame(s, cart, 0);
  for (int i = 0; i < 4 && s.pc != program::kNmi; ++i) {
    s.next_event = s.dot + 1;
    cpu::run<true, S>(s, cart);
  }
  CHECK_EQUAL(s.pc, program::kNmi);
  return {s.x, (0xFD - s.s) / 3, s.ram[0x1FB]};
}

}  // namespace

TEST(a_branch_does_not_look_for_interrupts_in_its_last_cycle) {
  const Bytes taken = {0x90, 0x00, 0xE8, 0xE8, 0xE8}, passed = {0xB0, 0x00, 0xE8, 0xE8, 0xE8};
  for (int32_t dots = 1; dots <= 15; ++dots) {
    CHECK_EQUAL(until_nmi(taken, dots).instructions, dots <= 6 ? 0 : 1);
    CHECK_EQUAL(until_nmi<nes::FullState>(taken, dots).instructions, dots <= 6 ? 0 : 1);
    CHECK_EQUAL(until_nmi(passed, dots).instructions, dots <= 6 ? 0 : dots <= 12 ? 1 : 2);
  }
  const Bytes crossing = {0x90, 0x01, 0xEA, 0xE8, 0xE8, 0xE8};
  for (int32_t dots = 1; dots <= 18; ++dots) {
    CHECK_EQUAL(until_nmi(crossing, dots, false, 0x80FD).instructions, dots <= 12 ? 0 : 1);
  }
}

TEST(an_interrupt_while_sprites_are_copied_waits_for_an_instruction) {
  const Bytes code = {0x8D, 0x14, 0x40, 0xE8, 0xE8, 0xE8, 0xE8};
  for (const int32_t dots : {1, 12, 13, 14, 500, 12 + 3 * 513, 12 + 3 * 513 + 6}) {
    CHECK_EQUAL(until_nmi(code, dots).instructions, dots <= 12 ? 0 : 1);
    CHECK_EQUAL(until_nmi<nes::FullState>(code, dots).instructions, dots <= 12 ? 0 : 1);
  }
}

TEST(an_nmi_takes_the_place_of_what_is_about_to_be_taken) {
  const Bytes breaks = {0x00, 0xFF, 0xE8, 0xE8}, waits = {0xEA, 0xEA, 0xEA};
  for (int32_t dots = 1; dots <= 27; ++dots) {
    const Taken brk = until_nmi(breaks, dots);
    const Taken irq = until_nmi<nes::FullState>(waits, dots, true);
    CHECK_EQUAL(brk.first & B, B);
    CHECK_EQUAL(irq.first & B, 0);
    for (const Taken& taken : {brk, irq}) {
      CHECK_EQUAL(taken.instructions, dots <= 15 ? 0 : 1);
      CHECK_EQUAL(taken.pushes, dots <= 15 ? 1 : 2);
    }
  }
}
