// An NROM cartridge (iNES mapper 0): up to 32 KB of program, 8 KB of pictures, no moving parts.
// https://www.nesdev.org/wiki/INES and https://www.nesdev.org/wiki/NROM
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace warpzone::nes {

struct Compiled;

enum class Mirroring : uint8_t { horizontal, vertical };

struct Cartridge {
  std::array<uint8_t, 0x8000> prg{};  // $8000-$FFFF; a 16 KB program appears twice
  std::array<uint8_t, 0x2000> chr{};
  // Every row of every tile as eight pixels (values 0-3), leftmost in the lowest byte: drawing and
  // the sprite-0 test read whole rows. [tile 0-511][row 0-7]; `flipped` is mirrored left to right.
  std::array<uint64_t, 512 * 8> rows{};
  std::array<uint64_t, 512 * 8> rows_flipped{};
  Mirroring mirroring = Mirroring::vertical;
  // Of all that tells cartridges apart: FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
  uint64_t fingerprint = 0xCBF29CE484222325ULL;
  // The program as native code, once there is some; it may appear at any time and then stays.
  std::atomic<const Compiled*> compiled{nullptr};

  // Throws std::invalid_argument with the reason when the image is not a whole NROM cartridge.
  explicit Cartridge(std::span<const uint8_t> ines);
  ~Cartridge();
  Cartridge(const Cartridge&) = delete;
  Cartridge& operator=(const Cartridge&) = delete;

  // From now on, all frames run with this native code of the program, made for this cartridge. What
  // was in use before is kept: consoles may still be in it. Any number of callers at once.
  void use(std::unique_ptr<Compiled> code);

  // Addresses that native code wanted to go on at and that were not translated, rising.
  std::vector<int> wanted() const;
};

}  // namespace warpzone::nes
