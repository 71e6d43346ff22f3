// The inner loops of learning, once for each instruction set. Products of matrices are computed in
// float32 or, where a processor can and its kernels are chosen, of bfloat16 numbers. Sums are taken
// in an order that depends on the set, never on the number of threads.
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

// Columns of a panel, and whole vectors of any processor.
constexpr size_t kPanel = 64, kWhole = 16;

// Of the panel that begins at column `begin`.
static inline size_t panel_width(size_t n, size_t begin) {
  const size_t left = n - begin;
  return left >= kPanel ? kPanel : (left + kWhole - 1) / kWhole * kWhole;
}

// Of a packed matrix.
static inline size_t packed_bytes(size_t n, size_t depth, size_t number_bytes) {
  const size_t last = n / kPanel * kPanel;
  const size_t width = last + (last < n ? panel_width(n, last) : 0);
  return width * ((depth + 1) / 2 * 2) * number_bytes;
}

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

  // How the matrix on the right of a product lies in memory: in panels of kPanel columns, one after
  // the other, and in these its rows, in numbers of `number_bytes`. Of two bytes (bfloat16) two
  // rows lie side by side, number by number. The last panel is as wide as `panel_width` says,
  // padded by 0.
  size_t number_bytes;

  // Packs rows `begin` to `end` of a matrix [depth][n], which lie at `rows` and so far apart; with
  // `begin` even.
  void (*pack_rows)(size_t n, size_t depth, size_t begin, size_t end, const float* rows,
                    size_t stride, void* packed);

  // Packs columns `begin` to `end` of a matrix [depth][n], which lie as rows.
  void (*pack_columns)(size_t n, size_t depth, size_t begin, size_t end, const float* columns,
                       size_t stride, void* packed);

  // c[i][j] = start[j] + sum over k of a[i · a_row + k · a_column] · b[k][j], b packed; no `start`:
  // 0. For i < m, j < n, k < depth.
  void (*product)(size_t m, size_t n, size_t depth, const float* a, size_t a_row, size_t a_column,
                  const void* b, const float* start, float* c, size_t c_row);

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
};

const Kernels* baseline_kernels();
const Kernels* avx2_kernels();  // nullptr: not compiled for this kind of processor
const Kernels* avx512_kernels();
const Kernels* bfloat16_kernels();

}  // namespace warpzone::learn
