#include "nes/cartridge.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "nes/compiled.h"

namespace warpzone::nes {

Cartridge::Cartridge(std::span<const uint8_t> ines) {
  constexpr size_t kHeader = 16, kTrainer = 512, kPrgUnit = 0x4000, kChrUnit = 0x2000;
  const auto fail = [](const std::string& why) { throw std::invalid_argument(why); };
  if (ines.size() < kHeader || std::memcmp(ines.data(), "NES\x1a", 4) != 0) {
    fail("not an iNES image: the first four bytes are not 'NES' and 0x1A");
  }
  const int mapper = (ines[6] >> 4) | (ines[7] & 0xF0);
  if (mapper != 0) {
    fail("the cartridge has mapper " + std::to_string(mapper) + "; only NROM (mapper 0) runs here");
  }
  const size_t prg_units = ines[4], chr_units = ines[5];
  if (prg_units != 1 && prg_units != 2) {
    fail("an NROM cartridge has 16 or 32 KB of program, the header says " +
         std::to_string(prg_units * 16) + " KB");
  }
  if (chr_units != 1) {
    fail("an NROM cartridge has 8 KB of picture ROM, the header says " +
         std::to_string(chr_units * 8) + " KB");
  }
  const size_t prg_begin = kHeader + ((ines[6] & 4) != 0 ? kTrainer : 0);
  const size_t needed = prg_begin + prg_units * kPrgUnit + kChrUnit;
  if (ines.size() < needed) {
    fail("the image is cut short: " + std::to_string(ines.size()) + " of " +
         std::to_string(needed) + " bytes");
  }
  for (size_t i = 0; i < prg.size(); i += kPrgUnit) {
    std::memcpy(&prg[i], &ines[prg_begin + i % (prg_units * kPrgUnit)], kPrgUnit);
  }
  std::memcpy(chr.data(), &ines[prg_begin + prg_units * kPrgUnit], chr.size());
  mirroring = (ines[6] & 1) != 0 ? Mirroring::vertical : Mirroring::horizontal;

  const auto add = [this](uint8_t byte) { fingerprint = (fingerprint ^ byte) * 0x100000001B3ULL; };
  for (const uint8_t byte : prg) add(byte);
  for (const uint8_t byte : chr) add(byte);
  add(static_cast<uint8_t>(mirroring));

  for (size_t tile = 0; tile < 512; ++tile) {
    for (size_t row = 0; row < 8; ++row) {
      const uint8_t low = chr[tile * 16 + row], high = chr[tile * 16 + row + 8];
      uint64_t pixels = 0, flipped = 0;
      for (int x = 0; x < 8; ++x) {
        const auto value =
            static_cast<uint64_t>(((low >> (7 - x)) & 1) | (((high >> (7 - x)) & 1) << 1));
        pixels |= value << (8 * x);
        flipped |= value << (8 * (7 - x));
      }
      rows[tile * 8 + row] = pixels;
      rows_flipped[tile * 8 + row] = flipped;
    }
  }
}

Cartridge::~Cartridge() {
  const Compiled* code = compiled.load();
  while (code != nullptr) delete std::exchange(code, code->before);
}

void Cartridge::use(std::unique_ptr<Compiled> code) {
  Compiled* const newest = code.release();
  newest->before = compiled.load();
  while (!compiled.compare_exchange_weak(newest->before, newest)) {
  }
}

std::vector<int> Cartridge::wanted() const {
  std::vector<int> addresses;
  const Compiled* newest = compiled.load(std::memory_order_acquire);
  for (int address = 0x8000; address <= 0xFFFF; ++address) {
    for (const Compiled* code = newest; code != nullptr; code = code->before) {
      if (!code->wants(address)) continue;
      addresses.push_back(address);
      break;
    }
  }
  return addresses;
}

}  // namespace warpzone::nes
