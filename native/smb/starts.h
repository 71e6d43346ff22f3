// The levels: where each begins, reached through the game's own title screen.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "nes/console.h"
#include "smb/memory.h"

namespace warpzone::smb {

inline constexpr int kLevels = 32;

// Which levels a cartridge with this program has, and how its areas are numbered.
struct Edition {
  int levels;     // from 1-1 on, four a world; after the last one the princess is saved
  uint8_t walks;  // a bit for each world, the lowest for the first: see `area_of`
};
inline constexpr Edition kSuperMarioBros{kLevels, 0b0100'1011};
// The Lost Levels as cartridges without a mapper have them: the program of Super Mario Bros. with
// four other worlds.
inline constexpr Edition kLostLevels{16, 0b0000'0101};

inline std::string level_name(int level) {
  return std::to_string(level / 4 + 1) + "-" + std::to_string(level % 4 + 1);
}

// Some worlds (1, 2, 4 and 7 of Super Mario Bros.) count the walk to a pipe before their second
// stage as an area of its own: from there on, area numbers are one ahead of stage numbers.
inline int area_of(const Edition& edition, int world, int stage) {
  const bool has_walk = (edition.walks >> world & 1) != 0;
  return stage + (has_walk && stage >= 1 ? 1 : 0);
}

// From power-on to the first frame in which Mario obeys. Start is pressed as a person does, after
// `title_frames`. `before_frame(title)` is called before every frame, with whether the title waits
// for Start. Throws std::runtime_error when the cartridge does not behave like Super Mario Bros.
template <typename BeforeFrame>
void boot(nes::State& s, const nes::Cartridge& cart, const Edition& edition, int level,
          int title_frames, BeforeFrame&& before_frame) {
  namespace m = memory;
  const auto fail = [&](const char* what) {
    throw std::runtime_error("level " + level_name(level) + ": " + what +
                             "; is this cartridge Super Mario Bros.?");
  };
  const auto run = [&](bool title, uint8_t buttons) {
    before_frame(title);
    nes::run_frame(s, cart, buttons);
  };
  constexpr int kPatience = 1200;
  for (int i = 0; i < title_frames; ++i) run(false, 0);
  int waited = 0;
  while (s.ram[m::kOperMode] != 1) {
    if (++waited > kPatience) fail("the title screen does not take Start");
    run(true, waited % 2 != 0 ? nes::kButtonStart : 0);
  }
  const auto playing = [&] {
    return s.ram[m::kOperMode] == 1 && s.ram[m::kOperModeTask] == 3 &&
           s.ram[m::kPlayerState] == m::kStatePlaying;
  };
  for (waited = 0; !playing(); ++waited) {
    if (waited > kPatience) fail("Mario does not begin to play");
    run(false, 0);
  }
  const int world = level / 4, stage = level % 4;
  if (s.ram[m::kWorld] != world || s.ram[m::kStage] != stage ||
      s.ram[m::kArea] != area_of(edition, world, stage)) {
    fail("another level was loaded");
  }
}

// The start of a level. Throws as `boot` does.
inline nes::State boot_level(const nes::Cartridge& cart, const Edition& edition, int level) {
  namespace m = memory;
  const int world = level / 4, stage = level % 4;
  nes::State s = nes::power_on(cart);
  constexpr int kTitleFrames = 40;  // the title takes Start only after its screen is drawn
  boot(s, cart, edition, level, kTitleFrames, [&](bool title) {
    if (!title) return;
    // The title's own code rewrites these until the game begins.
    s.ram[m::kWorld] = static_cast<uint8_t>(world);
    s.ram[m::kStage] = static_cast<uint8_t>(stage);
    s.ram[m::kArea] = static_cast<uint8_t>(area_of(edition, world, stage));
  });
  return s;
}

// The level starts of a cartridge, each booted when first wanted and then kept. Shared by all games
// of a process; may be used from several threads.
class LevelStarts {
 public:
  // Throws std::invalid_argument when no such game can be in the cartridge.
  explicit LevelStarts(std::shared_ptr<const nes::Cartridge> cart,
                       const Edition& edition = kSuperMarioBros)
      : cart_(std::move(cart)), edition_(edition) {
    if (!cart_->plain) {
      throw std::invalid_argument(
          "the cartridge is none of Super Mario Bros.: it has mapper " +
          std::to_string(static_cast<int>(cart_->mapper)) +
          " or uses what that game does not (banks, RAM, the sound unit's answers)");
    }
  }

  const nes::Cartridge& cartridge() const { return *cart_; }
  const Edition& edition() const { return edition_; }
  bool has(int level) const { return level >= 0 && level < edition_.levels; }

  // Throws std::invalid_argument when there is no such level; see `boot_level` too.
  const nes::State& start(int level) {
    if (!has(level)) throw std::invalid_argument("no such level");
    const std::lock_guard lock(mutex_);
    auto& start = starts_[static_cast<size_t>(level)];
    if (!start) start = std::make_unique<nes::State>(boot_level(*cart_, edition_, level));
    return *start;
  }

 private:
  std::shared_ptr<const nes::Cartridge> cart_;
  Edition edition_;
  std::mutex mutex_;
  std::array<std::unique_ptr<nes::State>, kLevels> starts_;
};

}  // namespace warpzone::smb
