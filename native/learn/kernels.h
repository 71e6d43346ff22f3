// The inner loops of learning, once for each instruction set. Sums are taken in an order that
// depends on the set, never on the number of threads.
//
// Includes nothing that defines functions: what is compiled for one processor must not be taken by
// the linker for another.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace warpzone::learn {

// A scaled row of a matrix, in a sum of such.
struct Term {
  uint32_t row;
  float factor;
};

// What an update wants of the policy.
struct Objective {
  bool clipped = true;  // else the KL penalty
  float clip = 0.2F, beta = 1.0F;
  float policy = 1.0F, value = 0.5F, entropy = 0.01F, distillation = 0.0F;
};

// What is known of one sample of a rollout.
struct Sample {
  int64_t action;
  float advantage, target;
  const float* old_log_probs;      // of all actions
  const float* distillation;       // log-probabilities of all actions; nullptr: none
  float distillation_mask = 0.0F;  // 1 where there is somebody to imitate
};

// Sums over samples, with the names that the trainer's losses have.
struct Losses {
  double policy = 0, value = 0, entropy = 0, kl = 0, clipped = 0, distillation_kl = 0;
};

// Samples whose losses are computed at once.
constexpr size_t kLossRows = 32;

struct AdamStep {
  float rate;        // learning rate / (1 - beta1^t)
  float correction;  // 1 / sqrt(1 - beta2^t)
  float epsilon, beta1, beta2;
  float scale;  // of the gradient, to its greatest norm
};

struct Kernels {
  const char* name;

  // out[j] = start[j] + sum of factor · rows[row · stride + j] over the terms, for j < width.
  void (*sum_rows)(const Term* terms, size_t count, const float* rows, size_t stride,
                   const float* start, size_t width, float* out);

  // c[i][j] = start[j] + sum over k of a[i · a_row + k · a_column] · b[k · b_row + j];
  // no `start`: 0. For i < m, j < n, k < depth.
  void (*product)(size_t m, size_t n, size_t depth, const float* a, size_t a_row, size_t a_column,
                  const float* b, size_t b_row, const float* start, float* c, size_t c_row);

  // values[j] = max(0, values[j]); what is not a number stays so, and training tells of it.
  void (*relu)(float* values, size_t count);

  // gradient[j] = 0 where output[j] is not above 0.
  void (*relu_gradient)(const float* outputs, float* gradient, size_t count);

  // sums[j] += sum of rows[i][j] over i.
  void (*add_rows)(const float* rows, size_t count, size_t width, float* sums);

  float (*sum_of_squares)(const float* values, size_t count);

  // Kingma & Ba 2015, algorithm 1. No gradient: 0.
  void (*adam)(const AdamStep& step, const float* gradient, size_t count, float* values,
               float* first, float* second);

  // Makes of rows of outputs, logits and then the value, at most kLossRows, their gradients of the
  // mean over `total` samples, and adds to the losses. All or none of the samples have somebody to
  // imitate. `scratch` has room for 5 · actions · kLossRows values.
  void (*losses)(const Objective& objective, const Sample* samples, size_t count, size_t actions,
                 float total, float* outputs, size_t stride, float* scratch, Losses& sums);

  // Log-probabilities of the logits.
  void (*log_softmax)(const float* logits, size_t actions, float* out);
};

const Kernels* baseline_kernels();
const Kernels* avx2_kernels();  // nullptr: not compiled for this kind of processor
const Kernels* avx512_kernels();

}  // namespace warpzone::learn
