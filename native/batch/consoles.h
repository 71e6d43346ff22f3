// N consoles with one cartridge, whatever is on it: they are stepped by worker threads, and numbers
// are read from their memory. When an episode ends is not decided here: whoever reads the numbers
// says so. A game whose rules are native code is played by a Batch instead, which is faster.
// One file because a batch is one class: steps, resets and saved states share its arrays.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch/config.h"
#include "batch/crew.h"
#include "batch/exclusive.h"
#include "batch/pixels.h"
#include "batch/variables.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "nes/palette.h"
#include "nes/snapshot.h"
#include "random/random.h"

namespace warpzone::batch {

// What all consoles of a batch have in common.
struct Play {
  std::vector<uint8_t> actions;  // buttons of each
  int frame_skip = 4;
  int noop_max = 0;  // the most idle frames at the start
  double repeat_action_probability = 0;
  int status_bar = 0;  // lines of the screen that `crop_status_bar` leaves out
  std::vector<Variable> variables;
  std::vector<std::vector<uint8_t>> starts;  // snapshots
  std::vector<double> weights;               // of the starts

  // Throws std::invalid_argument.
  void check(const nes::Cartridge& cart) const {
    const auto require = [](bool ok, const char* what) {
      if (!ok) throw std::invalid_argument(what);
    };
    require(!actions.empty() && actions.size() <= 256, "there must be from 1 to 256 actions");
    require(frame_skip >= 1 && frame_skip <= 60, "frame_skip must be from 1 to 60");
    require(noop_max >= 0 && noop_max <= 36000, "noop_max must be from 0 to 36,000");
    require(repeat_action_probability >= 0 && repeat_action_probability < 1,
            "repeat_action_probability must be at least 0 and below 1");
    require(status_bar >= 0 && status_bar < nes::kScreenHeight,
            "a status bar must have from 0 to 239 lines");
    for (const Variable& variable : variables) variable.check(cart);
    require(!starts.empty(), "there must be a start");
    double total = 0;
    for (const double weight : weights) {
      require(weight >= 0 && weight < 1e300, "weights must be numbers of at least 0");
      total += weight;
    }
    require(weights.size() == starts.size() && total > 0,
            "there must be a weight for each start, and one of them above 0");
  }

  size_t columns() const { return variables.size(); }
};

// Where an episode begins, of each game; empty: nothing is said.
struct Starts {
  std::vector<std::optional<std::pair<uint64_t, uint64_t>>> seeds;  // and stream; or go on
  std::vector<int32_t> starts;                                      // -1: drawn
  std::vector<std::vector<uint8_t>> states;                         // snapshots; empty: none
};

// May be used by any thread, but by one at a time: a second one gets std::logic_error.
class Consoles {
  // With a state of the kind that the cartridge needs.
  template <typename S, typename Call>
  auto with(S& state, Call&& call) const {
    using Plain = std::conditional_t<std::is_const_v<S>, const nes::State, nes::State>;
    return cart_->plain ? call(static_cast<Plain&>(state)) : call(state);
  }

  template <typename T>
  auto* row(T& array, size_t i) const {
    return array.data() + i * play_.columns();
  }

 public:
  // Throws std::invalid_argument.
  Consoles(std::shared_ptr<const nes::Cartridge> cart, Play play, const Config& config)
      : cart_(std::move(cart)), play_(std::move(play)), config_(config),
        states_(static_cast<size_t>(config.num_games)) {
    config_.check(play_.frame_skip);
    play_.check(*cart_);
    for (const auto& start : play_.starts) with(states_[0], [&](auto& s) { load(s, start); });
    const size_t n = states_.size();
    for (size_t i = 0; i < n; ++i) with(states_[i], [&](auto& s) { nes::switch_on(s, *cart_); });
    if (config_.observation == Observation::pixels) {
      pixels_.emplace(config_, play_.frame_skip, play_.status_bar);
    }
    games_.assign(n, {});
    observation_bytes_ = bytes_of_observation();
    observations.assign(n * observation_bytes_, 0);
    values.assign(n * play_.columns(), 0);
    before.assign(n * play_.columns(), 0);
    steps.assign(n, 0);
    frames.assign(n, 0);
    starts.assign(n, 0);
    ended.assign(n, 1);
    actions_.assign(n, 0);
    pending_.assign(static_cast<size_t>(config_.num_groups), 0);
    seed_all(config_.seed);
    std::vector<int> sizes;
    for (int group = 0; group < config_.num_groups; ++group) {
      sizes.push_back(group_begin(group + 1) - group_begin(group));
    }
    sizes.push_back(1);  // resets
    crew_.start(std::min(config_.threads, config_.num_games), sizes, [this](int job, int item) {
      const auto k = static_cast<size_t>(item);
      job == config_.num_groups ? begin_episode(resetting_[k], given_)
                                : step_game(static_cast<size_t>(group_begin(job)) + k);
    });
  }

  Consoles(const Consoles&) = delete;
  Consoles& operator=(const Consoles&) = delete;

  // Ends the threads. All that may be done after it is to read the arrays.
  void close() {
    const auto hold = door_.enter();
    crew_.stop();
    std::fill(pending_.begin(), pending_.end(), uint8_t{0});
  }

  const Config& config() const { return config_; }
  const Play& play() const { return play_; }
  size_t observation_bytes() const { return observation_bytes_; }
  int group_begin(int group) const {
    return static_cast<int>(static_cast<int64_t>(config_.num_games) * group / config_.num_groups);
  }

  // Begins episodes anew where `mask` is not 0, in games whose group is not stepping. Throws
  // std::invalid_argument before any game has changed.
  void reset(std::span<const uint8_t> mask, const Starts& given = {}) {
    const auto hold = enter();
    const size_t n = games_.size();
    const auto fits = [n](const auto& each) { return each.empty() || each.size() == n; };
    if (mask.size() != n || !fits(given.seeds) || !fits(given.starts) || !fits(given.states)) {
      throw std::invalid_argument("a mask, seeds, starts and states need a value per game");
    }
    std::vector<size_t> chosen;
    for (size_t i = 0; i < n; ++i) {
      if (mask[i] == 0) continue;
      require_idle(i);
      chosen.push_back(i);
      if (!given.starts.empty() && given.starts[i] >= static_cast<int>(play_.starts.size())) {
        throw std::invalid_argument("there is no start " + std::to_string(given.starts[i]));
      }
    }
    if (chosen.empty()) return;
    const auto probe = std::make_unique<nes::FullState>();
    for (const size_t i : chosen) {
      if (given.states.empty() || given.states[i].empty()) continue;
      with(*probe, [&](auto& s) { load(s, given.states[i]); });
    }
    crew_.revive();
    for (const size_t i : chosen) {
      if (!given.seeds.empty() && given.seeds[i]) {
        games_[i].random = stream(given.seeds[i]->first, given.seeds[i]->second);
      }
    }
    resetting_ = std::move(chosen);
    given_ = &given;
    crew_->start(config_.num_groups, static_cast<int>(resetting_.size()));
    try {
      crew_->wait(config_.num_groups);
    } catch (...) {
      given_ = nullptr;
      throw;
    }
    given_ = nullptr;
  }

  // Throws std::invalid_argument for an action that does not exist, std::logic_error for a game
  // that has no running episode. `actions` are of all games.
  void check_actions(std::span<const int64_t> actions) const {
    const auto hold = enter();
    if (actions.size() != games_.size()) {
      throw std::invalid_argument("there must be an action for each game");
    }
    check_actions(0, actions);
  }

  // Begins to step the games of a group. When it throws, none of them has moved.
  void send(int group, std::span<const int64_t> actions) {
    const auto hold = enter();
    check_group(group);
    const auto begin = static_cast<size_t>(group_begin(group));
    const auto count = static_cast<size_t>(group_begin(group + 1)) - begin;
    if (pending_[static_cast<size_t>(group)] != 0) {
      throw std::logic_error("this group is stepping already; recv it first");
    }
    if (actions.size() != count) {
      throw std::invalid_argument("group " + std::to_string(group) + " takes " +
                                  std::to_string(count) + " actions, got " +
                                  std::to_string(actions.size()));
    }
    check_actions(begin, actions);
    crew_.revive();
    std::copy(actions.begin(), actions.end(), actions_.begin() + static_cast<ptrdiff_t>(begin));
    pending_[static_cast<size_t>(group)] = 1;
    crew_->start(group);
  }

  // Waits for the group. Throws what the first failing game threw; then reset before going on.
  void recv(int group) {
    const auto hold = enter();
    check_group(group);
    if (pending_[static_cast<size_t>(group)] == 0) {
      throw std::logic_error("nothing was sent to this group");
    }
    pending_[static_cast<size_t>(group)] = 0;
    crew_->wait(group);
  }

  // Every frame of the last step of a batch with keep_frames, of a reset the one that it shows.
  const std::vector<uint8_t>& kept_frames() const { return kept_frames_; }

  // Calls with the console of a game that is not stepping.
  template <typename Call>
  auto console(size_t game, Call&& call) {
    const auto hold = enter();
    require_idle(game);
    return with(states_[game], call);
  }
  const nes::Cartridge& cartridge() const { return *cart_; }
  nes::FullState& state(size_t game) {
    require_idle(game);
    return states_[game];
  }

  // Everything that decides what comes next, as bytes; of one game, or (-1) of all.
  std::vector<uint8_t> save(int game = -1) const {
    const auto hold = enter();
    const auto [first, n] = range(game);
    std::vector<uint8_t> bytes(saved_bytes(n));
    uint8_t* at = bytes.data();
    const auto put = [&at](const void* from, size_t size) {
      if (size > 0) std::memcpy(at, from, size);
      at += size;
    };
    const SaveHeader header = save_header(n);
    put(&header, sizeof(header));
    for (size_t i = first; i < first + n; ++i) {
      require_idle(i);
      with(states_[i], [&](const auto& s) {
        nes::save(s, *cart_, at);
        at += snapshot_bytes();
      });
      put(&games_[i], sizeof(Game));
      put(&ended[i], 1);
      put(&steps[i], sizeof(int32_t));
      put(&frames[i], sizeof(int32_t));
      put(&starts[i], sizeof(int32_t));
      put(row(values, i), play_.columns() * sizeof(int64_t));
      put(row(before, i), play_.columns() * sizeof(int64_t));
      put(observations.data() + i * observation_bytes_, observation_bytes_);
    }
    return bytes;
  }

  // Throws std::invalid_argument when the bytes are not from a batch like this one; nothing is
  // changed then.
  void load_all(std::span<const uint8_t> bytes, int game = -1) {
    const auto hold = enter();
    const auto [first, n] = range(game);
    const SaveHeader expected = save_header(n);
    if (bytes.size() != saved_bytes(n) ||
        std::memcmp(bytes.data(), &expected, sizeof(expected)) != 0) {
      throw std::invalid_argument(
          "these bytes were not saved by environments like these (number of games, observation, "
          "variables, cartridge or version differ)");
    }
    const auto probe = std::make_unique<nes::FullState>();
    for (const bool really : {false, true}) {
      const uint8_t* at = bytes.data() + sizeof(expected);
      for (size_t i = first; i < first + n; ++i) {
        require_idle(i);
        with(really ? states_[i] : *probe,
             [&](auto& s) { load(s, std::span(at, snapshot_bytes())); });
        at += snapshot_bytes();
        Saved saved;
        const auto take = [&at](void* to, size_t size) {
          if (size > 0) std::memcpy(to, at, size);
          at += size;
        };
        take(&saved.game, sizeof(Game));
        take(&saved.ended, 1);
        take(&saved.steps, sizeof(int32_t));
        take(&saved.frames, sizeof(int32_t));
        take(&saved.start, sizeof(int32_t));
        if (!really) {
          check(saved);
          at += 2 * play_.columns() * sizeof(int64_t) + observation_bytes_;
          continue;
        }
        games_[i] = saved.game;
        ended[i] = saved.ended;
        steps[i] = saved.steps;
        frames[i] = saved.frames;
        starts[i] = saved.start;
        take(row(values, i), play_.columns() * sizeof(int64_t));
        take(row(before, i), play_.columns() * sizeof(int64_t));
        take(observations.data() + i * observation_bytes_, observation_bytes_);
      }
    }
  }

  // Per game, in order. `values`, [N, columns]: the variables as they stand;
  // `before` as they stood before the last step, or where the episode began. `starts`: at which of
  // the starts, -1: elsewhere. `ended`: who waits for a reset; whoever decides that sets it.
  std::vector<uint8_t> observations, ended;
  std::vector<int64_t> values, before;
  std::vector<int32_t> steps, frames, starts;

 private:
  struct Game {
    Random random, draws;  // of all episodes, of this one
    uint64_t held;         // buttons
  };
  static_assert(std::has_unique_object_representations_v<Game>);

  struct Saved {
    Game game;
    uint8_t ended;
    int32_t steps, frames, start;
  };

  // States of which only what is used takes memory: the system gives pages when they are touched.
  class States {
   public:
    explicit States(size_t n) : size_(n) {
      memory_.reset(static_cast<nes::FullState*>(std::calloc(n, sizeof(nes::FullState))));
      if (memory_ == nullptr) throw std::bad_alloc();
    }
    size_t size() const { return size_; }
    nes::FullState& operator[](size_t i) { return memory_.get()[i]; }
    const nes::FullState& operator[](size_t i) const { return memory_.get()[i]; }

   private:
    struct Free {
      void operator()(nes::FullState* memory) const { std::free(memory); }
    };
    size_t size_;
    std::unique_ptr<nes::FullState, Free> memory_;
  };

  struct SaveHeader {
    char magic[8];
    uint32_t version;
    int32_t num_games;
    int32_t observation;
    int32_t columns;
    uint64_t observation_bytes;
    uint64_t cartridge;
  };

  template <typename S>
  void load(S& s, std::span<const uint8_t> snapshot) const {
    s = nes::load<S>(snapshot, *cart_);
  }

  size_t snapshot_bytes() const {
    return cart_->plain ? nes::snapshot_bytes<nes::State>(*cart_)
                        : nes::snapshot_bytes<nes::FullState>(*cart_);
  }

  SaveHeader save_header(size_t n) const {
    return {{'W', 'Z', 'C', 'O', 'N', 'S', 'O', '\0'},
            1,
            static_cast<int32_t>(n),
            static_cast<int32_t>(config_.observation),
            static_cast<int32_t>(play_.columns()),
            observation_bytes_,
            cart_->fingerprint};
  }

  size_t saved_bytes(size_t n) const {
    const size_t one = snapshot_bytes() + sizeof(Game) + 1 + 3 * sizeof(int32_t) +
                       2 * play_.columns() * sizeof(int64_t) + observation_bytes_;
    return sizeof(SaveHeader) + n * one;
  }

  void check(const Saved& saved) const {
    const auto count = [](int32_t value) { return value >= 0 && value <= 1 << 30; };
    const bool good = count(saved.steps) && count(saved.frames) && saved.game.held < 256 &&
                      saved.start >= -1 && saved.start < static_cast<int>(play_.starts.size());
    if (!good) throw std::invalid_argument("the saved state of a game is damaged");
  }

  // Throws std::logic_error.
  [[nodiscard]] Exclusive::Hold enter() const {
    if (crew_.elsewhere() && (door_.busy() || stepping())) {
      throw std::logic_error(
          "these games were in use when this process was forked: make an environment of its own in "
          "this process");
    }
    auto hold = door_.enter();
    if (!crew_.works()) throw std::logic_error("these games are closed: make new ones");
    return hold;
  }

  bool stepping() const {
    return std::any_of(pending_.begin(), pending_.end(), [](uint8_t p) { return p != 0; });
  }

  void check_group(int group) const {
    if (group < 0 || group >= config_.num_groups) {
      throw std::invalid_argument("there are " + std::to_string(config_.num_groups) +
                                  " groups, there is no group " + std::to_string(group));
    }
  }

  void require_idle(size_t game) const {
    if (game >= games_.size()) {
      throw std::invalid_argument("there is no game " + std::to_string(game) + ": games are 0 to " +
                                  std::to_string(games_.size() - 1));
    }
    int group = 0;
    while (game >= static_cast<size_t>(group_begin(group + 1))) ++group;
    if (pending_[static_cast<size_t>(group)] != 0) {
      throw std::logic_error("this game is stepping; recv its group first");
    }
  }

  std::pair<size_t, size_t> range(int game) const {
    if (game < 0) return {0, games_.size()};
    require_idle(static_cast<size_t>(game));
    return {static_cast<size_t>(game), 1};
  }

  void check_actions(size_t first, std::span<const int64_t> actions) const {
    const auto known = static_cast<int64_t>(play_.actions.size());
    for (size_t k = 0; k < actions.size(); ++k) {
      const size_t i = first + k;
      if (ended[i] != 0) {
        if (config_.autoreset == Autoreset::next_step) continue;  // it is not looked at
        throw std::logic_error("game " + std::to_string(i) +
                               " has no running episode: call reset() first");
      }
      if (actions[k] < 0 || actions[k] >= known) {
        throw std::invalid_argument("action " + std::to_string(actions[k]) + " of game " +
                                    std::to_string(i) + " is outside 0.." +
                                    std::to_string(known - 1));
      }
    }
  }

  size_t bytes_of_observation() const {
    switch (config_.observation) {
      case Observation::features: return 0;  // made of the variables by whoever wants one
      case Observation::pixels: return pixels_->bytes();
      case Observation::rgb: return static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth * 3;
      case Observation::ram: break;
    }
    return 0x800;
  }

  void seed_all(uint64_t seed) {
    for (size_t i = 0; i < games_.size(); ++i) games_[i].random = stream(seed, i);
  }

  int drawn_start(Random& draws) const {
    double total = 0;
    for (const double weight : play_.weights) total += weight;
    double at = draws.uniform() * total;
    int chosen = 0;
    for (size_t k = 0; k < play_.weights.size(); ++k) {
      if (play_.weights[k] <= 0) continue;
      chosen = static_cast<int>(k);  // rounding must not run past the last one
      at -= play_.weights[k];
      if (at < 0) break;
    }
    return chosen;
  }

  void begin_episode(size_t i, const Starts* given) {
    Game& game = games_[i];
    ended[i] = 1;  // stays so when it fails
    game.draws = stream(game.random.next(), 0);
    game.held = 0;
    int start = drawn_start(game.draws);
    const std::vector<uint8_t>* moment = nullptr;
    if (given != nullptr) {
      if (!given->starts.empty() && given->starts[i] >= 0) start = given->starts[i];
      if (!given->states.empty() && !given->states[i].empty()) moment = &given->states[i];
    }
    const int idle = play_.noop_max > 0 ? game.draws.below(play_.noop_max + 1) : 0;
    if (config_.keep_frames) kept_frames_.clear();
    with(states_[i], [&](auto& s) {
      load(s, moment != nullptr ? *moment : play_.starts[static_cast<size_t>(start)]);
      for (int k = 0; k < idle; ++k) run_frame(s, 0);
      if (config_.keep_frames) keep_frame(s);
      read(s, i);
      std::copy_n(row(values, i), play_.columns(), row(before, i));
      if (pixels_) {
        using S = std::remove_reference_t<decltype(s)>;
        PixelStack::Beginning<S>(*pixels_, *cart_, observation(i)).see(s);
      } else {
        observe(s, i);
      }
    });
    steps[i] = 0;
    frames[i] = idle;
    starts[i] = moment != nullptr ? -1 : start;
    ended[i] = 0;
  }

  void step_game(size_t i) {
    if (ended[i] != 0) return begin_episode(i, nullptr);  // next-step autoreset
    Game& game = games_[i];
    const uint8_t buttons = play_.actions[static_cast<size_t>(actions_[i])];
    std::copy_n(row(values, i), play_.columns(), row(before, i));
    if (config_.keep_frames) kept_frames_.clear();
    with(states_[i], [&](auto& s) {
      using S = std::remove_reference_t<decltype(s)>;
      std::optional<PixelStack::Step<S>> pictures;
      if (pixels_) pictures.emplace(*pixels_, *cart_, observation(i));
      for (int frame = 0; frame < play_.frame_skip; ++frame) {
        if (!sticks(game)) game.held = buttons;
        run_frame(s, static_cast<uint8_t>(game.held));
        if (config_.keep_frames) keep_frame(s);
        if (pictures) pictures->see(s, false, false);
      }
      read(s, i);
      if (pictures) {
        pictures->finish(s);
      } else {
        observe(s, i);
      }
    });
    ++steps[i];
    frames[i] += play_.frame_skip;
  }

  bool sticks(Game& game) const {
    return play_.repeat_action_probability > 0 &&
           game.draws.uniform() < play_.repeat_action_probability;
  }

  template <typename S>
  void run_frame(S& s, uint8_t buttons) const {
    nes::run_frame(s, *cart_, buttons);
    if (s.jammed != 0) throw std::runtime_error("the game's program has crashed");
  }

  template <typename S>
  void read(const S& s, size_t i) {
    int64_t* const out = row(values, i);
    for (size_t k = 0; k < play_.variables.size(); ++k) out[k] = play_.variables[k].read(s);
  }

  uint8_t* observation(size_t i) { return observations.data() + i * observation_bytes_; }

  template <typename S>
  void observe(const S& s, size_t i) {
    uint8_t* out = observation(i);
    if (config_.observation == Observation::ram) std::memcpy(out, s.ram.data(), s.ram.size());
    if (config_.observation != Observation::rgb) return;
    nes::ppu::Painter<simd::Best, S> painter(s, *cart_, nes::ppu::kSameColours);
    typename nes::ppu::Painter<simd::Best, S>::Line buffer;
    for (int y = 0; y < nes::kScreenHeight; ++y) {
      const uint8_t* line = painter.next(buffer, true);
      for (int x = 0; x < nes::kScreenWidth; ++x, out += 3) {
        std::memcpy(out, nes::kPalette[line[x]].data(), 3);
      }
    }
  }

  template <typename S>
  void keep_frame(const S& s) {
    constexpr size_t kBytes = static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth;
    kept_frames_.resize(kept_frames_.size() + kBytes);
    nes::ppu::draw(s, *cart_, kept_frames_.data() + kept_frames_.size() - kBytes);
  }

  std::shared_ptr<const nes::Cartridge> cart_;
  Play play_;
  Config config_;
  States states_;
  std::vector<Game> games_;
  std::vector<int64_t> actions_;
  std::vector<uint8_t> pending_;
  std::vector<size_t> resetting_;     // while `reset` runs
  const Starts* given_ = nullptr;     // likewise
  std::optional<PixelStack> pixels_;  // where they are observed
  std::vector<uint8_t> kept_frames_;
  size_t observation_bytes_ = 0;
  Exclusive door_;
  Crew crew_;  // last: its threads stop before what they use goes
};

}  // namespace warpzone::batch
