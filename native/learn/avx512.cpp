// For processors with AVX-512 (F, BW, DQ, VL); the build gives the compiler its options.
#include "learn/kernels.h"

#if defined(__AVX512F__)
#define WARPZONE_VECTOR_BYTES 64
#define WARPZONE_KERNELS_NAME "avx512"
namespace warpzone::learn {
namespace {
constexpr size_t kSumVectors = 16, kProductRows = 6, kProductVectors = 4;  // 32 registers
}  // namespace
}  // namespace warpzone::learn
#include "learn/kernels_body.h"

namespace warpzone::learn {
const Kernels* avx512_kernels() { return &kKernels; }
}  // namespace warpzone::learn
#else
namespace warpzone::learn {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace warpzone::learn
#endif
