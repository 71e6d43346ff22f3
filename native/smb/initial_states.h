// Moments within levels at which episodes may begin.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "nes/snapshot.h"
#include "nes/state.h"
#include "random/random.h"
#include "smb/progress.h"
#include "smb/starts.h"

namespace warpzone::smb {

// A moment within a level at which an episode may begin. The frames that led to it are played again
// first: what looks back, a stack of pictures or a speed, then sees what really happened.
struct InitialState {
  nes::State nes;                // before those frames
  std::vector<uint8_t> buttons;  // of each of them
  int32_t level;
  int32_t step;       // agent steps from the level's start to this moment, as it was first played
  Progress progress;  // that they brought: what lies behind is no progress any more
  // Buttons of all frames from the level's start to `nes`; nullopt: it was not reached from there.
  std::optional<std::vector<uint8_t>> prefix;
};

// Whether an episode can begin there, in a level that there is.
inline bool plausible(const InitialState& start) {
  return nes::plausible(start.nes) && start.progress.plausible();
}

// What led to where an episode begins.
enum Origin : uint8_t {
  kPlayed,     // buttons since a level's start
  kCarried,    // the game went on from the episode before
  kVaried,     // what the game counts by was drawn anew within a level
  kElsewhere,  // nobody knows: a user's moment
  kHalted,     // Mario came to a stand within a level
};

// Where an episode begins, if that is not to be drawn.
struct Beginning {
  int32_t level = -1;                  // at the start of this level
  std::optional<InitialState> moment;  // or here
  uint32_t variation = 0;              // of the level's start, see `Variation`
};

// Starts to draw from, each with a weight.
class InitialStates {
 public:
  // None is drawn before they have been weighed.
  void set(std::vector<InitialState> all) {
    all_ = std::move(all);
    share_ = 0;
  }

  // Replaces start `index`; the first that there is not yet is added, without a weight. Throws
  // std::invalid_argument.
  void put(size_t index, InitialState start) {
    if (index > all_.size()) {
      throw std::invalid_argument("start " + std::to_string(index) +
                                  " would leave a gap: there are " + std::to_string(all_.size()));
    }
    if (index < all_.size()) {
      all_[index] = std::move(start);
      return;
    }
    all_.push_back(std::move(start));
    if (!sums_.empty()) sums_.push_back(sums_.back());
  }

  // Throws std::invalid_argument.
  void weigh(std::span<const double> weights, double share) {
    if (!(share >= 0 && share <= 1)) throw std::invalid_argument("share must be from 0 to 1");
    if (weights.size() != all_.size()) {
      throw std::invalid_argument("there must be a weight for each start");
    }
    std::vector<double> sums;
    for (const double weight : weights) {
      if (!(weight >= 0)) throw std::invalid_argument("weights must be at least 0");
      sums.push_back(weight + (sums.empty() ? 0 : sums.back()));
    }
    if (share > 0 && (sums.empty() || !(sums.back() > 0))) {
      throw std::invalid_argument("no start has a weight above 0");
    }
    if (!sums.empty() && !std::isfinite(sums.back())) {
      throw std::invalid_argument("weights must have a finite sum");
    }
    sums_ = std::move(sums);
    share_ = share;
  }

  // The start of the next episode; nullptr: the level's own.
  const InitialState* draw(Random& random) const {
    if (share_ <= 0 || random.uniform() >= share_) return nullptr;
    const double at = random.uniform() * sums_.back();
    const auto found = std::upper_bound(sums_.begin(), sums_.end(), at);
    const auto index = static_cast<size_t>(found - sums_.begin());
    return &all_[std::min(index, all_.size() - 1)];
  }

  // A user's moments: that share of the episodes of their levels begins at them, and counts as one
  // from the level's start. Throws std::invalid_argument.
  void set_own(const std::vector<InitialState>& all, std::span<const double> weights,
               double share) {
    if (weights.size() != all.size()) {
      throw std::invalid_argument("there must be a weight for each start");
    }
    std::map<int32_t, std::shared_ptr<const InitialStates>> own;
    for (const InitialState& first : all) {
      if (own.contains(first.level)) continue;
      std::vector<InitialState> of_level;
      std::vector<double> their;
      for (size_t i = 0; i < all.size(); ++i) {
        if (all[i].level != first.level) continue;
        of_level.push_back(all[i]);
        their.push_back(weights[i]);
      }
      const auto starts = std::make_shared<InitialStates>();
      starts->set(std::move(of_level));
      starts->weigh(their, share);
      own[first.level] = starts;
    }
    own_ = std::move(own);
  }

  // Where the next episode of a level begins; nullptr: at its start.
  const InitialState* draw_own(int32_t level, Random& random) const {
    const auto found = own_.find(level);
    return found == own_.end() ? nullptr : found->second->draw(random);
  }

  // A route for each level that has one.
  void set_progress_masks(std::vector<std::pair<int, ProgressMask>> masks) {
    for (auto& [level, mask] : masks) masks_.at(static_cast<size_t>(level)) = std::move(mask);
  }

  // That of a level; an empty one for what is no level, as a saved state may have it.
  const ProgressMask& mask(int32_t level) const {
    const auto at = static_cast<size_t>(level);
    return at < masks_.size() ? masks_[at] : none_;
  }

  const InitialState& at(int32_t index) const { return all_.at(static_cast<size_t>(index)); }
  int32_t index(const InitialState* start) const {
    return static_cast<int32_t>(start - all_.data());
  }

 private:
  std::vector<InitialState> all_;
  std::vector<double> sums_;  // of the weights up to each
  double share_ = 0;
  std::map<int32_t, std::shared_ptr<const InitialStates>> own_;  // by level
  std::array<ProgressMask, kLevels> masks_;
  ProgressMask none_;
};

}  // namespace warpzone::smb
