// N games at once, in groups that can be stepped independently of each other. Everything that a
// caller reads lies in arrays that are allocated once; worker threads write straight into them.
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

#include "batch/workers.h"
#include "nes/paint.h"
#include "nes/simd.h"
#include "nes/snapshot.h"
#include "smb/game.h"
#include "smb/picture.h"

namespace warpzone::batch {

enum class Observation : int32_t { tiles, pixels, rgb, ram };
enum class Autoreset : int32_t { same_step, next_step, disabled };

struct Config {
  smb::Rules rules;
  Observation observation = Observation::tiles;
  Autoreset autoreset = Autoreset::same_step;
  int num_games = 1;
  int num_groups = 1;
  int threads = 1;
  uint64_t seed = 0;
  // Pixels only.
  int height = 84, width = 84, stack = 4;
  bool crop_status_bar = false;
  bool max_pool = false;     // brighter of the last two frames
  bool consecutive = false;  // the channels are the frames of one step, not the last of each
  bool keep_frames = false;  // every emulated frame of the last step can be had (num_games 1)

  // Throws std::invalid_argument.
  void check() const {
    rules.check();
    const auto require = [](bool ok, const char* what) {
      if (!ok) throw std::invalid_argument(what);
    };
    require(num_games >= 1, "there must be at least one game");
    require(num_groups >= 1 && num_groups <= num_games, "groups must hold at least one game each");
    require(threads >= 1, "there must be at least one thread");
    require(height >= 1 && height <= 240 && width >= 1 && width <= 256,
            "pictures must be at least 1x1 and at most 240x256");
    require(stack >= 1, "frame_stack must be at least 1");
    require(!consecutive || stack == rules.frame_skip,
            "consecutive stacking needs frame_stack equal to frame_skip");
    require(!keep_frames || num_games == 1, "keep_frames works with one game only");
  }
};

// What must hold for a game to be gone on with: no index outside its array, no sum that overflows.
inline bool plausible(const smb::Game& game) {
  constexpr int32_t kMostPosition = 0xFFFF, kMostCount = 1 << 30;
  const auto position = [](int32_t value) { return value >= 0 && value <= kMostPosition; };
  const auto count = [](int64_t value) { return value >= 0 && value <= kMostCount; };
  const auto all = [](const auto& values, auto&& good) {
    return std::all_of(values.begin(), values.end(), good);
  };
  const smb::Progress& progress = game.progress;
  return nes::plausible(game.nes) && progress.areas >= 0 &&
         progress.areas <= static_cast<int32_t>(smb::Progress::kAreas) && count(progress.total) &&
         all(progress.best, position) && count(game.signals.frames) && count(game.signals.steps) &&
         count(game.stuck_steps) && position(game.last_x) && position(game.last_time) &&
         all(game.motion.x, position) && all(game.motion.y, position) &&
         position(game.motion.mario_x) && position(game.motion.mario_y);
}

// What the console of a watched game was given, in every frame since its level began: the whole
// game can be played again from it.
struct Journal {
  bool known = false;             // not so after `load`, until the next episode
  int32_t level = 0;              // where it began
  bool own_start = true;          // the episode too, not only the level
  std::vector<uint8_t> buttons;   // of each frame
  std::vector<uint32_t> decided;  // how many frames there were before each action of the episode

  void clear() {
    known = false;
    buttons.clear();
    decided.clear();
  }
};

// Arrays of a caller for the observations of a group, [n, ...] each: written to by the worker
// threads, as well as the batch's own.
struct Output {
  std::span<uint8_t> observations;  // empty: not wanted
  std::span<float> scalars;
  std::shared_ptr<void> owner;  // keeps them until the group has been received
};

class Batch {
 public:
  Batch(std::shared_ptr<smb::LevelStarts> levels, Config config)
      : levels_(std::move(levels)), config_(std::move(config)) {
    config_.check();
    const auto n = static_cast<size_t>(config_.num_games);
    games_.resize(n);
    ended_maps_.resize(n);
    std::memset(static_cast<void*>(games_.data()), 0, n * sizeof(smb::Game));
    for (smb::Game& game : games_) game.nes = nes::power_on(levels_->cartridge());
    needs_reset_.assign(n, 1);
    observation_bytes_ = bytes_of_observation();
    observations.assign(n * observation_bytes_, 0);
    final_observations.assign(n * observation_bytes_, 0);
    scalars.assign(n * scalar_count(), 0.0F);
    final_scalars.assign(n * scalar_count(), 0.0F);
    rewards.assign(n, 0.0F);
    returns.assign(n, 0.0F);
    terminated.assign(n, 0);
    truncated.assign(n, 0);
    signals.assign(n, {});
    start_signals.assign(n, {});
    actions_.assign(n, 0);
    if (config_.observation == Observation::pixels) {
      picture_.emplace(config_.height, config_.width, config_.crop_status_bar);
    }
    seed(config_.seed);
    std::vector<int> sizes;
    for (int group = 0; group < config_.num_groups; ++group) {
      sizes.push_back(group_begin(group + 1) - group_begin(group));
    }
    pending_.assign(sizes.size(), 0);
    outputs_.resize(sizes.size());
    workers_ = std::make_unique<Workers>(
        std::min(config_.threads, config_.num_games), sizes, [this](int group, int item) {
          run(static_cast<size_t>(group), static_cast<size_t>(item));
        });
  }

  const Config& config() const { return config_; }
  const smb::LevelStarts& levels() const { return *levels_; }
  size_t observation_bytes() const { return observation_bytes_; }
  size_t scalar_count() const {
    return config_.observation == Observation::tiles ? smb::kScalars : 0;
  }
  int group_begin(int group) const {
    return static_cast<int>(static_cast<int64_t>(config_.num_games) * group / config_.num_groups);
  }

  // New random streams for all games: results depend on the seed and a game's index alone.
  void seed(uint64_t seed) {
    require_idle();
    for (size_t i = 0; i < games_.size(); ++i) games_[i].random = smb::stream(seed, i);
  }

  // Starts new episodes where `mask` is not 0.
  void reset(std::span<const uint8_t> mask) {
    require_idle();
    if (mask.size() != games_.size()) throw std::invalid_argument("a mask needs a value per game");
    for (size_t i = 0; i < games_.size(); ++i) {
      if (mask[i] == 0) continue;
      reset_game(i);
      rewards[i] = 0;
      returns[i] = 0;
      terminated[i] = truncated[i] = 0;
      signals[i] = games_[i].signals;
    }
  }

  // Moments at which episodes may begin; none does before they are weighed. Not part of `save`.
  void set_starts(std::vector<smb::Start> starts) {
    require_idle();
    for (const smb::Start& start : starts) {
      if (!nes::plausible(start.nes) || start.level < 0 || start.level >= smb::kLevels) {
        throw std::invalid_argument("a start is damaged");
      }
      if (start.buttons.size() % static_cast<size_t>(config_.rules.frame_skip) != 0) {
        throw std::invalid_argument("the frames that lead to a start must make whole steps");
      }
    }
    starts_.set(std::move(starts));
  }

  // Elsewhere than on its route nothing counts as progress in a level that has one. Not part of
  // `save`.
  void set_routes(std::vector<std::pair<int, smb::Route>> routes) {
    require_idle();
    starts_.set_routes(std::move(routes));
  }

  // From now on that share of episodes begins at one of them, drawn by weight.
  void weigh_starts(std::span<const double> weights, double share) {
    require_idle();
    starts_.weigh(weights, share);
  }

  // Begins to step the games of a group; returns at once when there are threads to do it.
  void send(int group, std::span<const int64_t> actions, Output output = {}) {
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
    std::copy(actions.begin(), actions.end(), actions_.begin() + static_cast<ptrdiff_t>(begin));
    outputs_[static_cast<size_t>(group)] = std::move(output);
    pending_[static_cast<size_t>(group)] = 1;
    workers_->start(group);
  }

  // Waits for the group. Throws what the first failing game threw; then reset before going on.
  void recv(int group) {
    check_group(group);
    if (pending_[static_cast<size_t>(group)] == 0) {
      throw std::logic_error("nothing was sent to this group");
    }
    pending_[static_cast<size_t>(group)] = 0;
    try {
      workers_->wait(group);
    } catch (...) {
      outputs_[static_cast<size_t>(group)] = {};
      throw;
    }
    outputs_[static_cast<size_t>(group)] = {};
  }

  // From its next episode on, a journal is kept of each of these games, and of no other. Not part
  // of `save`.
  void watch(std::span<const int> games) {
    require_idle();
    for (const int game : games) {
      if (game < 0 || game >= config_.num_games) {
        throw std::invalid_argument("there is no game " + std::to_string(game) + " to watch");
      }
    }
    watched_.clear();
    watched_.resize(games_.size());
    for (const int game : games) {
      watched_[static_cast<size_t>(game)] = std::make_unique<Watched>();
    }
  }

  // The map (see `smb::map_number`) in which the last episode of a game ended.
  uint8_t ended_map(size_t game) const { return ended_maps_.at(game); }

  // Of a watched game, as far as it is played; of the last one that ended, and its RAM then.
  // Those of other groups may be stepping.
  const Journal& journal(size_t game) const { return watched(game).now; }
  const Journal& ended_journal(size_t game) const { return watched(game).ended; }
  const std::array<uint8_t, 0x800>& ended_ram(size_t game) const { return watched(game).ram; }

  // Every frame of the last step of a batch with keep_frames, cutscenes included.
  const std::vector<uint8_t>& frames() const { return frames_; }

  // Lets the only game run on by itself, with buttons held; for what comes after an end.
  void run_on(int frames, uint8_t buttons) {
    require_idle();
    frames_.clear();
    for (int i = 0; i < frames; ++i) {
      nes::run_frame(games_[0].nes, levels_->cartridge(), buttons);
      keep_frame(games_[0]);
    }
  }

  nes::State& console(size_t game) { return games_.at(game).nes; }

  // Everything that decides what comes next, as bytes.
  std::vector<uint8_t> save() const {
    require_idle();
    std::vector<uint8_t> bytes;
    const auto append = [&bytes](const void* data, size_t size) {
      const auto* at = static_cast<const uint8_t*>(data);
      bytes.insert(bytes.end(), at, at + size);
    };
    const SaveHeader header = save_header();
    append(&header, sizeof(header));
    append(games_.data(), games_.size() * sizeof(smb::Game));
    append(needs_reset_.data(), needs_reset_.size());
    append(signals.data(), signals.size() * sizeof(smb::Signals));
    append(start_signals.data(), start_signals.size() * sizeof(smb::Signals));
    append(terminated.data(), terminated.size());
    append(truncated.data(), truncated.size());
    append(returns.data(), returns.size() * sizeof(float));
    append(observations.data(), observations.size());
    append(scalars.data(), scalars.size() * sizeof(float));
    return bytes;
  }

  // Throws std::invalid_argument when the bytes are not from a batch like this one.
  void load(std::span<const uint8_t> bytes) {
    require_idle();
    const SaveHeader expected = save_header();
    const size_t per_game = sizeof(smb::Game) + 2 * sizeof(smb::Signals) + sizeof(float) + 3 +
                            observation_bytes_ + scalar_count() * sizeof(float);
    const size_t size = sizeof(expected) + games_.size() * per_game;
    if (bytes.size() != size || std::memcmp(bytes.data(), &expected, sizeof(expected)) != 0) {
      throw std::invalid_argument(
          "these bytes were not saved by environments like these (number of games, observation, "
          "cartridge or version differ)");
    }
    std::vector<smb::Game> games(games_.size());
    std::memcpy(static_cast<void*>(games.data()), bytes.data() + sizeof(expected),
                games.size() * sizeof(smb::Game));
    const uint8_t* ended = bytes.data() + sizeof(expected) + games.size() * sizeof(smb::Game);
    for (size_t i = 0; i < games.size(); ++i) {
      // What has ended must wait for its reset: it cannot be stepped.
      if (!plausible(games[i]) || (games[i].over != 0 && ended[i] == 0)) {
        throw std::invalid_argument("the saved state of a game is damaged");
      }
    }
    std::copy(games.begin(), games.end(), games_.begin());  // in place: callers hold views of RAM
    const uint8_t* at = bytes.data() + sizeof(expected) + games_.size() * sizeof(smb::Game);
    const auto take = [&at](void* to, size_t count) {
      std::copy_n(at, count, static_cast<uint8_t*>(to));
      at += count;
    };
    take(needs_reset_.data(), needs_reset_.size());
    take(signals.data(), signals.size() * sizeof(smb::Signals));
    take(start_signals.data(), start_signals.size() * sizeof(smb::Signals));
    take(terminated.data(), terminated.size());
    take(truncated.data(), truncated.size());
    take(returns.data(), returns.size() * sizeof(float));
    take(observations.data(), observations.size());
    take(scalars.data(), scalars.size() * sizeof(float));
    for (const auto& watched : watched_) {
      if (watched == nullptr) continue;
      watched->now.clear();
      watched->ended.clear();
    }
  }

  // Per game, in order. After a step: `signals`, `terminated`, `truncated` and `rewards` tell of
  // the state that the action led to; `observations` is the next thing to act on, of a new episode
  // where one has begun; the `final_` rows are only filled where an episode ended.
  std::vector<uint8_t> observations, final_observations;
  std::vector<float> scalars, final_scalars;
  std::vector<float> rewards, returns;
  std::vector<uint8_t> terminated, truncated;
  std::vector<smb::Signals> signals, start_signals;

 private:
  struct Watched {
    Journal now, ended;
    std::array<uint8_t, 0x800> ram{};
  };

  const Watched& watched(size_t game) const {
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

  SaveHeader save_header() const {
    return {{'W', 'Z', 'B', 'A', 'T', 'C', 'H', '\0'},
            nes::kSnapshotVersion,
            config_.num_games,
            static_cast<int32_t>(config_.observation),
            0,
            observation_bytes_,
            sizeof(smb::Game),
            levels_->cartridge().fingerprint};
  }

  size_t bytes_of_observation() const {
    switch (config_.observation) {
      case Observation::tiles: return smb::kTileBytes;
      case Observation::pixels: return static_cast<size_t>(config_.stack) * picture_bytes();
      case Observation::rgb: return static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth * 3;
      case Observation::ram: break;
    }
    return 0x800;
  }

  size_t picture_bytes() const {
    return static_cast<size_t>(config_.height) * static_cast<size_t>(config_.width);
  }

  void check_group(int group) const {
    if (group < 0 || group >= config_.num_groups) {
      throw std::invalid_argument("there are " + std::to_string(config_.num_groups) +
                                  " groups, there is no group " + std::to_string(group));
    }
  }

  void require_idle() const {
    if (std::any_of(pending_.begin(), pending_.end(), [](uint8_t p) { return p != 0; })) {
      throw std::logic_error("a group is still stepping; recv it first");
    }
  }

  void reset_game(size_t i) {
    smb::Game& game = games_[i];
    needs_reset_[i] = 1;  // stays so when it fails
    if (config_.keep_frames) frames_.clear();
    const bool pixels = config_.observation == Observation::pixels;
    const int skip = config_.consecutive ? 1 : config_.rules.frame_skip;
    uint8_t* stack = &observations[i * observation_bytes_];
    int seen = 0;
    const bool pool = pixels && config_.max_pool && skip > 1;
    nes::State before;  // the last frame, if pictures are pooled
    game.reset(*levels_, config_.rules, starts_, [&](smb::Game& g, bool) {
      if (config_.keep_frames) keep_frame(g);
      ++seen;
      if (pixels && (seen == 1 || seen % skip == 0)) {
        const nes::State* merged = pool && seen > 1 ? &before : nullptr;
        if (seen > skip) {
          std::memmove(stack, stack + picture_bytes(), observation_bytes_ - picture_bytes());
          uint8_t* newest = stack + observation_bytes_ - picture_bytes();
          picture_->draw(g.nes, levels_->cartridge(), newest, merged);
        } else {  // nothing is known of what came before
          picture_->draw(g.nes, levels_->cartridge(), stack, merged);
          for (int k = 1; k < config_.stack; ++k) {
            std::memcpy(stack + static_cast<size_t>(k) * picture_bytes(), stack, picture_bytes());
          }
        }
      }
      if (pool) before = g.nes;
    });
    if (!pixels) observe(i);
    start_signals[i] = game.signals;
    needs_reset_[i] = 0;
    if (!watched_.empty() && watched_[i] != nullptr) begin_journal(watched_[i]->now, game);
  }

  // After a reset: what has led to where the game stands.
  void begin_journal(Journal& journal, const smb::Game& game) {
    journal.clear();
    journal.level = game.signals.level;
    journal.own_start = game.signals.start < 0;
    if (journal.own_start) {
      journal.known = true;
      journal.buttons.assign(static_cast<size_t>(game.signals.frames), 0);
      return;
    }
    const smb::Start& start = starts_.at(game.signals.start);
    if (!start.lead) return;
    journal.known = true;
    journal.buttons = *start.lead;
    journal.buttons.insert(journal.buttons.end(), start.buttons.begin(), start.buttons.end());
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

  void step_game(size_t i) {
    smb::Game& game = games_[i];
    if (needs_reset_[i] != 0) {
      if (config_.autoreset != Autoreset::next_step) {
        throw std::logic_error("game " + std::to_string(i) +
                               " has no running episode: call reset() first");
      }
      reset_game(i);
      rewards[i] = 0;
      returns[i] = 0;
      terminated[i] = truncated[i] = 0;
      signals[i] = game.signals;
      return;
    }
    const auto& actions = config_.rules.actions;
    const int64_t action = actions_[i];
    if (action < 0 || action >= static_cast<int64_t>(actions.size())) {
      throw std::invalid_argument("action " + std::to_string(action) + " of game " +
                                  std::to_string(i) + " is outside 0.." +
                                  std::to_string(actions.size() - 1));
    }
    const bool pixels = config_.observation == Observation::pixels;
    if (config_.keep_frames) frames_.clear();
    uint8_t* stack = &observations[i * observation_bytes_];
    if (pixels && !config_.consecutive) {
      std::memmove(stack, stack + picture_bytes(), observation_bytes_ - picture_bytes());
    }
    Watched* const watched = watched_.empty() ? nullptr : watched_[i].get();
    Journal* const journal = watched != nullptr && watched->now.known ? &watched->now : nullptr;
    if (journal) journal->decided.push_back(static_cast<uint32_t>(journal->buttons.size()));
    int seen = 0;
    bool shown = false, cut = false;
    nes::State before;  // the last frame, if pictures are pooled
    const auto see = [&](smb::Game& g, bool cutscene) {
      if (journal) journal->buttons.push_back(cutscene ? 0 : g.held);
      if (config_.keep_frames) keep_frame(g);
      shown = false;
      cut = cut || cutscene;
      if (cutscene) return;
      ++seen;
      const bool merge = config_.max_pool && seen > 1 && !cut;
      if (pixels) shown = see_frame(i, g, seen, merge ? &before : nullptr);
      if (config_.max_pool) before = g.nes;
      cut = false;
    };
    const smb::Outcome outcome =
        game.step(levels_->cartridge(), config_.rules, starts_.route(game.signals.level),
                  actions[static_cast<size_t>(action)], see);
    if (!pixels) {
      observe(i);
    } else {
      // An episode that ended early shows its last frame again.
      for (int k = seen; config_.consecutive && k < config_.stack; ++k) {
        std::memcpy(stack + static_cast<size_t>(k) * picture_bytes(),
                    stack + static_cast<size_t>(k - 1) * picture_bytes(), picture_bytes());
      }
      // What is acted on next is what a cutscene at the end of the step has led to.
      uint8_t* newest = stack + observation_bytes_ - picture_bytes();
      if (!shown) picture_->draw(game.nes, levels_->cartridge(), newest);
    }
    rewards[i] = outcome.reward;
    terminated[i] = outcome.terminated ? 1 : 0;
    truncated[i] = outcome.truncated ? 1 : 0;
    signals[i] = game.signals;
    returns[i] = game.episode_return;
    if (!outcome.terminated && !outcome.truncated) return;

    needs_reset_[i] = 1;
    ended_maps_[i] = smb::map_number(game.nes);
    if (watched != nullptr) {
      std::swap(watched->ended, watched->now);
      watched->now.clear();
      watched->ram = game.nes.ram;
    }
    std::memcpy(&final_observations[i * observation_bytes_], stack, observation_bytes_);
    const size_t n = scalar_count();
    std::copy_n(scalars.data() + i * n, n, final_scalars.data() + i * n);
    if (config_.autoreset == Autoreset::same_step) reset_game(i);
  }

  // Called after each frame of a step; draws only frames that the observation shows, the last one
  // merged with the one before if wanted. Returns whether the observation is complete.
  bool see_frame(size_t i, const smb::Game& game, int seen, const nes::State* before) {
    uint8_t* stack = &observations[i * observation_bytes_];
    const nes::Cartridge& cart = levels_->cartridge();
    if (config_.consecutive) {
      picture_->draw(game.nes, cart, stack + static_cast<size_t>(seen - 1) * picture_bytes());
      return true;
    }
    const bool last = seen == config_.rules.frame_skip || game.over != 0;
    uint8_t* newest = stack + observation_bytes_ - picture_bytes();
    if (last) picture_->draw(game.nes, cart, newest, before);
    return last;
  }

  void observe(size_t i) {
    const smb::Game& game = games_[i];
    uint8_t* out = &observations[i * observation_bytes_];
    switch (config_.observation) {
      case Observation::tiles:
        smb::observe_tiles(game.nes, game.motion, game.held,
                           config_.rules.show_level ? game.signals.level : -1, out,
                           &scalars[i * scalar_count()]);
        break;
      case Observation::rgb: {
        nes::ppu::Painter painter(game.nes, levels_->cartridge(), nes::ppu::kSameColours);
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

  void keep_frame(const smb::Game& game) {
    constexpr size_t kBytes = static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth;
    frames_.resize(frames_.size() + kBytes);
    nes::ppu::draw(game.nes, levels_->cartridge(), frames_.data() + frames_.size() - kBytes);
  }

  std::shared_ptr<smb::LevelStarts> levels_;
  Config config_;
  size_t observation_bytes_ = 0;
  std::vector<smb::Game> games_;
  smb::Starts starts_;
  std::vector<uint8_t> needs_reset_;
  std::vector<int64_t> actions_;
  std::vector<uint8_t> pending_;
  std::vector<Output> outputs_;  // by group
  std::optional<smb::GreyPicture<>> picture_;
  std::vector<uint8_t> frames_;
  std::vector<uint8_t> ended_maps_;                // not part of `save`
  std::vector<std::unique_ptr<Watched>> watched_;  // empty: none is
  std::unique_ptr<Workers> workers_;  // last: its threads stop before what they use goes
};

}  // namespace warpzone::batch
