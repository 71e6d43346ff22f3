// Batches of consoles with any cartridge.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <utility>
#include <vector>

#include "batch/console_batch.h"
#include "bindings/batch.h"
#include "bindings/rooms.h"

namespace warpzone::bindings {

using namespace nb::literals;
using batch::Coding;
using batch::ConsoleBatch;
using batch::Stretch;
using batch::Variable;

namespace {

std::vector<size_t> columns(const ConsoleBatch& b) { return {b.size(), b.play().columns()}; }
std::vector<size_t> bytes(const ConsoleBatch& b) { return {b.size(), b.play().memory_bytes()}; }

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
             int first_bit, int bits, bool modulo) {
            new (self) Variable{std::move(addresses), coding, is_signed, first_bit, bits, modulo};
          },
          "addresses"_a, "coding"_a = Coding::binary, "is_signed"_a = false, "first_bit"_a = 0,
          "bits"_a = 0, "modulo"_a = false,
          "Addresses of its bytes, the least significant one first. Of a binary number only `bits` "
          "from first_bit on; 0: all. With `modulo`, of a decimal digit above 9 only what is over "
          "ten counts.");
  nb::class_<Stretch>(m, "Stretch", "Bytes that lie side by side in a console's memory.")
      .def(nb::init<size_t, size_t>(), "address"_a, "size"_a);
  nb::class_<batch::Play>(m, "Play", "What all consoles of a batch have in common.")
      .def(nb::init<>())
      .def_rw("actions", &batch::Play::actions)
      .def_rw("frame_skip", &batch::Play::frame_skip)
      .def_rw("noop_max", &batch::Play::noop_max)
      .def_rw("repeat_action_probability", &batch::Play::repeat_action_probability)
      .def_rw("status_bar", &batch::Play::status_bar)
      .def_rw("variables", &batch::Play::variables)
      .def_rw("stretches", &batch::Play::stretches)
      .def_rw("weights", &batch::Play::weights)
      .def(
          "set_starts",
          [](batch::Play& self, const std::vector<nb::bytes>& starts) {
            self.starts = copies(starts);
          },
          "starts"_a, "Snapshots at which episodes begin, drawn by `weights`.");

  nb::class_<ConsoleBatch, batch::Batch> batch(m, "ConsoleBatch", "N consoles with one cartridge.");
  batch
      .def(
          "__init__",
          [](ConsoleBatch* self, std::shared_ptr<nes::Cartridge> cartridge, const batch::Play& play,
             const batch::Config& config) {
            new (self) ConsoleBatch(std::move(cartridge), play, config);
          },
          "cartridge"_a, "play"_a, "config"_a, "Raises ValueError when these make no sense.")
      .def(
          "prg_ram",
          [](nb::handle self, size_t game) {
            ConsoleBatch& b = nb::cast<ConsoleBatch&>(self);
            b.require_idle(game);
            return view_of<uint8_t>(self, b.console(game).memory.data(), {b.prg_ram_bytes()});
          },
          "game"_a, "The cartridge's RAM of a game: a writable view, uint8[n], n up to 32,768.")
      .def(
          "console",
          [](const ConsoleBatch& self, size_t game) { return to_bytes(self.snapshot(game)); },
          "game"_a, "A snapshot of the console of a game.");
  batch.def("set_weights", &ConsoleBatch::set_weights, "weights"_a,
            "float[starts]: how often episodes begin at each from now on. Raises ValueError for a "
            "wrong number of them, negative ones, or none above 0.");
  bind_array(batch, "values", &ConsoleBatch::values, columns,
             "int64[N, columns]: the variables as they stand.");
  bind_array(batch, "before", &ConsoleBatch::before, columns,
             "int64[N, columns]: the same before the last step, or where the episode began.");
  bind_array(batch, "memory", &ConsoleBatch::memory, bytes,
             "uint8[N, bytes]: the stretches as they stand, one behind the other.");
  bind_array(batch, "memory_before", &ConsoleBatch::memory_before, bytes,
             "uint8[N, bytes]: the same before the last step, or where the episode began.");
  bind_array(batch, "steps", &ConsoleBatch::steps, per_game<ConsoleBatch>,
             "int32[N], of the running episode.");
  bind_array(batch, "frames", &ConsoleBatch::frames, per_game<ConsoleBatch>,
             "int32[N], of the running episode.");
  bind_array(batch, "starts", &ConsoleBatch::starts, per_game<ConsoleBatch>,
             "int32[N]: at which start the episode began; -1: at another moment.");
}

}  // namespace warpzone::bindings
