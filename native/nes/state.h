// Everything about a console that changes, in one trivially copyable struct without padding:
// a snapshot is a copy, equality is memcmp.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace warpzone::nes {

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
  uint8_t nmi_pending;  // 1: taken before the next instruction, 2: behind it

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

static_assert(std::is_trivially_copyable_v<State>);
static_assert(std::has_unique_object_representations_v<State>, "padding would break memcmp");

}  // namespace warpzone::nes
