// The real game, where WARPZONE_ROM names its file.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "smb/starts.h"

namespace real_game {

inline std::shared_ptr<warpzone::smb::LevelStarts> levels() {
  using warpzone::smb::LevelStarts;
  static const std::shared_ptr<LevelStarts> shared = []() -> std::shared_ptr<LevelStarts> {
    const char* path = std::getenv("WARPZONE_ROM");
    if (path == nullptr) return nullptr;
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    const std::vector<uint8_t> image(bytes.begin(), bytes.end());
    return std::make_shared<LevelStarts>(std::make_shared<warpzone::nes::Cartridge>(image));
  }();
  return shared;
}

}  // namespace real_game
