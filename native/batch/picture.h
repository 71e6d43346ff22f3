// From palette indices to what an agent sees: grey, cropped, resized.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "nes/paint.h"
#include "nes/palette.h"
#include "simd/kernels.h"

namespace warpzone::batch {

// Brightness of each of the 64 colours: Rec. 601 luma of its RGB, rounded, as OpenCV and Pillow do.
inline constexpr std::array<uint8_t, 64> kLuma = [] {
  std::array<uint8_t, 64> luma{};
  for (size_t i = 0; i < 64; ++i) {
    const auto& c = nes::kPalette[i];
    luma[i] = static_cast<uint8_t>((299 * c[0] + 587 * c[1] + 114 * c[2] + 500) / 1000);
  }
  return luma;
}();

// Which old pixels of one direction make up each new one, averaging the area that it covers
// (OpenCV's INTER_AREA), in fixed point: 8 bits of weight.
struct Shares {
  size_t taps = 0;                // the most that one needs
  std::vector<size_t> first;      // [to]
  std::vector<uint32_t> weights;  // [to][taps], each row sums to 256

  Shares(int from, int to) {
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

// Pictures of games as agents get them: the brightness of each pixel, made smaller. Lines are drawn
// when they are needed and never leave the processor's first cache. Serves any number of threads.
template <typename Simd = simd::Best>
class GreyPicture {
 public:
  // `top`: so many lines of the screen are left out.
  GreyPicture(int height, int width, int top = 0) : top_(top), width_(static_cast<size_t>(width)) {
    const Shares rows(nes::kScreenHeight - top_, height), columns(nes::kScreenWidth, width);
    for (size_t y = 0; y < rows.first.size(); ++y) {
      const uint32_t* weights = &rows.weights[y * rows.taps];
      size_t needed = rows.taps;
      while (weights[needed - 1] == 0) --needed;
      const size_t groups = (needed + simd::kDownTaps - 1) / simd::kDownTaps;
      rows_.push_back({rows.first[y], needed, groups, down_.size()});
      down_.resize(down_.size() + groups * simd::kDownTaps);
      std::copy_n(weights, needed, down_.begin() + static_cast<ptrdiff_t>(rows_.back().weights));
    }
    // Eight pixels are made at once, of whole groups of weights: what is too much weighs nothing.
    first_.assign((width_ + 7) / 8 * 8, 0);
    across_groups_ = (columns.taps + simd::kAcrossTaps - 1) / simd::kAcrossTaps;
    across_.assign(first_.size() * across_groups_ * simd::kAcrossTaps, 0);
    for (size_t x = 0; x < width_; ++x) {
      first_[x] = static_cast<uint16_t>(columns.first[x]);
      std::copy_n(&columns.weights[x * columns.taps], columns.taps,
                  &across_[x * across_groups_ * simd::kAcrossTaps]);
    }
  }

  // The frame that has just ended: uint8[height][width]. With `before`, every pixel is the brighter
  // of that state's picture and this one's, which undoes sprites that flicker.
  template <typename S>
  void draw(const S& s, const nes::Cartridge& cart, uint8_t* out, const S* before = nullptr) const {
    Lines<S> lines(s, before, cart, top_);
    // Groups of weights may reach beyond the last column, where they weigh nothing.
    std::array<int16_t, 2 * nes::kScreenWidth + simd::kAcrossTaps> sums;
    std::fill(sums.begin() + nes::kScreenWidth, sums.end(), int16_t{0});
    std::array<uint8_t, nes::kScreenWidth> pixels;
    size_t made_of = 0;  // the one drawing that all lines of the last row show; 0: there is none
    for (const Row& row : rows_) {
      lines.draw_until(row.first + simd::kDownTaps);
      const size_t drawing = row.groups == 1 ? lines.same(row.first, row.lines) : 0;
      if (drawing == 0 || drawing != made_of) {
        sum(lines, row, sums.data());
        Simd::across(sums.data(), first_.data(), across_.data(), across_groups_, pixels.data(),
                     first_.size());
      }
      made_of = drawing;
      std::memcpy(out, pixels.data(), width_);
      out += width_;
    }
  }

 private:
  // What one row of the new picture is made of.
  struct Row {
    size_t first, lines;
    size_t groups;   // of weights
    size_t weights;  // where they begin
  };

  // Brightness less 128, so that weighted sums fit 16 bits.
  static constexpr std::array<uint8_t, 64> kSignedLuma = [] {
    std::array<uint8_t, 64> luma = kLuma;
    for (uint8_t& value : luma) value ^= 0x80;
    return luma;
  }();

  // The last four lines that were drawn; line y is number y % 4.
  template <typename S>
  class Lines {
    using Painter = nes::ppu::Painter<Simd, S>;

   public:
    using Four = std::array<const uint8_t*, simd::kDownTaps>;

    Lines(const S& s, const S* before, const nes::Cartridge& cart, int top)
        : painter_(s, cart, kSignedLuma, top), height_(nes::kScreenHeight - top) {
      if (before != nullptr) other_.emplace(*before, cart, kSignedLuma, top);
    }

    void draw_until(size_t end) {
      for (end = std::min(end, height_); drawn_ < end; ++drawn_) {
        // Four lines show four drawings at most: the one before those is free.
        uint8_t* pixels = painter_.next(buffers_[drawings_ % 4], other_.has_value());
        if (other_) brighten(pixels);
        if (pixels != nullptr) {
          latest_ = pixels;
          ++drawings_;
        }
        lines_[drawn_ % 4] = latest_;
        shown_[drawn_ % 4] = drawings_;
      }
    }

    Four from(size_t first) const {
      return {lines_[first % 4], lines_[(first + 1) % 4], lines_[(first + 2) % 4],
              lines_[(first + 3) % 4]};
    }

    // The number, from 1, of the drawing that all of these lines show; 0 if there are several.
    size_t same(size_t first, size_t count) const {
      return shown_[first % 4] == shown_[(first + count - 1) % 4] ? shown_[first % 4] : 0;
    }

   private:
    void brighten(uint8_t* pixels) {
      typename Painter::Line buffer;
      const uint8_t* others = other_->next(buffer, true);
      for (size_t x = 0; x < nes::kScreenWidth; ++x) {
        const auto a = static_cast<int8_t>(pixels[x]), b = static_cast<int8_t>(others[x]);
        pixels[x] = static_cast<uint8_t>(std::max(a, b));
      }
    }

    Painter painter_;
    std::optional<Painter> other_;
    size_t height_;
    std::array<typename Painter::Line, 4> buffers_;
    Four lines_;
    std::array<size_t, 4> shown_;
    const uint8_t* latest_ = nullptr;
    size_t drawn_ = 0, drawings_ = 0;
  };

  template <typename S>
  void sum(Lines<S>& lines, const Row& row, int16_t* sums) const {
    const uint16_t* weights = &down_[row.weights];
    const auto four = lines.from(row.first);
    if (weights[0] == 256) {  // does not fit a byte
      for (size_t x = 0; x < nes::kScreenWidth; ++x) {
        sums[x] = static_cast<int16_t>(static_cast<int8_t>(four[0][x]) * 256);
      }
      return;
    }
    Simd::template down<false>(four, weights, sums);
    for (size_t group = 1; group < row.groups; ++group) {
      const size_t first = row.first + group * simd::kDownTaps;
      lines.draw_until(first + simd::kDownTaps);
      Simd::template down<true>(lines.from(first), weights + group * simd::kDownTaps, sums);
    }
  }

  int top_;
  size_t width_;
  std::vector<Row> rows_;
  std::vector<uint16_t> down_;
  std::vector<uint16_t> first_;
  std::vector<int16_t> across_;
  size_t across_groups_ = 0;
};

}  // namespace warpzone::batch
