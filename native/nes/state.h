// Everything about a console that changes, in one trivially copyable struct without padding:
// a snapshot is a copy, equality is memcmp. There are two of them: State for cartridges without
// moving parts whose programs take no notice of the sound unit, FullState for all others.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace warpzone::nes {

static_assert(std::endian::native == std::endian::little,
              "snapshots and saved batches are bytes in memory's order: little-endian alone");
static_assert(sizeof(void*) == 8, "native code of cartridges counts on addresses of 64 bits");

// A frame runs from one vertical blank to the next. All times are PPU dots since its start
// (three to a CPU cycle): https://www.nesdev.org/wiki/PPU_rendering
inline constexpr int32_t kDotsPerLine = 341;
inline constexpr int32_t kVblankEnd = 20 * kDotsPerLine;        // scanline 261, dot 1: flags clear
inline constexpr int32_t kRenderStart = 21 * kDotsPerLine - 1;  // scanline 0, dot 0
inline constexpr int32_t kFrameDots = 262 * kDotsPerLine;
inline constexpr int32_t kNever = INT32_MAX;
inline constexpr int32_t kUnknown = -1;

// `vblank` includes the pre-render line behind it.
enum class Phase : uint8_t { vblank, render };

// Of nametables: which of them are one and the same.
enum class Mirroring : uint8_t { horizontal, vertical, lower, upper, four };

inline constexpr uint8_t kNmiNow = 1, kNmiLater = 2;

// How the background is scrolled from `line` on: the PPU's registers, logged when they change, so
// that a picture can be drawn after the fact and only when somebody looks.
struct Scroll {
  uint16_t v;  // the VRAM address at the left end of `line`
  uint8_t line;
  uint8_t fine_x;
  uint8_t ctrl;
  uint8_t mask;

  bool operator==(const Scroll&) const = default;
};

struct State {
  // Time.
  uint64_t clock;      // dots from power-on to the start of this frame
  uint64_t frame;      // frames finished since power-on
  int32_t dot;         // the CPU's position in this frame
  int32_t next_event;  // the CPU runs until here
  int32_t frame_end;   // kFrameDots, or one less on odd frames that render; the next one begins
  int32_t line0;       // dot 0 of scanline 0

  // Sprite 0: when it hits, if nothing is written before (kNever: not in this frame).
  int32_t sprite0_dot;
  int32_t sprite0_from;  // where the next prediction starts
  // The sprite overflow flag likewise, except that it is kUnknown until somebody asks. In vertical
  // blank, and in the same dots, it is still that of the picture before.
  int32_t overflow_dot;
  int32_t overflow_from;
  uint8_t sprite0_known;
  Phase phase;

  // CPU.
  uint8_t a, x, y, s, p;
  uint8_t jammed;  // executed one of the opcodes that halt the processor
  uint16_t pc;
  uint8_t nmi_pending;  // kNmiNow: taken before the next instruction, kNmiLater: behind it

  // Controllers.
  uint8_t buttons;  // as held by the player
  uint8_t shift;    // as still to be read
  uint8_t strobe;

  // PPU.
  uint8_t ctrl, mask, status, oam_addr;
  uint8_t fine_x, write_toggle, read_buffer, bus;
  uint16_t v, t;
  uint8_t odd_frame;
  uint8_t scroll_count;
  uint8_t ahead;                   // what accesses have settled before its event: see ppu.h
  std::array<uint8_t, 3> bus_age;  // frames since bits 7-6, 5 and 4-0 of `bus` were driven
  std::array<Scroll, 16> scrolls;

  std::array<uint8_t, 0x800> ram;
  std::array<uint8_t, 0x800> vram;
  std::array<uint8_t, 0x100> oam;
  std::array<uint8_t, 32> palette;
};

// Where pictures come from: of each kilobyte of tiles the number of the one that is there, and how
// the nametables are laid out.
struct Banks {
  std::array<uint8_t, 8> chr;
  Mirroring mirroring;

  bool operator==(const Banks&) const = default;
};

// Moments that have not come, and as far as is known will not.
inline constexpr uint64_t kNeverCycle = UINT64_MAX;

// The sound unit as programs can see it: what $4015 says, interrupts, and the cycles that samples
// take. Times are CPU cycles since power-on; everything is worked out when somebody asks. See
// sound.h.
struct Sound {
  uint64_t sequence;       // when the frame counter's present sequence began
  uint64_t settled;        // until when length counters have been worked out
  uint64_t frame_irq;      // since when, or from when on, the frame counter's flag is set
  uint64_t dmc_irq;        // likewise of the sample channel
  uint64_t dmc_bit;        // when the sample channel shifts its next bit
  uint64_t dmc_fetch;      // when it takes its next byte, and the CPU's time (kNeverCycle: never)
  uint64_t copied;         // until when the CPU was last halted for a copy of sprites
  uint16_t dmc_remaining;  // bytes of the sample that are still to be fetched
  std::array<uint8_t, 4> lengths;
  uint8_t halted, enabled;  // bits of channels
  uint8_t mode;             // as written to $4017
  uint8_t dmc_control, dmc_length;
  uint8_t dmc_bits;  // still to be shifted out of its byte
  uint8_t dmc_full;  // the next byte is there
  std::array<uint8_t, 3> unused;
};

// What is on a cartridge's board beside ROM, and changes. See mapper.h.
struct Board {
  int32_t irq;      // since which dot of the frame, or from which on, it asks for an interrupt
  int32_t counted;  // until when the rises of A12 have been counted
  int32_t low;      // since when A12 is low, where the picture unit is at rest
  int32_t written;  // when a register was last written to
  uint8_t a12;      // its level then
  uint8_t irq_latch, irq_counter, irq_reload, irq_enabled;
  uint8_t shift, shifted;  // MMC1: bits that have come, and how many
  uint8_t select;          // MMC3: which register comes next, and the modes
  std::array<uint8_t, 8> registers;
  uint8_t protect;  // MMC3: of the RAM at $6000
  Mirroring mirroring;
  // What follows from these, worked out whenever one of them changes.
  std::array<uint8_t, 4> prg;  // of 8 KB, at $8000, $A000, $C000, $E000
  uint8_t ram_bank;            // of 8 KB, at $6000
  uint8_t ram_reads, ram_writes;
  std::array<uint8_t, 3> unused;
};

// The most that a cartridge may have of RAM of its own: programs', tiles, two more nametables.
inline constexpr size_t kMostPrgRam = 0x8000, kMostChrRam = 0x8000, kMoreNametables = 0x800;

// A console with any cartridge. What the plain one of `State` lacks: banks, RAM in the cartridge,
// the sound unit, interrupts, the second controller.
struct FullState : State {
  Sound sound;
  Board board;
  Banks banks;
  // Beside `scrolls`, one each. The pixel of its first line from which one holds: what is left of
  // it looks as before.
  std::array<Banks, 16> bank_log;
  std::array<uint8_t, 16> holds_from;
  uint8_t buttons2, shift2;
  uint8_t irq_polled;  // an instruction that masks interrupts has let one through
  // The cartridge's own, as much as it has: the cartridge knows where which begins.
  std::array<uint8_t, kMostPrgRam + kMostChrRam + kMoreNametables> memory;
};

// Which of the two a function is made for.
template <typename S>
inline constexpr bool kFull = std::is_same_v<std::remove_const_t<S>, FullState>;

// What lies before `memory`, which comes last.
inline constexpr size_t kFullStateHead = sizeof(FullState) - sizeof(FullState::memory);

static_assert(std::is_trivially_copyable_v<FullState>);
static_assert(std::has_unique_object_representations_v<FullState>, "padding would break memcmp");
static_assert(std::is_trivially_copyable_v<State>);
static_assert(std::has_unique_object_representations_v<State>, "padding would break memcmp");

}  // namespace warpzone::nes
