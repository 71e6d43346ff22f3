// One game as an agent meets it: an action held for some frames, what it brought, when it ends.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "nes/console.h"
#include "smb/signals.h"
#include "smb/starts.h"
#include "smb/tiles.h"

namespace warpzone::smb {

enum class Reward : int32_t {
  gym,       // gym-super-mario-bros 7.x, summed over the frames of a step
  tutorial,  // that, +50 for the flag, -50 for another end, divided by 10
  progress,  // new-best progress
};

inline constexpr int kMostNoops = 36'000;  // ten minutes

struct Rules {
  std::vector<uint8_t> actions;       // buttons of each action
  std::vector<double> level_weights;  // one for each of the 32 levels
  int frame_skip = 4;
  int noop_max = 0;  // the most idle frames at the start
  double repeat_action_probability =
      0.0;                        // probability per frame that the buttons stay as they were
  double sticky_share = 1.0;      // of episodes that have sticky buttons at all
  int64_t max_steps = 0;          // 0: no limit
  int64_t no_progress_steps = 0;  // 0: no limit
  int64_t start_steps = 0;        // limit of episodes that begin within a level; 0: none
  bool skip_cutscenes = true;
  Reward reward = Reward::progress;
  double end_penalty = 2.5;      // with it, of an end other than the flag
  bool end_thrown_back = false;  // an episode ends where a maze sends Mario back
  bool show_level = false;       // the tile view's scalars name the level
  int last_level = -1;  // the game goes on from level to level up to this one; -1: it does not

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
    require(total > 0, "at least one level must have a weight above 0");
    require(frame_skip >= 1, "frame_skip must be at least 1");
    require(noop_max >= 0 && noop_max <= kMostNoops, "noop_max must be from 0 to 36,000");
    require(repeat_action_probability >= 0 && repeat_action_probability < 1,
            "repeat_action_probability must be at least 0 and below 1");
    require(last_level < kLevels, "there is no such last_level");
    require(sticky_share >= 0 && sticky_share <= 1, "sticky_share must be from 0 to 1");
    require(end_penalty >= 0, "end_penalty must be 0 or more");
    require(max_steps >= 0 && no_progress_steps >= 0 && start_steps >= 0,
            "step limits must not be negative");
  }
};

// SplitMix64 (Steele, Lea & Flood 2014): eight bytes of state, one stream per game.
struct Random {
  uint64_t state;

  uint64_t next() {
    uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }  // [0, 1)
  int below(int n) { return static_cast<int>(uniform() * n); }
};

inline Random stream(uint64_t seed, uint64_t index) {
  Random random{seed};
  Random mixed{random.next() ^ (index * 0xD1B54A32D192ED03ULL)};
  mixed.next();
  return mixed;
}

// Where a known way through a level leads, as 32 px wide columns of areas: elsewhere nothing counts
// as progress, so that a warp zone or the stretch behind the right pipe of a maze does not attract.
// In areas where the game turns back who comes along the wrong one of several floors, the floor on
// which Mario stands, or stood last, must be one of the way's.
class Route {
 public:
  void add_maze(uint16_t area) {
    if (!maze(area)) mazes_.push_back(area);
  }

  // What lies beside a column counts as well.
  void add(uint16_t area, int32_t x, int32_t y, bool on_ground) {
    const int32_t column = x / kColumn, row = y / kRow;
    for (int32_t c = std::max(column - 1, 0); c <= column + 1; ++c)
      insert(columns_, key(area, c, 0));
    if (!on_ground || !maze(area)) return;
    for (int32_t c = std::max(column - 1, 0); c <= column + 1; ++c) {
      insert(floored_, key(area, c, 0));
      for (int32_t r = std::max(row - 1, 0); r <= row + 1; ++r) insert(floors_, key(area, c, r));
    }
  }

  bool empty() const { return columns_.empty(); }

  bool leads_past(uint16_t area, int32_t x) const {
    return has(columns_, key(area, x / kColumn, 0));
  }

  // Whether who stands here is on another floor than the way.
  bool wrong_floor(uint16_t area, int32_t x, int32_t y) const {
    return maze(area) && has(floored_, key(area, x / kColumn, 0)) &&
           !has(floors_, key(area, x / kColumn, y / kRow));
  }

 private:
  using Cells = std::vector<uint64_t>;  // rising
  static constexpr int32_t kColumn = 32, kRow = 16;

  static uint64_t key(uint16_t area, int32_t column, int32_t row) {
    return static_cast<uint64_t>(area) << 32 | static_cast<uint64_t>(column) << 16 |
           static_cast<uint64_t>(row);
  }
  static void insert(Cells& cells, uint64_t cell) {
    const auto at = std::lower_bound(cells.begin(), cells.end(), cell);
    if (at == cells.end() || *at != cell) cells.insert(at, cell);
  }
  static bool has(const Cells& cells, uint64_t cell) {
    return std::binary_search(cells.begin(), cells.end(), cell);
  }
  bool maze(uint16_t area) const {
    return std::find(mazes_.begin(), mazes_.end(), area) != mazes_.end();
  }

  Cells columns_, floored_, floors_;
  std::vector<uint16_t> mazes_;
};

// New-best x in each area that the episode has seen, so that a pipe or a maze is not misread.
struct Progress {
  static constexpr size_t kAreas = 8;
  std::array<int32_t, kAreas> best;
  std::array<uint16_t, kAreas> area;
  int32_t total;
  int32_t areas;

  void start(uint16_t id, int32_t x) {
    std::memset(this, 0, sizeof(*this));
    area[0] = id;
    best[0] = x;
    areas = 1;
  }

  // Returns the px gained by being at `x`. A maze that turns Mario back from its first screens puts
  // him left of 0 for a moment, which the game counts below 65,536.
  int32_t visit(uint16_t id, int32_t x) {
    if (x >= 0x8000) return 0;
    auto count = static_cast<size_t>(areas);
    size_t i = 0;
    while (i < count && area[i] != id) ++i;
    if (i == count) {
      if (count == kAreas) return 0;
      area[i] = id;
      best[i] = x;
      ++areas;
    }
    const int32_t gain = std::max(x - best[i], 0);
    best[i] += gain;
    total += gain;
    return gain;
  }
};

// A moment within a level at which an episode may begin. The frames that led to it are played again
// first: what looks back, a stack of pictures or a speed, then sees what really happened.
struct Start {
  nes::State nes;                // before those frames
  std::vector<uint8_t> buttons;  // of each of them
  int32_t level;
  int32_t step;       // agent steps from the level's start to this moment, as it was first played
  Progress progress;  // that they brought: what lies behind is no progress any more
  // Buttons of all frames from the level's start to `nes`; nullopt: it was not reached from there.
  std::optional<std::vector<uint8_t>> lead;
};

// Starts to draw from, each with a weight.
class Starts {
 public:
  // None is drawn before they have been weighed.
  void set(std::vector<Start> all) {
    all_ = std::move(all);
    share_ = 0;
  }

  // Throws std::invalid_argument.
  void weigh(std::span<const double> weights, double share) {
    if (!(share >= 0 && share <= 1)) throw std::invalid_argument("share must be from 0 to 1");
    if (weights.size() != all_.size()) {
      throw std::invalid_argument("there must be a weight for each start");
    }
    std::vector<double> sums;
    for (const double weight : weights) {
      if (!(weight >= 0)) throw std::invalid_argument("weights must be at least 0");
      sums.push_back(weight + (sums.empty() ? 0 : sums.back()));
    }
    if (share > 0 && (sums.empty() || !(sums.back() > 0))) {
      throw std::invalid_argument("no start has a weight above 0");
    }
    if (!sums.empty() && !std::isfinite(sums.back())) {
      throw std::invalid_argument("weights must have a finite sum");
    }
    sums_ = std::move(sums);
    share_ = share;
  }

  // The start of the next episode; nullptr: the level's own.
  const Start* draw(Random& random) const {
    if (share_ <= 0 || random.uniform() >= share_) return nullptr;
    const double at = random.uniform() * sums_.back();
    const auto found = std::upper_bound(sums_.begin(), sums_.end(), at);
    const auto index = static_cast<size_t>(found - sums_.begin());
    return &all_[std::min(index, all_.size() - 1)];
  }

  // A route for each level that has one.
  void set_routes(std::vector<std::pair<int, Route>> routes) {
    for (auto& [level, route] : routes) routes_.at(static_cast<size_t>(level)) = std::move(route);
  }

  // That of a level; an empty one for what is no level, as a saved state may have it.
  const Route& route(int32_t level) const {
    const auto at = static_cast<size_t>(level);
    return at < routes_.size() ? routes_[at] : none_;
  }

  const Start& at(int32_t index) const { return all_.at(static_cast<size_t>(index)); }
  int32_t index(const Start* start) const { return static_cast<int32_t>(start - all_.data()); }

 private:
  std::vector<Start> all_;
  std::vector<double> sums_;  // of the weights up to each
  double share_ = 0;
  std::array<Route, kLevels> routes_;
  Route none_;
};

struct Outcome {
  float reward;
  bool terminated;
  bool truncated;
};

inline constexpr int kProgressCap = 16;  // px a step: more is a jump between areas
inline constexpr float kProgressScale = 1.0F / 20;
inline constexpr float kProgressFlag = 5.0F, kProgressStep = -0.01F;
inline constexpr float kProgressPassage = 2.5F;  // with a route: a pipe that leads on
inline constexpr int kPassage = 128;             // px at once that only a pipe brings
inline constexpr int kThrownBack =
    512;  // px to the left at once: by a maze, or a pipe to its start
inline constexpr int kGymLimit = 15, kGymJump = 5, kGymDeath = -25;
inline constexpr int kCutsceneLimit = 1800;  // frames; no cutscene of the game is that long

struct Game {
  nes::State nes;
  Random random;
  Progress progress;
  Motion motion;
  Signals signals;
  int64_t stuck_steps;  // since the last progress
  float episode_return;
  int32_t last_x, last_time;  // of the last frame that was rewarded
  uint8_t held;               // buttons of the last frame
  uint8_t over;               // the episode has ended
  uint8_t sticky;             // buttons may stick in this episode
  uint8_t passed;             // a level is cleared and the next one is to come
  uint8_t astray;             // on another floor of a maze than its route
  uint8_t reserved[7];

  // `see_frame(game, cutscene)` is called after every frame that the agent may look back at, with
  // whether nobody played it.
  template <typename SeeFrame>
  void reset(LevelStarts& levels, const Rules& rules, const Starts& starts, SeeFrame&& see_frame) {
    signals.frames = 0;
    signals.steps = 0;
    held = 0;
    if (const Start* start = starts.draw(random)) {
      signals.start = starts.index(start);
      begin_at(*start, levels.cartridge(), rules, see_frame);
    } else {
      signals.start = -1;
      begin_level(levels, rules);
      see_frame(*this, false);
    }
    const bool some = rules.repeat_action_probability > 0 && rules.sticky_share < 1;
    sticky = rules.repeat_action_probability > 0 && (!some || random.uniform() < rules.sticky_share)
                 ? 1
                 : 0;
    over = 0;
    passed = 0;
    astray = 0;
    stuck_steps = 0;
    episode_return = 0;
    if (signals.start < 0) progress.start(area_id(nes), player_x(nes));
    read_signals(nes, signals);
    signals.flag = 0;
    signals.death = 0;
    signals.progress = 0;
    last_x = signals.x;
    last_time = signals.time;
  }

  template <typename SeeFrame>
  Outcome step(const nes::Cartridge& cart, const Rules& rules, const Route& route, uint8_t buttons,
               SeeFrame&& see_frame) {
    remember_motion(nes, motion);
    const int32_t before = progress.total, areas_before = progress.areas;
    const int32_t x_before = signals.x;
    const uint16_t area_before = area_id(nes);
    int32_t gym = 0;
    for (int i = 0; i < rules.frame_skip && over == 0; ++i) {
      if (sticky == 0 || random.uniform() >= rules.repeat_action_probability) held = buttons;
      run_frame(cart, rules, route, held);
      gym += gym_reward();
      see_frame(*this, false);
      if (passed != 0) go_on(cart, see_frame);
      if (over == 0 && rules.skip_cutscenes) skip_cutscene(cart, rules, route, see_frame);
    }
    if (rules.end_thrown_back && over == 0 && area_id(nes) == area_before &&
        signals.x < x_before - kThrownBack) {
      signals.death = static_cast<int32_t>(Death::thrown_back);
      over = 1;
    }
    ++signals.steps;
    signals.progress = progress.total;
    stuck_steps = progress.total > before ? 0 : stuck_steps + 1;

    Outcome outcome{};
    outcome.terminated = over != 0;
    const auto at_limit = [](int64_t limit, int64_t steps) { return limit > 0 && steps >= limit; };
    outcome.truncated =
        !outcome.terminated && (at_limit(rules.max_steps, signals.steps) ||
                                at_limit(rules.no_progress_steps, stuck_steps) ||
                                (signals.start >= 0 && at_limit(rules.start_steps, signals.steps)));
    const int32_t gained = progress.total - before;
    outcome.reward = reward(rules, gym, gained);
    const bool jumped = gained > 0 && signals.x - x_before > kPassage;
    const bool passage = progress.areas > areas_before || jumped;
    if (rules.reward == Reward::progress && !route.empty() && passage) {
      outcome.reward += kProgressPassage;
    }
    episode_return += outcome.reward;
    if (outcome.truncated) over = 1;
    return outcome;
  }

  // One emulated frame: the console, the signals, the ends.
  void run_frame(const nes::Cartridge& cart, const Rules& rules, const Route& route,
                 uint8_t buttons) {
    nes::run_frame(nes, cart, buttons);
    ++signals.frames;
    read_signals(nes, signals);
    if (nes.jammed != 0) throw std::runtime_error("the game's program has crashed");
    if (cleared(nes)) {
      if (signals.level < rules.last_level) {
        passed = 1;
      } else {
        signals.flag = 1;
        over = 1;
      }
    } else if (dying(nes) || dead(nes)) {
      signals.death = static_cast<int32_t>(death_cause(nes));
      over = 1;
    } else if ((signals.world - 1) * 4 + signals.stage - 1 != signals.level) {
      signals.death = static_cast<int32_t>(Death::warped);
      over = 1;
    } else if (!cutscene(nes) && on_route(route)) {
      progress.visit(area_id(nes), signals.x);
    }
  }

 private:
  bool on_route(const Route& route) {
    if (route.empty()) return true;
    const uint16_t area = area_id(nes);
    if (standing(nes)) astray = route.wrong_floor(area, signals.x, screen_y(nes)) ? 1 : 0;
    return astray == 0 && route.leads_past(area, signals.x);
  }

  void begin_level(LevelStarts& levels, const Rules& rules) {
    nes = levels.start(choose_level(rules));
    const int idle = rules.noop_max > 0 ? random.below(rules.noop_max + 1) : 0;
    for (int i = 0; i < idle; ++i) {
      nes::run_frame(nes, levels.cartridge(), 0);
      ++signals.frames;
      if (dying(nes) || dead(nes)) throw std::runtime_error("Mario died before the first action");
    }
    remember_motion(nes, motion);
  }

  template <typename SeeFrame>
  void begin_at(const Start& start, const nes::Cartridge& cart, const Rules& rules,
                SeeFrame&& see_frame) {
    nes = start.nes;
    signals.level = start.level;
    progress = start.progress;
    progress.total = 0;
    remember_motion(nes, motion);
    if (start.buttons.empty()) see_frame(*this, false);
    for (size_t i = 0; i < start.buttons.size(); ++i) {
      if (i % static_cast<size_t>(rules.frame_skip) == 0) remember_motion(nes, motion);
      held = start.buttons[i];
      nes::run_frame(nes, cart, held);
      see_frame(*this, false);
    }
  }

  int choose_level(const Rules& rules) {
    double total = 0;
    for (const double weight : rules.level_weights) total += weight;
    double at = random.uniform() * total;
    int chosen = -1;
    for (int level = 0; level < kLevels; ++level) {
      const double weight = rules.level_weights[static_cast<size_t>(level)];
      if (weight <= 0) continue;
      chosen = level;  // rounding must not run past the last one
      at -= weight;
      if (at < 0) break;
    }
    signals.level = chosen;
    return chosen;
  }

  template <typename SeeFrame>
  void skip_cutscene(const nes::Cartridge& cart, const Rules& rules, const Route& route,
                     SeeFrame&& see_frame) {
    int waited = 0;
    while (over == 0 && cutscene(nes)) {
      if (++waited > kCutsceneLimit) throw std::runtime_error("a cutscene does not end");
      run_frame(cart, rules, route, 0);
      see_frame(*this, true);
    }
    if (waited > 0) held = 0;
  }

  // Waits until the next level can be played. What Mario has, he keeps.
  template <typename SeeFrame>
  void go_on(const nes::Cartridge& cart, SeeFrame&& see_frame) {
    passed = 0;
    for (int waited = 0; cleared(nes) || cutscene(nes); ++waited) {
      if (waited > kCutsceneLimit) throw std::runtime_error("the next level does not begin");
      nes::run_frame(nes, cart, 0);
      ++signals.frames;
      see_frame(*this, true);
    }
    read_signals(nes, signals);
    signals.level = (signals.world - 1) * 4 + signals.stage - 1;
    const int32_t total = progress.total;
    progress.start(area_id(nes), signals.x);
    progress.total = total;
    last_x = signals.x;
    last_time = signals.time;
    held = 0;
  }

  // gym-super-mario-bros 7.x, `_get_reward`, clipped to `reward_range` as nes-py does.
  int32_t gym_reward() {
    int32_t moved = signals.x - last_x;
    if (moved < -kGymJump || moved > kGymJump) moved = 0;
    const int32_t ticked = std::min(signals.time - last_time, 0);
    last_x = signals.x;
    last_time = signals.time;
    const int32_t death = dying(nes) || dead(nes) ? kGymDeath : 0;
    return std::clamp(moved + ticked + death, -kGymLimit, kGymLimit);
  }

  float reward(const Rules& rules, int32_t gym, int32_t gained) const {
    const bool flag = signals.flag != 0;
    switch (rules.reward) {
      case Reward::gym: return static_cast<float>(gym);
      case Reward::tutorial: {
        const int32_t end = over == 0 ? 0 : flag ? 50 : -50;
        return static_cast<float>(gym + end) / 10.0F;
      }
      case Reward::progress: break;
    }
    const auto px = static_cast<float>(std::min(gained, kProgressCap));
    const auto penalty = static_cast<float>(rules.end_penalty);
    const float end = over == 0 ? 0.0F : flag ? kProgressFlag : -penalty;
    return px * kProgressScale + kProgressStep + end;
  }
};

static_assert(std::is_trivially_copyable_v<Game>);
static_assert(alignof(Game) == 8);

}  // namespace warpzone::smb
