// N consoles with one cartridge, whatever is on it, and numbers that are read from their memory.
// When an episode ends is not decided here: whoever reads the numbers says so. A game whose rules
// are native code is played by a GameBatch instead, which is faster.
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
#include <type_traits>
#include <utility>
#include <vector>

#include "batch/batch.h"
#include "batch/variables.h"
#include "nes/console.h"
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
  std::vector<Stretch> stretches;
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
    for (const Stretch& stretch : stretches) stretch.check(cart);
    require(!starts.empty(), "there must be a start");
    check_weights(weights);
  }

  // Throws std::invalid_argument.
  void check_weights(const std::vector<double>& of_starts) const {
    double total = 0;
    for (const double weight : of_starts) {
      if (!(weight >= 0 && weight < 1e300)) {
        throw std::invalid_argument("weights must be numbers of at least 0");
      }
      total += weight;
    }
    if (of_starts.size() != starts.size() || total <= 0) {
      throw std::invalid_argument("there must be a weight for each start, and one of them above 0");
    }
  }

  size_t columns() const { return variables.size(); }
  size_t memory_bytes() const {
    size_t bytes = 0;
    for (const Stretch& stretch : stretches) bytes += stretch.size;
    return bytes;
  }
};

class ConsoleBatch : public Batch {
  // With a state of the kind that the cartridge needs.
  template <typename S, typename Call>
  auto with(S& state, Call&& call) const {
    using Plain = std::conditional_t<std::is_const_v<S>, const nes::State, nes::State>;
    return cart().plain ? call(static_cast<Plain&>(state)) : call(state);
  }

  template <typename T>
  auto* row(T& array, size_t i) const {
    return array.data() + i * play_.columns();
  }

 public:
  // Throws std::invalid_argument.
  ConsoleBatch(std::shared_ptr<const nes::Cartridge> cart, Play play, const Config& config)
      : Batch(*cart, facts_of(play), config), owner_(std::move(cart)), play_(std::move(play)),
        memory_bytes_(play_.memory_bytes()), states_(size()) {
    play_.check(*owner_);
    for (const auto& start : play_.starts) check_snapshot(start);
    const size_t n = size();
    for (size_t i = 0; i < n; ++i) with(states_[i], [&](auto& s) { nes::switch_on(s, *owner_); });
    games_.assign(n, {});
    values.assign(n * play_.columns(), 0);
    before.assign(n * play_.columns(), 0);
    memory.assign(n * memory_bytes_, 0);
    memory_before.assign(n * memory_bytes_, 0);
    steps.assign(n, 0);
    frames.assign(n, 0);
    starts.assign(n, 0);
    for (size_t i = 0; i < n; ++i) games_[i].random = stream(config.seed, i);
  }

  ~ConsoleBatch() override { stop(); }

  const Play& play() const { return play_; }

  // Of the episodes that begin from now on. Throws std::invalid_argument.
  void set_weights(std::vector<double> of_starts) {
    require_idle();
    play_.check_weights(of_starts);
    play_.weights = std::move(of_starts);
  }

  nes::FullState& console(size_t game) override {
    check_game(game);
    return states_[game];
  }

  // Of the cartridge of each game.
  size_t prg_ram_bytes() const { return cart().prg_ram_bytes; }

  // Of the console of a game that is not stepping.
  std::vector<uint8_t> snapshot(size_t game) const {
    const auto hold = enter();
    require_idle(game);
    std::vector<uint8_t> bytes(snapshot_bytes());
    write_snapshot(bytes.data(), game);
    return bytes;
  }

  // Per game, in order. `values`, [N, columns]: the variables as they stand; `before` as they stood
  // before the last step, or where the episode began. `starts`: at which of the starts, -1:
  // elsewhere.
  std::vector<int64_t> values, before;
  // Likewise [N, memory_bytes]: the stretches, one behind the other.
  std::vector<uint8_t> memory, memory_before;
  std::vector<int32_t> steps, frames, starts;

 private:
  struct Game {
    Random random, draws;  // of all episodes, of this one
    uint64_t held;         // buttons
  };
  static_assert(std::has_unique_object_representations_v<Game>);

  // States of which only what is used takes memory: the system gives pages when they are touched.
  class States {
   public:
    explicit States(size_t n) {
      memory_.reset(static_cast<nes::FullState*>(std::calloc(n, sizeof(nes::FullState))));
      if (memory_ == nullptr) throw std::bad_alloc();
    }
    nes::FullState& operator[](size_t i) { return memory_.get()[i]; }
    const nes::FullState& operator[](size_t i) const { return memory_.get()[i]; }

   private:
    struct Free {
      void operator()(nes::FullState* memory) const { std::free(memory); }
    };
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
    uint64_t memory_bytes;
  };

  // What is made of the variables, whoever wants it makes.
  static Facts facts_of(const Play& play) {
    return {play.actions.size(), play.frame_skip, play.status_bar, {0}, 0};
  }

  template <typename S>
  void load_snapshot(S& s, std::span<const uint8_t> snapshot) const {
    s = nes::load<S>(snapshot, cart());
  }

  size_t snapshot_bytes() const {
    return cart().plain ? nes::snapshot_bytes<nes::State>(cart())
                        : nes::snapshot_bytes<nes::FullState>(cart());
  }

  void write_snapshot(uint8_t* at, size_t i) const {
    with(states_[i], [&](const auto& s) { nes::save(s, cart(), at); });
  }

  void seed_game(size_t i, const Seed& seed) override {
    games_[i].random = stream(seed.seed, seed.stream);
  }

  void check_beginning(int32_t place, std::span<const uint8_t> moment) const override {
    if (place >= static_cast<int>(play_.starts.size())) {
      throw std::invalid_argument("there is no start " + std::to_string(place));
    }
    if (!moment.empty()) check_snapshot(moment);
  }

  void check_snapshot(std::span<const uint8_t> snapshot) const {
    const auto probe = std::make_unique<nes::FullState>();
    with(*probe, [&](auto& s) { load_snapshot(s, snapshot); });
  }

  void draw_game(size_t i, uint8_t* out) const override {
    with(states_[i], [&](const auto& s) { nes::ppu::draw(s, cart(), out); });
  }

  std::vector<uint8_t> save_header(size_t n) const override {
    const SaveHeader header{{'W', 'Z', 'C', 'O', 'N', 'S', 'O', '\0'},
                            2,
                            static_cast<int32_t>(n),
                            static_cast<int32_t>(config().observation),
                            static_cast<int32_t>(play_.columns()),
                            observation_bytes(),
                            cart().fingerprint,
                            memory_bytes_};
    const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
    return {bytes, bytes + sizeof(header)};
  }

  const char* what_differs() const override {
    return "number of games, observation, variables, memory, cartridge or version";
  }

  // What is saved of a game behind the snapshot of its console, in this order.
  template <typename Self, typename Visit>
  static void visit_saved(Self& self, Visit&& visit) {
    visit(self.games_);
    visit(self.needs_reset);
    visit(self.steps);
    visit(self.frames);
    visit(self.starts);
    visit(self.values);
    visit(self.before);
    visit(self.memory);
    visit(self.memory_before);
    visit(self.observations);
  }

  size_t saved_bytes() const override {
    size_t bytes = 0;
    visit_saved(*this, [&](const auto& array) { bytes += array.size() * sizeof(array[0]); });
    return snapshot_bytes() + bytes / size();
  }

  void write_saved(uint8_t* at, size_t first, size_t n) const override {
    for (size_t i = first; i < first + n; ++i) {
      write_snapshot(at, i);
      at += snapshot_bytes();
      visit_saved(*this, [&](const auto& array) { put(at, array, i, 1); });
    }
  }

  void read_saved(const uint8_t* at, size_t first, size_t n) override {
    const size_t console = snapshot_bytes(), bytes = saved_bytes();
    for (size_t k = 0; k < n; ++k) {
      check_snapshot({at + k * bytes, console});
      check_saved(at + k * bytes + console);
    }
    for (size_t i = first; i < first + n; ++i) {
      with(states_[i], [&](auto& s) { load_snapshot(s, {at, console}); });
      at += console;
      visit_saved(*this, [&](auto& array) { take(at, array, i, 1); });
    }
  }

  void check_saved(const uint8_t* at) const {
    Game game;
    int32_t step, frame, start;
    const auto read = [&at](auto& to) {
      std::memcpy(&to, at, sizeof(to));
      at += sizeof(to);
    };
    read(game);
    const bool flag = *at++ <= 1;  // whether it needs a reset
    read(step);
    read(frame);
    read(start);
    const bool good = flag && step >= 0 && frame >= 0 && game.held < 256 && start >= -1 &&
                      start < static_cast<int>(play_.starts.size());
    if (!good) throw std::invalid_argument("the saved state of a game is damaged");
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

  void begin(size_t i, int32_t place, std::span<const uint8_t> moment) override {
    Game& game = games_[i];
    needs_reset[i] = 1;  // stays so when it fails
    game.draws = stream(game.random.next(), 0);
    game.held = 0;
    const int drawn = drawn_start(game.draws);
    const int start = place < 0 ? drawn : place;
    const int idle = play_.noop_max > 0 ? game.draws.below(play_.noop_max + 1) : 0;
    if (config().keep_frames) forget_frames();
    with(states_[i], [&](auto& s) {
      load_snapshot(s, !moment.empty() ? moment : play_.starts[static_cast<size_t>(start)]);
      for (int k = 0; k < idle; ++k) run_frame(s, 0);
      if (config().keep_frames) keep_frame(s);
      read(s, i);
      keep_numbers(i);
      if (pixels()) {
        using S = std::remove_reference_t<decltype(s)>;
        PixelStack::Beginning<S>(*pixels(), cart(), observation(i)).see(s);
      } else {
        observe_console(s, i);
      }
    });
    steps[i] = 0;
    frames[i] = idle;
    starts[i] = moment.empty() ? start : -1;
    needs_reset[i] = 0;
  }

  void step_game(size_t i) override {
    if (needs_reset[i] != 0) return begin(i, -1, {});  // next-step autoreset
    Game& game = games_[i];
    const uint8_t buttons = play_.actions[static_cast<size_t>(action(i))];
    keep_numbers(i);
    if (config().keep_frames) forget_frames();
    with(states_[i], [&](auto& s) {
      using S = std::remove_reference_t<decltype(s)>;
      std::optional<PixelStack::Step<S>> pictures;
      if (pixels()) pictures.emplace(*pixels(), cart(), observation(i));
      for (int frame = 0; frame < play_.frame_skip; ++frame) {
        if (!sticks(game)) game.held = buttons;
        run_frame(s, static_cast<uint8_t>(game.held));
        if (config().keep_frames) keep_frame(s);
        if (pictures) pictures->see(s, false, false);
      }
      read(s, i);
      if (pictures) {
        pictures->finish(s);
      } else {
        observe_console(s, i);
      }
    });
    count_on(steps[i], 1);
    count_on(frames[i], play_.frame_skip);
  }

  // A game that never ends may be played for longer than that: then its counters stay there.
  static void count_on(int32_t& counter, int32_t by) {
    counter = counter > INT32_MAX - by ? INT32_MAX : counter + by;
  }

  bool sticks(Game& game) const {
    return play_.repeat_action_probability > 0 &&
           game.draws.uniform() < play_.repeat_action_probability;
  }

  template <typename S>
  void run_frame(S& s, uint8_t buttons) const {
    nes::run_frame(s, cart(), buttons);
    if (s.jammed != 0) throw std::runtime_error("the game's program has crashed");
  }

  template <typename S>
  void read(const S& s, size_t i) {
    int64_t* const out = row(values, i);
    for (size_t k = 0; k < play_.variables.size(); ++k) out[k] = play_.variables[k].read(s);
    uint8_t* bytes = memory.data() + i * memory_bytes_;
    for (const Stretch& stretch : play_.stretches) {
      stretch.read(s, bytes);
      bytes += stretch.size;
    }
  }

  // What has been read is from now on what was before.
  void keep_numbers(size_t i) {
    std::copy_n(row(values, i), play_.columns(), row(before, i));
    const size_t at = i * memory_bytes_;
    std::copy_n(memory.data() + at, memory_bytes_, memory_before.data() + at);
  }

  std::shared_ptr<const nes::Cartridge> owner_;
  Play play_;
  size_t memory_bytes_;
  States states_;
  std::vector<Game> games_;
};

}  // namespace warpzone::batch
