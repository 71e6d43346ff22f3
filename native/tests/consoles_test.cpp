// Batches of consoles: what they read from memory, that whoever decides outside when episodes end
// is heard, and that threads and damaged states do no harm.
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "batch/console_batch.h"
#include "check.h"
#include "program.h"

namespace batch = warpzone::batch;
namespace nes = warpzone::nes;
using batch::Coding;
using batch::ConsoleBatch;
using batch::Observation;
using batch::Variable;
using program::Bytes;

namespace {

// Counts frames at $10, adds up what the controller says at $11.
std::shared_ptr<const nes::Cartridge> counter(bool banked) {
  const Bytes reset = {0xA9, 0x80, 0x8D, 0x00, 0x20, 0x4C, 0x05, 0x80};
  const Bytes nmi = {0xE6, 0x10, 0xA9, 0x01, 0x8D, 0x16, 0x40, 0xA9, 0x00, 0x8D, 0x16, 0x40,
                     0xAD, 0x16, 0x40, 0x29, 0x01, 0x18, 0x65, 0x11, 0x85, 0x11, 0x40};
  Bytes image = program::image(reset, program::kCode, nmi);
  if (banked) image[6] |= 0x10;  // MMC1, with RAM
  return std::make_shared<nes::Cartridge>(image);
}

batch::Play play_of(const nes::Cartridge& cart) {
  batch::Play play;
  play.actions = {0, 1};
  play.frame_skip = 2;
  play.noop_max = 5;
  play.repeat_action_probability = 0.25;
  play.variables = {{{0x10}}, {{0x11}}, {{0x10, 0x11}}};
  if (cart.prg_ram_bytes > 0) play.variables.push_back({{0x7FFF}});
  Bytes start;
  if (cart.plain) {
    start.resize(nes::snapshot_bytes<nes::State>(cart));
    nes::save(nes::power_on(cart), cart, start.data());
  } else {
    auto state = std::make_unique<nes::FullState>();
    nes::switch_on(*state, cart);
    start.resize(nes::snapshot_bytes<nes::FullState>(cart));
    nes::save(*state, cart, start.data());
  }
  play.starts = {start};
  play.weights = {1.0};
  return play;
}

constexpr size_t kGames = 5;
const Bytes kAll(kGames, 1);

batch::Config config_of(Observation observation, int threads) {
  batch::Config config;
  config.observation = observation;
  config.num_games = kGames;
  config.num_groups = 2;
  config.threads = threads;
  config.height = config.width = 8;
  config.max_pool = true;
  return config;
}

// Steps both groups; now and then two games begin anew.
void play(ConsoleBatch& games, int steps, uint32_t seed) {
  std::mt19937 random(seed);
  for (int step = 0; step < steps; ++step) {
    for (int group = 0; group < 2; ++group) {
      const auto n = static_cast<size_t>(games.group_begin(group + 1) - games.group_begin(group));
      std::vector<int64_t> actions(n);
      for (auto& action : actions) action = random() % 2;
      games.send(group, actions);
    }
    for (int group = 0; group < 2; ++group) games.recv(group);
    if (step % 4 == 3) games.reset(Bytes{1, 0, 0, 1, 0});
  }
}

constexpr Observation kObservations[] = {Observation::features, Observation::pixels,
                                         Observation::rgb, Observation::ram};

std::vector<int64_t> held(const ConsoleBatch& games, int group, int64_t action) {
  return std::vector<int64_t>(
      static_cast<size_t>(games.group_begin(group + 1) - games.group_begin(group)), action);
}

}  // namespace

TEST(threads_change_nothing_in_a_batch_of_consoles) {
  for (const bool banked : {false, true}) {
    const auto cart = counter(banked);
    for (const Observation observation : kObservations) {
      Bytes states[2];
      for (int i = 0; i < 2; ++i) {
        ConsoleBatch games(cart, play_of(*cart), config_of(observation, i == 0 ? 1 : 3));
        games.reset(kAll);
        play(games, 10, 1);
        states[i] = games.save();
      }
      CHECK(states[0] == states[1]);
    }
  }
}

TEST(numbers_are_read_where_they_are_said_to_be) {
  const auto cart = counter(true);
  ConsoleBatch games(cart, play_of(*cart), config_of(Observation::ram, 1));
  games.reset(kAll);
  play(games, 3, 2);
  for (size_t i = 0; i < kGames; ++i) {
    const nes::FullState& state = games.console(i);
    const int64_t* values = &games.values[i * 4];
    CHECK_EQUAL(values[0], state.ram[0x10]);
    CHECK_EQUAL(values[1], state.ram[0x11]);
    CHECK_EQUAL(values[2], state.ram[0x10] + 256 * state.ram[0x11]);
    CHECK_EQUAL(values[3], state.memory[0x1FFF]);
  }
  auto state = std::make_unique<nes::FullState>();
  state->ram[0] = 0x56;
  state->ram[1] = 0x91;
  CHECK_EQUAL((Variable{{0, 1}, Coding::bcd}).read(*state), 9156);
  CHECK_EQUAL((Variable{{0, 1}, Coding::digits}).read(*state), 16);
  CHECK_EQUAL((Variable{{1}, Coding::binary, true}).read(*state), 0x91 - 256);
  CHECK_EQUAL((Variable{{0, 1}, Coding::binary, false, 12, 4}).read(*state), 9);
}

TEST(numbers_that_are_nowhere_are_refused) {
  const auto plain = counter(false), banked = counter(true);
  const auto refused = [](const Variable& variable, const nes::Cartridge& cart) {
    return check::thrown([&] { variable.check(cart); });
  };
  CHECK(!refused({{0x800}}, *plain).empty());
  CHECK(!refused({{0x6000}}, *plain).empty());
  CHECK(refused({{0x7FFF}}, *banked).empty());
  CHECK(!refused({{0x8000}}, *banked).empty());
  CHECK(!refused({{}}, *plain).empty());
  CHECK(!refused({{0, 1, 2, 3, 4, 5, 6, 7}}, *plain).empty());
  CHECK(!refused({{0}, Coding::binary, false, 5, 4}, *plain).empty());
  CHECK(!refused({{0}, Coding::bcd, true}, *plain).empty());
}

TEST(stretches_are_as_the_console_has_them_and_had_them_before_the_step) {
  for (const bool banked : {false, true}) {
    const auto cart = counter(banked);
    auto play = play_of(*cart);
    play.stretches = {{0x10, 2}};
    if (banked) play.stretches.push_back({0x6000, 0x2000});
    ConsoleBatch games(cart, play, config_of(Observation::ram, 1));
    const auto shown = [&](size_t game) {
      const nes::FullState& s = games.console(game);
      Bytes bytes(s.ram.begin() + 0x10, s.ram.begin() + 0x12);
      if (banked) bytes.insert(bytes.end(), s.memory.begin(), s.memory.begin() + 0x2000);
      return bytes;
    };
    const auto part = [&](const Bytes& all, size_t game) {
      const auto each = static_cast<ptrdiff_t>(play.memory_bytes());
      const auto begin = all.begin() + static_cast<ptrdiff_t>(game) * each;
      return Bytes(begin, begin + each);
    };
    games.reset(kAll);
    for (int step = 0; step < 4; ++step) {
      std::vector<Bytes> before;
      for (size_t game = 0; game < kGames; ++game) {
        if (banked) games.console(game).memory[game] = static_cast<uint8_t>(step + 1);
        before.push_back(part(games.memory, game));
      }
      for (int group = 0; group < 2; ++group) games.send(group, held(games, group, 1));
      for (int group = 0; group < 2; ++group) games.recv(group);
      for (size_t game = 0; game < kGames; ++game) {
        CHECK(part(games.memory, game) == shown(game));
        CHECK(part(games.memory_before, game) == before[game]);
        CHECK(part(games.memory, game) != before[game]);
      }
    }
  }
}

TEST(stretches_that_are_nowhere_are_refused) {
  const auto plain = counter(false), banked = counter(true);
  const auto refused = [](size_t address, size_t size, const nes::Cartridge& cart) {
    return !check::thrown([&] { batch::Stretch{address, size}.check(cart); }).empty();
  };
  CHECK(!refused(0, 0x800, *plain));
  CHECK(refused(1, 0x800, *plain));
  CHECK(refused(0x800, 1, *plain));
  CHECK(refused(0, 0, *plain));
  CHECK(refused(0x6000, 1, *plain));
  CHECK(!refused(0x6000, 0x2000, *banked));
  CHECK(refused(0x6001, 0x2000, *banked));
  CHECK(refused(0x5FFF, 2, *banked));
  CHECK(refused(0x7FFF, SIZE_MAX, *banked));
}

TEST(an_episode_ends_when_somebody_outside_says_so) {
  const auto cart = counter(false);
  for (const auto autoreset : {batch::Autoreset::disabled, batch::Autoreset::next_step}) {
    auto config = config_of(Observation::ram, 2);
    config.autoreset = autoreset;
    ConsoleBatch games(cart, play_of(*cart), config);
    CHECK(check::thrown([&] { games.send(0, held(games, 0, 1)); }).empty() ==
          (autoreset == batch::Autoreset::next_step));
    check::thrown([&] { games.recv(0); });
    games.reset(kAll);
    for (int group = 0; group < 2; ++group) games.send(group, held(games, group, 1));
    for (int group = 0; group < 2; ++group) games.recv(group);
    CHECK(games.steps == std::vector<int32_t>(kGames, 1));
    games.needs_reset[1] = 1;
    if (autoreset == batch::Autoreset::disabled) {
      CHECK_EQUAL(check::thrown([&] { games.send(0, held(games, 0, 1)); }),
                  "game 1 has no running episode: call reset() first");
      continue;
    }
    games.send(0, held(games, 0, 1));
    games.recv(0);
    CHECK_EQUAL(games.steps[0], 2);
    CHECK_EQUAL(games.steps[1], 0);
    CHECK_EQUAL(games.needs_reset[1], 0);
    CHECK(std::memcmp(&games.values[3], &games.before[3], 3 * sizeof(int64_t)) == 0);
  }
}

TEST(a_game_begins_at_a_moment_while_the_other_group_steps) {
  for (const bool banked : {false, true}) {
    const auto cart = counter(banked);
    auto rules = play_of(*cart);
    rules.noop_max = 0;
    ConsoleBatch games(cart, rules, config_of(Observation::ram, 2));
    games.reset(kAll);
    play(games, 3, 7);
    const Bytes moment = games.snapshot(1);
    const int64_t count = games.values[rules.columns()];
    games.send(1, held(games, 1, 1));
    batch::Beginnings given;
    given.states.resize(kGames);
    given.states[0] = moment;
    games.reset(Bytes{1, 0, 0, 0, 0}, given);
    CHECK_EQUAL(games.values[0], count);
    CHECK_EQUAL(games.starts[0], -1);
    CHECK(games.snapshot(0) == moment);
    CHECK_EQUAL(check::thrown([&] { games.reset(Bytes{0, 0, 0, 0, 1}); }),
                "this game is stepping; recv its group first");
    CHECK_EQUAL(check::thrown([&] { static_cast<void>(games.snapshot(4)); }),
                "this game is stepping; recv its group first");
    games.recv(1);
    given.places.assign(kGames, 1);
    CHECK_EQUAL(check::thrown([&] { games.reset(kAll, given); }), "there is no start 1");
    given.places.clear();
    given.states[4] = Bytes(moment.begin(), moment.end() - 1);
    const Bytes before = games.save();
    CHECK(!check::thrown([&] { games.reset(kAll, given); }).empty());
    CHECK(games.save() == before);
  }
}

TEST(what_consoles_show_is_written_to_the_caller_too) {
  const auto cart = counter(false);
  for (const Observation observation : kObservations) {
    ConsoleBatch games(cart, play_of(*cart), config_of(observation, 2));
    games.reset(kAll);
    const size_t rows = held(games, 1, 0).size();
    Bytes shown(rows * games.observation_bytes());
    games.send(1, held(games, 1, 1), {shown, {}, nullptr});
    games.recv(1);
    CHECK(std::equal(shown.begin(), shown.end(),
                     games.observations.end() - static_cast<ptrdiff_t>(shown.size())));
    if (shown.empty()) continue;
    shown.pop_back();
    CHECK(check::thrown([&] {
            games.send(1, held(games, 1, 1), {shown, {}, nullptr});
          }).starts_with("the arrays to write to"));
  }
}

TEST(threads_that_call_what_they_like_leave_consoles_that_go_on) {
  const auto cart = counter(true);
  ConsoleBatch games(cart, play_of(*cart), config_of(Observation::pixels, 2));
  games.reset(kAll);
  const Bytes saved = games.save();
  const auto call = [&](ConsoleBatch& each, unsigned which) {
    switch (which) {
      case 0:
      case 1: each.send(static_cast<int>(which), held(each, static_cast<int>(which), 1)); break;
      case 2:
      case 3: each.recv(static_cast<int>(which) - 2); break;
      case 4: each.reset(Bytes{1, 0, 1, 0, 1}); break;
      case 5: each.load(saved); break;
      case 6: static_cast<void>(each.save(2)); break;
      case 7: each.seed(3); break;
      default: static_cast<void>(each.snapshot(3)); break;
    }
  };
  std::atomic<int> unknown{0};
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int n = 0; n < 100; ++n) {
        try {
          call(games, random() % 9);
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
  for (int group = 0; group < 2; ++group) check::thrown([&] { games.recv(group); });
  ConsoleBatch quiet(cart, play_of(*cart), config_of(Observation::pixels, 1));
  for (ConsoleBatch* each : {&games, &quiet}) {
    each->load(saved);
    play(*each, 6, 8);
  }
  CHECK(games.save() == quiet.save());
}

TEST(saved_consoles_go_on_and_damaged_ones_do_no_harm) {
  std::mt19937 random(3);
  for (const bool banked : {false, true}) {
    const auto cart = counter(banked);
    for (const Observation observation : {Observation::pixels, Observation::ram}) {
      ConsoleBatch games(cart, play_of(*cart), config_of(observation, 2));
      games.reset(kAll);
      play(games, 4, 4);
      const Bytes saved = games.save();
      ConsoleBatch other(cart, play_of(*cart), config_of(observation, 1));
      other.load(saved);
      play(games, 3, 5);
      play(other, 3, 5);
      CHECK(games.save() == other.save());
      int refused = 0, run = 0;
      for (int i = 0; i < 60; ++i) {
        Bytes damaged = saved;
        damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
        const Bytes before = other.save();
        const std::string why = check::thrown([&] { other.load(damaged); });
        if (!why.empty()) {
          ++refused;
          CHECK(other.save() == before);
          continue;
        }
        ++run;
        check::thrown([&] { play(other, 1, 6); });  // a program may crash, a game have ended
        for (int group = 0; group < 2; ++group) check::thrown([&] { other.recv(group); });
        other.load(saved);
      }
      CHECK(run > 0);
      CHECK_EQUAL(refused + run, 60);
      CHECK(!check::thrown([&] { other.load(Bytes(saved.begin(), saved.end() - 1)); }).empty());
      // One game alone, into another.
      other.load(games.save(3), 0);
      CHECK(other.save(0) == games.save(3));
      CHECK(!check::thrown([&] { other.load(saved, 0); }).empty());
    }
  }
}

TEST(counts_of_consoles_that_would_overflow_are_refused) {
  constexpr int32_t kMost = INT32_MAX;
  const auto cart = counter(false);
  ConsoleBatch games(cart, play_of(*cart), config_of(Observation::features, 1));
  games.reset(kAll);
  const Bytes saved = games.save();
  // Behind header and snapshot: two random streams, buttons, whether it waits; then the counts.
  const size_t console = nes::snapshot_bytes<nes::State>(*cart);
  const size_t game = (saved.size() - games.save(0).size()) / (kGames - 1);
  const size_t header = saved.size() - kGames * game;
  const size_t buttons = header + console + 16, counts = buttons + 9;
  const auto refused = [&](size_t at, auto value) {
    Bytes damaged = saved;
    std::memcpy(&damaged[at], &value, sizeof(value));
    CHECK_EQUAL(check::thrown([&] { games.load(damaged); }),
                "the saved state of a game is damaged");
    CHECK(games.save() == saved);
  };
  refused(buttons, uint64_t{256});
  refused(buttons + 8, uint8_t{2});
  for (const int32_t value : {INT32_MIN, -1}) {
    refused(counts, value);
    refused(counts + 4, value);
  }
  for (const int32_t value : {INT32_MIN, -2, 1, INT32_MAX}) refused(counts + 8, value);
  // Steps and frames of a game that has been played for that long stay at the largest number.
  Bytes old = saved;
  for (const size_t at : {counts, counts + 4}) std::memcpy(&old[at], &kMost, sizeof(kMost));
  games.load(old);
  CHECK_EQUAL(games.steps[0], kMost);
  CHECK_EQUAL(games.frames[0], kMost);
}
