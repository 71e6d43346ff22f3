// What an episode is, and what it rewards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "random/random.h"
#include "smb/starts.h"

namespace warpzone::smb {

enum class Reward : int32_t {
  gym,       // gym-super-mario-bros 7.x, summed over the frames of a step
  tutorial,  // that, +50 for the flag, -50 for another end, divided by 10
  progress,  // new-best progress
  landed,    // that, paid once Mario stands again
};

inline constexpr int kMostNoops = 36'000;  // ten minutes

struct Rules {
  std::vector<uint8_t> actions;       // buttons of each action
  std::vector<double> level_weights;  // one for each of the 32 levels
  int frame_skip = 4;
  int noop_max = 0;        // the most idle frames at the start
  int start_noop_max = 0;  // and where an episode begins within a level
  // Of episodes that begin within a level, in which Mario first comes to a stand.
  double start_halt_share = 0.0;
  double repeat_action_probability =
      0.0;                        // probability per frame that the buttons stay as they were
  double sticky_share = 1.0;      // of episodes that have sticky buttons at all
  int64_t max_steps = 0;          // 0: no limit
  int64_t no_progress_steps = 0;  // 0: no limit
  int64_t start_steps = 0;        // limit of episodes that begin within a level; 0: none
  bool skip_cutscenes = true;
  Reward reward = Reward::progress;
  float end_penalty = 2.5F;    // of `progress` and `landed`: taken for an end other than the flag
  float step_penalty = 0.01F;  // and for each step
  float coin_reward = 0;       // and brought by a coin
  float life_reward = 0;       // and brought by an extra life
  float power_reward = 0;      // by a mushroom or a flower; taken for what a hit costs
  std::vector<float> end_penalties;  // that by level, where it is not the same in all
  bool end_thrown_back = false;      // an episode ends where a maze sends Mario back
  bool show_level = false;           // the tile view's scalars name the level
  bool show_paths = false;  // and its hazards' plane shows where firebars and hammers will be
  int last_level = -1;      // the game goes on from level to level up to this one; -1: it does not

  bool whole_game = false;  // an episode is the game as it is played, from power-on
  bool one_life = false;    // the whole game ends with the first death
  bool warps = false;       // the way through a warp zone does not end an episode
  double row_share = 0.0;   // of flags after which the next episode begins as the game goes on
  double life_share = 0.0;  // and of deaths, while lives are left
  // Of other episodes, in which what the game counts by is drawn anew.
  double phase_share = 0.0;
  double power_share = 0.0;  // and of those at a level's start, in which Mario is big or has fire

  Edition edition = kSuperMarioBros;  // that of the cartridge, as `of` puts it in

  // These rules on a cartridge. Throws std::invalid_argument.
  Rules of(const LevelStarts& levels) const {
    Rules rules = *this;
    rules.edition = levels.edition();
    rules.check();
    return rules;
  }

  // A level, by the weights.
  int draw_level(Random& draws) const {
    double total = 0;
    for (const double weight : level_weights) total += weight;
    double at = draws.uniform() * total;
    int drawn = -1;
    for (int level = 0; level < kLevels; ++level) {
      const double weight = level_weights[static_cast<size_t>(level)];
      if (weight <= 0) continue;
      drawn = level;  // rounding must not run past the last one
      at -= weight;
      if (at < 0) break;
    }
    return drawn;
  }

  float end_penalty_of(int32_t level) const {
    return end_penalties.empty() ? end_penalty : end_penalties[static_cast<size_t>(level)];
  }

  // Throws std::invalid_argument.
  void check() const {
    const auto require = [](bool ok, const char* what) {
      if (!ok) throw std::invalid_argument(what);
    };
    require(!actions.empty(), "there must be at least one action");
    require(level_weights.size() == kLevels, "there must be a weight for each of the 32 levels");
    double total = 0;
    for (const double weight : level_weights) {
      require(weight >= 0, "level weights must not be negative");
      total += weight;
    }
    for (size_t level = static_cast<size_t>(edition.levels); level < level_weights.size();
         ++level) {
      require(level_weights[level] == 0, "the cartridge does not have all of these levels");
    }
    require(total > 0, "at least one level must have a weight above 0");
    require(frame_skip >= 1, "frame_skip must be at least 1");
    require(noop_max >= 0 && noop_max <= kMostNoops, "noop_max must be from 0 to 36,000");
    require(start_noop_max >= 0 && start_noop_max <= kMostNoops,
            "start_noop_max must be from 0 to 36,000");
    require(repeat_action_probability >= 0 && repeat_action_probability < 1,
            "repeat_action_probability must be at least 0 and below 1");
    require(last_level < edition.levels, "there is no such last_level");
    require(sticky_share >= 0 && sticky_share <= 1, "sticky_share must be from 0 to 1");
    require(row_share >= 0 && row_share <= 1, "row_share must be from 0 to 1");
    require(life_share >= 0 && life_share <= 1, "life_share must be from 0 to 1");
    require(phase_share >= 0 && phase_share <= 1, "phase_share must be from 0 to 1");
    require(power_share >= 0 && power_share <= 1, "power_share must be from 0 to 1");
    require(start_halt_share >= 0 && start_halt_share <= 1, "start_halt_share must be from 0 to 1");
    const auto priced = [&require](float penalty) {
      require(penalty >= 0 && penalty <= 100, "end_penalty must be from 0 to 100");
    };
    require(step_penalty >= 0 && step_penalty <= 10, "step_penalty must be from 0 to 10");
    require(coin_reward >= 0 && coin_reward <= 100, "coin_reward must be from 0 to 100");
    require(life_reward >= 0 && life_reward <= 100, "life_reward must be from 0 to 100");
    require(power_reward >= 0 && power_reward <= 100, "power_reward must be from 0 to 100");
    priced(end_penalty);
    require(end_penalties.empty() || end_penalties.size() == kLevels,
            "there must be an end penalty for each of the 32 levels");
    std::ranges::for_each(end_penalties, priced);
    require(max_steps >= 0 && no_progress_steps >= 0 && start_steps >= 0,
            "step limits must not be negative");
  }
};

}  // namespace warpzone::smb
