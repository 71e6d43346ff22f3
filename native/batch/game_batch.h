// N games whose rules are native code: they are played, judged and begun anew by the threads of a
// batch, and may be played with nobody in between. Of a game it knows what game.h says.
// One file because steps, resets and saved states share its arrays; what stands by itself (config,
// game, input log, pixels, play, workers) has a file beside it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch/batch.h"
#include "batch/decider.h"
#include "batch/game.h"
#include "batch/input_log.h"
#include "batch/play.h"
#include "batch/watch.h"
#include "nes/console.h"
#include "nes/snapshot.h"
#include "simd/kernels.h"

namespace warpzone::batch {

template <Game G>
class GameBatch : public Batch {
 public:
  using State = typename G::State;
  using Signals = typename G::Signals;
  using Ram = std::array<uint8_t, 0x800>;

  GameBatch(G game, const Config& config)
      : Batch(game.cartridge(), facts_of(game), config), game_(std::move(game)),
        rows_(rows_at_once(config)), pieces_(chunks()) {
    const size_t n = size();
    games_.resize(n);
    std::memset(static_cast<void*>(games_.data()), 0, n * sizeof(State));
    for (State& game : games_) game.nes = nes::power_on(cart());
    final_observations.assign(observations.size(), 0);
    final_scalars.assign(scalars.size(), 0.0F);
    rewards.assign(n, 0.0F);
    returns.assign(n, 0.0F);
    terminated.assign(n, 0);
    truncated.assign(n, 0);
    ended_places.assign(n, 0);
    signals.assign(n, {});
    start_signals.assign(n, {});
    spare_logits_.assign(n * game_.actions().size(), 0.0F);
    play_seconds_.resize(chunks());
    for (size_t i = 0; i < n; ++i) G::seed(games_[i], config.seed, i);
  }

  ~GameBatch() override { stop(); }

  const G& game() const { return game_; }
  // The same, to change what all games share; while none is stepping. `enter` while it is changed.
  G& game_to_change() {
    require_idle();
    return game_;
  }

  // Plays so many steps of all games with nobody in between: the threads decide, draw and step for
  // a few games each. `first` is the number of the first decision in the run, from which (and from
  // `seed`) the draws come, and `stride` (N) how many are made in a step, of which others may
  // make some: that of game i in step t is first + t * stride + i. The arrays must outlive the
  // call. Throws as `recv` does, what the decider throws too; then reset before going on.
  void play(const Decider& decider, const PlayArrays<Signals>& out, uint64_t seed, uint64_t first,
            std::optional<uint64_t> stride = {}) {
    const auto hold = enter();
    require_idle();
    if (config().autoreset != Autoreset::same_step) {
      throw std::logic_error("play needs games that begin anew in the step that ends them");
    }
    const Decider::Sizes sizes{observation_bytes(), scalar_count(), game_.actions().size()};
    if (decider.sizes() != sizes) {
      throw std::invalid_argument("the decider is made for " + text(decider.sizes()) +
                                  ", these games have " + text(sizes));
    }
    out.check(size(), sizes);
    check_actions(0, std::vector<int64_t>(size(), 0));
    for (const auto& game : watched_) {
      if (game != nullptr) game->ended.clear();
    }
    pieces_.start(out.steps);
    const Watch watch(play_wall_);
    const Playing playing{decider, out, Noise(seed), first, stride.value_or(size())};
    playing_ = &playing;
    try {
      in_threads(chunks(), [this](size_t) { take_part(); });  // no more can
    } catch (...) {
      playing_ = nullptr;
      throw;
    }
    playing_ = nullptr;
  }

  // A snapshot of the console of a game.
  std::vector<uint8_t> snapshot(size_t game) const {
    const auto hold = enter();
    require_idle(game);
    std::vector<uint8_t> bytes(nes::snapshot_bytes(cart()));
    nes::save(games_[game].nes, cart(), bytes.data());
    return bytes;
  }

  // From its next episode on, the inputs are logged of each of these games, and of no other; those
  // that are logged already go on. Not part of `save`.
  void watch(std::span<const int> games) {
    const auto hold = enter();
    require_idle();
    for (const int game : games) {
      if (game < 0 || game >= config().num_games) {
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
      if (!G::is_level(logs.back().second.level)) {
        throw std::invalid_argument("an input log is damaged");
      }
    }
    for (auto& [game, log] : logs) {
      if (game < watched_.size() && watched_[game] != nullptr) watched_[game]->now = std::move(log);
    }
  }

  // The last episode of a game that ended, and its RAM then.
  struct Ended {
    InputLog log;
    Ram ram{};
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
    const auto [begin, n] = rows(group);
    if (stepping(group)) {
      throw std::logic_error("this group is stepping; recv it first");
    }
    if (bytes.size() != n * kFeatureBytes || scalars.size() != n * G::kFeatureScalars) {
      throw std::invalid_argument("the arrays to write to do not have the size of this group's");
    }
    for (size_t k = 0; k < n; ++k) {
      game_.observe_all(games_[begin + k], &bytes[k * kFeatureBytes],
                        &scalars[k * G::kFeatureScalars]);
    }
  }

  // From now on RAM is kept as the episodes that end leave it, for `read_ram`.
  void keep_ram() {
    const auto hold = enter();
    require_idle();
    ended_ram_.resize(size());
  }

  // RAM of the games of a group, n rows of 2,048 bytes: as they stand, or, with `reached` and
  // `keep_ram`, as the last step left it, before an episode began anew in it. Throws
  // std::invalid_argument.
  void read_ram(int group, bool reached, std::span<uint8_t> out) const {
    const auto hold = enter();
    const auto [begin, n] = rows(group);
    if (stepping(group)) throw std::logic_error("this group is stepping; recv it first");
    if (out.size() != n * sizeof(Ram)) {
      throw std::invalid_argument("the array to write to does not have the size of this group's");
    }
    const bool anew = reached && config().autoreset == Autoreset::same_step && !ended_ram_.empty();
    for (size_t k = 0; k < n; ++k) {
      const size_t i = begin + k;
      const bool ended = anew && (terminated[i] != 0 || truncated[i] != 0);
      const Ram& ram = ended ? ended_ram_[i] : games_[i].nes.ram;
      std::memcpy(&out[k * sizeof(Ram)], ram.data(), sizeof(Ram));
    }
  }

  // Lets the only game run on by itself, with buttons held; for what comes after an end.
  void run_on(int frames, uint8_t buttons) {
    const auto hold = enter();
    require_idle();
    forget_frames();
    for (int i = 0; i < frames; ++i) {
      nes::run_frame(games_[0].nes, cart(), buttons);
      keep_frame(games_[0].nes);
    }
  }

  // Calls `change` with each game and its number, and shows anew those of which it returns true.
  // Stacks of pictures stay as they are.
  template <typename Change>
  void change(Change&& change) {
    const auto hold = enter();
    require_idle();
    for (size_t i = 0; i < size(); ++i) {
      if (change(games_[i], i) && !pixels()) observe(i);
    }
  }

  nes::State& console(size_t game) override {
    check_game(game);
    return games_[game].nes;
  }

  // Per game, in order. After a step: `signals`, `terminated`, `truncated` and `rewards` tell of
  // the state that the action led to; `observations` is the next thing to act on, of a new episode
  // where one has begun; the `final_` rows are only filled where an episode ended, as is the place
  // (see batch/game.h) that it ended in.
  std::vector<uint8_t> final_observations;
  std::vector<float> final_scalars;
  std::vector<float> rewards, returns;
  std::vector<uint8_t> terminated, truncated, ended_places;
  std::vector<Signals> signals, start_signals;

 private:
  static constexpr size_t kFeatureBytes = std::accumulate(
      G::kFeatureShape.begin(), G::kFeatureShape.end(), size_t{1}, std::multiplies<>());

  struct Watched {
    InputLog now;
    std::vector<Ended> ended;
  };

  struct Playing {
    const Decider& decider;
    const PlayArrays<Signals>& out;
    Noise noise;
    uint64_t first, stride;  // decisions
  };

  static Facts facts_of(const G& game) {
    return {game.actions().size(),
            game.frame_skip(),
            G::kStatusBarLines,
            {G::kFeatureShape.begin(), G::kFeatureShape.end()},
            G::kFeatureScalars};
  }

  // Few enough that all threads have work.
  static size_t rows_at_once(const Config& config) {
    const int share = config.num_games / (2 * std::min(config.threads, config.num_games));
    return std::clamp(static_cast<size_t>(share), size_t{1}, kMostRows);
  }

  size_t chunks() const { return (size() + rows_ - 1) / rows_; }

  static std::string text(const Decider::Sizes& sizes) {
    return std::to_string(sizes.bytes) + " bytes, " + std::to_string(sizes.scalars) +
           " scalars and " + std::to_string(sizes.actions) + " actions";
  }

  void seed_game(size_t i, const Seed& seed) override {
    G::seed(games_[i], seed.seed, seed.stream);
  }

  // Where an episode begins that is not drawn.
  std::optional<typename G::Beginning> beginning(int32_t place,
                                                 std::span<const uint8_t> moment) const {
    if (place < 0 && moment.empty()) return std::nullopt;
    std::optional<nes::State> state;
    if (!moment.empty()) state = nes::load(moment, cart());
    return G::beginning(place, state);
  }

  void check_beginning(int32_t place, std::span<const uint8_t> moment) const override {
    beginning(place, moment);
  }

  void begin(size_t i, int32_t place, std::span<const uint8_t> moment) override {
    const auto given = beginning(place, moment);
    begin_anew(i, given ? &*given : nullptr);
  }

  void draw_game(size_t i, uint8_t* out) const override {
    nes::ppu::draw(games_[i].nes, cart(), out);
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

  std::vector<uint8_t> save_header(size_t n) const override {
    const SaveHeader header{{'W', 'Z', 'B', 'A', 'T', 'C', 'H', '\0'},
                            nes::kSnapshotVersion,
                            static_cast<int32_t>(n),
                            static_cast<int32_t>(config().observation),
                            0,
                            observation_bytes(),
                            sizeof(State),
                            cart().fingerprint};
    const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
    return {bytes, bytes + sizeof(header)};
  }

  const char* what_differs() const override {
    return "number of games, observation, cartridge or version";
  }

  // All that is saved, in this order: of each array what it has of all games.
  template <typename Self, typename Visit>
  static void visit_saved(Self& self, Visit&& visit) {
    visit(self.games_);
    visit(self.needs_reset);
    visit(self.signals);
    visit(self.start_signals);
    visit(self.terminated);
    visit(self.truncated);
    visit(self.returns);
    visit(self.observations);
    visit(self.scalars);
  }

  size_t saved_bytes() const override {
    size_t bytes = 0;
    visit_saved(*this, [&](const auto& array) { bytes += array.size() * sizeof(array[0]); });
    return bytes / size();
  }

  void write_saved(uint8_t* at, size_t first, size_t n) const override {
    visit_saved(*this, [&](const auto& array) { put(at, array, first, n); });
  }

  // In place: callers hold views of RAM.
  void read_saved(const uint8_t* at, size_t first, size_t n) override {
    if (!good_saved(at, n)) {
      throw std::invalid_argument("the saved state of a game is damaged");
    }
    visit_saved(*this, [&](auto& array) { take(at, array, first, n); });
    for (size_t i = first; i < first + n && !watched_.empty(); ++i) {
      if (watched_[i] == nullptr) continue;
      watched_[i]->now.clear();
      watched_[i]->ended.clear();
    }
  }

  // All but the observations, of which every value is a good one; in the order of `visit_saved`.
  static bool good_saved(const uint8_t* at, size_t n) {
    const auto next = [&]<typename T>(std::vector<T> array) {
      const size_t bytes = n * sizeof(T);
      array.resize(n);
      std::memcpy(static_cast<void*>(array.data()), at, bytes);
      at += bytes;
      return array;
    };
    const auto games = next(std::vector<State>());
    const auto waits = next(std::vector<uint8_t>());
    for (size_t i = 0; i < n; ++i) {
      if (waits[i] > 1 || !G::plausible(games[i], waits[i] != 0)) return false;
    }
    for (int k = 0; k < 2; ++k) {  // as they stand, and as the episode began
      const auto all = next(std::vector<Signals>());
      if (!std::ranges::all_of(all, [](const Signals& s) { return G::plausible(s); })) return false;
    }
    for (int k = 0; k < 2; ++k) {  // terminated, truncated
      const auto all = next(std::vector<uint8_t>());
      if (!std::ranges::all_of(all, [](uint8_t flag) { return flag <= 1; })) return false;
    }
    const auto sums = next(std::vector<float>());
    return std::ranges::all_of(sums, [](float sum) { return std::isfinite(sum); });
  }

  // An episode in which nothing has been done. nullptr: where it begins is drawn.
  void begin_anew(size_t i, const typename G::Beginning* beginning = nullptr) {
    reset_game(i, beginning);
    rewards[i] = 0;
    returns[i] = 0;
    terminated[i] = truncated[i] = 0;
    signals[i] = games_[i].signals;
  }

  void reset_game(size_t i, const typename G::Beginning* beginning = nullptr) {
    State& game = games_[i];
    needs_reset[i] = 1;  // stays so when it fails
    const uint64_t frame = game.nes.frame;
    if (config().keep_frames) forget_frames();
    std::optional<PixelStack::Beginning<>> pictures;
    if (pixels()) pictures.emplace(*pixels(), cart(), observation(i));
    const auto see = [&](const State& g, bool cutscene) {
      if (config().keep_frames) keep_frame(g.nes);
      if (pictures && !cutscene) pictures->see(g.nes);
    };
    const uint32_t variation =
        beginning ? game_.reset(game, see, *beginning) : game_.reset(game, see);
    if (!pixels()) observe(i);
    start_signals[i] = game.signals;
    needs_reset[i] = 0;
    if (watched_.empty() || watched_[i] == nullptr) return;
    begin_log(*watched_[i], game, game.nes.frame - frame, variation);
    // Nobody knows what led to a moment that was given.
    if (beginning && beginning->moment) watched_[i]->now.clear();
  }

  // After a reset: what has led to where the game stands. `frames` have passed since the episode
  // before, if the game just went on.
  void begin_log(Watched& watched, const State& game, uint64_t frames, uint32_t variation) {
    InputLog& log = watched.now;
    log.clear();
    log.carried = G::carried(game);
    if (log.carried) {
      if (watched.ended.empty()) return;
      const InputLog& before = watched.ended.back().log;
      if (!before.whole() || before.buttons.size() > InputLog::kMostCarried) return;
      log.level = before.level;
      log.variation = before.variation;
      log.own_start = false;
      log.buttons.reserve(before.buttons.size() + frames);
      log.buttons = before.buttons;
      log.buttons.insert(log.buttons.end(), frames, uint8_t{0});
      log.known = true;
      return;
    }
    log.level = G::level(game);
    log.variation = variation;
    log.own_start = G::at_level_start(game);
    log.known = game_.prefix(game, log.buttons);
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
    const size_t rows = std::min(rows_, size() - first);
    Spent& spent = play_seconds_[piece.chunk];
    Watch watch(spent.store);
    for (size_t t = piece.begin; t < piece.end; ++t) {
      const size_t at = t * size() + first;
      float* const logits = &playing_->out.log_probs[at * actions];
      store_observations(at, first, rows);
      watch.lap(spent.store);
      decide(at, first, rows, logits);
      const uint64_t decision = playing_->first + t * playing_->stride + first;
      for (size_t k = 0; k < rows; ++k) {
        draw(decision + k, at + k, first + k, {logits + k * actions, actions});
      }
      watch.lap(spent.decide);
      for (size_t i = first; i < first + rows; ++i) step_game(i);
      watch.lap(spent.step);
      for (size_t k = 0; k < rows; ++k) store_outcome(at + k, first + k);
    }
    if (piece.end < playing_->out.steps) return;
    const size_t at = piece.end * size() + first;
    store_observations(at, first, rows);
    decide(at, first, rows, &spare_logits_[first * actions]);
  }

  // What some games show, as sample `at` of the rollout and those after it.
  void store_observations(size_t at, size_t first, size_t rows) {
    const PlayArrays<Signals>& out = playing_->out;
    const size_t bytes = observation_bytes(), n = scalar_count();
    simd::copy_away(&out.observations[at * bytes], observation(first), rows * bytes);
    std::copy_n(scalars_of(first), rows * n, out.scalars.data() + at * n);
  }

  void decide(size_t at, size_t first, size_t rows, float* logits) {
    playing_->decider.decide(rows, observation(first), scalars_of(first), logits,
                             &playing_->out.values[at]);
  }

  // An action; makes log-probabilities of the logits.
  void draw(uint64_t decision, size_t at, size_t i, std::span<float> logits) {
    const size_t drawn = playing_->noise.draw(decision, logits);
    action(i) = playing_->out.actions[at] = static_cast<int64_t>(drawn);
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
    playing_->decider.decide(1, &final_observations[i * observation_bytes()],
                             final_scalars.data() + i * scalar_count(),
                             &spare_logits_[i * game_.actions().size()], &out.truncated_values[at]);
  }

  void step_game(size_t i) override {
    if (needs_reset[i] != 0) return begin_anew(i);  // next-step autoreset
    State& game = games_[i];
    const uint8_t buttons = game_.actions()[static_cast<size_t>(action(i))];
    if (config().keep_frames) forget_frames();
    std::optional<PixelStack::Step<>> pictures;
    if (pixels()) pictures.emplace(*pixels(), cart(), observation(i));
    Watched* const watched = watched_.empty() ? nullptr : watched_[i].get();
    InputLog* const log = watched != nullptr && watched->now.known ? &watched->now : nullptr;
    if (log) log->decided.push_back(static_cast<uint32_t>(log->buttons.size()));
    const auto see = [&](const State& g, bool cutscene) {
      if (log) log->buttons.push_back(cutscene ? 0 : g.held);
      if (config().keep_frames) keep_frame(g.nes);
      if (pictures) pictures->see(g.nes, cutscene, g.over != 0);
    };
    needs_reset[i] = 1;  // stays so when it fails: nobody knows then how far it has come
    const auto outcome = game_.step(game, buttons, see);
    needs_reset[i] = 0;
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

    needs_reset[i] = 1;
    ended_places[i] = G::place(game);
    if (!ended_ram_.empty()) ended_ram_[i] = game.nes.ram;
    if (watched != nullptr) {
      if (playing_ == nullptr && !watched->ended.empty()) watched->ended.resize(1);
      if (playing_ != nullptr || watched->ended.empty()) watched->ended.emplace_back();
      Ended& ended = watched->ended.back();
      std::swap(ended.log, watched->now);
      watched->now.clear();
      ended.ram = game.nes.ram;
    }
    const size_t bytes = observation_bytes(), n = scalar_count();
    std::memcpy(&final_observations[i * bytes], observation(i), bytes);
    std::copy_n(scalars_of(i), n, final_scalars.data() + i * n);
    if (config().autoreset == Autoreset::same_step) reset_game(i);
  }

  void observe(size_t i) {
    if (config().observation == Observation::features) {
      game_.observe(games_[i], observation(i), scalars_of(i));
    } else {
      observe_console(games_[i].nes, i);
    }
  }

  G game_;
  std::vector<State> games_;
  std::vector<float> spare_logits_;  // of observations of which only the value is wanted
  std::vector<std::unique_ptr<Watched>> watched_;  // empty: none is
  std::vector<Ram> ended_ram_;  // of the last episode that ended; empty: not kept
  // Of each chunk, which only one thread plays at a time, on a cache line of its own.
  struct alignas(64) Spent : PlaySeconds {};
  std::vector<Spent> play_seconds_;
  double play_wall_ = 0;
  size_t rows_;                       // of games that one thread decides for at once
  Pieces pieces_;                     // of `play`
  const Playing* playing_ = nullptr;  // what, while `play` runs
};

}  // namespace warpzone::batch
