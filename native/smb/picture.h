// From palette indices to what an agent sees: grey, cropped, resized.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "nes/palette.h"
#include "nes/ppu.h"
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

// Shrinks a grey picture by averaging the area that each new pixel covers (OpenCV's INTER_AREA).
// Where a side does not shrink, the average becomes the nearest pixels' mix by overlap.
class AreaResize {
 public:
  AreaResize(int from_height, int from_width, int height, int width)
      : rows_(spans(from_height, height)), columns_(spans(from_width, width)),
        from_width_(from_width) {}

  int height() const { return static_cast<int>(rows_.size()); }
  int width() const { return static_cast<int>(columns_.size()); }

  // `from` is uint8[from_height][from_width], `to` uint8[height][width].
  void operator()(const uint8_t* from, uint8_t* to) const {
    std::array<float, nes::kScreenWidth> sum;
    for (const Span& row : rows_) {
      sum.fill(0.0F);
      for (int i = 0; i < row.count; ++i) {
        const uint8_t* line = from + (row.first + i) * from_width_;
        const float weight = row.weight(i);
        for (size_t x = 0; x < static_cast<size_t>(from_width_); ++x) {
          sum[x] += weight * static_cast<float>(line[x]);
        }
      }
      for (const Span& column : columns_) {
        const float* at = &sum[static_cast<size_t>(column.first)];
        float value = column.first_weight * at[0];
        for (int i = 1; i < column.count - 1; ++i) value += column.weight_between * at[i];
        if (column.count > 1) value += column.last_weight * at[column.count - 1];
        *to++ = static_cast<uint8_t>(value + 0.5F);
      }
    }
  }

 private:
  struct Span {
    int first, count;
    float first_weight, weight_between, last_weight;
    float weight(int i) const {
      return i == 0 ? first_weight : i == count - 1 ? last_weight : weight_between;
    }
  };

  static std::vector<Span> spans(int from, int to) {
    std::vector<Span> result;
    const double scale = static_cast<double>(from) / to;
    for (int i = 0; i < to; ++i) {
      const double begin = i * scale, end = std::min((i + 1) * scale, static_cast<double>(from));
      const int first = static_cast<int>(begin);
      const int last = std::min(static_cast<int>(std::ceil(end)) - 1, from - 1);
      const double covered = end - begin;
      Span span{first, last - first + 1, 1.0F, static_cast<float>(1 / covered), 0.0F};
      if (last > first) {
        span.first_weight = static_cast<float>((first + 1 - begin) / covered);
        span.last_weight = static_cast<float>((end - last) / covered);
      }
      result.push_back(span);
    }
    return result;
  }

  std::vector<Span> rows_, columns_;
  int from_width_;
};

// The picture of a game as an agent gets it. One of these serves one thread.
class GreyPicture {
 public:
  GreyPicture(int height, int width, bool crop_status_bar)
      : top_(crop_status_bar ? memory::kMapTop : 0),
        resize_(nes::kScreenHeight - top_, nes::kScreenWidth, height, width) {}

  size_t bytes() const {
    return static_cast<size_t>(resize_.height()) * static_cast<size_t>(resize_.width());
  }

  // Draws the frame that has just ended. With `merge`, every pixel is the brighter of this frame's
  // and the one drawn last, which undoes sprites that flicker.
  void draw(const nes::State& s, const nes::Cartridge& cart, uint8_t* out, bool merge = false) {
    const nes::ppu::SpriteLines sprites(s);
    uint8_t* line_out = grey_.data();
    for (int line = top_; line < nes::kScreenHeight; ++line, line_out += nes::kScreenWidth) {
      std::array<uint8_t, nes::kScreenWidth> line_grey;
      nes::ppu::draw_line(s, cart, sprites, line, line_grey.data(), kLuma);
      for (size_t x = 0; x < nes::kScreenWidth; ++x) {
        line_out[x] = merge ? std::max(line_out[x], line_grey[x]) : line_grey[x];
      }
    }
    if (out != nullptr) resize_(grey_.data(), out);
  }

 private:
  int top_;
  AreaResize resize_;
  std::array<uint8_t, static_cast<size_t>(nes::kScreenWidth* nes::kScreenHeight)> grey_{};
};

}  // namespace warpzone::smb
