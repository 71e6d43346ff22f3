// Cartridges made for a test.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

#include "nes/console.h"

namespace program {

namespace nes = warpzone::nes;
using Bytes = std::vector<uint8_t>;

inline constexpr unsigned kFlatTiles = 8;
inline constexpr uint16_t kCode = 0x8000, kNmi = 0xFE00, kIrq = 0xFF00;

inline void put(Bytes& image, uint16_t address, const Bytes& bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) image[16 + address - 0x8000U + i] = bytes[i];
}

// An iNES image of 32 KB whose program starts with `code` at `at`; handlers return at once.
inline Bytes image(const Bytes& code, uint16_t at = kCode, const Bytes& nmi = {0x40}) {
  Bytes image(16 + 0x8000 + 0x2000, 0);
  const Bytes header = {'N', 'E', 'S', 0x1A, 2, 1, 1};
  for (size_t i = 0; i < header.size(); ++i) image[i] = header[i];
  put(image, at, code);
  put(image, kNmi, nmi);
  put(image, kIrq, {0x40});
  const auto low = [](uint16_t a) { return static_cast<uint8_t>(a); };
  const auto high = [](uint16_t a) { return static_cast<uint8_t>(a >> 8); };
  put(image, 0xFFFA, {low(kNmi), high(kNmi), low(at), high(at), low(kIrq), high(kIrq)});
  return image;
}

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A cartridge whose banks of 8 KB (program) and 1 KB (pictures) begin with their own numbers. The
// program waits in all of them at the same place.
inline Bytes banked(uint8_t mapper, size_t prg_banks, size_t chr_banks, const Bytes& code = {}) {
  Bytes image(16 + prg_banks * 0x2000 + chr_banks * 0x400, 0);
  const Bytes header = {'N',
                        'E',
                        'S',
                        0x1A,
                        static_cast<uint8_t>(prg_banks / 2),
                        static_cast<uint8_t>(chr_banks / 8),
                        static_cast<uint8_t>(mapper << 4)};
  std::copy(header.begin(), header.end(), image.begin());
  for (size_t i = 0; i < prg_banks; ++i) {
    uint8_t* bank = &image[16 + i * 0x2000];
    bank[0] = static_cast<uint8_t>(i);
    std::copy(code.begin(), code.end(), bank + 0x1000);
    const Bytes vectors = {0x00, 0xFE, 0x00, 0xF0, 0x00, 0xFF};  // NMI, reset, IRQ
    std::copy(vectors.begin(), vectors.end(), bank + 0x1FFA);
    bank[0x1E00] = 0x40;
    const Bytes irq = {0xE6, 0x20, 0x8D, 0x00, 0xE0, 0x40};  // INC $20, STA $E000, RTI
    std::copy(irq.begin(), irq.end(), bank + 0x1F00);
  }
  for (size_t i = 0; i < chr_banks; ++i) {
    image[16 + prg_banks * 0x2000 + i * 0x400] = static_cast<uint8_t>(i);
  }
  return image;
}

inline nes::Cartridge cartridge(const Bytes& code, uint16_t at = kCode, const Bytes& nmi = {0x40}) {
  return nes::Cartridge(image(code, at, nmi));
}

// The same with random pictures, a third of their rows empty; the first tiles of each table have
// eight equal rows.
inline nes::Cartridge with_pictures(const Bytes& code, std::mt19937& random, bool vertical,
                                    const Bytes& nmi = {0x40}, uint16_t at = kCode) {
  Bytes bytes = image(code, at, nmi);
  for (size_t row = 16 + 0x8000; row < bytes.size(); ++row) {
    if (random() % 3 != 0) bytes[row] = static_cast<uint8_t>(random());
  }
  for (size_t table = 16 + 0x8000; table < bytes.size(); table += 0x1000) {
    for (size_t half = 0; half < 2 * kFlatTiles; ++half) {
      const auto row = random() % 2 == 0 ? uint8_t{0} : static_cast<uint8_t>(random());
      std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(table + half * 8), 8, row);
    }
  }
  bytes[6] = vertical ? 1 : 0;
  return nes::Cartridge(bytes);
}

// Everything that a picture is made from, at random.
inline void randomise_picture(nes::State& s, std::mt19937& random) {
  for (auto& byte : s.vram) byte = static_cast<uint8_t>(random());
  for (auto& byte : s.oam) byte = static_cast<uint8_t>(random());
  for (auto& byte : s.palette) byte = static_cast<uint8_t>(random() & 63);
}

// A frame with some register writes at random dots.
inline nes::State random_scene(const nes::Cartridge& cart, std::mt19937& random, int writes) {
  nes::State s = nes::power_on(cart);
  randomise_picture(s, random);
  if (random() % 2 == 0) {  // much of it looks like the row above
    for (size_t row = 0; row < s.vram.size(); row += 32) {
      if (random() % 4 == 0) continue;
      const auto tile = static_cast<uint8_t>(random() % 3 == 0 ? random() % kFlatTiles : 0);
      std::fill_n(s.vram.begin() + static_cast<ptrdiff_t>(row), 32, tile);
    }
  }
  for (size_t i = 0; i < 30; ++i) s.oam[i * 4] = static_cast<uint8_t>(80 + random() % 20);
  s.ctrl = static_cast<uint8_t>(random() & 0x3F);
  s.mask = random() % 3 == 0 ? static_cast<uint8_t>(random() & 0x1F) : 0x1E;
  s.fine_x = random() & 7;
  s.t = static_cast<uint16_t>(random() & 0x7FFF);
  s.odd_frame = random() & 1;
  nes::ppu::begin_render(s, cart);
  int32_t dot = s.line0;
  for (int i = 0; i < writes; ++i) {
    dot += static_cast<int32_t>(random() % 9000);
    if (dot >= s.frame_end - 100) break;
    const uint16_t registers[] = {0x2000, 0x2001, 0x2005, 0x2005, 0x2006, 0x2006};
    const uint16_t at = registers[random() % 6];
    auto value = static_cast<uint8_t>(random());
    if (at == 0x2000) value = static_cast<uint8_t>((value & 0x1F) | (s.ctrl & 0x20));
    if (at == 0x2001)
      value = random() % 2 == 0 ? uint8_t{0x1E} : static_cast<uint8_t>(value & 0x1F);
    nes::ppu::write(s, cart, at, value, dot);
  }
  return s;
}

}  // namespace program
