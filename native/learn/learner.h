// Gradient steps of PPO on a `Network`: forward, losses, backward, clipping and Adam, by several
// threads, in three phases with a meeting after each.
//
//   play back   a shard of samples each: forward, losses, gradients of all layers' outputs
//   gradients   a block of weights each: its gradient, summed over all samples of the minibatch
//   optimise    a block of weights each: Adam, by the norm of the whole gradient
//
// Where several processes learn together, each takes the first two with samples of its own, and the
// third with the sums over all of them.
//
// Shards and blocks depend on the shapes alone and sums are taken in their order: results do not
// depend on the number of threads, and no gradient is held more than once.
//
// One file because the phases share those shards and blocks, and are read in their order.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "learn/network.h"
#include "learn/seconds.h"
#include "learn/team.h"

namespace warpzone::learn {

// Observations of a rollout, in memory of the caller.
struct Observations {
  size_t count = 0;
  const uint8_t* bytes = nullptr;
  const float* scalars = nullptr;
};

// What else is known of its samples, likewise. No `distillation`: there is nobody to imitate.
struct Samples {
  const int64_t* actions = nullptr;
  const float *log_probs = nullptr, *advantages = nullptr, *targets = nullptr;
  const float *distillation = nullptr, *distillation_mask = nullptr;
};

struct Descent {
  float rate = 0, epsilon = 1e-5F;
  std::optional<float> max_norm;
};

class Learner {
 public:
  Learner(Network& network, int threads) : network_(network), team_(threads) {
    const Shape& shape = network_.shape();
    seen_.assign(shape.inputs(), 0);
    for (size_t i = 0; i < shape.inputs(); i += kInputsPerBlock) {
      blocks_.push_back({0, i, std::min(i + kInputsPerBlock, shape.inputs())});
    }
    for (size_t layer = 1; layer <= network_.heads(); ++layer) {
      for (size_t o = 0; o < network_.out(layer); o += kOutputsPerBlock) {
        blocks_.push_back({layer, o, std::min(o + kOutputsPerBlock, network_.out(layer))});
      }
    }
    for (const size_t size : shape.parameters()) gradients_.emplace_back(size, 0.0F);
    norms_.resize(blocks_.size());
    zeros_.assign(shape.widths[0], 0.0F);
  }

  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  // Adam's moments, by `Shape::parameters`, and the steps that it has made. Again when somebody
  // else has changed them.
  void use(std::vector<float*> first, std::vector<float*> second, int64_t steps) {
    first_ = std::move(first);
    second_ = std::move(second);
    steps_ = steps;
    // What never had a gradient has no moments, and Adam leaves it as it is: it is not even read.
    const size_t width = network_.shape().widths[0];
    for (size_t i = 0; i < seen_.size(); ++i) {
      const auto moves = [&](const float* moments) {
        return std::any_of(moments + i * width, moments + (i + 1) * width,
                           [](float m) { return m != 0; });
      };
      const bool seen = moves(second_[0]) || moves(first_[0]);
      if (!seen && seen_[i] != 0) std::fill_n(&gradients_[0][i * width], width, 0.0F);
      seen_[i] = seen ? 1 : 0;
    }
  }
  int64_t steps() const { return steps_; }

  // Begins to take in what the gradient steps that follow learn from: the other threads do, while
  // the caller goes on with something else. `read` ends it, and until then nothing may change.
  void begin_reading(const Observations& observations) {
    const Watch watch(seconds_.wall);
    team_.finish();
    observations_ = observations;
    const size_t count = observations.count;
    network_.refer_to(common(network_.shape(), count, observations.bytes, observations.scalars));
    network_.pack();
    const size_t parts = (count + kRowsPerPart - 1) / kRowsPerPart;
    parts_.resize(std::max(parts_.size(), parts));
    begins_.resize(std::max(begins_.size(), count));
    beside_.store(team_.threads() > 1, std::memory_order_relaxed);
    team_.start(parts, [this](size_t part) { read_part(part); });
  }

  // Their samples, once `begin_reading` has been called.
  void read(const Samples& samples) {
    const Watch watch(seconds_.wall);
    beside_.store(false, std::memory_order_relaxed);
    team_.finish();
    samples_ = samples;
  }

  // One gradient step for each `minibatch` of the samples `order`; returns the sums of their
  // losses, each a mean over its minibatch.
  Losses epoch(std::span<const int64_t> order, size_t minibatch, const Objective& objective,
               const Descent& descent) {
    Losses sums;
    for (size_t first = 0; first < order.size(); first += minibatch) {
      const auto chosen = order.subspan(first, std::min(minibatch, order.size() - first));
      add(sums, differentiate(chosen, objective));
      descend(descent);
    }
    end_epoch();
    return sums;
  }

  // Sets `gradients` to those of the mean loss of some samples; returns the losses.
  Losses differentiate(std::span<const int64_t> chosen, const Objective& objective) {
    return differentiate(chosen, objective, chosen.size());
  }

  // The same where they are some of `total`: of the sum of their losses, divided by that. There may
  // be none.
  Losses differentiate(std::span<const int64_t> chosen, const Objective& objective, size_t total) {
    const Watch watch(seconds_.wall);
    if (chosen.empty()) {
      for (Floats& gradient : gradients_) std::fill(gradient.begin(), gradient.end(), 0.0F);
      return {};
    }
    chosen_ = chosen;
    total_ = total;
    objective_ = objective;
    const size_t count = (chosen.size() + kRowsPerShard - 1) / kRowsPerShard;
    while (shards_.size() < count) shards_.emplace_back(network_);
    shard_count_ = count;
    make_room(chosen.size());
    team_.run(count, [this](size_t shard) { play_back(shard); });
    sum_biases();
    team_.run(blocks_.size(), [this](size_t block) { sum_gradients(block); });
    Losses losses;
    for (size_t i = 0; i < count; ++i) add(losses, shards_[i].losses);
    const auto n = static_cast<double>(total);
    return {losses.policy / n, losses.value / n,   losses.entropy / n,
            losses.kl / n,     losses.clipped / n, losses.distillation_kl / n};
  }

  // By `Shape::parameters`; those of inputs that were never seen are 0.
  const std::vector<Floats>& gradients() const { return gradients_; }

  // One gradient step with `gradients`, all of them in a row, which are those of the mean loss of
  // all samples of a minibatch, whoever had them. `end_epoch` after the last of an epoch.
  void descend(std::span<const float> gradients, const Descent& descent) {
    {
      const Watch watch(seconds_.wall);
      bias_norm_ = 0;
      size_t at = 0;
      for (size_t i = 0; i < gradients_.size(); ++i) {
        Floats& to = gradients_[i];
        std::copy_n(gradients.data() + at, to.size(), to.data());
        at += to.size();
        if (i % 2 == 1) bias_norm_ += network_.kernels().sum_of_squares(to.data(), to.size());
      }
      team_.run(blocks_.size(), [this](size_t block) { norms_[block] = norm(blocks_[block]); });
    }
    this->descend(descent);
  }

  void end_epoch() { network_.pack_base(); }

  // Seconds since the last call.
  Seconds take_seconds() {
    Seconds taken = std::exchange(seconds_, {});
    for (Shard& shard : shards_) {
      const Seconds s = std::exchange(shard.seconds, {});
      taken.gather += s.gather;
      taken.forward += s.forward;
      taken.losses += s.losses;
      taken.backward += s.backward;
    }
    for (Block& block : blocks_) {
      taken.gradients += std::exchange(block.gradients, 0);
      taken.optimise += std::exchange(block.optimise, 0);
    }
    for (Part& part : parts_) taken.gather += std::exchange(part.seconds, 0);
    return taken;
  }

 private:
  static constexpr size_t kRowsPerShard = kLossRows, kRowsPerPart = 256;
  // Outputs of whole cache lines: threads that write to the same one wait for each other.
  static constexpr size_t kInputsPerBlock = 64, kOutputsPerBlock = 16;
  static constexpr float kBeta1 = 0.9F, kBeta2 = 0.999F;  // torch's defaults

  // Consecutive samples of the rollout: the terms of each, one after the other.
  struct Part {
    std::vector<Term> terms;
    uint32_t end = 0;
    std::vector<float> floats;
    double seconds = 0;
  };

  // Some samples of the minibatch, and what is known of them.
  struct Shard {
    explicit Shard(const Network& network)
        : counts(network.shape().inputs() + 1), base(network.shape().widths[0]),
          scratch(5 * network.shape().actions * kLossRows) {
      for (size_t layer = 0; layer <= network.heads(); ++layer) {
        biases.emplace_back(layer == 0 ? network.shape().widths[0] : network.padded(layer));
      }
    }
    std::vector<uint32_t> counts;  // by input: where its terms begin in `by_input`
    std::vector<Term> by_input;    // a sample of the minibatch, and the input's value in it
    Floats base, scratch;
    std::vector<Sample> samples;
    std::vector<Floats> biases;  // sums of each layer's output gradients
    Losses losses;
    Seconds seconds;
  };

  // Some rows of a layer's weights: inputs of the first, outputs of the others.
  struct Block {
    size_t layer, begin, end;
    std::vector<Term> terms{};
    double gradients = 0, optimise = 0;
  };

  static void add(Losses& sums, const Losses& more) {
    sums.policy += more.policy;
    sums.value += more.value;
    sums.entropy += more.entropy;
    sums.kl += more.kl;
    sums.clipped += more.clipped;
    sums.distillation_kl += more.distillation_kl;
  }

  void read_part(size_t index) {
    Part& part = parts_[index];
    double unused = 0;  // what is done beside the caller's own work costs it no time
    const Watch watch(beside_.load(std::memory_order_relaxed) ? unused : part.seconds);
    const Shape& shape = network_.shape();
    part.floats.resize(shape.floats());
    size_t used = 0;
    const size_t begin = index * kRowsPerPart;
    const size_t end = std::min(begin + kRowsPerPart, observations_.count);
    for (size_t row = begin; row < end; ++row) {
      if (part.terms.size() < used + shape.inputs() + 1) {
        part.terms.resize(2 * part.terms.size() + shape.inputs() + 1);
      }
      begins_[row] = static_cast<uint32_t>(used);
      shape.extend(observations_.scalars + row * shape.scalars, part.floats.data());
      used += network_.differences(observations_.bytes + row * shape.bytes, part.floats.data(),
                                   part.terms.data() + used);
    }
    part.end = static_cast<uint32_t>(used);
  }

  std::span<const Term> terms_of(size_t sample) const {
    const size_t part = sample / kRowsPerPart;
    const bool last = sample + 1 == observations_.count || (sample + 1) % kRowsPerPart == 0;
    const Term* const terms = parts_[part].terms.data();
    return {terms + begins_[sample], terms + (last ? parts_[part].end : begins_[sample + 1])};
  }

  void make_room(size_t rows) {
    if (rows <= room_) return;
    room_ = rows;
    outputs_.clear();
    deltas_.clear();
    packed_.clear();
    for (size_t layer = 0; layer <= network_.heads(); ++layer) {
      const size_t width = layer == 0 ? network_.shape().widths[0] : network_.padded(layer);
      outputs_.emplace_back(rows * width);
      deltas_.emplace_back(rows * width);
      if (layer == network_.heads()) continue;
      const size_t number = network_.kernels_of(layer + 1).number_bytes;
      packed_.emplace_back(packed_bytes(width, rows, number) / sizeof(float));
    }
  }

  void play_back(size_t index) {
    Shard& shard = shards_[index];
    double unused = 0;
    Watch watch(unused);
    const Kernels& kernels = network_.kernels();
    const Shape& shape = network_.shape();
    const size_t begin = index * kRowsPerShard;
    const size_t rows = std::min(kRowsPerShard, chosen_.size() - begin);
    const size_t heads = network_.heads(), width = shape.widths[0];

    // Forward.
    network_.sum_base(shard.base.data());
    float* const first = &outputs_[0][begin * width];
    for (size_t i = 0; i < rows; ++i) {
      const auto terms = terms_of(static_cast<size_t>(chosen_[begin + i]));
      kernels.sum_rows(terms.data(), terms.size(), network_.parameter(0), width, shard.base.data(),
                       width, first + i * width);
    }
    kernels.relu(first, rows * width);
    const auto rows_of = [&](std::vector<Floats>& layers, size_t layer) {
      return &layers[layer][begin * (layer == 0 ? width : network_.padded(layer))];
    };
    for (size_t layer = 1; layer <= heads; ++layer) {
      const float* const inputs = rows_of(outputs_, layer - 1);
      network_.dense(layer, rows, inputs, rows_of(outputs_, layer));
      network_.kernels_of(layer).pack_rows(network_.in(layer), chosen_.size(), begin, begin + rows,
                                           inputs, network_.in(layer), packed_[layer - 1].data());
    }
    watch.lap(shard.seconds.forward);

    // Losses: the outputs of the heads become their gradients.
    shard.losses = {};
    float* const last = rows_of(outputs_, heads);
    shard.samples.clear();
    for (size_t i = 0; i < rows; ++i) {
      shard.samples.push_back(sample(static_cast<size_t>(chosen_[begin + i])));
    }
    kernels.losses(objective_, shard.samples.data(), rows, shape.actions,
                   static_cast<float>(total_), last, network_.padded(heads), shard.scratch.data(),
                   shard.losses);
    watch.lap(shard.seconds.losses);

    // Backward, layer by layer.
    const float* gradient = last;
    for (size_t layer = heads; layer >= 1; --layer) {
      std::fill(shard.biases[layer].begin(), shard.biases[layer].end(), 0.0F);
      kernels.add_rows(gradient, rows, network_.padded(layer), shard.biases[layer].data());
      float* const to = rows_of(deltas_, layer - 1);
      network_.dense_back(layer, rows, gradient, to);
      kernels.relu_gradient(rows_of(outputs_, layer - 1), to, rows * network_.in(layer));
      gradient = to;
    }
    std::fill(shard.biases[0].begin(), shard.biases[0].end(), 0.0F);
    kernels.add_rows(gradient, rows, width, shard.biases[0].data());
    watch.lap(shard.seconds.backward);

    sort_by_input(shard, begin, rows);
    watch.lap(shard.seconds.gather);
  }

  Sample sample(size_t index) const {
    const size_t actions = network_.shape().actions;
    Sample found{samples_.actions[index], samples_.advantages[index], samples_.targets[index],
                 samples_.log_probs + index * actions, nullptr};
    if (samples_.distillation != nullptr) {
      found.distillation = samples_.distillation + index * actions;
      found.distillation_mask = samples_.distillation_mask[index];
    }
    return found;
  }

  // Counting sort of the shard's terms by input.
  void sort_by_input(Shard& shard, size_t begin, size_t rows) {
    std::fill(shard.counts.begin(), shard.counts.end(), 0U);
    for (size_t i = 0; i < rows; ++i) {
      for (const Term& term : terms_of(static_cast<size_t>(chosen_[begin + i]))) {
        ++shard.counts[term.row];
      }
    }
    uint32_t total = 0;
    for (uint32_t& count : shard.counts) {
      total += count;
      count = total;  // its end; filling from behind makes it the begin
    }
    if (shard.by_input.size() < total) shard.by_input.resize(2 * static_cast<size_t>(total));
    for (size_t i = rows; i-- > 0;) {
      for (const Term& term : terms_of(static_cast<size_t>(chosen_[begin + i]))) {
        shard.by_input[--shard.counts[term.row]] = {static_cast<uint32_t>(begin + i), term.factor};
      }
    }
  }

  void sum_biases() {
    bias_norm_ = 0;
    for (size_t layer = 0; layer <= network_.heads(); ++layer) {
      Floats& sums = gradients_[2 * layer + 1];
      std::fill(sums.begin(), sums.end(), 0.0F);
      for (size_t i = 0; i < shard_count_; ++i) {
        network_.kernels().add_rows(shards_[i].biases[layer].data(), 1, sums.size(), sums.data());
      }
      bias_norm_ += network_.kernels().sum_of_squares(sums.data(), sums.size());
    }
  }

  void sum_gradients(size_t index) {
    Block& block = blocks_[index];
    const Watch watch(block.gradients);
    norms_[index] = block.layer == 0 ? sum_first(block) : sum_dense(block);
  }

  // An input's gradient is the sum over the samples in which it differs from the reference, and
  // that of the reference over all.
  double sum_first(Block& block) {
    const Kernels& kernels = network_.kernels();
    const size_t width = network_.shape().widths[0];
    const std::vector<Term>& reference = network_.reference().terms;
    const Floats& all = gradients_[1];
    auto common = std::lower_bound(reference.begin(), reference.end(), block.begin,
                                   [](const Term& term, size_t row) { return term.row < row; });
    double norm = 0;
    for (size_t input = block.begin; input < block.end; ++input) {
      block.terms.clear();
      for (size_t i = 0; i < shard_count_; ++i) {
        const Shard& shard = shards_[i];
        block.terms.insert(block.terms.end(), shard.by_input.begin() + shard.counts[input],
                           shard.by_input.begin() + shard.counts[input + 1]);
      }
      float* const to = &gradients_[0][input * width];
      const float* start = zeros_.data();
      if (common != reference.end() && common->row == input) {
        for (size_t j = 0; j < width; ++j) to[j] = common->factor * all[j];
        start = to;
        ++common;
      }
      if (start != to && block.terms.empty()) {
        if (seen_[input] != 0) std::fill_n(to, width, 0.0F);
        continue;
      }
      seen_[input] = 1;
      kernels.sum_rows(block.terms.data(), block.terms.size(), deltas_[0].data(), width, start,
                       width, to);
      norm += kernels.sum_of_squares(to, width);
    }
    return norm;
  }

  double sum_dense(const Block& block) {
    const size_t layer = block.layer, in = network_.in(layer);
    const bool heads = layer == network_.heads();
    const float* gradient = heads ? outputs_[layer].data() : deltas_[layer].data();
    float* const to = &gradients_[2 * layer][block.begin * in];
    network_.kernels_of(layer).product(block.end - block.begin, in, chosen_.size(),
                                       gradient + block.begin, 1, network_.padded(layer),
                                       packed_[layer - 1].data(), nullptr, to, in);
    return network_.kernels().sum_of_squares(to, (block.end - block.begin) * in);
  }

  // Of a block's gradients, which others have had a part in: inputs that only they have seen move
  // from now on too.
  double norm(const Block& block) {
    const Kernels& kernels = network_.kernels();
    const size_t width = block.layer == 0 ? network_.shape().widths[0] : network_.in(block.layer);
    const float* const gradient = gradients_[2 * block.layer].data();
    if (block.layer == 0) {
      for (size_t input = block.begin; input < block.end; ++input) {
        const float* const row = gradient + input * width;
        if (seen_[input] == 0 && std::any_of(row, row + width, [](float g) { return g != 0; })) {
          seen_[input] = 1;
        }
      }
    }
    return kernels.sum_of_squares(gradient + block.begin * width,
                                  (block.end - block.begin) * width);
  }

  void descend(const Descent& descent) {
    const Watch watch(seconds_.wall);
    ++steps_;
    double squares = bias_norm_;
    for (const double norm : norms_) squares += norm;
    // As torch's clip_grad_norm_.
    const double norm = std::sqrt(squares);
    const double scale = descent.max_norm ? std::min(1.0, *descent.max_norm / (norm + 1e-6)) : 1.0;
    const double steps = static_cast<double>(steps_);
    step_ = {static_cast<float>(descent.rate / (1 - std::pow(kBeta1, steps))),
             static_cast<float>(1 / std::sqrt(1 - std::pow(kBeta2, steps))),
             descent.epsilon,
             kBeta1,
             kBeta2,
             static_cast<float>(scale)};
    for (size_t layer = 0; layer <= network_.heads(); ++layer) {
      const size_t at = 2 * layer + 1;
      optimise(at, 0, gradients_[at].size());
    }
    team_.run(blocks_.size(), [this](size_t block) { optimise_block(block); });
  }

  void optimise(size_t parameter, size_t begin, size_t end) {
    network_.kernels().adam(step_, gradients_[parameter].data() + begin, end - begin,
                            network_.parameter(parameter) + begin, first_[parameter] + begin,
                            second_[parameter] + begin);
  }

  void optimise_block(size_t index) {
    Block& block = blocks_[index];
    const Watch watch(block.optimise);
    if (block.layer == 0) {
      const size_t width = network_.shape().widths[0];
      for (size_t input = block.begin; input < block.end; ++input) {
        if (seen_[input] != 0) optimise(0, input * width, (input + 1) * width);
      }
      return;
    }
    const size_t in = network_.in(block.layer);
    optimise(2 * block.layer, block.begin * in, block.end * in);
    network_.pack_rows(block.layer, block.begin, block.end);
  }

  Network& network_;
  Observations observations_;
  Samples samples_;
  std::vector<Part> parts_;
  std::vector<uint32_t> begins_;  // of each sample's terms in its part
  std::vector<uint8_t> seen_;     // by input: whether it ever had a gradient
  std::atomic<bool> beside_{false};

  std::span<const int64_t> chosen_;
  Objective objective_;
  std::vector<Shard> shards_;
  size_t shard_count_ = 0, total_ = 0, room_ = 0;
  std::vector<Floats> outputs_, deltas_;  // of each layer, [samples][width]
  std::vector<Floats> packed_;            // outputs of all but the heads, as a matrix on the right
  std::vector<Block> blocks_;
  std::vector<double> norms_;  // squares of each block's gradients
  double bias_norm_ = 0;
  Floats zeros_;
  std::vector<Floats> gradients_;

  AdamStep step_{};
  int64_t steps_ = 0;
  std::vector<float*> first_, second_;

  Seconds seconds_;
  Team team_;  // last: its threads stop before what they use goes
};

}  // namespace warpzone::learn
