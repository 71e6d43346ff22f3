// The search for a way, on the stand-in and, where WARPZONE_ROM names its file, in the real game.
#include "smb/explore.h"

#include <cmath>
#include <limits>

#include "check.h"
#include "fuzz/standin.h"
#include "real_game.h"

namespace nes = warpzone::nes;
namespace smb = warpzone::smb;
using program::Bytes;

namespace {

smb::Rules rules_of(std::vector<uint8_t> actions) {
  smb::Rules rules = standin::config().rules;
  rules.actions = std::move(actions);
  return rules;
}

// Where a way leads.
smb::Game follow(smb::LevelStarts& levels, const smb::Rules& rules, int level,
                 const Bytes& trajectory) {
  smb::Game last{};
  size_t steps = 0;
  smb::replay(levels, rules, {level, trajectory}, [&](const smb::Replayed& played) {
    last = played.game;
    ++steps;
  });
  CHECK_EQUAL(steps, trajectory.size());
  return last;
}

}  // namespace

TEST(a_way_that_was_found_leads_to_the_end) {
  // Down leaves objects about, of which some are in the way; Select ends the level.
  const smb::Rules rules = rules_of({0, 128, 64, 32, 4});
  smb::Explorer explorer(standin::levels(), rules, 7, {5, 5, 5, 5, 0.02}, 1);
  CHECK(!explorer.cleared());
  for (int i = 0; i < 50 && !explorer.cleared(); ++i) explorer.run(2000);
  CHECK(explorer.cleared());
  const Bytes trajectory = explorer.trajectory();
  CHECK(follow(*standin::levels(), rules, 7, trajectory).signals.flag == 1);
  explorer.run(20000);
  CHECK(explorer.trajectory().size() <= trajectory.size());
  CHECK(follow(*standin::levels(), rules, 7, explorer.trajectory()).signals.flag == 1);
}

TEST(without_an_end_the_way_leads_to_the_farthest_place) {
  const smb::Rules rules = rules_of({0, 128, 64, 129});
  smb::Explorer explorer(standin::levels(), rules, 0, {1, 3, 1, 1}, 2);
  CHECK(explorer.trajectory().empty());
  CHECK_EQUAL(explorer.places(), size_t{1});
  CHECK_EQUAL(explorer.spent(), 0);
  explorer.run(3000);
  CHECK(explorer.spent() >= 3000);
  CHECK(!explorer.cleared());
  CHECK(explorer.places() > 20);
  CHECK(explorer.best_progress() > 500);
  const smb::Game end = follow(*standin::levels(), rules, 0, explorer.trajectory());
  CHECK_EQUAL(end.progress.total, explorer.best_progress());
}

TEST(a_search_repeats_with_its_seed) {
  const auto levels = real_game::levels() ? real_game::levels() : standin::levels();
  const smb::Rules rules = rules_of({0, 128, 130, 129, 131, 64});
  const std::vector<double> weights = {1, 2, 5, 2, 5, 1};
  const auto search = [&](uint64_t seed, std::vector<int64_t> slices) {
    smb::Explorer explorer(levels, rules, 0, weights, seed);
    for (const int64_t steps : slices) explorer.run(steps);
    return explorer.trajectory();
  };
  const Bytes trajectory = search(3, {4000});
  CHECK(search(3, {4000}) == trajectory);
  CHECK(search(4, {4000}) != trajectory);
  follow(*levels, rules, 0, trajectory);
}

TEST(what_an_environment_adds_to_its_rules_does_not_disturb_a_search) {
  smb::Rules plain = rules_of({0, 128, 64, 129}), more = plain;
  more.noop_max = 30;
  more.repeat_action_probability = 0.25;
  more.max_steps = 20;
  more.no_progress_steps = 3;
  smb::Explorer one(standin::levels(), plain, 3, {1, 1, 1, 1}, 5);
  smb::Explorer other(standin::levels(), more, 3, {1, 1, 1, 1}, 5);
  one.run(2000);
  other.run(2000);
  CHECK(one.trajectory() == other.trajectory());
  CHECK(one.trajectory().size() > 20);
}

TEST(a_search_that_makes_no_sense_says_why) {
  const smb::Rules rules = rules_of({0, 128});
  const auto refusal = [](const smb::Rules& r, int level, const std::vector<double>& weights) {
    return check::thrown([&] { smb::Explorer(standin::levels(), r, level, weights, 0); });
  };
  CHECK_EQUAL(refusal(rules, 0, {1, 0}), "");
  CHECK_EQUAL(refusal(rules, -1, {1, 1}), "no such level");
  CHECK_EQUAL(refusal(rules, smb::kLevels, {1, 1}), "no such level");
  CHECK_EQUAL(refusal(rules, 0, {1}), "there must be a weight for each action");
  CHECK_EQUAL(refusal(rules, 0, {0, 0}), "a weight must be above 0");
  CHECK_EQUAL(refusal(rules, 0, {1, -1}), "weights must be at least 0");
  CHECK_EQUAL(refusal(rules, 0, {1, std::nan("")}), "weights must be at least 0");
  CHECK_EQUAL(refusal(rules, 0, {1, std::numeric_limits<double>::infinity()}),
              "weights must have a finite sum");
  CHECK_EQUAL(refusal(rules_of({}), 0, {}), "there must be at least one action");
  smb::Rules skipping = rules;
  skipping.frame_skip = 0;
  CHECK_EQUAL(refusal(skipping, 0, {1, 1}), "frame_skip must be at least 1");
}
