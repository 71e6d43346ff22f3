#include "nes/snapshot.h"

#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "program.h"

using program::Bytes;
using warpzone::nes::Cartridge;
using warpzone::nes::State;
namespace nes = warpzone::nes;
using program::operator+;

namespace {

// Copies sprites, polls, scrolls in the middle of the picture, writes tiles: uses everything.
Cartridge busy_cartridge(std::mt19937& random) {
  const Bytes main = Bytes{0xA9, 0x9E, 0x8D, 0x00, 0x20, 0xA9, 0x1E, 0x8D, 0x01, 0x20} +
                     Bytes{0xE6, 0x30, 0x4C, 0x0A, 0x80};
  const Bytes nmi = Bytes{0xA9, 0x02, 0x8D, 0x14, 0x40, 0xA9, 0x20, 0x8D, 0x06, 0x20, 0xA5, 0x30} +
                    Bytes{0x8D, 0x06, 0x20, 0x8D, 0x07, 0x20, 0x8D, 0x05, 0x20, 0x8D, 0x05, 0x20} +
                    Bytes{0xAD, 0x02, 0x20, 0x29, 0x40, 0xF0, 0x00, 0xA5, 0x31, 0x8D, 0x05, 0x20} +
                    Bytes{0x8D, 0x05, 0x20, 0xE6, 0x31, 0xAD, 0x16, 0x40, 0x40};
  return program::with_pictures(main, random, true, nmi);
}

}  // namespace

TEST(a_snapshot_is_exact) {
  std::mt19937 random(8);
  const Cartridge cart = busy_cartridge(random);
  State s = nes::power_on(cart);
  program::randomise_picture(s, random);
  std::vector<uint8_t> bytes(nes::kSnapshotBytes);
  for (int i = 0; i < 20; ++i) {
    nes::run_frame(s, cart, static_cast<uint8_t>(i));
    nes::save(s, cart, bytes.data());
    State other = nes::load(bytes, cart);
    CHECK(std::memcmp(&s, &other, sizeof(s)) == 0);
    State on = s;
    nes::run_frame(on, cart, 1);
    nes::run_frame(other, cart, 1);
    CHECK(std::memcmp(&on, &other, sizeof(on)) == 0);
  }
}

TEST(snapshots_that_do_not_fit_say_why) {
  std::mt19937 random(9);
  const Cartridge cart = busy_cartridge(random), other = busy_cartridge(random);
  const State s = nes::power_on(cart);
  std::vector<uint8_t> bytes(nes::kSnapshotBytes);
  nes::save(s, cart, bytes.data());
  const auto refusal = [&](const std::vector<uint8_t>& snapshot, const Cartridge& c) {
    return check::thrown([&] { nes::load(snapshot, c); });
  };
  CHECK_EQUAL(refusal(bytes, cart), "");
  CHECK_EQUAL(refusal(bytes, other), "the snapshot was made with another cartridge");
  const std::string size = std::to_string(nes::kSnapshotBytes);
  CHECK_EQUAL(refusal({}, cart), "a snapshot has " + size + " bytes, these are 0");
  auto changed = bytes;
  changed[0] ^= 1;
  CHECK_EQUAL(refusal(changed, cart), "these bytes are not a snapshot of a console");
  changed = bytes;
  changed[8] = 77;
  CHECK_EQUAL(refusal(changed, cart), "the snapshot has version 77, this program reads version " +
                                          std::to_string(nes::kSnapshotVersion));
}

TEST(damaged_snapshots_are_refused_or_run) {
  std::mt19937 random(10);
  const Cartridge cart = busy_cartridge(random);
  State s = nes::power_on(cart);
  program::randomise_picture(s, random);
  for (int i = 0; i < 5; ++i) nes::run_frame(s, cart, 0);
  std::vector<uint8_t> good(nes::kSnapshotBytes);
  nes::save(s, cart, good.data());
  std::vector<uint8_t> picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  const size_t header = sizeof(nes::SnapshotHeader);
  // Everything before the RAM decides whether a state can be run at all: flip mostly there.
  const size_t control = offsetof(State, ram);
  int refused = 0, run = 0;
  for (int round = 0; round < 3000; ++round) {
    auto bytes = good;
    const int flips = 1 + static_cast<int>(random() % 8);
    for (int i = 0; i < flips; ++i) {
      const size_t range = random() % 8 == 0 ? sizeof(State) : control;
      bytes[header + random() % range] = static_cast<uint8_t>(random());
    }
    try {
      State damaged = nes::load(bytes, cart);
      for (int frame = 0; frame < 3; ++frame) {
        nes::run_frame(damaged, cart, static_cast<uint8_t>(random()));
        nes::ppu::draw(damaged, cart, picture.data());
      }
      for (const uint8_t colour : picture) CHECK(colour < 64);
      ++run;
    } catch (const std::invalid_argument&) {
      ++refused;
    }
  }
  CHECK(refused > 300);
  CHECK(run > 300);
}

TEST(every_part_of_a_state_is_refused_or_harmless) {
  std::mt19937 random(11);
  const Cartridge cart = busy_cartridge(random);
  State vblank = nes::power_on(cart);
  const State render = vblank;
  program::randomise_picture(vblank, random);
  for (int i = 0; i < 5; ++i) nes::run_frame(vblank, cart, 0);
  std::vector<uint8_t> picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  std::vector<uint8_t> again(nes::kSnapshotBytes);
  int refused = 0, run = 0;
  for (const State& good : {vblank, render}) {
    // Each byte and each aligned number before the memories, with telling values.
    for (size_t at = 0; at < offsetof(State, ram); ++at) {
      for (const size_t size : {1, 2, 4}) {
        if (at % size != 0) continue;
        for (const uint32_t value : {0U, 1U, 0x7FU, 0x80U, 0xFFU, 0x7FFFU, 0x8000U, 0xFFFFU,
                                     0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
          State s = good;
          std::memcpy(reinterpret_cast<uint8_t*>(&s) + at, &value, size);
          if (!nes::plausible(s)) {
            ++refused;
            continue;
          }
          ++run;
          nes::ppu::draw(s, cart, picture.data());
          nes::run_frame(s, cart, 0);
          nes::save(s, cart, again.data());
          CHECK_EQUAL(check::thrown([&] { nes::load(again, cart); }), "");
        }
      }
    }
  }
  CHECK(refused > 300);
  CHECK(run > 3000);
}

TEST(what_could_not_be_run_is_refused) {
  std::mt19937 random(12);
  const Cartridge cart = busy_cartridge(random);
  State good = nes::power_on(cart);
  for (int i = 0; i < 3; ++i) nes::run_frame(good, cart, 0);
  CHECK(nes::plausible(good));
  const auto refused = [&](auto&& change) {
    State s = good;
    change(s);
    return !nes::plausible(s);
  };
  // Times: a frame must come to its end, and sums must not overflow.
  CHECK(refused([](State& s) { s.dot = -1; }));
  CHECK(refused([](State& s) { s.dot = INT32_MIN; }));
  CHECK(refused([](State& s) { s.dot = 2 * nes::kFrameDots; }));
  CHECK(refused([](State& s) { s.frame_end = nes::kFrameDots + 1; }));
  CHECK(refused([](State& s) { s.frame_end = 0; }));
  CHECK(refused([](State& s) { s.line0 = 0; }));
  CHECK(refused([](State& s) { s.line0 = nes::kRenderStart + 1; }));
  CHECK(refused([](State& s) { s.sprite0_from = -1; }));
  CHECK(refused([](State& s) { s.sprite0_from = INT32_MAX; }));
  CHECK(refused([](State& s) { s.phase = static_cast<nes::Phase>(3); }));
  // Before its first line a picture has none to log a change with.
  CHECK(refused([](State& s) { s.phase = nes::Phase::render, s.dot = s.line0 - 1; }));
  CHECK(!refused([](State& s) { s.phase = nes::Phase::render, s.dot = s.line0; }));
  // The log of scrolls.
  CHECK(refused([](State& s) { s.scroll_count = 0; }));
  CHECK(refused([](State& s) { s.scroll_count = 17; }));
  CHECK(refused([](State& s) { s.scrolls[0].line = 1; }));
  CHECK(refused([](State& s) { s.scroll_count = 2, s.scrolls[1].line = 0; }));
  CHECK(refused([](State& s) { s.scroll_count = 2, s.scrolls[1].line = 240; }));
  CHECK(refused([](State& s) { s.scrolls[0].fine_x = 8; }));
  CHECK(refused([](State& s) { s.scrolls[0].v = 0x8000; }));
  CHECK(!refused([](State& s) { s.scrolls[15].fine_x = 8; }));  // not in use
  CHECK(refused([](State& s) { s.fine_x = 8; }));
  CHECK(refused([](State& s) { s.v = 0x8000; }));
  CHECK(refused([](State& s) { s.t = 0x8000; }));
}
