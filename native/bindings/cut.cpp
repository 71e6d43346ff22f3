// Consoles whose steps are so many cycles long.
#include "nes/cut.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include "batch/exclusive.h"
#include "bindings/arrays.h"
#include "bindings/rooms.h"

namespace warpzone::bindings {

using namespace nb::literals;

namespace {

using Colours = nb::ndarray<const uint8_t, nb::shape<64, 3>, nb::c_contig, nb::device::cpu>;
using Table = nb::ndarray<const uint8_t, nb::shape<64>, nb::c_contig, nb::device::cpu>;
using Rgb = nb::ndarray<uint8_t, nb::shape<nes::kScreenHeight, nes::kScreenWidth, 3>, nb::c_contig,
                        nb::device::cpu>;
using Plane = nb::ndarray<uint8_t, nb::shape<nes::kScreenHeight, nes::kScreenWidth>, nb::c_contig,
                          nb::device::cpu>;

class CutConsole {
 public:
  CutConsole(std::shared_ptr<const nes::Cartridge> cartridge, int cycles, int lead)
      : cart_(std::move(cartridge)), dots_(3 * cycles), lead_(lead) {
    if (cycles < 1 || cycles > nes::kFrameDots) {
      throw std::invalid_argument("cycles of a step must be 1 to 89342");
    }
    if (lead < 0 || lead > nes::kDotsPerLine) {
      throw std::invalid_argument("lead must be 0 to 341 dots");
    }
    if (!cart_->plain) console_.emplace<1>(std::make_unique<nes::CutConsole<nes::FullState>>());
    reset();
  }

  const nes::Cartridge& cart() const { return *cart_; }

  template <typename Call>
  auto with(Call&& call) {
    return std::visit(
        [&](auto& console) {
          if (!console) console = std::make_unique<std::remove_reference_t<decltype(*console)>>();
          return call(*console);
        },
        console_);
  }

  // Nobody else may use the console as long as this lives. Throws std::logic_error.
  [[nodiscard]] batch::Exclusive::Hold enter() const { return door_.enter(); }

  void reset() {
    with([&](auto& c) { c.reset(cart(), lead_); });
  }

  void step(uint8_t buttons, uint8_t second) {
    with([&](auto& c) {
      if constexpr (nes::kFull<std::remove_reference_t<decltype(c.now)>>) {
        c.now.buttons2 = second;
      } else if (second != 0) {
        throw std::invalid_argument("this console has one controller");
      }
      const nb::gil_scoped_release release;
      c.step(cart(), buttons, dots_);
    });
  }

  nes::State& now() {
    return *std::visit([](auto& c) -> nes::State* { return &c->now; }, console_);
  }

  std::span<uint8_t> prg_ram() {
    return with([&](auto& c) -> std::span<uint8_t> {
      if constexpr (nes::kFull<std::remove_reference_t<decltype(c.now)>>) {
        return {c.now.memory.data(), cart().prg_ram_bytes};
      } else {
        return {};
      }
    });
  }

 private:
  std::shared_ptr<const nes::Cartridge> cart_;
  int dots_, lead_;
  batch::Exclusive door_{"this console", "a console"};
  std::variant<std::unique_ptr<nes::CutConsole<nes::State>>,
               std::unique_ptr<nes::CutConsole<nes::FullState>>>
      console_;
};

constexpr size_t kPixels = size_t{nes::kScreenHeight} * nes::kScreenWidth;

void expand(const uint8_t* picture, const Colours& colours, uint8_t* out) {
  std::array<uint32_t, 64> words;
  for (size_t i = 0; i < 64; ++i) {
    std::array<uint8_t, 4> bytes{};
    std::copy_n(colours.data() + i * 3, 3, bytes.data());
    std::memcpy(&words[i], bytes.data(), 4);
  }
  // Four bytes at once are faster; the fourth is overwritten by the next pixel, but the last one's.
  for (size_t i = 0; i + 1 < kPixels; ++i) std::memcpy(out + i * 3, &words[picture[i]], 4);
  std::memcpy(out + (kPixels - 1) * 3, &words[picture[kPixels - 1]], 3);
}

}  // namespace

void bind_cut(nb::module_& m) {
  nb::class_<CutConsole>(
      m, "CutConsole",
      "A console whose steps are so many CPU cycles long, wherever in a picture they end. Raises "
      "RuntimeError while another thread is using it.")
      .def(nb::init<std::shared_ptr<nes::Cartridge>, int, int>(), "cartridge"_a, "cycles"_a,
           "lead"_a,
           "Steps are counted from `lead` dots before the first scanline. Raises ValueError for "
           "cycles outside 1-89342 or a lead outside 0-341.")
      .def(
          "reset",
          [](CutConsole& self) {
            const auto hold = self.enter();
            self.reset();
          },
          "Switches the console off and on.")
      .def(
          "step",
          [](CutConsole& self, uint8_t buttons, uint8_t second) {
            const auto hold = self.enter();
            self.step(buttons, second);
            return self.now().jammed == 0;
          },
          "buttons"_a, "second"_a = 0,
          "Runs a step with buttons held, of the second controller too. Returns whether the "
          "program "
          "still runs, see `jammed`. Raises ValueError when that controller is not there.")
      .def_prop_ro(
          "ram",
          [](nb::handle self) {
            return view_of<uint8_t>(self, nb::cast<CutConsole&>(self).now().ram.data(), {0x800});
          },
          "The 2 KB of work RAM: a writable view, uint8[2048].")
      .def_prop_ro(
          "prg_ram",
          [](nb::handle self) {
            const auto memory = nb::cast<CutConsole&>(self).prg_ram();
            return view_of<uint8_t>(self, memory.data(), {memory.size()});
          },
          "The cartridge's RAM for the program: a writable view, uint8[n], n up to 32,768.")
      .def_prop_ro(
          "jammed",
          [](CutConsole& self) {
            const auto hold = self.enter();
            return self.now().jammed != 0;
          },
          "Whether the program has run into an opcode that halts the processor.")
      .def(
          "rgb",
          [](CutConsole& self, const Colours& colours, const Rgb& out) {
            const auto hold = self.enter();
            const nb::gil_scoped_release release;
            std::array<uint8_t, kPixels> picture;
            self.with(
                [&](auto& c) { c.draw(self.cart(), nes::ppu::kSameColours, picture.data()); });
            expand(picture.data(), colours, out.data());
          },
          "colours"_a, "out"_a,
          "Writes the screen: what the beam has drawn of this picture, and the one before below. "
          "`colours` is uint8[64, 3], `out` uint8[240, 256, 3].")
      .def(
          "plane",
          [](CutConsole& self, const Table& table, const Plane& out) {
            const auto hold = self.enter();
            const nb::gil_scoped_release release;
            std::array<uint8_t, 64> values;
            std::copy_n(table.data(), values.size(), values.begin());
            self.with([&](auto& c) { c.draw(self.cart(), values, out.data()); });
          },
          "table"_a, "out"_a,
          "Writes what uint8[64] `table` has for the colours of the screen into `out`, uint8[240, "
          "256].")
      .def(
          "save",
          [](CutConsole& self) {
            const auto hold = self.enter();
            return self.with([&](auto& c) {
              std::vector<uint8_t> bytes(c.save_bytes(self.cart()));
              c.save(self.cart(), bytes.data());
              return to_bytes(bytes);
            });
          },
          "The whole state, and the screen.")
      .def(
          "load",
          [](CutConsole& self, const nb::bytes& bytes) {
            const auto hold = self.enter();
            self.with([&](auto& c) { c.load(self.cart(), view(bytes)); });
          },
          "snapshot"_a, "Raises ValueError when the bytes are not a snapshot of this cartridge.");
}

}  // namespace warpzone::bindings
