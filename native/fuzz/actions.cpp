// A batch of games driven by bytes: any rules and observation, any actions, RAM written to between
// steps, calls out of order. Threads must change nothing.
#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "fuzz/fuzz.h"
#include "fuzz/standin.h"

namespace smb = warpzone::smb;
namespace batch = warpzone::batch;
using fuzz::Bytes;
using mario::Batch;

namespace {

constexpr int kMostSteps = 24, kMostPictures = 8, kMostNoops = 9;

mario::Config config_of(fuzz::Input& input) {
  mario::Config config = standin::config();
  config.observation = static_cast<batch::Observation>(input.below(4));
  config.autoreset = static_cast<batch::Autoreset>(input.below(4));
  config.num_games = 1 + input.below(5);
  config.num_groups = 1 + input.below(config.num_games);
  config.seed = input.byte();
  config.rules.frame_skip = 1 + input.below(5);
  config.stack = 1 + input.below(4);
  config.height = 1 + input.below(240);
  config.width = 1 + input.byte();
  const uint8_t flags = input.byte();
  config.crop_status_bar = (flags & 1) != 0;
  config.max_pool = (flags & 2) != 0;
  config.consecutive = (flags & 4) != 0;
  if (config.consecutive) config.stack = config.rules.frame_skip;
  config.keep_frames = (flags & 8) != 0 && config.num_games == 1;
  config.rules.skip_cutscenes = (flags & 16) != 0;
  if ((flags & 32) != 0) config.rules.repeat_action_probability = 0.4;
  if ((flags & 64) != 0) config.rules.max_steps = input.below(16);
  if ((flags & 128) != 0) config.rules.no_progress_steps = input.below(8);
  config.rules.noop_max = input.below(kMostNoops);
  config.rules.reward = static_cast<smb::Reward>(input.below(3));
  config.rules.level_weights[static_cast<size_t>(input.below(smb::kLevels))] = input.byte();
  return config;
}

// The same calls to a batch that the caller runs alone and to one with threads.
class Pair {
 public:
  explicit Pair(mario::Config config) {
    for (size_t i = 0; i < 2; ++i) {
      config.threads = i == 0 ? 1 : 3;
      batches_[i] = std::make_unique<Batch>(standin::levels(), config);
    }
  }

  const batch::Config& config() const { return batches_[0]->config(); }

  // What one throws the other throws too; which of its games' failures a batch tells may differ.
  template <typename Call>
  void both(Call&& call) {
    bool failed[2] = {};
    for (size_t i = 0; i < 2; ++i) {
      try {
        call(*batches_[i]);
      } catch (const std::logic_error&) {
        failed[i] = true;
      } catch (const std::runtime_error&) {
        failed[i] = true;
      }
    }
    FUZZ_REQUIRE(failed[0] == failed[1]);
  }

  void require_equal() {
    Batch &a = *batches_[0], &b = *batches_[1];
    FUZZ_REQUIRE(a.save() == b.save());
    FUZZ_REQUIRE(a.rewards == b.rewards);
    FUZZ_REQUIRE(a.final_observations == b.final_observations);
    FUZZ_REQUIRE(a.final_scalars == b.final_scalars);
    FUZZ_REQUIRE(a.kept_frames() == b.kept_frames());
  }

 private:
  std::array<std::unique_ptr<Batch>, 2> batches_;
};

enum Call { kStep, kHold, kPoke, kReset, kSave, kLoad, kRunOn, kSeed, kOutOfOrder, kCalls };

}  // namespace

std::vector<Bytes> fuzz::seeds() {
  std::vector<Bytes> all;
  for (int observation = 0; observation < 4; ++observation) {
    for (int reset = 0; reset < 3; ++reset) {
      for (const uint8_t flags : {uint8_t{0}, uint8_t{0x12}, uint8_t{0xF6}, uint8_t{0x3E}}) {
        const bool alone = (flags & 8) != 0;
        Bytes bytes = {static_cast<uint8_t>(observation),
                       static_cast<uint8_t>(reset),
                       static_cast<uint8_t>(alone ? 0 : 3),
                       1,
                       7,
                       3,
                       3,
                       83,
                       83,
                       flags};
        if ((flags & 64) != 0) bytes.push_back(9);
        if ((flags & 128) != 0) bytes.push_back(5);
        bytes.insert(bytes.end(), {8, 2, 5, 40, kReset, 0xFF});
        for (uint8_t i = 0; i < 24; ++i) {
          bytes.insert(bytes.end(), {kStep, i, 1, static_cast<uint8_t>(3 * i), 5});
          if (i % 6 == 5) bytes.insert(bytes.end(), {kPoke, i, 0x0E, 0, i, kSave, kHold, 1, 4});
          if (i % 9 == 8) bytes.insert(bytes.end(), {kLoad, kOutOfOrder, i, kRunOn, 3, 128});
        }
        all.push_back(bytes);
      }
    }
  }
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  Pair games(config_of(input));
  const int num_games = games.config().num_games, num_groups = games.config().num_groups;
  Bytes saved;
  const bool drawn = games.config().observation == batch::Observation::pixels ||
                     games.config().observation == batch::Observation::rgb;
  const int most_steps = drawn ? kMostPictures : kMostSteps;
  bool loaded = false;
  int steps = 0;
  std::vector<int64_t> actions(static_cast<size_t>(num_games));
  const auto send = [&](Batch& b, int group) {
    const auto begin = static_cast<size_t>(b.group_begin(group));
    const auto end = static_cast<size_t>(b.group_begin(group + 1));
    b.send(group, {actions.data() + begin, end - begin});
  };
  const auto step = [&] {
    ++steps;
    games.both([&](Batch& b) {
      b.check_actions(actions);  // or one group would step, and another's actions be refused
      for (int group = 0; group < num_groups; ++group) send(b, group);
      std::string failure;
      for (int group = 0; group < num_groups; ++group) {
        try {
          b.recv(group);
        } catch (const std::exception& error) {
          failure = error.what();
        }
      }
      if (!failure.empty()) throw std::runtime_error(failure);
    });
  };
  while (!input.empty() && steps < most_steps) {
    switch (input.below(kCalls)) {
      case kStep:
        // -1 and 11 are outside.
        for (auto& action : actions) action = input.below(13) - 1;
        step();
        break;
      case kHold: {
        std::fill(actions.begin(), actions.end(), input.below(11));
        for (int n = input.below(12); n > 0; --n) step();
        break;
      }
      case kPoke: {
        const auto game = static_cast<size_t>(input.below(num_games));
        const uint16_t at = input.word() & 0x7FF;
        const uint8_t value = input.byte();
        games.both([&](Batch& b) { b.console(game).ram[at] = value; });
        break;
      }
      case kReset: {
        Bytes mask;
        const uint8_t bits = input.byte();
        for (int i = 0; i < num_games; ++i) mask.push_back((bits >> i) & 1);
        games.both([&](Batch& b) { b.reset(mask); });
        break;
      }
      case kSave: games.both([&](Batch& b) { saved = b.save(); }); break;
      case kLoad:
        if (saved.empty()) break;
        games.both([&](Batch& b) {
          b.load(saved);
          loaded = true;
        });
        FUZZ_REQUIRE(loaded);  // what was saved
        break;
      case kRunOn: {
        const int frames = input.below(8);
        const uint8_t buttons = input.byte();
        games.both([&](Batch& b) { b.run_on(frames, buttons); });
        break;
      }
      case kSeed: {
        const uint8_t seed = input.byte();
        games.both([&](Batch& b) { b.seed(seed); });
        break;
      }
      default: {  // everything that must be refused while a group steps
        const int group = input.below(num_groups);
        games.both([&](Batch& b) { b.recv(group); });
        games.both([&](Batch& b) { send(b, group); });
        games.both([&](Batch& b) { send(b, group); });
        games.both([&](Batch& b) { b.reset(Bytes(static_cast<size_t>(num_games), 1)); });
        games.both([&](Batch& b) { b.load(saved); });
        games.both([&](Batch& b) { b.run_on(1, 0); });
        games.both([&](Batch& b) { b.recv(group); });
        ++steps;
      }
    }
  }
  games.require_equal();
  return 0;
}
