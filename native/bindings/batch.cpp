// Batches of games: what all have in common, and those of Super Mario Bros.
#include "bindings/batch.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "batch/game_batch.h"
#include "bindings/rooms.h"
#include "smb/super_mario.h"

namespace warpzone::bindings {

using namespace nb::literals;
using batch::Autoreset;
using batch::Batch;
using batch::Config;
using batch::Decider;
using batch::InputLog;
using batch::Observation;
using batch::Output;
using MarioBatch = batch::GameBatch<smb::SuperMario>;

namespace {

Output output(const std::optional<Array<uint8_t>>& observations,
              const std::optional<Array<float>>& scalars) {
  Output out;
  if (!observations) return out;
  using Arrays = std::pair<std::optional<Array<uint8_t>>, std::optional<Array<float>>>;
  const auto release = [](Arrays* arrays) {  // a group is received without the GIL
    const nb::gil_scoped_acquire acquire;
    delete arrays;
  };
  out.owner = std::shared_ptr<Arrays>(new Arrays(observations, scalars), release);
  out.observations = {observations->data(), observations->size()};
  if (scalars) out.scalars = {scalars->data(), scalars->size()};
  return out;
}

// A function of Python that decides, for one thread at a time.
class FunctionDecider : public Decider {
 public:
  FunctionDecider(Sizes sizes, nb::callable function)
      : sizes_(sizes), function_(std::move(function)) {}

  Sizes sizes() const override { return sizes_; }

  void decide(size_t rows, const uint8_t* bytes, const float* scalars, float* logits,
              float* values) const override {
    const nb::gil_scoped_acquire acquire;
    function_(view(bytes, {rows, sizes_.bytes}), view(scalars, {rows, sizes_.scalars}),
              view(logits, {rows, sizes_.actions}), view(values, {rows}));
  }

 private:
  template <typename T>
  static nb::ndarray<nb::numpy, T> view(T* data, const std::vector<size_t>& shape) {
    return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), nb::none());
  }

  Sizes sizes_;
  nb::callable function_;
};

using Played = std::tuple<int32_t, bool, nb::bytes, std::vector<uint32_t>, uint32_t>;

std::optional<Played> to_python(const InputLog& log) {
  if (!log.known) return std::nullopt;
  return Played(log.level, log.own_start, to_bytes(log.buttons), log.decided, log.variation);
}

constexpr size_t kSignals = 20;

nb::ndarray<nb::numpy, int32_t> signal_view(nb::handle self, std::vector<smb::Signals>& signals) {
  static_assert(sizeof(smb::Signals) == kSignals * sizeof(int32_t));
  return view_of<int32_t>(self, reinterpret_cast<int32_t*>(signals.data()),
                          {signals.size(), kSignals});
}

void bind_what_all_have(nb::module_& m) {
  nb::enum_<Observation>(m, "Observation")
      .value("features", Observation::features)
      .value("pixels", Observation::pixels)
      .value("rgb", Observation::rgb)
      .value("ram", Observation::ram);
  nb::enum_<Autoreset>(m, "Autoreset")
      .value("same_step", Autoreset::same_step)
      .value("next_step", Autoreset::next_step)
      .value("disabled", Autoreset::disabled);
  nb::class_<Config>(m, "Config", "How a batch of games is run and seen.")
      .def(nb::init<>())
      .def_rw("observation", &Config::observation)
      .def_rw("autoreset", &Config::autoreset)
      .def_rw("num_games", &Config::num_games)
      .def_rw("num_groups", &Config::num_groups)
      .def_rw("threads", &Config::threads)
      .def_rw("seed", &Config::seed)
      .def_rw("height", &Config::height)
      .def_rw("width", &Config::width)
      .def_rw("stack", &Config::stack)
      .def_rw("crop_status_bar", &Config::crop_status_bar)
      .def_rw("max_pool", &Config::max_pool)
      .def_rw("consecutive", &Config::consecutive)
      .def_rw("keep_frames", &Config::keep_frames);

  nb::class_<Batch> batch(m, "Batch",
                          "N games. Arrays are views of memory that stays where it is.");
  batch.def("group_begin", &Batch::group_begin, "group"_a, "The first game of a group.")
      .def("close", &Batch::close, nb::call_guard<nb::gil_scoped_release>(),
           "Ends the threads; all that may be done after it is to read the arrays.")
      .def(
          "reset",
          [](Batch& self, Mask mask,
             const std::vector<std::optional<std::pair<uint64_t, uint64_t>>>& seeds,
             std::vector<int32_t> places, const std::vector<nb::bytes>& states) {
            batch::Beginnings given;
            for (const auto& seed : seeds) {
              given.seeds.push_back(seed ? std::optional(batch::Seed{seed->first, seed->second})
                                         : std::nullopt);
            }
            given.places = std::move(places);
            given.states = copies(states);
            const nb::gil_scoped_release release;
            self.reset({mask.data(), mask.size()}, given);
          },
          "mask"_a, "seeds"_a = nb::make_tuple(), "places"_a = nb::make_tuple(),
          "states"_a = nb::make_tuple(),
          "Begins episodes where mask, uint8[N], is not 0, in games whose group is not stepping. "
          "Of each game, if given: a seed and the number of a stream of it (None: go on), a level "
          "0-31 or a start (-1: drawn), a snapshot of the console (empty: none) to begin at. "
          "Raises ValueError before any game has changed.")
      .def(
          "check_actions",
          [](const Batch& self, Actions actions) {
            self.check_actions({actions.data(), actions.size()});
          },
          "actions"_a,
          "Raises ValueError for an action, int64[N], that does not exist, RuntimeError for a game "
          "that has no running episode.")
      .def(
          "send",
          [](Batch& self, int group, Actions actions, std::optional<Array<uint8_t>> observations,
             std::optional<Array<float>> scalars) {
            self.send(group, {actions.data(), actions.size()}, output(observations, scalars));
          },
          "group"_a, "actions"_a, "observations"_a.noconvert() = nb::none(),
          "scalars"_a.noconvert() = nb::none(),
          "Begins to step a group with actions, int64[n]. What comes of it is written to the "
          "arrays too, if they are given: uint8[n, ...] and, for tiles, float32[n, SCALARS].")
      .def("recv", &Batch::recv, "group"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Waits for a group; raises what went wrong in one of its games.")
      .def(
          "kept_frames",
          [](const Batch& self) {
            const auto hold = self.enter();
            const auto& frames = self.kept_frames();
            constexpr size_t kBytes = static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth;
            auto out =
                new_array<uint8_t>({frames.size() / kBytes, nes::kScreenHeight, nes::kScreenWidth});
            std::copy(frames.begin(), frames.end(), out.data());
            return out;
          },
          "Every frame of the last step with keep_frames, colours 0-63: uint8[k, 240, 256].")
      .def(
          "screen",
          [](const Batch& self, size_t game) {
            auto out = new_array<uint8_t>({nes::kScreenHeight, nes::kScreenWidth});
            self.draw(game, out.data());
            return out;
          },
          "game"_a, "The last frame of a game as colours 0-63: uint8[240, 256].")
      .def(
          "ram",
          [](nb::handle self, size_t game) {
            Batch& b = nb::cast<Batch&>(self);
            b.require_idle(game);
            return view_of<uint8_t>(self, b.console(game).ram.data(), {0x800});
          },
          "game"_a, "Work RAM of a game: a writable view, uint8[2048].")
      .def(
          "save", [](const Batch& self, int game) { return to_bytes(self.save(game)); },
          "game"_a = -1, "Everything that decides what comes next, of one game or (-1) of all.")
      .def(
          "load",
          [](Batch& self, const nb::bytes& bytes, int game) { self.load(view(bytes), game); },
          "state"_a, "game"_a = -1,
          "Raises ValueError when the bytes are not from a batch like this one.");
  bind_array(batch, "observations", &Batch::observations, observation_shape<Batch>,
             "uint8[N, ...]: the next thing to act on.");
  bind_array(batch, "scalars", &Batch::scalars, scalar_shape<Batch>,
             "float32[N, SCALARS], tiles only.");
  bind_array(batch, "needs_reset", &Batch::needs_reset, per_game<Batch>,
             "uint8[N]: who has no running episode; whoever decides that outside writes it.");
}

void bind_mario(nb::module_& m) {
  nb::class_<Decider>(m, "Decider", "Chooses actions while a batch plays by itself.")
      .def_prop_ro(
          "sizes",
          [](const Decider& self) {
            const Decider::Sizes sizes = self.sizes();
            return std::tuple(sizes.bytes, sizes.scalars, sizes.actions);
          },
          "Bytes and scalars of one observation, and how many actions there are.");
  nb::class_<FunctionDecider, Decider>(m, "FunctionDecider", "A function that decides.")
      .def(
          "__init__",
          [](FunctionDecider* self, size_t bytes, size_t scalars, size_t actions,
             nb::callable function) {
            new (self) FunctionDecider({bytes, scalars, actions}, std::move(function));
          },
          "bytes"_a, "scalars"_a, "actions"_a, "function"_a,
          "function(bytes uint8[n, bytes], scalars float32[n, scalars], logits, values) fills "
          "logits, float32[n, actions], and values, float32[n]. All four are views, of n <= 8 "
          "observations, that end with the call. The threads of a batch call it in turns.");

  nb::class_<MarioBatch, batch::Batch> batch(m, "MarioBatch", "N games of Super Mario Bros.");
  batch
      .def(
          "__init__",
          [](MarioBatch* self, std::shared_ptr<smb::LevelStarts> levels, smb::Rules rules,
             const Config& config) {
            new (self) MarioBatch(smb::SuperMario(std::move(levels), std::move(rules)), config);
          },
          "levels"_a, "rules"_a, "config"_a,
          "Raises ValueError when the rules or the config make no sense.")
      .def(
          "console",
          [](const MarioBatch& self, size_t game) { return to_bytes(self.snapshot(game)); },
          "game"_a, "A snapshot of the console of a game.")
      .def(
          "set_own_starts",
          [](MarioBatch& self, const std::vector<nb::bytes>& snapshots,
             nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu> weights,
             double share) {
            const auto hold = self.enter();
            self.game_to_change().set_own_starts(copies(snapshots),
                                                 {weights.data(), weights.size()}, share);
          },
          "snapshots"_a, "weights"_a, "share"_a,
          "That share of the episodes that would begin at the start of one of their levels begins "
          "at these moments, drawn by weights, float64[k], and counts as whole.")
      .def(
          "set_initial_states",
          [](MarioBatch& self, std::vector<smb::InitialState> starts) {
            const auto hold = self.enter();
            self.game_to_change().set_initial_states(std::move(starts));
          },
          "starts"_a, "Moments at which episodes may begin; none does before they are weighed.")
      .def(
          "put_initial_state",
          [](MarioBatch& self, size_t index, smb::InitialState start) {
            const auto hold = self.enter();
            self.game_to_change().put_initial_state(index, std::move(start));
          },
          "index"_a, "start"_a,
          "Replaces one of these moments, or adds the next, without a weight.")
      .def(
          "record_moments",
          [](MarioBatch& self, int level, const nb::bytes& buttons,
             const std::vector<std::pair<size_t, int32_t>>& moments, size_t tail,
             uint32_t variation) {
            std::vector<smb::Moment> at;
            for (const auto& [frames, step] : moments) at.push_back({frames, step});
            const auto played = view(buttons);
            const nb::gil_scoped_release release;
            const auto hold = self.enter();
            return self.game_to_change().record_moments(level, played, at, tail, variation);
          },
          "level"_a, "buttons"_a, "moments"_a, "tail"_a, "variation"_a = 0,
          "Plays the buttons of each frame since level 0-31 began, with what was drawn anew of its "
          "start; returns the moments after so "
          "many frames and agent steps, the last `tail` frames before each leading to it.")
      .def(
          "set_progress_masks",
          [](MarioBatch& self, std::vector<std::pair<int, smb::ProgressMask>> masks) {
            const auto hold = self.enter();
            self.game_to_change().set_progress_masks(std::move(masks));
          },
          "masks"_a, "Pairs of a level, 0-31, and its mask: elsewhere nothing counts as progress.")
      .def(
          "set_start_weights",
          [](MarioBatch& self,
             nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu> weights,
             double share) {
            const auto hold = self.enter();
            self.game_to_change().set_start_weights({weights.data(), weights.size()}, share);
          },
          "weights"_a, "share"_a,
          "That share of episodes begins at one of the starts, drawn by weights, float64[k].")
      .def(
          "set_level_weights",
          [](MarioBatch& self, std::vector<double> weights) {
            const auto hold = self.enter();
            self.game_to_change().set_level_weights(std::move(weights));
          },
          "weights"_a, "Episodes from a level's start draw the level by these, one for each of 32.")
      .def(
          "set_end_penalties",
          [](MarioBatch& self, std::vector<float> penalties) {
            const auto hold = self.enter();
            self.game_to_change().set_end_penalties(std::move(penalties));
          },
          "penalties"_a,
          "An end without the flag costs that from now on, 0 to 100, in each of 32 levels.")
      .def(
          "look",
          [](MarioBatch& self, Mask show_level, Mask show_paths) {
            if (show_level.size() != self.size() || show_paths.size() != self.size()) {
              throw std::invalid_argument("there must be a view of each game");
            }
            self.change([&](smb::Game& game, size_t i) {
              const int view = smb::kOwnView | (show_level.data()[i] != 0 ? smb::kShowLevel : 0) |
                               (show_paths.data()[i] != 0 ? smb::kShowPaths : 0);
              return std::exchange(game.view, static_cast<uint8_t>(view)) != view;
            });
          },
          "show_level"_a, "show_paths"_a,
          "Of each game, uint8[N], whether its observation shows these from now on, whatever the "
          "rules say.")
      .def(
          "watch", [](MarioBatch& self, const std::vector<int>& games) { self.watch(games); },
          "games"_a, "From its next episode on, the inputs of each of these games are logged.")
      .def(
          "save_input_logs",
          [](const MarioBatch& self) { return to_bytes(self.save_input_logs()); },
          "Of the running episodes of watched games that began where their level does.")
      .def(
          "load_input_logs",
          [](MarioBatch& self, const nb::bytes& bytes) { self.load_input_logs(view(bytes)); },
          "logs"_a, "Goes on with them after load; raises ValueError when they are damaged.")
      .def(
          "input_log",
          [](const MarioBatch& self, size_t game) {
            const auto hold = self.enter();
            return to_python(self.input_log(game));
          },
          "game"_a,
          "Of a watched game: the level 0-31 that it began in, whether the running episode began "
          "there, "
          "buttons of each frame since, how many frames there were before each action of the "
          "episode, and what was drawn anew of the start, as record_moments takes it; None where "
          "they are not known.")
      .def(
          "ended_input_logs",
          [](const MarioBatch& self, size_t game) {
            const auto hold = self.enter();
            std::vector<std::optional<std::pair<Played, nb::bytes>>> found;
            for (const auto& [log, ram] : self.ended_input_logs(game)) {
              const auto played = to_python(log);
              found.emplace_back(played ? std::optional(std::pair(*played, to_bytes(ram)))
                                        : std::nullopt);
            }
            return found;
          },
          "game"_a,
          "The same of each episode that ended in the last play, or of the last one that ended; "
          "and "
          "work RAM as it ended, 2,048 bytes.")
      .def(
          "observe_tiles",
          [](const MarioBatch& self, int group, Array<uint8_t> tiles, Array<float> scalars) {
            const nb::gil_scoped_release release;
            self.observe_all(group, span(tiles), span(scalars));
          },
          "group"_a, "tiles"_a.noconvert(), "scalars"_a.noconvert(),
          "Writes the tiles of a group's games as they stand, whatever the batch observes, with "
          "the "
          "level and paths: uint8[n, ...] and float32[n, SCALARS].")
      .def("keep_ram", &MarioBatch::keep_ram,
           "From now on RAM is kept as the episodes that end leave it, for read_ram.")
      .def(
          "read_ram",
          [](const MarioBatch& self, int group, bool reached, Array<uint8_t> out) {
            self.read_ram(group, reached, span(out));
          },
          "group"_a, "reached"_a, "out"_a.noconvert(),
          "Writes RAM of a group's games, uint8[n, 2048]: as they stand, or with reached as the "
          "last step left it, before an episode began anew in it; that needs keep_ram.")
      .def(
          "play",
          [](MarioBatch& self, const Decider& decider, uint64_t seed, uint64_t first,
             std::optional<uint64_t> stride, Array<uint8_t> observations, Array<float> scalars,
             Array<int64_t> actions, Array<float> log_probs, Array<float> values,
             Array<float> rewards, Array<float> returns, Array<uint8_t> terminated,
             Array<uint8_t> truncated, Array<uint8_t> places, Array<int32_t> signals,
             Array<float> truncated_values) {
            if (signals.size() % kSignals != 0)
              throw std::invalid_argument("signals need 20 columns");
            const nb::gil_scoped_release release;
            self.play(decider,
                      {actions.size() / self.size(),
                       span(observations),
                       span(scalars),
                       span(actions),
                       span(log_probs),
                       span(values),
                       span(rewards),
                       span(returns),
                       span(terminated),
                       span(truncated),
                       span(places),
                       {reinterpret_cast<smb::Signals*>(signals.data()), signals.size() / kSignals},
                       span(truncated_values)},
                      seed, first, stride);
          },
          "decider"_a, "seed"_a, "first"_a, "stride"_a, "observations"_a.noconvert(),
          "scalars"_a.noconvert(), "actions"_a.noconvert(), "log_probs"_a.noconvert(),
          "values"_a.noconvert(), "rewards"_a.noconvert(), "returns"_a.noconvert(),
          "terminated"_a.noconvert(), "truncated"_a.noconvert(), "places"_a.noconvert(),
          "signals"_a.noconvert(), "truncated_values"_a.noconvert(),
          "Plays T steps of all games; the decider is asked in the threads that step them. Fills "
          "observations and scalars [T + 1, N, ...], actions [T, N], log_probs [T, N, A], values "
          "[T + 1, N], signals [T, N, 20], all others [T, N]. Actions are drawn by the numbers "
          "that "
          "`warpzone.noise.gumbel` has for seed and the decisions from first on.")
      .def(
          "take_play_seconds",
          [](MarioBatch& self) {
            const auto hold = self.enter();
            const batch::PlaySeconds s = self.take_play_seconds();
            nb::dict found;
            found["step"] = s.step;
            found["decide"] = s.decide;
            found["store"] = s.store;
            found["wall"] = s.wall;
            return found;
          },
          "What play spent time on since the last call, summed over threads; `wall` is not.")
      .def("run_on", &MarioBatch::run_on, "frames"_a, "buttons"_a = 0,
           nb::call_guard<nb::gil_scoped_release>(),
           "Lets the first game run on without rules; its frames can be had after.")
      .def_prop_ro(
          "signals",
          [](nb::handle self) { return signal_view(self, nb::cast<MarioBatch&>(self).signals); },
          "int32[N, 20], columns SIGNALS: the state that the last action led to.")
      .def_prop_ro(
          "start_signals",
          [](nb::handle self) {
            return signal_view(self, nb::cast<MarioBatch&>(self).start_signals);
          },
          "int32[N, 20]: the state in which the running episode began.");
  bind_array(batch, "final_observations", &MarioBatch::final_observations,
             observation_shape<MarioBatch>, "uint8[N, ...], filled where an episode ended.");
  bind_array(batch, "final_scalars", &MarioBatch::final_scalars, scalar_shape<MarioBatch>,
             "float32[N, SCALARS], filled where an episode ended.");
  bind_array(batch, "rewards", &MarioBatch::rewards, per_game<MarioBatch>, "float32[N]");
  bind_array(batch, "returns", &MarioBatch::returns, per_game<MarioBatch>,
             "float32[N]: rewards summed over the episode that the last action belonged to.");
  bind_array(batch, "ended_places", &MarioBatch::ended_places, per_game<MarioBatch>,
             "uint8[N]: which of the game's maps, 0-127, the last episode ended in.");
  bind_array(batch, "terminated", &MarioBatch::terminated, per_game<MarioBatch>, "uint8[N]");
  bind_array(batch, "truncated", &MarioBatch::truncated, per_game<MarioBatch>, "uint8[N]");
}

}  // namespace

void bind_batch(nb::module_& m) {
  bind_what_all_have(m);
  bind_mario(m);
}

}  // namespace warpzone::bindings
