// A console's state as bytes: header, then the struct as it lies in memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

#include "nes/cartridge.h"
#include "nes/state.h"

namespace warpzone::nes {

inline constexpr uint32_t kSnapshotVersion = 2;

struct SnapshotHeader {
  char magic[8];
  uint32_t version;
  uint32_t size;
  uint64_t cartridge;  // snapshots only make sense with the cartridge that they were made with
};
static_assert(std::has_unique_object_representations_v<SnapshotHeader>);

inline constexpr size_t kSnapshotBytes = sizeof(SnapshotHeader) + sizeof(State);

inline void save(const State& s, const Cartridge& cart, uint8_t* out) {
  SnapshotHeader header{{'W', 'Z', 'S', 'T', 'A', 'T', 'E', '\0'},
                        kSnapshotVersion,
                        static_cast<uint32_t>(sizeof(State)),
                        cart.fingerprint};
  std::memcpy(out, &header, sizeof(header));
  std::memcpy(out + sizeof(header), &s, sizeof(s));
}

// What must hold for a state to be run without reading outside its arrays or never returning.
inline bool plausible(const State& s) {
  const bool sane_time = s.dot >= 0 && s.dot < 2 * kFrameDots && s.line0 >= kRenderStart - 1 &&
                         s.line0 <= kRenderStart && s.frame_end >= kFrameDots - 1 &&
                         s.frame_end <= kFrameDots && s.sprite0_from >= 0 &&
                         s.sprite0_from < 2 * kFrameDots && s.overflow_from >= 0 &&
                         s.overflow_from < 2 * kFrameDots;
  // A change of registers is logged with its scanline, which must not be negative.
  const bool on_a_line = s.phase != Phase::render || s.dot >= s.line0;
  if (!sane_time || !on_a_line || s.phase > Phase::render || s.fine_x > 7 || s.v > 0x7FFF ||
      s.t > 0x7FFF || s.scroll_count < 1 || s.scroll_count > s.scrolls.size() ||
      s.scrolls[0].line != 0) {
    return false;
  }
  for (size_t i = 0; i < s.scroll_count; ++i) {
    const Scroll& scroll = s.scrolls[i];
    if (scroll.line >= 240 || scroll.fine_x > 7 || scroll.v > 0x7FFF) return false;
    if (i > 0 && scroll.line <= s.scrolls[i - 1].line) return false;
  }
  return true;
}

// Throws std::invalid_argument with the reason when the bytes are not such a snapshot.
inline State load(std::span<const uint8_t> bytes, const Cartridge& cart) {
  if (bytes.size() != kSnapshotBytes) {
    throw std::invalid_argument("a snapshot has " + std::to_string(kSnapshotBytes) +
                                " bytes, these are " + std::to_string(bytes.size()));
  }
  SnapshotHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, "WZSTATE", 8) != 0) {
    throw std::invalid_argument("these bytes are not a snapshot of a console");
  }
  if (header.version != kSnapshotVersion || header.size != sizeof(State)) {
    throw std::invalid_argument("the snapshot has version " + std::to_string(header.version) +
                                ", this program reads version " + std::to_string(kSnapshotVersion));
  }
  if (header.cartridge != cart.fingerprint) {
    throw std::invalid_argument("the snapshot was made with another cartridge");
  }
  State s;
  std::memcpy(&s, bytes.data() + sizeof(header), sizeof(s));
  if (!plausible(s)) throw std::invalid_argument("the snapshot is damaged");
  return s;
}

}  // namespace warpzone::nes
