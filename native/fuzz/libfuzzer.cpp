// With libFuzzer: plants a target's seeds among its inputs, so that no corpus needs to be kept.
#include <algorithm>
#include <cstring>

#include "fuzz/fuzz.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  static const std::vector<fuzz::Bytes> seeds = fuzz::seeds();
  if (!seeds.empty() && (size < 2 || seed % 256 == 0)) {
    const fuzz::Bytes& chosen = seeds[(seed / 256) % seeds.size()];
    size = std::min(chosen.size(), max_size);
    std::memcpy(data, chosen.data(), size);
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
