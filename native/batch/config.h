// How a batch of games is run and seen.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace warpzone::batch {

// `features`: the game's own, see batch/game.h.
enum class Observation : int32_t { features, pixels, rgb, ram };
enum class Autoreset : int32_t { same_step, next_step, disabled };

struct Config {
  Observation observation = Observation::features;
  Autoreset autoreset = Autoreset::same_step;
  int num_games = 1;
  int num_groups = 1;
  int threads = 1;
  uint64_t seed = 0;
  // Pixels only.
  int height = 84, width = 84, stack = 4;
  bool crop_status_bar = false;
  bool max_pool = false;     // brighter of the last two frames
  bool consecutive = false;  // the channels are the frames of one step, not the last of each
  bool keep_frames = false;  // every emulated frame of the last step can be had (num_games 1)

  // Throws std::invalid_argument.
  void check(int frame_skip) const {
    const auto require = [](bool ok, const char* what) {
      if (!ok) throw std::invalid_argument(what);
    };
    require(num_games >= 1, "there must be at least one game");
    require(num_groups >= 1 && num_groups <= num_games, "groups must hold at least one game each");
    require(threads >= 1, "there must be at least one thread");
    require(height >= 1 && height <= 240 && width >= 1 && width <= 256,
            "pictures must be at least 1x1 and at most 240x256");
    require(stack >= 1, "frame_stack must be at least 1");
    require(!consecutive || stack == frame_skip,
            "consecutive stacking needs frame_stack equal to frame_skip");
    require(!keep_frames || num_games == 1, "keep_frames works with one game only");
  }
};

}  // namespace warpzone::batch
