// Super Mario Bros. as a batch of games plays it (see batch/game.h): what all its games share.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "nes/snapshot.h"
#include "random/random.h"
#include "smb/game.h"
#include "smb/initial_states.h"
#include "smb/memory.h"
#include "smb/moments.h"
#include "smb/progress.h"
#include "smb/rules.h"
#include "smb/signals.h"
#include "smb/starts.h"
#include "smb/tiles.h"

namespace warpzone::smb {

class SuperMario {
 public:
  using State = Game;
  using Signals = smb::Signals;
  using Beginning = smb::Beginning;
  static constexpr int kStatusBarLines = memory::kMapTop;
  static constexpr std::array<size_t, 3> kFeatureShape = {kPlanes, kTileRows, kTileColumns};
  static constexpr size_t kFeatureScalars = kScalars;

  // Throws std::invalid_argument when the rules make no sense.
  SuperMario(std::shared_ptr<LevelStarts> levels, const Rules& rules)
      : levels_(std::move(levels)), rules_(rules.of(*levels_)) {}

  const nes::Cartridge& cartridge() const { return levels_->cartridge(); }
  const Rules& rules() const { return rules_; }
  std::span<const uint8_t> actions() const { return rules_.actions; }
  int frame_skip() const { return rules_.frame_skip; }

  // Moments at which episodes may begin; none does before they are weighed.
  void set_initial_states(std::vector<InitialState> starts) {
    for (const InitialState& start : starts) check(start);
    starts_.set(std::move(starts));
  }

  // Replaces one of them, or adds the next.
  void put_initial_state(size_t index, InitialState start) {
    check(start);
    starts_.put(index, std::move(start));
  }

  // Moments of a game that was played from the start of a level, see smb/moments.h.
  std::vector<InitialState> record_moments(int level, std::span<const uint8_t> buttons,
                                           std::span<const Moment> moments, size_t tail,
                                           uint32_t variation) const {
    return smb::record_moments(*levels_, rules_, starts_, level, buttons, moments, tail, variation);
  }

  // Elsewhere than on its route nothing counts as progress in a level that has one.
  void set_progress_masks(std::vector<std::pair<int, ProgressMask>> masks) {
    starts_.set_progress_masks(std::move(masks));
  }

  // From now on that share of episodes begins at one of the starts, drawn by weight.
  void set_start_weights(std::span<const double> weights, double share) {
    starts_.weigh(weights, share);
  }

  // From now on that share of the episodes of their levels begins at these snapshots of a console,
  // drawn by weight. Throws std::invalid_argument.
  void set_own_starts(const std::vector<std::vector<uint8_t>>& snapshots,
                      std::span<const double> weights, double share) {
    std::vector<InitialState> moments;
    for (const auto& snapshot : snapshots) {
      moments.push_back(*beginning(-1, nes::load(snapshot, cartridge())).moment);
      check(moments.back());
    }
    starts_.set_own(moments, weights, share);
  }

  // From now on an episode that begins at a level's start draws the level by these.
  void set_level_weights(std::vector<double> weights) {
    Rules rules = rules_;
    rules.level_weights = std::move(weights);
    rules.check();
    rules_ = std::move(rules);
  }

  // From now on an end without the flag costs that, by level.
  void set_end_penalties(std::vector<float> penalties) {
    Rules rules = rules_;
    rules.end_penalties = std::move(penalties);
    rules.check();
    rules_ = std::move(rules);
  }

  // Results depend on the seed and a game's index alone.
  static void seed(State& game, uint64_t seed, uint64_t index) {
    game.random = stream(seed, index);
    game.ending = kNoEnding;
  }

  // The start of a level, or (state) the moment of play that a console is in. Throws
  // std::invalid_argument when there is no such level, or none is being played.
  static Beginning beginning(int32_t level, const std::optional<nes::State>& state) {
    if (level >= kLevels) throw std::invalid_argument("no such level");
    if (!state) return {level, std::nullopt};
    const int played = state->ram[memory::kWorld] * 4 + state->ram[memory::kStage];
    const bool playing = state->ram[memory::kStage] < 4 && played < kLevels && smb::played(*state);
    if (!playing) throw std::invalid_argument("no level is being played at this moment");
    return {-1, InitialState{*state, {}, played, 0, {}, std::nullopt}};
  }

  template <typename SeeFrame>
  uint32_t reset(State& game, SeeFrame&& see_frame, const Beginning& beginning = {}) const {
    return game.reset(*levels_, rules_, starts_, see_frame, beginning);
  }

  template <typename SeeFrame>
  Outcome step(State& game, uint8_t buttons, SeeFrame&& see_frame) const {
    return game.step(cartridge(), rules_, starts_.mask(game.signals.level), buttons, see_frame);
  }

  // The map of tiles and its scalars.
  void observe(const State& game, uint8_t* bytes, float* scalars) const {
    const bool own = (game.view & kOwnView) != 0;
    const bool show_level = own ? (game.view & kShowLevel) != 0 : rules_.show_level;
    const bool show_paths = own ? (game.view & kShowPaths) != 0 : rules_.show_paths;
    observe_tiles(game.nes, game.motion, game.held, show_level ? game.signals.level : -1,
                  show_paths, bytes, scalars);
  }

  // The same with the level's name and the hazards' paths.
  void observe_all(const State& game, uint8_t* bytes, float* scalars) const {
    observe_tiles(game.nes, game.motion, game.held, game.signals.level, true, bytes, scalars);
  }

  static int32_t level(const State& game) { return game.signals.level; }
  static bool is_level(int32_t level) { return level >= 0 && level < kLevels; }
  static uint8_t place(const State& game) { return map_number(game.nes); }
  static bool carried(const State& game) { return game.origin == kCarried; }
  static bool at_level_start(const State& game) { return game.signals.start < 0; }

  bool prefix(const State& game, std::vector<uint8_t>& buttons) const {
    if (game.origin != kPlayed || rules_.whole_game) return false;
    if (at_level_start(game)) {
      buttons.assign(static_cast<size_t>(game.signals.frames), 0);
      return true;
    }
    const InitialState& start = starts_.at(game.signals.start);
    if (!start.prefix) return false;
    buttons = *start.prefix;
    buttons.insert(buttons.end(), start.buttons.begin(), start.buttons.end());
    // Those that it waited.
    buttons.insert(buttons.end(), static_cast<size_t>(game.signals.frames), 0);
    return true;
  }

  static bool plausible(const Signals& signals) { return smb::plausible(signals); }

  static bool plausible(const State& game, bool waits) {
    constexpr int32_t kMostPosition = 0xFFFF, kMostCount = 1 << 30;
    const auto position = [](int32_t value) { return value >= 0 && value <= kMostPosition; };
    const auto all = [&](const auto& values) {
      return std::all_of(values.begin(), values.end(), position);
    };
    const auto flag = [](uint8_t value) { return value <= 1; };
    // A step leads out of what the game does by itself, unless it failed; and what is over cannot
    // be stepped: it would play no frame.
    if (!waits && (game.over != 0 || game.passed != 0)) return false;
    return nes::plausible(game.nes) && game.progress.plausible() && smb::plausible(game.signals) &&
           game.stuck_steps >= 0 && game.stuck_steps <= int64_t{1} << 62 &&
           std::isfinite(game.episode_return) && game.unpaid >= 0 && game.unpaid <= kMostCount &&
           position(game.last_x) && position(game.last_time) && all(game.motion.x) &&
           all(game.motion.y) && position(game.motion.mario_x) && position(game.motion.mario_y) &&
           flag(game.over) && flag(game.sticky) && flag(game.passed) && flag(game.off_route) &&
           game.ending <= kLifeLost && game.origin <= kHalted &&
           game.view <= (kOwnView | kShowLevel | kShowPaths);
  }

 private:
  void check(const InitialState& start) const {
    if (!smb::plausible(start) || !levels_->has(start.level)) {
      throw std::invalid_argument("a start is damaged");
    }
    if (start.buttons.size() % static_cast<size_t>(rules_.frame_skip) != 0) {
      throw std::invalid_argument("the frames that lead to a start must make whole steps");
    }
  }

  std::shared_ptr<LevelStarts> levels_;
  Rules rules_;
  InitialStates starts_;
};

}  // namespace warpzone::smb
