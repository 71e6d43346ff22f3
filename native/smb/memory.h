// What Super Mario Bros. keeps where in its 2 KB of RAM. Names and meanings after the game's
// public disassembly by doppelganger and https://datacrystal.tcrf.net/wiki/Super_Mario_Bros.
#pragma once

#include <array>
#include <cstdint>

namespace warpzone::smb::memory {

// What the game counts by. Its random numbers are seven bytes (PseudoRandomBitReg), shifted once in
// every frame; the counter goes on in each that is not paused; slow timers go down when
// IntervalTimerControl begins anew, which runs to 0 from 20, on the European cartridge from 17.
inline constexpr uint16_t kRandom = 0x07A7, kFrameCounter = 0x0009, kSlowTick = 0x077F;
inline constexpr int kRandomBytes = 7, kSlowTicks = 18;

// The course of the game.
inline constexpr uint16_t kOperMode = 0x0770;      // 0 title, 1 game, 2 castle victory, 3 game over
inline constexpr uint16_t kOperModeTask = 0x0772;  // in mode 1: 3 is play, less is loading
inline constexpr uint16_t kPause = 0x0776;         // bit 0: the game is paused
inline constexpr uint16_t kWorld = 0x075F, kStage = 0x075C, kArea = 0x0760;  // from 0
// Where the loaded map's data lies: tells maps apart. (0x0750 often already names the next one.)
inline constexpr uint16_t kAreaData = 0x00E7;
inline constexpr uint16_t kAreaType = 0x074E;    // 0 water, 1 overground, 2 underground, 3 castle
inline constexpr uint16_t kAreaOffset = 0x074F;  // which of the maps of that type is loaded
inline constexpr uint16_t kHardMode = 0x06CC;    // not 0 from 5-3 on
inline constexpr uint16_t kLives = 0x075A;       // lives left besides this one; 0xFF: none
inline constexpr uint16_t kTime = 0x07F8;        // three decimal digits
inline constexpr uint16_t kScore = 0x07DE;       // six decimal digits; the millions lie before
inline constexpr uint16_t kCoins = 0x07ED;       // two decimal digits
// In a castle's maze: right turns of the current round, and turns in all (LoopCommand's counters).
inline constexpr uint16_t kMazeCorrect = 0x06D9, kMazeTurns = 0x06DA;
inline constexpr uint16_t kMazeCheck = 0x0745;  // not 0 where the game is about to look

// Mario.
inline constexpr uint16_t kPlayerState = 0x000E;  // the game's routine for him, see below
inline constexpr uint16_t kFloatState = 0x001D;   // 0 ground, 1 jump, 2 fall, 3 climb
inline constexpr uint16_t kFacing = 0x0033;       // 1 right, 2 left
inline constexpr uint16_t kXSpeed = 0x0057, kYSpeed = 0x009F;  // signed; x in 1/16 px a frame
inline constexpr uint16_t kXPage = 0x006D, kX = 0x0086;
inline constexpr uint16_t kYPage = 0x00B5, kY = 0x00CE;  // page 1 is the screen, 2 below it
inline constexpr uint16_t kYOnScreen = 0x03B8;
inline constexpr uint16_t kSize = 0x0754;   // 0 big, 1 small
inline constexpr uint16_t kPower = 0x0756;  // 0 small, 1 big, 2 fire
inline constexpr uint16_t kSwimming = 0x0704, kCrouching = 0x0714;
inline constexpr uint16_t kInjuryTimer = 0x079E, kStarTimer = 0x079F;
inline constexpr uint16_t kScreenLeftPage = 0x071A, kScreenLeft = 0x071C;
inline constexpr uint8_t kStateVine = 1, kStateSidePipe = 2, kStatePipe = 3, kStateFlagpole = 4,
                         kStateEndOfLevel = 5, kStateLoseLife = 6, kStateEntrance = 7,
                         kStatePlaying = 8, kStateDying = 0x0B;

// Things that move. Slots 0-4 are enemies, lifts and so on; slot 5 is the power-up.
inline constexpr int kObjects = 6;
inline constexpr uint16_t kObjectActive = 0x000F, kObjectId = 0x0016, kObjectState = 0x001E;
inline constexpr uint16_t kObjectXPage = 0x006E, kObjectX = 0x0087;
inline constexpr uint16_t kObjectYPage = 0x00B6, kObjectY = 0x00CF;
inline constexpr size_t kPowerUpSlot = 5;
inline constexpr uint16_t kPowerUpType = 0x0039;  // 0 mushroom, 1 flower, 2 star, 3 1-up
inline constexpr uint8_t kExtraLife = 3;
inline constexpr uint16_t kFirebarSpin = 0x00A0;       // 32 positions, clockwise, 0 is up,
inline constexpr uint16_t kFirebarPart = 0x0058;       // and 1/256 of one,
inline constexpr uint16_t kFirebarSpeed = 0x0388;      // of which it turns so many a frame
inline constexpr uint16_t kFirebarDirection = 0x0034;  // 0 clockwise
inline constexpr int kFireballs = 2;
inline constexpr uint16_t kFireballState = 0x0024, kFireballXPage = 0x0074, kFireballX = 0x008D,
                          kFireballY = 0x00D5;
inline constexpr int kMiscObjects = 9;
inline constexpr uint16_t kMiscState = 0x002A;  // bit 7: a hammer; the rest: 1 while it flies
inline constexpr uint16_t kMiscXPage = 0x007A, kMiscX = 0x0093, kMiscY = 0x00DB;
inline constexpr uint16_t kMiscXSpeed = 0x0064, kMiscYSpeed = 0x00AC;  // as Mario's
inline constexpr uint16_t kMiscYPart = 0x0423, kMiscYForce = 0x0440;   // 1/256 of y, of its speed

// The map: two screens of 13 rows by 16 columns, filled ahead of Mario column by column.
inline constexpr uint16_t kBlocks = 0x0500;
inline constexpr int kBlockRows = 13, kBlockColumns = 16;
inline constexpr uint16_t kNextColumnPage = 0x0725, kNextColumn = 0x0726;  // to be filled next
inline constexpr int kMapTop = 32;                    // px of the status bar above the map
inline constexpr int kCell = 16;                      // px of a block
inline constexpr uint16_t kAreaDataOffset = 0x072C;   // how far kAreaData has been read
inline constexpr uint16_t kObjectLengths = 0x0730;    // of three wide objects; bit 7: at its end
inline constexpr uint16_t kNextArea = 0x0750;         // bits 0-6: the map behind the next pipe
inline constexpr uint16_t kNextPage = 0x0751;         // the screen of it at which Mario comes out
inline constexpr uint16_t kChangeAreaTimer = 0x06DE;  // frames until a pipe has been entered
inline constexpr uint16_t kScrollLock = 0x0723;       // not 0 where the screen does not follow
inline constexpr uint16_t kWarpZone = 0x06D6;  // not 0 from the screen on that a warp zone follows
inline constexpr uint16_t kNoCollisions = 0x0716;     // not 0: Mario goes through everything
inline constexpr uint16_t kMovingDirection = 0x0045;  // of Mario: 1 right, 2 left

// All addresses by name, for who reads RAM elsewhere.
struct Address {
  const char* name;
  uint16_t at;
};
inline constexpr std::array kAddresses = {
    Address{"random", kRandom},
    Address{"frame_counter", kFrameCounter},
    Address{"slow_tick", kSlowTick},
    Address{"oper_mode", kOperMode},
    Address{"oper_mode_task", kOperModeTask},
    Address{"pause", kPause},
    Address{"world", kWorld},
    Address{"stage", kStage},
    Address{"area", kArea},
    Address{"area_data", kAreaData},
    Address{"area_type", kAreaType},
    Address{"area_offset", kAreaOffset},
    Address{"hard_mode", kHardMode},
    Address{"lives", kLives},
    Address{"time", kTime},
    Address{"score", kScore},
    Address{"coins", kCoins},
    Address{"maze_correct", kMazeCorrect},
    Address{"maze_turns", kMazeTurns},
    Address{"maze_check", kMazeCheck},
    Address{"player_state", kPlayerState},
    Address{"float_state", kFloatState},
    Address{"facing", kFacing},
    Address{"x_speed", kXSpeed},
    Address{"y_speed", kYSpeed},
    Address{"x_page", kXPage},
    Address{"x", kX},
    Address{"y_page", kYPage},
    Address{"y", kY},
    Address{"y_on_screen", kYOnScreen},
    Address{"size", kSize},
    Address{"power", kPower},
    Address{"swimming", kSwimming},
    Address{"crouching", kCrouching},
    Address{"injury_timer", kInjuryTimer},
    Address{"star_timer", kStarTimer},
    Address{"screen_left_page", kScreenLeftPage},
    Address{"screen_left", kScreenLeft},
    Address{"object_active", kObjectActive},
    Address{"object_id", kObjectId},
    Address{"object_state", kObjectState},
    Address{"object_x_page", kObjectXPage},
    Address{"object_x", kObjectX},
    Address{"object_y_page", kObjectYPage},
    Address{"object_y", kObjectY},
    Address{"power_up_type", kPowerUpType},
    Address{"firebar_spin", kFirebarSpin},
    Address{"firebar_part", kFirebarPart},
    Address{"firebar_speed", kFirebarSpeed},
    Address{"firebar_direction", kFirebarDirection},
    Address{"fireball_state", kFireballState},
    Address{"fireball_x_page", kFireballXPage},
    Address{"fireball_x", kFireballX},
    Address{"fireball_y", kFireballY},
    Address{"misc_state", kMiscState},
    Address{"misc_x_page", kMiscXPage},
    Address{"misc_x", kMiscX},
    Address{"misc_y", kMiscY},
    Address{"misc_x_speed", kMiscXSpeed},
    Address{"misc_y_speed", kMiscYSpeed},
    Address{"misc_y_part", kMiscYPart},
    Address{"misc_y_force", kMiscYForce},
    Address{"blocks", kBlocks},
    Address{"next_column_page", kNextColumnPage},
    Address{"next_column", kNextColumn},
    Address{"area_data_offset", kAreaDataOffset},
    Address{"object_lengths", kObjectLengths},
    Address{"next_area", kNextArea},
    Address{"next_page", kNextPage},
    Address{"change_area_timer", kChangeAreaTimer},
    Address{"scroll_lock", kScrollLock},
    Address{"warp_zone", kWarpZone},
    Address{"no_collisions", kNoCollisions},
    Address{"moving_direction", kMovingDirection},
};

}  // namespace warpzone::smb::memory
