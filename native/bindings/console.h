#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "batch/exclusive.h"
#include "nes/console.h"
#include "nes/trace.h"

namespace warpzone::bindings {

// One console with a cartridge: a plain one where that is enough. While a thread is in it, which
// may be without the GIL, whatever reads or changes the state holds `enter`.
class Console {
 public:
  explicit Console(std::shared_ptr<const nes::Cartridge> cartridge)
      : cart_(std::move(cartridge)), state_(std::make_unique<nes::FullState>()) {
    reset();
  }

  // Calls with the state that the cartridge needs.
  template <typename Call>
  auto with_state(Call&& call) {
    return plain() ? call(static_cast<nes::State&>(*state_)) : call(*state_);
  }

  void reset() {
    with_state([&](auto& s) { nes::switch_on(s, cart()); });
  }
  void step(uint8_t buttons, int frames, bool skip_waiting) {
    with_state([&](auto& s) {
      for (int i = 0; i < frames; ++i) {
        skip_waiting ? nes::run_frame(s, cart(), buttons)
                     : nes::interpret_frame<false>(s, cart(), buttons);
      }
    });
  }
  // Throws std::invalid_argument where the second controller is not there.
  void hold_second(uint8_t buttons) {
    if (plain()) {
      if (buttons == 0) return;
      throw std::invalid_argument(
          "this console has one controller: make its cartridge with full=True");
    }
    state_->buttons2 = buttons;
  }
  void trace(std::span<const uint8_t> buttons, std::span<uint8_t> marks) {
    if (marks.size() != nes::trace_bytes(cart())) {
      throw std::invalid_argument("of this cartridge's program " +
                                  std::to_string(nes::trace_bytes(cart())) +
                                  " bytes are marked, not " + std::to_string(marks.size()));
    }
    with_state([&](auto& s) {
      for (const uint8_t held : buttons) nes::trace_frame(s, cart(), held, marks.data());
    });
  }
  // Nobody else may use the console as long as this lives. Throws std::logic_error.
  [[nodiscard]] batch::Exclusive::Hold enter() const { return door_.enter(); }
  bool plain() const { return cart_->plain; }
  // What a plain console has; the other one has it, too.
  nes::State& state() { return *state_; }
  nes::FullState& full_state() { return *state_; }
  const nes::Cartridge& cart() const { return *cart_; }

 private:
  std::shared_ptr<const nes::Cartridge> cart_;
  std::unique_ptr<nes::FullState> state_;
  batch::Exclusive door_{"this console", "a console"};
};

}  // namespace warpzone::bindings
