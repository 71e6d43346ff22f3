// What observations have in common: an observation that the others are told from.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "learn/kernels.h"
#include "learn/shape.h"

namespace warpzone::learn {

struct Reference {
  std::vector<uint8_t> bytes;
  std::vector<float> floats;  // the scalars, and what is made of them
  std::vector<Term> terms;    // its inputs that are not 0
};

// Column by column the value that more than half of the rows have, else 0: Boyer & Moore 1991.
template <typename T, typename Row>
std::vector<T> majority(size_t rows, size_t width, const Row& row) {
  std::vector<T> candidate(width, T{});
  std::vector<uint16_t> lead(width, 0), count(width, 0);
  for (size_t i = 0; i < rows; ++i) {
    const T* values = row(i);
    for (size_t k = 0; k < width; ++k) {
      const bool same = values[k] == candidate[k], none = lead[k] == 0;
      candidate[k] = none ? values[k] : candidate[k];
      lead[k] = static_cast<uint16_t>(none || same ? lead[k] + 1 : lead[k] - 1);
    }
  }
  for (size_t i = 0; i < rows; ++i) {
    const T* values = row(i);
    for (size_t k = 0; k < width; ++k) {
      count[k] = static_cast<uint16_t>(count[k] + (values[k] == candidate[k] ? 1 : 0));
    }
  }
  for (size_t k = 0; k < width; ++k) {
    if (2 * static_cast<size_t>(count[k]) <= rows) candidate[k] = T{};
  }
  return candidate;
}

// Of each input what most of the observations have, if that is more than half of those that are
// looked at: some hundred, evenly spread.
inline Reference common(const Shape& shape, size_t count, const uint8_t* bytes,
                        const float* scalars) {
  constexpr size_t kLooked = 128;
  const size_t step = std::max<size_t>(1, count / kLooked), rows = (count + step - 1) / step;
  std::vector<float> extended(rows * shape.floats());
  for (size_t i = 0; i < rows; ++i) {
    shape.extend(scalars + i * step * shape.scalars, extended.data() + i * shape.floats());
  }
  Reference found;
  found.bytes = majority<uint8_t>(rows, shape.bytes,
                                  [&](size_t i) { return bytes + i * step * shape.bytes; });
  found.floats = majority<float>(rows, shape.floats(),
                                 [&](size_t i) { return extended.data() + i * shape.floats(); });
  for (size_t i = 0; i < shape.bytes; ++i) {
    if (found.bytes[i] == 0) continue;
    found.terms.push_back({static_cast<uint32_t>(i), static_cast<float>(found.bytes[i]) / 255.0F});
  }
  for (size_t k = 0; k < shape.floats(); ++k) {
    if (found.floats[k] == 0) continue;
    found.terms.push_back({static_cast<uint32_t>(shape.bytes + k), found.floats[k]});
  }
  return found;
}

}  // namespace warpzone::learn
