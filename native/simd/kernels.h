// The inner loops of drawing and of making pictures smaller, which are worth a processor's own
// instructions. `Plain` says what they do and serves every processor; `Best` does the same faster.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#define WARPZONE_X86
#include <immintrin.h>
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#define WARPZONE_FOR(EXTENSION)
#else
#include <cpuid.h>
#define WARPZONE_FOR(EXTENSION) __attribute__((target(EXTENSION)))
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
#define WARPZONE_NEON
#include <arm_neon.h>
#endif

namespace warpzone::simd {

using Table = std::array<uint8_t, 16>;

inline constexpr size_t kWidth = 256;     // of a line of a picture
inline constexpr size_t kLineTiles = 36;  // that may show in a line, and some more
inline constexpr size_t kDownTaps = 4;    // lines that are averaged at once
inline constexpr size_t kAcrossTaps = 8;  // columns that are averaged at once

struct Plain {
  // What the table has for each byte (0-15) of a word.
  static uint64_t look_up(const Table& table, uint64_t word) {
    uint64_t found = 0;
    for (int shift = 0; shift < 64; shift += 8) {
      found |= static_cast<uint64_t>(table[(word >> shift) & 0x0F]) << shift;
    }
    return found;
  }

  // One row of all tiles of a line, eight bytes each: what the table has for the pixels (0-3)
  // joined with the tile's palette.
  static void tiles(const uint64_t* const* rows, size_t row, const uint64_t* palettes,
                    const Table& table, uint8_t* out) {
    for (size_t i = 0; i < kLineTiles; ++i) {
      const uint64_t colours = look_up(table, rows[i][row] | palettes[i]);
      std::memcpy(out + 8 * i, &colours, 8);
    }
  }

  // Weighted sums of four lines of signed pixels; weights are below 256 and add up to at most that.
  template <bool kAdd>
  static void down(const std::array<const uint8_t*, kDownTaps>& lines, const uint16_t* weights,
                   int16_t* sums) {
    for (size_t x = 0; x < kWidth; ++x) {
      int sum = kAdd ? sums[x] : 0;
      for (size_t i = 0; i < kDownTaps; ++i) {
        sum += weights[i] * static_cast<int8_t>(lines[i][x]);
      }
      sums[x] = static_cast<int16_t>(sum);
    }
  }

  // Pixels, a multiple of eight: each is made of the sums from its `first` on, `groups` times eight
  // of them, with weights that add up to 256, one pixel's after the other's. Undoes the pixels'
  // signs.
  static void across(const int16_t* sums, const uint16_t* first, const int16_t* weights,
                     size_t groups, uint8_t* to, size_t pixels) {
    for (size_t x = 0; x < pixels; ++x) {
      int32_t value = kUnsigned + kHalf;
      for (size_t k = 0; k < groups * kAcrossTaps; ++k) value += *weights++ * sums[first[x] + k];
      to[x] = static_cast<uint8_t>(value >> 16);
    }
  }

  static constexpr int32_t kUnsigned = 128 << 16, kHalf = 1 << 15;
};

#if defined(WARPZONE_X86)

// What every x86-64 processor since 2011 has.
struct Ssse3 {
  static __m128i load(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  }
  static void store(void* to, __m128i value) { _mm_storeu_si128(static_cast<__m128i*>(to), value); }

  // Eight bytes of each.
  static __m128i load_two(const void* low, const void* high) {
    return _mm_unpacklo_epi64(_mm_loadl_epi64(static_cast<const __m128i*>(low)),
                              _mm_loadl_epi64(static_cast<const __m128i*>(high)));
  }

  WARPZONE_FOR("ssse3") static uint64_t look_up(const Table& table, uint64_t word) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&word));
    const __m128i found = _mm_shuffle_epi8(load(table.data()), bytes);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(&word), found);
    return word;
  }

  WARPZONE_FOR("ssse3")
  static void tiles(const uint64_t* const* rows, size_t row, const uint64_t* palettes,
                    const Table& table, uint8_t* out) {
    const __m128i colours = load(table.data());
    for (size_t i = 0; i < kLineTiles; i += 2) {
      const __m128i pixels = load_two(rows[i] + row, rows[i + 1] + row);
      const __m128i entries = _mm_or_si128(pixels, load(palettes + i));
      store(out + 8 * i, _mm_shuffle_epi8(colours, entries));
    }
  }

  template <bool kAdd>
  WARPZONE_FOR("ssse3")
  static void down(const std::array<const uint8_t*, kDownTaps>& lines, const uint16_t* weights,
                   int16_t* sums) {
    const __m128i upper = _mm_set1_epi16(static_cast<int16_t>(weights[0] | weights[1] << 8));
    const __m128i lower = _mm_set1_epi16(static_cast<int16_t>(weights[2] | weights[3] << 8));
    for (size_t x = 0; x < kWidth; x += 16) {
      const __m128i a = load(lines[0] + x), b = load(lines[1] + x);
      const __m128i c = load(lines[2] + x), d = load(lines[3] + x);
      __m128i left = _mm_add_epi16(_mm_maddubs_epi16(upper, _mm_unpacklo_epi8(a, b)),
                                   _mm_maddubs_epi16(lower, _mm_unpacklo_epi8(c, d)));
      __m128i right = _mm_add_epi16(_mm_maddubs_epi16(upper, _mm_unpackhi_epi8(a, b)),
                                    _mm_maddubs_epi16(lower, _mm_unpackhi_epi8(c, d)));
      if constexpr (kAdd) {
        left = _mm_add_epi16(left, load(sums + x));
        right = _mm_add_epi16(right, load(sums + x + 8));
      }
      store(sums + x, left);
      store(sums + x + 8, right);
    }
  }

  WARPZONE_FOR("ssse3")
  static void across(const int16_t* sums, const uint16_t* first, const int16_t* weights,
                     size_t groups, uint8_t* to, size_t pixels) {
    const __m128i rounding = _mm_set1_epi32(Plain::kUnsigned + Plain::kHalf);
    for (size_t x = 0; x < pixels; x += 4) {
      __m128i parts[4];
      for (size_t i = 0; i < 4; ++i) {
        const int16_t* from = sums + first[x + i];
        parts[i] = _mm_madd_epi16(load(from), load(weights));
        weights += kAcrossTaps;
        for (size_t group = 1; group < groups; ++group, weights += kAcrossTaps) {
          from += kAcrossTaps;
          parts[i] = _mm_add_epi32(parts[i], _mm_madd_epi16(load(from), load(weights)));
        }
      }
      const __m128i sum =
          _mm_hadd_epi32(_mm_hadd_epi32(parts[0], parts[1]), _mm_hadd_epi32(parts[2], parts[3]));
      const __m128i whole = _mm_srai_epi32(_mm_add_epi32(sum, rounding), 16);
      const __m128i words = _mm_packs_epi32(whole, whole);
      const int four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
      std::memcpy(to + x, &four, 4);
    }
  }
};

struct Avx2 : Ssse3 {
  WARPZONE_FOR("avx2")
  static void tiles(const uint64_t* const* rows, size_t row, const uint64_t* palettes,
                    const Table& table, uint8_t* out) {
    const __m256i colours = _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(table.data())));
    for (size_t i = 0; i < kLineTiles; i += 4) {
      const __m256i pixels = _mm256_set_epi64x(
          static_cast<int64_t>(rows[i + 3][row]), static_cast<int64_t>(rows[i + 2][row]),
          static_cast<int64_t>(rows[i + 1][row]), static_cast<int64_t>(rows[i][row]));
      const __m256i entries = _mm256_or_si256(
          pixels, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(palettes + i)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8 * i),
                          _mm256_shuffle_epi8(colours, entries));
    }
  }

  template <bool kAdd>
  WARPZONE_FOR("avx2")
  static void down(const std::array<const uint8_t*, kDownTaps>& lines, const uint16_t* weights,
                   int16_t* sums) {
    const __m256i upper = _mm256_set1_epi16(static_cast<int16_t>(weights[0] | weights[1] << 8));
    const __m256i lower = _mm256_set1_epi16(static_cast<int16_t>(weights[2] | weights[3] << 8));
    for (size_t x = 0; x < kWidth; x += 32) {
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lines[0] + x));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lines[1] + x));
      const __m256i c = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lines[2] + x));
      const __m256i d = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lines[3] + x));
      // Pixels 0-7 and 16-23, 8-15 and 24-31.
      const __m256i even =
          _mm256_add_epi16(_mm256_maddubs_epi16(upper, _mm256_unpacklo_epi8(a, b)),
                           _mm256_maddubs_epi16(lower, _mm256_unpacklo_epi8(c, d)));
      const __m256i odd = _mm256_add_epi16(_mm256_maddubs_epi16(upper, _mm256_unpackhi_epi8(a, b)),
                                           _mm256_maddubs_epi16(lower, _mm256_unpackhi_epi8(c, d)));
      __m256i left = _mm256_permute2x128_si256(even, odd, 0x20);
      __m256i right = _mm256_permute2x128_si256(even, odd, 0x31);
      auto* to = reinterpret_cast<__m256i*>(sums + x);
      if constexpr (kAdd) {
        left = _mm256_add_epi16(left, _mm256_loadu_si256(to));
        right = _mm256_add_epi16(right, _mm256_loadu_si256(to + 1));
      }
      _mm256_storeu_si256(to, left);
      _mm256_storeu_si256(to + 1, right);
    }
  }

  WARPZONE_FOR("avx2")
  static void across(const int16_t* sums, const uint16_t* first, const int16_t* weights,
                     size_t groups, uint8_t* to, size_t pixels) {
    if (groups != 1) return Ssse3::across(sums, first, weights, groups, to, pixels);
    const __m256i rounding = _mm256_set1_epi32(Plain::kUnsigned + Plain::kHalf);
    for (size_t x = 0; x < pixels; x += 8) {
      __m256i parts[4];  // of two pixels each
      for (size_t i = 0; i < 4; ++i) {
        const __m256i from = _mm256_inserti128_si256(
            _mm256_castsi128_si256(
                _mm_loadu_si128(reinterpret_cast<const __m128i*>(sums + first[x + 2 * i]))),
            _mm_loadu_si128(reinterpret_cast<const __m128i*>(sums + first[x + 2 * i + 1])), 1);
        parts[i] = _mm256_madd_epi16(from, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(
                                               weights + (x + 2 * i) * kAcrossTaps)));
      }
      const __m256i sum = _mm256_hadd_epi32(_mm256_hadd_epi32(parts[0], parts[1]),
                                            _mm256_hadd_epi32(parts[2], parts[3]));
      const __m256i whole = _mm256_srai_epi32(_mm256_add_epi32(sum, rounding), 16);
      // Pixels 0, 2, 4, 6 are in the lower half, 1, 3, 5, 7 in the upper.
      const __m128i words = _mm_or_si128(_mm256_castsi256_si128(whole),
                                         _mm_slli_epi32(_mm256_extracti128_si256(whole, 1), 16));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + x), _mm_packus_epi16(words, words));
    }
  }
};
// 4: AVX-512 with bfloat16, 3: AVX-512 (F, DQ, BW, VL), 2: AVX2 and FMA, all with the system's
// support for their registers, 1: SSSE3, 0: less.
inline int processor() {
  std::array<unsigned, 4> one{}, seven{}, more{};  // eax, ebx, ecx, edx
  uint64_t saved = 0;                              // registers that the system keeps for a thread
  constexpr unsigned kSsse3 = 1U << 9, kSystemSaves = 1U << 27, kAvx2 = 1U << 5, kSaved = 6;
  constexpr unsigned kFma = 1U << 12, kSaved512 = 0xE6;
  constexpr unsigned kBfloat16 = 1U << 5;
  constexpr unsigned kAvx512 = 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31;
#if defined(_MSC_VER) && !defined(__clang__)
  __cpuidex(reinterpret_cast<int*>(one.data()), 1, 0);
  __cpuidex(reinterpret_cast<int*>(seven.data()), 7, 0);
  if (seven[0] > 0) __cpuidex(reinterpret_cast<int*>(more.data()), 7, 1);
  if ((one[2] & kSystemSaves) != 0) saved = _xgetbv(0);
#else
  __get_cpuid_count(1, 0, &one[0], &one[1], &one[2], &one[3]);
  __get_cpuid_count(7, 0, &seven[0], &seven[1], &seven[2], &seven[3]);
  if (seven[0] > 0) __get_cpuid_count(7, 1, &more[0], &more[1], &more[2], &more[3]);
  if ((one[2] & kSystemSaves) != 0) {
    uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    saved = low;
  }
#endif
  if ((one[2] & kSsse3) == 0) return 0;
  const bool wide = (seven[1] & kAvx2) != 0 && (one[2] & kFma) != 0;
  if ((saved & kSaved) != kSaved || !wide) return 1;
  if ((saved & kSaved512) != kSaved512 || (seven[1] & kAvx512) != kAvx512) return 2;
  return (more[0] & kBfloat16) != 0 ? 4 : 3;
}

inline const int kProcessor = processor();

struct Best {
  static uint64_t look_up(const Table& table, uint64_t word) {
    return kProcessor > 0 ? Ssse3::look_up(table, word) : Plain::look_up(table, word);
  }
  static void tiles(const uint64_t* const* rows, size_t row, const uint64_t* palettes,
                    const Table& table, uint8_t* out) {
    (kProcessor > 1   ? Avx2::tiles
     : kProcessor > 0 ? Ssse3::tiles
                      : Plain::tiles)(rows, row, palettes, table, out);
  }
  template <bool kAdd>
  static void down(const std::array<const uint8_t*, kDownTaps>& lines, const uint16_t* weights,
                   int16_t* sums) {
    (kProcessor > 1   ? Avx2::down<kAdd>
     : kProcessor > 0 ? Ssse3::down<kAdd>
                      : Plain::down<kAdd>)(lines, weights, sums);
  }
  static void across(const int16_t* sums, const uint16_t* first, const int16_t* weights,
                     size_t groups, uint8_t* to, size_t pixels) {
    (kProcessor > 1   ? Avx2::across
     : kProcessor > 0 ? Ssse3::across
                      : Plain::across)(sums, first, weights, groups, to, pixels);
  }
};

#elif defined(WARPZONE_NEON)

// What every AArch64 processor has.
struct Neon {
  static uint64_t look_up(const Table& table, uint64_t word) {
    const uint8x8_t found = vqtbl1_u8(vld1q_u8(table.data()), vcreate_u8(word));
    return vget_lane_u64(vreinterpret_u64_u8(found), 0);
  }

  static void tiles(const uint64_t* const* rows, size_t row, const uint64_t* palettes,
                    const Table& table, uint8_t* out) {
    const uint8x16_t colours = vld1q_u8(table.data());
    for (size_t i = 0; i < kLineTiles; i += 2) {
      const uint64x2_t pixels = vcombine_u64(vld1_u64(rows[i] + row), vld1_u64(rows[i + 1] + row));
      const uint64x2_t entries = vorrq_u64(pixels, vld1q_u64(palettes + i));
      vst1q_u8(out + 8 * i, vqtbl1q_u8(colours, vreinterpretq_u8_u64(entries)));
    }
  }

  template <bool kAdd>
  static void down(const std::array<const uint8_t*, kDownTaps>& lines, const uint16_t* weights,
                   int16_t* sums) {
    const auto [a, b, c, d] = lines;
    const uint8x16_t by_a = all(weights[0]), by_b = all(weights[1]);
    const uint8x16_t by_c = all(weights[2]), by_d = all(weights[3]);
    // Pixels lose their signs to be multiplied, which makes them greater by 128.
    const int total = weights[0] + weights[1] + weights[2] + weights[3];
    const uint16x8_t start = vdupq_n_u16(static_cast<uint16_t>(-128 * total));
    for (size_t x = 0; x < kWidth; x += 16) {
      uint16x8_t left = start, right = start;
      add(left, right, a + x, by_a);
      add(left, right, b + x, by_b);
      add(left, right, c + x, by_c);
      add(left, right, d + x, by_d);
      auto* to = reinterpret_cast<uint16_t*>(sums + x);
      if constexpr (kAdd) {
        left = vaddq_u16(left, vld1q_u16(to));
        right = vaddq_u16(right, vld1q_u16(to + 8));
      }
      vst1q_u16(to, left);
      vst1q_u16(to + 8, right);
    }
  }

  static void across(const int16_t* sums, const uint16_t* first, const int16_t* weights,
                     size_t groups, uint8_t* to, size_t pixels) {
    const int32x4_t rounding = vdupq_n_s32(Plain::kUnsigned + Plain::kHalf);
    const size_t taps = groups * kAcrossTaps;
    for (size_t x = 0; x < pixels; x += 4, weights += 4 * taps) {
      int32x4_t a = vdupq_n_s32(0), b = a, c = a, d = a;
      for (size_t k = 0; k < taps; k += kAcrossTaps) {
        a = add_products(a, sums + first[x] + k, weights + k);
        b = add_products(b, sums + first[x + 1] + k, weights + taps + k);
        c = add_products(c, sums + first[x + 2] + k, weights + 2 * taps + k);
        d = add_products(d, sums + first[x + 3] + k, weights + 3 * taps + k);
      }
      const int32x4_t sum = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
      const int16x4_t words = vaddhn_s32(sum, rounding);  // the upper halves
      const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
      const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
      std::memcpy(to + x, &four, 4);
    }
  }

 private:
  static uint8x16_t all(uint16_t weight) { return vdupq_n_u8(static_cast<uint8_t>(weight)); }

  static void add(uint16x8_t& left, uint16x8_t& right, const uint8_t* signed_pixels,
                  uint8x16_t by) {
    const uint8x16_t pixels = veorq_u8(vld1q_u8(signed_pixels), vdupq_n_u8(0x80));
    left = vmlal_u8(left, vget_low_u8(pixels), vget_low_u8(by));
    right = vmlal_high_u8(right, pixels, by);
  }

  // Of eight, two to each part of the sum.
  static int32x4_t add_products(int32x4_t sum, const int16_t* from, const int16_t* weights) {
    const int16x8_t eight = vld1q_s16(from), by = vld1q_s16(weights);
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(eight), vget_low_s16(by)), eight, by);
  }
};

using Best = Neon;

#else
using Best = Plain;
#endif

// Copies to where it is not read soon: large amounts bypass the caches, which the games need.
inline void copy_away(uint8_t* to, const uint8_t* from, size_t bytes) {
#if defined(WARPZONE_X86)
  constexpr size_t kLarge = 4096, kWord = sizeof(__m128i);
  if (bytes >= kLarge && reinterpret_cast<uintptr_t>(to) % kWord == 0) {
    for (; bytes >= kWord; bytes -= kWord, to += kWord, from += kWord) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to), Ssse3::load(from));
    }
    _mm_sfence();
  }
#endif
  std::memcpy(to, from, bytes);
}

}  // namespace warpzone::simd
