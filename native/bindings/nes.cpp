// The console: a cartridge, its machine, and what can be read from it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/console.h"
#include "bindings/rooms.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "nes/palette.h"
#include "nes/snapshot.h"

namespace warpzone::bindings {

using namespace nb::literals;

namespace {

// What the translator has to know: offsets of what compiled code touches, cycles of the opcodes.
nb::dict machine() {
  nb::dict state, context, all;
  const auto full = std::make_unique<nes::FullState>();
  const auto offset = [&full](const auto& member) {
    return reinterpret_cast<const char*>(&member) - reinterpret_cast<const char*>(full.get());
  };
  state["a"] = offsetof(nes::State, a);
  state["x"] = offsetof(nes::State, x);
  state["y"] = offsetof(nes::State, y);
  state["s"] = offsetof(nes::State, s);
  state["p"] = offsetof(nes::State, p);
  state["pc"] = offsetof(nes::State, pc);
  state["dot"] = offsetof(nes::State, dot);
  state["next_event"] = offsetof(nes::State, next_event);
  state["ram"] = offsetof(nes::State, ram);
  state["prg"] = offset(full->board.prg);
  state["ram_bank"] = offset(full->board.ram_bank);
  state["ram_reads"] = offset(full->board.ram_reads);
  state["ram_writes"] = offset(full->board.ram_writes);
  state["memory"] = offset(full->memory);
  context["read"] = offsetof(nes::Context, read);
  context["write"] = offsetof(nes::Context, write);
  context["read_uncarried"] = offsetof(nes::Context, read_uncarried);
  context["waiting_dots"] = offsetof(nes::Context, waiting_dots);
  context["mask_changed"] = offsetof(nes::Context, mask_changed);
  context["regions"] = offsetof(nes::Context, regions);
  context["windows"] = offsetof(nes::Context, windows);
  all["state"] = state;
  all["context"] = context;
  all["cycles"] = nb::bytes(reinterpret_cast<const char*>(nes::cpu::kCycles.data()), 256);
  return all;
}

template <typename S>
nb::ndarray<nb::numpy, uint8_t> drawn(const S& state, const nes::Cartridge& cart) {
  auto out = new_array<uint8_t>({nes::kScreenHeight, nes::kScreenWidth});
  nes::ppu::draw(state, cart, out.data());
  return out;
}

// The picture without its sprites, by palette entry: whatever the palette holds is left out.
template <typename S>
nb::ndarray<nb::numpy, uint8_t> background(S state, const nes::Cartridge& cart) {
  state.oam.fill(0xFF);  // below the screen
  for (size_t i = 0; i < state.palette.size(); ++i) state.palette[i] = static_cast<uint8_t>(i);
  return drawn(state, cart);
}

// Where the bottom line of the picture begins in the row of two nametables, 0-511 px.
int scroll(const nes::State& state) {
  const nes::Scroll& last = state.scrolls[state.scroll_count - 1U];
  return ((last.v >> 10) & 1) * 256 + (last.v & 31) * 8 + last.fine_x;
}

}  // namespace

nb::ndarray<nb::numpy, uint8_t> screen(const nes::State& state, const nes::Cartridge& cart) {
  return drawn(state, cart);
}

void bind_nes(nb::module_& m) {
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

  nb::class_<nes::Cartridge>(m, "Cartridge", "What is in a cartridge, and its native code.")
      .def(
          "__init__",
          [](nes::Cartridge* self, const nb::bytes& image, bool full) {
            new (self) nes::Cartridge(view(image), full);
          },
          "image"_a, "full"_a = false,
          "Raises ValueError when the bytes are not a whole iNES or NES 2.0 image that can be run. "
          "With full, consoles have sound unit and second controller even where the program seems "
          "not to need them.")
      .def_prop_ro(
          "program", [](const nes::Cartridge& self) { return to_bytes(self.prg); },
          "The program: 32,768 bytes as they appear at $8000-$FFFF, or all banks.")
      .def_prop_ro(
          "plain", [](const nes::Cartridge& self) { return self.plain; },
          "Whether it is a board without moving parts whose program takes no notice of the sound "
          "unit: then a console's state is smaller.")
      .def_prop_ro(
          "mapper", [](const nes::Cartridge& self) { return static_cast<int>(self.mapper); },
          "The number of its board.")
      .def_prop_ro(
          "battery", [](const nes::Cartridge& self) { return self.battery; },
          "Whether what is in its RAM is kept when the console is switched off.")
      .def_prop_ro(
          "state_bytes", [](const nes::Cartridge& self) { return self.state_bytes; },
          "Size of a console's state.")
      .def(
          "use",
          [](nes::Cartridge& self, uintptr_t enter, uintptr_t no_region, uintptr_t regions,
             size_t count) {
            self.use(std::make_unique<nes::Compiled>(
                self, reinterpret_cast<nes::Compiled::Enter>(enter),
                reinterpret_cast<const void*>(no_region),
                std::span(reinterpret_cast<const nes::Compiled::Region*>(regions), count)));
          },
          "enter"_a, "no_region"_a, "regions"_a, "count"_a,
          "Runs the program as native code from the next frame on. Addresses of what "
          "warpzone.nes.recompiler has made, which must stay in memory.")
      .def_prop_ro(
          "compiled", [](const nes::Cartridge& self) { return self.compiled.load() != nullptr; },
          "Whether the program runs as native code.")
      .def("wanted", &nes::Cartridge::wanted,
           "Places where native code wanted to go on and that were not translated: addresses, and "
           "in the upper half the bank of 8 KB, 0 in a plain cartridge.");

  nb::class_<Console>(m, "Console",
                      "One console with a cartridge. Raises RuntimeError while another thread is "
                      "using it.")
      .def(nb::init<std::shared_ptr<nes::Cartridge>>(), "cartridge"_a)
      .def(
          "reset",
          [](Console& self) {
            const auto hold = self.enter();
            self.reset();
          },
          "Switches the console off and on.")
      .def(
          "step",
          [](Console& self, uint8_t buttons, int frames, bool skip_waiting, uint8_t second) {
            const auto hold = self.enter();
            self.hold_second(second);
            constexpr int kSlice = 1000;  // a tenth of a second in the interpreter
            for (int done = 0; done < frames; done += kSlice) {
              {
                const nb::gil_scoped_release release;
                self.step(buttons, std::min(kSlice, frames - done), skip_waiting);
              }
              let_python_interrupt();
            }
            return self.state().jammed == 0;
          },
          "buttons"_a, "frames"_a = 1, "skip_waiting"_a = true, "second"_a = 0,
          "Runs frames with buttons held, of the second controller too. Without skip_waiting every "
          "round of a waiting loop is executed; the state is the same. Returns whether the program "
          "still runs, see `jammed`.")
      .def(
          "trace",
          [](Console& self, const nb::bytes& buttons,
             nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> marks) {
            const auto hold = self.enter();
            const nb::gil_scoped_release release;
            self.trace(view(buttons), {marks.data(), marks.size()});
          },
          "buttons"_a, "marks"_a,
          "Interprets a frame for each byte of buttons and marks what it executes: 1 where an "
          "instruction began, 2 where a return, an indirect jump or an interrupt led, or the way "
          "out of another bank. Marks are uint8[32768] for $8000-$FFFF, of a cartridge that is not "
          "plain for each of its banks of 8 KB one after the other.")
      .def_prop_ro(
          "frame",
          [](Console& self) {
            const auto hold = self.enter();
            return self.state().frame;
          },
          "Frames since power-on.")
      .def_prop_ro(
          "ram",
          [](nb::handle self) {
            return view_of<uint8_t>(self, nb::cast<Console&>(self).state().ram.data(), {0x800});
          },
          "The 2 KB of work RAM: a writable view, uint8[2048].")
      .def_prop_ro(
          "prg_ram",
          [](nb::handle self) {
            auto& console = nb::cast<Console&>(self);
            return view_of<uint8_t>(self, console.full_state().memory.data(),
                                    {console.cart().prg_ram_bytes});
          },
          "The cartridge's RAM for the program: a writable view, uint8[n], n up to 32,768.")
      .def_prop_ro(
          "nametables",
          [](nb::handle self) {
            return view_of<const uint8_t>(self, nb::cast<Console&>(self).state().vram.data(),
                                          {0x800});
          },
          "The console's own two nametables: a view, uint8[2048].")
      .def(
          "screen",
          [](Console& self) {
            const auto hold = self.enter();
            return self.with_state([&](auto& s) { return drawn(s, self.cart()); });
          },
          "The last frame as colours 0-63: uint8[240, 256].")
      .def(
          "registers",
          [](Console& self) {
            const auto hold = self.enter();
            const nes::State& s = self.state();
            return nb::make_tuple(s.pc, s.a, s.x, s.y, s.p, s.s);
          },
          "pc, a, x, y, p, s of the processor.")
      .def(
          "background",
          [](Console& self) {
            const auto hold = self.enter();
            return self.with_state([&](auto& s) { return background(s, self.cart()); });
          },
          "The last frame without sprites, by palette entry, 0-15: uint8[240, 256].")
      .def_prop_ro(
          "scroll",
          [](Console& self) {
            const auto hold = self.enter();
            return scroll(self.state());
          },
          "Where the last frame's bottom line begins in the background, 0-511 px.")
      .def_prop_ro(
          "palette",
          [](nb::handle self) {
            nes::State& state = nb::cast<Console&>(self).state();
            return view_of<const uint8_t>(self, state.palette.data(), {state.palette.size()});
          },
          "Colours 0-63 of the palette entries, background before sprites: a view, uint8[32].")
      .def_prop_ro(
          "jammed",
          [](Console& self) {
            const auto hold = self.enter();
            return self.state().jammed != 0;
          },
          "Whether the program has run into an opcode that halts the processor.")
      .def(
          "save",
          [](Console& self) {
            const auto hold = self.enter();
            return self.with_state([&](auto& s) {
              using S = std::remove_reference_t<decltype(s)>;
              std::vector<uint8_t> bytes(nes::snapshot_bytes<S>(self.cart()));
              nes::save(s, self.cart(), bytes.data());
              return to_bytes(bytes);
            });
          },
          "The whole state.")
      .def(
          "load",
          [](Console& self, const nb::bytes& bytes) {
            const auto hold = self.enter();
            self.with_state([&](auto& s) {
              using S = std::remove_reference_t<decltype(s)>;
              s = nes::load<S>(view(bytes), self.cart());
            });
          },
          "snapshot"_a, "Raises ValueError when the bytes are not a snapshot of this cartridge.");
}

}  // namespace warpzone::bindings
