// The network of kind `tiles`: dense layers on bytes, as fractions of 255, and on floats, with a
// head for the policy and one for the value. Its weights are the caller's.
//
// Of some 1,800 inputs few differ from one observation to the next. The first layer takes them as
// differences from a reference observation, whose sums all share: only the weights of inputs that
// differ are read, and of most observations these are some thirty.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "learn/kernels.h"
#include "learn/reference.h"
#include "learn/shape.h"

namespace warpzone::learn {

class Network {
 public:
  Network(Shape shape, const Kernels& kernels) : shape_(std::move(shape)), kernels_(kernels) {
    shape_.check();
    reference_.bytes.assign(shape_.bytes, 0);
    reference_.floats.assign(shape_.floats(), 0.0F);
    for (size_t layer = 1; layer <= shape_.widths.size(); ++layer) {
      packed_.emplace_back(in(layer) * padded(layer), 0.0F);
      starts_.emplace_back(padded(layer), 0.0F);
    }
    base_.resize(shape_.widths[0]);
  }

  const Shape& shape() const { return shape_; }
  const Kernels& kernels() const { return kernels_; }
  const Reference& reference() const { return reference_; }
  float* parameter(size_t index) const { return parameters_[index]; }

  // Layers are counted from the first dense one: 1 to `heads()`, which are the last.
  size_t heads() const { return shape_.widths.size(); }
  size_t in(size_t layer) const { return shape_.widths[layer - 1]; }
  size_t out(size_t layer) const {
    return layer == heads() ? shape_.outputs() : shape_.widths[layer];
  }
  // Of the outputs of a layer in memory.
  size_t padded(size_t layer) const {
    const size_t width = out(layer);
    return layer == heads() ? (width + kPadding - 1) / kPadding * kPadding : width;
  }

  // The weights, by `Shape::parameters`; `pack` whenever they have changed.
  void use(std::vector<float*> parameters) { parameters_ = std::move(parameters); }

  void pack() {
    require_parameters();
    for (size_t layer = 1; layer <= heads(); ++layer) pack_rows(layer, 0, out(layer));
    pack_base();
  }

  // The same for some outputs of one layer; callable by several threads.
  void pack_rows(size_t layer, size_t begin, size_t end) {
    const float* weight = parameters_[2 * layer];
    float* packed = packed_[layer - 1].data();
    const size_t depth = in(layer), stride = padded(layer);
    for (size_t k = 0; k < depth; ++k) {
      for (size_t o = begin; o < end; ++o) packed[k * stride + o] = weight[o * depth + k];
    }
    std::copy(parameters_[2 * layer + 1] + begin, parameters_[2 * layer + 1] + end,
              starts_[layer - 1].begin() + static_cast<ptrdiff_t>(begin));
  }

  // What all observations have in common, and the first layer's bias.
  void pack_base() { sum_base(base_.data()); }

  void sum_base(float* base) const {
    kernels_.sum_rows(reference_.terms.data(), reference_.terms.size(), parameters_[0],
                      shape_.widths[0], parameters_[1], shape_.widths[0], base);
  }

  // Observations are told from this one from now on; `pack` after it.
  void refer_to(Reference reference) { reference_ = std::move(reference); }

  // The inputs that differ from the reference, at most `inputs()`; returns how many.
  size_t differences(const uint8_t* bytes, const float* floats, Term* out) const {
    const uint8_t* const reference = reference_.bytes.data();
    Term* to = out;
    const auto byte = [&](size_t i) {
      const int difference = static_cast<int>(bytes[i]) - static_cast<int>(reference[i]);
      *to = {static_cast<uint32_t>(i), static_cast<float>(difference) / 255.0F};
      to += difference != 0 ? 1 : 0;
    };
    size_t i = 0;
    for (; i + 8 <= shape_.bytes; i += 8) {
      uint64_t these, those;
      std::memcpy(&these, bytes + i, 8);
      std::memcpy(&those, reference + i, 8);
      if (these == those) continue;
      for (size_t k = i; k < i + 8; ++k) byte(k);
    }
    for (; i < shape_.bytes; ++i) byte(i);
    for (size_t k = 0; k < shape_.floats(); ++k) {
      if (floats[k] == reference_.floats[k]) continue;
      *to++ = {static_cast<uint32_t>(shape_.bytes + k), floats[k] - reference_.floats[k]};
    }
    return static_cast<size_t>(to - out);
  }

  // Outputs of a dense layer for some rows: of its inputs [rows][in] to [rows][padded].
  void dense(size_t layer, size_t rows, const float* inputs, float* outputs) const {
    kernels_.product(rows, padded(layer), in(layer), inputs, in(layer), 1,
                     packed_[layer - 1].data(), padded(layer), starts_[layer - 1].data(), outputs,
                     padded(layer));
    if (layer < heads()) kernels_.relu(outputs, rows * padded(layer));
  }

  // Logits [rows][actions] and values [rows] of observations whose rows lie at these distances.
  // Callable by several threads.
  void decide(size_t rows, const uint8_t* bytes, size_t byte_stride, const float* scalars,
              size_t scalar_stride, float* logits, float* values) const {
    require_parameters();
    thread_local std::vector<Term> terms;
    thread_local std::vector<float> floats, activations, outputs;
    terms.resize(shape_.inputs() + 1);
    floats.resize(shape_.floats());
    const size_t widest =
        std::max(padded(heads()), *std::max_element(shape_.widths.begin(), shape_.widths.end()));
    activations.resize(kAtOnce * widest);
    outputs.resize(kAtOnce * widest);
    const size_t width = shape_.widths[0];
    for (size_t first = 0; first < rows; first += kAtOnce) {
      const size_t count = std::min(kAtOnce, rows - first);
      for (size_t i = 0; i < count; ++i) {
        shape_.extend(scalars + (first + i) * scalar_stride, floats.data());
        const size_t differing =
            differences(bytes + (first + i) * byte_stride, floats.data(), terms.data());
        kernels_.sum_rows(terms.data(), differing, parameters_[0], width, base_.data(), width,
                          activations.data() + i * width);
      }
      kernels_.relu(activations.data(), count * width);
      for (size_t layer = 1; layer <= heads(); ++layer) {
        dense(layer, count, activations.data(), outputs.data());
        std::swap(activations, outputs);
      }
      for (size_t i = 0; i < count; ++i) {
        const float* row = activations.data() + i * padded(heads());
        std::copy_n(row, shape_.actions, logits + (first + i) * shape_.actions);
        values[first + i] = row[shape_.actions];
      }
    }
  }

 private:
  // Columns of the heads: whole vectors of any processor.
  static constexpr size_t kPadding = 16;
  static constexpr size_t kAtOnce = 32;

  void require_parameters() const {
    if (parameters_.empty()) throw std::logic_error("the network has no weights yet");
  }

  Shape shape_;
  const Kernels& kernels_;
  Reference reference_;
  std::vector<float*> parameters_;
  std::vector<std::vector<float>> packed_;  // of each dense layer, [in][padded]
  std::vector<std::vector<float>> starts_;  // their biases, padded
  std::vector<float> base_;
};

}  // namespace warpzone::learn
