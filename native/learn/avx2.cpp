// For processors with AVX2 and FMA; the build gives the compiler its options.
#include "learn/kernels.h"

#if defined(__AVX2__) && (defined(__FMA__) || defined(_MSC_VER))
#define WARPZONE_VECTOR_BYTES 32
#define WARPZONE_KERNELS_NAME "avx2"
namespace warpzone::learn {
namespace {
constexpr size_t kSumVectors = 8, kProductRows = 6, kProductVectors = 2;  // 16 registers
}  // namespace
}  // namespace warpzone::learn
#include "learn/kernels_body.h"

namespace warpzone::learn {
const Kernels* avx2_kernels() { return &kKernels; }
}  // namespace warpzone::learn
#else
namespace warpzone::learn {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace warpzone::learn
#endif
