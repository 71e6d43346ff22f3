// Which bytes of a program are instructions: what running it shows to the translator.
#pragma once

#include <array>
#include <cstdint>

#include "nes/cartridge.h"
#include "nes/compiled.h"
#include "nes/console.h"
#include "nes/cpu.h"
#include "nes/state.h"

namespace warpzone::nes {

inline constexpr uint8_t kExecuted = 1;  // an instruction began here
// Reached by a return, an indirect jump or an interrupt, or out of another bank.
inline constexpr uint8_t kJumpedTo = 2;

// Marks are bytes for $8000-$FFFF, of a cartridge that is not plain for each bank that can be
// there.
inline size_t trace_bytes(const Cartridge& cart) {
  return size_t{0x8000} * (cart.plain ? 1 : cart.prg_banks());
}

// Interprets a frame and marks what is executed.
template <typename S>
inline void trace_frame(S& s, const Cartridge& cart, uint8_t buttons, uint8_t* marks) {
  const auto mark = [&](uint16_t pc, uint8_t how) {
    if (pc < 0x8000) return;
    const uint32_t place = place_of(s, pc);
    marks[(place >> 16) << 15 | (place & 0x7FFF)] |= how;
  };
  // Where an instruction was, and whether it leads to where nobody can tell from its bytes.
  struct Last {
    uint32_t window;
    bool jumps;
  };
  const auto look = [&](uint16_t pc) {
    if (pc < 0x8000) return Last{0, true};
    const uint8_t opcode = *cpu::Program<S>(s, cart).at(pc);
    return Last{place_of(s, pc) >> 13, opcode == 0x60 || opcode == 0x40 || opcode == 0x6C};
  };
  run_frame_with(s, cart, buttons, [&] {
    const uint16_t before = s.pc;
    if (!cpu::begin_slice(s, cart)) return;
    mark(s.pc, kFull<S> && s.pc != before ? kExecuted | kJumpedTo : kExecuted);
    Last last = look(s.pc);
    cpu::interpret(s, cart, [&](uint16_t pc) {
      const bool moved = kFull<S> && place_of(s, pc) >> 13 != last.window;
      mark(pc, last.jumps || moved ? kExecuted | kJumpedTo : kExecuted);
      last = look(pc);
      return false;
    });
  });
}

}  // namespace warpzone::nes
