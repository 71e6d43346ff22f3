// Batches of the real game, for the sanitizers above all: only where WARPZONE_ROM names its file.
#include "batch/batch.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "check.h"

namespace batch = warpzone::batch;
namespace nes = warpzone::nes;
namespace smb = warpzone::smb;
using batch::Observation;

namespace {

std::shared_ptr<smb::Levels> real_levels() {
  static const std::shared_ptr<smb::Levels> levels = []() -> std::shared_ptr<smb::Levels> {
    const char* path = std::getenv("WARPZONE_ROM");
    if (path == nullptr) return nullptr;
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    const std::vector<uint8_t> image(bytes.begin(), bytes.end());
    return std::make_shared<smb::Levels>(image);
  }();
  return levels;
}

batch::Config usual_config(Observation observation, int threads) {
  batch::Config config;
  config.rules.actions = {0, 128, 130, 131, 129, 64, 32};
  config.rules.level_weights.assign(smb::kLevels, 1.0);
  config.rules.noops = 20;
  config.rules.sticky = 0.2;
  config.rules.max_steps = 15;
  config.observation = observation;
  config.num_games = 6;
  config.num_groups = 2;
  config.threads = threads;
  config.max_pool = true;
  return config;
}

void play(batch::Batch& games, int steps, uint32_t seed) {
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

constexpr Observation kAll[] = {Observation::tiles, Observation::pixels, Observation::rgb,
                                Observation::ram};

}  // namespace

TEST(threads_change_nothing_in_the_real_game) {
  if (!real_levels()) return;
  for (const Observation observation : kAll) {
    std::vector<uint8_t> states[2];
    for (int i = 0; i < 2; ++i) {
      batch::Batch games(real_levels(), usual_config(observation, i == 0 ? 1 : 4));
      games.reset(std::vector<uint8_t>(6, 1));
      play(games, 50, 1);
      states[i] = games.save();
    }
    CHECK(states[0] == states[1]);
  }
}

TEST(saved_batches_go_on_and_damaged_ones_do_no_harm) {
  if (!real_levels()) return;
  std::mt19937 random(2);
  for (const Observation observation : kAll) {
    batch::Batch games(real_levels(), usual_config(observation, 2));
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
