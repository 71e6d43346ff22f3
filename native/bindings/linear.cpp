// The first layers of networks in PyTorch.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <stdexcept>
#include <string>

#include "bindings/rooms.h"
#include "linear/patches.h"
#include "linear/sparse.h"

namespace warpzone::bindings {

using namespace nb::literals;

void bind_linear(nb::module_& m) {
  using Rows = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using Floats = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  using OutVector = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  const auto inputs = [](const Rows& bytes, const Floats& floats) {
    return linear::Inputs{bytes.data(), bytes.shape(1), floats.data(), floats.shape(1)};
  };
  const auto check_layer = [](const Rows& bytes, const Floats& floats, size_t weight_rows,
                              size_t weight_columns, size_t bias, const auto& outputs) {
    const size_t rows = bytes.shape(0);
    if (floats.shape(0) != rows || outputs.shape(0) != rows) {
      throw std::invalid_argument("bytes, floats and outputs must have as many rows");
    }
    if (weight_rows != bytes.shape(1) + floats.shape(1)) {
      throw std::invalid_argument("the layer has weights for " + std::to_string(weight_rows) +
                                  " inputs, these are " + std::to_string(bytes.shape(1)) + " and " +
                                  std::to_string(floats.shape(1)));
    }
    if (weight_columns != bias || outputs.shape(1) != bias) {
      throw std::invalid_argument("weight, bias and outputs must have as many columns");
    }
  };
  m.def(
      "sparse_forward",
      [=](Rows bytes, Floats floats, Floats weight, Vector bias, Out out) {
        check_layer(bytes, floats, weight.shape(0), weight.shape(1), bias.shape(0), out);
        const nb::gil_scoped_release release;
        linear::forward(inputs(bytes, floats), bytes.shape(0), weight.data(), bias.data(),
                        bias.shape(0), out.data());
      },
      "bytes"_a, "floats"_a, "weight"_a, "bias"_a, "out"_a.noconvert(),
      "out = relu(bytes / 255 @ weight[:n] + floats @ weight[n:] + bias), by the inputs not 0.");
  m.def(
      "sparse_backward",
      [=](Rows bytes, Floats floats, Floats out, Floats gradient, Out weight_gradient,
          OutVector bias_gradient) {
        for (const Floats& outputs : {out, gradient}) {
          check_layer(bytes, floats, weight_gradient.shape(0), weight_gradient.shape(1),
                      bias_gradient.shape(0), outputs);
        }
        const nb::gil_scoped_release release;
        linear::backward(inputs(bytes, floats), bytes.shape(0), out.data(), gradient.data(),
                         out.shape(1), weight_gradient.data(), bias_gradient.data());
      },
      "bytes"_a, "floats"_a, "out"_a, "gradient"_a, "weight_gradient"_a.noconvert(),
      "bias_gradient"_a.noconvert(), "Adds to the gradients of weight and bias.");
  using Pictures = nb::ndarray<const uint8_t, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
  using Cut = nb::ndarray<int8_t, nb::c_contig, nb::device::cpu>;
  m.def(
      "cut_patches",
      [](Pictures pictures, size_t high, size_t wide, Cut out) {
        const linear::Patches shape{pictures.shape(1), pictures.shape(2), pictures.shape(3), high,
                                    wide};
        shape.check();
        if (out.size() != pictures.size()) {
          throw std::invalid_argument("pictures and patches must have as many bytes");
        }
        const nb::gil_scoped_release release;
        linear::cut(shape, pictures.data(), pictures.shape(0),
                    reinterpret_cast<uint8_t*>(out.data()));
      },
      "pictures"_a, "high"_a, "wide"_a, "out"_a.noconvert(),
      "out int8[pictures, rows, columns, channels * high * wide] = brightness - 128 of the pixels "
      "of each patch of pictures uint8[pictures, channels, lines, bytes].");
}

}  // namespace warpzone::bindings
