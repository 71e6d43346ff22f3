// N games at once, in groups that can be stepped independently of each other. Everything that a
// caller reads lies in arrays that are allocated once; worker threads write straight into them.
// One file because a batch is one class: steps, resets and saved states share its arrays, and what
// stands by itself (config, game, input log, pixels, play, workers) has a file beside it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch/config.h"
#include "batch/crew.h"
#include "batch/decider.h"
#include "batch/exclusive.h"
#include "batch/game.h"
#include "batch/input_log.h"
#include "batch/pixels.h"
#include "batch/play.h"
#include "batch/watch.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "nes/palette.h"
#include "nes/snapshot.h"
#include "simd/kernels.h"

namespace warpzone::batch {

// Arrays of a caller for the observations of a group, [n, ...] each: written to by the worker
// threads, as well as the batch's own.
struct Output {
  std::span<uint8_t> observations;  // empty: not wanted
  std::span<float> scalars;
  std::shared_ptr<void> owner;  // keeps them until the group has been received
};

// A random stream: number `stream` of those that come from `seed`.
struct Seed {
  uint64_t seed, stream;
};

// What may be said of each game when episodes begin. Empty: nothing.
struct Beginnings {
  std::vector<std::optional<Seed>> seeds;         // nullopt: go on with its stream
  std::vector<int32_t> levels;                    // -1: drawn
  std::vector<std::optional<nes::State>> states;  // a moment of play instead
};

// May be used by any thread, but by one at a time: a second one gets std::logic_error, and nothing
// is touched. In a forked process it may be used if no group was stepping when that was forked.
template <Game G>
class Batch {
 public:
  using State = typename G::State;
  using Signals = typename G::Signals;

  Batch(G game, Config config)
      : game_(std::move(game)), config_(checked(config, game_.frame_skip())),
        rows_(rows_at_once(config_)), pieces_(chunks()) {
    const auto n = static_cast<size_t>(config_.num_games);
    games_.resize(n);
    std::memset(static_cast<void*>(games_.data()), 0, n * sizeof(State));
    for (State& game : games_) game.nes = nes::power_on(game_.cartridge());
    needs_reset_.assign(n, 1);
    if (config_.observation == Observation::pixels) {
      pixels_.emplace(config_, game_.frame_skip(), G::kStatusBarLines);
    }
    observation_bytes_ = bytes_of_observation();
    observations.assign(n * observation_bytes_, 0);
    final_observations.assign(n * observation_bytes_, 0);
    scalars.assign(n * scalar_count(), 0.0F);
    final_scalars.assign(n * scalar_count(), 0.0F);
    rewards.assign(n, 0.0F);
    returns.assign(n, 0.0F);
    terminated.assign(n, 0);
    truncated.assign(n, 0);
    ended_places.assign(n, 0);
    signals.assign(n, {});
    start_signals.assign(n, {});
    actions_.assign(n, 0);
    spare_logits_.assign(n * game_.actions().size(), 0.0F);
    play_seconds_.resize(chunks());
    for (size_t i = 0; i < n; ++i) G::seed(games_[i], config_.seed, i);
    pending_.assign(static_cast<size_t>(config_.num_groups), 0);
    outputs_.resize(static_cast<size_t>(config_.num_groups));
    start_workers();
  }

  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Ends the threads. All that may be done after it is to read the arrays.
  void close() {
    const auto hold = door_.enter();
    crew_.stop();
    std::fill(pending_.begin(), pending_.end(), uint8_t{0});
    for (Output& output : outputs_) output = {};
  }

  // Nobody else may use the games as long as this lives. Throws std::logic_error.
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

  const Config& config() const { return config_; }
  const G& game() const { return game_; }
  // The same, to change what all games share; while none is stepping. `enter` while it is changed.
  G& game_to_change() {
    require_idle();
    return game_;
  }
  size_t observation_bytes() const { return observation_bytes_; }
  size_t scalar_count() const {
    return config_.observation == Observation::features ? G::kFeatureScalars : 0;
  }
  int group_begin(int group) const {
    return static_cast<int>(static_cast<int64_t>(config_.num_games) * group / config_.num_groups);
  }

  // New random streams for all games: results depend on the seed and a game's index alone.
  void seed(uint64_t seed) {
    const auto hold = enter();
    require_idle();
    for (size_t i = 0; i < games_.size(); ++i) G::seed(games_[i], seed, i);
  }

  // Starts new episodes where `mask` is not 0. Throws std::invalid_argument before any game has
  // changed.
  void reset(std::span<const uint8_t> mask, const Beginnings& given = {}) {
    const auto hold = enter();
    require_idle();
    const size_t n = games_.size();
    const auto fits = [n](const auto& values) { return values.empty() || values.size() == n; };
    if (mask.size() != n || !fits(given.seeds) || !fits(given.levels) || !fits(given.states)) {
      throw std::invalid_argument("a mask, seeds, levels and states need a value per game");
    }
    std::vector<typename G::Beginning> beginnings;
    for (size_t i = 0; i < n && !(given.levels.empty() && given.states.empty()); ++i) {
      beginnings.push_back(G::beginning(given.levels.empty() ? -1 : given.levels[i],
                                        given.states.empty() ? std::nullopt : given.states[i]));
    }
    for (size_t i = 0; i < n; ++i) {
      if (mask[i] == 0) continue;
      if (!given.seeds.empty() && given.seeds[i]) {
        G::seed(games_[i], given.seeds[i]->seed, given.seeds[i]->stream);
      }
      reset_game(i, beginnings.empty() ? nullptr : &beginnings[i]);
      rewards[i] = 0;
      returns[i] = 0;
      terminated[i] = truncated[i] = 0;
      signals[i] = games_[i].signals;
    }
  }

  // Throws std::invalid_argument for an action that does not exist, std::logic_error for a game
  // that has no running episode. `actions` are of all games.
  void check_actions(std::span<const int64_t> actions) const {
    const auto hold = enter();
    require_idle();
    if (actions.size() != games_.size()) {
      throw std::invalid_argument("there must be an action for each game");
    }
    check_actions(0, actions);
  }

  // Begins to step the games of a group; returns at once when there are threads to do it. When it
  // throws, none of them has moved.
  void send(int group, std::span<const int64_t> actions, Output output = {}) {
    const auto hold = enter();
    check_group(group);
    const auto begin = static_cast<size_t>(group_begin(group));
    const auto end = static_cast<size_t>(group_begin(group + 1));
    if (pending_[static_cast<size_t>(group)] != 0) {
      throw std::logic_error("this group is stepping already; recv it first");
    }
    if (actions.size() != end - begin) {
      throw std::invalid_argument("group " + std::to_string(group) + " takes " +
                                  std::to_string(end - begin) + " actions, got " +
                                  std::to_string(actions.size()));
    }
    const size_t games = end - begin;
    if (!output.observations.empty() && (output.observations.size() != games * observation_bytes_ ||
                                         output.scalars.size() != games * scalar_count())) {
      throw std::invalid_argument("the arrays to write to do not have the size of this group's");
    }
    check_actions(begin, actions);
    crew_.revive();
    std::copy(actions.begin(), actions.end(), actions_.begin() + static_cast<ptrdiff_t>(begin));
    outputs_[static_cast<size_t>(group)] = std::move(output);
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
    try {
      crew_->wait(group);
    } catch (...) {
      outputs_[static_cast<size_t>(group)] = {};
      throw;
    }
    outputs_[static_cast<size_t>(group)] = {};
  }

  // Plays so many steps of all games with nobody in between: the threads decide, draw and step for
  // a few games each. `first` is the number of the first decision in the run, from which (and from
  // `seed`) the draws come; that of game i in step t is first + t * N + i. The arrays must outlive
  // the call. Throws as `recv` does, what the decider throws too; then reset before going on.
  void play(const Decider& decider, const PlayArrays<Signals>& out, uint64_t seed, uint64_t first) {
    const auto hold = enter();
    require_idle();
    if (config_.autoreset != Autoreset::same_step) {
      throw std::logic_error("play needs games that begin anew in the step that ends them");
    }
    const Decider::Sizes sizes{observation_bytes_, scalar_count(), game_.actions().size()};
    if (decider.sizes() != sizes) {
      throw std::invalid_argument("the decider is made for " + text(decider.sizes()) +
                                  ", these games have " + text(sizes));
    }
    out.check(games_.size(), sizes);
    check_actions(0, std::vector<int64_t>(games_.size(), 0));
    crew_.revive();
    for (const auto& game : watched_) {
      if (game != nullptr) game->ended.clear();
    }
    pieces_.start(out.steps);
    const Watch watch(play_wall_);
    const Playing playing{decider, out, Noise(seed), first};
    playing_ = &playing;
    crew_->start(config_.num_groups);
    try {
      crew_->wait(config_.num_groups);
    } catch (...) {
      playing_ = nullptr;
      throw;
    }
    playing_ = nullptr;
  }

  // From its next episode on, the inputs are logged of each of these games, and of no other; those
  // that are logged already go on. Not part of `save`.
  void watch(std::span<const int> games) {
    const auto hold = enter();
    require_idle();
    for (const int game : games) {
      if (game < 0 || game >= config_.num_games) {
        throw std::invalid_argument("there is no game " + std::to_string(game) + " to watch");
      }
    }
    auto before = std::exchange(watched_, {});
    before.resize(games_.size());
    watched_.resize(games_.size());
    for (const int game : games) {
      auto& watched = watched_[static_cast<size_t>(game)];
      watched = std::move(before[static_cast<size_t>(game)]);
      if (watched == nullptr) watched = std::make_unique<Watched>();
    }
  }

  // The logs of running episodes that began where their level does, or as the game went on into it;
  // all others are left out.
  std::vector<uint8_t> save_input_logs() const {
    const auto hold = enter();
    require_idle();
    std::vector<uint8_t> bytes;
    for (size_t i = 0; i < watched_.size(); ++i) {
      if (watched_[i] != nullptr && watched_[i]->now.whole()) {
        watched_[i]->now.save(static_cast<uint32_t>(i), bytes);
      }
    }
    return bytes;
  }

  // Goes on with them, after `load`: those of games that are not watched are passed over. Throws
  // std::invalid_argument; nothing is changed then.
  void load_input_logs(std::span<const uint8_t> bytes) {
    const auto hold = enter();
    require_idle();
    std::vector<std::pair<size_t, InputLog>> logs;
    while (!bytes.empty()) {
      logs.emplace_back();
      logs.back().first = logs.back().second.load(bytes);
      check_game(logs.back().first);
    }
    for (auto& [game, log] : logs) {
      if (game < watched_.size() && watched_[game] != nullptr) watched_[game]->now = std::move(log);
    }
  }

  // The last episode of a game that ended, and its RAM then.
  struct Ended {
    InputLog log;
    std::array<uint8_t, 0x800> ram{};
  };

  // What `play` spent since the last call.
  PlaySeconds take_play_seconds() {
    PlaySeconds sum;
    sum.wall = std::exchange(play_wall_, 0.0);
    for (Spent& spent : play_seconds_) {
      sum.step += spent.step;
      sum.decide += spent.decide;
      sum.store += spent.store;
      spent = {};
    }
    return sum;
  }

  // Of a watched game, as far as it is played; of all its episodes that ended in the last `play`,
  // or of the last one that ended. Those of other groups may be stepping. `enter` while they are
  // read.
  const InputLog& input_log(size_t game) const { return watched(game).now; }
  const std::vector<Ended>& ended_input_logs(size_t game) const { return watched(game).ended; }

  // The game's own observation, with all that can be shown in it, of the games of a group as they
  // stand, whatever the batch observes: n rows each. Throws std::invalid_argument.
  void observe_all(int group, std::span<uint8_t> bytes, std::span<float> scalars) const {
    const auto hold = enter();
    check_group(group);
    const auto begin = static_cast<size_t>(group_begin(group));
    const size_t n = static_cast<size_t>(group_begin(group + 1)) - begin;
    if (pending_[static_cast<size_t>(group)] != 0) {
      throw std::logic_error("this group is stepping; recv it first");
    }
    if (bytes.size() != n * G::kFeatureBytes || scalars.size() != n * G::kFeatureScalars) {
      throw std::invalid_argument("the arrays to write to do not have the size of this group's");
    }
    for (size_t k = 0; k < n; ++k) {
      game_.observe_all(games_[begin + k], &bytes[k * G::kFeatureBytes],
                        &scalars[k * G::kFeatureScalars]);
    }
  }

  // Every frame of the last step of a batch with keep_frames, cutscenes included. `enter` while
  // they are read.
  const std::vector<uint8_t>& frames() const { return frames_; }

  // Lets the only game run on by itself, with buttons held; for what comes after an end.
  void run_on(int frames, uint8_t buttons) {
    const auto hold = enter();
    require_idle();
    frames_.clear();
    for (int i = 0; i < frames; ++i) {
      nes::run_frame(games_[0].nes, game_.cartridge(), buttons);
      keep_frame(games_[0]);
    }
  }

  // Calls `change` with each game and its number, and shows anew those of which it returns true.
  // Stacks of pictures stay as they are.
  template <typename Change>
  void change(Change&& change) {
    const auto hold = enter();
    require_idle();
    for (size_t i = 0; i < games_.size(); ++i) {
      if (change(games_[i], i) && !pixels_) observe(i);
    }
  }

  nes::State& console(size_t game) {
    check_game(game);
    return games_[game].nes;
  }

  // Throws when there is no such game, or its group is stepping: nothing of it may be read then.
  void require_idle(size_t game) const {
    check_game(game);
    int group = 0;
    while (game >= static_cast<size_t>(group_begin(group + 1))) ++group;
    if (pending_[static_cast<size_t>(group)] != 0) {
      throw std::logic_error("this game is stepping; recv its group first");
    }
  }

  // Everything that decides what comes next, as bytes; of one game, or (-1) of all. That of one is
  // as of a batch that has no other.
  std::vector<uint8_t> save(int game = -1) const {
    const auto hold = enter();
    require_idle();
    const auto [first, n] = range(game);
    std::vector<uint8_t> bytes(saved_bytes(n));
    size_t at = 0;
    const auto append = [&bytes, &at](const void* data, size_t size) {
      if (size > 0) std::memcpy(&bytes[at], data, size);
      at += size;
    };
    const SaveHeader header = save_header(n);
    append(&header, sizeof(header));
    append(&games_[first], n * sizeof(State));
    append(&needs_reset_[first], n);
    append(&signals[first], n * sizeof(Signals));
    append(&start_signals[first], n * sizeof(Signals));
    append(&terminated[first], n);
    append(&truncated[first], n);
    append(&returns[first], n * sizeof(float));
    append(&observations[first * observation_bytes_], n * observation_bytes_);
    append(scalars.data() + first * scalar_count(), n * scalar_count() * sizeof(float));
    return bytes;
  }

  // Throws std::invalid_argument when the bytes are not from a batch like this one.
  void load(std::span<const uint8_t> bytes, int game = -1) {
    const auto hold = enter();
    require_idle();
    const auto [first, n] = range(game);
    const SaveHeader expected = save_header(n);
    if (bytes.size() != saved_bytes(n) ||
        std::memcmp(bytes.data(), &expected, sizeof(expected)) != 0) {
      throw std::invalid_argument(
          "these bytes were not saved by environments like these (number of games, observation, "
          "cartridge or version differ)");
    }
    std::vector<State> games(n);
    std::memcpy(static_cast<void*>(games.data()), bytes.data() + sizeof(expected),
                games.size() * sizeof(State));
    const uint8_t* ended = bytes.data() + sizeof(expected) + games.size() * sizeof(State);
    for (size_t i = 0; i < games.size(); ++i) {
      // What has ended must wait for its reset: it cannot be stepped.
      if (!G::plausible(games[i]) || (games[i].over != 0 && ended[i] == 0)) {
        throw std::invalid_argument("the saved state of a game is damaged");
      }
    }
    // In place: callers hold views of RAM.
    std::copy(games.begin(), games.end(), games_.begin() + static_cast<ptrdiff_t>(first));
    const uint8_t* at = ended;
    const auto take = [&at](void* to, size_t count) {
      std::copy_n(at, count, static_cast<uint8_t*>(to));
      at += count;
    };
    take(&needs_reset_[first], n);
    take(&signals[first], n * sizeof(Signals));
    take(&start_signals[first], n * sizeof(Signals));
    take(&terminated[first], n);
    take(&truncated[first], n);
    take(&returns[first], n * sizeof(float));
    take(&observations[first * observation_bytes_], n * observation_bytes_);
    take(scalars.data() + first * scalar_count(), n * scalar_count() * sizeof(float));
    for (size_t i = first; i < first + n && !watched_.empty(); ++i) {
      if (watched_[i] == nullptr) continue;
      watched_[i]->now.clear();
      watched_[i]->ended.clear();
    }
  }

  // Per game, in order. After a step: `signals`, `terminated`, `truncated` and `rewards` tell of
  // the state that the action led to; `observations` is the next thing to act on, of a new episode
  // where one has begun; the `final_` rows are only filled where an episode ended, as is the place
  // (see batch/game.h) that it ended in.
  std::vector<uint8_t> observations, final_observations;
  std::vector<float> scalars, final_scalars;
  std::vector<float> rewards, returns;
  std::vector<uint8_t> terminated, truncated, ended_places;
  std::vector<Signals> signals, start_signals;

 private:
  struct Watched {
    InputLog now;
    std::vector<Ended> ended;
  };

  struct Playing {
    const Decider& decider;
    const PlayArrays<Signals>& out;
    Noise noise;
    uint64_t first;  // decision
  };

  static const Config& checked(const Config& config, int frame_skip) {
    config.check(frame_skip);
    return config;
  }

  // Few enough that all threads have work.
  static size_t rows_at_once(const Config& config) {
    const int share = config.num_games / (2 * std::min(config.threads, config.num_games));
    return std::clamp(static_cast<size_t>(share), size_t{1}, kMostRows);
  }

  size_t chunks() const { return (static_cast<size_t>(config_.num_games) + rows_ - 1) / rows_; }

  static std::string text(const Decider::Sizes& sizes) {
    return std::to_string(sizes.bytes) + " bytes, " + std::to_string(sizes.scalars) +
           " scalars and " + std::to_string(sizes.actions) + " actions";
  }

  void start_workers() {
    std::vector<int> sizes;
    for (int group = 0; group < config_.num_groups; ++group) {
      sizes.push_back(group_begin(group + 1) - group_begin(group));
    }
    sizes.push_back(static_cast<int>(chunks()));  // `play`: no more can take part
    crew_.start(std::min(config_.threads, config_.num_games), sizes, [this](int group, int item) {
      group == config_.num_groups ? take_part()
                                  : run(static_cast<size_t>(group), static_cast<size_t>(item));
    });
  }

  void check_actions(size_t first, std::span<const int64_t> actions) const {
    const auto known = static_cast<int64_t>(game_.actions().size());
    for (size_t k = 0; k < actions.size(); ++k) {
      const size_t i = first + k;
      if (needs_reset_[i] != 0) {
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

  // The games that are meant by one, or by -1 for all: the first, and how many.
  std::pair<size_t, size_t> range(int game) const {
    if (game < 0) return {0, games_.size()};
    check_game(static_cast<size_t>(game));
    return {static_cast<size_t>(game), 1};
  }

  void check_game(size_t game) const {
    if (game >= games_.size()) {
      throw std::invalid_argument("there is no game " + std::to_string(game) + ": games are 0 to " +
                                  std::to_string(games_.size() - 1));
    }
  }

  const Watched& watched(size_t game) const {
    require_idle(game);
    if (game >= watched_.size() || watched_[game] == nullptr) {
      throw std::invalid_argument("game " + std::to_string(game) + " is not watched");
    }
    return *watched_[game];
  }

  struct SaveHeader {
    char magic[8];
    uint32_t version;
    int32_t num_games;
    int32_t observation;
    int32_t reserved;
    uint64_t observation_bytes;
    uint64_t game_bytes;
    uint64_t cartridge;
  };

  SaveHeader save_header(size_t games) const {
    return {{'W', 'Z', 'B', 'A', 'T', 'C', 'H', '\0'},
            nes::kSnapshotVersion,
            static_cast<int32_t>(games),
            static_cast<int32_t>(config_.observation),
            0,
            observation_bytes_,
            sizeof(State),
            game_.cartridge().fingerprint};
  }

  size_t saved_bytes(size_t n) const {
    const size_t per_game = sizeof(State) + 2 * sizeof(Signals) + sizeof(float) + 3 +
                            observation_bytes_ + scalar_count() * sizeof(float);
    return sizeof(SaveHeader) + n * per_game;
  }

  size_t bytes_of_observation() const {
    switch (config_.observation) {
      case Observation::features: return G::kFeatureBytes;
      case Observation::pixels: return pixels_->bytes();
      case Observation::rgb: return static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth * 3;
      case Observation::ram: break;
    }
    return 0x800;
  }

  void check_group(int group) const {
    if (group < 0 || group >= config_.num_groups) {
      throw std::invalid_argument("there are " + std::to_string(config_.num_groups) +
                                  " groups, there is no group " + std::to_string(group));
    }
  }

  bool stepping() const {
    return std::any_of(pending_.begin(), pending_.end(), [](uint8_t p) { return p != 0; });
  }

  void require_idle() const {
    if (stepping()) {
      throw std::logic_error("a group is still stepping; recv it first");
    }
  }

  // nullptr: where it begins is drawn.
  void reset_game(size_t i, const typename G::Beginning* beginning = nullptr) {
    State& game = games_[i];
    needs_reset_[i] = 1;  // stays so when it fails
    const uint64_t frame = game.nes.frame;
    if (config_.keep_frames) frames_.clear();
    std::optional<PixelStack::Beginning<>> pictures;
    if (pixels_) {
      pictures.emplace(*pixels_, game_.cartridge(), &observations[i * observation_bytes_]);
    }
    const auto see = [&](const State& g, bool cutscene) {
      if (config_.keep_frames) keep_frame(g);
      if (pictures && !cutscene) pictures->see(g.nes);
    };
    beginning ? game_.reset(game, see, *beginning) : game_.reset(game, see);
    if (!pixels_) observe(i);
    start_signals[i] = game.signals;
    needs_reset_[i] = 0;
    if (watched_.empty() || watched_[i] == nullptr) return;
    begin_log(*watched_[i], game, game.nes.frame - frame);
    // Nobody knows what led to a moment that was given.
    if (beginning && beginning->moment) watched_[i]->now.clear();
  }

  // After a reset: what has led to where the game stands. `frames` have passed since the episode
  // before, if the game just went on.
  void begin_log(Watched& watched, const State& game, uint64_t frames) {
    InputLog& log = watched.now;
    log.clear();
    log.carried = G::carried(game);
    if (log.carried) {
      if (watched.ended.empty()) return;
      const InputLog& before = watched.ended.back().log;
      if (!before.whole() || before.buttons.size() > InputLog::kMostCarried) return;
      log.level = before.level;
      log.own_start = false;
      log.buttons.reserve(before.buttons.size() + frames);
      log.buttons = before.buttons;
      log.buttons.insert(log.buttons.end(), frames, uint8_t{0});
      log.known = true;
      return;
    }
    log.level = G::level(game);
    log.own_start = G::at_level_start(game);
    log.known = game_.prefix(game, log.buttons);
  }

  void run(size_t group, size_t item) {
    const size_t i = static_cast<size_t>(group_begin(static_cast<int>(group))) + item;
    step_game(i);
    const Output& output = outputs_[group];
    if (output.observations.empty()) return;
    simd::copy_away(&output.observations[item * observation_bytes_],
                    &observations[i * observation_bytes_], observation_bytes_);
    const size_t n = scalar_count();
    std::copy_n(scalars.data() + i * n, n, output.scalars.data() + item * n);
  }

  // Plays on until there is no chunk of games left that is free.
  void take_part() {
    std::optional<Pieces::Piece> piece;
    try {
      while ((piece = pieces_.next(piece))) play_piece(*piece);
    } catch (...) {
      pieces_.stop();
      throw;
    }
  }

  void play_piece(const Pieces::Piece& piece) {
    const size_t first = piece.chunk * rows_, actions = game_.actions().size();
    const size_t rows = std::min(rows_, games_.size() - first);
    Spent& spent = play_seconds_[piece.chunk];
    Watch watch(spent.store);
    for (size_t t = piece.begin; t < piece.end; ++t) {
      const size_t at = t * games_.size() + first;
      float* const logits = &playing_->out.log_probs[at * actions];
      store_observations(at, first, rows);
      watch.lap(spent.store);
      decide(at, first, rows, logits);
      for (size_t k = 0; k < rows; ++k) draw(at + k, first + k, {logits + k * actions, actions});
      watch.lap(spent.decide);
      for (size_t i = first; i < first + rows; ++i) step_game(i);
      watch.lap(spent.step);
      for (size_t k = 0; k < rows; ++k) store_outcome(at + k, first + k);
    }
    if (piece.end < playing_->out.steps) return;
    const size_t at = piece.end * games_.size() + first;
    store_observations(at, first, rows);
    decide(at, first, rows, &spare_logits_[first * actions]);
  }

  // What some games show, as sample `at` of the rollout and those after it.
  void store_observations(size_t at, size_t first, size_t rows) {
    const PlayArrays<Signals>& out = playing_->out;
    const size_t bytes = observation_bytes_, n = scalar_count();
    simd::copy_away(&out.observations[at * bytes], &observations[first * bytes], rows * bytes);
    std::copy_n(scalars.data() + first * n, rows * n, out.scalars.data() + at * n);
  }

  void decide(size_t at, size_t first, size_t rows, float* logits) {
    playing_->decider.decide(rows, &observations[first * observation_bytes_],
                             scalars.data() + first * scalar_count(), logits,
                             &playing_->out.values[at]);
  }

  // An action; makes log-probabilities of the logits.
  void draw(size_t at, size_t i, std::span<float> logits) {
    const size_t action = playing_->noise.draw(playing_->first + at, logits);
    actions_[i] = playing_->out.actions[at] = static_cast<int64_t>(action);
    log_softmax(logits);
  }

  // What a step has led to.
  void store_outcome(size_t at, size_t i) {
    const PlayArrays<Signals>& out = playing_->out;
    out.rewards[at] = rewards[i];
    out.returns[at] = returns[i];
    out.terminated[at] = terminated[i];
    out.truncated[at] = truncated[i];
    out.places[at] = ended_places[i];
    out.signals[at] = signals[i];
    out.truncated_values[at] = 0;
    if (truncated[i] == 0 || terminated[i] != 0) return;
    playing_->decider.decide(1, &final_observations[i * observation_bytes_],
                             final_scalars.data() + i * scalar_count(),
                             &spare_logits_[i * game_.actions().size()], &out.truncated_values[at]);
  }

  void step_game(size_t i) {
    State& game = games_[i];
    if (needs_reset_[i] != 0) {  // next-step autoreset
      reset_game(i);
      rewards[i] = 0;
      returns[i] = 0;
      terminated[i] = truncated[i] = 0;
      signals[i] = game.signals;
      return;
    }
    const uint8_t buttons = game_.actions()[static_cast<size_t>(actions_[i])];
    if (config_.keep_frames) frames_.clear();
    uint8_t* const observed = &observations[i * observation_bytes_];
    std::optional<PixelStack::Step<>> pictures;
    if (pixels_) pictures.emplace(*pixels_, game_.cartridge(), observed);
    Watched* const watched = watched_.empty() ? nullptr : watched_[i].get();
    InputLog* const log = watched != nullptr && watched->now.known ? &watched->now : nullptr;
    if (log) log->decided.push_back(static_cast<uint32_t>(log->buttons.size()));
    const auto see = [&](const State& g, bool cutscene) {
      if (log) log->buttons.push_back(cutscene ? 0 : g.held);
      if (config_.keep_frames) keep_frame(g);
      if (pictures) pictures->see(g.nes, cutscene, g.over != 0);
    };
    const auto outcome = game_.step(game, buttons, see);
    if (pictures) {
      pictures->finish(game.nes);
    } else {
      observe(i);
    }
    rewards[i] = outcome.reward;
    terminated[i] = outcome.terminated ? 1 : 0;
    truncated[i] = outcome.truncated ? 1 : 0;
    signals[i] = game.signals;
    returns[i] = game.episode_return;
    if (!outcome.terminated && !outcome.truncated) return;

    needs_reset_[i] = 1;
    ended_places[i] = G::place(game);
    if (watched != nullptr) {
      if (playing_ == nullptr && !watched->ended.empty()) watched->ended.resize(1);
      if (playing_ != nullptr || watched->ended.empty()) watched->ended.emplace_back();
      Ended& ended = watched->ended.back();
      std::swap(ended.log, watched->now);
      watched->now.clear();
      ended.ram = game.nes.ram;
    }
    std::memcpy(&final_observations[i * observation_bytes_], observed, observation_bytes_);
    const size_t n = scalar_count();
    std::copy_n(scalars.data() + i * n, n, final_scalars.data() + i * n);
    if (config_.autoreset == Autoreset::same_step) reset_game(i);
  }

  void observe(size_t i) {
    const State& game = games_[i];
    uint8_t* out = &observations[i * observation_bytes_];
    switch (config_.observation) {
      case Observation::features: game_.observe(game, out, &scalars[i * scalar_count()]); break;
      case Observation::rgb: {
        nes::ppu::Painter painter(game.nes, game_.cartridge(), nes::ppu::kSameColours);
        nes::ppu::Painter<>::Line buffer;
        for (int y = 0; y < nes::kScreenHeight; ++y) {
          const uint8_t* line = painter.next(buffer, true);
          for (int x = 0; x < nes::kScreenWidth; ++x, out += 3) {
            std::memcpy(out, nes::kPalette[line[x]].data(), 3);
          }
        }
        break;
      }
      case Observation::ram: std::memcpy(out, game.nes.ram.data(), game.nes.ram.size()); break;
      case Observation::pixels: break;
    }
  }

  void keep_frame(const State& game) {
    constexpr size_t kBytes = static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth;
    frames_.resize(frames_.size() + kBytes);
    nes::ppu::draw(game.nes, game_.cartridge(), frames_.data() + frames_.size() - kBytes);
  }

  G game_;
  Config config_;
  size_t observation_bytes_ = 0;
  std::vector<State> games_;
  std::vector<uint8_t> needs_reset_;
  std::vector<int64_t> actions_;
  std::vector<float> spare_logits_;  // of observations of which only the value is wanted
  std::vector<uint8_t> pending_;
  std::vector<Output> outputs_;       // by group
  std::optional<PixelStack> pixels_;  // where they are observed
  std::vector<uint8_t> frames_;
  std::vector<std::unique_ptr<Watched>> watched_;  // empty: none is
  // Of each chunk, which only one thread plays at a time, on a cache line of its own.
  struct alignas(64) Spent : PlaySeconds {};
  std::vector<Spent> play_seconds_;
  double play_wall_ = 0;
  size_t rows_;                       // of games that one thread decides for at once
  Pieces pieces_;                     // of `play`
  const Playing* playing_ = nullptr;  // what, while `play` runs
  Exclusive door_;
  Crew crew_;  // last: its threads stop before what they use goes
};

}  // namespace warpzone::batch
