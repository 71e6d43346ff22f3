#include "simd/kernels.h"

#include <stdexcept>

#include "learn/choose.h"

namespace warpzone::learn {

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> found;
#if defined(WARPZONE_X86)
  if (simd::kProcessor > 3) found.push_back(bfloat16_kernels());
  if (simd::kProcessor > 2) found.push_back(avx512_kernels());
  if (simd::kProcessor > 1) found.push_back(avx2_kernels());
#endif
  found.push_back(baseline_kernels());
  std::erase(found, nullptr);
  return found;
}

const Kernels& choose_kernels(const std::string& name) {
  const auto available = available_kernels();
  if (name.empty()) return *available.front();
  std::string names;
  for (const Kernels* kernels : available) {
    if (name == kernels->name) return *kernels;
    names += (names.empty() ? "" : ", ") + std::string(kernels->name);
  }
  throw std::invalid_argument("this processor has no kernels " + name + "; it has " + names);
}

}  // namespace warpzone::learn
