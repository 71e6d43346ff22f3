// What a game's console was given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

namespace warpzone::batch {

// What the console of a watched game was given, in every frame since its level began: the whole
// game can be played again from it.
struct InputLog {
  // Frames after which a game that goes on is no longer logged: who looks at a moment of it plays
  // all of them again.
  static constexpr size_t kMostCarried = 12000;

  bool known = false;             // not so after `load`, until the next episode
  int32_t level = 0;              // where it began
  bool own_start = true;          // the episode too, not only the level
  bool carried = false;           // the episode began as the game went on from the one before
  uint32_t variation = 0;         // what was drawn anew of where it began, as the game knows it
  std::vector<uint8_t> buttons;   // of each frame
  std::vector<uint32_t> decided;  // how many frames there were before each action of the episode

  // Whether the episode did not begin within a level.
  bool whole() const { return known && (own_start || carried); }

  // Appends it, and whose it is, to `bytes`.
  void save(uint32_t game, std::vector<uint8_t>& bytes) const {
    const Header header{game, level + (carried ? kCarried : 0) + (variation != 0 ? kVaried : 0),
                        static_cast<uint32_t>(buttons.size()),
                        static_cast<uint32_t>(decided.size())};
    const auto append = [&bytes](const void* data, size_t size) {
      const auto* from = static_cast<const uint8_t*>(data);
      bytes.insert(bytes.end(), from, from + size);
    };
    append(&header, sizeof(header));
    if (variation != 0) append(&variation, sizeof(variation));
    append(buttons.data(), buttons.size());
    append(decided.data(), decided.size() * sizeof(uint32_t));
  }

  // Takes it from the beginning of `bytes`; returns whose it is. Throws std::invalid_argument.
  size_t load(std::span<const uint8_t>& bytes) {
    Header header{};
    take(bytes, &header, sizeof(header), 1);
    known = true;
    variation = 0;
    if ((header.level & kVaried) != 0) take(bytes, &variation, sizeof(variation), 1);
    carried = (header.level & kCarried) != 0;
    own_start = !carried;
    level = header.level & ~(kCarried | kVaried);
    if (header.frames > bytes.size() || header.steps > bytes.size() / sizeof(uint32_t)) {
      throw std::invalid_argument("input logs are cut short");
    }
    buttons.resize(header.frames);
    take(bytes, buttons.data(), header.frames, sizeof(uint8_t));
    decided.resize(header.steps);
    take(bytes, decided.data(), header.steps, sizeof(uint32_t));
    uint32_t before = 0;
    for (const uint32_t frame : decided) {
      if (frame < before || frame > header.frames) {
        throw std::invalid_argument("an input log is damaged");
      }
      before = frame;
    }
    return header.game;
  }

  void clear() {
    known = false;
    variation = 0;
    buttons.clear();
    decided.clear();
  }

 private:
  static constexpr int32_t kCarried = 1 << 16, kVaried = 1 << 17;

  struct Header {
    uint32_t game;
    int32_t level;  // kCarried more where the episode is, kVaried where its start is
    uint32_t frames, steps;
  };

  static void take(std::span<const uint8_t>& bytes, void* to, size_t count, size_t size) {
    if (count * size > bytes.size()) throw std::invalid_argument("input logs are cut short");
    if (count > 0) std::memcpy(to, bytes.data(), count * size);
    bytes = bytes.subspan(count * size);
  }
};

}  // namespace warpzone::batch
