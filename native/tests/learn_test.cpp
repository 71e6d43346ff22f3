// The learner: every kernel does what the first one does, and threads change nothing.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "check.h"
#include "learn/choose.h"
#include "learn/learner.h"
#include "learn/network.h"

namespace {

using namespace warpzone::learn;

struct Rollout {
  std::vector<uint8_t> bytes;
  std::vector<float> scalars, log_probs, advantages, targets, imitated, mask;
  std::vector<int64_t> actions;
  Observations observations;
  Samples samples;
};

Shape small_shape(size_t width) {
  return {37, 5, {{0, 2.0F, 1.0F, -1}, {1, 0.5F, 0.0F, 2}}, {width, 24, 9}, 6};
}

Rollout rollout(const Shape& shape, size_t count) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  Rollout r;
  for (size_t i = 0; i < count * shape.bytes; ++i) {
    r.bytes.push_back(random() % 8 != 0 ? 0 : static_cast<uint8_t>(random()));
  }
  const auto draw = [&](std::vector<float>& to, size_t values) {
    for (size_t i = 0; i < values; ++i) to.push_back(normal(random));
  };
  draw(r.scalars, count * shape.scalars);
  draw(r.advantages, count);
  draw(r.targets, count);
  r.log_probs.assign(count * shape.actions, -std::log(static_cast<float>(shape.actions)));
  r.imitated = r.log_probs;
  for (size_t i = 0; i < count; ++i) {
    r.mask.push_back(static_cast<float>(i % 2));
    r.actions.push_back(static_cast<int64_t>(random() % shape.actions));
  }
  r.observations = {count, r.bytes.data(), r.scalars.data()};
  r.samples = {r.actions.data(), r.log_probs.data(), r.advantages.data(),
               r.targets.data(), r.imitated.data(),  r.mask.data()};
  return r;
}

// The weights after some epochs.
std::vector<float> learnt(const Shape& shape, const Rollout& r, const Kernels& kernels,
                          int threads) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.3F);
  std::vector<std::vector<float>> weights, first, second;
  std::vector<float*> at[3];
  for (const size_t size : shape.parameters()) {
    weights.emplace_back(size);
    for (float& weight : weights.back()) weight = normal(random);
    first.emplace_back(size, 0.0F);
    second.emplace_back(size, 0.0F);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    at[0].push_back(weights[i].data());
    at[1].push_back(first[i].data());
    at[2].push_back(second[i].data());
  }
  Network network(shape, kernels);
  network.use(at[0]);
  network.pack();
  Learner learner(network, threads);
  learner.use(at[1], at[2], 0);
  learner.begin_reading(r.observations);
  learner.read(r.samples);
  std::vector<int64_t> order(r.observations.count);
  std::iota(order.begin(), order.end(), int64_t{0});
  Objective objective;
  objective.distillation = 0.5F;
  for (int i = 0; i < 3; ++i) learner.epoch(order, 150, objective, {1e-2F, 1e-5F, 0.5F});
  std::vector<float> all;
  for (const auto& values : weights) all.insert(all.end(), values.begin(), values.end());
  std::vector<float> logits(70 * shape.actions), values(70);
  network.decide(70, r.bytes.data(), shape.bytes, r.scalars.data(), shape.scalars, logits.data(),
                 values.data());
  all.insert(all.end(), logits.begin(), logits.end());
  all.insert(all.end(), values.begin(), values.end());
  return all;
}

TEST(threads_change_nothing_that_is_learnt) {
  const Shape shape = small_shape(70);
  const Rollout r = rollout(shape, 400);
  const auto one = learnt(shape, r, choose_kernels(""), 1);
  CHECK(one == learnt(shape, r, choose_kernels(""), 3));
  CHECK(std::isfinite(std::accumulate(one.begin(), one.end(), 0.0F)));
}

TEST(every_kernel_learns_the_same_within_rounding) {
  for (const size_t width : {size_t{1}, size_t{33}, size_t{256}}) {
    const Shape shape = small_shape(width);
    const Rollout r = rollout(shape, 210);
    const auto expected = learnt(shape, r, choose_kernels("baseline"), 1);
    for (const Kernels* kernels : available_kernels()) {
      if (kernels->number_bytes != sizeof(float)) continue;
      const auto found = learnt(shape, r, *kernels, 2);
      for (size_t i = 0; i < found.size(); ++i) {
        CHECK(std::fabs(found[i] - expected[i]) < 2e-2F);
      }
    }
  }
}

}  // namespace
