// Cartridges made for a test.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

#include "nes/console.h"

namespace program {

namespace nes = warpzone::nes;
using Bytes = std::vector<uint8_t>;

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

inline nes::Cartridge cartridge(const Bytes& code, uint16_t at = kCode, const Bytes& nmi = {0x40}) {
  return nes::Cartridge(image(code, at, nmi));
}

// The same with random pictures, a third of them empty.
inline nes::Cartridge with_pictures(const Bytes& code, std::mt19937& random, bool vertical,
                                    const Bytes& nmi = {0x40}, uint16_t at = kCode) {
  Bytes bytes = image(code, at, nmi);
  for (size_t row = 16 + 0x8000; row < bytes.size(); ++row) {
    if (random() % 3 != 0) bytes[row] = static_cast<uint8_t>(random());
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

}  // namespace program
