// For every processor: vectors of four, which are SSE2 on x86-64 and NEON on AArch64.
#define WARPZONE_VECTOR_BYTES 16
#define WARPZONE_KERNELS_NAME "baseline"
#include <stddef.h>

namespace warpzone::learn {
namespace {
#if defined(__aarch64__)
constexpr size_t kSumVectors = 16, kProductRows = 6, kProductVectors = 4;  // 32 registers
#else
constexpr size_t kSumVectors = 8, kProductRows = 4, kProductVectors = 2;  // 16 registers
#endif
}  // namespace
}  // namespace warpzone::learn
#include "learn/kernels_body.h"

namespace warpzone::learn {
const Kernels* baseline_kernels() { return &kKernels; }
}  // namespace warpzone::learn
