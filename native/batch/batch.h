// N games at once, in groups that can be stepped independently of each other: who may use them, the
// threads that step them, what is sent and waited for, what is seen and saved. What a game is, the
// classes know that are made of this one: game_batch.h has its rules in native code,
// console_batch.h plays whatever is described. Everything that a caller reads lies in arrays that
// are allocated once; worker threads write straight into them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
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
#include "nes/cartridge.h"
#include "nes/paint.h"
#include "nes/palette.h"
#include "nes/state.h"
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
  std::vector<std::optional<Seed>> seeds;    // nullopt: go on with its stream
  std::vector<int32_t> places;               // which level or start, as the game counts; -1: drawn
  std::vector<std::vector<uint8_t>> states;  // snapshot of a moment of play instead; empty: none
};

// What a batch has to be told of its game.
struct Facts {
  size_t actions;
  int frame_skip;
  int status_bar;                     // lines at the top of the picture
  std::vector<size_t> feature_shape;  // of the game's own observation
  size_t feature_scalars;             // beside it
};

// May be used by any thread, but by one at a time: a second one gets std::logic_error, and nothing
// is touched. In a forked process it may be used if no group was stepping when that was forked.
class Batch {
 public:
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  virtual ~Batch() = default;

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
  size_t size() const { return static_cast<size_t>(config_.num_games); }
  size_t observation_bytes() const { return observation_bytes_; }
  size_t scalar_count() const {
    return config_.observation == Observation::features ? facts_.feature_scalars : 0;
  }
  int group_begin(int group) const {
    return static_cast<int>(static_cast<int64_t>(config_.num_games) * group / config_.num_groups);
  }

  // Of one game.
  std::vector<size_t> observation_shape() const {
    switch (config_.observation) {
      case Observation::features: return facts_.feature_shape;
      case Observation::pixels:
        return {static_cast<size_t>(config_.stack), static_cast<size_t>(config_.height),
                static_cast<size_t>(config_.width)};
      case Observation::rgb: return {nes::kScreenHeight, nes::kScreenWidth, 3};
      case Observation::ram: break;
    }
    return {0x800};
  }

  // New random streams for all games: results depend on the seed and a game's index alone.
  void seed(uint64_t seed) {
    const auto hold = enter();
    require_idle();
    for (size_t i = 0; i < size(); ++i) seed_game(i, {seed, i});
  }

  // Starts new episodes where `mask` is not 0, in games whose group is not stepping. Throws
  // std::invalid_argument before any game has changed.
  void reset(std::span<const uint8_t> mask, const Beginnings& given = {}) {
    const auto hold = enter();
    const auto fits = [this](const auto& each) { return each.empty() || each.size() == size(); };
    if (mask.size() != size() || !fits(given.seeds) || !fits(given.places) || !fits(given.states)) {
      throw std::invalid_argument("a mask, seeds, places and states need a value per game");
    }
    std::vector<size_t> chosen;
    for (size_t i = 0; i < size(); ++i) {
      if (mask[i] != 0) chosen.push_back(i);
    }
    if (chosen.empty()) return;
    if (chosen.size() == size()) require_idle();
    const auto place = [&](size_t i) { return given.places.empty() ? -1 : given.places[i]; };
    const auto moment = [&](size_t i) {
      return given.states.empty() ? std::span<const uint8_t>() : std::span(given.states[i]);
    };
    for (const size_t i : chosen) {
      require_idle(i);
      check_beginning(place(i), moment(i));
    }
    for (const size_t i : chosen) {
      if (!given.seeds.empty() && given.seeds[i]) seed_game(i, *given.seeds[i]);
    }
    in_threads(chosen.size(),
               [&](size_t k) { begin(chosen[k], place(chosen[k]), moment(chosen[k])); });
  }

  // Throws std::invalid_argument for an action that does not exist, std::logic_error for a game
  // that has no running episode. `actions` are of all games.
  void check_actions(std::span<const int64_t> actions) const {
    const auto hold = enter();
    require_idle();
    if (actions.size() != size()) {
      throw std::invalid_argument("there must be an action for each game");
    }
    check_actions(0, actions);
  }

  // Begins to step the games of a group; returns at once when there are threads to do it. When it
  // throws, none of them has moved.
  void send(int group, std::span<const int64_t> actions, Output output = {}) {
    const auto hold = enter();
    const auto [first, games] = rows(group);
    if (pending_[static_cast<size_t>(group)] != 0) {
      throw std::logic_error("this group is stepping already; recv it first");
    }
    if (actions.size() != games) {
      throw std::invalid_argument("group " + std::to_string(group) + " takes " +
                                  std::to_string(games) + " actions, got " +
                                  std::to_string(actions.size()));
    }
    if (!output.observations.empty() && (output.observations.size() != games * observation_bytes_ ||
                                         output.scalars.size() != games * scalar_count())) {
      throw std::invalid_argument("the arrays to write to do not have the size of this group's");
    }
    check_actions(first, actions);
    crew_.revive();
    std::copy(actions.begin(), actions.end(), actions_.begin() + static_cast<ptrdiff_t>(first));
    outputs_[static_cast<size_t>(group)] = std::move(output);
    pending_[static_cast<size_t>(group)] = 1;
    crew_->start(group);
  }

  // Waits for the group. Throws what the first failing game threw; then reset before going on.
  void recv(int group) {
    const auto hold = enter();
    rows(group);
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

  // Every frame of the last step of a batch with keep_frames. `enter` while they are read.
  const std::vector<uint8_t>& kept_frames() const { return kept_frames_; }

  // Of a game, what both kinds of consoles have. Its group may be stepping: see `require_idle`.
  virtual nes::State& console(size_t game) = 0;

  // The last frame of a game as colours 0-63.
  void draw(size_t game, uint8_t* out) const {
    const auto hold = enter();
    require_idle(game);
    draw_game(game, out);
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
    const auto [first, n] = idle(game);
    std::vector<uint8_t> bytes = save_header(n);
    const size_t head = bytes.size();
    bytes.resize(head + n * saved_bytes());
    write_saved(bytes.data() + head, first, n);
    return bytes;
  }

  // Throws std::invalid_argument when the bytes are not from a batch like this one; nothing is
  // changed then.
  void load(std::span<const uint8_t> bytes, int game = -1) {
    const auto hold = enter();
    const auto [first, n] = idle(game);
    const std::vector<uint8_t> expected = save_header(n);
    if (bytes.size() != expected.size() + n * saved_bytes() ||
        !std::equal(expected.begin(), expected.end(), bytes.begin())) {
      throw std::invalid_argument("these bytes were not saved by environments like these (" +
                                  std::string(what_differs()) + " differ)");
    }
    read_saved(bytes.data() + expected.size(), first, n);
  }

  // Per game, in order. `observations` and `scalars` are the next thing to act on. `needs_reset`:
  // who has no running episode; whoever decides outside when one ends sets it.
  std::vector<uint8_t> observations, needs_reset;
  std::vector<float> scalars;

 protected:
  // Throws std::invalid_argument. The cartridge must outlive the batch. Whoever is made of it calls
  // `stop` when it goes: the threads use what it has.
  Batch(const nes::Cartridge& cart, Facts facts, const Config& config)
      : cart_(cart), facts_(std::move(facts)), config_(config) {
    config_.check(facts_.frame_skip);
    if (config_.observation == Observation::pixels) {
      pixels_.emplace(config_, facts_.frame_skip, facts_.status_bar);
    }
    observation_bytes_ = 1;
    for (const size_t side : observation_shape()) observation_bytes_ *= side;
    observations.assign(size() * observation_bytes_, 0);
    scalars.assign(size() * scalar_count(), 0.0F);
    needs_reset.assign(size(), 1);
    actions_.assign(size(), 0);
    pending_.assign(static_cast<size_t>(config_.num_groups), 0);
    outputs_.resize(static_cast<size_t>(config_.num_groups));
    std::vector<int> sizes;
    for (int group = 0; group < config_.num_groups; ++group) {
      sizes.push_back(group_begin(group + 1) - group_begin(group));
    }
    sizes.push_back(1);  // `in_threads`, which says how many
    crew_.start(std::min(config_.threads, config_.num_games), sizes, [this](int job, int item) {
      job == config_.num_groups ? (*run_)(static_cast<size_t>(item))
                                : run(static_cast<size_t>(job), static_cast<size_t>(item));
    });
  }

  void stop() { crew_.stop(); }

  // What is to be known of a game. Those that change one may be called by several threads at once,
  // each for another game.
  virtual void seed_game(size_t i, const Seed& seed) = 0;
  // Throws std::invalid_argument for a place that there is not, and a snapshot that is none.
  virtual void check_beginning(int32_t place, std::span<const uint8_t> moment) const = 0;
  virtual void begin(size_t i, int32_t place, std::span<const uint8_t> moment) = 0;
  virtual void step_game(size_t i) = 0;  // with `action`
  virtual void draw_game(size_t i, uint8_t* out) const = 0;
  // Saved states: a header, then so many bytes of each game.
  virtual std::vector<uint8_t> save_header(size_t n) const = 0;
  virtual size_t saved_bytes() const = 0;
  virtual const char* what_differs() const = 0;
  virtual void write_saved(uint8_t* at, size_t first, size_t n) const = 0;
  virtual void read_saved(const uint8_t* at, size_t first, size_t n) = 0;

  const nes::Cartridge& cart() const { return cart_; }
  const Facts& facts() const { return facts_; }
  const std::optional<PixelStack>& pixels() const { return pixels_; }  // where they are observed
  uint8_t* observation(size_t i) { return observations.data() + i * observation_bytes_; }
  float* scalars_of(size_t i) { return scalars.data() + i * scalar_count(); }
  int64_t& action(size_t i) { return actions_[i]; }

  // Calls `run` with 0 to count - 1 in the threads, count at least 1, while no other thread may use
  // the games. Throws what the first failing call threw.
  void in_threads(size_t count, const std::function<void(size_t)>& run) {
    crew_.revive();
    run_ = &run;
    crew_->start(config_.num_groups, static_cast<int>(count));
    crew_->wait(config_.num_groups);
  }

  void check_actions(size_t first, std::span<const int64_t> actions) const {
    const auto known = static_cast<int64_t>(facts_.actions);
    for (size_t k = 0; k < actions.size(); ++k) {
      const size_t i = first + k;
      if (needs_reset[i] != 0) {
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

  void check_game(size_t game) const {
    if (game >= size()) {
      throw std::invalid_argument("there is no game " + std::to_string(game) + ": games are 0 to " +
                                  std::to_string(size() - 1));
    }
  }

  // Of a group, the first game and how many. Throws std::invalid_argument when there is none.
  std::pair<size_t, size_t> rows(int group) const {
    if (group < 0 || group >= config_.num_groups) {
      throw std::invalid_argument("there are " + std::to_string(config_.num_groups) +
                                  " groups, there is no group " + std::to_string(group));
    }
    const auto begin = static_cast<size_t>(group_begin(group));
    return {begin, static_cast<size_t>(group_begin(group + 1)) - begin};
  }

  bool stepping(int group) const { return pending_[static_cast<size_t>(group)] != 0; }
  bool stepping() const {
    return std::any_of(pending_.begin(), pending_.end(), [](uint8_t p) { return p != 0; });
  }

  void require_idle() const {
    if (stepping()) {
      throw std::logic_error("a group is still stepping; recv it first");
    }
  }

  // What a console shows that is not the game's own observation, and no stack of pictures.
  template <typename S>
  void observe_console(const S& s, size_t i) {
    uint8_t* out = observation(i);
    if (config_.observation == Observation::ram) std::memcpy(out, s.ram.data(), s.ram.size());
    if (config_.observation != Observation::rgb) return;
    using Painter = nes::ppu::Painter<simd::Best, S>;
    Painter painter(s, cart_, nes::ppu::kSameColours);
    typename Painter::Line buffer;
    for (int y = 0; y < nes::kScreenHeight; ++y) {
      const uint8_t* line = painter.next(buffer, true);
      for (int x = 0; x < nes::kScreenWidth; ++x, out += 3) {
        std::memcpy(out, nes::kPalette[line[x]].data(), 3);
      }
    }
  }

  void forget_frames() { kept_frames_.clear(); }

  template <typename S>
  void keep_frame(const S& s) {
    constexpr size_t kBytes = static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth;
    kept_frames_.resize(kept_frames_.size() + kBytes);
    nes::ppu::draw(s, cart_, kept_frames_.data() + kept_frames_.size() - kBytes);
  }

  // Appends to a saved state, or takes from it, what an array has of n games.
  template <typename T>
  void put(uint8_t*& at, const std::vector<T>& array, size_t first, size_t n) const {
    const size_t each = array.size() / size(), bytes = n * each * sizeof(T);
    if (bytes > 0) std::memcpy(at, array.data() + first * each, bytes);
    at += bytes;
  }
  template <typename T>
  void take(const uint8_t*& at, std::vector<T>& array, size_t first, size_t n) const {
    const size_t each = array.size() / size(), bytes = n * each * sizeof(T);
    if (bytes > 0) std::memcpy(static_cast<void*>(array.data() + first * each), at, bytes);
    at += bytes;
  }

 private:
  // The games that are meant by one, or by -1 for all, none of which may be stepping: the first,
  // and how many.
  std::pair<size_t, size_t> idle(int game) const {
    if (game < 0) {
      require_idle();
      return {0, size()};
    }
    require_idle(static_cast<size_t>(game));
    return {static_cast<size_t>(game), 1};
  }

  void run(size_t group, size_t item) {
    const size_t i = static_cast<size_t>(group_begin(static_cast<int>(group))) + item;
    step_game(i);
    const Output& output = outputs_[group];
    if (output.observations.empty()) return;
    simd::copy_away(&output.observations[item * observation_bytes_], observation(i),
                    observation_bytes_);
    const size_t n = scalar_count();
    std::copy_n(scalars_of(i), n, output.scalars.data() + item * n);
  }

  const nes::Cartridge& cart_;
  Facts facts_;
  Config config_;
  size_t observation_bytes_ = 0;
  std::vector<int64_t> actions_;
  std::vector<uint8_t> pending_;  // by group: it is stepping
  std::vector<Output> outputs_;   // by group
  std::optional<PixelStack> pixels_;
  std::vector<uint8_t> kept_frames_;
  const std::function<void(size_t)>* run_ = nullptr;  // of `in_threads`
  Exclusive door_;
  Crew crew_;
};

}  // namespace warpzone::batch
