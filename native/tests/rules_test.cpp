#include <algorithm>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

#include "check.h"
#include "program.h"
#include "real_game.h"
#include "smb/game.h"
#include "smb/super_mario.h"
#include "tests/mario.h"

namespace smb = warpzone::smb;
namespace batch = warpzone::batch;
namespace nes = warpzone::nes;

namespace {

smb::Rules usual_rules() {
  smb::Rules rules;
  rules.actions = {0, nes::kButtonRight};
  rules.level_weights.assign(smb::kLevels, 1.0);
  return rules;
}

}  // namespace

TEST(progress_is_the_new_best_in_each_area) {
  smb::Progress progress;
  progress.start(100, 40);
  CHECK_EQUAL(progress.visit(100, 45), 5);
  CHECK_EQUAL(progress.visit(100, 42), 0);
  CHECK_EQUAL(progress.visit(100, 45), 0);
  CHECK_EQUAL(progress.visit(100, 47), 2);
  // Another area begins where it is entered: neither loss nor gift.
  CHECK_EQUAL(progress.visit(200, 900), 0);
  CHECK_EQUAL(progress.visit(200, 910), 10);
  CHECK_EQUAL(progress.visit(100, 46), 0);
  CHECK_EQUAL(progress.visit(100, 50), 3);
  CHECK_EQUAL(progress.total, 20);
}

TEST(left_of_an_areas_beginning_is_no_progress) {
  // A maze that turns Mario back from its first screens puts him left of 0, which reads as 65,5xx.
  smb::Progress progress;
  progress.start(100, 40);
  CHECK_EQUAL(progress.visit(100, 0xFFF0), 0);
  CHECK_EQUAL(progress.visit(200, 0xFFF0), 0);  // nor does an area begin there
  CHECK_EQUAL(progress.visit(200, 8), 0);
  CHECK_EQUAL(progress.visit(200, 20), 12);
  CHECK_EQUAL(progress.visit(100, 50), 10);
  CHECK_EQUAL(progress.visit(100, 0x7FFF), 0x7FFF - 50);
}

TEST(more_areas_than_progress_remembers_bring_nothing) {
  smb::Progress progress;
  progress.start(0, 0);
  for (uint16_t area = 1; area < 40; ++area) {
    CHECK_EQUAL(progress.visit(area, 10), 0);
    const bool remembered = area < smb::Progress::kAreas;
    CHECK_EQUAL(progress.visit(area, 15), remembered ? 5 : 0);
  }
  CHECK_EQUAL(progress.areas, static_cast<int32_t>(smb::Progress::kAreas));
}

TEST(random_streams_are_their_own) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (uint64_t index = 0; index < 20; ++index) {
      warpzone::Random random = warpzone::stream(seed, index),
                       again = warpzone::stream(seed, index);
      const uint64_t first = random.next();
      CHECK_EQUAL(first, again.next());
      seen.insert(first);
    }
  }
  CHECK_EQUAL(seen.size(), size_t{400});
  warpzone::Random random = warpzone::stream(1, 2);
  int counts[7] = {};
  for (int i = 0; i < 7000; ++i) {
    const int drawn = random.below(7);
    CHECK(drawn >= 0 && drawn < 7);
    ++counts[drawn];
    const double uniform = random.uniform();
    CHECK(uniform >= 0 && uniform < 1);
  }
  for (const int count : counts) CHECK(count > 850 && count < 1150);
}

TEST(rules_that_make_no_sense_say_why) {
  const auto refusal = [](auto&& change) {
    smb::Rules rules = usual_rules();
    change(rules);
    return check::thrown([&] { rules.check(); });
  };
  CHECK_EQUAL(refusal([](smb::Rules&) {}), "");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.actions.clear(); }),
              "there must be at least one action");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.level_weights.pop_back(); }),
              "there must be a weight for each of the 32 levels");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.level_weights[3] = -1; }),
              "level weights must not be negative");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.level_weights.assign(smb::kLevels, 0); }),
              "at least one level must have a weight above 0");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.frame_skip = 0; }), "frame_skip must be at least 1");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.noop_max = -1; }), "noop_max must be from 0 to 36,000");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.repeat_action_probability = 1; }),
              "repeat_action_probability must be at least 0 and below 1");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.row_share = 1.5; }), "row_share must be from 0 to 1");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.phase_share = -0.5; }),
              "phase_share must be from 0 to 1");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.power_share = 1.5; }),
              "power_share must be from 0 to 1");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.start_halt_share = -0.5; }),
              "start_halt_share must be from 0 to 1");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.step_penalty = -1; }),
              "step_penalty must be from 0 to 10");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.coin_reward = -1; }),
              "coin_reward must be from 0 to 100");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.life_reward = -1; }),
              "life_reward must be from 0 to 100");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.power_reward = 101; }),
              "power_reward must be from 0 to 100");
  CHECK_EQUAL(refusal([](smb::Rules& r) { r.max_steps = -1; }), "step limits must not be negative");
}

TEST(area_numbers_count_the_walks_to_a_pipe) {
  CHECK_EQUAL(smb::area_of(smb::kSuperMarioBros, 0, 0), 0);
  CHECK_EQUAL(smb::area_of(smb::kSuperMarioBros, 0, 1), 2);
  CHECK_EQUAL(smb::area_of(smb::kSuperMarioBros, 2, 1), 1);
  CHECK_EQUAL(smb::area_of(smb::kSuperMarioBros, 6, 3), 4);
  CHECK_EQUAL(smb::area_of(smb::kSuperMarioBros, 7, 3), 3);
  CHECK_EQUAL(smb::area_of(smb::kLostLevels, 0, 1), 2);
  CHECK_EQUAL(smb::area_of(smb::kLostLevels, 1, 1), 1);
  CHECK_EQUAL(smb::area_of(smb::kLostLevels, 2, 3), 4);
  CHECK_EQUAL(smb::level_name(31), "8-4");
}

TEST(a_cartridge_has_its_own_levels_only) {
  const auto cart = std::make_shared<nes::Cartridge>(program::image({0x4C, 0x00, 0x80}));
  smb::LevelStarts lost(cart, smb::kLostLevels);
  CHECK(lost.has(15));
  CHECK(!lost.has(16));
  const auto refused = [](auto&& call) {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_EQUAL(refused([&] { lost.start(16); }), "no such level");
  smb::Rules rules = usual_rules();
  CHECK_EQUAL(refused([&] { rules.of(lost); }), "the cartridge does not have all of these levels");
  std::fill(rules.level_weights.begin() + 16, rules.level_weights.end(), 0.0);
  CHECK_EQUAL(refused([&] { rules.of(lost); }), "");
  rules.last_level = 16;
  CHECK_EQUAL(refused([&] { rules.of(lost); }), "there is no such last_level");
}

TEST(another_cartridge_is_told_from_super_mario_bros) {
  for (int threads = 1; threads <= 3; ++threads) {
    auto levels = std::make_shared<smb::LevelStarts>(
        std::make_shared<nes::Cartridge>(program::image({0x4C, 0x00, 0x80})));
    mario::Config config;
    config.rules = usual_rules();
    config.num_games = 4;
    config.threads = threads;
    mario::Batch games(levels, config);
    const std::vector<uint8_t> all(4, 1);
    const std::string text = check::thrown([&] { games.reset(all); });
    CHECK(text.find("the title screen does not take Start") != std::string::npos);
    CHECK(text.find("is this cartridge Super Mario Bros.?") != std::string::npos);

    // Nor can it be stepped: that is told before any game moves.
    const std::vector<int64_t> actions(4, 0);
    for (int round = 0; round < 20; ++round) {
      CHECK(check::thrown([&] { games.send(0, actions); }).find("no running episode") !=
            std::string::npos);
    }
  }
}

TEST(a_batch_that_makes_no_sense_says_why) {
  const auto refusal = [](auto&& change) {
    mario::Config config;
    config.rules = usual_rules();
    config.num_games = 4;
    change(config);
    return check::thrown([&] { config.check(config.rules.frame_skip); });
  };
  CHECK_EQUAL(refusal([](mario::Config&) {}), "");
  CHECK_EQUAL(refusal([](mario::Config& c) { c.num_games = 0; }),
              "there must be at least one game");
  CHECK_EQUAL(refusal([](mario::Config& c) { c.num_groups = 5; }),
              "groups must hold at least one game each");
  CHECK_EQUAL(refusal([](mario::Config& c) { c.threads = 0; }),
              "there must be at least one thread");
  CHECK_EQUAL(refusal([](mario::Config& c) { c.width = 257; }),
              "pictures must be at least 1x1 and at most 240x256");
  CHECK_EQUAL(refusal([](mario::Config& c) { c.stack = 0; }), "frame_stack must be at least 1");
  CHECK_EQUAL(refusal([](mario::Config& c) { c.consecutive = true, c.stack = 2; }),
              "consecutive stacking needs frame_stack equal to frame_skip");
  CHECK_EQUAL(refusal([](mario::Config& c) { c.keep_frames = true; }),
              "keep_frames works with one game only");
}

TEST(the_stretch_to_a_warp_zone_is_no_progress) {
  const auto levels = real_game::levels();
  if (!levels) return;
  for (const bool warps : {false, true}) {
    smb::Rules rules = usual_rules();
    rules.whole_game = rules.warps = warps;
    const smb::SuperMario mario(levels, rules);
    for (const uint8_t warp_zone : {0, 1, 4}) {
      smb::Game game{};
      smb::SuperMario::seed(game, 0, 0);
      const auto unseen = [](const smb::Game&, bool) {};
      mario.reset(game, unseen, smb::SuperMario::beginning(1, levels->start(1)));
      const int32_t before = game.signals.x;
      game.nes.ram[smb::memory::kWarpZone] = warp_zone;
      for (int i = 0; i < 20; ++i) mario.step(game, nes::kButtonRight, unseen);
      CHECK(game.signals.x > before + 50);
      const bool paid = warp_zone == 0 || warps;
      CHECK_EQUAL(game.progress.total, paid ? game.signals.x - before : 0);
    }
  }
}
