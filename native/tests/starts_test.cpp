// Episodes that begin within a level, against the play that first came there: on the stand-in, and
// in the real game where WARPZONE_ROM names its file.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>

#include "allocations.h"
#include "check.h"
#include "fuzz/standin.h"
#include "real_game.h"
#include "smb/explore.h"
#include "tests/mario.h"

namespace batch = warpzone::batch;
namespace nes = warpzone::nes;
namespace smb = warpzone::smb;
using batch::Observation;
using mario::Batch;
using program::Bytes;

namespace {

constexpr int kLevel = 8;

mario::Config one_game(Observation observation) {
  mario::Config config = standin::config();
  config.rules.level_weights.assign(smb::kLevels, 0.0);
  config.rules.level_weights[kLevel] = 1.0;
  config.observation = observation;
  config.height = config.width = 40;
  return config;
}

void step(Batch& games, int64_t action) {
  games.send(0, std::vector<int64_t>(games.signals.size(), action));
  games.recv(0);
}

// Begins an episode of the only game at one of `count` starts.
void begin(Batch& games, size_t start, size_t count) {
  std::vector<double> weights(count);
  weights[start] = 1;
  games.game_to_change().set_start_weights(weights, 1.0);
  games.reset(Bytes{1});
}

// Actions from the beginning of a level that do not end it: to the right for the most part, with
// what brings cutscenes about in the stand-in.
Bytes lively_way(smb::LevelStarts& levels, const smb::Rules& rules, size_t length) {
  std::mt19937 random(3);
  const auto ignore = [](const smb::Game&, bool) {};
  std::vector<smb::Game> games(1);
  games[0].reset(levels, rules, smb::InitialStates{}, ignore);
  Bytes trajectory;
  for (int failures = 0; trajectory.size() < length;) {
    smb::Game game = games.back();
    const auto action = static_cast<uint8_t>(random() % 3 == 0 ? random() % 7 : 1);
    game.step(levels.cartridge(), rules, smb::ProgressMask{}, rules.actions[action], ignore);
    if (game.over == 0) {
      games.push_back(game);
      trajectory.push_back(action);
    } else if (++failures % 30 == 0) {  // in a corner
      games.resize(games.size() / 2 + 1);
      trajectory.resize(games.size() - 1);
    }
  }
  return trajectory;
}

// Whether an episode from each start is the play that led there: the console, what is seen, and
// what comes of the next steps. Returns how many starts there were.
size_t compare(const std::shared_ptr<smb::LevelStarts>& levels, const mario::Config& config) {
  constexpr int32_t kOn = 6;
  const Bytes trajectory = lively_way(*levels, config.rules, 60);
  const auto starts =
      smb::record_initial_states(*levels, config.rules, {kLevel, trajectory}, config.stack);
  Batch played(levels, config), begun(levels, config);
  begun.game_to_change().set_initial_states(starts);
  begun.watch(std::vector<int>{0});
  played.reset(Bytes{1});
  std::vector<nes::State> consoles = {played.console(0)};
  std::vector<Bytes> observations = {played.observations};
  std::vector<std::vector<float>> scalars = {played.scalars};
  for (const uint8_t action : trajectory) {
    step(played, action);
    CHECK(!played.terminated[0]);
    consoles.push_back(played.console(0));
    observations.push_back(played.observations);
    scalars.push_back(played.scalars);
  }
  for (size_t k = 0; k < starts.size(); ++k) {
    begin(begun, k, starts.size());
    CHECK_EQUAL(begun.signals[0].start, static_cast<int32_t>(k));
    CHECK_EQUAL(begun.start_signals[0].start, static_cast<int32_t>(k));
    CHECK_EQUAL(begun.signals[0].level, kLevel);
    CHECK_EQUAL(begun.signals[0].frames, 0);
    CHECK_EQUAL(begun.signals[0].progress, 0);
    const auto end = static_cast<int32_t>(trajectory.size());
    for (int32_t at = starts[k].step; at <= std::min(end, starts[k].step + kOn); ++at) {
      const auto i = static_cast<size_t>(at);
      CHECK(std::memcmp(&begun.console(0), &consoles[i], sizeof(nes::State)) == 0);
      CHECK(begun.observations == observations[i]);
      CHECK(begun.scalars == scalars[i]);
      const batch::InputLog& input_log = begun.input_log(0);
      CHECK(input_log.known && !input_log.own_start);
      CHECK_EQUAL(input_log.level, kLevel);
      CHECK_EQUAL(input_log.decided.size(), static_cast<size_t>(at - starts[k].step));
      nes::State again = levels->start(kLevel);
      for (const uint8_t held : input_log.buttons) nes::run_frame(again, levels->cartridge(), held);
      CHECK(std::memcmp(&again, &consoles[i], sizeof(nes::State)) == 0);
      if (at < end) step(begun, trajectory[i]);
    }
  }
  return starts.size();
}

std::vector<mario::Config> all_ways_to_see() {
  std::vector<mario::Config> all;
  for (const Observation observation :
       {Observation::features, Observation::pixels, Observation::rgb, Observation::ram}) {
    all.push_back(one_game(observation));
  }
  mario::Config pixels = one_game(Observation::pixels);
  pixels.stack = 3;
  pixels.rules.frame_skip = 2;
  all.push_back(pixels);
  pixels.rules.frame_skip = 1;
  all.push_back(pixels);
  pixels.max_pool = true;
  all.push_back(pixels);
  pixels.rules.frame_skip = 4;
  all.push_back(pixels);
  pixels.stack = 4;
  pixels.consecutive = true;
  all.push_back(pixels);
  mario::Config tiles = one_game(Observation::features);
  tiles.rules.show_level = true;
  all.push_back(tiles);
  return all;
}

// Some starts of the stand-in.
std::vector<smb::InitialState> some_starts(const mario::Config& config) {
  return smb::record_initial_states(*standin::levels(), config.rules, {kLevel, Bytes(12, 1)},
                                    config.stack);
}

}  // namespace

TEST(an_episode_from_a_start_is_the_play_that_led_there) {
  for (const mario::Config& config : all_ways_to_see()) {
    CHECK(compare(standin::levels(), config) > 10);
    if (real_game::levels()) CHECK(compare(real_game::levels(), config) > 40);
  }
}

TEST(no_start_looks_back_into_a_cutscene) {
  // B leads into the stand-in's cutscenes, and out of them again in steps that are short.
  mario::Config config = one_game(Observation::features);
  config.rules.frame_skip = 2;
  const Bytes trajectory = lively_way(*standin::levels(), config.rules, 120);
  std::set<int32_t> cuts, found;
  int32_t at = 0;
  smb::replay(*standin::levels(), config.rules, {kLevel, trajectory},
              [&](const smb::Replayed& played) {
                ++at;
                if (played.cut) cuts.insert(at);
              });
  CHECK(!cuts.empty());
  for (const int back : {0, 1, 4}) {
    found.clear();
    for (const auto& start :
         smb::record_initial_states(*standin::levels(), config.rules, {kLevel, trajectory}, back)) {
      CHECK_EQUAL(start.buttons.size(), static_cast<size_t>(back * config.rules.frame_skip));
      CHECK_EQUAL(start.level, kLevel);
      found.insert(start.step);
    }
    for (int32_t step = 1; step <= at; ++step) {
      bool good = step > back;
      for (int32_t k = 0; k < back; ++k) good = good && cuts.count(step - k) == 0;
      CHECK_EQUAL(found.count(step), good ? size_t{1} : size_t{0});
    }
  }
}

TEST(the_buttons_of_frames_are_a_way_like_the_actions_that_hold_them) {
  for (const int skip : {1, 2, 4}) {
    mario::Config config = one_game(Observation::features);
    config.rules.frame_skip = skip;
    smb::LevelStarts& levels = *standin::levels();
    const Bytes trajectory = lively_way(levels, config.rules, 120);
    smb::Trajectory frames{kLevel, {}, true, std::nullopt};
    smb::Game game{};
    smb::Rules rules = config.rules;
    rules.noop_max = 0;
    rules.level_weights.assign(smb::kLevels, 0.0);
    rules.level_weights[kLevel] = 1.0;
    game.reset(levels, rules, smb::InitialStates{}, [](const smb::Game&, bool) {});
    for (const uint8_t action : trajectory) {
      game.step(levels.cartridge(), rules, smb::ProgressMask{}, rules.actions[action],
                [&frames](const smb::Game& now, bool cutscene) {
                  frames.inputs.push_back(cutscene ? uint8_t{0} : now.held);
                });
    }
    const auto same = [&](const std::vector<smb::InitialState>& one,
                          const std::vector<smb::InitialState>& two) {
      CHECK_EQUAL(one.size(), two.size());
      for (size_t i = 0; i < std::min(one.size(), two.size()); ++i) {
        CHECK(std::memcmp(&one[i].nes, &two[i].nes, sizeof(nes::State)) == 0);
        CHECK(one[i].buttons == two[i].buttons);
        CHECK_EQUAL(one[i].progress.total, two[i].progress.total);
      }
    };
    const auto expected = smb::record_initial_states(levels, config.rules, {kLevel, trajectory}, 2);
    CHECK(expected.size() > 20);
    same(smb::record_initial_states(levels, config.rules, frames, 2), expected);

    // The same from a snapshot of the level's start; and a step that is not whole is left out.
    frames.begin = levels.start(kLevel);
    same(smb::record_initial_states(levels, config.rules, frames, 2), expected);
    const smb::FollowedTrajectory followed = smb::follow(levels, config.rules, frames);
    CHECK_EQUAL(followed.inputs.size(), trajectory.size());
    CHECK_EQUAL(followed.inputs.back(), static_cast<int64_t>(frames.inputs.size()));
    CHECK_EQUAL(followed.progress.back(), game.progress.total);
    frames.inputs.pop_back();
    CHECK_EQUAL(smb::follow(levels, config.rules, frames).inputs.size(), trajectory.size() - 1);
  }
}

TEST(a_step_that_ends_the_episode_is_no_start) {
  const mario::Config config = one_game(Observation::features);
  Bytes trajectory(8, 1);
  trajectory.insert(trajectory.end(), 4, 8);  // Select ends the stand-in's levels
  int32_t ended = 0;
  smb::replay(*standin::levels(), config.rules, {kLevel, trajectory},
              [&](const smb::Replayed& played) { ended = played.game.signals.steps; });
  CHECK(ended < static_cast<int32_t>(trajectory.size()));
  const auto starts =
      smb::record_initial_states(*standin::levels(), config.rules, {kLevel, trajectory}, 0);
  CHECK_EQUAL(starts.back().step, ended - 1);
}

TEST(starts_are_drawn_by_their_weights) {
  mario::Config config = one_game(Observation::features);
  config.num_games = 400;
  const auto starts = some_starts(config);
  Batch games(standin::levels(), config);
  const Bytes all(400, 1);
  const auto counts = [&] {
    games.reset(all);
    std::vector<int> drawn(starts.size() + 1);  // at 0: the level's own
    for (const auto& signals : games.signals) ++drawn[static_cast<size_t>(signals.start + 1)];
    return drawn;
  };
  games.game_to_change().set_initial_states(starts);
  CHECK_EQUAL(counts()[0], 400);  // none before they are weighed
  std::vector<double> weights(starts.size());
  weights[1] = 3;
  weights[4] = 1;
  games.game_to_change().set_start_weights(weights, 0.0);
  CHECK_EQUAL(counts()[0], 400);
  games.game_to_change().set_start_weights(weights, 1.0);
  auto drawn = counts();
  CHECK_EQUAL(drawn[2] + drawn[5], 400);
  CHECK(drawn[2] > 250 && drawn[2] < 350);
  games.game_to_change().set_start_weights(weights, 0.5);
  drawn = counts();
  CHECK(drawn[0] > 150 && drawn[0] < 250);
  CHECK_EQUAL(drawn[0] + drawn[2] + drawn[5], 400);
  games.game_to_change().set_initial_states(starts);  // other ones are to be weighed again
  CHECK_EQUAL(counts()[0], 400);
  games.game_to_change().set_initial_states({});
  games.game_to_change().set_start_weights({}, 0.0);
  CHECK_EQUAL(counts()[0], 400);
}

TEST(without_starts_the_random_streams_are_as_before) {
  // Neither starts that are not drawn nor stickiness in all episodes take a number.
  mario::Config config = one_game(Observation::features);
  config.rules.noop_max = 30;
  config.rules.repeat_action_probability = 0.5;
  Batch plain(standin::levels(), config), with_starts(standin::levels(), config);
  with_starts.game_to_change().set_initial_states(some_starts(config));
  for (Batch* games : {&plain, &with_starts}) {
    games->reset(Bytes{1});
    for (int i = 0; i < 5; ++i) step(*games, 1);
  }
  CHECK(plain.save() == with_starts.save());
  warpzone::Random game = warpzone::stream(config.seed, 0);
  warpzone::Random random{game.next()};  // of the first episode
  random.uniform();                      // the level
  CHECK_EQUAL(plain.start_signals[0].frames, random.below(31));
}

TEST(wrong_starts_are_refused_with_a_reason) {
  const mario::Config config = one_game(Observation::features);
  const auto starts = some_starts(config);
  Batch games(standin::levels(), config);
  games.game_to_change().set_initial_states(starts);
  const size_t n = starts.size();
  const auto weigh = [&](std::vector<double> weights, double share) {
    return check::thrown([&] { games.game_to_change().set_start_weights(weights, share); });
  };
  const double nan = std::nan(""), infinite = std::numeric_limits<double>::infinity();
  std::vector<double> weights(n, 1.0);
  CHECK_EQUAL(weigh(weights, 1.0), "");
  for (const double share : {-0.1, 1.1, nan}) {
    CHECK_EQUAL(weigh(weights, share), "share must be from 0 to 1");
  }
  CHECK_EQUAL(weigh({1.0}, 0.5), "there must be a weight for each start");
  CHECK_EQUAL(weigh(std::vector<double>(n), 0.5), "no start has a weight above 0");
  CHECK_EQUAL(weigh(std::vector<double>(n), 0.0), "");
  for (const double bad : {-1.0, nan}) {
    weights[2] = bad;
    CHECK_EQUAL(weigh(weights, 0.5), "weights must be at least 0");
  }
  // With an infinite sum the last start would be drawn, whatever its weight.
  weights[2] = infinite;
  CHECK_EQUAL(weigh(weights, 0.5), "weights must have a finite sum");
  CHECK_EQUAL(weigh(std::vector<double>(n, 1e308), 0.5), "weights must have a finite sum");

  const auto set = [&](auto&& change) {
    auto changed = starts;
    change(changed[1]);
    return check::thrown([&] { games.game_to_change().set_initial_states(changed); });
  };
  const std::string damaged = "a start is damaged";
  CHECK_EQUAL(set([](smb::InitialState& s) { s.level = -1; }), damaged);
  CHECK_EQUAL(set([](smb::InitialState& s) { s.level = smb::kLevels; }), damaged);
  CHECK_EQUAL(set([](smb::InitialState& s) { s.nes.dot = -1; }), damaged);
  CHECK_EQUAL(set([](smb::InitialState& s) { s.buttons.pop_back(); }),
              "the frames that lead to a start must make whole steps");
  CHECK_EQUAL(set([](smb::InitialState& s) { s.buttons.clear(); }), "");
  Batch none(standin::levels(), config);
  const auto weigh_nothing = [&] { none.game_to_change().set_start_weights({}, 0.5); };
  CHECK_EQUAL(check::thrown(weigh_nothing), "no start has a weight above 0");

  games.reset(Bytes{1});
  games.send(0, std::vector<int64_t>{0});
  const std::string stepping = "a group is still stepping; recv it first";
  CHECK_EQUAL(check::thrown([&] { games.game_to_change().set_initial_states(starts); }), stepping);
  CHECK_EQUAL(weigh(std::vector<double>(n), 0.0), stepping);
  games.recv(0);
}

TEST(a_way_that_cannot_be_played_is_refused_with_a_reason) {
  const mario::Config config = one_game(Observation::features);
  const auto record = [&](int level, const Bytes& trajectory, int back, smb::Rules rules) {
    return check::thrown(
        [&] { smb::record_initial_states(*standin::levels(), rules, {level, trajectory}, back); });
  };
  CHECK_EQUAL(record(0, {}, 4, config.rules), "");
  CHECK_EQUAL(record(0, {1, 1}, 4, config.rules), "");
  CHECK_EQUAL(record(0, {1, 11}, 4, config.rules), "action 11 of the way is outside 0..10");
  CHECK_EQUAL(record(0, {1}, -1, config.rules), "steps_back must be at least 0");
  for (const int level : {-1, smb::kLevels}) {
    CHECK_EQUAL(record(level, {1}, 4, config.rules), "no such level");
  }
  smb::Rules rules = config.rules;
  rules.frame_skip = 0;
  CHECK_EQUAL(record(0, {1}, 4, rules), "frame_skip must be at least 1");
  rules = config.rules;
  rules.actions.clear();
  CHECK_EQUAL(record(0, {1}, 4, rules), "there must be at least one action");
}

TEST(buttons_stick_in_a_share_of_the_episodes) {
  smb::Rules rules = one_game(Observation::features).rules;
  rules.repeat_action_probability = 0.5;
  smb::Game game{};
  game.random = warpzone::stream(1, 0);
  const auto ignore = [](const smb::Game&, bool) {};
  const auto episodes = [&](double share) {
    rules.sticky_share = share;
    int sticky = 0;
    for (int i = 0; i < 200; ++i) {
      game.reset(*standin::levels(), rules, smb::InitialStates{}, ignore);
      // Without stickiness the buttons are those of the action, always.
      bool kept = false;
      for (int k = 0; k < 20; ++k) {
        const uint8_t buttons = k % 2 != 0 ? nes::kButtonRight : nes::kButtonLeft;
        game.step(standin::levels()->cartridge(), rules, smb::ProgressMask{}, buttons,
                  [&](const smb::Game& g, bool) { kept = kept || g.nes.buttons != buttons; });
      }
      CHECK(kept == (game.sticky != 0));
      sticky += game.sticky;
    }
    return sticky;
  };
  CHECK_EQUAL(episodes(0.0), 0);
  CHECK_EQUAL(episodes(1.0), 200);
  const int half = episodes(0.5);
  CHECK(half > 70 && half < 130);
  rules.repeat_action_probability = 0;
  CHECK_EQUAL(episodes(1.0), 0);
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    rules.sticky_share = share;
    CHECK_EQUAL(check::thrown([&] { rules.check(); }), "sticky_share must be from 0 to 1");
  }
}

TEST(saved_episodes_from_starts_go_on) {
  mario::Config config = one_game(Observation::pixels);
  config.num_games = 3;
  config.rules.max_steps = 7;
  const auto starts = some_starts(config);
  const std::vector<double> weights(starts.size(), 1.0);
  Bytes states[2];
  Bytes saved;
  for (int i = 0; i < 2; ++i) {
    Batch games(standin::levels(), config);
    games.game_to_change().set_initial_states(starts);
    games.game_to_change().set_start_weights(weights, 0.7);
    if (i == 0) {
      games.reset(Bytes(3, 1));
      for (int k = 0; k < 10; ++k) step(games, k % 2);
      saved = games.save();
    } else {
      games.load(saved);
    }
    for (int k = 0; k < 30; ++k) step(games, k % 3);
    states[i] = games.save();
  }
  CHECK(states[0] == states[1]);
}

TEST(threads_change_nothing_where_episodes_begin) {
  mario::Config config = one_game(Observation::features);
  config.num_games = 6;
  config.rules.max_steps = 5;
  const auto starts = some_starts(config);
  Bytes states[2];
  for (int i = 0; i < 2; ++i) {
    config.threads = i == 0 ? 1 : 3;
    Batch games(standin::levels(), config);
    games.game_to_change().set_initial_states(starts);
    games.game_to_change().set_start_weights(std::vector<double>(starts.size(), 1.0), 0.5);
    games.reset(Bytes(6, 1));
    for (int k = 0; k < 40; ++k) step(games, k % 3);
    states[i] = games.save();
  }
  CHECK(states[0] == states[1]);
}

TEST(beginning_at_a_start_allocates_nothing) {
  for (const Observation observation : {Observation::features, Observation::pixels}) {
    mario::Config config = one_game(observation);
    config.rules.max_steps = 3;
    config.max_pool = true;
    const auto starts = some_starts(config);
    Batch games(standin::levels(), config);
    games.game_to_change().set_initial_states(starts);
    games.game_to_change().set_start_weights(std::vector<double>(starts.size(), 1.0), 0.5);
    games.reset(Bytes{1});
    const std::vector<int64_t> actions(1, 1);
    const size_t before = allocations::count();
    for (int i = 0; i < 60; ++i) {
      games.send(0, actions);
      games.recv(0);
    }
    CHECK_EQUAL(allocations::count(), before);
  }
}

TEST(the_whole_game_lasts_as_long_as_its_lives) {
  const auto levels = real_game::levels();
  if (!levels) return;
  for (const bool one_life : {false, true}) {
    mario::Config config = one_game(Observation::ram);
    config.rules.whole_game = true;
    config.rules.one_life = one_life;
    config.rules.noop_max = 30;
    config.autoreset = batch::Autoreset::disabled;
    Batch games(levels, config);
    games.reset(Bytes{1});
    CHECK(std::memcmp(&games.console(0).ram[smb::memory::kWorld], "\0", 1) == 0);
    std::vector<int> spare;
    for (int i = 0; i < 500 && games.terminated[0] == 0; ++i) {
      step(games, 1);  // to the right, into the first enemy
      if (games.signals[0].death != 0) spare.push_back(games.signals[0].lives);
    }
    CHECK(games.terminated[0] != 0);
    CHECK_EQUAL(games.signals[0].flag, 0);
    CHECK_EQUAL(games.signals[0].lives_lost, one_life ? 1 : 3);
    CHECK(spare == (one_life ? std::vector{2} : std::vector{1, 0, 0}));
  }
}
