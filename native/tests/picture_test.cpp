// Every way to draw and to resize against the obvious one.
#include "smb/picture.h"

#include <cstdlib>
#include <random>

#include "check.h"
#include "plain_picture.h"
#include "program.h"
#include "real_game.h"

namespace nes = warpzone::nes;
namespace simd = warpzone::simd;
namespace smb = warpzone::smb;

namespace {

struct Size {
  int height, width;
};

constexpr Size kSizes[] = {{84, 84},  {64, 64},  {120, 128}, {240, 256}, {1, 1},
                           {83, 101}, {60, 255}, {239, 7},   {2, 256}};

// Calls `check` with each set of kernels that this processor has.
template <typename Check>
void with_all_kernels(Check check) {
  check(simd::Plain());
  check(simd::Best());
#if defined(WARPZONE_X86)
  if (simd::kProcessor > 0) check(simd::Ssse3());
  if (simd::kProcessor > 1) check(simd::Avx2());
#endif
}

template <typename Simd>
std::vector<uint8_t> draw(const nes::State& s, const nes::Cartridge& cart) {
  std::vector<uint8_t> picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  nes::ppu::draw<Simd>(s, cart, picture.data());
  return picture;
}

template <typename Simd>
std::vector<uint8_t> shrink(const nes::State& s, const nes::State* before,
                            const nes::Cartridge& cart, Size size, bool crop) {
  std::vector<uint8_t> picture(static_cast<size_t>(size.height) * static_cast<size_t>(size.width));
  smb::GreyPicture<Simd>(size.height, size.width, crop).draw(s, cart, picture.data(), before);
  return picture;
}

}  // namespace

TEST(pictures_are_those_of_a_slow_painter) {
  std::mt19937 random(5);
  for (int round = 0; round < 80; ++round) {
    const nes::Cartridge cart = program::with_pictures({0xEA}, random, random() % 2 == 0);
    const nes::State s = program::random_scene(cart, random, static_cast<int>(random() % 8));
    const auto expected = plain::draw(s, cart);
    with_all_kernels([&]<typename Simd>(Simd) { CHECK(draw<Simd>(s, cart) == expected); });
  }
}

TEST(small_grey_pictures_are_sums_over_areas) {
  std::mt19937 random(6);
  for (int round = 0; round < 6; ++round) {
    const nes::Cartridge cart = program::with_pictures({0xEA}, random, random() % 2 == 0);
    const nes::State s = program::random_scene(cart, random, static_cast<int>(random() % 8));
    const nes::State other = program::random_scene(cart, random, static_cast<int>(random() % 8));
    for (const Size size : kSizes) {
      const bool crop = random() % 2 == 0;
      const nes::State* before = random() % 2 == 0 ? &other : nullptr;
      const auto expected =
          plain::shrink(s, before, cart, size.height, size.width, crop ? smb::memory::kMapTop : 0);
      with_all_kernels([&]<typename Simd>(Simd) {
        CHECK(shrink<Simd>(s, before, cart, size, crop) == expected);
      });
    }
  }
}

TEST(pictures_of_the_real_game_are_those_of_a_slow_painter) {
  const auto levels = real_game::levels();
  if (!levels) return;
  std::mt19937 random(7);
  const nes::Cartridge& cart = levels->cartridge();
  for (int level = 0; level < smb::kLevels; ++level) {
    nes::State s = levels->start(level), before = s;
    for (int round = 0; round < 4; ++round) {
      const auto buttons = static_cast<uint8_t>(nes::kButtonRight | (random() % 4));
      for (int i = 0; i < 30 + static_cast<int>(random() % 40); ++i) {
        before = s;
        nes::run_frame(s, cart, buttons);
      }
      CHECK(draw<simd::Best>(s, cart) == plain::draw(s, cart));
      const nes::State* merged = round == 3 ? &before : nullptr;
      CHECK(shrink<simd::Best>(s, merged, cart, {84, 84}, round == 2) ==
            plain::shrink(s, merged, cart, 84, 84, round == 2 ? smb::memory::kMapTop : 0));
    }
  }
}
