// Batches of consoles with any cartridge.
#include "batch/consoles.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/rooms.h"

namespace warpzone::bindings {

using namespace nb::literals;
using batch::Coding;
using batch::Consoles;
using batch::Observation;
using batch::Variable;

namespace {

using Mask = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Actions = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::vector<std::vector<uint8_t>> copies(const std::vector<nb::bytes>& all) {
  std::vector<std::vector<uint8_t>> copied;
  for (const nb::bytes& bytes : all) {
    const auto seen = view(bytes);
    copied.emplace_back(seen.begin(), seen.end());
  }
  return copied;
}

std::vector<size_t> shape(const Consoles& b) {
  const batch::Config& c = b.config();
  std::vector<size_t> shape = {static_cast<size_t>(c.num_games)};
  switch (c.observation) {
    case Observation::features: shape.push_back(0); break;
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

std::vector<size_t> rows(const Consoles& b) { return {static_cast<size_t>(b.config().num_games)}; }

std::vector<size_t> columns(const Consoles& b) {
  return {static_cast<size_t>(b.config().num_games), b.play().columns()};
}

template <typename T>
void bind_array(nb::class_<Consoles>& consoles, const char* name, std::vector<T> Consoles::* member,
                std::vector<size_t> (*shape)(const Consoles&), const char* doc) {
  consoles.def_prop_ro(
      name,
      [member, shape](nb::handle self) {
        Consoles& b = nb::cast<Consoles&>(self);
        return view_of<T>(self, (b.*member).data(), shape(b));
      },
      doc);
}

}  // namespace

void bind_consoles(nb::module_& m) {
  nb::enum_<Coding>(m, "Coding", "How the bytes of a number are read.")
      .value("binary", Coding::binary)
      .value("bcd", Coding::bcd)
      .value("digits", Coding::digits);
  nb::class_<Variable>(m, "Variable", "A number in a console's memory.")
      .def(
          "__init__",
          [](Variable* self, std::vector<uint16_t> addresses, Coding coding, bool is_signed,
             int first_bit, int bits) {
            new (self) Variable{std::move(addresses), coding, is_signed, first_bit, bits};
          },
          "addresses"_a, "coding"_a = Coding::binary, "is_signed"_a = false, "first_bit"_a = 0,
          "bits"_a = 0,
          "Addresses of its bytes, the least significant one first. Of a binary number only `bits` "
          "from first_bit on; 0: all.");
  nb::class_<batch::Play>(m, "Play", "What all consoles of a batch have in common.")
      .def(nb::init<>())
      .def_rw("actions", &batch::Play::actions)
      .def_rw("frame_skip", &batch::Play::frame_skip)
      .def_rw("noop_max", &batch::Play::noop_max)
      .def_rw("repeat_action_probability", &batch::Play::repeat_action_probability)
      .def_rw("status_bar", &batch::Play::status_bar)
      .def_rw("variables", &batch::Play::variables)
      .def_rw("weights", &batch::Play::weights)
      .def(
          "set_starts",
          [](batch::Play& self, const std::vector<nb::bytes>& starts) {
            self.starts = copies(starts);
          },
          "starts"_a, "Snapshots at which episodes begin, drawn by `weights`.");

  nb::class_<Consoles> consoles(
      m, "Consoles",
      "N consoles with one cartridge. Arrays are views of memory that stays where it is.");
  consoles
      .def(
          "__init__",
          [](Consoles* self, std::shared_ptr<nes::Cartridge> cartridge, const batch::Play& play,
             const batch::Config& config) {
            new (self) Consoles(std::move(cartridge), play, config);
          },
          "cartridge"_a, "play"_a, "config"_a, "Raises ValueError when these make no sense.")
      .def("group_begin", &Consoles::group_begin, "group"_a, "The first game of a group.")
      .def("close", &Consoles::close, nb::call_guard<nb::gil_scoped_release>(),
           "Ends the threads; all that may be done after it is to read the arrays.")
      .def(
          "reset",
          [](Consoles& self, Mask mask,
             const std::vector<std::optional<std::pair<uint64_t, uint64_t>>>& seeds,
             std::vector<int32_t> starts, const std::vector<nb::bytes>& states) {
            const batch::Starts given{seeds, std::move(starts), copies(states)};
            const nb::gil_scoped_release release;
            self.reset({mask.data(), mask.size()}, given);
          },
          "mask"_a, "seeds"_a = nb::make_tuple(), "starts"_a = nb::make_tuple(),
          "states"_a = nb::make_tuple(),
          "Begins episodes where mask, uint8[N], is not 0, in games whose group is not stepping. "
          "Of "
          "each game, if given: a seed and the number of a stream of it (None: go on), a start "
          "(-1: "
          "drawn), a snapshot (empty: none). Raises ValueError before any game has changed.")
      .def(
          "check_actions",
          [](const Consoles& self, Actions actions) {
            self.check_actions({actions.data(), actions.size()});
          },
          "actions"_a,
          "Raises ValueError for an action, int64[N], that does not exist, RuntimeError for a game "
          "that has no running episode.")
      .def(
          "send",
          [](Consoles& self, int group, Actions actions) {
            self.send(group, {actions.data(), actions.size()});
          },
          "group"_a, "actions"_a, "Begins to step a group with actions, int64[n].")
      .def("recv", &Consoles::recv, "group"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Waits for a group; raises what went wrong in one of its games.")
      .def(
          "kept_frames",
          [](const Consoles& self) {
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
          [](Consoles& self, size_t game) {
            auto out = new_array<uint8_t>({nes::kScreenHeight, nes::kScreenWidth});
            self.console(game, [&](auto& s) { nes::ppu::draw(s, self.cartridge(), out.data()); });
            return out;
          },
          "game"_a, "The last frame of a game as colours 0-63: uint8[240, 256].")
      .def(
          "ram",
          [](nb::handle self, size_t game) {
            Consoles& b = nb::cast<Consoles&>(self);
            return view_of<uint8_t>(self, b.state(game).ram.data(), {0x800});
          },
          "game"_a, "Work RAM of a game: a writable view, uint8[2048].")
      .def(
          "prg_ram",
          [](nb::handle self, size_t game) {
            Consoles& b = nb::cast<Consoles&>(self);
            return view_of<uint8_t>(self, b.state(game).memory.data(),
                                    {b.cartridge().prg_ram_bytes});
          },
          "game"_a, "The cartridge's RAM of a game: a writable view, uint8[n], n up to 32,768.")
      .def(
          "console",
          [](Consoles& self, size_t game) {
            return self.console(game, [&](auto& s) {
              using S = std::remove_reference_t<decltype(s)>;
              std::vector<uint8_t> bytes(nes::snapshot_bytes<S>(self.cartridge()));
              nes::save(s, self.cartridge(), bytes.data());
              return to_bytes(bytes);
            });
          },
          "game"_a, "A snapshot of the console of a game.")
      .def(
          "save", [](const Consoles& self, int game) { return to_bytes(self.save(game)); },
          "game"_a = -1, "Everything that decides what comes next, of one game or (-1) of all.")
      .def(
          "load",
          [](Consoles& self, const nb::bytes& bytes, int game) {
            self.load_all(view(bytes), game);
          },
          "state"_a, "game"_a = -1,
          "Raises ValueError when the bytes are not from a batch like this one.");
  bind_array(consoles, "observations", &Consoles::observations, shape, "uint8[N, ...]");
  bind_array(consoles, "ended", &Consoles::ended, rows,
             "uint8[N]: who waits for a reset; whoever decides that writes it.");
  bind_array(consoles, "values", &Consoles::values, columns,
             "int64[N, columns]: the variables as they stand.");
  bind_array(consoles, "before", &Consoles::before, columns,
             "int64[N, columns]: the same before the last step, or where the episode began.");
  bind_array(consoles, "steps", &Consoles::steps, rows, "int32[N], of the running episode.");
  bind_array(consoles, "frames", &Consoles::frames, rows, "int32[N], of the running episode.");
  bind_array(consoles, "starts", &Consoles::starts, rows,
             "int32[N]: at which start the episode began; -1: at another moment.");
}

}  // namespace warpzone::bindings
