// What a batch has to know of a game that it plays. Another game is another class like this;
// nothing in this folder names one.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "nes/cartridge.h"
#include "nes/state.h"

namespace warpzone::batch {

// Stands for whoever looks on: called with the game after a frame, and whether nobody played it.
template <typename State>
struct IgnoreFrame {
  void operator()(const State&, bool /*cutscene*/) const {}
};

// What a step brought.
template <typename T>
concept StepOutcome = requires(const T& outcome) {
  { outcome.reward } -> std::convertible_to<float>;
  { outcome.terminated } -> std::convertible_to<bool>;
  { outcome.truncated } -> std::convertible_to<bool>;
};

// One game as it stands. It is copied as it lies in memory, by `Batch::save` to a file too.
template <typename T>
concept GameState = std::is_trivially_copyable_v<T> && requires(const T& state) {
  requires std::same_as<decltype(T::nes), nes::State>;
  { state.held } -> std::convertible_to<uint8_t>;  // buttons of the last frame
  { state.over } -> std::convertible_to<uint8_t>;  // not 0: the episode has ended
  { state.episode_return } -> std::convertible_to<float>;
  { state.signals };
};

// An object of a game's class holds what all games of a batch share and is used by several threads
// at once, which is why everything here is const. `see_frame` is called after every frame that the
// agent may look back at.
template <typename G>
concept Game = GameState<typename G::State> && std::is_trivially_copyable_v<typename G::Signals> &&
               requires(const G& game, typename G::State& state, const typename G::State& seen,
                        IgnoreFrame<typename G::State> see_frame, uint8_t* bytes, float* scalars,
                        std::vector<uint8_t>& buttons, const std::optional<nes::State>& moment) {
                 { G::kStatusBarLines } -> std::convertible_to<int>;  // at the top of the picture
                 // Of the game's own observation, which is bytes.
                 { G::kFeatureShape.size() } -> std::convertible_to<size_t>;
                 { G::kFeatureShape[0] } -> std::convertible_to<size_t>;
                 { G::kFeatureScalars } -> std::convertible_to<size_t>;  // beside them
                 { game.cartridge() } -> std::same_as<const nes::Cartridge&>;
                 {
                   game.actions()
                 } -> std::same_as<std::span<const uint8_t>>;  // buttons of each action
                 { game.frame_skip() } -> std::same_as<int>;
                 // A random stream of its own for each game.
                 { G::seed(state, uint64_t{}, uint64_t{}) };
                 { game.reset(state, see_frame) };
                 // Where the episode begins, instead of drawing it; throws when it cannot.
                 { game.reset(state, see_frame, G::beginning(int32_t{}, moment)) };
                 { game.step(state, uint8_t{}, see_frame) } -> StepOutcome;
                 { game.observe(seen, bytes, scalars) };
                 // With all that can be shown, whatever is shown of this game.
                 { game.observe_all(seen, bytes, scalars) };
                 // Where the running episode's level begins; which of the game's places it is in.
                 { G::level(seen) } -> std::same_as<int32_t>;
                 { G::place(seen) } -> std::same_as<uint8_t>;
                 // After a reset: whether the episode began where its level does, and the buttons
                 // of the frames that led there; false: they are not known.
                 { G::at_level_start(seen) } -> std::same_as<bool>;
                 // Whether it began as the game went on from the episode before, nothing pressed.
                 { G::carried(seen) } -> std::same_as<bool>;
                 { game.prefix(seen, buttons) } -> std::same_as<bool>;
                 // What must hold for a loaded state to be gone on with: no index outside its
                 // array, no sum that overflows. With whether it waits to be begun anew: otherwise
                 // it can be stepped, and plays a frame at least.
                 { G::plausible(seen, bool{}) } -> std::same_as<bool>;
                 { G::plausible(seen.signals) } -> std::same_as<bool>;
                 // What a saved log of a game's inputs may say of where it began.
                 { G::is_level(int32_t{}) } -> std::same_as<bool>;
               };

}  // namespace warpzone::batch
