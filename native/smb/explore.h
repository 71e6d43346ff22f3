// Search over snapshots, after "First return, then explore" (Ecoffet et al. 2021): places that play
// has reached are kept with the game as it stood there; again and again one is returned to, rather
// one that was chosen rarely, and random actions are tried from it. Knows where Mario is, the
// game's own count of right turns in a maze and, where rules pay for them, extra lives and
// power-ups; nothing of any level.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "smb/game.h"

namespace warpzone::smb {

// How a level is played.
struct Trajectory {
  int level;
  std::vector<uint8_t> inputs;                     // an action for each agent step,
  bool frames = false;                             // or the buttons of each frame, as of a person
  std::optional<nes::State> begin = std::nullopt;  // nullopt: the level's start
};

// What `replay` tells of an agent step.
struct Replayed {
  const Game& game;                  // after it
  std::span<const uint8_t> buttons;  // of its frames, those of a cutscene or pause left out
  bool cut;                          // by a cutscene or a pause
  size_t inputs;                     // of the way, up to its end
  std::span<const uint8_t> all;      // buttons of all frames up to its end
};

// Plays the buttons of frames, a step for as many of them as an agent's has. Nobody knows when a
// pause ends, so that it is left out of the steps like a cutscene.
template <typename See>
inline void replay_frames(Game& game, const nes::Cartridge& cart, const Rules& rules,
                          std::span<const uint8_t> inputs, See&& see) {
  const auto waits = [&] {
    return game.over == 0 && ((rules.skip_cutscenes && cutscene(game.nes)) || paused(game.nes));
  };
  const auto whole = static_cast<size_t>(rules.frame_skip);
  std::vector<uint8_t> buttons;
  size_t at = 0;
  while (game.over == 0) {
    remember_motion(game.nes, game.motion);
    buttons.clear();
    bool cut = false;
    while (buttons.size() < whole && game.over == 0 && at < inputs.size()) {
      buttons.push_back(inputs[at]);
      game.run_frame(cart, rules, ProgressMask{}, inputs[at++]);
      for (; waits() && at < inputs.size(); cut = true) {
        game.run_frame(cart, rules, ProgressMask{}, inputs[at++]);
      }
    }
    if (game.over == 0 && (buttons.size() < whole || waits())) return;  // the way ends within it
    see(Replayed{game, buttons, cut, at, inputs.first(at)});
  }
}

// Rules of episodes of one level that are the same each time: nothing is drawn, and nothing but the
// game ends them.
inline Rules without_chance(Rules rules, int level, const LevelStarts& levels) {
  rules.noop_max = rules.start_noop_max = 0;
  rules.whole_game = false;
  rules.repeat_action_probability = 0;
  rules.row_share = rules.life_share = 0;
  rules.phase_share = rules.power_share = rules.start_halt_share = 0;
  rules.max_steps = rules.no_progress_steps = 0;
  rules.level_weights.assign(kLevels, 0.0);
  rules.level_weights[static_cast<size_t>(level)] = 1.0;
  return rules.of(levels);
}

// Plays a way, without idle frames or sticky buttons; `see(Replayed)` is called after each step.
// Throws std::invalid_argument.
template <typename See>
inline void replay(LevelStarts& levels, const Rules& rules, const Trajectory& trajectory,
                   See&& see) {
  if (!levels.has(trajectory.level)) throw std::invalid_argument("no such level");
  const Rules plain = without_chance(rules, trajectory.level, levels);
  InitialStates starts;
  if (trajectory.begin) {
    InitialState start{*trajectory.begin, {}, trajectory.level, 0, {}, {}};
    start.progress.start(area_id(start.nes), player_x(start.nes));
    starts.set({start});
    starts.weigh(std::vector<double>{1.0}, 1.0);
  }
  for (const uint8_t action : trajectory.inputs) {
    if (!trajectory.frames && action >= rules.actions.size()) {
      throw std::invalid_argument("action " + std::to_string(action) +
                                  " of the way is outside 0.." +
                                  std::to_string(rules.actions.size() - 1));
    }
  }
  Game game{};
  game.random = stream(0, 0);
  game.reset(levels, plain, starts, [](const Game&, bool) {});
  if (trajectory.frames)
    return replay_frames(game, levels.cartridge(), plain, trajectory.inputs, see);
  size_t at = 0;
  std::vector<uint8_t> all;
  for (const uint8_t action : trajectory.inputs) {
    if (game.over != 0) break;
    const std::vector<uint8_t> buttons(static_cast<size_t>(rules.frame_skip),
                                       rules.actions[action]);
    bool cut = false;
    game.step(levels.cartridge(), plain, ProgressMask{}, buttons.front(),
              [&](const Game& g, bool cutscene) {
                cut = cut || cutscene;
                all.push_back(cutscene ? 0 : g.held);
              });
    see(Replayed{game, buttons, cut, ++at, all});
  }
}

// The moments along a trajectory at which an episode may begin: `steps_back` whole steps without a
// cutscene lead to each of them. Throws std::invalid_argument.
inline std::vector<InitialState> record_initial_states(LevelStarts& levels, const Rules& rules,
                                                       const Trajectory& trajectory,
                                                       int steps_back) {
  if (steps_back < 0) throw std::invalid_argument("steps_back must be at least 0");
  struct Moment {
    nes::State nes;
    std::vector<uint8_t> buttons;  // of the step that led to it
    bool cut;
    size_t frames;  // of the way so far
  };
  std::deque<Moment> past;
  std::vector<InitialState> starts;
  int32_t step = 0;
  replay(levels, rules, trajectory, [&](const Replayed& played) {
    ++step;
    past.push_back({played.game.nes,
                    {played.buttons.begin(), played.buttons.end()},
                    played.cut,
                    played.all.size()});
    const auto needed = static_cast<size_t>(steps_back) + 1;
    if (past.size() > needed) past.pop_front();
    if (past.size() < needed || played.game.over != 0) return;
    if (std::any_of(past.begin() + 1, past.end(), [](const Moment& m) { return m.cut; })) return;
    InitialState start{past.front().nes, {}, trajectory.level, step, played.game.progress, {}};
    if (!trajectory.begin) {
      const auto lead = played.all.first(past.front().frames);
      start.prefix.emplace(lead.begin(), lead.end());
    }
    for (auto moment = past.begin() + 1; moment != past.end(); ++moment) {
      start.buttons.insert(start.buttons.end(), moment->buttons.begin(), moment->buttons.end());
    }
    starts.push_back(std::move(start));
  });
  return starts;
}

// Where trajectories through one level lead past. A maze is where the game looks whether Mario came
// the right way.
inline ProgressMask record_progress_mask(LevelStarts& levels, const Rules& rules,
                                         std::span<const Trajectory> trajectories) {
  struct Place {
    uint16_t area;
    int32_t x, y;
    bool on_ground;
  };
  ProgressMask mask;
  std::vector<Place> places;
  const auto visit = [&places](const nes::State& nes) {
    places.push_back({area_id(nes), player_x(nes), screen_y(nes), standing(nes)});
  };
  for (const Trajectory& trajectory : trajectories) {
    visit(trajectory.begin ? *trajectory.begin : levels.start(trajectory.level));
    replay(levels, rules, trajectory, [&](const Replayed& played) {
      const nes::State& nes = played.game.nes;
      if (cutscene(nes)) return;
      visit(nes);
      if (nes.ram[memory::kMazeCheck] != 0) mask.add_maze(area_id(nes));
    });
  }
  for (const Place& place : places) {
    mask.add(place.area, place.x, place.y, place.on_ground);
  }
  return mask;
}

// How far a trajectory comes.
struct FollowedTrajectory {
  std::vector<int64_t> inputs, progress;  // after each step: inputs played, px of new-best x
  bool cleared = false;
  int32_t death = 0;  // a `Death`
};

inline FollowedTrajectory follow(LevelStarts& levels, const Rules& rules,
                                 const Trajectory& trajectory) {
  FollowedTrajectory followed;
  replay(levels, rules, trajectory, [&followed](const Replayed& played) {
    followed.inputs.push_back(static_cast<int64_t>(played.inputs));
    followed.progress.push_back(played.game.progress.total);
    followed.cleared = played.game.signals.flag != 0;
    followed.death = played.game.signals.death;
  });
  return followed;
}

class Explorer {
 public:
  // `rules`: actions and frame skip; `weights`: how often each action is tried; `begin`: where the
  // way is to begin, instead of the level's start. Throws std::invalid_argument.
  Explorer(std::shared_ptr<LevelStarts> levels, Rules rules, int level, std::vector<double> weights,
           uint64_t seed, const std::optional<InitialState>& begin = std::nullopt)
      : levels_(std::move(levels)), rules_(std::move(rules)), random_(stream(seed, 0)) {
    if (!levels_->has(level)) throw std::invalid_argument("no such level");
    rules_ = without_chance(rules_, level, *levels_);
    if (begin && !plausible(*begin)) throw std::invalid_argument("a start is damaged");
    if (weights.size() != rules_.actions.size()) {
      throw std::invalid_argument("there must be a weight for each action");
    }
    for (const double weight : weights) {
      if (!(weight >= 0)) throw std::invalid_argument("weights must be at least 0");
      sums_.push_back((sums_.empty() ? 0 : sums_.back()) + weight);
    }
    if (!(sums_.back() > 0)) throw std::invalid_argument("a weight must be above 0");
    if (!std::isfinite(sums_.back())) {
      throw std::invalid_argument("weights must have a finite sum");
    }
    Game game{};
    game.random = stream(seed, 1);
    const Beginning beginning{-1, begin};
    game.reset(*levels_, rules_, InitialStates{}, [](const Game&, bool) {}, beginning);
    places_.push_back({game, kNowhere, 0, 0});
    first_lives_ = game.signals.lives;
    by_cell_[cell(game)] = 0;
    recent_.push_back(0);
    farthest_ = {kNowhere, 0, 0};
  }

  // Plays at least so many agent steps more.
  void run(int64_t steps) {
    const int64_t end = spent_ + steps;
    while (spent_ < end) explore(choose());
  }

  int64_t spent() const { return spent_; }
  size_t places() const { return places_.size(); }
  bool cleared() const { return clear_.steps > 0; }
  int32_t best_progress() const { return farthest_.progress; }

  // Actions from the level's start: the shortest way found that clears it, of those that bring
  // the most in extra lives and power-ups where these are paid for; else to the farthest point.
  std::vector<uint8_t> trajectory() const {
    const Leaf& best = cleared() ? clear_ : farthest_;
    std::vector<uint8_t> actions;
    for (int32_t node = best.node; node != kNowhere;
         node = nodes_[static_cast<size_t>(node)].parent) {
      const Node& at = nodes_[static_cast<size_t>(node)];
      for (uint32_t i = at.count; i-- > 0;) actions.push_back(actions_[at.first + i]);
    }
    std::reverse(actions.begin(), actions.end());
    return actions;
  }

 private:
  static constexpr int32_t kNowhere = -1;
  static constexpr int kBurst = 30;        // actions tried from a place
  static constexpr double kChange = 0.25;  // probability of another action
  static constexpr double kRecent = 0.4;   // probability of returning to one of the newest places
  static constexpr size_t kNewest = 50;
  static constexpr int kPassageCost = 100;  // agent steps that a pipe is as bad as
  static constexpr int kCandidates = 8;     // of which the one chosen least is returned to

  struct Place {
    Game game;
    int32_t node;
    int32_t steps;
    int64_t chosen;
  };
  struct Node {  // some actions, after those of its parent
    int32_t parent;
    uint32_t first, count;
  };
  struct Leaf {
    int32_t node, steps, progress;
    float finds = 0;
  };

  uint64_t cell(const Game& game) const {
    namespace m = memory;
    const nes::State& s = game.nes;
    const auto y = static_cast<uint64_t>(s.ram[m::kYPage] * 256 + s.ram[m::kY]) / 16;
    const auto x = static_cast<uint64_t>(player_x(s)) / 16;
    const uint64_t climbing = s.ram[m::kFloatState] == 3 ? 1 : 0;
    const uint64_t turns = s.ram[m::kMazeCorrect] & 15;
    const uint64_t place = area_id(s) | x << 16 | (y & 127) << 32 | climbing << 40 | turns << 41;
    if (!(rules_.life_reward > 0 || rules_.power_reward > 0)) return place;
    // What is found lies about before that, and has to be caught.
    const bool out = s.ram[m::kObjectActive + m::kPowerUpSlot] != 0;
    const bool paid =
        (s.ram[m::kPowerUpType] == m::kExtraLife ? rules_.life_reward : rules_.power_reward) > 0;
    const bool big = rules_.power_reward > 0 && game.signals.status > 0;
    return place | static_cast<uint64_t>((game.signals.lives - first_lives_) & 15) << 45 |
           static_cast<uint64_t>(out && paid) << 49 | static_cast<uint64_t>(big) << 50;
  }

  // What is paid for that Mario has.
  float finds(const Game& game) const {
    return static_cast<float>(game.signals.lives - first_lives_) * rules_.life_reward +
           static_cast<float>(game.signals.status) * rules_.power_reward;
  }

  size_t choose() {
    if (random_.uniform() < kRecent) {
      return recent_[static_cast<size_t>(random_.below(static_cast<int>(recent_.size())))];
    }
    size_t best = 0;
    for (int i = 0; i < kCandidates; ++i) {
      const auto index = static_cast<size_t>(random_.below(static_cast<int>(places_.size())));
      if (i == 0 || places_[index].chosen < places_[best].chosen) best = index;
    }
    return best;
  }

  uint8_t draw() {
    const double at = random_.uniform() * sums_.back();
    const auto found = std::upper_bound(sums_.begin(), sums_.end(), at);
    const auto last = static_cast<std::ptrdiff_t>(sums_.size()) - 1;
    return static_cast<uint8_t>(std::min(found - sums_.begin(), last));
  }

  void explore(size_t index) {
    ++places_[index].chosen;
    Game game = places_[index].game;
    int32_t node = places_[index].node, steps = places_[index].steps;
    std::vector<uint8_t>& tried = tried_;
    tried.clear();
    const auto keep = [&] {
      nodes_.push_back(
          {node, static_cast<uint32_t>(actions_.size()), static_cast<uint32_t>(tried.size())});
      actions_.insert(actions_.end(), tried.begin(), tried.end());
      tried.clear();
      node = static_cast<int32_t>(nodes_.size()) - 1;
    };
    uint8_t action = 0;
    for (int i = 0; i < kBurst; ++i) {
      if (i == 0 || random_.uniform() < kChange) action = draw();
      const uint16_t area = area_id(game.nes);
      const int32_t x = game.signals.x;
      game.step(levels_->cartridge(), rules_, ProgressMask{}, rules_.actions[action],
                [](const Game&, bool) {});
      ++spent_;
      ++steps;
      // Bonus rooms are short cuts that are hard to repeat: the open way is preferred.
      if (area_id(game.nes) != area || std::abs(game.signals.x - x) > kPassage) {
        steps += kPassageCost;
      }
      tried.push_back(action);
      if (game.over != 0) {
        // What is found is worth any detour, if anything is paid for it.
        const float found = finds(game);
        const bool better = found != clear_.finds ? found > clear_.finds : steps < clear_.steps;
        if (game.signals.flag != 0 && (!cleared() || better)) {
          keep();
          clear_ = {node, steps, game.progress.total, found};
        }
        return;
      }
      const auto [found, is_new] = by_cell_.try_emplace(cell(game), places_.size());
      if (!is_new && places_[found->second].steps <= steps) continue;
      keep();
      if (is_new) {
        places_.push_back({game, node, steps, 0});
        if (recent_.size() < kNewest) {
          recent_.push_back(found->second);
        } else {
          recent_[next_recent_++ % kNewest] = found->second;
        }
      } else {
        Place& place = places_[found->second];
        place = {game, node, steps, place.chosen};
      }
      if (game.progress.total > farthest_.progress) {
        farthest_ = {node, steps, game.progress.total};
      }
    }
  }

  std::shared_ptr<LevelStarts> levels_;
  Rules rules_;
  Random random_;
  std::vector<double> sums_;  // of the actions' weights
  std::deque<Place> places_;
  std::unordered_map<uint64_t, size_t> by_cell_;
  std::vector<size_t> recent_;
  size_t next_recent_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint8_t> actions_, tried_;
  int32_t first_lives_ = 0;
  Leaf clear_{kNowhere, 0, 0}, farthest_{kNowhere, 0, 0};
  int64_t spent_ = 0;
};

}  // namespace warpzone::smb
