// A console's state as bytes: header, then the struct as it lies in memory.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

#include "nes/board.h"
#include "nes/cartridge.h"
#include "nes/sound.h"
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

// What must hold for a state to be run without reading outside its arrays or never returning. A
// line may have two entries in the log, or one.
inline bool plausible(const State& s, bool two_of_a_line = false) {
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
    if (i == 0) continue;
    const int above = s.scrolls[i - 1].line;
    if (scroll.line < above || (scroll.line == above && !two_of_a_line)) return false;
  }
  return true;
}

// The same of what a plain console has not: banks that exist, and times from which time can go on.
inline bool plausible(const FullState& s, const Cartridge& cart) {
  const Board& b = s.board;
  const Sound& u = s.sound;
  if (!plausible(static_cast<const State&>(s), true) || s.clock > (uint64_t{1} << 60)) return false;
  if (b.mirroring > Mirroring::four || b.shifted > 4 || b.a12 > 1) return false;
  Board mapped = b;
  Banks banks = s.banks;
  board::map(mapped, banks, cart);
  if (std::memcmp(&mapped, &b, sizeof(b)) != 0 || banks != s.banks) return false;
  for (size_t i = 0; i < s.scroll_count; ++i) {
    for (const uint8_t bank : s.bank_log[i].chr) {
      if (bank >= cart.chr_banks()) return false;
    }
    const Mirroring mirroring = s.bank_log[i].mirroring;
    const bool four = cart.mirroring == Mirroring::four;
    if (four ? mirroring != Mirroring::four : mirroring >= Mirroring::four) return false;
  }
  const auto near = [](int32_t time) { return time >= -kFrameDots && time < 2 * kFrameDots; };
  if (!near(b.counted) || !near(b.low) || !near(b.written) || (b.irq != kNever && !near(b.irq))) {
    return false;
  }
  constexpr uint64_t kSoon = 100000;
  const uint64_t now = sound::cycle_at(s, s.dot);
  const auto soon = [now](uint64_t cycle) { return cycle + kSoon >= now && cycle <= now + kSoon; };
  if (u.sequence > now + kSoon || u.settled > now + kSoon || u.dmc_bit > now + kSoon ||
      u.dmc_bits < 1 || u.dmc_bits > 8) {
    return false;
  }
  return u.dmc_remaining == 0 ? u.dmc_fetch == kNeverCycle : soon(u.dmc_fetch) && soon(u.dmc_bit);
}

inline constexpr uint32_t kFullSnapshotVersion = 4;

template <typename S>
inline constexpr uint32_t kVersionOf = kFull<S> ? kFullSnapshotVersion : kSnapshotVersion;

// So much of a state is used.
template <typename S>
inline size_t bytes_in_use(const Cartridge& cart) {
  return kFull<S> ? cart.state_bytes : sizeof(State);
}

template <typename S = State>
inline size_t snapshot_bytes(const Cartridge& cart) {
  return sizeof(SnapshotHeader) + bytes_in_use<S>(cart);
}

// Writes snapshot_bytes().
template <typename S>
inline void save(const S& s, const Cartridge& cart, uint8_t* out) {
  const size_t size = bytes_in_use<S>(cart);
  SnapshotHeader header{{'W', 'Z', 'S', 'T', 'A', 'T', 'E', '\0'},
                        kVersionOf<S>,
                        static_cast<uint32_t>(size),
                        cart.fingerprint};
  std::memcpy(out, &header, sizeof(header));
  std::memcpy(out + sizeof(header), static_cast<const void*>(&s), size);
}

// Of a snapshot with so many bytes of a state. Throws std::invalid_argument with the reason when
// the bytes are none.
template <typename S>
inline SnapshotHeader header_of(std::span<const uint8_t> bytes, size_t size) {
  if (bytes.size() != sizeof(SnapshotHeader) + size) {
    throw std::invalid_argument("a snapshot has " + std::to_string(sizeof(SnapshotHeader) + size) +
                                " bytes, these are " + std::to_string(bytes.size()));
  }
  SnapshotHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (std::memcmp(header.magic, "WZSTATE", 8) != 0) {
    throw std::invalid_argument("these bytes are not a snapshot of a console");
  }
  if (header.version != kVersionOf<S> || header.size != size) {
    throw std::invalid_argument("the snapshot has version " + std::to_string(header.version) +
                                ", this program reads version " + std::to_string(kVersionOf<S>));
  }
  return header;
}

// The state in a snapshot of any plain cartridge, to be looked at. Throws std::invalid_argument.
inline State peek(std::span<const uint8_t> bytes) {
  header_of<State>(bytes, sizeof(State));
  State s;
  std::memcpy(static_cast<void*>(&s), bytes.data() + sizeof(SnapshotHeader), sizeof(s));
  return s;
}

// Throws std::invalid_argument with the reason when the bytes are not such a snapshot.
template <typename S = State>
inline S load(std::span<const uint8_t> bytes, const Cartridge& cart) {
  const size_t size = bytes_in_use<S>(cart);
  if (header_of<S>(bytes, size).cartridge != cart.fingerprint) {
    throw std::invalid_argument("the snapshot was made with another cartridge");
  }
  S s;
  if constexpr (kFull<S>) std::memset(static_cast<void*>(&s), 0, sizeof(s));
  std::memcpy(static_cast<void*>(&s), bytes.data() + sizeof(SnapshotHeader), size);
  const bool sane = [&] {
    if constexpr (kFull<S>)
      return plausible(s, cart);
    else
      return plausible(s);
  }();
  if (!sane) throw std::invalid_argument("the snapshot is damaged");
  return s;
}

}  // namespace warpzone::nes
