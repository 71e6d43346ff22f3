// What the game's RAM says about one moment of play.
#pragma once

#include <algorithm>
#include <cstdint>

#include "nes/state.h"
#include "smb/memory.h"
#include "smb/starts.h"

namespace warpzone::smb {

enum class Death : int32_t {
  alive = 0,
  enemy = 1,
  pit = 2,
  time = 3,
  warped = 4,
  thrown_back = 5  // by a maze, where that ends an episode
};

// Everything is int32 so that a batch of these is a matrix. Order: SIGNALS in the bindings.
struct Signals {
  int32_t x;            // px from the left end of the area
  int32_t y;            // px above the bottom of the screen
  int32_t world;        // 1-8
  int32_t stage;        // 1-4
  int32_t area;         // the game's own area number, from 1
  int32_t score;        // points
  int32_t coins;        // 0-99
  int32_t time;         // left on the game's timer
  int32_t status;       // 0 small, 1 big, 2 fire
  int32_t lives;        // as displayed, minus one
  int32_t flag;         // 1: reached the flagpole or the axe; of a whole game: saved the princess
  int32_t death;        // enum Death; of a life that the last step has lost
  int32_t progress;     // new-best px in this episode, over all its areas
  int32_t frames;       // emulated frames in this episode
  int32_t steps;        // agent steps in this episode
  int32_t level;        // 0-31, where the episode began, or with last_level has come to
  int32_t start;        // which of the caller's starts it began at, -1: the level's own
  int32_t total_coins;  // taken in this episode; the 100th, too, adds one
  int32_t levels_cleared, lives_lost;  // in this episode
};

// One more. Who pauses the game plays an episode for as long as they like: then its counters stay
// at the largest number that there is.
inline void count_on(int32_t& counter) { counter += counter < INT32_MAX ? 1 : 0; }

inline int digits(const nes::State& s, uint16_t at, int count) {
  int value = 0;
  for (int i = 0; i < count; ++i) value = value * 10 + (s.ram[static_cast<size_t>(at + i)] & 0x0F);
  return value;
}

inline int signed_byte(const nes::State& s, size_t at) { return static_cast<int8_t>(s.ram[at]); }

inline int player_x(const nes::State& s) { return s.ram[memory::kXPage] * 256 + s.ram[memory::kX]; }

// As gym-super-mario-bros 7.x reports it: more than 255 above the screen.
inline int player_y(const nes::State& s) {
  const int above = s.ram[memory::kYPage] < 1 ? 255 : 0;
  return above + 255 - s.ram[memory::kYOnScreen];
}

// px below the top of the screen; less than 0 is 0.
inline int screen_y(const nes::State& s) {
  return std::max(s.ram[memory::kYPage] * 256 + s.ram[memory::kY] - 256, 0);
}

inline uint16_t area_id(const nes::State& s) {
  return static_cast<uint16_t>(s.ram[memory::kAreaData] | s.ram[memory::kAreaData + 1] << 8);
}

// 0-127: which of the game's maps is loaded, the same in all revisions. Places behind pipes share
// their level's area number, but not this.
inline uint8_t map_number(const nes::State& s) {
  return static_cast<uint8_t>((s.ram[memory::kAreaType] & 3) << 5 |
                              (s.ram[memory::kAreaOffset] & 31));
}

// The definitions of gym-super-mario-bros 7.x (`_is_dying`, `_is_dead`, `_flag_get`).
inline bool below_screen(const nes::State& s) { return s.ram[memory::kYPage] > 1; }
inline bool dying(const nes::State& s) {
  return s.ram[memory::kPlayerState] == memory::kStateDying || below_screen(s);
}
inline bool dead(const nes::State& s) {
  return s.ram[memory::kPlayerState] == memory::kStateLoseLife;
}
inline bool cleared(const nes::State& s) {
  namespace m = memory;
  if (s.ram[m::kOperMode] == 2) return true;
  constexpr uint8_t kBowser = 0x2D, kStarFlag = 0x31, kClimbing = 3;
  if (s.ram[m::kFloatState] != kClimbing) return false;
  for (size_t i = 0; i < 5; ++i) {
    const uint8_t id = s.ram[m::kObjectId + i];
    if (id == kBowser || id == kStarFlag) return true;
  }
  return false;
}

inline bool standing(const nes::State& s) { return s.ram[memory::kFloatState] == 0; }

// Whether Mario is not in the air: he stands, climbs or swims.
inline bool supported(const nes::State& s) {
  constexpr uint8_t kClimbing = 3;
  return standing(s) || s.ram[memory::kFloatState] == kClimbing || s.ram[memory::kSwimming] != 0;
}

// Frames in which no button has an effect: loading, pipes, vines, the flagpole, entrances.
inline bool cutscene(const nes::State& s) {
  namespace m = memory;
  if (s.ram[m::kOperMode] != 1) return true;
  if (s.ram[m::kOperModeTask] != 3) return true;
  const uint8_t state = s.ram[m::kPlayerState];
  return state <= m::kStateEndOfLevel || state == m::kStateEntrance;
}

// Whether Mario obeys.
inline bool played(const nes::State& s) {
  return !cutscene(s) && !dying(s) && !dead(s) && !cleared(s);
}

// Whether the game's last words are on the screen: castle victory, in the last world, at its last
// task.
inline bool princess_saved(const nes::State& s, int last_world) {
  namespace m = memory;
  return s.ram[m::kOperMode] == 2 && s.ram[m::kWorld] == last_world && s.ram[m::kOperModeTask] == 4;
}

inline bool paused(const nes::State& s) { return (s.ram[memory::kPause] & 1) != 0; }

inline Death death_cause(const nes::State& s) {
  if (below_screen(s)) return Death::pit;
  return digits(s, memory::kTime, 3) == 0 ? Death::time : Death::enemy;
}

// Whether a game can have them, whatever is in RAM: no index outside its array, no sum that
// overflows. Not so strict that what a game has come to is refused.
inline bool plausible(const Signals& s) {
  constexpr int32_t kMostPosition = 0xFFFF, kMostCount = 1 << 30;
  const auto within = [](int32_t value, int32_t least, int32_t most) {
    return value >= least && value <= most;
  };
  for (const int32_t read : {s.x, s.y, s.world, s.stage, s.area, s.coins, s.time, s.lives}) {
    if (!within(read, 0, kMostPosition)) return false;
  }
  for (const int32_t counted : {s.score, s.progress, s.levels_cleared, s.lives_lost}) {
    if (!within(counted, 0, kMostCount)) return false;
  }
  // What goes on while nothing happens, to the largest number that there is, see `count_on`.
  for (const int32_t passed : {s.frames, s.steps}) {
    if (passed < 0) return false;
  }
  // There may be fewer starts now than there were.
  return within(s.status, 0, 2) && within(s.flag, 0, 1) && within(s.level, 0, kLevels - 1) &&
         within(s.death, 0, static_cast<int32_t>(Death::thrown_back)) && s.start >= -1 &&
         within(s.total_coins, -kMostCount, kMostCount);  // less where RAM has no digits
}

// Fills in what comes from RAM; the rest belongs to the episode.
inline void read_signals(const nes::State& s, Signals& out) {
  namespace m = memory;
  out.x = player_x(s);
  out.y = player_y(s);
  out.world = s.ram[m::kWorld] + 1;
  out.stage = s.ram[m::kStage] + 1;
  out.area = s.ram[m::kArea] + 1;
  out.score = digits(s, m::kScore, 6);
  out.coins = digits(s, m::kCoins, 2);
  out.time = digits(s, m::kTime, 3);
  out.status = std::min<int>(s.ram[m::kPower], 2);
  out.lives = s.ram[m::kLives];
}

}  // namespace warpzone::smb
