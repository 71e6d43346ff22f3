// One thread at a time: whoever comes second is told so, and changes nothing.
#include <atomic>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "fuzz/standin.h"

namespace batch = warpzone::batch;
using mario::Batch;
using program::Bytes;

namespace {

constexpr int kGames = 4;
const Bytes kAll(kGames, 1);

mario::Config four_games() {
  mario::Config config = standin::config();
  config.observation = batch::Observation::features;
  config.num_games = kGames;
  config.num_groups = 2;
  config.threads = 2;
  return config;
}

std::vector<int64_t> held(int64_t action) { return std::vector<int64_t>(kGames / 2, action); }

// One of the calls that may come from anywhere; what it throws says why it was refused.
void call(Batch& games, unsigned which, const Bytes& saved) {
  switch (which) {
    case 0:
    case 1: games.send(static_cast<int>(which), held(1)); break;
    case 2:
    case 3: games.recv(static_cast<int>(which) - 2); break;
    case 4: games.reset(kAll); break;
    case 5: games.load(saved); break;
    case 6: static_cast<void>(games.save()); break;
    case 7: games.seed(3); break;
    case 8: games.check_actions(std::vector<int64_t>(kGames, 1)); break;
    default: games.watch(std::vector<int>{0}); break;
  }
}

constexpr unsigned kCalls = 10;

}  // namespace

TEST(while_one_thread_uses_the_games_every_call_of_another_is_refused) {
  Batch games(standin::levels(), four_games());
  games.reset(kAll);
  const Bytes saved = games.save();
  games.send(0, held(1));
  games.recv(0);
  const Bytes before = games.save();
  std::vector<std::string> refusals;
  {
    const auto hold = games.enter();
    std::thread([&] {
      for (unsigned which = 0; which < kCalls; ++which) {
        refusals.push_back(check::thrown([&] { call(games, which, saved); }));
      }
    }).join();
  }
  for (const std::string& text : refusals) {
    CHECK(text.starts_with("another thread is using these games"));
  }
  CHECK_EQUAL(refusals.size(), size_t{kCalls});
  CHECK(games.save() == before);
}

TEST(threads_that_call_what_they_like_leave_games_that_go_on) {
  Batch games(standin::levels(), four_games());
  games.reset(kAll);
  const Bytes saved = games.save();
  std::atomic<int> unknown{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int n = 0; n < 300; ++n) {
        try {
          call(games, random() % kCalls, saved);
        } catch (const std::logic_error&) {
          // refused: another thread, a group that is stepping, or nothing to receive
        } catch (...) {
          ++unknown;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQUAL(unknown.load(), 0);
  for (int group = 0; group < 2; ++group) {
    check::thrown([&] { games.recv(group); });  // if one was left stepping
  }
  // From the same state they play as games that no other thread has ever touched.
  Batch quiet(standin::levels(), four_games());
  for (Batch* each : {&games, &quiet}) {
    each->load(saved);
    each->watch(std::vector<int>{});
    for (int n = 0; n < 20; ++n) {
      for (int group = 0; group < 2; ++group) each->send(group, held(n % 7));
      for (int group = 0; group < 2; ++group) each->recv(group);
    }
  }
  CHECK(games.save() == quiet.save());
}
