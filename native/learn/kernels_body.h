// The loops of `Kernels`, compiled once for each instruction set: the file that includes this one
// sets WARPZONE_VECTOR_BYTES and more, and the build its compiler options.
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

#include "learn/product_body.h"

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

// ln x of a positive x: of its power of two, and of what is left, from 1/√2 to √2, by the series of
// the inverse hyperbolic tangent, of which the term after these is below 1e-9.
inline float logarithm(float x) {
  constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  constexpr int32_t kRoot = 0x3F3504F3;  // the bits of 1/√2
  int32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  const int32_t power = (bits - kRoot) >> 23;
  bits -= static_cast<int32_t>(static_cast<uint32_t>(power) << 23);
  float rest;
  memcpy(&rest, &bits, sizeof(rest));
  const float s = (rest - 1) / (rest + 1), square = s * s;
  float series = 1.0F / 9;
  series = series * square + 1.0F / 7;
  series = series * square + 1.0F / 5;
  series = series * square + 1.0F / 3;
  const float e = static_cast<float>(power);
  const float found = e * kLn2High + (2 * s + (2 * s * square * series + e * kLn2Low));
  return x == x ? found : x;
}

// Of several samples at once, side by side: `logits` and `out` are [actions][kLossRows].
void log_softmax_columns(const float* logits, size_t actions, float* out) {
  float top[kLossRows], sum[kLossRows];
  for (size_t i = 0; i < kLossRows; ++i) {
    top[i] = logits[i];
    sum[i] = 0;
  }
  for (size_t j = 1; j < actions; ++j) {
    for (size_t i = 0; i < kLossRows; ++i) {
      const float value = logits[j * kLossRows + i];
      top[i] = value > top[i] ? value : top[i];
    }
  }
  for (size_t j = 0; j < actions; ++j) {
    for (size_t i = 0; i < kLossRows; ++i) {
      sum[i] += exponential(logits[j * kLossRows + i] - top[i]);
    }
  }
  for (size_t i = 0; i < kLossRows; ++i) sum[i] = top[i] + logarithm(sum[i]);
  for (size_t j = 0; j < actions; ++j) {
    for (size_t i = 0; i < kLossRows; ++i) {
      out[j * kLossRows + i] = logits[j * kLossRows + i] - sum[i];
    }
  }
}

// What `other` loses by `log_probs`, and the mass of `other`, which is 1 but for rounding: for each
// column KL = sum of q (log q - log p). `probs` becomes q.
void divergence(const float* other, const float* log_probs, size_t actions, float* probs, float* kl,
                float* mass) {
  for (size_t i = 0; i < kLossRows; ++i) kl[i] = mass[i] = 0;
  for (size_t j = 0; j < actions; ++j) {
    for (size_t i = 0; i < kLossRows; ++i) {
      const size_t at = j * kLossRows + i;
      const float q = exponential(other[at]);
      probs[at] = q;
      kl[i] += q * (other[at] - log_probs[at]);
      mass[i] += q;
    }
  }
}

void losses(const Objective& objective, const Sample* samples, size_t count, size_t actions,
            float total, float* outputs, size_t stride, float* scratch, Losses& sums) {
  const size_t size = actions * kLossRows;
  float* const logits = scratch;  // later their gradients
  float* const log_probs = scratch + size;
  float* const probs = scratch + 2 * size;
  float* const other = scratch + 3 * size;  // log-probabilities of the policy that played
  float* const other_probs = scratch + 4 * size;
  float ratio[kLossRows], pull[kLossRows], entropy[kLossRows], kl[kLossRows], mass[kLossRows];
  const float lowest = 1 - objective.clip, highest = 1 + objective.clip;
  for (size_t i = 0; i < kLossRows; ++i) {
    const size_t row = i < count ? i : 0;  // what has no sample of its own is not looked at
    for (size_t j = 0; j < actions; ++j) {
      logits[j * kLossRows + i] = outputs[row * stride + j];
      other[j * kLossRows + i] = samples[row].old_log_probs[j];
    }
  }
  log_softmax_columns(logits, actions, log_probs);
  for (size_t at = 0; at < size; ++at) probs[at] = exponential(log_probs[at]);
  for (size_t i = 0; i < kLossRows; ++i) entropy[i] = 0;
  for (size_t j = 0; j < actions; ++j) {
    for (size_t i = 0; i < kLossRows; ++i) {
      entropy[i] -= probs[j * kLossRows + i] * log_probs[j * kLossRows + i];
    }
  }
  divergence(other, log_probs, actions, other_probs, kl, mass);

  // The surrogate objective, and `pull`, its derivative by the action's log-probability (Schulman
  // et al. 2017, eq. 7 and 8).
  for (size_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(samples[i].action) * kLossRows + i;
    ratio[i] = log_probs[at] - other[at];
  }
  for (size_t i = count; i < kLossRows; ++i) ratio[i] = 0;
  for (size_t i = 0; i < kLossRows; ++i) ratio[i] = exponential(ratio[i]);
  for (size_t i = 0; i < count; ++i) {
    const float advantage = samples[i].advantage, gain = ratio[i] * advantage;
    const bool beyond = ratio[i] < lowest || ratio[i] > highest;
    const float clipped = (ratio[i] < 1 ? lowest : highest) * advantage;
    const bool held = objective.clipped && beyond && clipped < gain;
    pull[i] = held ? 0.0F : gain * objective.policy;
    sums.policy += objective.clipped ? -(held ? clipped : gain) : objective.beta * kl[i] - gain;
    sums.entropy += entropy[i];
    sums.kl += kl[i];
    sums.clipped += beyond ? 1 : 0;
  }
  for (size_t i = count; i < kLossRows; ++i) pull[i] = 0;

  // By the logits: of log π(a) it is 1[a] - π, of KL(q ‖ π) it is π - q, of the entropy
  // -π (log π + H).
  const float penalty = objective.clipped ? 0.0F : objective.policy * objective.beta;
  for (size_t j = 0; j < actions; ++j) {
    for (size_t i = 0; i < kLossRows; ++i) {
      const size_t at = j * kLossRows + i;
      logits[at] = pull[i] * probs[at] + penalty * (probs[at] * mass[i] - other_probs[at]) +
                   objective.entropy * probs[at] * (log_probs[at] + entropy[i]);
    }
  }
  for (size_t i = 0; i < count; ++i) {
    logits[static_cast<size_t>(samples[i].action) * kLossRows + i] -= pull[i];
  }

  if (samples[0].distillation != nullptr) {
    for (size_t i = 0; i < kLossRows; ++i) {
      for (size_t j = 0; j < actions; ++j) {
        other[j * kLossRows + i] = samples[i < count ? i : 0].distillation[j];
      }
    }
    divergence(other, log_probs, actions, other_probs, kl, mass);
    for (size_t i = 0; i < kLossRows; ++i) {
      const float mask = i < count ? samples[i].distillation_mask : 0.0F;
      if (i < count) sums.distillation_kl += mask * kl[i];
      pull[i] = objective.distillation * mask;
    }
    for (size_t j = 0; j < actions; ++j) {
      for (size_t i = 0; i < kLossRows; ++i) {
        const size_t at = j * kLossRows + i;
        logits[at] += pull[i] * (probs[at] * mass[i] - other_probs[at]);
      }
    }
  }

  for (size_t i = 0; i < count; ++i) {
    float* const row = outputs + i * stride;
    for (size_t j = 0; j < actions; ++j) row[j] = logits[j * kLossRows + i] / total;
    const float error = row[actions] - samples[i].target;
    row[actions] = 2 * objective.value * error / total;
    sums.value += error * error;
  }
}

constexpr Kernels kKernels = {
    WARPZONE_KERNELS_NAME, sum_rows, sizeof(Number), pack_rows, pack_columns, product, relu,
    relu_gradient,         add_rows, sum_of_squares, adam,      losses};

}  // namespace
}  // namespace warpzone::learn
