// What a network of kind `tiles` reads and how wide its layers are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace warpzone::learn {

// A piecewise-linear feature of a scalar: max(0, 1 - |scalar · scale - centre|), times the scalar
// `present` if that is not negative.
struct Feature {
  uint32_t scalar;
  float scale, centre;
  int32_t present;
};

struct Shape {
  size_t bytes = 0, scalars = 0;  // of an observation
  std::vector<Feature> features;  // inputs after the scalars, made of them
  std::vector<size_t> widths;     // of the hidden layers
  size_t actions = 0;

  size_t floats() const { return scalars + features.size(); }
  size_t inputs() const { return bytes + floats(); }
  size_t outputs() const { return actions + 1; }

  void check() const {
    if (widths.empty() || actions == 0 || inputs() == 0) {
      throw std::invalid_argument("a network needs inputs, a hidden layer and actions");
    }
    for (const Feature& feature : features) {
      if (feature.scalar >= scalars || feature.present >= static_cast<int64_t>(scalars)) {
        throw std::invalid_argument("a feature of a scalar that is not there");
      }
    }
  }

  // How many values each parameter has: weight and bias of the first layer, [inputs][width] and
  // [width]; of the others and of the heads, [out][in] and [out].
  std::vector<size_t> parameters() const {
    std::vector<size_t> sizes = {inputs() * widths[0], widths[0]};
    for (size_t layer = 1; layer < widths.size(); ++layer) {
      sizes.insert(sizes.end(), {widths[layer] * widths[layer - 1], widths[layer]});
    }
    sizes.insert(sizes.end(), {outputs() * widths.back(), outputs()});
    return sizes;
  }

  // All floats of an observation: the scalars, and what is made of them.
  void extend(const float* row, float* floats) const {
    std::copy_n(row, scalars, floats);
    float* to = floats + scalars;
    for (const Feature& f : features) {
      const float value = std::max(0.0F, 1 - std::fabs(row[f.scalar] * f.scale - f.centre));
      *to++ = f.present < 0 ? value : value * row[f.present];
    }
  }
};

}  // namespace warpzone::learn
