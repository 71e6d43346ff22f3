#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "nes/console.h"
#include "nes/trace.h"

namespace warpzone::bindings {

// One console with a cartridge.
class Console {
 public:
  explicit Console(std::shared_ptr<const nes::Cartridge> cartridge)
      : cart_(std::move(cartridge)), state_(nes::power_on(cart())) {}

  void reset() { state_ = nes::power_on(cart()); }
  void step(uint8_t buttons, int frames, bool skip_waiting) {
    for (int i = 0; i < frames; ++i) {
      skip_waiting ? nes::run_frame(state_, cart(), buttons)
                   : nes::interpret_frame<false>(state_, cart(), buttons);
    }
  }
  void trace(std::span<const uint8_t> buttons, uint8_t* marks) {
    for (const uint8_t held : buttons) nes::trace_frame(state_, cart(), held, marks);
  }
  nes::State& state() { return state_; }
  const nes::Cartridge& cart() const { return *cart_; }

 private:
  std::shared_ptr<const nes::Cartridge> cart_;
  nes::State state_;
};

}  // namespace warpzone::bindings
