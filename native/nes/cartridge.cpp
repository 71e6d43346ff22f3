#include "nes/cartridge.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "nes/compiled.h"

namespace warpzone::nes {

namespace {

constexpr size_t kHeader = 16, kTrainer = 512, kPrgUnit = 0x4000, kChrUnit = 0x2000;
constexpr const char* kSupported =
    "NROM (0), MMC1 (1), UxROM (2), CNROM (3), MMC3 (4) and AxROM (7) run here";

[[noreturn]] void fail(const std::string& why) { throw std::invalid_argument(why); }

std::string kilobytes(size_t bytes) {
  return bytes % 1024 == 0 ? std::to_string(bytes / 1024) + " KB"
                           : std::to_string(bytes) + " bytes";
}

// NES 2.0 gives sizes as a number of units with four more bits, or as 2^exponent * odd factor.
size_t rom_size(uint8_t low, unsigned high, size_t unit) {
  if (high < 15) return (low | high << 8) * unit;
  const unsigned exponent = low >> 2;
  if (exponent > 24) fail("the header names a ROM of more than 16 MB");
  return (size_t{1} << exponent) * ((low & 3U) * 2 + 1);
}

size_t ram_size(unsigned shift) { return shift == 0 ? 0 : size_t{64} << shift; }

// What a board may have.
struct Limits {
  const char* name;
  size_t prg, chr;  // the most, in bytes
};

Limits limits_of(Mapper mapper) {
  switch (mapper) {
    case Mapper::mmc1: return {"an MMC1", 512 * 1024, 128 * 1024};
    case Mapper::uxrom: return {"a UxROM", 2048 * 1024, 8 * 1024};
    case Mapper::cnrom: return {"a CNROM", 32 * 1024, 256 * 1024};
    case Mapper::mmc3: return {"an MMC3", 512 * 1024, 256 * 1024};
    case Mapper::axrom: return {"an AxROM", 512 * 1024, 8 * 1024};
    default: return {"an NROM", 32 * 1024, 8 * 1024};
  }
}

// Whether an instruction reads $4015, writes to what plays samples, or has the frame counter ask
// for interrupts, as far as bytes can tell: for such a program the sound unit matters.
bool minds_sound(std::span<const uint8_t> prg) {
  constexpr uint8_t kNoInterrupts = 0xC0;  // of $4017
  for (size_t i = 0; i + 2 < prg.size(); ++i) {
    if (prg[i + 2] != 0x40) continue;
    const uint8_t op = prg[i], low = prg[i + 1];
    const bool stores = op == 0x8D || op == 0x8E || op == 0x8C;
    const bool absolute = (op & 0x1F) == 0x0D || (op & 0x1F) == 0x0E || (op & 0x1F) == 0x0C;
    if (low == 0x15 && absolute && !stores) return true;
    if (low >= 0x10 && low <= 0x13 && low != 0x11 && stores) return true;
    // LDA, LDX or LDY of a number before it.
    const bool known = i >= 2 && (prg[i - 2] == 0xA9 || prg[i - 2] == 0xA2 || prg[i - 2] == 0xA0);
    if (low == 0x17 && stores && known && (prg[i - 1] & kNoInterrupts) == 0) return true;
  }
  return false;
}

}  // namespace

Cartridge::Cartridge(std::span<const uint8_t> image, bool full) {
  if (image.size() < kHeader || std::memcmp(image.data(), "NES\x1a", 4) != 0) {
    fail("not an iNES image: the first four bytes are not 'NES' and 0x1A");
  }
  const bool nes2 = (image[7] & 0x0C) == 0x08;
  // Old tools wrote their name from byte 7 on: then nothing of it counts.
  const bool dirty = !nes2 && (image[12] | image[13] | image[14] | image[15]) != 0;
  const unsigned number =
      (image[6] >> 4U) | (dirty ? 0U : image[7] & 0xF0U) | (nes2 ? (image[8] & 0x0FU) << 8 : 0U);
  switch (number) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 7: mapper = static_cast<Mapper>(number); break;
    default: fail("the cartridge has mapper " + std::to_string(number) + "; only " + kSupported);
  }
  const unsigned submapper = nes2 ? image[8] >> 4U : 0;
  if (mapper == Mapper::mmc3 && (submapper == 1 || submapper == 3)) {
    fail("the cartridge has mapper 4 in its variant " + std::to_string(submapper) +
         (submapper == 1 ? " (MMC6)" : " (MC-ACC)") + "; only the MMC3 itself runs here");
  }
  const Limits limits = limits_of(mapper);
  const size_t prg_bytes = rom_size(image[4], nes2 ? image[9] & 0x0FU : 0U, kPrgUnit);
  const size_t chr_bytes = rom_size(image[5], nes2 ? image[9] >> 4U : 0U, kChrUnit);
  if (prg_bytes == 0 || prg_bytes % kPrgUnit != 0 || prg_bytes > limits.prg) {
    fail(std::string(limits.name) + " cartridge has 16 to " + std::to_string(limits.prg / 1024) +
         " KB of program, in units of 16, the header says " + kilobytes(prg_bytes));
  }
  if (chr_bytes % kChrUnit != 0 || chr_bytes > limits.chr) {
    fail(std::string(limits.name) + " cartridge has up to " + std::to_string(limits.chr / 1024) +
         " KB of picture ROM, in units of 8, the header says " + kilobytes(chr_bytes));
  }
  battery = (image[6] & 2) != 0;
  if (nes2) {
    prg_ram_bytes = ram_size(image[10] & 0x0FU) + ram_size(image[10] >> 4U);
    chr_ram_bytes = ram_size(image[11] & 0x0FU) + ram_size(image[11] >> 4U);
  } else {
    // The header of old says nothing, or little: boards that can have RAM are taken to have it.
    const bool can = mapper == Mapper::mmc1 || mapper == Mapper::mmc3;
    const size_t units = dirty ? 0 : image[8];
    prg_ram_bytes = units != 0 ? units * 0x2000 : can || battery ? 0x2000 : 0;
    chr_ram_bytes = chr_bytes == 0 ? kChrUnit : 0;
  }
  if (prg_ram_bytes > kMostPrgRam) {
    fail("the header names " + kilobytes(prg_ram_bytes) +
         " of RAM for the program; up to 32 KB "
         "run here");
  }
  if (prg_ram_bytes != 0) prg_ram_bytes = (prg_ram_bytes + 0x1FFF) / 0x2000 * 0x2000;
  if (chr_bytes != 0) chr_ram_bytes = 0;
  if (chr_bytes == 0 && (chr_ram_bytes < kChrUnit || chr_ram_bytes > kMostChrRam)) {
    fail("the header names no picture ROM and " + kilobytes(chr_ram_bytes) +
         " of picture RAM; 8 to 32 KB of it run here");
  }
  const size_t prg_begin = kHeader + ((image[6] & 4) != 0 ? kTrainer : 0);
  const size_t needed = prg_begin + prg_bytes + chr_bytes;
  if (image.size() < needed) {
    fail("the image is cut short: " + std::to_string(image.size()) + " of " +
         std::to_string(needed) + " bytes");
  }
  const auto program = image.subspan(prg_begin, prg_bytes);
  prg.resize(std::max<size_t>(prg_bytes, 0x8000));
  for (size_t i = 0; i < prg.size(); i += kPrgUnit) {
    std::memcpy(&prg[i], &program[i % prg_bytes], std::min(kPrgUnit, prg.size() - i));
  }
  const auto pictures = image.subspan(prg_begin + prg_bytes, chr_bytes);
  chr.assign(pictures.begin(), pictures.end());
  mirroring = (image[6] & 1) != 0 ? Mirroring::vertical : Mirroring::horizontal;
  if ((image[6] & 8) != 0) mirroring = Mirroring::four;
  if (mapper == Mapper::axrom) mirroring = Mirroring::lower;
  nametable_bytes = mirroring == Mirroring::four ? kMoreNametables : 0;
  // Submapper 1 has no conflicts, 2 has; otherwise as boards of that name have them.
  if (mapper == Mapper::uxrom || mapper == Mapper::cnrom) bus_conflicts = submapper != 1;
  if (mapper == Mapper::axrom) bus_conflicts = submapper == 2;
  chr_ram_at = prg_ram_bytes;
  nametables_at = chr_ram_at + chr_ram_bytes;
  plain = !full && mapper == Mapper::nrom && prg_ram_bytes == 0 && chr_ram_bytes == 0 &&
          nametable_bytes == 0 && !minds_sound(program);
  if (!plain) {
    state_bytes = (kFullStateHead + nametables_at + nametable_bytes + 7) / 8 * 8;
  }

  const auto add = [this](uint8_t byte) { fingerprint = (fingerprint ^ byte) * 0x100000001B3ULL; };
  for (const uint8_t byte : prg) add(byte);
  for (const uint8_t byte : chr) add(byte);
  add(static_cast<uint8_t>(mirroring));
  if (!plain) {
    for (const size_t size : {prg_ram_bytes, chr_ram_bytes}) {
      add(static_cast<uint8_t>(size / 0x400));
    }
    add(static_cast<uint8_t>(mapper));
    add(bus_conflicts ? 1 : 0);
  }

  rows.resize(chr.size() / 2);
  rows_flipped.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t at = i / 8 * 16 + i % 8;
    rows[i] = tile_pixels(chr[at], chr[at + 8]);
    rows_flipped[i] = flip_pixels(rows[i]);
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
  std::vector<int> places;
  const Compiled* newest = compiled.load(std::memory_order_acquire);
  for (uint32_t bank = 0; bank < (plain ? 1 : prg_banks()); ++bank) {
    for (uint32_t address = 0x8000; address <= 0xFFFF; ++address) {
      const uint32_t place = bank << 16 | address;
      for (const Compiled* code = newest; code != nullptr; code = code->before) {
        if (!code->wants(place)) continue;
        places.push_back(static_cast<int>(place));
        break;
      }
    }
  }
  return places;
}

}  // namespace warpzone::nes
