// Every way to draw and to resize against the obvious one.
#include "batch/picture.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "check.h"
#include "plain_picture.h"
#include "program.h"
#include "real_game.h"

namespace nes = warpzone::nes;
namespace simd = warpzone::simd;
namespace smb = warpzone::smb;
namespace batch = warpzone::batch;

namespace {

constexpr int kStatusBar = 32;

struct Size {
  int height, width;
};

constexpr Size kSizes[] = {{84, 84},  {64, 64},  {120, 128}, {240, 256}, {1, 1},
                           {83, 101}, {60, 255}, {239, 7},   {2, 256}};

// Calls `check` with each set of kernels that this processor has.
template <typename Check>
void with_all_kernels(Check check) {
  check(simd::Plain());
#if defined(WARPZONE_X86)
  check(simd::Best());
  if (simd::kProcessor > 0) check(simd::Ssse3());
  if (simd::kProcessor > 1) check(simd::Avx2());
#elif defined(WARPZONE_NEON)
  check(simd::Neon());
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
  batch::GreyPicture<Simd>(size.height, size.width, crop ? kStatusBar : 0)
      .draw(s, cart, picture.data(), before);
  return picture;
}

}  // namespace

TEST(kernels_agree_where_sums_are_largest) {
  std::mt19937 random(4);
  constexpr size_t kMaxGroups = 32;  // as many as 256 columns need
  for (int round = 0; round < 200; ++round) {
    const size_t groups = 1 + random() % (round % 2 == 0 ? 2 : kMaxGroups);
    // Lines of the extremes, or of anything.
    std::array<std::array<uint8_t, simd::kWidth>, simd::kDownTaps> pixels;
    for (auto& line : pixels) {
      const auto kind = random() % 3;
      for (auto& pixel : line) {
        pixel = kind == 0 ? 0x80 : kind == 1 ? 0x7F : static_cast<uint8_t>(random());
      }
    }
    std::array<const uint8_t*, simd::kDownTaps> lines;
    for (size_t i = 0; i < lines.size(); ++i) lines[i] = pixels[random() % pixels.size()].data();
    // Weights that add up to 256: half of it in each of two steps down, all of it across.
    const auto share = [&](auto* weights, size_t count, int left) {
      std::fill_n(weights, count, 0);
      for (size_t i = 0; i < count && left > 0; ++i) {
        const int some = i + 1 == count ? left : static_cast<int>(random() % (left + 1U));
        weights[i] = static_cast<std::remove_reference_t<decltype(*weights)>>(some);
        left -= some;
      }
      std::shuffle(weights, weights + count, random);
    };
    std::array<uint16_t, simd::kDownTaps> once, again;
    const int part = 1 + static_cast<int>(random() % 255);
    share(once.data(), once.size(), part);
    share(again.data(), again.size(), 256 - part);
    std::array<uint16_t, 16> first;
    std::vector<int16_t> across(first.size() * groups * simd::kAcrossTaps);
    for (size_t x = 0; x < first.size(); ++x) {
      first[x] = static_cast<uint16_t>(random() % simd::kWidth);
      share(&across[x * groups * simd::kAcrossTaps], groups * simd::kAcrossTaps, 256);
    }

    const auto made_by = [&]<typename Simd>(Simd) {
      std::array<int16_t, 2 * simd::kWidth + simd::kAcrossTaps> sums{};
      Simd::template down<false>(lines, once.data(), sums.data());
      Simd::template down<true>(lines, again.data(), sums.data());
      std::copy_n(sums.begin(), simd::kWidth, sums.begin() + simd::kWidth);
      std::array<uint8_t, first.size()> to;
      Simd::across(sums.data(), first.data(), across.data(), groups, to.data(), to.size());
      return std::pair(sums, to);
    };
    const auto expected = made_by(simd::Plain());
    with_all_kernels([&](auto simd) { CHECK(made_by(simd) == expected); });
  }
}

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
          plain::shrink(s, before, cart, size.height, size.width, crop ? kStatusBar : 0);
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
            plain::shrink(s, merged, cart, 84, 84, round == 2 ? kStatusBar : 0));
    }
  }
}
