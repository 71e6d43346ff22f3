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

#include "learn/aligned.h"
#include "learn/kernels.h"
#include "learn/reference.h"
#include "learn/shape.h"

namespace warpzone::learn {

class Network {
 public:
  Network(Shape shape, const Kernels& kernels)
      : shape_(std::move(shape)), kernels_(kernels),
        exact_(kernels.number_bytes == sizeof(float) ? kernels : *avx512_kernels()) {
    shape_.check();
    reference_.bytes.assign(shape_.bytes, 0);
    reference_.floats.assign(shape_.floats(), 0.0F);
    for (size_t layer = 1; layer <= heads(); ++layer) {
      const size_t number = kernels_of(layer).number_bytes;
      packed_.emplace_back(packed_bytes(out(layer), in(layer), number) / sizeof(float), 0.0F);
      turned_.emplace_back(packed_bytes(in(layer), out(layer), number) / sizeof(float), 0.0F);
    }
    base_.resize(shape_.widths[0]);
  }

  const Shape& shape() const { return shape_; }
  const Kernels& kernels() const { return kernels_; }
  // Logits and values are products in float32: a step changes them by less than bfloat16 can tell.
  const Kernels& kernels_of(size_t layer) const { return layer == heads() ? exact_ : kernels_; }
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
    return layer == heads() ? (width + kWhole - 1) / kWhole * kWhole : width;
  }

  // The weights, by `Shape::parameters`; `pack` whenever they have changed.
  void use(std::vector<float*> parameters) { parameters_ = std::move(parameters); }

  void pack() {
    require_parameters();
    for (size_t layer = 1; layer <= heads(); ++layer) pack_rows(layer, 0, out(layer));
    pack_base();
  }

  // The same for some outputs of one layer, from an even one on; callable by several threads.
  void pack_rows(size_t layer, size_t begin, size_t end) {
    const Kernels& kernels = kernels_of(layer);
    const float* const weight = parameters_[2 * layer] + begin * in(layer);
    kernels.pack_columns(out(layer), in(layer), begin, end, weight, in(layer),
                         packed_[layer - 1].data());
    kernels.pack_rows(in(layer), out(layer), begin, end, weight, in(layer),
                      turned_[layer - 1].data());
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
    kernels_of(layer).product(rows, out(layer), in(layer), inputs, in(layer), 1,
                              packed_[layer - 1].data(), parameters_[2 * layer + 1], outputs,
                              padded(layer));
    if (layer < heads()) kernels_.relu(outputs, rows * padded(layer));
  }

  // What the gradient of a dense layer's outputs, [rows][padded], makes of its inputs', [rows][in].
  void dense_back(size_t layer, size_t rows, const float* outputs, float* inputs) const {
    kernels_of(layer).product(rows, in(layer), out(layer), outputs, padded(layer), 1,
                              turned_[layer - 1].data(), nullptr, inputs, in(layer));
  }

  // Logits [rows][actions] and values [rows] of observations whose rows lie at these distances.
  // Callable by several threads.
  void decide(size_t rows, const uint8_t* bytes, size_t byte_stride, const float* scalars,
              size_t scalar_stride, float* logits, float* values) const {
    require_parameters();
    thread_local std::vector<Term> terms;
    thread_local Floats floats, activations, outputs;
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
  static constexpr size_t kAtOnce = 32;

  void require_parameters() const {
    if (parameters_.empty()) throw std::logic_error("the network has no weights yet");
  }

  Shape shape_;
  const Kernels& kernels_;
  const Kernels& exact_;
  Reference reference_;
  std::vector<float*> parameters_;
  std::vector<Floats> packed_;  // of each dense layer, [in][out]
  std::vector<Floats> turned_;  // the same, [out][in]
  Floats base_;
};

}  // namespace warpzone::learn
