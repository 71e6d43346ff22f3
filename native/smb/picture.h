// From palette indices to what an agent sees: grey, cropped, resized.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "nes/paint.h"
#include "nes/palette.h"
#include "smb/memory.h"

namespace warpzone::smb {

// Brightness of each of the 64 colours: Rec. 601 luma of its RGB, rounded, as OpenCV and Pillow do.
inline constexpr std::array<uint8_t, 64> kLuma = [] {
  std::array<uint8_t, 64> luma{};
  for (size_t i = 0; i < 64; ++i) {
    const auto& c = nes::kPalette[i];
    luma[i] = static_cast<uint8_t>((299 * c[0] + 587 * c[1] + 114 * c[2] + 500) / 1000);
  }
  return luma;
}();

// Resizes a grey picture by averaging the area that each new pixel covers (OpenCV's INTER_AREA),
// in fixed point: 8 bits of weight for each direction.
class AreaResize {
 public:
  AreaResize(int from_height, int from_width, int height, int width)
      : rows_(from_height, height), columns_(from_width, width), width_(static_cast<size_t>(width)),
        from_width_(static_cast<size_t>(from_width)) {}

  // `from` is uint8[from_height][from_width], `to` uint8[height][width].
  void operator()(const uint8_t* from, uint8_t* to) const {
    // At most 255 * 256. Taps of weight 0 may reach beyond the last column.
    std::array<uint16_t, 2 * nes::kScreenWidth> sum{};
    for (size_t row = 0; row < rows_.first.size(); ++row, to += width_) {
      std::fill_n(sum.begin(), from_width_, uint16_t{0});
      for (size_t i = 0; i < rows_.taps; ++i) {
        const uint16_t weight = rows_.weights[row * rows_.taps + i];
        if (weight == 0) continue;
        const uint8_t* line = from + (rows_.first[row] + i) * from_width_;
        for (size_t x = 0; x < from_width_; ++x) {
          sum[x] = static_cast<uint16_t>(sum[x] + weight * line[x]);
        }
      }
      if (columns_.taps == kUsualTaps) {
        across(sum.data(), to, std::integral_constant<size_t, kUsualTaps>());
      } else {
        across(sum.data(), to, columns_.taps);
      }
    }
  }

 private:
  static constexpr size_t kUsualTaps = 5;  // of 256 pixels made 84: known here, the loop unrolls

  // Which source pixels make up each new one.
  struct Weights {
    size_t taps = 0;                // the most that one needs
    std::vector<size_t> first;      // [to]
    std::vector<uint32_t> weights;  // [to][taps], each row sums to 256

    Weights(int from, int to) {
      const double scale = static_cast<double>(from) / to;
      const auto last_of = [&](int i) {
        return std::min(static_cast<int>(std::ceil((i + 1) * scale)), from) - 1;
      };
      for (int i = 0; i < to; ++i) {
        first.push_back(static_cast<size_t>(i * scale));
        taps = std::max(taps, static_cast<size_t>(last_of(i)) - first.back() + 1);
      }
      weights.assign(first.size() * taps, 0);
      for (int i = 0; i < to; ++i) {
        const double begin = i * scale, end = std::min((i + 1) * scale, static_cast<double>(from));
        const auto begin_pixel = static_cast<int>(begin);
        double covered = 0;
        int given = 0;
        for (int k = begin_pixel; k <= last_of(i); ++k) {  // rounding sums keeps the total exact
          covered += std::min(end, k + 1.0) - std::max(begin, static_cast<double>(k));
          const int upto = static_cast<int>(std::lround(256 * covered / (end - begin)));
          weights[static_cast<size_t>(i) * taps + static_cast<size_t>(k - begin_pixel)] =
              static_cast<uint32_t>(upto - given);
          given = upto;
        }
      }
    }
  };

  template <typename Taps>
  void across(const uint16_t* sum, uint8_t* to, Taps taps) const {
    const uint32_t* weight = columns_.weights.data();
    for (size_t x = 0; x < width_; ++x, weight += taps) {
      const uint16_t* at = sum + columns_.first[x];
      uint32_t value = 1U << 15;  // rounds
      for (size_t i = 0; i < taps; ++i) value += weight[i] * at[i];
      to[x] = static_cast<uint8_t>(value >> 16);
    }
  }

  Weights rows_, columns_;
  size_t width_, from_width_;
};

// The picture of a game as an agent gets it. One of these serves one thread.
class GreyPicture {
 public:
  GreyPicture(int height, int width, bool crop_status_bar)
      : top_(crop_status_bar ? memory::kMapTop : 0),
        resize_(nes::kScreenHeight - top_, nes::kScreenWidth, height, width) {}

  // Draws the frame that has just ended. With `merge`, every pixel is the brighter of this frame's
  // and the one drawn last, which undoes sprites that flicker.
  void draw(const nes::State& s, const nes::Cartridge& cart, uint8_t* out, bool merge = false) {
    nes::ppu::Painter painter(s, cart, kLuma);
    uint8_t* line_out = grey_.data();
    for (int line = top_; line < nes::kScreenHeight; ++line, line_out += nes::kScreenWidth) {
      if (!merge) {
        painter.line(line, line_out);
        continue;
      }
      std::array<uint8_t, nes::kScreenWidth> now;
      painter.line(line, now.data());
      for (size_t x = 0; x < now.size(); ++x) line_out[x] = std::max(line_out[x], now[x]);
    }
    if (out != nullptr) resize_(grey_.data(), out);
  }

 private:
  int top_;
  AreaResize resize_;
  std::array<uint8_t, static_cast<size_t>(nes::kScreenWidth* nes::kScreenHeight)> grey_{};
};

}  // namespace warpzone::smb
