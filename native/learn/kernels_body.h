// The loops of `Kernels`, compiled once for each instruction set: the file that includes this one
// sets WARPZONE_VECTOR_BYTES, and the build its compiler options.
#include <string.h>

#include "learn/kernels.h"

#if !defined(__GNUC__)
#include <math.h>
#endif

namespace warpzone::learn {
namespace {

constexpr size_t kLanes = WARPZONE_VECTOR_BYTES / sizeof(float);

#if defined(__GNUC__)
using Vector = float __attribute__((vector_size(WARPZONE_VECTOR_BYTES)));
using Mask = int32_t __attribute__((vector_size(WARPZONE_VECTOR_BYTES)));
inline float root(float x) { return __builtin_sqrtf(x); }
inline float logarithm(float x) { return __builtin_logf(x); }
#define WARPZONE_UNROLL _Pragma("GCC unroll 32")
#else
struct Vector {
  float lanes[kLanes];
};
inline Vector operator+(Vector a, const Vector& b) {
  for (size_t i = 0; i < kLanes; ++i) a.lanes[i] += b.lanes[i];
  return a;
}
inline Vector& operator+=(Vector& a, const Vector& b) { return a = a + b; }
inline Vector operator*(Vector a, const Vector& b) {
  for (size_t i = 0; i < kLanes; ++i) a.lanes[i] *= b.lanes[i];
  return a;
}
inline Vector operator*(float a, Vector b) {
  for (size_t i = 0; i < kLanes; ++i) b.lanes[i] *= a;
  return b;
}
inline float root(float x) { return sqrtf(x); }
inline float logarithm(float x) { return logf(x); }
#define WARPZONE_UNROLL
#endif

inline Vector load(const float* from) {
  Vector value;
  memcpy(&value, from, sizeof(value));
  return value;
}
inline void store(float* to, Vector value) { memcpy(to, &value, sizeof(value)); }

// e^x within two units of the last place: the exponent of the nearest power of two, and the series
// of what is left, at most ln 2 / 2, of which the term after these is below 6e-9. 0 far below.
inline float exponential(float x) {
  constexpr float kLog2 = 1.44269504F, kLowest = -87.0F, kHighest = 88.0F;
  constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 · 2^23: adding it rounds to whole numbers
  const float bounded = x < kLowest ? kLowest : x > kHighest ? kHighest : x;
  const float rounded = bounded * kLog2 + kRound;
  int32_t bits;
  memcpy(&bits, &rounded, sizeof(bits));
  const float power = rounded - kRound;
  const float rest = (bounded - power * kLn2High) - power * kLn2Low;
  float series = 1.0F / 5040;
  series = series * rest + 1.0F / 720;
  series = series * rest + 1.0F / 120;
  series = series * rest + 1.0F / 24;
  series = series * rest + 1.0F / 6;
  series = series * rest + 0.5F;
  series = series * rest + 1.0F;
  series = series * rest + 1.0F;
  const int32_t exponent = static_cast<int32_t>(static_cast<uint32_t>(bits + 127) << 23);
  float scale;
  memcpy(&scale, &exponent, sizeof(scale));
  const float found = series * scale;
  return x < kLowest ? 0.0F : x == x ? found : x;
}

template <int kVectors>
void sum_block(const Term* terms, size_t count, const float* rows, size_t stride,
               const float* start, float* out) {
  Vector sums[kVectors];
  WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
    sums[v] = load(start + static_cast<size_t>(v) * kLanes);
  }
  for (size_t i = 0; i < count; ++i) {
    const float* row = rows + terms[i].row * stride;
    const float factor = terms[i].factor;
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      sums[v] += factor * load(row + static_cast<size_t>(v) * kLanes);
    }
  }
  WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
    store(out + static_cast<size_t>(v) * kLanes, sums[v]);
  }
}

void sum_rows(const Term* terms, size_t count, const float* rows, size_t stride, const float* start,
              size_t width, float* out) {
  size_t at = 0;
  for (; at + kSumVectors * kLanes <= width; at += kSumVectors * kLanes) {
    sum_block<kSumVectors>(terms, count, rows + at, stride, start + at, out + at);
  }
  for (; at + 4 * kLanes <= width; at += 4 * kLanes) {
    sum_block<4>(terms, count, rows + at, stride, start + at, out + at);
  }
  for (; at + kLanes <= width; at += kLanes) {
    sum_block<1>(terms, count, rows + at, stride, start + at, out + at);
  }
  for (; at < width; ++at) {
    float sum = start[at];
    for (size_t i = 0; i < count; ++i) sum += terms[i].factor * rows[terms[i].row * stride + at];
    out[at] = sum;
  }
}

template <int kRows, int kVectors>
void product_block(size_t depth, const float* a, size_t a_row, size_t a_column, const float* b,
                   size_t b_row, const float* start, float* c, size_t c_row) {
  Vector sums[kRows][kVectors];
  WARPZONE_UNROLL for (int i = 0; i < kRows; ++i) {
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      sums[i][v] = start != nullptr ? load(start + static_cast<size_t>(v) * kLanes) : Vector{};
    }
  }
  for (size_t k = 0; k < depth; ++k, a += a_column, b += b_row) {
    Vector columns[kVectors];
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      columns[v] = load(b + static_cast<size_t>(v) * kLanes);
    }
    WARPZONE_UNROLL for (int i = 0; i < kRows; ++i) {
      const float factor = a[static_cast<size_t>(i) * a_row];
      WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) sums[i][v] += factor * columns[v];
    }
  }
  WARPZONE_UNROLL for (int i = 0; i < kRows; ++i) {
    WARPZONE_UNROLL for (int v = 0; v < kVectors; ++v) {
      store(c + static_cast<size_t>(i) * c_row + static_cast<size_t>(v) * kLanes, sums[i][v]);
    }
  }
}

// Columns that fill `kVectors` vectors, all rows.
template <int kVectors>
void product_columns(size_t m, size_t depth, const float* a, size_t a_row, size_t a_column,
                     const float* b, size_t b_row, const float* start, float* c, size_t c_row) {
  size_t i = 0;
  const auto rows = [&](auto block, size_t count) {
    block(depth, a + i * a_row, a_row, a_column, b, b_row, start, c + i * c_row, c_row);
    i += count;
  };
  while (m - i >= kProductRows) rows(product_block<kProductRows, kVectors>, kProductRows);
  if (m - i >= 4) rows(product_block<4, kVectors>, 4);
  if (m - i >= 2) rows(product_block<2, kVectors>, 2);
  while (m - i >= 1) rows(product_block<1, kVectors>, 1);
}

void product(size_t m, size_t n, size_t depth, const float* a, size_t a_row, size_t a_column,
             const float* b, size_t b_row, const float* start, float* c, size_t c_row) {
  size_t j = 0;
  const auto from = [&start](size_t column) { return start == nullptr ? nullptr : start + column; };
  for (; j + kProductVectors * kLanes <= n; j += kProductVectors * kLanes) {
    product_columns<kProductVectors>(m, depth, a, a_row, a_column, b + j, b_row, from(j), c + j,
                                     c_row);
  }
  for (; j + kLanes <= n; j += kLanes) {
    product_columns<1>(m, depth, a, a_row, a_column, b + j, b_row, from(j), c + j, c_row);
  }
  for (; j < n; ++j) {
    for (size_t i = 0; i < m; ++i) {
      float sum = start == nullptr ? 0.0F : start[j];
      for (size_t k = 0; k < depth; ++k) sum += a[i * a_row + k * a_column] * b[k * b_row + j];
      c[i * c_row + j] = sum;
    }
  }
}

void relu(float* values, size_t count) {
  for (size_t j = 0; j < count; ++j) values[j] = values[j] < 0 ? 0.0F : values[j];
}

void relu_gradient(const float* outputs, float* gradient, size_t count) {
  for (size_t j = 0; j < count; ++j) gradient[j] = outputs[j] > 0 ? gradient[j] : 0.0F;
}

void add_rows(const float* rows, size_t count, size_t width, float* sums) {
  for (size_t i = 0; i < count; ++i, rows += width) {
    for (size_t j = 0; j < width; ++j) sums[j] += rows[j];
  }
}

float sum_of_squares(const float* values, size_t count) {
  Vector sums[4] = {};
  size_t j = 0;
  for (; j + 4 * kLanes <= count; j += 4 * kLanes) {
    WARPZONE_UNROLL for (size_t v = 0; v < 4; ++v) {
      const Vector value = load(values + j + v * kLanes);
      sums[v] += value * value;
    }
  }
  float lanes[kLanes];
  store(lanes, (sums[0] + sums[1]) + (sums[2] + sums[3]));
  float sum = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) sum += lanes[lane];
  for (; j < count; ++j) sum += values[j] * values[j];
  return sum;
}

void adam(const AdamStep& step, const float* gradient, size_t count, float* values, float* first,
          float* second) {
  const AdamStep s = step;
  for (size_t j = 0; j < count; ++j) {
    const float g = gradient == nullptr ? 0.0F : gradient[j] * s.scale;
    first[j] += (1 - s.beta1) * (g - first[j]);
    second[j] = s.beta2 * second[j] + (1 - s.beta2) * g * g;
    values[j] -= s.rate * first[j] / (root(second[j]) * s.correction + s.epsilon);
  }
}

float greatest(const float* values, size_t count) {
  float found = values[0];
  for (size_t j = 1; j < count; ++j) found = values[j] > found ? values[j] : found;
  return found;
}

float sum_of(const float* values, size_t count) {
  float sum = 0;
  for (size_t j = 0; j < count; ++j) sum += values[j];
  return sum;
}

void log_softmax(const float* logits, size_t actions, float* out) {
  const float top = greatest(logits, actions);
  for (size_t j = 0; j < actions; ++j) out[j] = exponential(logits[j] - top);
  const float shift = top + logarithm(sum_of(out, actions));
  for (size_t j = 0; j < actions; ++j) out[j] = logits[j] - shift;
}

void losses(const Objective& objective, const Sample& sample, size_t actions, float samples,
            float* outputs, float* scratch, Losses& sums) {
  float* const log_probs = scratch;
  float* const probs = scratch + actions;
  float* const old_probs = scratch + 2 * actions;
  log_softmax(outputs, actions, log_probs);
  float entropy = 0, kl = 0, old_mass = 0;
  for (size_t j = 0; j < actions; ++j) {
    probs[j] = exponential(log_probs[j]);
    old_probs[j] = exponential(sample.old_log_probs[j]);
  }
  for (size_t j = 0; j < actions; ++j) {
    entropy -= probs[j] * log_probs[j];
    kl += old_probs[j] * (sample.old_log_probs[j] - log_probs[j]);
    old_mass += old_probs[j];
  }

  // The surrogate objective and its derivative by the action's log-probability (Schulman et al.
  // 2017, eq. 7 and 8).
  const auto action = static_cast<size_t>(sample.action);
  const float ratio = exponential(log_probs[action] - sample.old_log_probs[action]);
  const bool beyond = ratio < 1 - objective.clip || ratio > 1 + objective.clip;
  const float gain = ratio * sample.advantage;
  float policy = -gain, pull = gain, penalty = 0;
  if (objective.clipped) {
    const float nearest = ratio < 1 ? 1 - objective.clip : 1 + objective.clip;
    if (beyond && nearest * sample.advantage < gain) {
      policy = -nearest * sample.advantage;
      pull = 0;
    }
  } else {
    policy += objective.beta * kl;
    penalty = objective.policy * objective.beta;
  }
  pull *= objective.policy;

  float imitation = 0, distance = 0, mass = 0;
  if (sample.distillation != nullptr && sample.distillation_mask != 0) {
    imitation = objective.distillation * sample.distillation_mask;
  }

  // By the logits: of log π(a) it is 1[a] - π, of KL(q ‖ π) it is π - q, of the entropy
  // -π (log π + H).
  for (size_t j = 0; j < actions; ++j) {
    outputs[j] = pull * probs[j] + penalty * (probs[j] * old_mass - old_probs[j]) +
                 objective.entropy * probs[j] * (log_probs[j] + entropy);
  }
  outputs[action] -= pull;
  if (sample.distillation != nullptr && sample.distillation_mask != 0) {
    for (size_t j = 0; j < actions; ++j) {
      old_probs[j] = exponential(sample.distillation[j]);
      distance += old_probs[j] * (sample.distillation[j] - log_probs[j]);
      mass += old_probs[j];
    }
    distance *= sample.distillation_mask;
    for (size_t j = 0; j < actions; ++j) {
      outputs[j] += imitation * (probs[j] * mass - old_probs[j]);
    }
  }
  const float error = outputs[actions] - sample.target;
  outputs[actions] = 2 * objective.value * error;
  for (size_t j = 0; j <= actions; ++j) outputs[j] /= samples;

  sums.policy += policy;
  sums.value += error * error;
  sums.entropy += entropy;
  sums.kl += kl;
  sums.clipped += beyond ? 1 : 0;
  sums.distillation_kl += distance;
}

constexpr Kernels kKernels = {
    WARPZONE_KERNELS_NAME, sum_rows, product, relu,       relu_gradient, add_rows,
    sum_of_squares,        adam,     losses,  log_softmax};

}  // namespace
}  // namespace warpzone::learn
