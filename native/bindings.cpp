// The Python module warpzone._native. It converts and forwards, it does not decide. The GIL is
// released while games run.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "batch/batch.h"
#include "linear/sparse.h"
#include "nes/palette.h"
#include "nes/snapshot.h"
#include "nes/trace.h"
#include "smb/explore.h"
#include "smb/levels.h"

namespace nb = nanobind;
using namespace nb::literals;
namespace nes = warpzone::nes;
namespace smb = warpzone::smb;
namespace linear = warpzone::linear;
using warpzone::batch::Autoreset;
using warpzone::batch::Batch;
using warpzone::batch::Config;
using warpzone::batch::Journal;
using warpzone::batch::Observation;
using warpzone::batch::Output;

namespace {

std::span<const uint8_t> view(const nb::bytes& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.c_str()), bytes.size()};
}

nb::bytes to_bytes(const std::vector<uint8_t>& bytes) {
  return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

using Played = std::tuple<int32_t, bool, nb::bytes, std::vector<uint32_t>>;

std::optional<Played> to_python(const Journal& journal) {
  if (!journal.known) return std::nullopt;
  return Played(journal.level, journal.own_start, to_bytes(journal.buttons), journal.decided);
}

// A new array that owns its memory.
template <typename T>
nb::ndarray<nb::numpy, T> new_array(std::vector<size_t> shape) {
  size_t size = 1;
  for (const size_t n : shape) size *= n;
  auto* data = new T[size];
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), owner);
}

// A view of memory that `self` owns and never moves.
template <typename T>
nb::ndarray<nb::numpy, T> view_of(nb::handle self, T* data, std::vector<size_t> shape) {
  return nb::ndarray<nb::numpy, T>(data, shape.size(), shape.data(), self);
}

// One console, without a game's rules.
class Console {
 public:
  explicit Console(std::shared_ptr<smb::Levels> levels)
      : levels_(std::move(levels)), state_(nes::power_on(cart())) {}

  void reset() { state_ = nes::power_on(cart()); }
  void step(uint8_t buttons, int frames, bool skip_waiting) {
    for (int i = 0; i < frames; ++i) {
      skip_waiting ? nes::run_frame(state_, cart(), buttons)
                   : nes::interpret_frame<false>(state_, cart(), buttons);
    }
  }
  void trace(std::span<const uint8_t> buttons, uint8_t* marks) {
    for (const uint8_t held : buttons) nes::trace_frame(state_, cart(), held, marks);
  }
  void start_level(int level) { state_ = levels_->start(level); }
  nes::State& state() { return state_; }
  const nes::Cartridge& cart() const { return levels_->cartridge(); }

 private:
  std::shared_ptr<smb::Levels> levels_;
  nes::State state_;
};

// What the translator has to know: offsets of what compiled code touches, cycles of the opcodes.
nb::dict machine() {
  nb::dict state, context, all;
  state["a"] = offsetof(nes::State, a);
  state["x"] = offsetof(nes::State, x);
  state["y"] = offsetof(nes::State, y);
  state["s"] = offsetof(nes::State, s);
  state["p"] = offsetof(nes::State, p);
  state["pc"] = offsetof(nes::State, pc);
  state["dot"] = offsetof(nes::State, dot);
  state["next_event"] = offsetof(nes::State, next_event);
  state["ram"] = offsetof(nes::State, ram);
  context["read"] = offsetof(nes::Context, read);
  context["write"] = offsetof(nes::Context, write);
  context["read_uncarried"] = offsetof(nes::Context, read_uncarried);
  context["waiting_dots"] = offsetof(nes::Context, waiting_dots);
  context["regions"] = offsetof(nes::Context, regions);
  all["state"] = state;
  all["context"] = context;
  all["cycles"] = nb::bytes(reinterpret_cast<const char*>(nes::cpu::kCycles.data()), 256);
  return all;
}

nb::ndarray<nb::numpy, uint8_t> screen(const nes::State& state, const nes::Cartridge& cart) {
  auto out = new_array<uint8_t>({nes::kScreenHeight, nes::kScreenWidth});
  nes::ppu::draw(state, cart, out.data());
  return out;
}

// The picture without its sprites, by palette entry: whatever the palette holds is left out.
nb::ndarray<nb::numpy, uint8_t> background(nes::State state, const nes::Cartridge& cart) {
  state.oam.fill(0xFF);  // below the screen
  for (size_t i = 0; i < state.palette.size(); ++i) state.palette[i] = static_cast<uint8_t>(i);
  return screen(state, cart);
}

// Where the bottom line of the picture begins in the row of two nametables, 0-511 px.
int scroll(const nes::State& state) {
  const nes::Scroll& last = state.scrolls[state.scroll_count - 1U];
  return ((last.v >> 10) & 1) * 256 + (last.v & 31) * 8 + last.fine_x;
}

template <typename T>
void bind_array(nb::class_<Batch>& batch, const char* name, std::vector<T> Batch::* member,
                std::vector<size_t> (*shape)(const Batch&), const char* doc) {
  batch.def_prop_ro(
      name,
      [member, shape](nb::handle self) {
        Batch& b = nb::cast<Batch&>(self);
        return view_of<T>(self, (b.*member).data(), shape(b));
      },
      doc);
}

// A caller's array that is written to.
template <typename T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

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

std::vector<size_t> per_game(const Batch& b) { return {static_cast<size_t>(b.config().num_games)}; }

std::vector<size_t> observation_shape(const Batch& b) {
  const Config& c = b.config();
  std::vector<size_t> shape = per_game(b);
  switch (c.observation) {
    case Observation::tiles:
      shape.insert(shape.end(), {smb::kPlanes, smb::kTileRows, smb::kTileColumns});
      break;
    case Observation::pixels:
      shape.insert(shape.end(), {static_cast<size_t>(c.stack), static_cast<size_t>(c.height),
                                 static_cast<size_t>(c.width)});
      break;
    case Observation::rgb:
      shape.insert(shape.end(), {nes::kScreenHeight, nes::kScreenWidth, 3});
      break;
    case Observation::ram: shape.push_back(0x800); break;
  }
  return shape;
}

std::vector<size_t> scalar_shape(const Batch& b) {
  return {static_cast<size_t>(b.config().num_games), b.scalar_count()};
}

constexpr size_t kSignals = 17;

nb::ndarray<nb::numpy, int32_t> signal_view(nb::handle self, std::vector<smb::Signals>& signals) {
  static_assert(sizeof(smb::Signals) == kSignals * sizeof(int32_t));
  return view_of<int32_t>(self, reinterpret_cast<int32_t*>(signals.data()),
                          {signals.size(), kSignals});
}

}  // namespace

NB_MODULE(_native, m) {
  // Cartridges are kept for as long as the process lives; nanobind would call them leaked.
  nb::set_leak_warnings(false);
  m.doc() = "The native core: a console, Super Mario Bros. on it, and batches of games.";
#ifdef WARPZONE_COMPILER
  m.attr("COMPILER") = WARPZONE_COMPILER;
#else
  m.attr("COMPILER") = "unknown";
#endif
  m.attr("SIGNALS") =
      nb::make_tuple("x", "y", "world", "stage", "area", "score", "coins", "time", "status",
                     "lives", "flag", "death", "progress", "frames", "steps", "level", "start");
  m.attr("TILE_PLANES") =
      nb::make_tuple("solid", "block", "item", "goal", "enemy", "hazard", "platform", "mario");
  m.attr("TILE_SHAPE") =
      nb::make_tuple(static_cast<int>(smb::kPlanes), smb::kTileRows, smb::kTileColumns);
  m.attr("SCALARS") = smb::kScalars;
  m.attr("MARIO_SCALARS") = smb::kMarioScalars;
  m.attr("OBJECT_SCALARS") = smb::kObjectScalars;
  m.attr("SNAPSHOT_BYTES") = nes::kSnapshotBytes;
  m.attr("MACHINE") = machine();
  m.def(
      "palette",
      [] {
        auto out = new_array<uint8_t>({64, 3});
        std::memcpy(out.data(), nes::kPalette.data(), sizeof(nes::kPalette));
        return out;
      },
      "RGB of the 64 colours: uint8[64, 3].");

  nb::class_<smb::Levels>(m, "Levels",
                          "A cartridge and its level starts, each booted when first wanted.")
      .def(
          "__init__",
          [](smb::Levels* self, const nb::bytes& ines) { new (self) smb::Levels(view(ines)); },
          "ines"_a, "Raises ValueError when the bytes are not a whole NROM image in iNES format.")
      .def(
          "start",
          [](smb::Levels& self, int level) {
            std::vector<uint8_t> bytes(nes::kSnapshotBytes);
            nes::save(self.start(level), self.cartridge(), bytes.data());
            return to_bytes(bytes);
          },
          "level"_a, "The start of level 0-31 as a snapshot.")
      .def_prop_ro(
          "program",
          [](const smb::Levels& self) {
            const auto& prg = self.cartridge().prg;
            return nb::bytes(reinterpret_cast<const char*>(prg.data()), prg.size());
          },
          "The cartridge's program as it appears at $8000-$FFFF: 32,768 bytes.")
      .def(
          "use",
          [](smb::Levels& self, uintptr_t enter, uintptr_t no_region, uintptr_t regions,
             size_t count) {
            self.use(std::make_unique<nes::Compiled>(
                self.cartridge(), reinterpret_cast<nes::Compiled::Enter>(enter),
                reinterpret_cast<const void*>(no_region),
                std::span(reinterpret_cast<const nes::Compiled::Region*>(regions), count)));
          },
          "enter"_a, "no_region"_a, "regions"_a, "count"_a,
          "Runs the program as native code from the next frame on. Addresses of what "
          "warpzone.nes.recompiler has made, which must stay in memory.")
      .def_prop_ro(
          "compiled",
          [](const smb::Levels& self) { return self.cartridge().compiled.load() != nullptr; },
          "Whether the program runs as native code.")
      .def("wanted", &smb::Levels::wanted,
           "Addresses that native code wanted to go on at and that were not translated.");

  nb::class_<Console>(m, "Console", "One console with a cartridge.")
      .def(nb::init<std::shared_ptr<smb::Levels>>(), "levels"_a)
      .def("reset", &Console::reset, "Switches the console off and on.")
      .def("step", &Console::step, "buttons"_a, "frames"_a = 1, "skip_waiting"_a = true,
           nb::call_guard<nb::gil_scoped_release>(),
           "Runs frames with buttons held. Without skip_waiting every round of a waiting loop is "
           "executed; the state is the same.")
      .def(
          "trace",
          [](Console& self, const nb::bytes& buttons,
             nb::ndarray<uint8_t, nb::shape<0x8000>, nb::c_contig, nb::device::cpu> marks) {
            self.trace(view(buttons), marks.data());
          },
          "buttons"_a, "marks"_a,
          "Interprets a frame for each byte of buttons and marks what it executes: 1 where an "
          "instruction began, 2 where a return, an indirect jump or an interrupt led.")
      .def("start_level", &Console::start_level, "level"_a, "Goes to the start of level 0-31.")
      .def_prop_ro(
          "frame", [](Console& self) { return self.state().frame; }, "Frames since power-on.")
      .def_prop_ro(
          "ram",
          [](nb::handle self) {
            return view_of<uint8_t>(self, nb::cast<Console&>(self).state().ram.data(), {0x800});
          },
          "The 2 KB of work RAM: a writable view, uint8[2048].")
      .def(
          "screen", [](Console& self) { return screen(self.state(), self.cart()); },
          "The last frame as colours 0-63: uint8[240, 256].")
      .def(
          "tiles",
          [](Console& self) {
            auto planes = new_array<uint8_t>({smb::kPlanes, smb::kTileRows, smb::kTileColumns});
            std::array<float, smb::kScalars> scalars;
            smb::observe_tiles(self.state(), smb::Motion{}, 0, -1, planes.data(), scalars.data());
            return planes;
          },
          "The map that an agent with tiles sees now: uint8[8, 13, 16].")
      .def(
          "grey",
          [](Console& self, int height, int width, bool crop_status_bar,
             const std::optional<nb::bytes>& before) {
            const bool fits = height >= 1 && height <= nes::kScreenHeight && width >= 1 &&
                              width <= nes::kScreenWidth;
            if (!fits) throw std::invalid_argument("a picture is 1x1 to 240x256");
            auto out =
                new_array<uint8_t>({static_cast<size_t>(height), static_cast<size_t>(width)});
            std::optional<nes::State> pooled;
            if (before) pooled = nes::load(view(*before), self.cart());
            smb::GreyPicture<>(height, width, crop_status_bar)
                .draw(self.state(), self.cart(), out.data(), pooled ? &*pooled : nullptr);
            return out;
          },
          "height"_a, "width"_a, "crop_status_bar"_a = false, "before"_a.none() = nb::none(),
          "The last frame as an agent with pixels sees it, with the snapshot of a frame before "
          "each "
          "pixel the brighter of both: uint8[height, width].")
      .def(
          "registers",
          [](Console& self) {
            const nes::State& s = self.state();
            return nb::make_tuple(s.pc, s.a, s.x, s.y, s.p, s.s);
          },
          "pc, a, x, y, p, s of the processor.")
      .def(
          "background", [](Console& self) { return background(self.state(), self.cart()); },
          "The last frame without sprites, by palette entry, 0-15: uint8[240, 256].")
      .def_prop_ro(
          "scroll", [](Console& self) { return scroll(self.state()); },
          "Where the last frame's bottom line begins in the background, 0-511 px.")
      .def_prop_ro(
          "palette",
          [](nb::handle self) {
            nes::State& state = nb::cast<Console&>(self).state();
            return view_of<const uint8_t>(self, state.palette.data(), {state.palette.size()});
          },
          "Colours 0-63 of the palette entries, background before sprites: a view, uint8[32].")
      .def_prop_ro(
          "jammed", [](Console& self) { return self.state().jammed != 0; },
          "Whether the program has run into an opcode that halts the processor.")
      .def(
          "save",
          [](Console& self) {
            std::vector<uint8_t> bytes(nes::kSnapshotBytes);
            nes::save(self.state(), self.cart(), bytes.data());
            return to_bytes(bytes);
          },
          "The whole state.")
      .def(
          "load",
          [](Console& self, const nb::bytes& bytes) {
            self.state() = nes::load(view(bytes), self.cart());
          },
          "snapshot"_a, "Raises ValueError when the bytes are not a snapshot of this cartridge.");

  nb::enum_<Observation>(m, "Observation")
      .value("tiles", Observation::tiles)
      .value("pixels", Observation::pixels)
      .value("rgb", Observation::rgb)
      .value("ram", Observation::ram);
  nb::enum_<Autoreset>(m, "Autoreset")
      .value("same_step", Autoreset::same_step)
      .value("next_step", Autoreset::next_step)
      .value("disabled", Autoreset::disabled);
  nb::enum_<smb::Reward>(m, "Reward")
      .value("gym", smb::Reward::gym)
      .value("tutorial", smb::Reward::tutorial)
      .value("progress", smb::Reward::progress);

  nb::class_<smb::Rules>(m, "Rules", "What an episode is.")
      .def(nb::init<>())
      .def_rw("actions", &smb::Rules::actions)
      .def_rw("level_weights", &smb::Rules::level_weights)
      .def_rw("frame_skip", &smb::Rules::frame_skip)
      .def_rw("noop_max", &smb::Rules::noop_max)
      .def_rw("repeat_action_probability", &smb::Rules::repeat_action_probability)
      .def_rw("sticky_share", &smb::Rules::sticky_share)
      .def_rw("end_thrown_back", &smb::Rules::end_thrown_back)
      .def_rw("show_level", &smb::Rules::show_level)
      .def_rw("last_level", &smb::Rules::last_level)
      .def_rw("max_steps", &smb::Rules::max_steps)
      .def_rw("no_progress_steps", &smb::Rules::no_progress_steps)
      .def_rw("start_steps", &smb::Rules::start_steps)
      .def_rw("skip_cutscenes", &smb::Rules::skip_cutscenes)
      .def_rw("reward", &smb::Rules::reward)
      .def_rw("end_penalty", &smb::Rules::end_penalty);
  nb::class_<smb::Start>(m, "Start", "A moment within a level at which an episode may begin.")
      .def_ro("level", &smb::Start::level)
      .def_ro("step", &smb::Start::step, "Agent steps from the level's start, as first played.")
      .def_prop_ro(
          "progress", [](const smb::Start& self) { return self.progress.total; },
          "px of new-best x that they brought.")
      .def_prop_ro(
          "x", [](const smb::Start& self) { return smb::player_x(self.nes); },
          "px from the left end of the area, before the frames that lead to the moment.");
  nb::class_<smb::Way>(m, "Way", "How level 0-31 is played.")
      .def(
          "__init__",
          [](smb::Way* self, const smb::Levels& levels, int level, const nb::bytes& inputs,
             bool frames, const std::optional<nb::bytes>& begin) {
            const auto bytes = view(inputs);
            std::optional<nes::State> state;
            if (begin) state = nes::load(view(*begin), levels.cartridge());
            new (self) smb::Way{level, {bytes.begin(), bytes.end()}, frames, state};
          },
          "levels"_a, "level"_a, "inputs"_a, "frames"_a = false, "begin"_a = nb::none(),
          "inputs: an action for each agent step, or (frames) the buttons of each frame. begin: a "
          "snapshot; None: the level's start.");
  m.def("record_starts", &smb::record_starts, "levels"_a, "rules"_a, "way"_a, "steps_back"_a,
        nb::call_guard<nb::gil_scoped_release>(), "The moments along a way.");
  nb::class_<smb::Course>(m, "Course", "How far a way comes.")
      .def_ro("inputs", &smb::Course::inputs, "Of the way, played after each step.")
      .def_ro("progress", &smb::Course::progress, "px of new-best x after each step.")
      .def_ro("cleared", &smb::Course::cleared)
      .def_ro("death", &smb::Course::death, "As in the signals.");
  m.def("follow", &smb::follow, "levels"_a, "rules"_a, "way"_a,
        nb::call_guard<nb::gil_scoped_release>(), "How far a way comes.");
  nb::class_<smb::Route>(m, "Route", "Where ways through a level lead.")
      .def("leads_past", &smb::Route::leads_past, "area"_a, "x"_a)
      .def("wrong_floor", &smb::Route::wrong_floor, "area"_a, "x"_a, "y"_a);
  m.def(
      "record_route",
      [](smb::Levels& levels, const smb::Rules& rules, const std::vector<smb::Way>& ways) {
        const nb::gil_scoped_release release;
        return smb::record_route(levels, rules, ways);
      },
      "levels"_a, "rules"_a, "ways"_a, "The columns that ways through one level lead past.");
  nb::class_<smb::Explorer>(m, "Explorer", "Search for a way through a level, over snapshots.")
      .def(nb::init<std::shared_ptr<smb::Levels>, smb::Rules, int, std::vector<double>, uint64_t>(),
           "levels"_a, "rules"_a, "level"_a, "weights"_a, "seed"_a)
      .def("run", &smb::Explorer::run, "steps"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Plays at least so many agent steps more.")
      .def_prop_ro("spent", &smb::Explorer::spent, "Agent steps played.")
      .def_prop_ro("places", &smb::Explorer::places, "How many places are known.")
      .def_prop_ro("cleared", &smb::Explorer::cleared)
      .def_prop_ro("best_progress", &smb::Explorer::best_progress, "px")
      .def(
          "way", [](const smb::Explorer& self) { return to_bytes(self.way()); },
          "Actions, a byte each: the shortest way found that clears the level, else to the "
          "farthest point.");

  using Rows = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using Floats = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using OutVector = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  const auto inputs = [](const Rows& bytes, const Floats& floats) {
    return linear::Inputs{bytes.data(), bytes.shape(1), floats.data(), floats.shape(1)};
  };
  const auto check_layer = [](const Rows& bytes, const Floats& floats, size_t weight_rows,
                              size_t weight_columns, size_t bias, const auto& outputs) {
    const size_t rows = bytes.shape(0);
    if (floats.shape(0) != rows || outputs.shape(0) != rows) {
      throw std::invalid_argument("bytes, floats and outputs must have as many rows");
    }
    if (weight_rows != bytes.shape(1) + floats.shape(1)) {
      throw std::invalid_argument("the layer has weights for " + std::to_string(weight_rows) +
                                  " inputs, these are " + std::to_string(bytes.shape(1)) + " and " +
                                  std::to_string(floats.shape(1)));
    }
    if (weight_columns != bias || outputs.shape(1) != bias) {
      throw std::invalid_argument("weight, bias and outputs must have as many columns");
    }
  };
  m.def(
      "sparse_forward",
      [=](Rows bytes, Floats floats, Floats weight, Vector bias, Out out) {
        check_layer(bytes, floats, weight.shape(0), weight.shape(1), bias.shape(0), out);
        const nb::gil_scoped_release release;
        linear::forward(inputs(bytes, floats), bytes.shape(0), weight.data(), bias.data(),
                        bias.shape(0), out.data());
      },
      "bytes"_a, "floats"_a, "weight"_a, "bias"_a, "out"_a.noconvert(),
      "out = relu(bytes / 255 @ weight[:n] + floats @ weight[n:] + bias), by the inputs not 0.");
  m.def(
      "sparse_backward",
      [=](Rows bytes, Floats floats, Floats out, Floats gradient, Out weight_gradient,
          OutVector bias_gradient) {
        for (const Floats& outputs : {out, gradient}) {
          check_layer(bytes, floats, weight_gradient.shape(0), weight_gradient.shape(1),
                      bias_gradient.shape(0), outputs);
        }
        const nb::gil_scoped_release release;
        linear::backward(inputs(bytes, floats), bytes.shape(0), out.data(), gradient.data(),
                         out.shape(1), weight_gradient.data(), bias_gradient.data());
      },
      "bytes"_a, "floats"_a, "out"_a, "gradient"_a, "weight_gradient"_a.noconvert(),
      "bias_gradient"_a.noconvert(), "Adds to the gradients of weight and bias.");

  nb::class_<Config>(m, "Config", "How a batch of games is run and seen.")
      .def(nb::init<>())
      .def_rw("rules", &Config::rules)
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
  batch
      .def(nb::init<std::shared_ptr<smb::Levels>, Config>(), "levels"_a, "config"_a,
           "Raises ValueError when the config makes no sense.")
      .def("group_begin", &Batch::group_begin, "group"_a, "The first game of a group.")
      .def("seed", &Batch::seed, "seed"_a, "New random streams for all games.")
      .def(
          "reset",
          [](Batch& self,
             nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> mask) {
            const nb::gil_scoped_release release;
            self.reset({mask.data(), mask.size()});
          },
          "mask"_a, "Starts new episodes where mask, uint8[N], is not 0.")
      .def("set_starts", &Batch::set_starts, "starts"_a,
           "Moments at which episodes may begin; none does before they are weighed.")
      .def("set_routes", &Batch::set_routes, "routes"_a,
           "Pairs of a level, 0-31, and its route: elsewhere nothing counts as progress.")
      .def(
          "weigh_starts",
          [](Batch& self,
             nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu> weights,
             double share) { self.weigh_starts({weights.data(), weights.size()}, share); },
          "weights"_a, "share"_a,
          "That share of episodes begins at one of the starts, drawn by weights, float64[k].")
      .def(
          "watch", [](Batch& self, const std::vector<int>& games) { self.watch(games); }, "games"_a,
          "From its next episode on, a journal is kept of each of these games.")
      .def(
          "journal", [](const Batch& self, size_t game) { return to_python(self.journal(game)); },
          "game"_a,
          "Of a watched game: the level 0-31 that it began in, whether the running episode began "
          "there, "
          "buttons of each frame since, and how many frames there were before each action of the "
          "episode; None where they are not known.")
      .def(
          "ended_journal",
          [](const Batch& self, size_t game) { return to_python(self.ended_journal(game)); },
          "game"_a, "The same of the last episode that ended.")
      .def("ended_map", &Batch::ended_map, "game"_a,
           "Of any game: which of the game's maps, 0-127, its last episode ended in.")
      .def(
          "ended_ram",
          [](const Batch& self, size_t game) {
            const auto& ram = self.ended_ram(game);
            return nb::bytes(reinterpret_cast<const char*>(ram.data()), ram.size());
          },
          "game"_a, "Work RAM when that ended, 2,048 bytes.")
      .def(
          "send",
          [](Batch& self, int group,
             nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> actions,
             std::optional<Array<uint8_t>> observations, std::optional<Array<float>> scalars) {
            self.send(group, {actions.data(), actions.size()}, output(observations, scalars));
          },
          "group"_a, "actions"_a, "observations"_a.noconvert() = nb::none(),
          "scalars"_a.noconvert() = nb::none(),
          "Begins to step a group with actions, int64[n]. What comes of it is written to the "
          "arrays too, if they are given: uint8[n, ...] and, for tiles, float32[n, SCALARS].")
      .def("recv", &Batch::recv, "group"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Waits for a group; raises what went wrong in one of its games.")
      .def(
          "frames",
          [](Batch& self) {
            const auto& frames = self.frames();
            constexpr size_t kBytes = static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth;
            auto out =
                new_array<uint8_t>({frames.size() / kBytes, nes::kScreenHeight, nes::kScreenWidth});
            std::copy(frames.begin(), frames.end(), out.data());
            return out;
          },
          "Every frame of the last step, colours 0-63: uint8[k, 240, 256].")
      .def("run_on", &Batch::run_on, "frames"_a, "buttons"_a = 0,
           nb::call_guard<nb::gil_scoped_release>(),
           "Lets the first game run on without rules; its frames can be had after.")
      .def(
          "screen",
          [](Batch& self, size_t game) {
            return screen(self.console(game), self.levels().cartridge());
          },
          "game"_a, "The last frame of a game as colours 0-63: uint8[240, 256].")
      .def(
          "ram",
          [](nb::handle self, size_t game) {
            Batch& b = nb::cast<Batch&>(self);
            return view_of<uint8_t>(self, b.console(game).ram.data(), {0x800});
          },
          "game"_a, "Work RAM of a game: a writable view, uint8[2048].")
      .def(
          "save", [](const Batch& self) { return to_bytes(self.save()); },
          "Everything that decides what comes next.")
      .def(
          "load", [](Batch& self, const nb::bytes& bytes) { self.load(view(bytes)); }, "state"_a,
          "Raises ValueError when the bytes are not from a batch like this one.")
      .def_prop_ro(
          "signals",
          [](nb::handle self) { return signal_view(self, nb::cast<Batch&>(self).signals); },
          "int32[N, 17], columns SIGNALS: the state that the last action led to.")
      .def_prop_ro(
          "start_signals",
          [](nb::handle self) { return signal_view(self, nb::cast<Batch&>(self).start_signals); },
          "int32[N, 17]: the state in which the running episode began.");
  bind_array(batch, "observations", &Batch::observations, observation_shape, "uint8[N, ...]");
  bind_array(batch, "final_observations", &Batch::final_observations, observation_shape,
             "uint8[N, ...], filled where an episode ended.");
  bind_array(batch, "scalars", &Batch::scalars, scalar_shape, "float32[N, SCALARS], tiles only.");
  bind_array(batch, "final_scalars", &Batch::final_scalars, scalar_shape,
             "float32[N, SCALARS], filled where an episode ended.");
  bind_array(batch, "rewards", &Batch::rewards, per_game, "float32[N]");
  bind_array(batch, "returns", &Batch::returns, per_game,
             "float32[N]: rewards summed over the episode that the last action belonged to.");
  bind_array(batch, "terminated", &Batch::terminated, per_game, "uint8[N]");
  bind_array(batch, "truncated", &Batch::truncated, per_game, "uint8[N]");
}
