// Waiting loops skipped or executed round by round: the same state in every byte.
#include <cstring>
#include <random>

#include "check.h"
#include "nes/console.h"
#include "program.h"

using program::Bytes;
using warpzone::nes::Cartridge;
using warpzone::nes::State;
namespace nes = warpzone::nes;
namespace ppu = warpzone::nes::ppu;
using program::operator+;

namespace {

// Loops that poll $2002 until a flag is set or clear, masked or not.
const Bytes kPolls[] = {
    {0xAD, 0x02, 0x20, 0x29, 0x40, 0xF0, 0xF9},  // until the sprite-0 flag is set
    {0xAD, 0x02, 0x20, 0x29, 0x40, 0xD0, 0xF9},  // until it is clear
    {0xAD, 0x02, 0x20, 0x29, 0x80, 0xF0, 0xF9},  // until vblank
    {0xAD, 0x02, 0x20, 0x10, 0xFB},              // until vblank
    {0x2C, 0x02, 0x20, 0x10, 0xFB},              // until vblank
    {0x2C, 0x02, 0x20, 0x50, 0xFB},              // until the sprite-0 flag is set
    {0x2C, 0x02, 0x20, 0x70, 0xFB},              // until it is clear
    {0xAD, 0x02, 0x20, 0x29, 0xC0, 0xF0, 0xF9},  // until either
    {0xAD, 0x02, 0x20, 0x29, 0x20, 0xF0, 0xF9},  // until too many sprites share a line
};

struct Race {
  int frames = 0;
  int64_t polled = 0;  // frames in which the loops were left again
};

// Polls one after the other, with delays between them; each round is counted in RAM.
Bytes polling_program(std::mt19937& random) {
  Bytes code;
  const int polls = 1 + static_cast<int>(random() % 3);
  for (int i = 0; i < polls; ++i) {
    for (auto n = random() % 40; n > 0; --n) code.push_back(0xEA);
    if (random() % 2 == 0) code = code + Bytes{0xA5, 0x00};  // three cycles: any alignment
    code = code + kPolls[random() % std::size(kPolls)];
    code = code + Bytes{0xE6, static_cast<uint8_t>(0x10 + i)};
    if (random() % 4 == 0) {  // switches the interrupt, which may come at once, and rendering
      code = code + Bytes{0xA9, static_cast<uint8_t>(random() & 0xB3), 0x8D, 0x00, 0x20};
      code = code + Bytes{0xA9, static_cast<uint8_t>(random() & 0x1E), 0x8D, 0x01, 0x20};
    }
    if (random() % 4 == 0) {  // a scroll in the middle of the picture moves what sprite 0 meets
      code = code + Bytes{0xA9, static_cast<uint8_t>(random()), 0x8D, 0x05, 0x20, 0x8D, 0x05, 0x20};
    }
  }
  return code + Bytes{0x4C, 0x00, 0x80};
}

void race(const Cartridge& cart, State start, int frames, Race& total) {
  State skipped = start, executed = start;
  for (int frame = 0; frame < frames; ++frame) {
    nes::interpret_frame<true>(skipped, cart, 0);
    nes::interpret_frame<false>(executed, cart, 0);
    ++total.frames;
    if (std::memcmp(&skipped, &executed, sizeof(State)) != 0) {
      check::fail(__FILE__, __LINE__, "skipping differs in frame " + std::to_string(frame));
      return;
    }
  }
  if (skipped.ram[0x10] != start.ram[0x10]) ++total.polled;
}

}  // namespace

TEST(polls_of_the_status_are_skipped_exactly) {
  std::mt19937 random(1);
  Race total;
  for (int round = 0; round < 1500; ++round) {
    // At any place, so that some loops cross a page.
    const auto nmi = random() % 2 == 0 ? Bytes{0xE6, 0x20, 0x40} : Bytes{0x2C, 0x02, 0x20, 0x40};
    Bytes code = polling_program(random);
    const auto at = static_cast<uint16_t>(0x8000 + (random() % 4 == 0 ? 0x100 - random() % 64 : 0));
    code[code.size() - 2] = static_cast<uint8_t>(at);
    code[code.size() - 1] = static_cast<uint8_t>(at >> 8);
    const Cartridge cart = program::with_pictures(code, random, random() % 2 == 0, nmi, at);
    State s = nes::power_on(cart);
    program::randomise_picture(s, random);
    s.mask = random() % 8 == 0 ? static_cast<uint8_t>(random() & 0x1F) : 0x1E;
    s.ctrl = static_cast<uint8_t>(random() & 0xBB);
    s.scrolls[0].mask = s.mask;
    s.scrolls[0].ctrl = s.ctrl;
    s.t = static_cast<uint16_t>(random() & 0x7FFF);
    if (random() % 4 == 0) s.oam[0] = 0xF8;  // no hit at all
    for (size_t i = random() % 80; i < 64; ++i) {
      s.oam[i * 4] = static_cast<uint8_t>(100 + random() % 40);
    }
    s.dot += 3 * static_cast<int32_t>(random() % 500);
    race(cart, s, 4, total);
  }
  CHECK(total.frames == 6000);
  CHECK(total.polled > 1000);
}

TEST(a_jump_to_itself_is_skipped_exactly) {
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    Bytes code;
    for (auto n = random() % 30; n > 0; --n) code.push_back(0xEA);
    if (random() % 2 == 0) code = code + Bytes{0xA5, 0x00};
    const auto self = static_cast<uint16_t>(0x8000 + code.size());
    code = code + Bytes{0x4C, static_cast<uint8_t>(self), static_cast<uint8_t>(self >> 8)};
    // The handler works for a while and takes another number of cycles each time.
    const Bytes nmi = {0xE6, 0x10, 0xA6, 0x10, 0xCA, 0xD0, 0xFD, 0x40};
    const Cartridge cart = program::cartridge(code, 0x8000, nmi);
    State s = nes::power_on(cart);
    s.ctrl = ppu::kCtrlNmi;
    Race total;
    race(cart, s, 6, total);
    CHECK_EQUAL(total.polled, 1);
  }
}

TEST(a_loop_that_does_more_than_wait_is_not_skipped) {
  // The branch goes back as far as a poll's would, to instructions that count.
  const Cartridge cart = program::cartridge({0xE6, 0x10, 0xEA, 0xD0, 0xFB, 0xE6, 0x11, 0xD0, 0xF7});
  State s = nes::power_on(cart);
  Race total;
  race(cart, s, 5, total);
  CHECK_EQUAL(total.polled, 1);
}
