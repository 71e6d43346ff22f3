// Which bytes of a program are instructions: what running it shows to the translator.
#pragma once

#include <array>
#include <cstdint>

#include "nes/cartridge.h"
#include "nes/console.h"
#include "nes/cpu.h"
#include "nes/state.h"

namespace warpzone::nes {

inline constexpr uint8_t kExecuted = 1;  // an instruction began here
inline constexpr uint8_t kJumpedTo = 2;  // reached by a return, an indirect jump or an interrupt

// Interprets a frame and marks $8000-$FFFF; `marks` is uint8[32768].
inline void trace_frame(State& s, const Cartridge& cart, uint8_t buttons, uint8_t* marks) {
  const auto mark = [marks](uint16_t pc, uint8_t how) {
    if (pc >= 0x8000) marks[pc - 0x8000] |= how;
  };
  const auto jumps = [&cart](uint16_t pc) {
    const uint8_t opcode = pc >= 0x8000 ? cart.prg[pc - 0x8000U] : 0;
    return pc < 0x8000 || opcode == 0x60 || opcode == 0x40 || opcode == 0x6C;
  };
  run_frame_with(s, cart, buttons, [&] {
    if (!cpu::begin_slice(s, cart)) return;
    uint16_t last = s.pc;
    mark(last, kExecuted);
    cpu::interpret(s, cart, [&](uint16_t pc) {
      mark(pc, jumps(last) ? kExecuted | kJumpedTo : kExecuted);
      last = pc;
      return false;
    });
  });
}

}  // namespace warpzone::nes
