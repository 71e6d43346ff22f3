// Snapshots of a console, saved batches and starts of episodes: refused with a reason, or gone on
// from. What is taken must be such that its own snapshot is taken again.
#include <cstring>
#include <map>
#include <stdexcept>

#include "fuzz/fuzz.h"
#include "fuzz/standin.h"

namespace nes = warpzone::nes;
namespace smb = warpzone::smb;
namespace batch = warpzone::batch;
using fuzz::Bytes;

namespace {

// Either the bytes as they are follow, or what is wrong with good ones.
enum Kind : uint8_t {
  kWholeConsole,
  kDamagedConsole,
  kWholeBatch,
  kDamagedBatch,
  kDamagedStart,
  kKinds
};
constexpr int kGames = 2;

const nes::Cartridge& cart() { return standin::levels()->cartridge(); }

Bytes good_console(int frames) {
  nes::State s = standin::levels()->start(0);
  for (int i = 0; i < frames; ++i) nes::run_frame(s, cart(), static_cast<uint8_t>(i * 37));
  Bytes bytes(nes::kSnapshotBytes);
  nes::save(s, cart(), bytes.data());
  return bytes;
}

mario::Config config_of(int kind) {
  mario::Config config = standin::config();
  config.num_games = kGames;
  config.observation = static_cast<batch::Observation>(kind % 4);
  config.autoreset = static_cast<batch::Autoreset>(kind / 4 % 3);
  config.height = config.width = 8;
  config.stack = config.rules.frame_skip = 2;
  config.consecutive = kind % 16 >= 12;
  config.rules.reward = static_cast<smb::Reward>((kind + kind / 16) % 4);
  if (kind < 128) config.rules.end_penalties.assign(smb::kLevels, 1.5F);
  return config;
}

void step(mario::Batch& games, int64_t action) {
  const std::vector<int64_t> actions(kGames, action);
  games.send(0, actions);
  games.recv(0);
}

Bytes good_batch(int kind, int steps) {
  mario::Batch games(standin::levels(), config_of(kind));
  games.reset(Bytes(kGames, 1));
  for (int i = 0; i < steps; ++i) step(games, i % 2 != 0 ? 1 : 6);
  return games.save();
}

// Everything but the memories of a console, whose every value is a good one.
std::vector<size_t> places_of_console(size_t from) {
  std::vector<size_t> places;
  for (size_t i = 0; i < offsetof(nes::State, ram); ++i) places.push_back(from + i);
  return places;
}

std::vector<size_t> places_of_batch(size_t size, size_t observations) {
  constexpr size_t kHeader = 48;
  std::vector<size_t> places;
  for (size_t game = 0; game < kGames; ++game) {
    const size_t from = kHeader + game * sizeof(smb::Game);
    for (const size_t place : places_of_console(from)) places.push_back(place);
    for (size_t i = sizeof(nes::State); i < sizeof(smb::Game); ++i) places.push_back(from + i);
  }
  for (size_t i = kHeader + kGames * sizeof(smb::Game); i < size - observations; ++i) {
    places.push_back(i);
  }
  return places;
}

void go_on(nes::State s) {
  nes::State executed = s, before = s;
  Bytes picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  std::vector<float> scalars(smb::kScalars);
  smb::Motion motion{};
  batch::GreyPicture grey(84, 84);
  for (int frame = 0; frame < 3; ++frame) {
    nes::ppu::draw(s, cart(), picture.data());
    for (const uint8_t colour : picture) FUZZ_REQUIRE(colour < 64);
    grey.draw(s, cart(), picture.data(), frame > 0 ? &before : nullptr);
    before = s;
    smb::observe_tiles(s, motion, s.buttons, -1, frame % 2 == 0, picture.data(), scalars.data());
    smb::remember_motion(s, motion);
    nes::interpret_frame<true>(s, cart(), static_cast<uint8_t>(frame));
    nes::interpret_frame<false>(executed, cart(), static_cast<uint8_t>(frame));
    FUZZ_REQUIRE(std::memcmp(&s, &executed, sizeof(s)) == 0);
    Bytes again(nes::kSnapshotBytes);
    nes::save(s, cart(), again.data());
    nes::load(again, cart());
  }
}

// An episode of each game from a start that is damaged as the rest of the input says.
smb::InitialState damaged_start(int detail, fuzz::Input& input) {
  smb::InitialState start{standin::levels()->start(0), {}, 0, 5, {}, {}};
  start.level = input.below(2) != 0 ? input.byte() - 100 : 0;
  start.buttons.assign(static_cast<size_t>(input.below(7)), static_cast<uint8_t>(detail * 37));
  constexpr size_t kConsole = sizeof(nes::State), kProgress = sizeof(smb::Progress);
  Bytes bytes(kConsole + kProgress);
  std::memcpy(bytes.data(), &start.nes, kConsole);
  std::vector<size_t> places = places_of_console(0);
  for (size_t i = 0; i < kProgress; ++i) places.push_back(kConsole + i);
  fuzz::damage(bytes, places, input);
  std::memcpy(&start.nes, bytes.data(), kConsole);
  std::memcpy(&start.progress, &bytes[kConsole], kProgress);
  return start;
}

void go_on(mario::Batch& games) {
  for (int i = 0; i < 3; ++i) {
    try {
      step(games, i);
    } catch (const std::runtime_error&) {  // crashed, or in a cutscene for ever
    } catch (const std::logic_error&) {    // no running episode
    }
  }
  const Bytes after = games.save();
  games.load(after);
  FUZZ_REQUIRE(games.save() == after);
}

}  // namespace

std::vector<Bytes> fuzz::seeds() {
  std::vector<Bytes> all;
  for (const int frames : {0, 1, 30}) {
    Bytes whole = good_console(frames);
    whole.insert(whole.begin(), {kWholeConsole, 0});
    all.push_back(whole);
  }
  for (uint8_t kind = 0; kind < 16; ++kind) all.push_back({kDamagedStart, kind, 0, 2});
  // What an episode counts by, with end penalties (2) and with pictures of one step (29).
  for (size_t i = 0; i < sizeof(smb::Game) - sizeof(nes::State); ++i) {
    const size_t place = offsetof(nes::State, ram) + i;  // see `places_of_batch`
    const auto low = static_cast<uint8_t>(place), high = static_cast<uint8_t>(place >> 8);
    all.push_back({kDamagedBatch, 2, low, high, 0x7F, 0});
    all.push_back({kDamagedBatch, 29, low, high, 1, 0});
  }
  // One change for each byte that decides about a console or the rest of a game.
  for (size_t i = 0; i < sizeof(smb::Game) - sizeof(nes::State) + offsetof(nes::State, ram); ++i) {
    const auto low = static_cast<uint8_t>(i), high = static_cast<uint8_t>(i >> 8);
    if (i < offsetof(nes::State, ram)) all.push_back({kDamagedConsole, 3, low, high, 0xFF, 0});
    all.push_back({kDamagedBatch, static_cast<uint8_t>(i % 16), low, high, 0xFF, 3});
    all.push_back({kDamagedBatch, static_cast<uint8_t>(i % 16), low, high, 0x7F, 0});
    all.push_back({kDamagedStart, static_cast<uint8_t>(i % 16), 0, 2, low, high, 0xFF, 3});
  }
  for (uint8_t kind = 0; kind < 16; kind = static_cast<uint8_t>(kind + 5)) {
    Bytes whole = good_batch(kind, 5);
    whole.insert(whole.begin(), {kWholeBatch, kind});
    all.push_back(whole);
  }
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const int kind = input.below(kKinds), detail = input.byte();
  Bytes bytes;
  smb::InitialState start{};
  if (kind == kWholeConsole || kind == kWholeBatch) {
    const auto rest = input.rest();
    bytes.assign(rest.begin(), rest.end());
  } else if (kind == kDamagedConsole) {
    static std::map<int, Bytes> good;
    Bytes& snapshot = good[detail % 8];
    if (snapshot.empty()) snapshot = good_console(detail % 8);
    bytes = snapshot;
    fuzz::damage(bytes, places_of_console(sizeof(nes::SnapshotHeader)), input);
  } else if (kind == kDamagedStart) {
    start = damaged_start(detail, input);
  } else {
    static std::map<int, Bytes> good;
    Bytes& saved = good[detail];
    if (saved.empty()) saved = good_batch(detail, 5);
    bytes = saved;
    const mario::Batch games(standin::levels(), config_of(detail));
    const size_t drawn = kGames * (games.observation_bytes() + 4 * games.scalar_count());
    fuzz::damage(bytes, places_of_batch(bytes.size(), drawn), input);
  }
  const auto taken = [](auto&& load) {
    try {
      load();
      return true;
    } catch (const std::invalid_argument&) {
      return false;
    }
  };
  // From here on nothing may be thrown that ends the program.
  if (kind == kWholeConsole || kind == kDamagedConsole) {
    nes::State s;
    if (taken([&] { s = nes::load(bytes, cart()); })) go_on(s);
  } else if (kind == kDamagedStart) {
    mario::Batch games(standin::levels(), config_of(detail));
    const std::vector<double> weights = {1.0};
    if (taken([&] { games.game_to_change().set_initial_states({start}); })) {
      games.game_to_change().set_start_weights(weights, 1.0);
      games.reset(Bytes(kGames, 1));
      go_on(games);
    }
  } else {
    mario::Batch games(standin::levels(), config_of(detail));
    if (taken([&] { games.load(bytes); })) go_on(games);
  }
  return 0;
}
