// What the fuzz targets have found, one test for each, on their stand-in for the game.
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>

#include "check.h"
#include "fuzz/standin.h"
#include "smb/explore.h"

#ifdef __GLIBC__
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace batch = warpzone::batch;
namespace nes = warpzone::nes;
namespace smb = warpzone::smb;
using batch::Workers;
using mario::Batch;
using program::Bytes;

namespace {

mario::Config small_config(batch::Observation observation) {
  mario::Config config = standin::config();
  config.observation = observation;
  config.num_games = 2;
  return config;
}

void step(Batch& games, int64_t action) {
  games.send(0, std::vector<int64_t>{action, action});
  games.recv(0);
}

constexpr size_t kHeader = 48;  // of a saved batch; then the games
const std::string kDamaged = "the saved state of a game is damaged";

// Bytes of a saved batch with one member of its first game replaced.
template <typename Member>
Bytes with(Bytes saved, size_t offset, Member value) {
  std::memcpy(&saved[kHeader + offset], &value, sizeof(value));
  return saved;
}

}  // namespace

TEST(the_stand_in_meets_everything_that_an_episode_can) {
  mario::Config config = small_config(batch::Observation::features);
  config.rules.noop_max = 5;
  Batch games(standin::levels(), config);
  games.reset(Bytes{1, 1});
  std::set<int> ends;
  int objects = 0, truncated = 0;
  float most = 0;
  for (int i = 0; i < 3000; ++i) {
    step(games, i * 7 % 31 % static_cast<int>(config.rules.actions.size()));
    ends.insert(games.signals[0].flag * 10 + games.signals[0].death);
    most = std::max(most, games.rewards[0]);
    objects += games.scalars[smb::kMarioScalars] > 0 ? 1 : 0;
    truncated += games.truncated[0];
  }
  CHECK(ends.count(0) == 1);   // goes on
  CHECK(ends.count(10) == 1);  // cleared
  CHECK(ends.count(static_cast<int>(smb::Death::enemy)) +
            ends.count(static_cast<int>(smb::Death::time)) >
        0);
  CHECK(ends.count(static_cast<int>(smb::Death::pit)) == 1);
  CHECK(ends.count(static_cast<int>(smb::Death::warped)) == 1);
  CHECK(most > 1);
  CHECK(objects > 100);
  CHECK_EQUAL(truncated, 0);
}

TEST(a_poll_that_is_jumped_into_sets_its_own_flags) {
  // LDA #$FF, BVC into itself: V is clear, as BIT $2002 will find it, but Z is not what BIT makes
  // of it. Which instruction is the first after the event depends on the delay.
  using program::operator+;
  int different = 0;
  for (size_t delay = 0; delay < 24; ++delay) {
    Bytes code = Bytes(delay / 2, 0xEA) + (delay % 2 != 0 ? Bytes{0xA5, 0x00} : Bytes{});
    code = code + Bytes{0xA9, 0xFF, 0x4C, 0x53, 0x80};
    Bytes image = program::image(code, 0x8000, {0x68, 0x85, 0x10, 0x4C, 0x04, 0xFE});
    program::put(image, 0x8050, {0x2C, 0x02, 0x20, 0x50, 0xFB, 0x4C, 0x50, 0x80});
    const nes::Cartridge cart(image);
    nes::State skipped = nes::power_on(cart), executed = skipped;
    nes::interpret_frame<true>(skipped, cart, 0);
    nes::interpret_frame<false>(executed, cart, 0);
    if (std::memcmp(&skipped, &executed, sizeof(skipped)) != 0) ++different;
  }
  CHECK_EQUAL(different, 0);
}

TEST(a_game_that_is_over_but_not_waiting_for_its_reset_is_refused) {
  mario::Config config = small_config(batch::Observation::pixels);
  config.consecutive = true;  // read what lies before the stack
  Batch games(standin::levels(), config);
  games.reset(Bytes{1, 1});
  const Bytes saved = games.save();
  const Bytes over = with(saved, offsetof(smb::Game, over), uint8_t{1});
  CHECK_EQUAL(check::thrown([&] { games.load(over); }), kDamaged);
  Bytes waiting = over;
  waiting[kHeader + 2 * sizeof(smb::Game)] = 1;
  games.load(waiting);
  CHECK(check::thrown([&] { step(games, 0); }).find("no running episode") != std::string::npos);
}

TEST(a_game_between_levels_but_not_waiting_for_its_reset_is_refused) {
  mario::Config config = small_config(batch::Observation::pixels);
  config.consecutive = true;  // read what lies before the stack
  Batch games(standin::levels(), config);
  games.reset(Bytes{1, 1});
  const Bytes saved = games.save();
  const Bytes between = with(saved, offsetof(smb::Game, passed), uint8_t{1});
  CHECK_EQUAL(check::thrown([&] { games.load(between); }), kDamaged);
  CHECK(games.save() == saved);
  Bytes waiting = between;
  waiting[kHeader + 2 * sizeof(smb::Game)] = 1;
  games.load(waiting);
  games.reset(Bytes{1, 1});
  step(games, 0);
}

TEST(a_game_that_failed_waits_for_its_reset) {
  for (const auto observation : {batch::Observation::features, batch::Observation::pixels}) {
    Batch games(standin::levels(), small_config(observation));
    games.reset(Bytes{1, 1});
    games.console(1).jammed = 1;
    CHECK_EQUAL(check::thrown([&] { step(games, 0); }), "the game's program has crashed");
    const Bytes saved = games.save();
    games.load(saved);
    CHECK(check::thrown([&] { step(games, 0); }).find("game 1 has no running episode") !=
          std::string::npos);
    games.reset(Bytes{0, 1});
    step(games, 0);
  }
}

TEST(a_step_without_a_frame_shows_where_the_game_stands) {
  batch::Config config = small_config(batch::Observation::pixels);
  config.height = config.width = 8;
  config.consecutive = true;
  constexpr size_t kPicture = 64;
  const batch::PixelStack pixels(config, config.stack, 0);
  const nes::Cartridge& cart = standin::levels()->cartridge();
  const nes::State s = standin::levels()->start(0);
  const size_t bytes = pixels.bytes();
  Bytes memory(kPicture + bytes, 0xA5);  // of someone else, then the stack
  uint8_t* const stack = &memory[kPicture];
  batch::PixelStack::Step<>(pixels, cart, stack).finish(s);
  Bytes expected(kPicture);
  batch::GreyPicture(8, 8).draw(s, cart, expected.data());
  for (size_t at = 0; at < bytes; at += kPicture) {
    CHECK(std::memcmp(stack + at, expected.data(), kPicture) == 0);
  }
}

TEST(what_no_game_can_have_come_to_is_refused) {
  mario::Config config = small_config(batch::Observation::features);
  config.rules.end_penalties.assign(smb::kLevels, 1.0F);  // by level: read far behind these
  Batch games(standin::levels(), config);
  games.reset(Bytes{1, 1});
  step(games, 1);
  const Bytes saved = games.save();
  const auto refused = [&](size_t offset, auto value) {
    CHECK_EQUAL(check::thrown([&] { games.load(with(saved, offset, value)); }), kDamaged);
    CHECK(games.save() == saved);
  };
  // Of each game; then whether each waits, and what was told of the last step and of the start.
  const size_t waits = 2 * sizeof(smb::Game);
  const size_t told = waits + 2, began = told + 2 * sizeof(smb::Signals);
  for (const size_t signals : {offsetof(smb::Game, signals), told, began}) {
    for (const int32_t level : {INT32_MIN, -1, smb::kLevels, 1 << 30, INT32_MAX}) {
      refused(signals + offsetof(smb::Signals, level), level);
    }
    for (const int32_t value : {INT32_MIN, INT32_MAX}) {
      for (const size_t member :
           {offsetof(smb::Signals, x), offsetof(smb::Signals, y), offsetof(smb::Signals, coins),
            offsetof(smb::Signals, lives), offsetof(smb::Signals, score),
            offsetof(smb::Signals, total_coins), offsetof(smb::Signals, levels_cleared)}) {
        refused(signals + member, value);
      }
    }
    refused(signals + offsetof(smb::Signals, start), int32_t{-2});
    refused(signals + offsetof(smb::Signals, status), int32_t{3});
    refused(signals + offsetof(smb::Signals, flag), int32_t{2});
    refused(signals + offsetof(smb::Signals, death), int32_t{6});
    refused(signals + offsetof(smb::Signals, death), int32_t{-1});
    games.load(with(saved, signals + offsetof(smb::Signals, level), int32_t{smb::kLevels - 1}));
    // Practice may have had more starts than there are now.
    games.load(with(saved, signals + offsetof(smb::Signals, start), int32_t{5000}));
    games.load(saved);
  }
  refused(offsetof(smb::Game, ending), uint8_t{3});
  refused(offsetof(smb::Game, origin), uint8_t{5});
  refused(offsetof(smb::Game, view), uint8_t{8});
  refused(offsetof(smb::Game, sticky), uint8_t{2});
  refused(offsetof(smb::Game, off_route), uint8_t{2});
  refused(offsetof(smb::Game, episode_return), std::nanf(""));
  refused(waits, uint8_t{2});
  const size_t ended = began + 2 * sizeof(smb::Signals);
  for (const size_t flag : {ended, ended + 2}) refused(flag, uint8_t{2});
  refused(ended + 4, std::nanf(""));
  // Another level than the one that is played is that of a game in which a pipe leads elsewhere.
  games.load(
      with(saved, offsetof(smb::Game, signals) + offsetof(smb::Signals, level), int32_t{31}));
  step(games, 1);
}

TEST(a_start_whose_areas_are_damaged_is_refused) {
  mario::Config config = small_config(batch::Observation::features);
  Batch games(standin::levels(), config);
  smb::InitialState start{standin::levels()->start(0), {}, 0, 0, {}, {}};
  start.progress.start(0, 0);
  const auto set = [&] {
    return check::thrown([&] { games.game_to_change().set_initial_states({start}); });
  };
  const auto explore = [&] {
    const std::vector<double> weights(config.rules.actions.size(), 1.0);
    return check::thrown(
        [&] { smb::Explorer(standin::levels(), config.rules, 0, weights, 1, start); });
  };
  CHECK_EQUAL(set(), "");
  CHECK_EQUAL(explore(), "");
  for (const int32_t areas : {-1, 9, INT32_MAX}) {
    start.progress.areas = areas;
    CHECK_EQUAL(set(), "a start is damaged");
    CHECK_EQUAL(explore(), "a start is damaged");
  }
}

TEST(an_input_log_of_no_level_is_refused) {
  Batch games(standin::levels(), small_config(batch::Observation::features));
  games.watch(std::vector<int>{0});
  batch::InputLog log;
  for (const int32_t level : {0, 31, 32, 60000, -(1 << 18)}) {
    log.level = level;
    Bytes bytes;
    log.save(0, bytes);
    CHECK_EQUAL(check::thrown([&] { games.load_input_logs(bytes); }),
                level >= 0 && level < 32 ? "" : "an input log is damaged");
  }
}

TEST(counts_that_would_overflow_are_refused) {
  Batch games(standin::levels(), small_config(batch::Observation::features));
  games.reset(Bytes{1, 1});
  step(games, 1);
  const Bytes saved = games.save();
  const auto refused = [&](size_t offset, auto value) {
    CHECK_EQUAL(check::thrown([&] { games.load(with(saved, offset, value)); }), kDamaged);
  };
  const size_t progress = offsetof(smb::Game, progress), motion = offsetof(smb::Game, motion),
               signals = offsetof(smb::Game, signals);
  for (const int32_t value : {INT32_MIN, -1, INT32_MAX}) {
    refused(progress + offsetof(smb::Progress, total), value);
    refused(progress + offsetof(smb::Progress, best), value);
    refused(progress + offsetof(smb::Progress, areas), value);
    refused(motion + offsetof(smb::Motion, x), value);
    refused(motion + offsetof(smb::Motion, y), value);
    refused(motion + offsetof(smb::Motion, mario_x), value);
    refused(motion + offsetof(smb::Motion, mario_y), value);
    refused(offsetof(smb::Game, last_x), value);
    refused(offsetof(smb::Game, last_time), value);
  }
  for (const size_t passed : {offsetof(smb::Signals, frames), offsetof(smb::Signals, steps)}) {
    for (const int32_t value : {INT32_MIN, -1}) refused(signals + passed, value);
    // An episode may be paused for that long: then it stays at the largest number.
    games.load(with(saved, signals + passed, int32_t{INT32_MAX}));
    step(games, 1);
  }
  for (const int64_t value : {INT64_MIN, int64_t{-1}, INT64_MAX}) {
    refused(offsetof(smb::Game, stuck_steps), value);
  }
  games.load(saved);
}

TEST(a_batch_that_was_never_reset_can_be_saved_and_seen) {
  Batch games(standin::levels(), small_config(batch::Observation::features));
  const Bytes saved = games.save();
  games.load(saved);
  CHECK(games.save() == saved);
  Bytes picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth, 0xFF);
  nes::ppu::draw(games.console(0), standin::levels()->cartridge(), picture.data());
  CHECK_EQUAL(picture[0], 0);
}

TEST(a_batch_that_steps_cannot_be_seeded) {
  Batch games(standin::levels(), small_config(batch::Observation::features));
  games.reset(Bytes{1, 1});
  games.send(0, std::vector<int64_t>{0, 0});
  CHECK_EQUAL(check::thrown([&] { games.seed(1); }), "a group is still stepping; recv it first");
  games.recv(0);
}

#ifdef __GLIBC__
TEST(threads_that_cannot_start_are_told_of) {
  // Room for one more stack, not for two.
  constexpr size_t kStack = size_t{1} << 30;
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit usual_space, space;
  getrlimit(RLIMIT_AS, &usual_space);
  space = usual_space;
  space.rlim_cur = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + kStack * 3 / 2;
  pthread_attr_t usual, vast;
  pthread_getattr_default_np(&usual);
  pthread_attr_init(&vast);
  pthread_attr_setstacksize(&vast, kStack);
  pthread_setattr_default_np(&vast);
  setrlimit(RLIMIT_AS, &space);
  rlimit granted;
  getrlimit(RLIMIT_AS, &granted);
  const bool limited = granted.rlim_cur == space.rlim_cur;  // qemu takes no notice of it
  const std::string text = check::thrown([] { Workers(4, {4}, [](int, int) {}); });
  setrlimit(RLIMIT_AS, &usual_space);
  pthread_setattr_default_np(&usual);
  pthread_attr_destroy(&vast);
  pthread_attr_destroy(&usual);
  CHECK(!limited || !text.empty());
  Workers(3, {4}, [](int, int) {});  // and the next ones start again
}
#endif
