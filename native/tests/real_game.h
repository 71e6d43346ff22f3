// The real game, where WARPZONE_ROM names its file.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "smb/levels.h"

namespace real_game {

inline std::shared_ptr<warpzone::smb::Levels> levels() {
  using warpzone::smb::Levels;
  static const std::shared_ptr<Levels> shared = []() -> std::shared_ptr<Levels> {
    const char* path = std::getenv("WARPZONE_ROM");
    if (path == nullptr) return nullptr;
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    const std::vector<uint8_t> image(bytes.begin(), bytes.end());
    return std::make_shared<Levels>(image);
  }();
  return shared;
}

}  // namespace real_game
