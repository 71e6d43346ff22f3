// Consoles that are stopped in the middle of pictures.
#include "nes/cut.h"

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "program.h"

using program::Bytes;
using warpzone::nes::Cartridge;
using warpzone::nes::CutConsole;
using warpzone::nes::State;
namespace nes = warpzone::nes;
using program::operator+;

namespace {

constexpr size_t kPixels = size_t{nes::kScreenHeight} * nes::kScreenWidth;
using Picture = std::vector<uint8_t>;

// Counts in RAM all the time, reads the controller and changes names and scroll in its interrupt.
Cartridge busy_cartridge(std::mt19937& random) {
  const Bytes main = Bytes{0xA9, 0x9E, 0x8D, 0x00, 0x20, 0xA9, 0x1E, 0x8D, 0x01, 0x20} +
                     Bytes{0xE6, 0x30, 0x4C, 0x0A, 0x80};
  const Bytes nmi = Bytes{0xA9, 0x02, 0x8D, 0x14, 0x40, 0xA9, 0x20, 0x8D, 0x06, 0x20, 0xA5, 0x30} +
                    Bytes{0x8D, 0x06, 0x20, 0x8D, 0x07, 0x20, 0x8D, 0x05, 0x20, 0x8D, 0x05, 0x20} +
                    Bytes{0xE6, 0x31, 0xAD, 0x16, 0x40, 0x40};
  return program::with_pictures(main, random, true, nmi);
}

std::unique_ptr<CutConsole<State>> switched_on(const Cartridge& cart, std::mt19937& random) {
  auto console = std::make_unique<CutConsole<State>>();
  console->reset(cart, nes::kDotsPerLine);
  program::randomise_picture(console->now, random);
  return console;
}

Picture drawn(const State& s, const Cartridge& cart) {
  Picture picture(kPixels);
  nes::ppu::draw(s, cart, picture.data());
  return picture;
}

Picture screen(const CutConsole<State>& console, const Cartridge& cart) {
  Picture picture(kPixels);
  console.draw(cart, nes::ppu::kSameColours, picture.data());
  return picture;
}

}  // namespace

TEST(where_steps_end_does_not_change_the_game) {
  std::mt19937 random(3);
  const Cartridge cart = busy_cartridge(random);
  const auto one = switched_on(cart, random);
  auto many = std::make_unique<CutConsole<State>>(*one);
  for (int step = 0; step < 30; ++step) {
    one->step(cart, 1, 90000);
    for (int part = 0; part < 90; ++part) many->step(cart, 1, 1000);
    CHECK(one->now.ram == many->now.ram);
    CHECK_EQUAL(one->now.dot, many->now.dot);
    CHECK_EQUAL(one->now.pc, many->now.pc);
    CHECK_EQUAL(one->now.frame, many->now.frame);
    CHECK(screen(*one, cart) == screen(*many, cart));
  }
  CHECK(one->now.frame > 25);
}

TEST(a_step_ends_with_the_first_instruction_behind_its_moment) {
  std::mt19937 random(4);
  const Cartridge cart = busy_cartridge(random);
  const auto console = switched_on(cart, random);
  for (int step = 0; step < 1000; ++step) {
    console->step(cart, 0, 997);
    const uint64_t at = console->now.clock + static_cast<uint64_t>(console->now.dot);
    CHECK(at >= console->cut.moment);
    CHECK(at < console->cut.moment + 3 * 520);  // sprites may be copied in between
  }
}

TEST(the_screen_has_new_lines_above_old_ones) {
  std::mt19937 random(5);
  const Cartridge cart = busy_cartridge(random);
  const auto console = switched_on(cart, random);
  CHECK(screen(*console, cart) == Picture(kPixels, nes::kBlack));
  int cut = 0;
  for (int step = 0; step < 200; ++step) {
    console->step(cart, 0, 20011);
    const nes::Beam beam = nes::beam(console->now, console->cut.moment);
    if (console->cut.shown == 0) continue;
    const Picture shown = screen(*console, cart);
    const Picture now = drawn(console->now, cart), before = drawn(console->before, cart);
    const size_t until =
        static_cast<size_t>(beam.lines) * nes::kScreenWidth + static_cast<size_t>(beam.pixels);
    for (size_t i = 0; i < kPixels; ++i) {
      if (shown[i] != (i < until ? now[i] : before[i])) {
        check::fail(__FILE__, __LINE__, "a pixel is of the wrong picture");
        break;
      }
    }
    cut += beam.lines > 0 && beam.lines < nes::kScreenHeight && now != before;
  }
  CHECK(cut > 50);
}

TEST(a_snapshot_of_a_cut_console_has_its_screen) {
  std::mt19937 random(6);
  const Cartridge cart = busy_cartridge(random);
  const auto console = switched_on(cart, random);
  std::vector<uint8_t> bytes(console->save_bytes(cart));
  auto other = std::make_unique<CutConsole<State>>();
  other->reset(cart, 0);
  for (int step = 0; step < 40; ++step) {
    console->step(cart, static_cast<uint8_t>(step), 45007);
    console->save(cart, bytes.data());
    other->load(cart, bytes);
    CHECK(screen(*console, cart) == screen(*other, cart));
    auto on = std::make_unique<CutConsole<State>>(*console);
    on->step(cart, 1, 30000);
    other->step(cart, 1, 30000);
    CHECK(std::memcmp(&on->now, &other->now, sizeof(State)) == 0);
    CHECK(screen(*on, cart) == screen(*other, cart));
  }
  const auto refusal = [&] { return check::thrown([&] { other->load(cart, bytes); }); };
  CHECK_EQUAL(refusal(), "");
  bytes[3] ^= 0xFF;  // the moment
  CHECK_EQUAL(refusal(), "the snapshot is damaged");
  bytes.pop_back();
  CHECK(refusal().find("a snapshot has ") == 0);
}
