// What a batch needs to play by itself: where it writes to, how actions are drawn, and how threads
// share the games among them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch/decider.h"

namespace warpzone::batch {

// Arrays of a caller, for T steps of N games and A actions.
template <typename Signals>
struct PlayArrays {
  size_t steps = 0;                 // T
  std::span<uint8_t> observations;  // [T + 1, N, ...]: what each step was decided on, and the last
  std::span<float> scalars;         // [T + 1, N, ...]
  std::span<int64_t> actions;       // [T, N]
  std::span<float> log_probs;       // [T, N, A], of all actions
  std::span<float> values;          // [T + 1, N]
  // As a batch has them after each step, [T, N] each; where an episode ended, its place too.
  std::span<float> rewards, returns;
  std::span<uint8_t> terminated, truncated, places;
  std::span<Signals> signals;
  // [T, N]: of the last observation of an episode that was cut short, else 0.
  std::span<float> truncated_values;

  // Throws std::invalid_argument.
  void check(size_t games, const Decider::Sizes& sizes) const {
    const auto require = [](size_t size, size_t wanted, const char* name) {
      if (size == wanted) return;
      throw std::invalid_argument(std::string(name) + " holds " + std::to_string(size) +
                                  " numbers, play needs " + std::to_string(wanted));
    };
    if (steps == 0) throw std::invalid_argument("there must be at least one step to play");
    const size_t all = steps * games, with_last = all + games;
    require(observations.size(), with_last * sizes.bytes, "observations");
    require(scalars.size(), with_last * sizes.scalars, "scalars");
    require(actions.size(), all, "actions");
    require(log_probs.size(), all * sizes.actions, "log_probs");
    require(values.size(), with_last, "values");
    require(rewards.size(), all, "rewards");
    require(returns.size(), all, "returns");
    require(terminated.size(), all, "terminated");
    require(truncated.size(), all, "truncated");
    require(places.size(), all, "places");
    require(signals.size(), all, "signals");
    require(truncated_values.size(), all, "truncated_values");
  }
};

// What time was spent on in `play`, summed over threads; `wall` is the caller's.
struct PlaySeconds {
  double step = 0, decide = 0, store = 0, wall = 0;
};

// The random numbers of decisions: whoever makes the decision number d of a run, and whenever,
// draws the same. SplitMix64 (Steele, Lea & Flood 2014), read at any place; `warpzone.noise.gumbel`
// in Python.
class Noise {
 public:
  explicit Noise(uint64_t seed) : key_(mix(seed)) {}

  // Standard Gumbel noise for an action of `actions`.
  float at(uint64_t decision, size_t actions, size_t action) const {
    constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ULL;
    const uint64_t bits = mix(key_ + (decision * actions + action + 1) * kGolden);
    // 23 bits and a half: exact, and neither 0 nor 1.
    const double uniform = (static_cast<double>(bits >> 41) + 0.5) * 0x1.0p-23;
    return static_cast<float>(-std::log(-std::log(uniform)));
  }

  // Draws from the softmax of the logits (https://arxiv.org/abs/1411.0030).
  size_t draw(uint64_t decision, std::span<const float> logits) const {
    size_t best = 0;
    float highest = 0;
    for (size_t a = 0; a < logits.size(); ++a) {
      const float value = logits[a] + at(decision, logits.size(), a);
      if (a > 0 && !(value > highest)) continue;
      best = a;
      highest = value;
    }
    return best;
  }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  uint64_t key_;
};

// Makes log-probabilities of logits.
inline void log_softmax(std::span<float> logits) {
  const float highest = *std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  const float norm = highest + std::log(sum);
  for (float& logit : logits) logit -= norm;
}

// Games in chunks, each of which is played to its end piece by piece, by whichever thread is free.
// The chunk that has come least far is next, so that all threads have work up to the last pieces.
class Pieces {
 public:
  struct Piece {
    size_t chunk;
    size_t begin, end;  // steps
  };

  static constexpr size_t kSteps = 16;  // of a piece

  explicit Pieces(size_t chunks) : chunks_(chunks) {}

  // Nobody may hold a piece.
  void start(size_t steps) {
    steps_ = steps;
    stopped_ = false;
    for (Chunk& chunk : chunks_) chunk = {};
  }

  // The next piece for a thread that has played `done`. Nothing: those who play finish the rest.
  std::optional<Piece> next(const std::optional<Piece>& done) {
    const std::lock_guard lock(mutex_);
    if (done) chunks_[done->chunk] = {done->end, false};
    if (stopped_) return std::nullopt;
    Chunk* found = nullptr;
    for (Chunk& chunk : chunks_) {
      if (chunk.taken || chunk.played == steps_) continue;
      if (found == nullptr || chunk.played < found->played) found = &chunk;
    }
    if (found == nullptr) return std::nullopt;
    found->taken = true;
    return Piece{static_cast<size_t>(found - chunks_.data()), found->played,
                 std::min(found->played + kSteps, steps_)};
  }

  // From now on there is no next piece.
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }

 private:
  struct Chunk {
    size_t played = 0;  // steps
    bool taken = false;
  };

  std::mutex mutex_;
  std::vector<Chunk> chunks_;
  size_t steps_ = 0;
  bool stopped_ = false;
};

}  // namespace warpzone::batch
