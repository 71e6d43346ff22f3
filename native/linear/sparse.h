// The first layer of the tiles' network: dense weights, and inputs of which few are not 0. Of 1,664
// bytes of a tile view some eighty are set, so the rows of the others are not even read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "simd/kernels.h"

namespace warpzone::linear {

// Inputs of one row: bytes, which stand for fractions of 255, and floats after them.
struct Inputs {
  const uint8_t* bytes;
  size_t byte_count;
  const float* floats;
  size_t float_count;
};

struct Entry {
  uint32_t input;
  float value;
};

// The inputs that are not 0, in order.
inline void collect(const Inputs& row, std::vector<Entry>& out) {
  out.clear();
  size_t i = 0;
  for (; i + 8 <= row.byte_count; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, row.bytes + i, 8);
    if (eight == 0) continue;
    for (size_t k = i; k < i + 8; ++k) {
      if (row.bytes[k] != 0) {
        out.push_back({static_cast<uint32_t>(k), static_cast<float>(row.bytes[k]) / 255.0F});
      }
    }
  }
  for (; i < row.byte_count; ++i) {
    if (row.bytes[i] != 0) {
      out.push_back({static_cast<uint32_t>(i), static_cast<float>(row.bytes[i]) / 255.0F});
    }
  }
  for (size_t k = 0; k < row.float_count; ++k) {
    if (row.floats[k] != 0) {
      out.push_back({static_cast<uint32_t>(row.byte_count + k), row.floats[k]});
    }
  }
}

struct Plain {
  // out[h] = max(0, bias[h] + sum of value · weight[input][h])
  static void forward(const std::vector<Entry>& entries, const float* weight, const float* bias,
                      size_t hidden, float* out) {
    std::copy_n(bias, hidden, out);
    for (const Entry& entry : entries) {
      const float* row = weight + entry.input * hidden;
      for (size_t h = 0; h < hidden; ++h) out[h] += entry.value * row[h];
    }
    for (size_t h = 0; h < hidden; ++h) out[h] = std::max(out[h], 0.0F);
  }

  // weight_gradient[input][h] += value · gradient[h]
  static void backward(const std::vector<Entry>& entries, const float* gradient, size_t hidden,
                       float* weight_gradient) {
    for (const Entry& entry : entries) {
      float* row = weight_gradient + entry.input * hidden;
      for (size_t h = 0; h < hidden; ++h) row[h] += entry.value * gradient[h];
    }
  }
};

#if defined(WARPZONE_X86)

struct Avx2 {
  static constexpr size_t kLanes = 8, kRegisters = 8, kBlock = kLanes * kRegisters;

  WARPZONE_FOR("avx2,fma")
  static void forward(const std::vector<Entry>& entries, const float* weight, const float* bias,
                      size_t hidden, float* out) {
    for (size_t at = 0; at < hidden; at += kBlock) {
      __m256 sums[kRegisters];
      for (size_t k = 0; k < kRegisters; ++k) sums[k] = _mm256_loadu_ps(bias + at + k * kLanes);
      for (const Entry& entry : entries) {
        const float* row = weight + entry.input * hidden + at;
        const __m256 value = _mm256_set1_ps(entry.value);
        for (size_t k = 0; k < kRegisters; ++k) {
          sums[k] = _mm256_fmadd_ps(value, _mm256_loadu_ps(row + k * kLanes), sums[k]);
        }
      }
      for (size_t k = 0; k < kRegisters; ++k) {
        // In this order what is not a number stays so, and training tells of it.
        _mm256_storeu_ps(out + at + k * kLanes, _mm256_max_ps(_mm256_setzero_ps(), sums[k]));
      }
    }
  }

  WARPZONE_FOR("avx2,fma")
  static void backward(const std::vector<Entry>& entries, const float* gradient, size_t hidden,
                       float* weight_gradient) {
    for (size_t at = 0; at < hidden; at += kBlock) {
      __m256 by[kRegisters];
      for (size_t k = 0; k < kRegisters; ++k) by[k] = _mm256_loadu_ps(gradient + at + k * kLanes);
      for (const Entry& entry : entries) {
        float* row = weight_gradient + entry.input * hidden + at;
        const __m256 value = _mm256_set1_ps(entry.value);
        for (size_t k = 0; k < kRegisters; ++k) {
          const __m256 sum = _mm256_fmadd_ps(value, by[k], _mm256_loadu_ps(row + k * kLanes));
          _mm256_storeu_ps(row + k * kLanes, sum);
        }
      }
    }
  }
};

#endif

// Which of the two serves `hidden` outputs here.
inline bool wide(size_t hidden) {
#if defined(WARPZONE_X86)
  return simd::kProcessor > 1 && hidden % Avx2::kBlock == 0;
#else
  (void)hidden;
  return false;
#endif
}

// ReLU of the layer's outputs, float[rows][hidden].
inline void forward(const Inputs& first, size_t rows, const float* weight, const float* bias,
                    size_t hidden, float* out) {
  std::vector<Entry> entries;
  const bool is_wide = wide(hidden);
  for (size_t i = 0; i < rows; ++i) {
    collect({first.bytes + i * first.byte_count, first.byte_count,
             first.floats + i * first.float_count, first.float_count},
            entries);
#if defined(WARPZONE_X86)
    if (is_wide) {
      Avx2::forward(entries, weight, bias, hidden, out + i * hidden);
      continue;
    }
#endif
    Plain::forward(entries, weight, bias, hidden, out + i * hidden);
  }
  (void)is_wide;
}

// Adds to the gradients of weights [inputs][hidden] and bias [hidden] what the gradient of the
// outputs, [rows][hidden], makes of them; `out` is what `forward` gave.
inline void backward(const Inputs& first, size_t rows, const float* out, const float* gradient,
                     size_t hidden, float* weight_gradient, float* bias_gradient) {
  std::vector<Entry> entries;
  std::vector<float> masked(hidden);
  const bool is_wide = wide(hidden);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t h = 0; h < hidden; ++h) {
      masked[h] = out[i * hidden + h] > 0 ? gradient[i * hidden + h] : 0.0F;
      bias_gradient[h] += masked[h];
    }
    collect({first.bytes + i * first.byte_count, first.byte_count,
             first.floats + i * first.float_count, first.float_count},
            entries);
#if defined(WARPZONE_X86)
    if (is_wide) {
      Avx2::backward(entries, masked.data(), hidden, weight_gradient);
      continue;
    }
#endif
    Plain::backward(entries, masked.data(), hidden, weight_gradient);
  }
  (void)is_wide;
}

}  // namespace warpzone::linear
