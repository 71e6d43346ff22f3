// Numbers and stretches in a console's memory, as a description of a game names them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "nes/cartridge.h"
#include "nes/state.h"

namespace warpzone::batch {

// `binary`: a byte holds eight bits. `bcd`: two decimal digits, the higher one in the higher four
// bits. `digits`: one decimal digit, in the lower four.
enum class Coding : int32_t { binary, bcd, digits };

inline constexpr uint16_t kPrgRamAt = 0x6000, kPrgRamEnd = 0x8000;

// A number of up to seven bytes, eighteen digits if those are decimal.
struct Variable {
  std::vector<uint16_t> addresses;  // of its bytes, the least significant one first
  Coding coding = Coding::binary;
  bool is_signed = false;  // two's complement; binary only
  int first_bit = 0;       // binary only: the number is the `bits` from this one on
  int bits = 0;            // 0: all that there are
  bool modulo = false;     // decimal only: of a digit above 9 what is over ten counts

  // Throws std::invalid_argument where a cartridge has no such number.
  void check(const nes::Cartridge& cart) const {
    const auto require = [](bool ok, const std::string& what) {
      if (!ok) throw std::invalid_argument(what);
    };
    const size_t most = coding == Coding::binary ? 7 : coding == Coding::bcd ? 9 : 18;
    require(!addresses.empty() && addresses.size() <= most,
            "a variable must have from 1 to " + std::to_string(most) + " bytes, this has " +
                std::to_string(addresses.size()));
    for (const uint16_t at : addresses) {
      const bool in_ram = at < 0x800;
      const bool in_prg_ram =
          at >= kPrgRamAt && at < kPrgRamEnd && at - size_t{kPrgRamAt} < cart.prg_ram_bytes;
      require(in_ram || in_prg_ram, "there is no variable at " + std::to_string(at) +
                                        ": work RAM is at 0 to 2,047, and the cartridge has " +
                                        std::to_string(cart.prg_ram_bytes) +
                                        " bytes of RAM from 24,576 on");
    }
    const int all = static_cast<int>(addresses.size()) * 8;
    require(first_bit >= 0 && bits >= 0 && first_bit + bits <= all && first_bit < all,
            "a variable's bits must lie within its bytes");
    require(coding == Coding::binary || (!is_signed && first_bit == 0 && bits == 0),
            "only binary variables have a sign or single bits");
    require(coding != Coding::binary || !modulo, "only decimal variables have digits above 9");
  }

  // Of a number that has been checked.
  template <typename S>
  int64_t read(const S& s) const {
    return coding == Coding::binary ? read_binary(s) : read_decimal(s);
  }

 private:
  template <typename S>
  static uint8_t byte(const S& s, uint16_t at) {
    if constexpr (nes::kFull<S>) {
      if (at >= kPrgRamAt) return s.memory[at - size_t{kPrgRamAt}];
    }
    return s.ram[at];
  }

  template <typename S>
  int64_t read_binary(const S& s) const {
    uint64_t value = 0;
    for (size_t i = 0; i < addresses.size(); ++i) {
      value |= static_cast<uint64_t>(byte(s, addresses[i])) << (8 * i);
    }
    const int width =
        bits > 0 ? bits : static_cast<int>(addresses.size()) * 8 - first_bit;  // at most 56
    value = (value >> first_bit) & ((uint64_t{1} << width) - 1);
    const bool negative = is_signed && (value >> (width - 1)) != 0;
    return static_cast<int64_t>(value) - (negative ? int64_t{1} << width : 0);
  }

  // A digit above 9 counts as what it is, unless `modulo` is asked for: games blank digits so, and
  // descriptions see it.
  template <typename S>
  int64_t read_decimal(const S& s) const {
    const int base = modulo ? 10 : 16;
    int64_t value = 0;
    for (size_t i = addresses.size(); i-- > 0;) {
      const uint8_t b = byte(s, addresses[i]);
      if (coding == Coding::bcd) value = value * 10 + (b >> 4) % base;
      value = value * 10 + (b & 15) % base;
    }
    return value;
  }
};

// Bytes that lie side by side in work RAM or in the cartridge's own.
struct Stretch {
  size_t address, size;

  // Throws std::invalid_argument where a cartridge has no such bytes.
  void check(const nes::Cartridge& cart) const {
    const size_t own = std::min<size_t>(cart.prg_ram_bytes, kPrgRamEnd - kPrgRamAt);
    const auto within = [&](size_t begin, size_t bytes) {
      return address >= begin && size <= bytes && address - begin <= bytes - size;
    };
    if (size == 0 || !(within(0, 0x800) || within(kPrgRamAt, own))) {
      throw std::invalid_argument("there is no stretch of " + std::to_string(size) + " bytes at " +
                                  std::to_string(address) +
                                  ": work RAM is at 0 to 2,047, and the cartridge has " +
                                  std::to_string(own) + " bytes of RAM from 24,576 on");
    }
  }

  // Of a stretch that has been checked.
  template <typename S>
  void read(const S& s, uint8_t* out) const {
    const uint8_t* from = s.ram.data() + address;
    if constexpr (nes::kFull<S>) {
      if (address >= kPrgRamAt) from = s.memory.data() + (address - kPrgRamAt);
    }
    std::memcpy(out, from, size);
  }
};

}  // namespace warpzone::batch
