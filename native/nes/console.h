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

// Sets a state to what it is right after power-on, at scanline 0. RAM is clear, like in most
// emulators; a real console's is not defined.
template <typename S>
inline void switch_on(S& s, const Cartridge& cart) {
  std::memset(static_cast<void*>(&s), 0, sizeof(s));
  s.s = 0xFD;
  s.p = cpu::kInterrupt | cpu::kUnused;
  if constexpr (kFull<S>) {
    board::power_on(s, cart);
    s.board.counted = kRenderStart - 1;
  }
  s.pc = static_cast<uint16_t>(cpu::io_read(s, cart, cpu::kResetVector, 0) |
                               cpu::io_read(s, cart, cpu::kResetVector + 1, 0) << 8);
  ppu::begin_render(s, cart);
  s.dot = s.line0;
  if constexpr (kFull<S>) sound::power_on(s.sound, sound::cycle_at(s, s.dot));
  s.dot += 3 * 7;  // the reset sequence takes seven cycles
}

// With State, for cartridges for which that is enough.
inline State power_on(const Cartridge& cart) {
  State s;
  switch_on(s, cart);
  return s;
}

// Runs the CPU to a dot of this frame: `run_slice()` runs it to `next_event`.
template <typename S, typename RunSlice>
inline void run_until(S& s, int32_t event, RunSlice&& run_slice) {
  if constexpr (kFull<S>) {
    while (s.dot < event) {
      // The program may unmask interrupts at any time, and then says so by ending the slice.
      const int32_t irq = (s.p & cpu::kInterrupt) != 0 ? kNever : cpu::irq_dot(s);
      s.next_event =
          s.jammed != 0 ? event : std::min({event, irq, sound::dot_of(s, s.sound.dmc_fetch)});
      run_slice();
      while (s.sound.dmc_fetch <= sound::cycle_at(s, s.dot)) s.dot += 3 * sound::fetch(s.sound);
    }
    return;
  }
  s.next_event = event;
  while (s.dot < event) {  // a write that raises an NMI ends a slice early
    run_slice();
    s.next_event = event;
  }
}

// Runs to the moment in the next vertical blank at which its interrupt is taken, and draws nothing:
// the picture can be had from the state afterwards.
template <typename S, typename RunSlice>
inline void run_frame_with(S& s, const Cartridge& cart, uint8_t buttons, RunSlice&& run_slice) {
  s.buttons = buttons;
  if (s.phase == Phase::vblank) {
    run_until(s, kRenderStart, run_slice);
    ppu::begin_render(s, cart);
  }
  run_until(s, s.frame_end + ppu::kNmiDelay, run_slice);
  ppu::begin_vblank(s, cart);
}

// Runs to `moment`, in dots since power-on (see State::clock), wherever in a picture that is. Calls
// `finished()` behind each picture, before anything of what it is drawn from can change.
template <typename S, typename RunSlice, typename Finished>
inline void run_to_with(S& s, const Cartridge& cart, uint8_t buttons, uint64_t moment,
                        RunSlice&& run_slice, Finished&& finished) {
  s.buttons = buttons;
  while (s.clock + static_cast<uint64_t>(s.dot) < moment) {
    const auto stop = static_cast<int32_t>(std::min<uint64_t>(moment - s.clock, 2 * kFrameDots));
    if (s.phase == Phase::vblank) {
      run_until(s, std::min(stop, kRenderStart), run_slice);
      if (s.dot >= kRenderStart) ppu::begin_render(s, cart);
    } else {
      const int32_t end = s.frame_end + ppu::kNmiDelay;
      run_until(s, std::min(stop, end), run_slice);
      if (s.dot < end) continue;
      finished();
      ppu::begin_vblank(s, cart);
    }
  }
}

// With the interpreter. Without kSkipWaiting every round of a waiting loop is executed.
template <bool kSkipWaiting = true, typename S = State>
inline void interpret_frame(S& s, const Cartridge& cart, uint8_t buttons) {
  run_frame_with(s, cart, buttons, [&] { cpu::run<kSkipWaiting, S>(s, cart); });
}

// Calls with what runs the CPU fastest to `next_event`: native code where the cartridge has some
// for such a state; what comes of it is the same in every byte.
template <typename S, typename Run>
inline void with_engine(S& s, const Cartridge& cart, Run&& run) {
  const Compiled* code = cart.compiled.load(std::memory_order_acquire);
  if (code == nullptr || cart.plain == kFull<S>) {
    run([&] { cpu::run<true, S>(s, cart); });
  } else {
    run([&] { cpu::run_compiled(s, cart, *code); });
  }
}

template <typename S>
inline void run_frame(S& s, const Cartridge& cart, uint8_t buttons) {
  with_engine(s, cart, [&](auto&& slice) { run_frame_with(s, cart, buttons, slice); });
}

template <typename S, typename Finished>
inline void run_to(S& s, const Cartridge& cart, uint8_t buttons, uint64_t moment,
                   Finished&& finished) {
  with_engine(s, cart,
              [&](auto&& slice) { run_to_with(s, cart, buttons, moment, slice, finished); });
}

}  // namespace warpzone::nes
