// Batches that play by themselves: as a loop over send and recv does, whatever the threads.
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "allocations.h"
#include "check.h"
#include "fuzz/standin.h"
#include "real_game.h"

namespace batch = warpzone::batch;
namespace smb = warpzone::smb;
using batch::Noise;
using batch::Observation;
using batch::Pieces;
using mario::Batch;
using program::Bytes;

namespace {

constexpr size_t kGames = 19, kSteps = 37;  // neither fills its last chunk or piece

// Sums of the observation, weighted anew for each action and the value.
class Linear : public batch::Decider {
 public:
  explicit Linear(Sizes sizes) : sizes_(sizes) {}

  Sizes sizes() const override { return sizes_; }

  void decide(size_t rows, const uint8_t* bytes, const float* scalars, float* logits,
              float* values) const override {
    if (rows < 1 || rows > batch::kMostRows) throw std::logic_error("too many rows");
    for (size_t row = 0; row < rows; ++row) {
      for (size_t a = 0; a <= sizes_.actions; ++a) {
        uint32_t sum = 0;
        for (size_t i = 0; i < sizes_.bytes; ++i) sum += bytes[i] * weight(i, a);
        for (size_t i = 0; i < sizes_.scalars; ++i) {
          sum += static_cast<uint32_t>(std::lround(scalars[i] * 64)) * weight(i, a + 100);
        }
        const float result = static_cast<float>(sum >> 8) * 0x1.0p-22F;
        (a < sizes_.actions ? logits[row * sizes_.actions + a] : values[row]) = result;
      }
      bytes += sizes_.bytes;
      scalars += sizes_.scalars;
    }
  }

 private:
  static uint32_t weight(size_t input, size_t output) {
    return static_cast<uint32_t>((input * 31 + output) * 2654435761U) | 1;
  }

  Sizes sizes_;
};

// The arrays that `play` writes to, with what must be overwritten in them.
struct Arrays {
  std::vector<uint8_t> observations, terminated, truncated, places;
  std::vector<float> scalars, log_probs, values, rewards, returns, truncated_values;
  std::vector<int64_t> actions;
  std::vector<smb::Signals> signals;
  size_t steps;

  Arrays(const Batch& games, size_t t) : steps(t) {
    const auto n = static_cast<size_t>(games.config().num_games);
    observations.assign((t + 1) * n * games.observation_bytes(), 77);
    scalars.assign((t + 1) * n * games.scalar_count(), 77);
    values.assign((t + 1) * n, 77);
    log_probs.assign(t * n * games.game().actions().size(), 77);
    actions.assign(t * n, 77);
    signals.assign(t * n, {});
    for (auto* bytes : {&terminated, &truncated, &places}) bytes->assign(t * n, 77);
    for (auto* floats : {&rewards, &returns, &truncated_values}) floats->assign(t * n, 77);
  }

  batch::PlayArrays<smb::Signals> spans() {
    return {steps,   observations, scalars,   actions, log_probs, values,          rewards,
            returns, terminated,   truncated, places,  signals,   truncated_values};
  }

  bool operator==(const Arrays& other) const {
    const auto same = [](const auto& a, const auto& b) {
      return a.size() == b.size() &&
             (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0);
    };
    return steps == other.steps && same(observations, other.observations) &&
           same(scalars, other.scalars) && same(actions, other.actions) &&
           same(log_probs, other.log_probs) && same(values, other.values) &&
           same(rewards, other.rewards) && same(returns, other.returns) &&
           same(terminated, other.terminated) && same(truncated, other.truncated) &&
           same(signals, other.signals) && same(truncated_values, other.truncated_values);
  }
};

mario::Config config_of(Observation observation, int threads, bool real = false) {
  mario::Config config = standin::config();
  // Nothing, right, left; Mario falls; the level is cleared (of the real game: right with A, B).
  config.rules.actions = real ? Bytes{0, 128, 129, 130, 131} : Bytes{0, 128, 64, 16, 4};
  config.rules.noop_max = 9;
  config.rules.repeat_action_probability = 0.2;
  config.rules.max_steps = real ? 70 : 4;
  config.observation = observation;
  config.num_games = kGames;
  config.num_groups = 2;
  config.threads = threads;
  return config;
}

Linear linear(const Batch& games) {
  return Linear({games.observation_bytes(), games.scalar_count(), games.game().actions().size()});
}

// What `play` does, step by step from outside. Inputs of ended episodes go to `ended`.
using Logs = std::map<size_t, std::vector<Batch::Ended>>;
void slow_play(Batch& games, const batch::Decider& decider, Arrays& out, uint64_t seed,
               uint64_t first, const std::vector<int>& watched, Logs& ended) {
  const size_t n = static_cast<size_t>(games.config().num_games), bytes = games.observation_bytes();
  const size_t numbers = games.scalar_count(), actions = games.game().actions().size();
  std::vector<float> logits(actions);
  for (size_t t = 0; t <= out.steps; ++t) {
    std::copy(games.observations.begin(), games.observations.end(),
              out.observations.begin() + static_cast<ptrdiff_t>(t * n * bytes));
    std::copy(games.scalars.begin(), games.scalars.end(),
              out.scalars.begin() + static_cast<ptrdiff_t>(t * n * numbers));
    for (size_t i = 0; i < n; ++i) {
      const size_t at = t * n + i;
      decider.decide(1, &games.observations[i * bytes], games.scalars.data() + i * numbers,
                     logits.data(), &out.values[at]);
      if (t == out.steps) continue;
      out.actions[at] = static_cast<int64_t>(Noise(seed).draw(first + at, logits));
      batch::log_softmax(logits);
      std::copy(logits.begin(), logits.end(),
                out.log_probs.begin() + static_cast<ptrdiff_t>(at * actions));
    }
    if (t == out.steps) return;
    for (int group = 0; group < 2; ++group) {
      const auto begin = static_cast<size_t>(games.group_begin(group));
      const auto end = static_cast<size_t>(games.group_begin(group + 1));
      games.send(group, {&out.actions[t * n + begin], end - begin});
    }
    for (int group = 0; group < 2; ++group) games.recv(group);
    for (size_t i = 0; i < n; ++i) {
      const size_t at = t * n + i;
      out.rewards[at] = games.rewards[i];
      out.returns[at] = games.returns[i];
      out.terminated[at] = games.terminated[i];
      out.truncated[at] = games.truncated[i];
      out.places[at] = games.ended_places[i];
      out.signals[at] = games.signals[i];
      out.truncated_values[at] = 0;
      if (games.truncated[i] == 0) continue;
      decider.decide(1, &games.final_observations[i * bytes],
                     games.final_scalars.data() + i * numbers, logits.data(),
                     &out.truncated_values[at]);
    }
    for (const int game : watched) {
      const auto i = static_cast<size_t>(game);
      if (games.terminated[i] == 0 && games.truncated[i] == 0) continue;
      CHECK_EQUAL(games.ended_input_logs(i).size(), size_t{1});
      ended[i].push_back(games.ended_input_logs(i).back());
    }
  }
}

void check_same(const std::vector<Batch::Ended>& played,
                const std::vector<Batch::Ended>& expected) {
  CHECK_EQUAL(played.size(), expected.size());
  for (size_t k = 0; k < std::min(played.size(), expected.size()); ++k) {
    const auto &a = played[k].log, &b = expected[k].log;
    CHECK(a.known && b.known && a.level == b.level && a.own_start == b.own_start);
    CHECK(a.buttons == b.buttons && a.decided == b.decided && played[k].ram == expected[k].ram);
  }
}

// Three rollouts with so many threads and step by step; what became of the games is the same.
void compare(const std::shared_ptr<smb::LevelStarts>& levels, const mario::Config& config) {
  Batch games(levels, config), slow(levels, config);
  const Linear decider = linear(games);
  const std::vector<int> watched = {0, 7, 18};
  for (Batch* each : {&games, &slow}) {
    each->watch(watched);
    each->reset(Bytes(kGames, 1));
  }
  int terminated = 0, truncated = 0;
  std::set<int64_t> actions;
  for (uint64_t rollout = 0; rollout < 3; ++rollout) {
    Arrays played(games, kSteps), expected(slow, kSteps);
    Logs ended;
    games.play(decider, played.spans(), 5, rollout * kSteps * kGames);
    slow_play(slow, decider, expected, 5, rollout * kSteps * kGames, watched, ended);
    CHECK(played == expected);
    for (const int game : watched) {
      const auto i = static_cast<size_t>(game);
      check_same(games.ended_input_logs(i), ended[i]);
    }
    for (size_t at = 0; at < kSteps * kGames; ++at) {
      terminated += played.terminated[at];
      truncated += played.truncated[at];
      actions.insert(played.actions[at]);
      CHECK(played.terminated[at] + played.truncated[at] == 0 ||
            played.places[at] == expected.places[at]);
    }
  }
  CHECK(terminated + truncated > 20);
  if (config.observation == Observation::features) CHECK(terminated > 3 && truncated > 10);
  CHECK_EQUAL(actions.size(), size_t{5});
  CHECK(games.save() == slow.save());
  CHECK(games.input_log(7).buttons == slow.input_log(7).buttons);
}

}  // namespace

TEST(playing_is_what_a_loop_over_send_and_recv_does) {
  for (const int threads : {1, 2, 3, 5}) {
    for (const Observation observation : {Observation::features, Observation::ram}) {
      compare(standin::levels(), config_of(observation, threads));
    }
  }
  auto pixels = config_of(Observation::pixels, 3);
  pixels.height = pixels.width = 20;
  compare(standin::levels(), pixels);
}

TEST(playing_the_real_game_is_what_a_loop_does) {
  if (!real_game::levels()) return;
  for (const int threads : {1, 3}) {
    compare(real_game::levels(), config_of(Observation::features, threads, true));
  }
}

TEST(draws_depend_on_the_seed_and_the_number_of_the_decision_alone) {
  // As `warpzone.noise.gumbel` has them, see tests/test_noise.py.
  const std::array<float, 4> expected = {-0.200110927F, 0.3054851F, 1.63915741F, 0.208034575F};
  for (size_t a = 0; a < 4; ++a) CHECK_EQUAL(Noise(3).at(1000, 4, a), expected[a]);
  std::array<int, 3> drawn{};
  const std::array<float, 3> logits = {std::log(0.2F), std::log(0.5F), std::log(0.3F)};
  for (uint64_t decision = 0; decision < 20000; ++decision) {
    ++drawn[Noise(7).draw(decision, logits)];
  }
  CHECK(std::abs(drawn[0] - 4000) < 250);
  CHECK(std::abs(drawn[1] - 10000) < 250);
}

TEST(pieces_are_handed_out_once_and_in_order) {
  for (const unsigned threads : {1U, 2U, 3U, 7U}) {
    Pieces pieces(5);
    for (int round = 0; round < 20; ++round) {
      constexpr size_t kLength = 101;
      std::vector<size_t> played(5);  // not shared while a piece is held, as a sanitizer sees
      pieces.start(kLength);
      std::vector<std::thread> all;
      for (unsigned k = 0; k < threads; ++k) {
        all.emplace_back([&] {
          std::optional<Pieces::Piece> piece;
          while ((piece = pieces.next(piece))) {
            CHECK_EQUAL(played[piece->chunk], piece->begin);
            played[piece->chunk] = piece->end;
          }
        });
      }
      for (std::thread& thread : all) thread.join();
      CHECK(played == std::vector<size_t>(5, kLength));
    }
    pieces.start(50);
    const auto piece = pieces.next(std::nullopt);
    pieces.stop();
    CHECK(piece && !pieces.next(piece) && !pieces.next(std::nullopt));
  }
}

TEST(what_goes_wrong_while_playing_is_thrown_and_nothing_hangs) {
  struct Failing : Linear {
    using Linear::Linear;
    void decide(size_t rows, const uint8_t* bytes, const float* scalars, float* logits,
                float* values) const override {
      if (--left == 0) throw std::runtime_error("no weights");
      Linear::decide(rows, bytes, scalars, logits, values);
    }
    mutable std::atomic<int> left{0};
  };
  for (const int threads : {1, 3}) {
    Batch games(standin::levels(), config_of(Observation::features, threads));
    Batch quiet(standin::levels(), config_of(Observation::features, threads));
    Arrays out(games, kSteps), expected(games, kSteps);
    const Linear decider = linear(games);
    CHECK(check::thrown([&] { games.play(decider, out.spans(), 1, 0); }).find("reset()") !=
          std::string::npos);
    games.reset(Bytes(kGames, 1));
    const Bytes saved = games.save();
    Failing failing(decider.sizes());
    for (const int when : {1, 2, 40, 100}) {
      failing.left = when;
      const auto play = [&] { games.play(failing, out.spans(), 1, 0); };
      CHECK_EQUAL(check::thrown(play), "no weights");
    }
    games.load(saved);
    quiet.load(saved);
    games.play(decider, out.spans(), 1, 0);
    quiet.play(decider, expected.spans(), 1, 0);
    CHECK(out == expected);

    games.console(11).jammed = 1;
    CHECK_EQUAL(check::thrown([&] { games.play(decider, out.spans(), 1, 0); }),
                "the game's program has crashed");
    games.close();
    CHECK(check::thrown([&] { games.play(decider, out.spans(), 1, 0); }).find("closed") !=
          std::string::npos);
  }
}

TEST(play_refuses_what_does_not_fit_and_changes_nothing) {
  Batch games(standin::levels(), config_of(Observation::features, 2));
  games.reset(Bytes(kGames, 1));
  const Bytes before = games.save();
  const Linear decider = linear(games);
  Arrays out(games, kSteps);
  const auto refused = [&](const batch::Decider& by, const batch::PlayArrays<smb::Signals>& to) {
    return check::thrown([&] { games.play(by, to, 1, 0); });
  };
  auto sizes = decider.sizes();
  sizes.bytes -= 1;
  CHECK(refused(Linear(sizes), out.spans()).starts_with("the decider is made for"));
  auto spans = out.spans();
  spans.steps = 0;
  CHECK(refused(decider, spans).find("at least one step") != std::string::npos);
  spans = out.spans();
  spans.values = spans.values.first(kSteps * kGames);
  CHECK_EQUAL(refused(decider, spans), "values holds 703 numbers, play needs 722");
  games.send(0, std::vector<int64_t>(9, 0));
  CHECK(refused(decider, out.spans()).find("still stepping") != std::string::npos);
  games.recv(0);
  games.load(before);
  {
    const auto hold = games.enter();
    std::thread([&] {
      CHECK(refused(decider, out.spans()).starts_with("another thread is using these games"));
    }).join();
  }
  CHECK(games.save() == before);
  auto config = config_of(Observation::features, 1);
  config.autoreset = batch::Autoreset::next_step;
  Batch later(standin::levels(), config);
  CHECK(check::thrown([&] { later.play(decider, out.spans(), 1, 0); }).find("begin anew") !=
        std::string::npos);
}

TEST(a_rollout_allocates_nothing_for_its_steps) {
  Batch games(standin::levels(), config_of(Observation::features, 2));
  games.reset(Bytes(kGames, 1));
  const Linear decider = linear(games);
  size_t allocated[2];
  for (const size_t steps : {4, 64}) {
    Arrays out(games, steps);
    games.play(decider, out.spans(), 1, 0);
    const size_t before = allocations::count();
    games.play(decider, out.spans(), 1, 0);
    allocated[steps == 64] = allocations::count() - before;
  }
  CHECK_EQUAL(allocated[0], allocated[1]);
}
