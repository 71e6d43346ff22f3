// What a game's console was given.
#pragma once

#include <cstdint>
#include <vector>

namespace warpzone::batch {

// What the console of a watched game was given, in every frame since its level began: the whole
// game can be played again from it.
struct InputLog {
  bool known = false;             // not so after `load`, until the next episode
  int32_t level = 0;              // where it began
  bool own_start = true;          // the episode too, not only the level
  std::vector<uint8_t> buttons;   // of each frame
  std::vector<uint32_t> decided;  // how many frames there were before each action of the episode

  void clear() {
    known = false;
    buttons.clear();
    decided.clear();
  }
};

}  // namespace warpzone::batch
