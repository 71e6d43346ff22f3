// A console: the CPU run from event to event, one frame at a time.
#pragma once

#include <cstdint>
#include <cstring>

#include "nes/cartridge.h"
#include "nes/compiled.h"
#include "nes/cpu.h"
#include "nes/ppu.h"
#include "nes/state.h"

namespace warpzone::nes {

// Buttons of a controller, in the order in which it reports them.
enum Button : uint8_t {
  kButtonA = 1,
  kButtonB = 2,
  kButtonSelect = 4,
  kButtonStart = 8,
  kButtonUp = 16,
  kButtonDown = 32,
  kButtonLeft = 64,
  kButtonRight = 128
};

// The state right after power-on, at scanline 0. RAM is clear, like in most emulators; a real
// console's is not defined.
inline State power_on(const Cartridge& cart) {
  State s;
  std::memset(&s, 0, sizeof(s));
  s.s = 0xFD;
  s.p = cpu::kInterrupt | cpu::kUnused;
  s.pc = static_cast<uint16_t>(cart.prg[cpu::kResetVector - 0x8000] |
                               cart.prg[cpu::kResetVector - 0x8000 + 1] << 8);
  ppu::begin_render(s);
  s.dot = s.line0 + 3 * 7;  // the reset sequence takes seven cycles
  return s;
}

// Runs to the moment in the next vertical blank at which its interrupt is taken, and draws nothing:
// the picture can be had from the state afterwards. `run_slice()` runs the CPU to `next_event`.
template <typename RunSlice>
inline void run_frame_with(State& s, const Cartridge& cart, uint8_t buttons, RunSlice&& run_slice) {
  const auto run_until = [&](int32_t event) {
    s.next_event = event;
    while (s.dot < event) {  // a write that raises an NMI ends a slice early
      run_slice();
      s.next_event = event;
    }
  };
  s.buttons = buttons;
  if (s.phase == Phase::vblank) {
    run_until(kRenderStart);
    ppu::begin_render(s);
  }
  run_until(s.frame_end + ppu::kNmiDelay);
  ppu::begin_vblank(s, cart);
}

// With the interpreter. Without kSkipWaiting every round of a waiting loop is executed.
template <bool kSkipWaiting = true>
inline void interpret_frame(State& s, const Cartridge& cart, uint8_t buttons) {
  run_frame_with(s, cart, buttons, [&] { cpu::run<kSkipWaiting>(s, cart); });
}

// With native code where the cartridge has some; the state is the same in every byte.
inline void run_frame(State& s, const Cartridge& cart, uint8_t buttons) {
  const Compiled* code = cart.compiled.load(std::memory_order_acquire);
  if (code == nullptr) {
    interpret_frame(s, cart, buttons);
  } else {
    run_frame_with(s, cart, buttons, [&] { cpu::run_compiled(s, cart, *code); });
  }
}

}  // namespace warpzone::nes
