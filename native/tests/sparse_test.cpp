// The layer that reads only what is set, against the obvious sums over everything.
#include "linear/sparse.h"

#include <cmath>
#include <limits>
#include <random>

#include "check.h"

namespace linear = warpzone::linear;

namespace {

struct Layer {
  size_t bytes_each, floats_each, hidden, rows;
  std::vector<uint8_t> bytes;
  std::vector<float> floats, weight, bias, gradient;

  size_t inputs() const { return bytes_each + floats_each; }
  linear::Inputs first() const { return {bytes.data(), bytes_each, floats.data(), floats_each}; }
  double input(size_t row, size_t i) const {
    return i < bytes_each ? bytes[row * bytes_each + i] / 255.0
                          : floats[row * floats_each + i - bytes_each];
  }
};

// Row 0 is empty, row 1 set everywhere, of the others a twentieth.
Layer random_layer(size_t bytes_each, size_t floats_each, size_t hidden, std::mt19937& random) {
  Layer layer{bytes_each, floats_each, hidden, 5, {}, {}, {}, {}, {}};
  std::normal_distribution<float> normal;
  for (size_t row = 0; row < layer.rows; ++row) {
    const auto set = [&] { return row == 1 || (row > 1 && random() % 20 == 0); };
    for (size_t i = 0; i < bytes_each; ++i) {
      layer.bytes.push_back(set() ? static_cast<uint8_t>(1 + random() % 255) : uint8_t{0});
    }
    for (size_t i = 0; i < floats_each; ++i) layer.floats.push_back(set() ? normal(random) : 0.0F);
  }
  for (size_t i = 0; i < layer.inputs() * hidden; ++i) layer.weight.push_back(normal(random));
  for (size_t h = 0; h < hidden; ++h) layer.bias.push_back(normal(random));
  for (size_t i = 0; i < layer.rows * hidden; ++i) layer.gradient.push_back(normal(random));
  return layer;
}

bool close(float found, double expected, double size) {
  return std::abs(found - expected) <= 1e-5 * (1 + size);
}

std::vector<float> forward(const Layer& layer) {
  std::vector<float> out(layer.rows * layer.hidden, -1.0F);
  linear::forward(layer.first(), layer.rows, layer.weight.data(), layer.bias.data(), layer.hidden,
                  out.data());
  return out;
}

// Calls `check` with layers of all sorts: widths that fill registers and that do not, counts of
// bytes that fill words and that do not.
template <typename Check>
void with_all_shapes(Check check) {
  std::mt19937 random(1);
  for (const size_t hidden : {1, 7, 63, 64, 65, 128, 192, 200}) {
    for (const size_t bytes_each : {0, 1, 7, 8, 13, 200}) {
      for (const size_t floats_each : {0, 1, 30}) {
        check(random_layer(bytes_each, floats_each, hidden, random));
      }
    }
  }
}

}  // namespace

TEST(what_is_set_is_collected_in_order) {
  std::vector<linear::Entry> entries = {{7, 7.0F}};
  const uint8_t bytes[11] = {0, 255, 0, 0, 0, 0, 0, 51, 0, 0, 102};
  const float floats[3] = {0.0F, -0.5F, -0.0F};
  linear::collect({bytes, 11, floats, 3}, entries);
  CHECK_EQUAL(entries.size(), size_t{4});
  const linear::Entry expected[] = {{1, 1.0F}, {7, 0.2F}, {10, 0.4F}, {12, -0.5F}};
  for (size_t i = 0; i < entries.size(); ++i) {
    CHECK_EQUAL(entries[i].input, expected[i].input);
    CHECK(entries[i].value == expected[i].value);
  }
  linear::collect({bytes, 1, floats, 1}, entries);
  CHECK(entries.empty());
}

TEST(outputs_are_those_of_the_dense_layer) {
  with_all_shapes([](const Layer& layer) {
    const auto out = forward(layer);
    for (size_t row = 0; row < layer.rows; ++row) {
      for (size_t h = 0; h < layer.hidden; ++h) {
        double sum = layer.bias[h], size = std::abs(sum);
        for (size_t i = 0; i < layer.inputs(); ++i) {
          const double term = layer.input(row, i) * layer.weight[i * layer.hidden + h];
          sum += term;
          size += std::abs(term);
        }
        CHECK(close(out[row * layer.hidden + h], std::max(sum, 0.0), size));
      }
    }
  });
}

TEST(gradients_are_those_of_the_dense_layer_and_are_added) {
  with_all_shapes([](const Layer& layer) {
    const auto out = forward(layer);
    std::vector<float> weight(layer.inputs() * layer.hidden, 0.5F), bias(layer.hidden, -2.0F);
    linear::backward(layer.first(), layer.rows, out.data(), layer.gradient.data(), layer.hidden,
                     weight.data(), bias.data());
    for (size_t h = 0; h < layer.hidden; ++h) {
      double of_bias = -2.0;
      for (size_t row = 0; row < layer.rows; ++row) {
        const size_t at = row * layer.hidden + h;
        of_bias += out[at] > 0 ? layer.gradient[at] : 0.0F;
      }
      CHECK(close(bias[h], of_bias, 10));
      for (size_t i = 0; i < layer.inputs(); ++i) {
        double of_weight = 0.5;
        for (size_t row = 0; row < layer.rows; ++row) {
          const size_t at = row * layer.hidden + h;
          of_weight += out[at] > 0 ? layer.input(row, i) * layer.gradient[at] : 0.0;
        }
        CHECK(close(weight[i * layer.hidden + h], of_weight, 10));
      }
    }
  });
}

TEST(nothing_beside_the_outputs_is_written) {
  std::mt19937 random(2);
  for (const size_t hidden : {5, 64, 100, 128}) {
    const Layer layer = random_layer(20, 3, hidden, random);
    std::vector<float> out(layer.rows * hidden + 8, 9.0F);
    linear::forward(layer.first(), layer.rows, layer.weight.data(), layer.bias.data(), hidden,
                    out.data());
    for (size_t i = layer.rows * hidden; i < out.size(); ++i) CHECK(out[i] == 9.0F);
    linear::forward(layer.first(), 0, layer.weight.data(), layer.bias.data(), hidden, out.data());
    CHECK(out[layer.rows * hidden] == 9.0F);
  }
}

TEST(what_is_not_a_number_stays_so_in_every_width) {
  // A run that has diverged must be seen to, not go on with zeros.
  std::mt19937 random(3);
  for (const size_t hidden : {5, 64}) {
    Layer layer = random_layer(16, 2, hidden, random);
    layer.bias[3] = std::numeric_limits<float>::quiet_NaN();
    const auto out = forward(layer);
    for (size_t row = 0; row < layer.rows; ++row) {
      for (size_t h = 0; h < hidden; ++h) CHECK(std::isnan(out[row * hidden + h]) == (h == 3));
    }
  }
}

#if defined(WARPZONE_X86)
TEST(wide_and_plain_kernels_agree) {
  if (warpzone::simd::kProcessor < 2) return;
  std::mt19937 random(4);
  const Layer layer = random_layer(200, 30, 128, random);
  std::vector<linear::Entry> entries;
  linear::collect({layer.bytes.data() + 200, 200, layer.floats.data() + 30, 30}, entries);
  std::vector<float> wide(128), plain(128), wide_weight(layer.weight), plain_weight(layer.weight);
  linear::Avx2::forward(entries, layer.weight.data(), layer.bias.data(), 128, wide.data());
  linear::Plain::forward(entries, layer.weight.data(), layer.bias.data(), 128, plain.data());
  linear::Avx2::backward(entries, layer.gradient.data(), 128, wide_weight.data());
  linear::Plain::backward(entries, layer.gradient.data(), 128, plain_weight.data());
  for (size_t h = 0; h < 128; ++h) CHECK(close(wide[h], plain[h], 100));
  for (size_t i = 0; i < wide_weight.size(); ++i) CHECK(close(wide_weight[i], plain_weight[i], 10));
}
#endif
