// The 6502 of the NES (2A03: no decimal mode), all documented opcodes and the stable undocumented
// ones. A plain interpreter: registers live in locals, the program runs in one slice up to the
// next event, and loops that only wait for that event are skipped with the cycle count exact.
// Opcodes and cycles: https://www.nesdev.org/wiki/CPU_unofficial_opcodes (both kinds).
// One file because half of it is one table, a line for each opcode, that expands the macros and the
// methods before it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "nes/cartridge.h"
#include "nes/inline.h"
#include "nes/ppu.h"
#include "nes/sound.h"
#include "nes/state.h"

namespace warpzone::nes::cpu {

// Base cycles; page crossings and taken branches add to these.
inline constexpr std::array<uint8_t, 256> kCycles = {
    7, 6, 2, 8, 3, 3, 5, 5, 3, 2, 2, 2, 4, 4, 6, 6, 2, 5, 2, 8, 4, 4, 6, 6, 2, 4, 2, 7, 4, 4, 7, 7,
    6, 6, 2, 8, 3, 3, 5, 5, 4, 2, 2, 2, 4, 4, 6, 6, 2, 5, 2, 8, 4, 4, 6, 6, 2, 4, 2, 7, 4, 4, 7, 7,
    6, 6, 2, 8, 3, 3, 5, 5, 3, 2, 2, 2, 3, 4, 6, 6, 2, 5, 2, 8, 4, 4, 6, 6, 2, 4, 2, 7, 4, 4, 7, 7,
    6, 6, 2, 8, 3, 3, 5, 5, 4, 2, 2, 2, 5, 4, 6, 6, 2, 5, 2, 8, 4, 4, 6, 6, 2, 4, 2, 7, 4, 4, 7, 7,
    2, 6, 2, 6, 3, 3, 3, 3, 2, 2, 2, 2, 4, 4, 4, 4, 2, 6, 2, 6, 4, 4, 4, 4, 2, 5, 2, 5, 5, 5, 5, 5,
    2, 6, 2, 6, 3, 3, 3, 3, 2, 2, 2, 2, 4, 4, 4, 4, 2, 5, 2, 5, 4, 4, 4, 4, 2, 4, 2, 4, 4, 4, 4, 4,
    2, 6, 2, 8, 3, 3, 5, 5, 2, 2, 2, 2, 4, 4, 6, 6, 2, 5, 2, 8, 4, 4, 6, 6, 2, 4, 2, 7, 4, 4, 7, 7,
    2, 6, 2, 8, 3, 3, 5, 5, 2, 2, 2, 2, 4, 4, 6, 6, 2, 5, 2, 8, 4, 4, 6, 6, 2, 4, 2, 7, 4, 4, 7, 7};

inline constexpr uint8_t kCarry = 0x01, kZero = 0x02, kInterrupt = 0x04, kDecimal = 0x08,
                         kBreak = 0x10, kUnused = 0x20, kOverflow = 0x40, kNegative = 0x80;
inline constexpr uint16_t kNmiVector = 0xFFFA, kResetVector = 0xFFFC, kIrqVector = 0xFFFE;

// Reads and writes outside RAM and the program; `dot` is when they happen.
template <typename S>
WZ_NOINLINE uint8_t io_read(S& s, const Cartridge& cart, uint16_t address, int32_t dot) {
  if (address >= 0x8000) {
    if constexpr (kFull<S>) return board::program_byte(s, cart, address);
    return cart.prg[address - 0x8000U];
  }
  if (address < 0x2000) return s.ram[address & 0x7FF];
  if constexpr (kFull<S>) {
    if (address >= 0x6000) {
      if (s.board.ram_reads == 0) return static_cast<uint8_t>(address >> 8);
      return s.memory[board::ram_at(s, address)];
    }
  }
  if (address < 0x4000) return ppu::read(s, cart, address, dot);
  if (address == 0x4016) {
    const uint8_t bit = s.shift & 1;
    if (s.strobe == 0) s.shift = static_cast<uint8_t>((s.shift >> 1) | 0x80);
    return 0x40 | (s.strobe != 0 ? s.buttons & 1 : bit);
  }
  if constexpr (kFull<S>) {
    if (address == 0x4015) {  // bit 5 is nobody's; the unit does not use the CPU's bus
      return sound::read_status(s.sound, sound::cycle_at(s, dot));
    }
    if (address == 0x4017) {
      const uint8_t bit = s.shift2 & 1;
      if (s.strobe == 0) s.shift2 = static_cast<uint8_t>((s.shift2 >> 1) | 0x80);
      return 0x40 | (s.strobe != 0 ? s.buttons2 & 1 : bit);
    }
  }
  if (address == 0x4017) return 0x40;         // nobody holds the second controller
  return static_cast<uint8_t>(address >> 8);  // open bus
}

// The opcode at `address`, outside the program. Those without an operand read the next byte too.
template <typename S>
WZ_NOINLINE uint8_t io_opcode(S& s, const Cartridge& cart, uint16_t address, int32_t dot) {
  const uint8_t op = io_read(s, cart, address, dot);
  const int row = op & 0x0F;
  if (row == 0x08 || row == 0x0A || op == 0x00 || op == 0x40 || op == 0x60) {
    io_read(s, cart, static_cast<uint16_t>(address + 1), dot + 3);
  }
  return op;
}

// Returns the dots for which the CPU was halted.
template <typename S>
WZ_NOINLINE int32_t io_write(S& s, const Cartridge& cart, uint16_t address, uint8_t value,
                             int32_t dot) {
  if (address < 0x2000) {
    s.ram[address & 0x7FF] = value;
  } else if (address < 0x4000) {
    ppu::write(s, cart, address, value, dot);
  } else if (address == 0x4014) {
    if (s.phase == Phase::render) ppu::before_change(s, cart, dot);
    ppu::before_sprites_change(s, dot);
    if constexpr (kFull<S>) board::count(s, cart, dot);
    if (value < 0x20 && s.oam_addr == 0) {
      std::memcpy(s.oam.data(), &s.ram[(value & 7U) << 8], 256);
    } else {
      for (uint16_t i = 0; i < 256; ++i) {
        const auto from = static_cast<uint16_t>(value << 8 | i);
        const uint8_t byte = from < 0x2000 ? s.ram[from & 0x7FF] : io_read(s, cart, from, dot);
        s.oam[static_cast<uint8_t>(s.oam_addr + i)] = byte;
      }
    }
    const uint64_t cycle = (s.clock + static_cast<uint64_t>(dot)) / 3;
    const int32_t halted = 513 + static_cast<int32_t>(cycle & 1);
    // It looked for interrupts before it was halted: the next instruction is already on its way.
    const int32_t end = dot + 3;
    if (s.next_event > end && s.next_event <= end + 3 * halted) s.ahead |= ppu::kBehindTheNext;
    if constexpr (kFull<S>) {
      board::foretell(s, cart);
      s.sound.copied = cycle + 1 + static_cast<uint64_t>(halted);
    }
    return 3 * halted;
  } else if (address == 0x4016) {
    if (s.strobe != 0 || (value & 1) != 0) {
      s.shift = s.buttons;
      if constexpr (kFull<S>) s.shift2 = s.buttons2;
    }
    s.strobe = value & 1;
  } else if constexpr (kFull<S>) {
    if (address >= 0x8000) {
      ppu::write_board(s, cart, address, value, dot);
    } else if (address >= 0x6000) {
      if (s.board.ram_writes != 0) s.memory[board::ram_at(s, address)] = value;
    } else if (address < 0x4018) {
      const bool replan = sound::write(s.sound, address & 0x1FU, value, sound::cycle_at(s, dot));
      if (replan) s.next_event = 0;  // ends the CPU's slice
    }
  }
  return 0;
}

// Where the program is to be read: as it lies in a plain cartridge, or by banks.
template <typename S>
struct Program {
  const uint8_t* prg;

  WZ_INLINE Program(const S&, const Cartridge& cart) : prg(cart.prg.data()) {}
  WZ_INLINE const uint8_t* at(uint16_t address) const { return prg + (address - 0x8000); }
};
template <>
struct Program<FullState> {
  std::array<const uint8_t*, 4> banks;

  WZ_INLINE Program(const FullState& s, const Cartridge& cart) {
    for (size_t i = 0; i < banks.size(); ++i) {
      banks[i] = &cart.prg[s.board.prg[i] * size_t{0x2000}];
    }
  }
  WZ_INLINE const uint8_t* at(uint16_t address) const {
    return banks[(address >> 13) & 3U] + (address & 0x1FFF);
  }
};

// The first dot at which an instruction may end that is followed by an interrupt of the board or
// the sound unit, were nothing written any more.
inline int32_t irq_dot(const FullState& s) {
  const int32_t sound = sound::dot_of(s, std::min(s.sound.frame_irq, s.sound.dmc_irq));
  const int32_t first = std::min(sound, s.board.irq);
  return first == kNever ? kNever : first + ppu::kNmiDelay;
}

// Where BRK, or an interrupt that begins at `dot` and is not an NMI, leads to: an NMI that comes
// before the address is read takes its place, a later one waits for an instruction of the handler.
// https://www.nesdev.org/wiki/CPU_interrupts
template <typename S>
WZ_NOINLINE uint16_t interrupt_vector(S& s, int32_t dot) {
  constexpr int32_t kUntilAddress = 3 * 5, kDots = 3 * 7;
  if (s.nmi_pending == kNmiLater) {
    s.nmi_pending = 0;
    return kNmiVector;
  }
  if (s.phase != Phase::render || (s.ctrl & ppu::kCtrlNmi) == 0 ||
      (s.ahead & ppu::kNmiSettled) != 0) {
    return kIrqVector;
  }
  const int32_t nmi = s.frame_end + ppu::kNmiDelay;
  if (nmi <= dot + kUntilAddress) {
    s.ahead |= ppu::kNmiSettled;
    return kNmiVector;
  }
  if (nmi <= dot + kDots) s.ahead |= ppu::kBehindTheNext;
  return kIrqVector;
}

// Whether a branch is taken behind an instruction that has loaded `value`.
inline bool branches(uint8_t op, uint8_t value) {
  switch (op) {
    case 0x10: return (value & 0x80) == 0;
    case 0x30: return (value & 0x80) != 0;
    case 0xD0: return value != 0;
    case 0xF0: return value == 0;
    default: return false;
  }
}

// Dots that may be skipped in a loop that begins with `code` and only reads a byte of RAM, which
// nothing but an interrupt changes:
//   LDA memory, branch
inline int32_t waiting_for_ram(const FullState& s, const uint8_t* code, uint16_t branch,
                               uint16_t target, int32_t dot) {
  const bool zero_page = code[0] == 0xA5;
  if (!zero_page && (code[0] != 0xAD || code[2] >= 0x20)) return 0;
  const int size = zero_page ? 2 : 3;
  if (branch != target + size) return 0;
  const auto address = static_cast<uint16_t>(zero_page ? code[1] : code[1] | code[2] << 8);
  if (!branches(code[size], s.ram[address & 0x7FF])) return 0;
  const bool crosses = ((branch + 2) ^ target) > 0xFF;
  const int32_t period = 3 * (size + 1 + 3 + (crosses ? 1 : 0));
  // The load is left to run once more: A and the flags are what it makes of them.
  return std::max((s.next_event - dot - 1) / period, 0) * period;
}

// Dots that may be skipped when a branch at `branch` goes back to `target`, because the loop
// between them only reads the PPU's status and what it reads does not change before the event:
//   LDA/BIT $2002, [AND #mask,] branch
template <typename S>
WZ_NOINLINE int32_t waiting_dots(S& s, const Cartridge& cart, uint16_t branch, uint16_t target,
                                 uint8_t a, int32_t dot) {
  if (target < 0x8000 || target > 0xFFF0) return 0;
  if constexpr (kFull<S>) {
    if ((target & 0x1FFF) > 0x1FF0) return 0;  // goes on in another bank
  }
  const uint8_t* code = Program<S>(s, cart).at(target);
  if constexpr (kFull<S>) {
    if (code[0] == 0xA5 || code[2] != 0x20) {
      return waiting_for_ram(s, code, branch, target, dot);
    }
  }
  if ((code[0] != 0xAD && code[0] != 0x2C) || code[1] != 0x02 || code[2] != 0x20) return 0;
  const bool masked = code[0] == 0xAD && branch == target + 5 && code[3] == 0x29;
  if (!masked && branch != target + 3) return 0;
  const uint8_t status = ppu::status_at(s, cart, dot);
  if ((status & ppu::kStatusVblank) != 0) return 0;  // reading it has an effect
  const auto read = static_cast<uint8_t>((status & 0xE0) | (s.bus & 0x1F));
  if (code[0] == 0xAD && a != (masked ? read & code[4] : read)) return 0;
  if (code[0] == 0x2C && (s.bus & 0xE0) != (status & 0xE0)) return 0;
  const bool crosses = ((branch + 2) ^ target) > 0xFF;
  const int32_t period = 3 * (4 + (masked ? 2 : 0) + 3 + (crosses ? 1 : 0));
  constexpr int32_t kReadAfter = 9;  // LDA $2002 reads in its fourth cycle
  // Rounds that end before the event, and read before anything changes. An instruction of the loop
  // is left to run: only that makes sure that the flags are the loop's, whatever else has jumped to
  // its branch.
  const int32_t until = ppu::next_change(s, cart, dot) - 1 - dot - kReadAfter;
  const int32_t rounds =
      std::min((s.next_event - dot - 1) / period, until < 0 ? 0 : until / period + 1);
  return std::max(rounds, 0) * period;
}

// CLI, SEI and PLP change the mask too late for the interrupt behind them: what counts is the mask
// before. Masks as in P; the instruction ends at `end`.
inline void mask_changed(FullState& s, uint8_t before, uint8_t after, int32_t end) {
  if ((before & ~after & kInterrupt) != 0) {
    s.next_event = std::min(s.next_event, end + 1);  // one more instruction
  } else if ((~before & after & kInterrupt) != 0 && irq_dot(s) <= end) {
    s.irq_polled = 1;
    s.next_event = 0;
  }
}

// The processor while it runs: registers as members of a local object whose address never escapes,
// so that they can live in machine registers.
template <bool kSkipWaiting, typename S = State>
struct Core {
  S& s;
  const Cartridge& cart;
  Program<S> program;
  uint8_t* ram;
  uint16_t pc;
  uint8_t a, x, y, sp;
  uint8_t op = 0;
  int32_t dot;
  // Flags apart: Z is (nz & 0xFF) == 0, N is bit 7 or bit 8 of nz.
  uint32_t nz = 0;
  uint8_t carry = 0, overflow = 0, other = 0;

  WZ_INLINE Core(S& state, const Cartridge& cartridge)
      : s(state), cart(cartridge), program(state, cartridge), ram(state.ram.data()), pc(state.pc),
        a(state.a), x(state.x), y(state.y), sp(state.s), dot(state.dot) {
    set_p(state.p);
  }

  WZ_INLINE void store() {
    s.a = a;
    s.x = x;
    s.y = y;
    s.s = sp;
    s.pc = pc;
    s.p = get_p();
    s.dot = dot;
  }

  WZ_INLINE void set_p(uint8_t p) {
    carry = p & kCarry;
    overflow = p & kOverflow;
    other = p & (kInterrupt | kDecimal);
    nz = ((p & kZero) != 0 ? 0U : 1U) | ((p & kNegative) != 0 ? 0x100U : 0U);
  }
  WZ_INLINE uint8_t get_p() {
    return static_cast<uint8_t>(carry | overflow | other | kUnused |
                                ((nz & 0xFF) == 0 ? kZero : 0) |
                                ((nz & 0x180) != 0 ? kNegative : 0));
  }
  WZ_INLINE uint8_t read(uint16_t at) {
    if (at < 0x2000) return ram[at & 0x7FF];
    if (at >= 0x8000) return *program.at(at);
    return io_read(s, cart, at, dot + 3 * (kCycles[op] - 1));
  }
  WZ_INLINE void write(uint16_t at, uint8_t value) {
    if (at < 0x2000) {
      ram[at & 0x7FF] = value;
    } else if (kFull<S> || at < 0x8000) {
      dot += io_write(s, cart, at, value, dot + 3 * (kCycles[op] - 1));
      if (kFull<S> && at >= 0x8000) program = Program<S>(s, cart);
    }
  }
  // An operand that is modified is read two cycles before the result is written, and written back
  // as it was in between.
  WZ_INLINE uint8_t read_to_modify(uint16_t at) {
    if (at < 0x2000) return ram[at & 0x7FF];
    if (at >= 0x8000) return *program.at(at);
    return io_read(s, cart, at, dot + 3 * (kCycles[op] - 3));
  }
  WZ_INLINE void write_modified(uint16_t at, uint8_t old, uint8_t value) {
    if (at < 0x2000) {
      ram[at & 0x7FF] = value;
    } else if (kFull<S> || at < 0x8000) {
      dot += io_write(s, cart, at, old, dot + 3 * (kCycles[op] - 2));
      dot += io_write(s, cart, at, value, dot + 3 * (kCycles[op] - 1));
      if (kFull<S> && at >= 0x8000) program = Program<S>(s, cart);
    }
  }
  WZ_INLINE uint16_t read16(uint16_t at) {
    return static_cast<uint16_t>(read(at) | read(static_cast<uint16_t>(at + 1)) << 8);
  }
  WZ_INLINE uint16_t zero16(uint8_t at) {
    return static_cast<uint16_t>(ram[at] | ram[static_cast<uint8_t>(at + 1)] << 8);
  }
  WZ_INLINE void push(uint8_t value) { ram[0x100 + sp--] = value; }
  WZ_INLINE uint8_t pull() { return ram[0x100 + ++sp]; }
  WZ_INLINE void push16(uint16_t value) {
    push(static_cast<uint8_t>(value >> 8));
    push(static_cast<uint8_t>(value));
  }
  WZ_INLINE uint16_t pull16() {
    const uint8_t low = pull();
    return static_cast<uint16_t>(low | pull() << 8);
  }

  // Addressing modes. `pc` points behind the opcode; the operand is fetched from there.
  WZ_INLINE uint8_t fetch() {
    const uint16_t at = pc++;
    return at >= 0x8000 ? *program.at(at) : io_read(s, cart, at, dot);
  }
  WZ_INLINE uint16_t fetch16() {
    const uint8_t low = fetch();
    return static_cast<uint16_t>(low | fetch() << 8);
  }
  WZ_INLINE uint16_t zp() { return static_cast<uint16_t>(fetch()); }
  WZ_INLINE uint16_t zp_x() { return static_cast<uint16_t>(static_cast<uint8_t>(fetch() + x)); }
  WZ_INLINE uint16_t zp_y() { return static_cast<uint16_t>(static_cast<uint8_t>(fetch() + y)); }
  WZ_INLINE uint16_t absolute() { return fetch16(); }
  // The address is first read as it is before the carry reaches its high byte: this shows in I/O.
  // `cycle` is the one in which that happens.
  WZ_INLINE void read_uncarried(uint16_t base, uint16_t at, int cycle) {
    if (base < 0x2000 || base >= 0x4100) return;
    io_read(s, cart, static_cast<uint16_t>((base & 0xFF00) | (at & 0xFF)), dot + 3 * (cycle - 1));
  }
  WZ_INLINE uint16_t indexed(uint16_t base, uint8_t by) {
    const auto at = static_cast<uint16_t>(base + by);
    read_uncarried(base, at, kCycles[op] - 1);
    return at;
  }
  WZ_INLINE uint16_t indexed_to_modify(uint16_t base, uint8_t by) {
    const auto at = static_cast<uint16_t>(base + by);
    read_uncarried(base, at, kCycles[op] - 3);
    return at;
  }
  // A read does so, and takes a cycle more, when it crosses a page; writes always do (it is in
  // kCycles).
  WZ_INLINE uint16_t indexed_read(uint16_t base, uint8_t by) {
    const auto at = static_cast<uint16_t>(base + by);
    if (((at ^ base) & 0xFF00) != 0) {
      dot += 3;
      read_uncarried(base, at, kCycles[op] - 1);
    }
    return at;
  }
  WZ_INLINE uint16_t ind_x() { return zero16(static_cast<uint8_t>(fetch() + x)); }
  WZ_INLINE uint16_t ind_y_base() { return zero16(fetch()); }

  // Operations.
  WZ_INLINE void load(uint8_t& reg, uint8_t value) { nz = reg = value; }
  WZ_INLINE void add(uint8_t value) {
    const uint32_t sum = static_cast<uint32_t>(a) + value + carry;
    overflow = static_cast<uint8_t>(((~(a ^ value) & (a ^ sum)) & 0x80) >> 1);
    carry = static_cast<uint8_t>(sum >> 8);
    nz = a = static_cast<uint8_t>(sum);
  }
  WZ_INLINE void subtract(uint8_t value) { add(static_cast<uint8_t>(~value)); }
  WZ_INLINE void compare(uint8_t reg, uint8_t value) {
    carry = reg >= value ? 1 : 0;
    nz = static_cast<uint8_t>(reg - value);
  }
  WZ_INLINE void bit(uint8_t value) {
    overflow = value & kOverflow;
    nz = static_cast<uint32_t>(a & value) | ((value & kNegative) != 0 ? 0x100U : 0U);
  }
  WZ_INLINE uint8_t asl(uint8_t value) {
    carry = value >> 7;
    nz = static_cast<uint8_t>(value << 1);
    return static_cast<uint8_t>(nz);
  }
  WZ_INLINE uint8_t lsr(uint8_t value) {
    carry = value & 1;
    nz = static_cast<uint8_t>(value >> 1);
    return static_cast<uint8_t>(nz);
  }
  WZ_INLINE uint8_t rol(uint8_t value) {
    const auto result = static_cast<uint8_t>(value << 1 | carry);
    carry = value >> 7;
    nz = result;
    return result;
  }
  WZ_INLINE uint8_t ror(uint8_t value) {
    const auto result = static_cast<uint8_t>(value >> 1 | carry << 7);
    carry = value & 1;
    nz = result;
    return result;
  }
  WZ_INLINE uint8_t inc(uint8_t value) {
    nz = static_cast<uint8_t>(value + 1);
    return static_cast<uint8_t>(nz);
  }
  WZ_INLINE uint8_t dec(uint8_t value) {
    nz = static_cast<uint8_t>(value - 1);
    return static_cast<uint8_t>(nz);
  }
  WZ_INLINE void branch(bool taken) {
    const auto offset = static_cast<int8_t>(fetch());
    if (!taken) return;
    const auto target = static_cast<uint16_t>(pc + offset);
    dot += ((target ^ pc) & 0xFF00) != 0 ? 6 : 3;
    if (kSkipWaiting && (offset == -5 || offset == -7 || (kFull<S> && offset == -4))) {
      // The two cycles of the branch itself are only counted below.
      dot += waiting_dots(s, cart, static_cast<uint16_t>(pc - 2), target, a, dot + 6);
    }
    pc = target;
  }
  // Stores what `value` and the high byte above the base have in common; crossing a page, the
  // address gets it too.
  WZ_INLINE void store_and_high(uint16_t base, uint8_t by, uint8_t value) {
    const uint16_t at = indexed(base, by);
    const auto stored = static_cast<uint8_t>(value & ((base >> 8) + 1));
    const bool crosses = ((at ^ base) & 0xFF00) != 0;
    write(static_cast<uint16_t>(crosses ? stored << 8 | (at & 0xFF) : at), stored);
  }
  WZ_INLINE void interrupt(uint16_t vector, uint8_t flags) {
    push16(pc);
    push(get_p() | flags);
    other |= kInterrupt;
    pc = read16(vector);
  }

  WZ_INLINE void masked([[maybe_unused]] uint8_t before) {
    if constexpr (kFull<S>) mask_changed(s, before, other, dot + 3 * kCycles[op]);
  }

  WZ_INLINE void step() {
    const uint16_t at = pc++;
    op = at >= 0x8000 ? *program.at(at) : io_opcode(s, cart, at, dot);
    switch (op) {
// One line for each addressing mode that an operation has; R reads, W writes, M modifies.
#define WZ_READ(OPCODE, ADDRESS, ...) \
  case OPCODE: {                      \
    const uint8_t m = read(ADDRESS);  \
    __VA_ARGS__;                      \
    break;                            \
  }
#define WZ_WRITE(OPCODE, ADDRESS, VALUE) \
  case OPCODE: {                         \
    const uint16_t at = ADDRESS;         \
    write(at, VALUE);                    \
    break;                               \
  }
#define WZ_MODIFY(OPCODE, ADDRESS, OPERATION, ...) \
  case OPCODE: {                                   \
    const uint16_t at = ADDRESS;                   \
    const uint8_t old = read_to_modify(at);        \
    const uint8_t m = OPERATION(old);              \
    write_modified(at, old, m);                    \
    __VA_ARGS__;                                   \
    break;                                         \
  }
#define WZ_READ_ALL(IMM, ZP, ZPX, ABS, ABSX, ABSY, INDX, INDY, ...) \
  WZ_READ(IMM, pc++, __VA_ARGS__)                                   \
  WZ_READ(ZP, zp(), __VA_ARGS__)                                    \
  WZ_READ(ZPX, zp_x(), __VA_ARGS__)                                 \
  WZ_READ(ABS, absolute(), __VA_ARGS__)                             \
  WZ_READ(ABSX, indexed_read(absolute(), x), __VA_ARGS__)           \
  WZ_READ(ABSY, indexed_read(absolute(), y), __VA_ARGS__)           \
  WZ_READ(INDX, ind_x(), __VA_ARGS__)                               \
  WZ_READ(INDY, indexed_read(ind_y_base(), y), __VA_ARGS__)
#define WZ_MODIFY_ALL(ZP, ZPX, ABS, ABSX, OPERATION) \
  WZ_MODIFY(ZP, zp(), OPERATION)                     \
  WZ_MODIFY(ZPX, zp_x(), OPERATION)                  \
  WZ_MODIFY(ABS, absolute(), OPERATION)              \
  WZ_MODIFY(ABSX, indexed_to_modify(absolute(), x), OPERATION)
// The undocumented read-modify-write opcodes also combine the result with A.
#define WZ_COMBINE_ALL(ZP, ZPX, ABS, ABSX, ABSY, INDX, INDY, OPERATION, ...) \
  WZ_MODIFY(ZP, zp(), OPERATION, __VA_ARGS__)                                \
  WZ_MODIFY(ZPX, zp_x(), OPERATION, __VA_ARGS__)                             \
  WZ_MODIFY(ABS, absolute(), OPERATION, __VA_ARGS__)                         \
  WZ_MODIFY(ABSX, indexed_to_modify(absolute(), x), OPERATION, __VA_ARGS__)  \
  WZ_MODIFY(ABSY, indexed_to_modify(absolute(), y), OPERATION, __VA_ARGS__)  \
  WZ_MODIFY(INDX, ind_x(), OPERATION, __VA_ARGS__)                           \
  WZ_MODIFY(INDY, indexed_to_modify(ind_y_base(), y), OPERATION, __VA_ARGS__)

      // Loads and stores.
      WZ_READ_ALL(0xA9, 0xA5, 0xB5, 0xAD, 0xBD, 0xB9, 0xA1, 0xB1, load(a, m))
      WZ_READ(0xA2, pc++, load(x, m))
      WZ_READ(0xA6, zp(), load(x, m))
      WZ_READ(0xB6, zp_y(), load(x, m))
      WZ_READ(0xAE, absolute(), load(x, m))
      WZ_READ(0xBE, indexed_read(absolute(), y), load(x, m))
      WZ_READ(0xA0, pc++, load(y, m))
      WZ_READ(0xA4, zp(), load(y, m))
      WZ_READ(0xB4, zp_x(), load(y, m))
      WZ_READ(0xAC, absolute(), load(y, m))
      WZ_READ(0xBC, indexed_read(absolute(), x), load(y, m))
      WZ_WRITE(0x85, zp(), a)
      WZ_WRITE(0x95, zp_x(), a)
      WZ_WRITE(0x8D, absolute(), a)
      WZ_WRITE(0x9D, indexed(absolute(), x), a)
      WZ_WRITE(0x99, indexed(absolute(), y), a)
      WZ_WRITE(0x81, ind_x(), a)
      WZ_WRITE(0x91, indexed(ind_y_base(), y), a)
      WZ_WRITE(0x86, zp(), x)
      WZ_WRITE(0x96, zp_y(), x)
      WZ_WRITE(0x8E, absolute(), x)
      WZ_WRITE(0x84, zp(), y)
      WZ_WRITE(0x94, zp_x(), y)
      WZ_WRITE(0x8C, absolute(), y)

      // Arithmetic and logic.
      WZ_READ_ALL(0x69, 0x65, 0x75, 0x6D, 0x7D, 0x79, 0x61, 0x71, add(m))
      WZ_READ_ALL(0xE9, 0xE5, 0xF5, 0xED, 0xFD, 0xF9, 0xE1, 0xF1, subtract(m))
      WZ_READ_ALL(0x29, 0x25, 0x35, 0x2D, 0x3D, 0x39, 0x21, 0x31, nz = a &= m)
      WZ_READ_ALL(0x09, 0x05, 0x15, 0x0D, 0x1D, 0x19, 0x01, 0x11, nz = a |= m)
      WZ_READ_ALL(0x49, 0x45, 0x55, 0x4D, 0x5D, 0x59, 0x41, 0x51, nz = a ^= m)
      WZ_READ_ALL(0xC9, 0xC5, 0xD5, 0xCD, 0xDD, 0xD9, 0xC1, 0xD1, compare(a, m))
      WZ_READ(0xE0, pc++, compare(x, m))
      WZ_READ(0xE4, zp(), compare(x, m))
      WZ_READ(0xEC, absolute(), compare(x, m))
      WZ_READ(0xC0, pc++, compare(y, m))
      WZ_READ(0xC4, zp(), compare(y, m))
      WZ_READ(0xCC, absolute(), compare(y, m))
      WZ_READ(0x24, zp(), bit(m))
      WZ_READ(0x2C, absolute(), bit(m))
      WZ_MODIFY_ALL(0x06, 0x16, 0x0E, 0x1E, asl)
      WZ_MODIFY_ALL(0x46, 0x56, 0x4E, 0x5E, lsr)
      WZ_MODIFY_ALL(0x26, 0x36, 0x2E, 0x3E, rol)
      WZ_MODIFY_ALL(0x66, 0x76, 0x6E, 0x7E, ror)
      WZ_MODIFY_ALL(0xE6, 0xF6, 0xEE, 0xFE, inc)
      WZ_MODIFY_ALL(0xC6, 0xD6, 0xCE, 0xDE, dec)
      case 0x0A: a = asl(a); break;
      case 0x4A: a = lsr(a); break;
      case 0x2A: a = rol(a); break;
      case 0x6A: a = ror(a); break;
      case 0xE8: x = inc(x); break;
      case 0xC8: y = inc(y); break;
      case 0xCA: x = dec(x); break;
      case 0x88: y = dec(y); break;

      // Registers, flags and the stack.
      case 0xAA: load(x, a); break;
      case 0x8A: load(a, x); break;
      case 0xA8: load(y, a); break;
      case 0x98: load(a, y); break;
      case 0xBA: load(x, sp); break;
      case 0x9A: sp = x; break;
      case 0x18: carry = 0; break;
      case 0x38: carry = 1; break;
      case 0x58: {
        const uint8_t before = other;
        other &= static_cast<uint8_t>(~kInterrupt);
        masked(before);
        break;
      }
      case 0x78: {
        const uint8_t before = other;
        other |= kInterrupt;
        masked(before);
        break;
      }
      case 0xD8: other &= static_cast<uint8_t>(~kDecimal); break;
      case 0xF8: other |= kDecimal; break;
      case 0xB8: overflow = 0; break;
      case 0x48: push(a); break;
      case 0x68: load(a, pull()); break;
      case 0x08: push(get_p() | kBreak); break;
      case 0x28: {
        const uint8_t before = other;
        set_p(pull());
        masked(before);
        break;
      }

      // Jumps.
      case 0x10: branch((nz & 0x180) == 0); break;
      case 0x30: branch((nz & 0x180) != 0); break;
      case 0x50: branch(overflow == 0); break;
      case 0x70: branch(overflow != 0); break;
      case 0x90: branch(carry == 0); break;
      case 0xB0: branch(carry != 0); break;
      case 0xD0: branch((nz & 0xFF) != 0); break;
      case 0xF0: branch((nz & 0xFF) == 0); break;
      case 0x4C: {
        const auto from = static_cast<uint16_t>(pc - 1);
        pc = fetch16();
        if (kSkipWaiting && pc == from) {  // waits for the event: whole rounds of three cycles
          dot += std::max((s.next_event - dot - 1) / 9, 0) * 9;
        }
        break;
      }
      case 0x6C: {  // the high byte comes from the same page
        const uint16_t at = fetch16();
        const auto wrapped = static_cast<uint16_t>((at & 0xFF00) | ((at + 1) & 0xFF));
        pc = static_cast<uint16_t>(read(at) | read(wrapped) << 8);
        break;
      }
      case 0x20: {
        const uint16_t target = fetch16();
        push16(static_cast<uint16_t>(pc - 1));
        pc = target;
        break;
      }
      case 0x60: pc = static_cast<uint16_t>(pull16() + 1); break;
      case 0x40: {
        const uint8_t before = other;
        set_p(pull());
        pc = pull16();
        if constexpr (kFull<S>) {  // is looked at in time
          if ((before & ~other & kInterrupt) != 0) s.next_event = 0;
        }
        break;
      }
      case 0x00: {
        ++pc;
        interrupt(interrupt_vector(s, dot), kBreak);
        break;
      }

        // Undocumented: loads, stores and combinations.
        WZ_READ(0xA7, zp(), load(a, m), x = a)
        WZ_READ(0xB7, zp_y(), load(a, m), x = a)
        WZ_READ(0xAF, absolute(), load(a, m), x = a)
        WZ_READ(0xBF, indexed_read(absolute(), y), load(a, m), x = a)
        WZ_READ(0xA3, ind_x(), load(a, m), x = a)
        WZ_READ(0xB3, indexed_read(ind_y_base(), y), load(a, m), x = a)
        WZ_WRITE(0x87, zp(), a & x)
        WZ_WRITE(0x97, zp_y(), a & x)
        WZ_WRITE(0x8F, absolute(), a & x)
        WZ_WRITE(0x83, ind_x(), a & x)
        WZ_COMBINE_ALL(0x07, 0x17, 0x0F, 0x1F, 0x1B, 0x03, 0x13, asl, nz = a |= m)
        WZ_COMBINE_ALL(0x27, 0x37, 0x2F, 0x3F, 0x3B, 0x23, 0x33, rol, nz = a &= m)
        WZ_COMBINE_ALL(0x47, 0x57, 0x4F, 0x5F, 0x5B, 0x43, 0x53, lsr, nz = a ^= m)
        WZ_COMBINE_ALL(0x67, 0x77, 0x6F, 0x7F, 0x7B, 0x63, 0x73, ror, add(m))
        WZ_COMBINE_ALL(0xC7, 0xD7, 0xCF, 0xDF, 0xDB, 0xC3, 0xD3, dec, compare(a, m))
        WZ_COMBINE_ALL(0xE7, 0xF7, 0xEF, 0xFF, 0xFB, 0xE3, 0xF3, inc, subtract(m))
        WZ_READ(0xEB, pc++, subtract(m))
        WZ_READ(0x0B, pc++, nz = a &= m, carry = a >> 7)
        WZ_READ(0x2B, pc++, nz = a &= m, carry = a >> 7)
        WZ_READ(0x4B, pc++, a &= m, a = lsr(a))
        WZ_READ(0x6B, pc++, a &= m, a = ror(a), carry = (a >> 6) & 1,
                overflow = static_cast<uint8_t>((a ^ (a << 1)) & 0x40))
      case 0xCB: {
        const uint8_t m = fetch();
        carry = (a & x) >= m ? 1 : 0;
        nz = x = static_cast<uint8_t>((a & x) - m);
        break;
      }

        // LXA, SHY and SHX mix in what is on the bus, or not, from chip to chip; this is what tests
        // of real consoles expect.
        WZ_READ(0xAB, pc++, load(a, m), x = a)
      case 0x9C: store_and_high(absolute(), x, y); break;
      case 0x9E: store_and_high(absolute(), y, x); break;

      // Undocumented: nothing happens, but operands are fetched and read.
      case 0x1A:
      case 0x3A:
      case 0x5A:
      case 0x7A:
      case 0xDA:
      case 0xFA:
      case 0xEA: break;
      case 0x80:
      case 0x82:
      case 0x89:
      case 0xC2:
      case 0xE2: ++pc; break;
      case 0x04:
      case 0x44:
      case 0x64: ++pc; break;
      case 0x14:
      case 0x34:
      case 0x54:
      case 0x74:
      case 0xD4:
      case 0xF4: ++pc; break;
      case 0x0C: read(absolute()); break;
      case 0x1C:
      case 0x3C:
      case 0x5C:
      case 0x7C:
      case 0xDC:
      case 0xFC: read(indexed_read(absolute(), x)); break;

#undef WZ_READ
#undef WZ_WRITE
#undef WZ_MODIFY
#undef WZ_READ_ALL
#undef WZ_MODIFY_ALL
#undef WZ_COMBINE_ALL

      // What is left halts the processor, or differs from one chip to the next.
      default:
        s.jammed = 1;
        --pc;
        dot = std::max(dot, s.next_event);
        return;
    }
    dot += 3 * kCycles[op];
  }
};

// The instruction that still runs before an interrupt is taken. (A template for the same reason as
// run_compiled().)
template <bool kSkipWaiting = false, typename S = State>
WZ_NOINLINE void step_once(S& s, const Cartridge& cart) {
  if (s.jammed != 0) return;
  Core<kSkipWaiting, S> core(s, cart);
  core.step();
  core.store();
}

template <typename S>
inline void take_interrupt(S& s, const Cartridge& cart, uint16_t vector) {
  Core<true, S> core(s, cart);
  core.interrupt(vector, 0);
  core.dot += 3 * 7;
  core.store();
}

// Whether the board or the sound unit interrupts the program now.
inline bool irq_due(const FullState& s) {
  return s.irq_polled != 0 || ((s.p & kInterrupt) == 0 && irq_dot(s) <= s.dot);
}

// Takes a pending interrupt. Returns whether the CPU runs at all.
template <typename S>
inline bool begin_slice(S& s, const Cartridge& cart) {
  if (s.nmi_pending == kNmiLater) {
    step_once<false, S>(s, cart);
    if (s.nmi_pending != 0) s.nmi_pending = kNmiNow;
  } else if constexpr (kFull<S>) {
    const bool later = (s.ahead & ppu::kBehindTheNext) != 0 && s.irq_polled == 0;
    if (later && s.nmi_pending == 0 && irq_due(s)) step_once<false, S>(s, cart);
  }
  s.ahead &= static_cast<uint8_t>(~ppu::kBehindTheNext);
  if (s.jammed != 0) {
    s.dot = std::max(s.dot, s.next_event);
    return false;
  }
  if (s.nmi_pending != 0) {
    s.nmi_pending = 0;
    if constexpr (kFull<S>) s.irq_polled = 0;
    take_interrupt(s, cart, kNmiVector);
  } else if constexpr (kFull<S>) {
    if (irq_due(s)) {
      s.irq_polled = 0;
      take_interrupt(s, cart, interrupt_vector(s, s.dot));
    }
  }
  return true;
}

// Whether `op`, which ran from one dot to the other, is a branch to the same page. It does not look
// for interrupts in its last cycle.
inline bool branched(uint8_t op, int32_t from, int32_t to) {
  return (op & 0x1F) == 0x10 && to - from == 3 * 3;
}

// Runs whole instructions until `next_event` is reached, or until, after one or more of them,
// `stop(pc)` says so.
template <bool kSkipWaiting = true, typename S, typename Stop>
inline void interpret(S& s, const Cartridge& cart, Stop&& stop) {
  Core<kSkipWaiting, S> core(s, cart);
  int32_t from = core.dot;
  while (core.dot < s.next_event) {
    from = core.dot;
    core.step();
    if (stop(core.pc)) break;
  }
  core.store();
  const bool in_last_cycle = core.dot >= s.next_event && core.dot - 3 < s.next_event;
  if (in_last_cycle && branched(core.op, from, core.dot)) s.ahead |= ppu::kBehindTheNext;
}

// The interpreter alone. Without kSkipWaiting every round of a waiting loop is executed: slower,
// and the same in every bit.
template <bool kSkipWaiting = true, typename S = State>
void run(S& s, const Cartridge& cart) {
  if (begin_slice(s, cart)) {
    interpret<kSkipWaiting, S>(s, cart, [](uint16_t) { return false; });
  }
}

}  // namespace warpzone::nes::cpu
