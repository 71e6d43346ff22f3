// One game as an agent meets it: an action held for some frames, what it brought, when it ends.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "nes/console.h"
#include "random/random.h"
#include "smb/initial_states.h"
#include "smb/pause.h"
#include "smb/phase.h"
#include "smb/progress.h"
#include "smb/rules.h"
#include "smb/signals.h"
#include "smb/starts.h"
#include "smb/tiles.h"

namespace warpzone::smb {

struct Outcome {
  float reward;
  bool terminated;
  bool truncated;
};

inline constexpr int kProgressCap = 16;  // px a step: more is a jump between areas
inline constexpr float kProgressScale = 1.0F / 20;
inline constexpr float kProgressFlag = 5.0F;
inline constexpr float kProgressPassage = 2.5F;  // with a route: a pipe that leads on
inline constexpr int kPassage = 128;             // px at once that only a pipe brings
inline constexpr int kThrownBack = 512;          // px to the left at once: by a maze, or a pipe
inline constexpr int kGymLimit = 15, kGymJump = 5, kGymDeath = -25;
inline constexpr uint64_t kWaits = uint64_t{1} << 32;  // streams for them, beyond all frames
inline constexpr int kTitleFrames = 100;     // of the whole game: its title is seen for a second
inline constexpr int kCutsceneLimit = 1800;  // frames; no cutscene of the game is that long

// Of one game, in place of what all games show.
enum View : uint8_t { kOwnView = 1, kShowLevel = 2, kShowPaths = 4 };

// Of an episode after which the game can go on by itself.
enum Ending : uint8_t { kNoEnding, kLevelCleared, kLifeLost };

struct Game {
  nes::State nes;
  Random random;  // one number of it for each episode, from which all others of that come
  Progress progress;
  Motion motion;
  Signals signals;
  int64_t stuck_steps;  // since the last progress
  float episode_return;
  int32_t last_x, last_time;  // of the last frame that was rewarded
  uint8_t held;               // buttons of the last frame
  uint8_t over;               // the episode has ended
  uint8_t sticky;             // buttons may stick in this episode
  uint8_t passed;             // the game goes on by itself now: to another level, or a next life
  uint8_t off_route;          // on another floor of a maze than its route
  uint8_t ending;             // how the episode has ended, see `Ending`
  uint8_t origin;             // see `Origin`
  uint8_t view;               // what of the rules is seen, see `View`; 0: as they say
  int32_t unpaid;             // px of progress since Mario left the ground (reward `landed`)

  // `see_frame(game, cutscene)` is called after every frame that the agent may look back at, with
  // whether nobody played it. Returns what was drawn anew of a level's start, see `Variation`.
  template <typename SeeFrame>
  uint32_t reset(LevelStarts& levels, const Rules& rules, const InitialStates& starts,
                 SeeFrame&& see_frame, const Beginning& beginning = {}) {
    Random draws{random.next()};
    signals.frames = 0;
    signals.steps = 0;
    signals.start = -1;
    held = 0;
    const bool drawn = !beginning.moment && beginning.level < 0;
    origin = drawn && goes_on(rules, signals.level, draws) ? kCarried : kPlayed;
    ending = kNoEnding;
    Variation variation = std::bit_cast<Variation>(beginning.variation);
    if (origin == kCarried) {
      carry_over(levels.cartridge(), rules, draws);
      see_frame(*this, false);
    } else if (drawn && rules.whole_game) {
      begin_game(levels.cartridge(), rules, draws, see_frame);
      see_frame(*this, false);
    } else if (beginning.moment) {
      begin_at(*beginning.moment, levels.cartridge(), rules, see_frame);
    } else if (const InitialState* start = beginning.level < 0 ? starts.draw(draws) : nullptr) {
      signals.start = starts.index(start);
      begin_at(*start, levels.cartridge(), rules, see_frame);
      if (chosen(rules.phase_share, draws)) {
        vary(nes, draw_phase(draws));
        origin = kVaried;
      }
      pause_within(levels.cartridge(), rules, draws, see_frame);
    } else {
      signals.level = beginning.level < 0 ? rules.draw_level(draws) : beginning.level;
      if (const InitialState* own = drawn ? starts.draw_own(signals.level, draws) : nullptr) {
        origin = kElsewhere;
        begin_at(*own, levels.cartridge(), rules, see_frame);
        pause_within(levels.cartridge(), rules, draws, see_frame);
      } else {
        if (drawn) variation = draw_variation(rules.phase_share, rules.power_share, draws);
        begin_level(levels, rules, draws, variation);
        see_frame(*this, false);
      }
    }
    const double share = rules.repeat_action_probability > 0 ? rules.sticky_share : 0;
    sticky = share >= 1 || chosen(share, draws) ? 1 : 0;
    over = 0;
    passed = 0;
    off_route = 0;
    stuck_steps = 0;
    episode_return = 0;
    unpaid = 0;
    if (signals.start < 0) progress.start(area_id(nes), player_x(nes));
    read_signals(nes, signals);
    signals.flag = 0;
    signals.death = 0;
    signals.progress = 0;
    signals.total_coins = 0;
    signals.levels_cleared = 0;
    signals.lives_lost = 0;
    last_x = signals.x;
    last_time = signals.time;
    return variation.number();
  }

  template <typename SeeFrame>
  Outcome step(const nes::Cartridge& cart, const Rules& rules, const ProgressMask& mask,
               uint8_t buttons, SeeFrame&& see_frame) {
    remember_motion(nes, motion);
    const int32_t before = progress.total, areas_before = progress.areas;
    const Signals was = signals;
    const uint16_t area_before = area_id(nes);
    int32_t gym = 0;
    signals.death = 0;  // of a life before
    for (int i = 0; i < rules.frame_skip && over == 0 && passed == 0; ++i) {
      if (sticky == 0 || !sticks(rules.repeat_action_probability)) held = buttons;
      run_frame(cart, rules, mask, held);
      gym += gym_reward();
      see_frame(*this, false);
      if (rules.skip_cutscenes) skip_cutscene(cart, rules, mask, see_frame);
    }
    const float found = for_finds(rules, was);
    const bool elsewhere = passed != 0;
    if (elsewhere) go_on(cart, rules, see_frame);  // what comes then begins with a decision
    if (rules.end_thrown_back && over == 0 && !elsewhere && area_id(nes) == area_before &&
        signals.x < was.x - kThrownBack) {
      signals.death = static_cast<int32_t>(Death::thrown_back);
      over = 1;
    }
    count_on(signals.steps);
    signals.progress = progress.total;
    stuck_steps = elsewhere || progress.total > before ? 0 : stuck_steps + 1;

    Outcome outcome{};
    outcome.terminated = over != 0;
    const auto at_limit = [](int64_t limit, int64_t steps) { return limit > 0 && steps >= limit; };
    outcome.truncated =
        !outcome.terminated && (at_limit(rules.max_steps, signals.steps) ||
                                at_limit(rules.no_progress_steps, stuck_steps) ||
                                (signals.start >= 0 && at_limit(rules.start_steps, signals.steps)));
    const int32_t gained = progress.total - before;
    outcome.reward = reward(rules, gym, gained, signals.levels_cleared > was.levels_cleared);
    const bool jumped = gained > 0 && !elsewhere && signals.x - was.x > kPassage;
    const bool passage = progress.areas > areas_before || jumped;
    if (rules.reward == Reward::progress || rules.reward == Reward::landed) {
      outcome.reward += found + (!mask.empty() && passage ? kProgressPassage : 0);
    }
    episode_return += outcome.reward;
    if (outcome.truncated) over = 1;
    ending = outcome.terminated ? ending_now() : kNoEnding;
    return outcome;
  }

  // One emulated frame: the console, the signals, the ends.
  void run_frame(const nes::Cartridge& cart, const Rules& rules, const ProgressMask& mask,
                 uint8_t buttons) {
    nes::run_frame(nes, cart, buttons);
    count_on(signals.frames);
    const int32_t coins_before = signals.coins;
    read_signals(nes, signals);
    signals.total_coins += (signals.coins - coins_before + 100) % 100;
    if (nes.jammed != 0) throw std::runtime_error("the game's program has crashed");
    if (cleared(nes)) {
      ++signals.levels_cleared;
      if (rules.whole_game || signals.level < rules.last_level) {
        passed = 1;
      } else {
        signals.flag = 1;
        over = 1;
      }
    } else if (dying(nes) || dead(nes)) {
      signals.death = static_cast<int32_t>(death_cause(nes));
      ++signals.lives_lost;
      const bool more = rules.whole_game && !rules.one_life && signals.lives > 0;
      (more ? passed : over) = 1;
    } else if (level_played() != signals.level) {
      // A pipe of 1-2's warp zone that the game has not numbered yet leads to world 36.
      if (rules.warps && level_exists(rules)) {
        passed = 1;
      } else {
        signals.death = static_cast<int32_t>(Death::warped);
        over = 1;
      }
    } else if (!cutscene(nes) && on_mask(mask) &&
               (rules.warps || nes.ram[memory::kWarpZone] == 0)) {
      // The stretch to a warp zone would pay more, and sooner, than the pipe before it.
      progress.visit(area_id(nes), signals.x);
    }
  }

  // One frame of what was played before, whether an agent or nobody played it.
  void replay_frame(const nes::Cartridge& cart, const Rules& rules, const ProgressMask& mask,
                    uint8_t buttons) {
    if (passed == 0) return run_frame(cart, rules, mask, buttons);
    nes::run_frame(nes, cart, buttons);
    count_on(signals.frames);
    if (played(nes)) enter_level(rules);
  }

 private:
  bool on_mask(const ProgressMask& mask) {
    if (mask.empty()) return true;
    const uint16_t area = area_id(nes);
    if (standing(nes)) off_route = mask.wrong_floor(area, signals.x, screen_y(nes)) ? 1 : 0;
    return off_route == 0 && mask.leads_past(area, signals.x);
  }

  // Each frame of an episode has a draw of its own: where later episodes begin does not depend on
  // how many frames this one had.
  bool sticks(double probability) const {
    return stream(random.state, static_cast<uint64_t>(signals.frames)).uniform() < probability;
  }

  // Power on, and Start pressed as a person does. Without the last frame, which is still to be
  // seen.
  template <typename SeeFrame>
  void begin_game(const nes::Cartridge& cart, const Rules& rules, Random& draws,
                  SeeFrame&& see_frame) {
    nes = nes::power_on(cart);
    signals.level = 0;
    boot(nes, cart, rules.edition, 0, kTitleFrames, [&](bool) {
      count_on(signals.frames);
      see_frame(*this, true);
    });
    idle(cart, rules, draws, see_frame);
  }

  void begin_level(LevelStarts& levels, const Rules& rules, Random& draws, Variation variation) {
    nes = levels.start(signals.level);
    vary(nes, variation);
    idle_unseen(levels.cartridge(), rules, draws);
  }

  // Returns whether Mario lives.
  template <typename SeeFrame>
  bool idle(const nes::Cartridge& cart, const Rules& rules, Random& draws, SeeFrame&& see_frame) {
    const int frames = rules.noop_max > 0 ? draws.below(rules.noop_max + 1) : 0;
    bool alive = true;
    for (int i = 0; i < frames && alive; ++i) {
      see_frame(*this, true);
      nes::run_frame(nes, cart, 0);
      count_on(signals.frames);
      alive = !dying(nes) && !dead(nes);
    }
    remember_motion(nes, motion);
    return alive;
  }

  void idle_unseen(const nes::Cartridge& cart, const Rules& rules, Random& draws) {
    if (!idle(cart, rules, draws, [](const Game&, bool) {})) {
      throw std::runtime_error("Mario died before the first action");
    }
  }

  // Where the game went on something may be near that is not at a level's own start: who would die
  // of waiting does not wait.
  void idle_unharmed(const nes::Cartridge& cart, const Rules& rules, Random& draws) {
    const nes::State before = nes;
    if (idle(cart, rules, draws, [](const Game&, bool) {})) return;
    nes = before;
    signals.frames = 0;
    remember_motion(nes, motion);
  }

  Ending ending_now() const {
    if (signals.flag != 0) return kLevelCleared;
    const auto death = static_cast<Death>(signals.death);
    const bool died = death == Death::enemy || death == Death::pit || death == Death::time;
    return died && signals.start < 0 ? kLifeLost : kNoEnding;
  }

  // Whether the next episode begins as the game goes on: after a flag in the next level, after a
  // death at the start of the level or at its half-way point.
  bool goes_on(const Rules& rules, int32_t level, Random& draws) const {
    const bool cleared = ending == kLevelCleared;
    const double share = cleared ? rules.row_share : ending == kLifeLost ? rules.life_share : 0;
    if (!(share > 0)) return false;
    const auto next = static_cast<size_t>(level) + (cleared ? 1 : 0);
    const uint8_t lives = nes.ram[memory::kLives];  // besides the one that was lost
    const bool over = !cleared && (lives == 0 || lives >= 0x80);
    return !over && next < rules.level_weights.size() && rules.level_weights[next] > 0 &&
           draws.uniform() < share;
  }

  // To the first frame in which Mario obeys again.
  void carry_over(const nes::Cartridge& cart, const Rules& rules, Random& draws) {
    run_to_level(cart, [](const Game&, bool) {});
    read_level(rules);
    signals.frames = 0;
    idle_unharmed(cart, rules, draws);
  }

  bool level_exists(const Rules& rules) const {
    return nes.ram[memory::kStage] < 4 && level_played() < rules.edition.levels;
  }
  int32_t level_played() const { return nes.ram[memory::kWorld] * 4 + nes.ram[memory::kStage]; }

  // Throws std::runtime_error where the game has gone on into no level.
  void read_level(const Rules& rules) {
    if (!level_exists(rules)) {
      throw std::runtime_error("the game went on into a level that does not exist");
    }
    signals.level = level_played();
  }

  template <typename SeeFrame>
  void begin_at(const InitialState& start, const nes::Cartridge& cart, const Rules& rules,
                SeeFrame&& see_frame) {
    nes = start.nes;
    signals.level = start.level;
    progress = start.progress;
    progress.total = 0;
    remember_motion(nes, motion);
    if (start.buttons.empty()) see_frame(*this, false);
    for (size_t i = 0; i < start.buttons.size(); ++i) {
      if (i % static_cast<size_t>(rules.frame_skip) == 0) remember_motion(nes, motion);
      held = start.buttons[i];
      nes::run_frame(nes, cart, held);
      see_frame(*this, false);
    }
  }

  // What comes before control where an episode begins within a level.
  template <typename SeeFrame>
  void pause_within(const nes::Cartridge& cart, const Rules& rules, Random& draws,
                    SeeFrame&& see_frame) {
    if (chosen(rules.start_halt_share, draws)) {
      const std::vector<uint8_t> buttons = buttons_to_stand(nes, cart);
      press(buttons, cart, rules, see_frame);
      if (!buttons.empty() && origin == kPlayed) origin = kHalted;
    }
    if (rules.start_noop_max > 0) {
      const int frames = draws.below(rules.start_noop_max + 1);
      press(idle_buttons(nes, cart, frames), cart, rules, see_frame);
    }
  }

  template <typename SeeFrame>
  void press(const std::vector<uint8_t>& buttons, const nes::Cartridge& cart, const Rules& rules,
             SeeFrame&& see_frame) {
    for (size_t i = 0; i < buttons.size(); ++i) {
      if ((buttons.size() - i) % static_cast<size_t>(rules.frame_skip) == 0) {
        remember_motion(nes, motion);
      }
      held = buttons[i];
      nes::run_frame(nes, cart, held);
      count_on(signals.frames);
      see_frame(*this, false);
    }
  }

  template <typename SeeFrame>
  void skip_cutscene(const nes::Cartridge& cart, const Rules& rules, const ProgressMask& mask,
                     SeeFrame&& see_frame) {
    int waited = 0;
    while (over == 0 && passed == 0 && cutscene(nes)) {
      if (++waited > kCutsceneLimit) throw std::runtime_error("a cutscene does not end");
      run_frame(cart, rules, mask, 0);
      see_frame(*this, true);
    }
    if (waited > 0) held = 0;
  }

  // Waits until Mario can be played: in the next level, or with his next life. What Mario has, he
  // keeps. Frames are seen when another comes, so that the last one is not yet.
  template <typename SeeFrame>
  void run_to_level(const nes::Cartridge& cart, SeeFrame&& see_frame) {
    for (int waited = 0; !played(nes); ++waited) {
      if (waited > kCutsceneLimit) throw std::runtime_error("the next level does not begin");
      if (waited > 0) see_frame(*this, true);
      nes::run_frame(nes, cart, 0);
      count_on(signals.frames);
    }
  }

  template <typename SeeFrame>
  void go_on(const nes::Cartridge& cart, const Rules& rules, SeeFrame&& see_frame) {
    if (signals.level == rules.edition.levels - 1 && signals.death == 0) {
      return save_princess(cart, rules, see_frame);
    }
    run_to_level(cart, see_frame);
    Random draws = stream(random.state, kWaits + static_cast<uint64_t>(signals.frames));
    idle(cart, rules, draws, see_frame);
    see_frame(*this, true);
    enter_level(rules);
  }

  // Mario can be played again.
  void enter_level(const Rules& rules) {
    passed = 0;
    read_signals(nes, signals);
    read_level(rules);
    const int32_t total = progress.total;
    progress.start(area_id(nes), signals.x);
    progress.total = total;
    last_x = signals.x;
    last_time = signals.time;
    held = 0;
    off_route = 0;
  }

  // From the last axe to the words of thanks.
  template <typename SeeFrame>
  void save_princess(const nes::Cartridge& cart, const Rules& rules, SeeFrame&& see_frame) {
    for (int waited = 0; !princess_saved(nes, rules.edition.levels / 4 - 1); ++waited) {
      if (waited > kCutsceneLimit) throw std::runtime_error("the princess is not saved");
      nes::run_frame(nes, cart, 0);
      count_on(signals.frames);
      see_frame(*this, true);
    }
    passed = 0;
    read_signals(nes, signals);
    signals.flag = 1;
    over = 1;
  }

  // gym-super-mario-bros 7.x, `_get_reward`, clipped to `reward_range` as nes-py does.
  int32_t gym_reward() {
    int32_t moved = signals.x - last_x;
    if (moved < -kGymJump || moved > kGymJump) moved = 0;
    const int32_t ticked = std::min(signals.time - last_time, 0);
    last_x = signals.x;
    last_time = signals.time;
    const int32_t death = dying(nes) || dead(nes) ? kGymDeath : 0;
    return std::clamp(moved + ticked + death, -kGymLimit, kGymLimit);
  }

  // For coins, for an extra life, and for a power-up or the loss of it. A life that is lost is an
  // end.
  float for_finds(const Rules& rules, const Signals& was) const {
    if (signals.death != 0) return 0;
    return static_cast<float>(signals.total_coins - was.total_coins) * rules.coin_reward +
           static_cast<float>(std::max(signals.lives - was.lives, 0)) * rules.life_reward +
           static_cast<float>(signals.status - was.status) * rules.power_reward;
  }

  // `reached`: a level is cleared in this step.
  float reward(const Rules& rules, int32_t gym, int32_t gained, bool reached) {
    const bool end = reached || over != 0 || signals.death != 0;
    switch (rules.reward) {
      case Reward::gym: return static_cast<float>(gym);
      case Reward::tutorial: {
        const int32_t paid = !end ? 0 : reached ? 50 : -50;
        return static_cast<float>(gym + paid) / 10.0F;
      }
      case Reward::progress:
      case Reward::landed: break;
    }
    int32_t paid = std::min(gained, kProgressCap);
    if (rules.reward == Reward::landed) {
      unpaid += paid;
      const bool safe = end ? reached : supported(nes);
      paid = safe ? std::exchange(unpaid, 0) : 0;
      if (end) unpaid = 0;
    }
    const auto px = static_cast<float>(paid);
    const float for_end = !end      ? 0.0F
                          : reached ? kProgressFlag
                                    : -rules.end_penalty_of(signals.level);
    return px * kProgressScale - rules.step_penalty + for_end;
  }
};

static_assert(std::is_trivially_copyable_v<Game>);
static_assert(alignof(Game) == 8);

}  // namespace warpzone::smb
