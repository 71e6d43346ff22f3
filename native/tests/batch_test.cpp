// Batches of the real game, for the sanitizers above all: only where WARPZONE_ROM names its file.
#include <random>

#include "allocations.h"
#include "check.h"
#include "real_game.h"
#include "tests/mario.h"

namespace batch = warpzone::batch;
namespace nes = warpzone::nes;
namespace smb = warpzone::smb;
using batch::Observation;
using real_game::levels;

namespace {

mario::Config usual_config(Observation observation, int threads) {
  mario::Config config;
  config.rules.actions = {0, 128, 130, 131, 129, 64, 32};
  config.rules.level_weights.assign(smb::kLevels, 1.0);
  config.rules.noop_max = 20;
  config.rules.repeat_action_probability = 0.2;
  config.rules.max_steps = 15;
  config.observation = observation;
  config.num_games = 6;
  config.num_groups = 2;
  config.threads = threads;
  config.max_pool = true;
  return config;
}

void play(mario::Batch& games, int steps, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int64_t> actions(3);
  for (int step = 0; step < steps; ++step) {
    for (int group = 0; group < 2; ++group) {
      for (auto& action : actions) action = random() % 7;
      games.send(group, actions);
    }
    for (int group = 0; group < 2; ++group) games.recv(group);
  }
}

constexpr Observation kAll[] = {Observation::features, Observation::pixels, Observation::rgb,
                                Observation::ram};

}  // namespace

TEST(threads_change_nothing_in_the_real_game) {
  if (!levels()) return;
  for (const Observation observation : kAll) {
    std::vector<uint8_t> states[2];
    for (int i = 0; i < 2; ++i) {
      mario::Batch games(levels(), usual_config(observation, i == 0 ? 1 : 4));
      games.reset(std::vector<uint8_t>(6, 1));
      play(games, 50, 1);
      states[i] = games.save();
    }
    CHECK(states[0] == states[1]);
  }
}

TEST(saved_batches_go_on_and_damaged_ones_do_no_harm) {
  if (!levels()) return;
  std::mt19937 random(2);
  for (const Observation observation : kAll) {
    mario::Batch games(levels(), usual_config(observation, 2));
    games.reset(std::vector<uint8_t>(6, 1));
    play(games, 20, 3);
    const auto state = games.save();
    play(games, 20, 4);
    const auto expected = games.save();
    games.load(state);
    play(games, 20, 4);
    CHECK(games.save() == expected);

    int refused = 0, run = 0;
    for (int round = 0; round < 60; ++round) {
      auto damaged = state;
      for (int i = 0; i < 4; ++i) {
        damaged[random() % (6 * sizeof(smb::Game))] = static_cast<uint8_t>(random());
      }
      try {
        games.load(damaged);
        play(games, 3, 5);
        ++run;
      } catch (const std::invalid_argument&) {
        ++refused;
      } catch (const std::runtime_error&) {  // a game that cannot go on says so
        ++run;
        check::thrown([&] { games.recv(1); });  // stepping still, if it was the first group
        games.reset(std::vector<uint8_t>(6, 1));
      }
    }
    CHECK(run > 0);
    CHECK_EQUAL(refused + run, 60);
  }
}

TEST(a_journal_leads_to_the_same_console_and_changes_nothing) {
  if (!levels()) return;
  for (const int threads : {1, 4}) {
    mario::Batch games(levels(), usual_config(Observation::features, threads));
    mario::Batch plain(levels(), usual_config(Observation::features, threads));
    games.watch(std::vector<int>{1, 4});
    CHECK(!check::thrown([&] { games.input_log(0); }).empty());
    CHECK(!check::thrown([&] { games.watch(std::vector<int>{6}); }).empty());
    for (mario::Batch* batch : {&games, &plain}) batch->reset(std::vector<uint8_t>(6, 1));
    const auto follow = [&](const batch::InputLog& input_log,
                            const std::array<uint8_t, 0x800>& ram) {
      nes::State console = levels()->start(input_log.level);
      for (const uint8_t buttons : input_log.buttons) {
        nes::run_frame(console, levels()->cartridge(), buttons);
      }
      CHECK(console.ram == ram);
    };
    int ended = 0;
    for (uint32_t round = 0; round < 30; ++round) {
      for (mario::Batch* batch : {&games, &plain}) play(*batch, 3, round);
      for (const size_t game : {1, 4}) {
        const batch::InputLog& input_log = games.input_log(game);
        CHECK(input_log.known);
        CHECK(input_log.own_start);
        follow(input_log, games.console(game).ram);
        if (games.ended_input_logs(game).empty()) continue;
        ++ended;
        CHECK_EQUAL(games.ended_input_logs(game).size(), size_t{1});
        const auto& [log, ram] = games.ended_input_logs(game).back();
        follow(log, ram);
        CHECK(games.ended_places[game] == (ram[0x074E] << 5 | ram[0x074F]));
      }
    }
    CHECK(ended > 20);
    CHECK(games.save() == plain.save());
    games.load(plain.save());  // nobody knows how that game came to where it stands
    CHECK(!games.input_log(1).known);
    CHECK(games.ended_input_logs(1).empty());
    play(games, 15, 1);
    CHECK(games.input_log(1).known);
  }
}

TEST(stepping_allocates_nothing) {
  if (!levels()) return;
  for (int level = 0; level < smb::kLevels; ++level) levels()->start(level);
  for (const Observation observation : kAll) {
    for (const bool consecutive : {false, true}) {
      auto config = usual_config(observation, 2);
      config.consecutive = consecutive;
      mario::Batch games(levels(), config);
      games.reset(std::vector<uint8_t>(6, 1));
      play(games, 5, 1);
      std::vector<int64_t> actions(3, 1);
      const size_t before = allocations::count();
      for (int step = 0; step < 40; ++step) {  // episodes end and begin among them
        games.send(step % 2, actions);
        games.recv(step % 2);
      }
      CHECK_EQUAL(allocations::count(), before);
    }
  }
}

TEST(a_thousand_games_fit_into_a_process) {
  if (!levels()) return;
  constexpr int kGames = 1024;
  auto config = usual_config(Observation::pixels, 2);
  config.num_games = kGames;
  config.num_groups = 1;
  const size_t before = allocations::bytes();
  mario::Batch games(levels(), config);
  const size_t beside = allocations::bytes() - before - games.observations.size();
  CHECK(beside <= size_t{kGames} * 64 * 1024);
  games.reset(std::vector<uint8_t>(kGames, 1));
  games.send(0, std::vector<int64_t>(kGames, 1));
  games.recv(0);
  for (const auto& signals : games.signals) CHECK_EQUAL(signals.steps, 1);
}

TEST(observations_are_written_to_the_caller_too) {
  if (!levels()) return;
  for (const Observation observation : kAll) {
    mario::Batch games(levels(), usual_config(observation, 3));
    games.reset(std::vector<uint8_t>(6, 1));
    const size_t bytes = 3 * games.observation_bytes(), numbers = 3 * games.scalar_count();
    std::vector<uint8_t> pictures(bytes);
    std::vector<float> scalars(numbers);
    for (int step = 0; step < 20; ++step) {
      games.send(1, std::vector<int64_t>(3, 1), {pictures, scalars, nullptr});
      games.recv(1);
      CHECK(std::equal(pictures.begin(), pictures.end(), games.observations.end() - bytes));
      CHECK(std::equal(scalars.begin(), scalars.end(), games.scalars.end() - numbers));
    }
    std::vector<uint8_t> small(bytes - 1);
    const auto send_small = [&] {
      games.send(1, std::vector<int64_t>(3, 1), {small, scalars, nullptr});
    };
    CHECK(check::thrown(send_small) != "");
    games.send(1, std::vector<int64_t>(3, 1));
    games.recv(1);
  }
}
