// What the fuzz targets share. A target is one file that defines LLVMFuzzerTestOneInput and
// seeds(); main() comes from libFuzzer, or from driver.cpp where the compiler has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fuzz {

using Bytes = std::vector<uint8_t>;

inline constexpr size_t kMaxBytes = 1 << 16;

// Inputs that are good, to be damaged.
std::vector<Bytes> seeds();

// Takes an input apart from its beginning; what is used up reads as zero.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : bytes_(data, size) {}

  bool empty() const { return at_ == bytes_.size(); }
  uint8_t byte() { return empty() ? uint8_t{0} : bytes_[at_++]; }
  uint16_t word() {
    const uint8_t low = byte();
    return static_cast<uint16_t>(low | byte() << 8);
  }
  // 0 to n - 1
  int below(int n) { return byte() % n; }
  std::span<const uint8_t> rest() { return bytes_.subspan(at_); }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

// Writes over good bytes what the rest of an input says: where, what and how many times. Places are
// indices into `places`, or of any byte at all.
inline void damage(Bytes& bytes, const std::vector<size_t>& places, Input& input) {
  while (!input.empty()) {
    const uint16_t where = input.word();
    const uint8_t value = input.byte(), times = input.byte();
    const bool anywhere = (where & 0x8000) != 0 || places.empty();
    for (size_t i = 0; i <= (times & 7U); ++i) {
      const size_t at = (where & 0x7FFFU) + i;
      bytes[anywhere ? at % bytes.size() : places[at % places.size()]] = value;
    }
  }
}

inline void require(bool holds, const char* what, const char* file, int line) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  std::abort();
}

}  // namespace fuzz

// What must be so after any input.
#define FUZZ_REQUIRE(CONDITION) fuzz::require((CONDITION), #CONDITION, __FILE__, __LINE__)
