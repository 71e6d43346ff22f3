// What moves in the game: what it means to Mario, where it is and where it will be.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include "nes/state.h"
#include "smb/memory.h"
#include "smb/signals.h"

namespace warpzone::smb {

// Planes group things by what they mean to Mario; the value within a plane tells the kind.
enum Plane : uint8_t {
  kPlaneSolid,     // 255 whatever carries him
  kPlaneBlock,     // can be hit from below: 255 question block, 160 brick, 80 hidden block
  kPlaneItem,      // 255 mushroom, 230 flower, 205 star, 180 1-up, 100 coin
  kPlaneGoal,      // 255 axe, 225 flagpole, 150 vine, 100 pipe that can be entered
  kPlaneEnemy,     // can be stomped: see kObjectKinds; 64 a shell that slides, 32 one at rest
  kPlaneHazard,    // must not be touched: see kObjectKinds; fire and hammers
  kPlanePlatform,  // 255 lifts, 128 springboard
  kPlaneMario,     // 255 Mario, 100 his fireballs
  kPlanes
};

inline constexpr uint8_t kFireball = 100;  // in Mario's plane

struct ObjectKind {
  uint8_t plane = kPlanes;  // kPlanes: not shown
  uint8_t value = 0;
  uint8_t width = 16;   // px
  uint8_t height = 16;  // px, measured from its y
};

// By the game's object number (doppelganger's disassembly).
inline constexpr std::array<ObjectKind, 64> kObjectKinds = [] {
  std::array<ObjectKind, 64> kinds{};
  kinds[0x00] = {kPlaneEnemy, 240, 16, 24};   // green koopa
  kinds[0x01] = {kPlaneEnemy, 232, 16, 24};   // red koopa that walks off ledges
  kinds[0x02] = {kPlaneEnemy, 192, 16, 24};   // buzzy beetle
  kinds[0x03] = {kPlaneEnemy, 224, 16, 24};   // red koopa
  kinds[0x04] = {kPlaneEnemy, 216, 16, 24};   // green koopa that stays
  kinds[0x05] = {kPlaneEnemy, 96, 16, 24};    // hammer bro
  kinds[0x06] = {kPlaneEnemy, 255, 16, 24};   // goomba
  kinds[0x07] = {kPlaneHazard, 128, 16, 24};  // blooper
  kinds[0x08] = {kPlaneEnemy, 128, 16, 16};   // bullet bill
  kinds[0x0A] = {kPlaneHazard, 144, 16, 16};  // grey cheep-cheep
  kinds[0x0B] = {kPlaneHazard, 152, 16, 16};  // red cheep-cheep
  kinds[0x0C] = {kPlaneHazard, 208, 16, 16};  // podoboo
  kinds[0x0D] = {kPlaneHazard, 240, 16, 24};  // piranha plant
  kinds[0x0E] = {kPlaneEnemy, 176, 16, 24};   // green paratroopa that jumps
  kinds[0x0F] = {kPlaneEnemy, 168, 16, 24};   // red paratroopa
  kinds[0x10] = {kPlaneEnemy, 160, 16, 24};   // green paratroopa that flies
  kinds[0x11] = {kPlaneEnemy, 80, 16, 24};    // lakitu
  kinds[0x12] = {kPlaneHazard, 255, 16, 24};  // spiny
  kinds[0x14] = {kPlaneEnemy, 112, 16, 16};   // cheep-cheep in the air
  kinds[0x15] = {kPlaneHazard, 176, 24, 8};   // Bowser's flame
  for (size_t bar = 0x1B; bar <= 0x1F; ++bar) kinds[bar] = {kPlaneHazard, 192, 8, 8};
  for (size_t lift = 0x24; lift <= 0x2A; ++lift) kinds[lift] = {kPlanePlatform, 255, 48, 8};
  kinds[0x2B] = {kPlanePlatform, 255, 24, 8};  // small lifts
  kinds[0x2C] = {kPlanePlatform, 255, 24, 8};
  kinds[0x2D] = {kPlaneHazard, 224, 32, 32};    // Bowser
  kinds[0x2E] = {kPlaneItem, 255, 16, 16};      // power-up
  kinds[0x32] = {kPlanePlatform, 128, 16, 32};  // springboard
  kinds[0x33] = {kPlaneEnemy, 136, 16, 16};     // bullet bill from a cannon
  return kinds;
}();

// Positions of one agent step ago, so that speeds can be seen.
struct Motion {
  std::array<int32_t, memory::kObjects> x, y;
  std::array<uint8_t, memory::kObjects> id;  // 0xFF: nothing was there
  uint8_t reserved[2];
  int32_t mario_x, mario_y;
};

struct MovingObject {
  int slot;
  int id;
  int x, y;
  ObjectKind kind;
};

inline constexpr uint8_t kMovingShell = 64, kRestingShell = 32;  // in the enemies' plane

// What a slot shows. After the game's own rules for touching it (doppelganger:
// PlayerEnemyCollision): nothing is felt of what falls off the screen or of a goomba that lies
// flat, and a koopa in its shell is kicked.
inline ObjectKind object_kind(const nes::State& s, size_t slot) {
  namespace m = memory;
  const uint8_t id = s.ram[m::kObjectId + slot], state = s.ram[m::kObjectState + slot];
  const uint8_t active = s.ram[m::kObjectActive + slot];
  constexpr uint8_t kSecondSlot = 0x80, kDefeated = 0x20, kKicked = 0x80;
  constexpr uint8_t kGoomba = 0x06, kFirstLift = 0x24, kLastLift = 0x2A, kPowerUp = 0x2E;
  // A long firebar and Bowser take a second slot, in which an old number may stand.
  if (active == 0 || (active & kSecondSlot) != 0 || id >= kObjectKinds.size()) return {};
  ObjectKind kind = kObjectKinds[id];
  if (id == kPowerUp) return kind;  // it counts in its state while it rises
  if (id >= kFirstLift && id <= kLastLift) {
    const bool short_lifts = (s.ram[m::kAreaType] & 3) == 3 || s.ram[m::kHardMode] != 0;
    if (short_lifts) kind.width = 32;
    return kind;
  }
  if ((state & kDefeated) != 0) return {};
  if (kind.plane == kPlaneEnemy && id < 0x15) {
    if ((state & kKicked) != 0) {
      kind.value = kMovingShell;
    } else if ((state & 7) >= 2) {
      if (id == kGoomba) return {};
      kind.value = kRestingShell;
    }
  }
  return kind;
}

// The objects that take part in the game, at most kObjects; returns how many.
inline int list_objects(const nes::State& s, std::array<MovingObject, memory::kObjects>& out) {
  namespace m = memory;
  int count = 0;
  for (size_t slot = 0; slot < m::kObjects; ++slot) {
    const size_t id = s.ram[m::kObjectId + slot];
    const ObjectKind kind = object_kind(s, slot);
    if (kind.plane == kPlanes || s.ram[m::kObjectYPage + slot] != 1) continue;
    const int x = s.ram[m::kObjectXPage + slot] * 256 + s.ram[m::kObjectX + slot];
    out[static_cast<size_t>(count++)] = {static_cast<int>(slot), static_cast<int>(id), x,
                                         s.ram[m::kObjectY + slot], kind};
  }
  return count;
}

inline void remember_motion(const nes::State& s, Motion& motion) {
  motion.id.fill(0xFF);
  std::array<MovingObject, memory::kObjects> objects;
  const int count = list_objects(s, objects);
  for (int i = 0; i < count; ++i) {
    const auto slot = static_cast<size_t>(objects[static_cast<size_t>(i)].slot);
    motion.id[slot] = static_cast<uint8_t>(objects[static_cast<size_t>(i)].id);
    motion.x[slot] = objects[static_cast<size_t>(i)].x;
    motion.y[slot] = objects[static_cast<size_t>(i)].y;
  }
  motion.mario_x = player_x(s);
  motion.mario_y = s.ram[memory::kYPage] * 256 + s.ram[memory::kY];
}

struct FirebarBall {
  int x, y;
};

inline constexpr int kFirebarPositions = 32, kFirebarBalls = 12;

// How far each ball is from the bar's pivot, 8 px between balls.
inline const std::array<std::array<FirebarBall, kFirebarBalls>, kFirebarPositions> kFirebar = [] {
  std::array<std::array<FirebarBall, kFirebarBalls>, kFirebarPositions> balls;
  for (int position = 0; position < kFirebarPositions; ++position) {
    const double angle = position * std::numbers::pi / 16;
    for (int ball = 0; ball < kFirebarBalls; ++ball) {
      balls[static_cast<size_t>(position)][static_cast<size_t>(ball)] = {
          static_cast<int>(std::lround(8 * ball * std::sin(angle))),
          -static_cast<int>(std::lround(8 * ball * std::cos(angle)))};
    }
  }
  return balls;
}();

inline bool is_firebar(const MovingObject& object) {
  return object.id >= 0x1B && object.id <= 0x1F;
}

inline size_t firebar_balls(const MovingObject& bar) {
  return bar.id == 0x1F ? kFirebarBalls : kFirebarBalls / 2;
}

// Where a ball of a firebar will be in `frames` frames (doppelganger: FirebarSpin).
inline FirebarBall firebar_ball(const nes::State& s, const MovingObject& bar, size_t ball,
                                int frames = 0) {
  namespace m = memory;
  const auto slot = static_cast<size_t>(bar.slot);
  const int turned = s.ram[m::kFirebarSpeed + slot] * frames;
  const bool clockwise = s.ram[m::kFirebarDirection + slot] == 0;
  const int spin = s.ram[m::kFirebarSpin + slot] * 256 + s.ram[m::kFirebarPart + slot] +
                   (clockwise ? turned : -turned);
  const FirebarBall& at = kFirebar[static_cast<size_t>(spin >> 8) & 31U][ball];
  return {bar.x + at.x, bar.y + at.y};
}

// How far down a thrown hammer will be in `frames` frames, px (doppelganger: ImposeGravity; how its
// fall grows was measured on the European revision).
inline int hammer_y(const nes::State& s, size_t slot, int frames) {
  namespace m = memory;
  constexpr int kFall = 35, kFastest = 4;  // 1/256 px a frame, each frame; px a frame
  int y = s.ram[m::kMiscY + slot], part = s.ram[m::kMiscYPart + slot];
  int speed = signed_byte(s, static_cast<uint16_t>(m::kMiscYSpeed + slot));
  int force = s.ram[m::kMiscYForce + slot];  // 1/256 of the speed
  for (int frame = 0; frame < frames; ++frame) {
    part += force;
    y += speed + (part >> 8);
    force += kFall;
    speed += force >> 8;
    part &= 0xFF;
    force &= 0xFF;
    if (speed >= kFastest && force >= 0x80) {
      speed = kFastest;
      force = 0;
    }
  }
  return y;
}

}  // namespace warpzone::smb
