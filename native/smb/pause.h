// What is pressed before control where an episode begins within a level.
#pragma once

#include <cstdint>
#include <vector>

#include "nes/console.h"
#include "smb/memory.h"
#include "smb/signals.h"

namespace warpzone::smb {

inline constexpr int kMostHaltFrames = 60;  // in which Mario comes to a stand, or does not

// Whether Mario cannot be played any more.
inline bool gone(const nes::State& s) { return dying(s) || dead(s) || cleared(s) || cutscene(s); }

// Buttons of each frame until Mario stands, or swims without moving on: left while he moves to the
// right, in the air too, and right while he moves to the left. None where he does so already, or
// comes to no stand without harm.
inline std::vector<uint8_t> buttons_to_stand(nes::State s, const nes::Cartridge& cart) {
  const auto speed = [&s] { return signed_byte(s, memory::kXSpeed); };
  const bool right = speed() >= 0;
  const uint8_t against = right ? nes::kButtonLeft : nes::kButtonRight;
  const auto moves = [&] { return right ? speed() > 0 : speed() < 0; };
  std::vector<uint8_t> buttons;
  while (moves() || !supported(s)) {
    if (buttons.size() == kMostHaltFrames) return {};
    buttons.push_back(moves() ? against : uint8_t{0});
    nes::run_frame(s, cart, buttons.back());
    if (gone(s)) return {};
  }
  return buttons;
}

// So many frames without buttons, where Mario stands and comes to no harm by them; else none.
inline std::vector<uint8_t> idle_buttons(nes::State s, const nes::Cartridge& cart, int frames) {
  if (!standing(s)) return {};
  for (int i = 0; i < frames; ++i) {
    nes::run_frame(s, cart, 0);
    if (gone(s)) return {};
  }
  return std::vector<uint8_t>(static_cast<size_t>(frames), 0);
}

}  // namespace warpzone::smb
