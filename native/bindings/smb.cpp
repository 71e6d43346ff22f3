// Super Mario Bros.: its rules, its levels' starts and progress masks, the search through them.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "batch/exclusive.h"
#include "batch/picture.h"
#include "bindings/arrays.h"
#include "bindings/console.h"
#include "bindings/rooms.h"
#include "nes/snapshot.h"
#include "smb/explore.h"
#include "smb/game.h"
#include "smb/starts.h"
#include "smb/super_mario.h"
#include "smb/tiles.h"

namespace warpzone::bindings {

using namespace nb::literals;

namespace {

nb::dict addresses() {
  nb::dict all;
  for (const auto& [name, at] : smb::memory::kAddresses) all[name] = at;
  return all;
}

nb::dict player_states() {
  namespace m = smb::memory;
  nb::dict all;
  all["vine"] = m::kStateVine;
  all["side_pipe"] = m::kStateSidePipe;
  all["pipe"] = m::kStatePipe;
  all["flagpole"] = m::kStateFlagpole;
  all["end_of_level"] = m::kStateEndOfLevel;
  all["lose_life"] = m::kStateLoseLife;
  all["entrance"] = m::kStateEntrance;
  all["playing"] = m::kStatePlaying;
  all["dying"] = m::kStateDying;
  return all;
}

// By name: its index and what 1 stands for.
nb::dict scalars(std::span<const smb::ScalarName> names) {
  nb::dict all;
  for (size_t i = 0; i < names.size(); ++i) {
    all[names[i].name] = nb::make_tuple(i, names[i].unit);
  }
  return all;
}

// Runs without the GIL, where another thread might come in.
struct Explorer : smb::Explorer {
  using smb::Explorer::Explorer;
  batch::Exclusive door{"this search", "a search"};
};

}  // namespace

void bind_smb(nb::module_& m) {
  m.attr("SIGNALS") =
      nb::make_tuple("x", "y", "world", "stage", "area", "score", "coins", "time", "status",
                     "lives", "flag", "death", "progress", "frames", "steps", "level", "start",
                     "total_coins", "levels_cleared", "lives_lost");
  m.attr("TILE_PLANES") =
      nb::make_tuple("solid", "block", "item", "goal", "enemy", "hazard", "platform", "mario");
  m.attr("TILE_SHAPE") =
      nb::make_tuple(static_cast<int>(smb::kPlanes), smb::kTileRows, smb::kTileColumns);
  m.def(
      "tile_bounds",
      [] {
        auto out = new_array<uint8_t>({smb::kPlanes, smb::kTileRows, smb::kTileColumns});
        const auto highest = smb::tile_bounds();
        std::copy(highest.begin(), highest.end(), out.data());
        return out;
      },
      "The highest values of the map of tiles, the lowest being 0: uint8[8, 13, 16].");
  m.def(
      "scalar_bounds",
      [] {
        auto low = new_array<float>({smb::kScalars}), high = new_array<float>({smb::kScalars});
        const smb::ScalarBounds bounds = smb::scalar_bounds();
        std::copy(bounds.low.begin(), bounds.low.end(), low.data());
        std::copy(bounds.high.begin(), bounds.high.end(), high.data());
        return nb::make_tuple(low, high);
      },
      "The lowest and the highest values of the scalars beside the tiles: float32[SCALARS] each.");
  m.attr("SCALARS") = smb::kScalars;
  m.attr("MARIO_SCALARS") = smb::kMarioScalars;
  m.attr("OBJECT_SCALARS") = smb::kObjectScalars;
  m.attr("MARIO_SCALAR_NAMES") = scalars(smb::kMarioScalarNames);
  m.attr("OBJECT_SCALAR_NAMES") = scalars(smb::kObjectScalarNames);
  m.attr("OBJECTS") = smb::memory::kObjects;
  m.attr("CELL") = smb::memory::kCell;
  m.attr("MAP_TOP") = smb::memory::kMapTop;
  m.attr("COLUMNS_BEHIND") = smb::kColumnsBehind;
  m.attr("MEMORY") = addresses();
  m.attr("PLAYER_STATES") = player_states();

  nb::class_<smb::LevelStarts>(m, "LevelStarts",
                               "Where the levels begin, each booted when first wanted.")
      .def(
          "__init__",
          [](smb::LevelStarts* self, const std::shared_ptr<nes::Cartridge>& cartridge,
             bool lost_levels) {
            new (self)
                smb::LevelStarts(cartridge, lost_levels ? smb::kLostLevels : smb::kSuperMarioBros);
          },
          "cartridge"_a, "lost_levels"_a = false,
          "lost_levels: whether it holds the four worlds of the Lost Levels instead.")
      .def_prop_ro("count", [](const smb::LevelStarts& self) { return self.edition().levels; })
      .def(
          "start",
          [](smb::LevelStarts& self, int level, int power) {
            nes::State state = self.start(level);
            if (power > 0) smb::give_power(state, power);
            std::vector<uint8_t> bytes(nes::kSnapshotBytes);
            nes::save(state, self.cartridge(), bytes.data());
            return to_bytes(bytes);
          },
          "level"_a, "power"_a = 0,
          "The start of level 0-31 as a snapshot, where Mario is small, big (power 1) or has fire "
          "(2). Raises RuntimeError when the cartridge does not behave like Super Mario Bros.");
  m.def(
      "tiles",
      [](Console& console) {
        const auto hold = console.enter();
        auto planes = new_array<uint8_t>({smb::kPlanes, smb::kTileRows, smb::kTileColumns});
        std::array<float, smb::kScalars> scalars;
        smb::observe_tiles(console.state(), smb::Motion{}, 0, -1, false, planes.data(),
                           scalars.data());
        return planes;
      },
      "console"_a, "The map that an agent with tiles sees now: uint8[8, 13, 16].");
  m.def(
      "grey",
      [](Console& console, int height, int width, bool crop_status_bar,
         const std::optional<nb::bytes>& before) {
        const auto hold = console.enter();
        const bool fits =
            height >= 1 && height <= nes::kScreenHeight && width >= 1 && width <= nes::kScreenWidth;
        if (!fits) throw std::invalid_argument("a picture is 1x1 to 240x256");
        if (!console.plain()) {
          throw std::invalid_argument("grey pictures are made of plain cartridges only");
        }
        auto out = new_array<uint8_t>({static_cast<size_t>(height), static_cast<size_t>(width)});
        std::optional<nes::State> pooled;
        if (before) pooled = nes::load(view(*before), console.cart());
        batch::GreyPicture<>(height, width, crop_status_bar ? smb::memory::kMapTop : 0)
            .draw(console.state(), console.cart(), out.data(), pooled ? &*pooled : nullptr);
        return out;
      },
      "console"_a, "height"_a, "width"_a, "crop_status_bar"_a = false,
      "before"_a.none() = nb::none(),
      "The last frame as an agent with pixels sees it, with the snapshot of a frame before each "
      "pixel the brighter of both: uint8[height, width].");

  nb::enum_<smb::Reward>(m, "Reward")
      .value("gym", smb::Reward::gym)
      .value("tutorial", smb::Reward::tutorial)
      .value("progress", smb::Reward::progress)
      .value("landed", smb::Reward::landed);

  nb::class_<smb::Rules>(m, "Rules", "What an episode is.")
      .def(nb::init<>())
      .def_rw("actions", &smb::Rules::actions)
      .def_rw("level_weights", &smb::Rules::level_weights)
      .def_rw("frame_skip", &smb::Rules::frame_skip)
      .def_rw("noop_max", &smb::Rules::noop_max)
      .def_rw("start_noop_max", &smb::Rules::start_noop_max)
      .def_rw("start_halt_share", &smb::Rules::start_halt_share)
      .def_rw("repeat_action_probability", &smb::Rules::repeat_action_probability)
      .def_rw("sticky_share", &smb::Rules::sticky_share)
      .def_rw("end_thrown_back", &smb::Rules::end_thrown_back)
      .def_rw("show_level", &smb::Rules::show_level)
      .def_rw("show_paths", &smb::Rules::show_paths)
      .def_rw("last_level", &smb::Rules::last_level)
      .def_rw("whole_game", &smb::Rules::whole_game)
      .def_rw("one_life", &smb::Rules::one_life)
      .def_rw("warps", &smb::Rules::warps)
      .def_rw("row_share", &smb::Rules::row_share)
      .def_rw("end_penalty", &smb::Rules::end_penalty)
      .def_rw("life_share", &smb::Rules::life_share)
      .def_rw("phase_share", &smb::Rules::phase_share)
      .def_rw("power_share", &smb::Rules::power_share)
      .def_rw("step_penalty", &smb::Rules::step_penalty)
      .def_rw("coin_reward", &smb::Rules::coin_reward)
      .def_rw("life_reward", &smb::Rules::life_reward)
      .def_rw("power_reward", &smb::Rules::power_reward)
      .def_rw("max_steps", &smb::Rules::max_steps)
      .def_rw("no_progress_steps", &smb::Rules::no_progress_steps)
      .def_rw("start_steps", &smb::Rules::start_steps)
      .def_rw("skip_cutscenes", &smb::Rules::skip_cutscenes)
      .def_rw("reward", &smb::Rules::reward);
  nb::class_<smb::InitialState>(m, "InitialState",
                                "A moment within a level at which an episode may begin.")
      .def_ro("level", &smb::InitialState::level)
      .def_ro("step", &smb::InitialState::step,
              "Agent steps from the level's start, as first played.")
      .def_prop_ro(
          "progress", [](const smb::InitialState& self) { return self.progress.total; },
          "px of new-best x that they brought.")
      .def_prop_ro(
          "x", [](const smb::InitialState& self) { return smb::player_x(self.nes); },
          "px from the left end of the area, before the frames that lead to the moment.")
      .def("__getstate__",
           [](const smb::InitialState& self) {
             const auto bytes = [](const auto& value) {
               return nb::bytes(reinterpret_cast<const char*>(&value), sizeof(value));
             };
             nb::object prefix = nb::none();
             if (self.prefix) prefix = to_bytes(*self.prefix);
             return nb::make_tuple(bytes(self.nes), to_bytes(self.buttons), self.level, self.step,
                                   bytes(self.progress), prefix);
           })
      .def("__setstate__", [](smb::InitialState& self, const nb::tuple& state) {
        const auto bytes = [&state](size_t at) {
          const auto given = view(nb::cast<nb::bytes>(state[at]));
          return std::vector<uint8_t>(given.begin(), given.end());
        };
        const auto nes = bytes(0), progress = bytes(4);
        if (nes.size() != sizeof(nes::State) || progress.size() != sizeof(smb::Progress)) {
          throw std::invalid_argument("a start of another version of warpzone");
        }
        new (&self) smb::InitialState{};
        std::memcpy(static_cast<void*>(&self.nes), nes.data(), nes.size());
        self.buttons = bytes(1);
        self.level = nb::cast<int32_t>(state[2]);
        self.step = nb::cast<int32_t>(state[3]);
        std::memcpy(static_cast<void*>(&self.progress), progress.data(), progress.size());
        if (!state[5].is_none()) self.prefix = bytes(5);
      });
  m.def(
      "level_of_snapshot",
      [](const nb::bytes& snapshot) {
        return smb::SuperMario::beginning(-1, nes::peek(view(snapshot))).moment->level;
      },
      "snapshot"_a,
      "The level 0-31 that is played at that moment. Raises ValueError where none is, and where "
      "the bytes are no snapshot of a plain cartridge.");
  nb::class_<smb::Trajectory>(m, "Trajectory", "How level 0-31 is played.")
      .def(
          "__init__",
          [](smb::Trajectory* self, const smb::LevelStarts& levels, int level,
             const nb::bytes& inputs, bool frames, const std::optional<nb::bytes>& begin) {
            const auto bytes = view(inputs);
            std::optional<nes::State> state;
            if (begin) state = nes::load(view(*begin), levels.cartridge());
            new (self) smb::Trajectory{level, {bytes.begin(), bytes.end()}, frames, state};
          },
          "levels"_a, "level"_a, "inputs"_a, "frames"_a = false, "begin"_a = nb::none(),
          "inputs: an action for each agent step, or (frames) the buttons of each frame. begin: a "
          "snapshot; None: the level's start.");
  m.def("record_initial_states", &smb::record_initial_states, "levels"_a, "rules"_a, "trajectory"_a,
        "steps_back"_a, nb::call_guard<nb::gil_scoped_release>(),
        "The moments along a trajectory.");
  nb::class_<smb::FollowedTrajectory>(m, "FollowedTrajectory", "How far a trajectory comes.")
      .def_ro("inputs", &smb::FollowedTrajectory::inputs,
              "Of the trajectory, played after each step.")
      .def_ro("progress", &smb::FollowedTrajectory::progress, "px of new-best x after each step.")
      .def_ro("cleared", &smb::FollowedTrajectory::cleared)
      .def_ro("death", &smb::FollowedTrajectory::death, "As in the signals.");
  m.def("follow", &smb::follow, "levels"_a, "rules"_a, "trajectory"_a,
        nb::call_guard<nb::gil_scoped_release>(), "How far a trajectory comes.");
  nb::class_<smb::ProgressMask>(m, "ProgressMask", "Where trajectories through a level lead.")
      .def("leads_past", &smb::ProgressMask::leads_past, "area"_a, "x"_a)
      .def("wrong_floor", &smb::ProgressMask::wrong_floor, "area"_a, "x"_a, "y"_a);
  m.def(
      "record_progress_mask",
      [](smb::LevelStarts& levels, const smb::Rules& rules,
         const std::vector<smb::Trajectory>& trajectories) {
        const nb::gil_scoped_release release;
        return smb::record_progress_mask(levels, rules, trajectories);
      },
      "levels"_a, "rules"_a, "trajectories"_a,
      "The columns that trajectories through one level lead past.");
  const auto explorer_property = [](auto read) {
    return [read](const Explorer& self) {
      const auto hold = self.door.enter();
      return read(self);
    };
  };
  nb::class_<Explorer>(m, "Explorer",
                       "Search for a way through a level, over snapshots. Raises RuntimeError "
                       "while another thread is using it.")
      .def(nb::init<std::shared_ptr<smb::LevelStarts>, smb::Rules, int, std::vector<double>,
                    uint64_t, const std::optional<smb::InitialState>&>(),
           "levels"_a, "rules"_a, "level"_a, "weights"_a, "seed"_a, "begin"_a = nb::none(),
           "begin: a moment of the level; None: its start.")
      .def(
          "run",
          [](Explorer& self, int64_t steps) {
            const auto hold = self.door.enter();
            constexpr int64_t kSlice = 1000;
            const int64_t end = self.spent() + steps;
            for (int64_t left = steps; left > 0; left = end - self.spent()) {
              {
                const nb::gil_scoped_release release;
                self.run(std::min(kSlice, left));
              }
              let_python_interrupt();
            }
          },
          "steps"_a, "Plays at least so many agent steps more.")
      .def_prop_ro("spent", explorer_property([](const auto& e) { return e.spent(); }),
                   "Agent steps played.")
      .def_prop_ro("places", explorer_property([](const auto& e) { return e.places(); }),
                   "How many places are known.")
      .def_prop_ro("cleared", explorer_property([](const auto& e) { return e.cleared(); }))
      .def_prop_ro("best_progress",
                   explorer_property([](const auto& e) { return e.best_progress(); }), "px")
      .def("trajectory", explorer_property([](const auto& e) { return to_bytes(e.trajectory()); }),
           "Actions, a byte each: the shortest way found that clears the level, else to the "
           "farthest point.");
}

}  // namespace warpzone::bindings
