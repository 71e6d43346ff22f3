// Pictures cut into patches that do not overlap, for a layer that makes a vector of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace warpzone::linear {

// Pictures of `channels` planes, cut into patches of `high` lines and `wide` bytes of each plane.
struct Patches {
  size_t channels, rows, columns;
  size_t high, wide;

  size_t picture() const { return channels * rows * columns; }
  size_t inputs() const { return channels * high * wide; }

  // Throws std::invalid_argument.
  void check() const {
    if (high == 0 || wide == 0 || rows % high != 0 || columns % wide != 0) {
      throw std::invalid_argument("pictures must be made of whole patches");
    }
  }
};

// The brightness of one line of a patch, less 128: the highest bit is the other one.
template <size_t kWide>
void centre(const uint8_t* from, size_t wide, uint8_t* to) {
  if constexpr (kWide == sizeof(uint32_t)) {
    uint32_t pixels;
    std::memcpy(&pixels, from, sizeof(pixels));
    pixels ^= 0x80808080U;
    std::memcpy(to, &pixels, sizeof(pixels));
  } else {
    for (size_t x = 0; x < wide; ++x) to[x] = from[x] ^ 0x80U;
  }
}

// `kWide`: the width, if it is known when this is compiled; else 0.
template <size_t kWide>
void cut_one(const Patches& shape, const uint8_t* picture, uint8_t* out) {
  const size_t wide = kWide == 0 ? shape.wide : kWide;
  for (size_t top = 0; top < shape.rows; top += shape.high) {
    for (size_t left = 0; left < shape.columns; left += wide) {
      const uint8_t* plane = picture + top * shape.columns + left;
      for (size_t channel = 0; channel < shape.channels; ++channel) {
        for (size_t y = 0; y < shape.high; ++y, out += wide) {
          centre<kWide>(plane + y * shape.columns, wide, out);
        }
        plane += shape.rows * shape.columns;
      }
    }
  }
}

// out int8[count][patches][inputs], patches line by line: brightness less 128.
inline void cut(const Patches& shape, const uint8_t* pictures, size_t count, uint8_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const auto cut = shape.wide == sizeof(uint32_t) ? cut_one<sizeof(uint32_t)> : cut_one<0>;
    cut(shape, pictures + i * shape.picture(), out + i * shape.picture());
  }
}

}  // namespace warpzone::linear
