// Moments of games that were played, as starts of episodes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "smb/game.h"
#include "smb/initial_states.h"
#include "smb/rules.h"
#include "smb/starts.h"

namespace warpzone::smb {

// Where in a game that was played.
struct Moment {
  size_t frames;  // before it, since the level began
  int32_t step;   // agent steps before it
};

// Plays the buttons of all frames since `level` began once more, of its start as it was varied. The
// last `tail` frames before each moment lead to it, and must be of steps without a cutscene. What
// counts as progress is as the masks of `starts` have it. Throws std::invalid_argument.
inline std::vector<InitialState> record_moments(LevelStarts& levels, const Rules& rules,
                                                const InitialStates& starts, int level,
                                                std::span<const uint8_t> buttons,
                                                std::span<const Moment> moments, size_t tail,
                                                uint32_t variation) {
  if (!levels.has(level)) throw std::invalid_argument("no such level");
  if (!std::bit_cast<Variation>(variation).possible()) {
    throw std::invalid_argument("no start is varied so");
  }
  size_t last = 0;
  for (const Moment& moment : moments) {
    if (moment.frames < tail || moment.frames > buttons.size()) {
      throw std::invalid_argument("a moment lies outside the frames that were played");
    }
    last = std::max(last, moment.frames);
  }
  Rules plain = rules.of(levels);
  plain.noop_max = 0;
  plain.repeat_action_probability = 0;
  plain.whole_game = true;  // several levels may have been played, and lives lost
  plain.one_life = false;
  Game game{};
  game.reset(
      levels, plain, InitialStates{}, [](const Game&, bool) {}, Beginning{level, {}, variation});
  std::vector<InitialState> found(moments.size());
  for (size_t frame = 0;; ++frame) {
    for (size_t i = 0; i < moments.size(); ++i) {
      if (frame + tail == moments[i].frames) found[i].nes = game.nes;
      if (frame != moments[i].frames) continue;
      const auto begin = buttons.begin(), end = begin + static_cast<std::ptrdiff_t>(frame);
      const auto split = end - static_cast<std::ptrdiff_t>(tail);
      found[i].buttons.assign(split, end);
      found[i].level = game.signals.level;
      // What is told of an episode begins in its own level.
      if (found[i].level == level) found[i].prefix.emplace(begin, split);
      found[i].step = moments[i].step;
      found[i].progress = game.progress;
    }
    if (frame == last) return found;
    game.replay_frame(levels.cartridge(), plain, starts.mask(game.signals.level), buttons[frame]);
    if (game.over != 0) throw std::invalid_argument("the game ends before the moment");
  }
}

}  // namespace warpzone::smb
