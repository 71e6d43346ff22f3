// The learner of networks of kind `tiles`.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "batch/decider.h"
#include "bindings/rooms.h"
#include "learn/choose.h"
#include "learn/learner.h"
#include "learn/network.h"

namespace warpzone::bindings {

using namespace nb::literals;
using learn::Descent;
using learn::Learner;
using learn::Losses;
using learn::Network;
using learn::Objective;
using learn::Observations;
using learn::Samples;
using learn::Shape;

namespace {

template <typename T, size_t kDimensions>
using In = nb::ndarray<const T, nb::ndim<kDimensions>, nb::c_contig, nb::device::cpu>;
template <typename T, size_t kDimensions>
using Out = nb::ndarray<T, nb::ndim<kDimensions>, nb::c_contig, nb::device::cpu>;
using Parameter = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Parameters = std::vector<Parameter>;

void require(bool fits, const char* what) {
  if (!fits) throw std::invalid_argument(what);
}

std::vector<float*> pointers(const Shape& shape, const Parameters& arrays) {
  const std::vector<size_t> sizes = shape.parameters();
  require(arrays.size() == sizes.size(), "there must be an array for each parameter");
  std::vector<float*> found;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (arrays[i].size() != sizes[i]) {
      throw std::invalid_argument("parameter " + std::to_string(i) + " has " +
                                  std::to_string(sizes[i]) + " values, not " +
                                  std::to_string(arrays[i].size()));
    }
    found.push_back(arrays[i].data());
  }
  return found;
}

// With the arrays that it works on, which live as long. Decides for batches that play.
struct HeldNetwork : batch::Decider {
  HeldNetwork(Shape shape, const learn::Kernels& kernels) : network(std::move(shape), kernels) {}

  Sizes sizes() const override {
    const Shape& shape = network.shape();
    return {shape.bytes, shape.scalars, shape.actions};
  }

  void decide(size_t rows, const uint8_t* bytes, const float* scalars, float* logits,
              float* values) const override {
    network.decide(rows, bytes, network.shape().bytes, scalars, network.shape().scalars, logits,
                   values);
  }

  Network network;
  Parameters parameters;
};

struct HeldLearner {
  HeldLearner(HeldNetwork& held, int threads)
      : held(held), shape(held.network.shape()), learner(held.network, threads) {}
  HeldNetwork& held;
  const Shape& shape;
  Parameters first, second;
  In<uint8_t, 2> bytes;
  In<float, 2> scalars, log_probs;
  In<int64_t, 1> actions;
  In<float, 1> advantages, targets;
  std::optional<In<float, 2>> distillation;
  std::optional<In<float, 1>> distillation_mask;
  size_t count = 0;
  Learner learner;  // last: its threads stop before the arrays go that they read

  size_t numbers() const {
    const std::vector<size_t> sizes = shape.parameters();
    return std::accumulate(sizes.begin(), sizes.end(), size_t{0});
  }

  void check(std::span<const int64_t> chosen) const {
    require(count > 0, "there are no samples: read them first");
    require(!first.empty(), "there are no moments: use them first");
    require(!chosen.empty() && std::all_of(chosen.begin(), chosen.end(),
                                           [this](int64_t sample) {
                                             return sample >= 0 &&
                                                    sample < static_cast<int64_t>(count);
                                           }),
            "samples that are not there");
  }
};

nb::dict to_python(const Losses& losses, bool distillation) {
  nb::dict found;
  found["losses/policy_loss"] = losses.policy;
  found["losses/value_loss"] = losses.value;
  found["losses/entropy"] = losses.entropy;
  found["losses/kl"] = losses.kl;
  found["losses/clipfrac"] = losses.clipped;
  if (distillation) found["losses/distillation_kl"] = losses.distillation_kl;
  return found;
}

}  // namespace

void bind_learn(nb::module_& m) {
  m.def(
      "learn_kernels",
      [] {
        std::vector<std::string> names;
        for (const learn::Kernels* kernels : learn::available_kernels()) {
          names.emplace_back(kernels->name);
        }
        return names;
      },
      "Names of the loops that this processor can run, the fastest first.");

  nb::class_<Objective>(m, "Objective", "What an update wants of the policy.")
      .def(nb::init<>())
      .def_rw("clipped", &Objective::clipped)
      .def_rw("clip", &Objective::clip)
      .def_rw("beta", &Objective::beta)
      .def_rw("policy", &Objective::policy)
      .def_rw("value", &Objective::value)
      .def_rw("entropy", &Objective::entropy)
      .def_rw("distillation", &Objective::distillation);

  nb::class_<HeldNetwork, batch::Decider>(m, "Network",
                                          "Dense layers on few inputs that are not as always.")
      .def(
          "__init__",
          [](HeldNetwork* self, size_t bytes, size_t scalars, const In<uint32_t, 1>& columns,
             const In<float, 1>& scales, const In<float, 1>& centres, const In<int32_t, 1>& present,
             std::vector<size_t> widths, size_t actions, const std::string& kernels) {
            require(scales.size() == columns.size() && centres.size() == columns.size() &&
                        present.size() == columns.size(),
                    "features need a column, scale, centre and presence each");
            Shape shape{bytes, scalars, {}, std::move(widths), actions};
            for (size_t i = 0; i < columns.size(); ++i) {
              shape.features.push_back(
                  {columns.data()[i], scales.data()[i], centres.data()[i], present.data()[i]});
            }
            new (self) HeldNetwork(std::move(shape), learn::choose_kernels(kernels));
          },
          "bytes"_a, "scalars"_a, "columns"_a, "scales"_a, "centres"_a, "present"_a, "widths"_a,
          "actions"_a, "kernels"_a = "",
          "Raises ValueError for a shape that makes no sense, or kernels that there are not here.")
      .def_prop_ro("kernels", [](const HeldNetwork& self) { return self.network.kernels().name; })
      .def(
          "use",
          [](HeldNetwork& self, Parameters parameters) {
            self.network.use(pointers(self.network.shape(), parameters));
            self.parameters = std::move(parameters);
          },
          "parameters"_a.noconvert(),
          "Takes the weights, which stay the caller's: of the first layer, [inputs][width], and "
          "its bias; of each other and of the heads, [out][in] and bias. `pack`, `refer_to` or a "
          "learner's `read` after it, and whenever they have changed.")
      .def(
          "pack",
          [](HeldNetwork& self) {
            require(!self.parameters.empty(), "the network has no weights yet");
            self.network.pack();
          },
          "Takes note of weights that have changed.")
      .def(
          "refer_to",
          [](HeldNetwork& self, const In<uint8_t, 2>& bytes, const In<float, 2>& scalars) {
            const Shape& shape = self.network.shape();
            require(bytes.shape(1) == shape.bytes && scalars.shape(1) == shape.scalars &&
                        scalars.shape(0) == bytes.shape(0),
                    "arrays that do not fit the network or each other");
            require(!self.parameters.empty(), "the network has no weights yet");
            self.network.refer_to(
                learn::common(shape, bytes.shape(0), bytes.data(), scalars.data()));
            self.network.pack();
          },
          "bytes"_a, "scalars"_a,
          "What these observations have in common need not be computed for each. Changes the "
          "results within rounding.")
      .def(
          "decide",
          [](const HeldNetwork& self, const In<uint8_t, 2>& bytes, const In<float, 2>& scalars,
             const Out<float, 2>& logits, const Out<float, 1>& values) {
            const Shape& shape = self.network.shape();
            const size_t rows = bytes.shape(0);
            require(bytes.shape(1) == shape.bytes && scalars.shape(1) == shape.scalars &&
                        logits.shape(1) == shape.actions && scalars.shape(0) == rows &&
                        logits.shape(0) == rows && values.shape(0) == rows,
                    "arrays that do not fit the network or each other");
            const nb::gil_scoped_release release;
            self.decide(rows, bytes.data(), scalars.data(), logits.data(), values.data());
          },
          "bytes"_a, "scalars"_a, "logits"_a.noconvert(), "values"_a.noconvert(),
          "Logits and values of observations.");

  nb::class_<HeldLearner>(m, "Learner", "Gradient steps of PPO on a network.")
      .def(nb::init<HeldNetwork&, int>(), "network"_a, "threads"_a, nb::keep_alive<1, 2>())
      .def(
          "use",
          [](HeldLearner& self, Parameters first, Parameters second, int64_t steps) {
            self.learner.use(pointers(self.shape, first), pointers(self.shape, second), steps);
            self.first = std::move(first);
            self.second = std::move(second);
          },
          "first"_a.noconvert(), "second"_a.noconvert(), "steps"_a,
          "Takes Adam's moments, which stay the caller's, and how many steps it has made.")
      .def_prop_ro("steps", [](const HeldLearner& self) { return self.learner.steps(); })
      .def(
          "begin_reading",
          [](HeldLearner& self, const In<uint8_t, 2>& bytes, const In<float, 2>& scalars) {
            const size_t count = bytes.shape(0);
            require(!self.held.parameters.empty(), "the network has no weights yet");
            require(count > 0 && bytes.shape(1) == self.shape.bytes && scalars.shape(0) == count &&
                        scalars.shape(1) == self.shape.scalars,
                    "arrays that do not fit the network or each other");
            self.count = 0;
            {
              const nb::gil_scoped_release release;
              self.learner.begin_reading({count, bytes.data(), scalars.data()});
            }
            self.bytes = bytes;
            self.scalars = scalars;
          },
          "bytes"_a, "scalars"_a,
          "Begins to take in a rollout's observations, [B, ...], in the other threads: they stay "
          "the caller's, and as they are until `read`.")
      .def(
          "read",
          [](HeldLearner& self, const In<int64_t, 1>& actions, const In<float, 2>& log_probs,
             const In<float, 1>& advantages, const In<float, 1>& targets,
             const std::optional<In<float, 2>>& distillation,
             const std::optional<In<float, 1>>& distillation_mask) {
            require(self.bytes.is_valid(), "there are no observations: begin reading them first");
            const size_t count = self.bytes.shape(0), known = self.shape.actions;
            require(actions.size() == count && log_probs.shape(0) == count &&
                        log_probs.shape(1) == known && advantages.size() == count &&
                        targets.size() == count,
                    "arrays that do not fit the network or each other");
            require(distillation.has_value() == distillation_mask.has_value() &&
                        (!distillation ||
                         (distillation->shape(0) == count && distillation->shape(1) == known &&
                          distillation_mask->size() == count)),
                    "arrays of distillation that do not fit");
            require(std::all_of(actions.data(), actions.data() + count,
                                [known](int64_t action) {
                                  return action >= 0 && action < static_cast<int64_t>(known);
                                }),
                    "actions that are not there");
            self.count = count;
            self.actions = actions;
            self.log_probs = log_probs;
            self.advantages = advantages;
            self.targets = targets;
            self.distillation = distillation;
            self.distillation_mask = distillation_mask;
            const Samples samples{actions.data(),
                                  log_probs.data(),
                                  advantages.data(),
                                  targets.data(),
                                  distillation ? distillation->data() : nullptr,
                                  distillation ? distillation_mask->data() : nullptr};
            const nb::gil_scoped_release release;
            self.learner.read(samples);
          },
          "actions"_a, "log_probs"_a, "advantages"_a, "targets"_a, "distillation"_a = nb::none(),
          "distillation_mask"_a = nb::none(),
          "Takes in what else is known of the observations' samples, [B, ...], which stay the "
          "caller's.")
      .def(
          "epochs",
          [](HeldLearner& self, const In<int64_t, 2>& orders, size_t minibatch,
             const Objective& objective, float rate, float epsilon, std::optional<float> max_norm) {
            self.check({orders.data(), orders.size()});
            require(minibatch > 0, "a minibatch needs samples");
            Losses losses;
            {
              const nb::gil_scoped_release release;
              for (size_t i = 0; i < orders.shape(0); ++i) {
                const size_t count = orders.shape(1);
                losses = self.learner.epoch({orders.data() + i * count, count}, minibatch,
                                            objective, Descent{rate, epsilon, max_norm});
              }
            }
            return to_python(losses, self.distillation.has_value());
          },
          "orders"_a, "minibatch"_a, "objective"_a, "rate"_a, "epsilon"_a, "max_norm"_a,
          "Makes a gradient step for each `minibatch` of the samples of each of `orders`, "
          "[E, B]; returns the sums of their mean losses in the last one.")
      .def(
          "differentiate",
          [](HeldLearner& self, const In<int64_t, 1>& chosen, const Objective& objective,
             size_t total, const Out<float, 1>& out) {
            if (chosen.size() > 0) self.check({chosen.data(), chosen.size()});
            require(total > 0 && chosen.size() <= total, "a part of no samples, or of fewer");
            require(out.size() == self.numbers(), "an array that does not fit the network");
            Losses losses;
            {
              const nb::gil_scoped_release release;
              losses = self.learner.differentiate({chosen.data(), chosen.size()}, objective, total);
              float* to = out.data();
              for (const learn::Floats& values : self.learner.gradients()) {
                to = std::copy(values.begin(), values.end(), to);
              }
            }
            return to_python(losses, self.distillation.has_value());
          },
          "chosen"_a, "objective"_a, "total"_a, "out"_a.noconvert(),
          "Writes to `out`, [parameters], what some of a minibatch's `total` samples, be it none, "
          "add to the gradients of its mean loss; returns what they add to its mean losses.")
      .def(
          "descend",
          [](HeldLearner& self, const In<float, 1>& gradients, float rate, float epsilon,
             std::optional<float> max_norm) {
            require(!self.first.empty(), "there are no moments: use them first");
            require(gradients.size() == self.numbers(), "an array that does not fit the network");
            const nb::gil_scoped_release release;
            self.learner.descend({gradients.data(), gradients.size()},
                                 Descent{rate, epsilon, max_norm});
          },
          "gradients"_a, "rate"_a, "epsilon"_a, "max_norm"_a,
          "Makes one gradient step with gradients [parameters] that were summed elsewhere.")
      .def(
          "end_epoch", [](HeldLearner& self) { self.learner.end_epoch(); },
          "To be called after the last `descend` of an epoch.")
      .def(
          "gradients",
          [](HeldLearner& self, const In<int64_t, 1>& chosen, const Objective& objective) {
            self.check({chosen.data(), chosen.size()});
            const Losses losses =
                self.learner.differentiate({chosen.data(), chosen.size()}, objective);
            nb::list found;
            for (const learn::Floats& values : self.learner.gradients()) {
              auto* copy = new std::vector<float>(values.begin(), values.end());
              const nb::capsule owner(
                  copy, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
              found.append(
                  nb::ndarray<nb::numpy, float, nb::ndim<1>>(copy->data(), {copy->size()}, owner));
            }
            return nb::make_tuple(to_python(losses, self.distillation.has_value()), found);
          },
          "chosen"_a, "objective"_a,
          "The mean losses of some samples, and the gradient of each parameter, flat.")
      .def(
          "take_seconds",
          [](HeldLearner& self) {
            const learn::Seconds s = self.learner.take_seconds();
            nb::dict found;
            found["gather"] = s.gather;
            found["forward"] = s.forward;
            found["losses"] = s.losses;
            found["backward"] = s.backward;
            found["gradients"] = s.gradients;
            found["optimise"] = s.optimise;
            found["wall"] = s.wall;
            return found;
          },
          "What time was spent on since the last call, summed over threads; `wall` is not.");
}

}  // namespace warpzone::bindings
