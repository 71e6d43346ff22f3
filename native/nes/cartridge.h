// What is in a cartridge: program, pictures, and which board they are on.
// https://www.nesdev.org/wiki/INES and https://www.nesdev.org/wiki/NES_2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nes/state.h"

namespace warpzone::nes {

struct Compiled;

// By its number in the header: https://www.nesdev.org/wiki/Mapper
enum class Mapper : uint8_t { nrom = 0, mmc1 = 1, uxrom = 2, cnrom = 3, mmc3 = 4, axrom = 7 };

struct Cartridge {
  Mapper mapper = Mapper::nrom;
  // Whether State is enough for it; FullState always is.
  bool plain = true;
  bool bus_conflicts = false;  // what is written to a register meets the byte of ROM that is there
  bool battery = false;
  std::vector<uint8_t> prg;  // at least 32 KB: a smaller program appears twice or more
  std::vector<uint8_t> chr;  // empty where tiles are in RAM
  // Every row of every tile as eight pixels (values 0-3), leftmost in the lowest byte: drawing and
  // the sprite-0 test read whole rows. [tile][row 0-7]; `flipped` is mirrored left to right.
  std::vector<uint64_t> rows, rows_flipped;
  Mirroring mirroring = Mirroring::vertical;  // as the board is soldered
  // Its RAM: sizes, and where each begins in FullState::memory.
  size_t prg_ram_bytes = 0, chr_ram_bytes = 0, nametable_bytes = 0;
  size_t chr_ram_at = 0, nametables_at = 0;
  size_t state_bytes = sizeof(State);  // so much of a state is in use
  // Of all that tells cartridges apart: FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
  uint64_t fingerprint = 0xCBF29CE484222325ULL;
  // The program as native code, once there is some; it may appear at any time and then stays.
  std::atomic<const Compiled*> compiled{nullptr};

  // `full` asks for FullState where State would do: with sound unit and second controller. Throws
  // std::invalid_argument with the reason when the image is not a whole cartridge that can be run.
  explicit Cartridge(std::span<const uint8_t> image, bool full = false);
  ~Cartridge();
  Cartridge(const Cartridge&) = delete;
  Cartridge& operator=(const Cartridge&) = delete;

  // In banks of 8 KB, of 1 KB and of 8 KB.
  size_t prg_banks() const { return prg.size() / 0x2000; }
  size_t chr_banks() const { return (chr.empty() ? chr_ram_bytes : chr.size()) / 0x400; }
  size_t prg_ram_banks() const { return prg_ram_bytes / 0x2000; }

  // From now on, all frames run with this native code of the program, made for this cartridge. What
  // was in use before is kept: consoles may still be in it. Any number of callers at once.
  void use(std::unique_ptr<Compiled> code);

  // Places (see compiled.h) where native code wanted to go on and that were not translated, rising.
  std::vector<int> wanted() const;
};

// Eight pixels of one row of a tile, from its two bytes.
inline uint64_t tile_pixels(uint8_t low, uint8_t high) {
  uint64_t pixels = 0;
  for (int x = 0; x < 8; ++x) {
    const auto value =
        static_cast<uint64_t>(((low >> (7 - x)) & 1) | (((high >> (7 - x)) & 1) << 1));
    pixels |= value << (8 * x);
  }
  return pixels;
}

inline uint64_t flip_pixels(uint64_t pixels) {
  uint64_t flipped = 0;
  for (int x = 0; x < 8; ++x) flipped |= ((pixels >> (8 * x)) & 0xFF) << (8 * (7 - x));
  return flipped;
}

}  // namespace warpzone::nes
