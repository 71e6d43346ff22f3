// The game as it is in RAM: a map of 13 rows by 16 columns around Mario, in planes, and a vector
// of scalars. Nothing is drawn for it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "nes/console.h"
#include "nes/state.h"
#include "smb/memory.h"
#include "smb/objects.h"
#include "smb/signals.h"

namespace warpzone::smb {

inline constexpr int kTileRows = memory::kBlockRows;
inline constexpr int kTileColumns = memory::kBlockColumns;
inline constexpr int kColumnsBehind = 4;  // Mario stands in the fifth column
inline constexpr size_t kTileBytes = kPlanes * kTileRows * kTileColumns;

// What 1 stands for in a scalar: of positions and speeds in px and px a step, unless a name says
// more.
inline constexpr float kCellUnit = memory::kCell, kScreenHeightUnit = 240, kScreenWidthUnit = 256;
inline constexpr float kXSpeedUnit = 48;  // 1/16 px a frame
inline constexpr float kYSpeedUnit = 5;   // px a frame
inline constexpr float kMoveUnit = 16, kDistanceUnit = 128, kTimeUnit = 400;

struct ScalarName {
  const char* name;
  float unit = 1;
};

// In this order, see `observe_tiles`. Flags are 0 or 1.
inline constexpr std::array kMarioScalarNames = {
    ScalarName{"x_in_cell", kCellUnit},
    ScalarName{"y_in_cell", kCellUnit},
    ScalarName{"screen_y", kScreenHeightUnit},
    ScalarName{"x_speed", kXSpeedUnit},
    ScalarName{"y_speed", kYSpeedUnit},
    ScalarName{"x_moved", kMoveUnit},
    ScalarName{"y_moved", kMoveUnit},
    ScalarName{"on_ground"},
    ScalarName{"jumping"},
    ScalarName{"falling"},
    ScalarName{"climbing"},
    ScalarName{"faces_right"},
    ScalarName{"big"},
    ScalarName{"fire"},
    ScalarName{"star"},
    ScalarName{"injured"},
    ScalarName{"swimming"},
    ScalarName{"crouching"},
    ScalarName{"held_A"},
    ScalarName{"held_B"},
    ScalarName{"held_left"},
    ScalarName{"held_right"},
    ScalarName{"held_down"},
    ScalarName{"held_up"},
    ScalarName{"screen_x", kScreenWidthUnit},
    ScalarName{"time", kTimeUnit},
    ScalarName{"water"},
    ScalarName{"overground"},
    ScalarName{"underground"},
    ScalarName{"castle"},
};
inline constexpr std::array kObjectScalarNames = {
    ScalarName{"present"},
    ScalarName{"x_distance", kDistanceUnit},
    ScalarName{"y_distance", kDistanceUnit},
    ScalarName{"x_moved", kMoveUnit},
    ScalarName{"y_moved", kMoveUnit},
    ScalarName{"enemy"},
    ScalarName{"hazard"},
    ScalarName{"platform"},
    ScalarName{"item"},
};

inline constexpr int kMarioScalars = static_cast<int>(kMarioScalarNames.size());
inline constexpr int kObjectScalars = static_cast<int>(kObjectScalarNames.size());
inline constexpr int kPages = 32;  // screens of 256 px from the left end of the area
inline constexpr int kLevelIds = 32;
inline constexpr int kScalars =
    kMarioScalars + memory::kObjects * kObjectScalars + kPages + kLevelIds;

// What a cell of the game's map shows in the first four planes.
struct Block {
  uint8_t solid, block, item, goal;
};

// By metatile (doppelganger: GetMTileAttrib, SolidMTileUpperExt, ClimbMTileUpperExt,
// CheckForCoinMTiles, ChkInvisibleMTiles, BrickQBlockMetatiles, VerticalPipeData).
inline constexpr std::array<Block, 256> kBlockKinds = [] {
  std::array<Block, 256> kinds;
  kinds.fill({255, 0, 0, 0});
  kinds[0x00] = kinds[0x23] = {};  // a block while it bounces is drawn as an object of its own
  kinds[0xC2] = kinds[0xC3] = {0, 0, 100, 0};
  kinds[0xC5] = {0, 0, 0, 255};
  kinds[0x24] = kinds[0x25] = {0, 0, 0, 225};
  kinds[0x26] = {0, 0, 0, 150};
  kinds[0x5F] = kinds[0x60] = {0, 80, 0, 0};
  kinds[0xC0].block = kinds[0xC1].block = 255;
  kinds[0x51].block = kinds[0x52].block = 160;
  for (size_t brick = 0x55; brick <= 0x5E; ++brick) kinds[brick].block = 160;
  for (const size_t pipe : {0x10, 0x11, 0x1F, 0x6C}) kinds[pipe].goal = 100;
  return kinds;
}();

class TileMap {
 public:
  TileMap(uint8_t* planes, int left_column) : planes_(planes), left_column_(left_column) {
    std::memset(planes, 0, kTileBytes);
  }

  void set(uint8_t plane, int row, int column, uint8_t value) {
    if (row < 0 || row >= kTileRows || column < 0 || column >= kTileColumns) return;
    uint8_t& cell = planes_[(plane * kTileRows + row) * kTileColumns + column];
    cell = std::max(cell, value);
  }

  // Nothing may have been marked in that cell before.
  void block(const Block& kind, size_t row, size_t column) {
    uint8_t* cell = planes_ + row * kTileColumns + column;
    constexpr size_t kPlaneBytes = static_cast<size_t>(kTileRows) * kTileColumns;
    cell[kPlaneSolid * kPlaneBytes] = kind.solid;
    cell[kPlaneBlock * kPlaneBytes] = kind.block;
    cell[kPlaneItem * kPlaneBytes] = kind.item;
    cell[kPlaneGoal * kPlaneBytes] = kind.goal;
  }

  // Marks the cells that a box covers by a quarter of a tile or more; px in the area and the
  // screen.
  void box(uint8_t plane, int x, int y, int width, int height, uint8_t value) {
    constexpr int kSlack = 4;
    const int top = y - memory::kMapTop;
    const int first = (x + std::min(kSlack, width / 2)) >> 4;
    const int last = (x + width - 1 - std::min(kSlack, width / 2)) >> 4;
    const int first_row = (top + std::min(kSlack, height / 2)) >> 4;
    const int last_row = (top + height - 1 - std::min(kSlack, height / 2)) >> 4;
    for (int row = first_row; row <= std::max(last_row, first_row); ++row) {
      for (int column = first; column <= std::max(last, first); ++column) {
        set(plane, row, column - left_column_, value);
      }
    }
  }

 private:
  uint8_t* planes_;
  int left_column_;
};

// Columns that the game has already filled in; what lies beyond in its ring of 32 is stale.
inline int filled_columns(const nes::State& s) {
  return s.ram[memory::kNextColumnPage] * 16 + s.ram[memory::kNextColumn];
}

// By which values a hazard's path is shown, soonest first, and how many frames lie between two: a
// firebar turns by one of its 32 positions in six frames or more, a hammer flies up to 4 px a
// frame.
inline constexpr std::array<uint8_t, 4> kPathValues = {112, 88, 64, 40};
inline constexpr int kHammerFrames = 4, kFirebarFrames = 8;

// Marks where firebars turn to and thrown hammers fly to. Both keep to it whatever Mario does.
inline void mark_paths(const nes::State& s, std::span<const MovingObject> objects, TileMap& map) {
  namespace m = memory;
  for (size_t ahead = 0; ahead < kPathValues.size(); ++ahead) {
    const uint8_t value = kPathValues[ahead];
    const int turns = static_cast<int>(ahead + 1) * kFirebarFrames;
    const int frames = static_cast<int>(ahead + 1) * kHammerFrames;
    for (const MovingObject& object : objects) {
      if (!is_firebar(object)) continue;
      for (size_t ball = 0; ball < firebar_balls(object); ++ball) {
        const FirebarBall at = firebar_ball(s, object, ball, turns);
        map.box(kPlaneHazard, at.x, at.y, 8, 8, value);
      }
    }
    for (size_t i = 0; i < m::kMiscObjects; ++i) {
      constexpr uint8_t kFlyingHammer = 0x81;
      if (s.ram[m::kMiscState + i] != kFlyingHammer) continue;
      const int x = s.ram[m::kMiscXPage + i] * 256 + s.ram[m::kMiscX + i];
      const int moved = signed_byte(s, static_cast<uint16_t>(m::kMiscXSpeed + i)) * frames / 16;
      map.box(kPlaneHazard, x + moved, hammer_y(s, i, frames), 8, 8, value);
    }
  }
}

// The highest values that `observe_tiles` gives; the lowest are 0. Mario stands in the fifth
// column, and may reach into those beside it; elsewhere his plane shows nothing but fireballs.
inline std::array<uint8_t, kTileBytes> tile_bounds() {
  std::array<uint8_t, kTileBytes> highest;
  highest.fill(255);
  for (size_t row = 0; row < kTileRows; ++row) {
    for (int column = 0; column < kTileColumns; ++column) {
      if (column >= kColumnsBehind - 1 && column <= kColumnsBehind + 1) continue;
      highest[(kPlaneMario * kTileRows + row) * kTileColumns + static_cast<size_t>(column)] =
          kFireball;
    }
  }
  return highest;
}

struct ScalarBounds {
  std::array<float, kScalars> low, high;
};

// Between which the scalars of `observe_tiles` lie, whatever the RAM holds; in its order.
inline ScalarBounds scalar_bounds() {
  ScalarBounds bounds;
  bounds.low.fill(0.0F);  // a flag
  bounds.high.fill(1.0F);
  const auto set = [&bounds](size_t at, float low, float high) {
    bounds.low[at] = low;
    bounds.high[at] = high;
  };
  set(2, -256.0F / 240.0F, 65279.0F / 240.0F);  // 256 pages of 256 px, the first above the screen
  set(3, -128.0F / 48.0F, 127.0F / 48.0F);
  set(4, -8.0F / 5.0F, 8.0F / 5.0F);
  set(5, -2.0F, 2.0F);
  set(6, -2.0F, 2.0F);
  set(24, -65535.0F / 256.0F, 65535.0F / 256.0F);
  set(25, 0.0F, 1665.0F / 400.0F);  // three digits of four bits
  for (size_t object = 0; object < memory::kObjects; ++object) {
    for (size_t k = 1; k <= 4; ++k) set(kMarioScalars + object * kObjectScalars + k, -2.0F, 2.0F);
  }
  return bounds;
}

// uint8[kPlanes][13][16] and float[kScalars]. Scalars are scaled to about -1..1:
// speeds in px per step / 16, distances in px / 128. The last ones are one-hot: the page that Mario
// is on, and the level, if `level` is not negative. With `show_paths` the hazards' plane shows
// paths too.
inline void observe_tiles(const nes::State& s, const Motion& before, uint8_t held, int level,
                          bool show_paths, uint8_t* planes, float* scalars) {
  namespace m = memory;
  const int x = player_x(s);
  const int y = s.ram[m::kYPage] * 256 + s.ram[m::kY] - 256;  // px on the screen, may be negative
  const int left_column = ((x + 8) >> 4) - kColumnsBehind;
  TileMap map(planes, left_column);

  const int filled = filled_columns(s);
  for (int column = 0; column < kTileColumns; ++column) {
    const int at = left_column + column;
    if (at < 0 || at >= filled) continue;
    const uint8_t* blocks =
        &s.ram[m::kBlocks +
               static_cast<size_t>(((at >> 4) & 1) * m::kBlockRows * m::kBlockColumns + (at & 15))];
    for (size_t row = 0; row < kTileRows; ++row) {
      map.block(kBlockKinds[blocks[row * m::kBlockColumns]], row, static_cast<size_t>(column));
    }
  }

  std::array<MovingObject, m::kObjects> objects;
  const int count = list_objects(s, objects);
  for (int i = 0; i < count; ++i) {
    const MovingObject& object = objects[static_cast<size_t>(i)];
    const ObjectKind& kind = object.kind;
    const bool firebar = is_firebar(object);
    uint8_t value = kind.value;
    if (object.id == 0x2E) value = static_cast<uint8_t>(255 - 25 * (s.ram[m::kPowerUpType] & 3));
    if (firebar) {
      for (size_t ball = 0; ball < firebar_balls(object); ++ball) {
        const FirebarBall at = firebar_ball(s, object, ball);
        map.box(kind.plane, at.x, at.y, 8, 8, value);
      }
    } else {
      // Enemies of 24 px have their feet in the lower 16.
      const int top = kind.height == 24 ? object.y + 8 : object.y;
      map.box(kind.plane, object.x, top, kind.width, std::max<int>(kind.height - 8, 8), value);
      const bool pair = object.id == 0x2B || object.id == 0x2C;  // one object, half a screen apart
      if (pair) map.box(kind.plane, object.x, (object.y + 128) & 0xFF, kind.width, 8, value);
    }
  }
  for (size_t i = 0; i < m::kFireballs; ++i) {
    const uint8_t state = s.ram[m::kFireballState + i];
    if (state == 0 || (state & 0x80) != 0) continue;  // bit 7: it bursts
    const int at = s.ram[m::kFireballXPage + i] * 256 + s.ram[m::kFireballX + i];
    map.box(kPlaneMario, at, s.ram[m::kFireballY + i], 8, 8, kFireball);
  }
  for (size_t i = 0; i < m::kMiscObjects; ++i) {
    if ((s.ram[m::kMiscState + i] & 0x80) == 0) continue;
    const int at = s.ram[m::kMiscXPage + i] * 256 + s.ram[m::kMiscX + i];
    map.box(kPlaneHazard, at, s.ram[m::kMiscY + i], 8, 8, 160);
  }
  if (show_paths) mark_paths(s, std::span(objects).first(static_cast<size_t>(count)), map);
  const bool small = s.ram[m::kSize] == 1 || s.ram[m::kCrouching] != 0;
  map.box(kPlaneMario, x, small ? y + 16 : y, 16, small ? 16 : 32, 255);

  float* out = scalars;
  const auto put = [&out](float value) { *out++ = value; };
  const auto flag = [&put](bool value) { put(value ? 1.0F : 0.0F); };
  put(static_cast<float>((x + 8) & 15) / kCellUnit);
  put(static_cast<float>(y & 15) / kCellUnit);
  put(static_cast<float>(y) / kScreenHeightUnit);
  put(static_cast<float>(signed_byte(s, m::kXSpeed)) / kXSpeedUnit);
  put(static_cast<float>(std::clamp(signed_byte(s, m::kYSpeed), -8, 8)) / kYSpeedUnit);
  put(static_cast<float>(std::clamp(x - before.mario_x, -32, 32)) / kMoveUnit);
  put(static_cast<float>(std::clamp(y + 256 - before.mario_y, -32, 32)) / kMoveUnit);
  const int float_state = s.ram[m::kFloatState];
  for (int state = 0; state < 4; ++state) flag(float_state == state);
  flag(s.ram[m::kFacing] == 1);
  flag(s.ram[m::kSize] == 0);
  flag(s.ram[m::kPower] >= 2);
  flag(s.ram[m::kStarTimer] != 0);
  flag(s.ram[m::kInjuryTimer] != 0);
  flag(s.ram[m::kSwimming] != 0);
  flag(s.ram[m::kCrouching] != 0);
  flag((held & nes::kButtonA) != 0);
  flag((held & nes::kButtonB) != 0);
  flag((held & nes::kButtonLeft) != 0);
  flag((held & nes::kButtonRight) != 0);
  flag((held & nes::kButtonDown) != 0);
  flag((held & nes::kButtonUp) != 0);
  const int screen_left = s.ram[m::kScreenLeftPage] * 256 + s.ram[m::kScreenLeft];
  put(static_cast<float>(x - screen_left) / kScreenWidthUnit);
  put(static_cast<float>(digits(s, m::kTime, 3)) / kTimeUnit);
  for (int type = 0; type < 4; ++type) flag((s.ram[m::kAreaType] & 3) == type);

  // Nearest first, so that a place in the vector has a meaning of its own.
  const auto nearer = [x](const MovingObject& a, const MovingObject& b) {
    const int da = std::abs(a.x - x), db = std::abs(b.x - x);
    return da != db ? da < db : a.slot < b.slot;
  };
  for (size_t i = 1; i < static_cast<size_t>(count); ++i) {
    for (size_t j = i; j > 0 && nearer(objects[j], objects[j - 1]); --j) {
      std::swap(objects[j], objects[j - 1]);
    }
  }
  for (int i = 0; i < count; ++i) {
    const MovingObject& object = objects[static_cast<size_t>(i)];
    const ObjectKind& kind = object.kind;
    const auto slot = static_cast<size_t>(object.slot);
    const bool firebar = is_firebar(object);
    const bool known = before.id[slot] == object.id;
    float dx =
        known ? static_cast<float>(std::clamp(object.x - before.x[slot], -32, 32)) / kMoveUnit : 0;
    float dy =
        known ? static_cast<float>(std::clamp(object.y - before.y[slot], -32, 32)) / kMoveUnit : 0;
    if (firebar) {  // it turns on the spot: its direction instead of a speed
      const FirebarBall end = firebar_ball(s, object, 2);
      dx = static_cast<float>(end.x - object.x) / kMoveUnit;
      dy = static_cast<float>(end.y - object.y) / kMoveUnit;
    }
    put(1.0F);
    put(static_cast<float>(std::clamp(object.x - x, -256, 256)) / kDistanceUnit);
    put(static_cast<float>(std::clamp(object.y - y, -256, 256)) / kDistanceUnit);
    put(dx);
    put(dy);
    flag(kind.plane == kPlaneEnemy);
    flag(kind.plane == kPlaneHazard);
    flag(kind.plane == kPlanePlatform);
    flag(kind.plane == kPlaneItem);
  }
  std::fill(out, scalars + kScalars, 0.0F);
  float* places = scalars + kMarioScalars + m::kObjects * kObjectScalars;
  places[std::min<int>(s.ram[m::kXPage], kPages - 1)] = 1.0F;
  if (level >= 0 && level < kLevelIds) places[kPages + level] = 1.0F;
}

}  // namespace warpzone::smb
