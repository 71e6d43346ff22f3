// As avx512.cpp, with products of bfloat16 numbers, for processors that have them (AVX512_BF16).
#include "learn/kernels.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>

#define WARPZONE_VECTOR_BYTES 64
#define WARPZONE_BFLOAT16
#define WARPZONE_KERNELS_NAME "bfloat16"
namespace warpzone::learn {
namespace {
constexpr size_t kSumVectors = 16, kProductRows = 6, kProductVectors = 4;  // 32 registers
}  // namespace
}  // namespace warpzone::learn
#include "learn/kernels_body.h"

namespace warpzone::learn {
const Kernels* bfloat16_kernels() { return &kKernels; }
}  // namespace warpzone::learn
#else
namespace warpzone::learn {
const Kernels* bfloat16_kernels() { return nullptr; }
}  // namespace warpzone::learn
#endif
