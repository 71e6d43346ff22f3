// Cartridge images: refused with a reason, or run. Any program is good input: jumps into RAM and
// picture unit, interrupts without end, halted processors.
#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include "fuzz/fuzz.h"
#include "nes/paint.h"
#include "nes/snapshot.h"
#include "tests/program.h"

namespace nes = warpzone::nes;
using fuzz::Bytes;

namespace {

constexpr uint8_t kWholeImage = 1, kSeldomHalts = 2, kSmall = 4, kHorizontal = 8, kTileRam = 16;
constexpr uint8_t kMappers = 0xE0;  // which of them

// A flag says whether a whole image follows; else vectors, and a program to fill the cartridge
// with.
Bytes image_of(fuzz::Input& input, uint8_t flags) {
  if ((flags & kWholeImage) != 0) return {input.rest().begin(), input.rest().end()};
  std::array<uint8_t, 6> vectors;
  for (auto& byte : vectors) byte = input.byte();
  const auto given = input.rest();
  Bytes code(given.begin(), given.end());
  if (code.empty()) code.push_back(0xEA);
  if ((flags & kSeldomHalts) != 0) {
    // Random programs otherwise halt after a dozen instructions.
    for (auto& byte : code) {
      const bool halts = (byte & 0x1F) == 0x12 || (byte & 0x9F) == 0x02;
      if (halts) byte = 0xEA;
    }
  }
  Bytes image = program::image({});
  for (size_t i = 0; i + 16 < image.size(); ++i) image[16 + i] = code[i % code.size()];
  program::put(image, 0xFFFA, {vectors.begin(), vectors.end()});
  if ((flags & kSmall) != 0) {
    image.erase(image.begin() + 16, image.begin() + 16 + 0x4000);
    image[4] = 1;
  }
  if ((flags & kHorizontal) != 0) image[6] &= 0xFE;
  constexpr std::array<uint8_t, 8> kNumbers = {0, 1, 2, 3, 4, 7, 4, 1};
  const size_t which = flags / (kMappers & -kMappers);
  image[6] = static_cast<uint8_t>(image[6] | kNumbers[which] << 4);
  if (which == 6) image[6] |= 8;  // four screens
  if ((flags & kTileRam) != 0) image[5] = 0;
  return image;
}

template <typename S>
void run(const nes::Cartridge& cart, uint8_t buttons) {
  const auto console = std::make_unique<S>(), other = std::make_unique<S>();
  S &s = *console, &executed = *other;
  nes::switch_on(s, cart);
  executed = s;
  Bytes picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  for (int frame = 0; frame < 3; ++frame) {
    nes::interpret_frame<true>(s, cart, buttons);
    nes::interpret_frame<false>(executed, cart, buttons);
    const bool same = std::memcmp(static_cast<void*>(&s), &executed, sizeof(s)) == 0;
    FUZZ_REQUIRE(same);  // skipped loops change nothing
    Bytes snapshot(nes::snapshot_bytes<S>(cart));
    nes::save(s, cart, snapshot.data());
    nes::load<S>(snapshot, cart);
    nes::ppu::draw(s, cart, picture.data());
    for (const uint8_t colour : picture) FUZZ_REQUIRE(colour < 64);
  }
}

}  // namespace

std::vector<Bytes> fuzz::seeds() {
  using program::operator+;
  const Bytes whole = {kWholeImage};
  Bytes small = program::image({0xE6, 0x10, 0x4C, 0x00, 0x80});
  small.erase(small.begin() + 16, small.begin() + 16 + 0x4000);
  small[4] = 1;
  Bytes trained = program::image({0x4C, 0x00, 0x80});
  trained[6] |= 4;
  trained.insert(trained.begin() + 16, 512, uint8_t{0});
  std::vector<Bytes> all = {whole + program::image({0x4C, 0x00, 0x80}), whole + small,
                            whole + trained};
  // Headers: of old tools that wrote their name into them; NES 2.0 with sizes as they come, with
  // sizes as powers of two, with RAM of all kinds; what is refused.
  const auto with_header = [&](Bytes image, std::initializer_list<std::pair<size_t, uint8_t>> set) {
    for (const auto& [at, value] : set) image[at] = value;
    all.push_back(whole + image);
  };
  for (const uint8_t mapper : {0, 1, 2, 3, 4, 7, 5}) {
    const Bytes image = program::banked(mapper, 4, mapper % 2 == 0 ? 8 : 0, {0x4C, 0x00, 0xF0});
    with_header(image, {});
    with_header(image, {{7, 'D'}, {8, 'i'}, {9, 's'}, {10, 'k'}, {12, 'u'}, {15, '!'}});
    with_header(image, {{7, 8}, {10, 0x77}, {11, 0x07}});
    with_header(image, {{7, 8}, {8, 0x10}, {10, 0x9A}, {11, 0x70}});
    with_header(image, {{7, 8}, {9, 0x0F}, {4, 13 << 2 | 1}, {11, 0x07}});  // 3 * 8 KB
    with_header(image, {{7, 8}, {9, 0xFF}, {4, 15 << 2}, {5, 13 << 2}, {11, 0x07}});
    with_header(image, {{7, 8}, {9, 0xEE}});
    with_header(image, {{6, static_cast<uint8_t>(mapper << 4 | 0x0F)}});
  }
  const std::vector<Bytes> programs = {
      {0x4C, 0x00, 0x80},                                            // waits
      {0xAD, 0x02, 0x20, 0x10, 0xFB},                                // LDA $2002, BPL
      {0xAD, 0x02, 0x20, 0x29, 0x40, 0xF0, 0xF9},                    // LDA $2002, AND #$40, BEQ
      {0x2C, 0x02, 0x20, 0x50, 0xFB},                                // BIT $2002, BVC
      {0xA9, 0x9E, 0x8D, 0x00, 0x20, 0xA9, 0x1E, 0x8D, 0x01, 0x20},  // switches everything on
      {0xA9, 0x80, 0x8D, 0x00, 0x20, 0x4A, 0x8D, 0x00, 0x20},        // raises NMI again and again
      {0xE8, 0x8E, 0x14, 0x40},                                      // copies sprites from anywhere
      {0xEE, 0x14, 0x40, 0xAD, 0x15, 0x40},                          // the same, INC
      {0xE8, 0x8E, 0x05, 0x20, 0x8E, 0x06, 0x20},                    // scrolls everywhere
      {0xE8, 0x8E, 0x01, 0x20, 0x8E, 0x00, 0x20, 0x8E, 0x03, 0x20},  // switches everything
      {0xAE, 0x07, 0x20, 0x8E, 0x07, 0x20, 0xAE, 0x04, 0x20, 0x8E, 0x04, 0x20},
      {0x8E, 0x16, 0x40, 0xAD, 0x16, 0x40, 0x6E, 0x17, 0x40},  // controllers
      {0x4C, 0x00, 0x00},                                      // jumps into RAM,
      {0x20, 0x02, 0x20},                                      // the picture unit,
      {0x6C, 0xFF, 0x01},                                      // wherever the stack says
      {0x48, 0x08, 0x9A, 0xBA, 0x68, 0x28},                    // wraps the stack
      {0x58, 0x00, 0x40},                                      // interrupts itself
      {0x02},
      {0xC7, 0x20, 0xE3, 0x02, 0x33, 0x14, 0x5B, 0x00, 0x20, 0x6B, 0x81, 0xCB, 0x03},
  };
  for (const Bytes& code : programs) {
    for (const int flags :
         {0, 2, 4, 2 | 0x20, 2 | 0x40, 2 | 0x60, 2 | 0x80, 18 | 0xA0, 26 | 0xC0}) {
      all.push_back(Bytes{static_cast<uint8_t>(flags), 0x81, 0x00, 0x80, 0x00, 0x80, 0x00, 0x80} +
                    code);
    }
  }
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint8_t flags = input.byte();
  const uint8_t buttons = (flags & kWholeImage) != 0 ? 0x5A : input.byte();
  try {
    const nes::Cartridge cart(image_of(input, flags));
    if (cart.plain) run<nes::State>(cart, buttons);
    run<nes::FullState>(cart, buttons);
  } catch (const std::invalid_argument&) {  // refused
  }
  return 0;
}
