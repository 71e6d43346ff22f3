#include "smb/tiles.h"

#include <cmath>
#include <cstring>
#include <numbers>

#include "check.h"

namespace smb = warpzone::smb;

namespace {

// What a metatile shows, question by question.
smb::Block plain_block(int tile) {
  if (tile == 0x00 || tile == 0x23) return {0, 0, 0, 0};
  if (tile == 0xC2 || tile == 0xC3) return {0, 0, 100, 0};
  if (tile == 0xC5) return {0, 0, 0, 255};
  if (tile == 0x24 || tile == 0x25) return {0, 0, 0, 225};
  if (tile == 0x26) return {0, 0, 0, 150};
  if (tile == 0x5F || tile == 0x60) return {0, 80, 0, 0};
  const bool question = tile == 0xC0 || tile == 0xC1;
  const bool brick = tile == 0x51 || tile == 0x52 || (tile >= 0x55 && tile <= 0x5E);
  const bool enterable = tile == 0x10 || tile == 0x11 || tile == 0x1F || tile == 0x6C;
  return {255,
          static_cast<uint8_t>(question ? 255
                               : brick  ? 160
                                        : 0),
          0, static_cast<uint8_t>(enterable ? 100 : 0)};
}

}  // namespace

TEST(every_metatile_shows_what_it_is) {
  for (int tile = 0; tile < 256; ++tile) {
    const smb::Block expected = plain_block(tile);
    const smb::Block& found = smb::kBlockKinds[static_cast<size_t>(tile)];
    CHECK(std::memcmp(&found, &expected, sizeof(found)) == 0);
  }
}

TEST(firebars_turn_in_a_circle) {
  warpzone::nes::State s{};
  const smb::MovingObject bar{2, 0x1F, 1000, 120, smb::kObjectKinds[0x1F]};
  for (int spin = 0; spin < 256; ++spin) {
    s.ram[smb::memory::kFirebarSpin + 2] = static_cast<uint8_t>(spin);
    const double angle = (spin & 31) * std::numbers::pi / 16;
    for (int ball = 0; ball < smb::kFirebarBalls; ++ball) {
      const smb::FirebarBall at = smb::firebar_ball(s, bar, static_cast<size_t>(ball));
      CHECK_EQUAL(at.x, 1000 + static_cast<int>(std::lround(8 * ball * std::sin(angle))));
      CHECK_EQUAL(at.y, 120 - static_cast<int>(std::lround(8 * ball * std::cos(angle))));
    }
  }
}
