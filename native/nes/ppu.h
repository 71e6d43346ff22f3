// The picture unit. It has no clock of its own: register writes are logged with their scanline,
// flags are worked out when they are read, and a picture is drawn only when somebody looks.
// Registers: https://www.nesdev.org/wiki/PPU_registers, scrolling:
// https://www.nesdev.org/wiki/PPU_scrolling, flags and interrupt to the dot:
// https://www.nesdev.org/wiki/PPU_frame_timing
// One file because each register's write changes what the flags, the log and the cartridge
// foretell.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "nes/board.h"
#include "nes/cartridge.h"
#include "nes/inline.h"
#include "nes/picture_memory.h"
#include "nes/state.h"

namespace warpzone::nes::ppu {

// The first dot at or after `from` at which an opaque pixel of sprite 0 meets an opaque pixel of
// the background, were nothing written any more.
template <typename S>
inline int32_t predict_sprite0(const S& s, const Cartridge& cart, int32_t from) {
  const uint8_t* sprite = s.oam.data();
  const int x0 = sprite[3];
  const int rows = (s.ctrl & kCtrlTallSprites) != 0 ? 16 : 8;
  for (int row = 0; row < rows; ++row) {
    const int line = sprite[0] + 1 + row;
    if (line >= kScreenHeight) break;
    if (s.line0 + (line + 1) * kDotsPerLine <= from) continue;
    const Scroll scroll = scroll_at(s, line);
    if ((scroll.mask & kMaskRendering) != kMaskRendering) continue;
    const BanksOf<S> banks = banks_at(s, line);
    const uint64_t pixels = sprite_row(s, cart, banks, sprite, scroll.ctrl, row);
    if (pixels == 0) continue;
    const int shift = (scroll.fine_x + x0) & 7;
    const int column = (scroll.fine_x + x0) >> 3;
    uint64_t background = tile_row(s, cart, scroll, banks, column) >> (8 * shift);
    if (shift != 0) background |= tile_row(s, cart, scroll, banks, column + 1) << (8 * (8 - shift));
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t hits = ((pixels | (pixels >> 1)) & ones) & ((background | (background >> 1)) & ones);
    const bool clipped = (scroll.mask & (kMaskLeftBackground | kMaskLeftSprites)) !=
                         (kMaskLeftBackground | kMaskLeftSprites);
    while (hits != 0) {
      const int x = x0 + std::countr_zero(hits) / 8;
      const int32_t dot = s.line0 + line * kDotsPerLine + x + 2;
      if (x < 255 && !(clipped && x < 8) && dot >= from) return dot;
      hits &= hits - 1;
    }
  }
  return kNever;
}

template <typename S>
inline int32_t sprite0_dot(S& s, const Cartridge& cart) {
  if (s.sprite0_known == 0) {
    s.sprite0_dot = predict_sprite0(s, cart, s.sprite0_from);
    s.sprite0_known = 1;
  }
  return s.sprite0_dot;
}

// Whether eight sprites or more may share a line: blocks of eight lines tell it soon.
inline bool may_overflow(const State& s, bool tall) {
  std::array<uint8_t, 32 + 8> blocks{};
  constexpr uint64_t kBelow =
      0x000000F0000000F0ULL;  // y of two sprites that are not in the picture
  for (size_t i = 0; i < s.oam.size(); i += 16) {
    std::array<uint64_t, 2> four;
    std::memcpy(four.data(), &s.oam[i], sizeof(four));
    if ((four[0] & four[1] & kBelow) == kBelow) continue;
    for (size_t j = i; j < i + 16; j += 4) ++blocks[s.oam[j] >> 3];
  }
  blocks[30] = blocks[31] = 0;
  uint64_t most = 0;
  for (size_t i = 0; i < 32; i += 8) {
    std::array<uint64_t, 3> at;  // a sprite reaches into the next block, a tall one further
    for (size_t j = 0; j < at.size(); ++j) std::memcpy(&at[j], &blocks[i + j], 8);
    most |= at[0] + at[1] + (tall ? at[2] : 0);
  }
  return (most & 0xF8F8F8F8F8F8F8F8ULL) != 0;
}

// The dot of `line` at which the ninth sprite is found there, or what the search takes for one:
// behind the eighth it also goes on to the next byte whenever it goes on to the next sprite.
// https://www.nesdev.org/wiki/PPU_sprite_evaluation
inline int32_t find_ninth(const State& s, int line, int height) {
  const auto on_line = [&](uint8_t y) { return line >= y && line < y + height; };
  int32_t dot = 66;  // of the line: what is read at dot 65 is compared here
  size_t found = 0, byte = 0;
  for (size_t i = 0; i < 64; ++i) {
    const bool hit = on_line(s.oam[i * 4 + byte]);
    if (found == 8) {
      if (hit) return dot;
      byte = (byte + 1) & 3;
    } else if (hit) {
      ++found;
      dot += 6;  // its other bytes are copied
    }
    dot += 2;
  }
  return kNever;
}

// The first dot at or after `from` at which the sprite overflow flag is set, were nothing written
// any more.
WZ_NOINLINE int32_t predict_overflow(const State& s, int32_t from) {
  bool tall = false;
  for (size_t i = 0; i < s.scroll_count; ++i) tall |= (s.scrolls[i].ctrl & kCtrlTallSprites) != 0;
  if (!may_overflow(s, tall)) return kNever;
  std::array<int8_t, kScreenHeight + 16> change{};  // of the number of sprites, from line to line
  for (size_t i = 0; i < s.oam.size(); i += 4) {
    if (s.oam[i] >= kScreenHeight) continue;
    ++change[s.oam[i]];
    --change[s.oam[i] + (tall ? 16U : 8U)];
  }
  int sprites = 0;
  for (int line = 0; line < kScreenHeight; ++line) {
    sprites += change[static_cast<size_t>(line)];
    const int32_t start = s.line0 + line * kDotsPerLine;
    if (sprites < 8 || start + kDotsPerLine <= from) continue;
    const Scroll scroll = scroll_at(s, line);
    if ((scroll.mask & kMaskRendering) == 0) continue;
    const int32_t dot = find_ninth(s, line, (scroll.ctrl & kCtrlTallSprites) != 0 ? 16 : 8);
    if (dot != kNever && start + dot >= from) return start + dot;
  }
  return kNever;
}

inline int32_t overflow_dot(State& s) {
  if (s.overflow_dot == kUnknown) s.overflow_dot = predict_overflow(s, s.overflow_from);
  return s.overflow_dot;
}

// What a read of $2002 at `dot` shows of the flags, without its effects.
template <typename S>
inline uint8_t status_at(S& s, const Cartridge& cart, int32_t dot) {
  if (s.phase == Phase::vblank) {
    if (dot >= kVblankEnd) return 0;
    return s.status | (overflow_dot(s) < s.frame_end ? kStatusOverflow : 0);
  }
  uint8_t status = 0;
  if (dot >= sprite0_dot(s, cart)) status |= kStatusSprite0;
  if (dot >= overflow_dot(s)) status |= kStatusOverflow;
  if (dot >= s.frame_end && (s.ahead & kFlagGone) == 0) status |= kStatusVblank;
  return status;
}

// The first dot from `dot` on at which a read of $2002 may show something else or has an effect.
template <typename S>
inline int32_t next_change(S& s, const Cartridge& cart, int32_t dot) {
  if (s.phase == Phase::vblank) return dot < kVblankEnd ? kVblankEnd : kNever;
  int32_t change = std::max(dot, s.frame_end - 1);
  for (const int32_t flag : {sprite0_dot(s, cart), overflow_dot(s)}) {
    if (flag > dot) change = std::min(change, flag);
  }
  return change;
}

// Called before a register that matters for the picture changes at `dot`.
template <typename S>
inline void before_change(S& s, const Cartridge& cart, int32_t dot) {
  if (sprite0_dot(s, cart) > dot) {
    s.sprite0_known = 0;
    s.sprite0_from = dot;
  }
}

// Called before sprite memory, the height of sprites or rendering changes at `dot`.
inline void before_sprites_change(State& s, int32_t dot) {
  if (s.phase == Phase::vblank) {
    if (dot < kVblankEnd) overflow_dot(s);  // of the picture before
  } else if (overflow_dot(s) > dot) {
    s.overflow_dot = kUnknown;
    s.overflow_from = dot;
  }
}

// From `line` on, which is below all that has been logged, and from this pixel of it the picture is
// made with the registers as they are, and with this v.
template <typename S>
inline void log_scroll(S& s, int line, uint16_t v, [[maybe_unused]] uint8_t from = 0) {
  size_t i = s.scroll_count;
  if (i < s.scrolls.size()) {
    s.scrolls[i].line = static_cast<uint8_t>(line);
    s.scrolls[i].v = v;
    if constexpr (kFull<S>) s.holds_from[i] = from;
    ++s.scroll_count;
  } else {
    --i;  // full: coarser picture
  }
  s.scrolls[i].fine_x = s.fine_x;
  s.scrolls[i].ctrl = s.ctrl;
  s.scrolls[i].mask = s.mask;
  if constexpr (kFull<S>) s.bank_log[i] = s.banks;
}

// Whether the log has the registers as they are.
template <typename S>
inline bool is_logged(const S& s) {
  const size_t i = s.scroll_count - 1U;
  if constexpr (kFull<S>) {
    if (s.bank_log[i] != s.banks) return false;
  }
  const Scroll& last = s.scrolls[i];
  return last.ctrl == s.ctrl && last.mask == s.mask && last.fine_x == s.fine_x;
}

// What a program has changed: registers, v, or, by an access to $2007, v in the way of that.
enum class Change : uint8_t { registers, address, data };

// v a tile further right.
inline uint16_t next_column(uint16_t v) {
  return static_cast<uint16_t>((v & 31) == 31 ? (v & ~31) ^ 0x400 : v + 1);
}

// The first pixel of a line that shows a change at its dot `x`: what is switched on or off is so at
// once, tiles are fetched ahead.
inline uint8_t shows_from(const State& s, int x, uint8_t mask_before) {
  constexpr int kFetch = 8, kTooLate = 2, kFetchedAhead = 2;
  const int fetched = ((x + kTooLate) / kFetch + kFetchedAhead) * kFetch - s.fine_x;
  return static_cast<uint8_t>(s.mask != mask_before ? x + 1 : fetched);
}

// Logs the registers after a change at `dot`, and what v will be if nothing else is written. What
// changes in the first half of a line counts for that line (with FullState, for what is right of
// it), else for the next. While rendering, v goes down a row at dot 256 and takes its horizontal
// bits from t at dot 257.
template <typename S>
inline void after_change(S& s, int32_t dot, uint8_t mask_before, Change change) {
  const int line = (dot - s.line0) / kDotsPerLine;
  const int x = (dot - s.line0) % kDotsPerLine;
  if (line >= kScreenHeight) return;
  const bool rendering = (s.mask & kMaskRendering) != 0;
  const bool switched = rendering != ((mask_before & kMaskRendering) != 0);
  const auto horizontal = [&s](uint16_t v) {
    return static_cast<uint16_t>((v & ~kHorizontalBits) | (s.t & kHorizontalBits));
  };
  const uint16_t now = scroll_at(s, line).v;
  uint16_t next = scroll_at(s, line + 1).v;
  if (change == Change::data && rendering) {  // steps right and down at once
    next = advance_lines(x < 257 ? next : next_column(next), 1);
  } else if (change != Change::registers) {
    next = rendering && x < 256 ? advance_lines(s.v, 1) : s.v;
  } else if (switched && x < 256) {
    next = rendering ? advance_lines(next, 1) : now;
  }
  if (rendering && x < 257) next = horizontal(next);
  if (!rendering && !switched && is_logged(s)) {  // no line shows where v has been
    s.scrolls[s.scroll_count - 1U].v = next;
    return;
  }

  while (s.scrolls[s.scroll_count - 1U].line > line) --s.scroll_count;
  if (x < 128 && !is_logged(s)) {
    uint8_t from = shows_from(s, x, mask_before);
    const size_t last = s.scroll_count - 1U;
    if (s.scrolls[last].line == line) {
      bool keep = false;
      if constexpr (kFull<S>) {  // two for a line: how it begins, and from the first change on
        keep = s.holds_from[last] == 0;
        if (!keep) from = s.holds_from[last];
      }
      if (!keep) --s.scroll_count;
    }
    log_scroll(s, line, now, from);
  }
  if (line + 1 < kScreenHeight && (!is_logged(s) || scroll_at(s, line + 1).v != next)) {
    log_scroll(s, line + 1, next);
  }
  const uint16_t behind = scroll_at(s, line + 2).v;
  if (line + 2 < kScreenHeight && rendering && horizontal(behind) != behind) {
    log_scroll(s, line + 2, horizontal(behind));
  }
}

template <typename S>
inline uint8_t read_vram(const S& s, const Cartridge& cart, uint16_t address) {
  return address < 0x2000 ? tile_byte(s, cart, banks_now(s), address)
                          : name_at(s, cart, banks_now(s), address & 0x0FFF);
}

inline void write_name(State& s, const Cartridge& cart, uint16_t at, uint8_t value) {
  s.vram[vram_index(cart, at & 0x0FFF)] = value;
}
inline void write_name(FullState& s, const Cartridge& cart, uint16_t at, uint8_t value) {
  const FullState& same = s;
  const uint8_t* table = nametable(same, cart, s.banks, (at >> 10) & 3U);
  const_cast<uint8_t*>(table)[at & 0x3FFU] = value;
}

inline void step_address(State& s) {
  s.v = static_cast<uint16_t>((s.v + ((s.ctrl & kCtrlIncrement32) != 0 ? 32 : 1)) & 0x7FFF);
}

// Leaves in v what the picture leaves there.
inline void settle_address(State& s) {
  if ((s.ahead & kAddressSettled) != 0) return;
  s.ahead |= kAddressSettled;
  const Scroll& last = s.scrolls[static_cast<size_t>(s.scroll_count - 1)];
  if ((last.mask & kMaskRendering) != 0) s.v = advance_lines(last.v, kScreenHeight - last.line);
}

inline bool below_picture(const State& s, int32_t dot) {
  return s.phase == Phase::render && dot >= s.line0 + kScreenHeight * kDotsPerLine;
}

// Puts the bits of `mask` on the bus, as far as the picture unit drives it.
inline void drive(State& s, uint8_t value, uint8_t mask) {
  s.bus = static_cast<uint8_t>((value & mask) | (s.bus & ~mask));
  if ((mask & 0xC0) != 0) s.bus_age[0] = 0;
  if ((mask & 0x20) != 0) s.bus_age[1] = 0;
  if ((mask & 0x1F) != 0) s.bus_age[2] = 0;
}

// Once a frame.
inline void decay(State& s) {
  constexpr std::array<uint8_t, 3> kBits = {0xC0, 0x20, 0x1F};
  for (size_t i = 0; i < kBits.size(); ++i) {
    if (++s.bus_age[i] < kDecayFrames) continue;
    s.bus &= static_cast<uint8_t>(~kBits[i]);
    s.bus_age[i] = 0;
  }
}

// After v has changed: outside of a picture it is what the cartridge sees.
inline void address_at_rest(FullState& s, const Cartridge& cart, int32_t dot) {
  const bool busy = (s.mask & kMaskRendering) != 0 && !below_picture(s, dot) &&
                    (s.phase == Phase::render || dot >= kVblankEnd);
  if (!busy) board::address_changed(s, cart, dot);
}

template <typename S>
inline uint8_t read(S& s, const Cartridge& cart, uint16_t address, int32_t dot) {
  switch (address & 7) {
    case 2:
      drive(s, status_at(s, cart, dot), 0xE0);
      if (s.phase == Phase::render && dot >= s.frame_end - 1) {
        s.ahead |= kFlagGone | (dot < s.frame_end + kNmiHeld ? kNmiSettled : 0);
      }
      s.status &= static_cast<uint8_t>(~kStatusVblank);
      s.write_toggle = 0;
      break;
    case 4:  // attributes have no bits 2-4
      drive(s, s.oam[s.oam_addr] & ((s.oam_addr & 3) == 2 ? 0xE3 : 0xFF), 0xFF);
      break;
    case 7: {
      if (below_picture(s, dot)) settle_address(s);
      const auto at = static_cast<uint16_t>(s.v & 0x3FFF);
      if (at >= 0x3F00) {
        drive(s, s.palette[palette_index(at)] & ((s.mask & kMaskGrey) != 0 ? 0x30 : 0x3F), 0x3F);
      } else {
        drive(s, s.read_buffer, 0xFF);
      }
      s.read_buffer = read_vram(s, cart, at);
      step_address(s);
      if (s.phase == Phase::render && !below_picture(s, dot)) {
        before_change(s, cart, dot);
        after_change(s, dot, s.mask, Change::data);
      }
      if constexpr (kFull<S>) address_at_rest(s, cart, dot);
      break;
    }
    default: break;
  }
  return s.bus;
}

// Whether the picture unit is at work in a line that needs sprites.
inline bool shows_sprites(const State& s, int32_t dot) {
  if ((s.mask & kMaskRendering) == 0) return false;
  return s.phase == Phase::render ? !below_picture(s, dot) : dot >= kVblankEnd;
}

// $2000 has switched the NMI on or off.
WZ_NOINLINE void nmi_switched(State& s, bool on, int32_t dot) {
  if (s.phase == Phase::render) {
    const bool decided = (s.ahead & (kFlagGone | kNmiSettled)) != 0;
    if (decided || dot < s.frame_end + kNmiHeld) return;  // seen by begin_vblank
    s.ahead |= kNmiSettled;
    s.nmi_pending = on ? kNmiLater : kNmiNow;
  } else if (on && (s.status & kStatusVblank) != 0 && dot < kVblankEnd - 1) {
    s.nmi_pending = kNmiLater;
    s.next_event = 0;  // ends the CPU's slice after this instruction
  }
}

// Sets a register as a write does; returns whether v changed.
template <typename S>
WZ_INLINE bool set_register(S& s, const Cartridge& cart, int reg, uint8_t value, int32_t dot) {
  switch (reg) {
    case 0: {
      const auto changed = static_cast<uint8_t>(s.ctrl ^ value);
      if ((changed & kCtrlTallSprites) != 0) before_sprites_change(s, dot);
      constexpr uint8_t kTables = kCtrlTallSprites | kCtrlBackgroundTable | kCtrlSpriteTable;
      const bool tables = kFull<S> && (changed & kTables) != 0;
      if constexpr (kFull<S>) {
        if (tables) board::count(s, cart, dot);
      }
      s.ctrl = value;
      if constexpr (kFull<S>) {
        if (tables) board::foretell(s, cart);
      }
      s.t = static_cast<uint16_t>((s.t & 0x73FF) | ((value & 3) << 10));
      if ((changed & kCtrlNmi) != 0) nmi_switched(s, (value & kCtrlNmi) != 0, dot);
      break;
    }
    case 1:
      if (((s.mask ^ value) & kMaskRendering) != 0) before_sprites_change(s, dot);
      if (s.phase == Phase::vblank && dot >= kSkipDecided && (s.ahead & kSkipSettled) == 0) {
        s.ahead |= kSkipSettled | ((s.mask & kMaskRendering) != 0 ? kSkips : 0);
      }
      if constexpr (kFull<S>) {
        board::count(s, cart, dot);
        s.mask = value;
        board::foretell(s, cart);
      }
      s.mask = value;
      break;
    case 3: s.oam_addr = value; break;
    case 4:
      if (shows_sprites(s, dot)) {  // the search has sprite memory for itself
        s.oam_addr = static_cast<uint8_t>((s.oam_addr + 4) & 0xFC);
      } else {
        before_sprites_change(s, dot);
        if constexpr (kFull<S>) board::count(s, cart, dot);
        s.oam[s.oam_addr++] = value;
        if constexpr (kFull<S>) board::foretell(s, cart);
      }
      break;
    case 5:
      if (s.write_toggle == 0) {
        s.fine_x = value & 7;
        s.t = static_cast<uint16_t>((s.t & ~0x1F) | (value >> 3));
      } else {
        s.t = static_cast<uint16_t>((s.t & 0x0C1F) | ((value & 7) << 12) | ((value & 0xF8) << 2));
      }
      s.write_toggle ^= 1;
      break;
    case 6:
      if (s.write_toggle == 0) {
        s.t = static_cast<uint16_t>((s.t & 0x00FF) | ((value & 0x3F) << 8));
      } else {
        s.t = static_cast<uint16_t>((s.t & 0x7F00) | value);
        s.v = s.t;
        if constexpr (kFull<S>) address_at_rest(s, cart, dot);
      }
      s.write_toggle ^= 1;
      return s.write_toggle == 0;
    case 7: {
      const auto at = static_cast<uint16_t>(s.v & 0x3FFF);
      if (at >= 0x3F00) {
        s.palette[palette_index(at)] = value & 0x3F;
      } else if (at >= 0x2000) {
        write_name(s, cart, at, value);
      } else if constexpr (kFull<S>) {
        if (cart.chr.empty()) s.memory[cart.chr_ram_at + chr_at(s.banks, at)] = value;
      }
      step_address(s);
      if constexpr (kFull<S>) address_at_rest(s, cart, dot);
      return true;
    }
    default: break;
  }
  return false;
}

// What lines are drawn from.
inline uint64_t look(const State& s) {
  constexpr uint8_t kDrawn = kCtrlTallSprites | kCtrlBackgroundTable | kCtrlSpriteTable;
  return static_cast<uint64_t>(s.ctrl & kDrawn) << 32 | static_cast<uint64_t>(s.mask) << 24 |
         static_cast<uint64_t>(s.fine_x) << 16 | (s.t & kHorizontalBits);
}

// A write while a picture is made: logs what lines further down look like.
template <typename S>
WZ_NOINLINE void write_in_picture(S& s, const Cartridge& cart, int reg, uint8_t value,
                                  int32_t dot) {
  if (reg >= 6 && below_picture(s, dot)) settle_address(s);
  const bool height = reg == 0 && ((s.ctrl ^ value) & kCtrlTallSprites) != 0;
  const bool foretell = height || reg == 4 || reg == 7;  // by what is about to be overwritten
  if (foretell) before_change(s, cart, dot);
  const uint64_t before = look(s);
  const uint8_t mask_before = s.mask;
  const bool address_changed = set_register(s, cart, reg, value, dot);
  if (!address_changed && look(s) == before) return;
  const Change change = reg == 7          ? Change::data
                        : address_changed ? Change::address
                                          : Change::registers;
  if (!foretell) before_change(s, cart, dot);
  after_change(s, dot, mask_before, change);
}

// A write to the cartridge's registers at `dot`, which may put other tiles into the picture.
WZ_NOINLINE void write_board(FullState& s, const Cartridge& cart, uint16_t address, uint8_t value,
                             int32_t dot) {
  const Banks before = s.banks;
  board::write(s, cart, address, value, board::program_byte(s, cart, address), dot);
  if (s.phase != Phase::render || s.banks == before) return;
  before_change(s, cart, dot);
  after_change(s, dot, s.mask, Change::registers);
}

// A write that raises an NMI moves `next_event`, so that the CPU stops and takes it.
template <typename S>
inline void write(S& s, const Cartridge& cart, uint16_t address, uint8_t value, int32_t dot) {
  s.bus = value;
  s.bus_age = {};
  if (s.phase == Phase::render) {
    write_in_picture(s, cart, address & 7, value, dot);
  } else {
    set_register(s, cart, address & 7, value, dot);
  }
}

// Scanline 0. An odd frame that renders is one dot shorter.
template <typename S>
inline void begin_render(S& s, const Cartridge& cart) {
  if constexpr (kFull<S>) board::count(s, cart, kRenderStart - 1);
  const bool rendering = (s.mask & kMaskRendering) != 0;
  const bool skips = (s.ahead & kSkipSettled) != 0 ? (s.ahead & kSkips) != 0 : rendering;
  const int32_t skipped = skips && s.odd_frame != 0 ? 1 : 0;
  s.ahead &= kBehindTheNext;
  s.status = 0;
  s.line0 = kRenderStart - skipped;
  s.frame_end = kFrameDots - skipped;
  if (rendering) s.v = s.t;
  s.phase = Phase::render;
  s.scroll_count = 1;
  s.scrolls[0] = {s.v, 0, s.fine_x, s.ctrl, s.mask};
  if constexpr (kFull<S>) {
    s.bank_log[0] = s.banks;
    s.holds_from[0] = 0;
  }
  s.sprite0_known = 0;
  s.sprite0_from = s.line0;
  s.overflow_dot = kUnknown;
  s.overflow_from = s.line0;
  if constexpr (kFull<S>) board::foretell(s, cart);
}

// Scanline 241, dot 1: the next frame begins; times are counted from here.
template <typename S>
inline void begin_vblank(S& s, const Cartridge& cart) {
  s.status = (s.ahead & kFlagGone) == 0 ? kStatusVblank : 0;
  if (sprite0_dot(s, cart) < s.frame_end) s.status |= kStatusSprite0;
  settle_address(s);
  const Scroll& last = s.scrolls[static_cast<size_t>(s.scroll_count - 1)];
  if ((last.mask & kMaskRendering) != 0) s.oam_addr = 0;
  if ((s.ctrl & kCtrlNmi) != 0 && (s.ahead & kNmiSettled) == 0) {
    s.nmi_pending = (s.ahead & kBehindTheNext) != 0 ? kNmiLater : kNmiNow;
  }
  s.ahead &= kBehindTheNext;
  if (s.bus != 0) decay(s);
  if constexpr (kFull<S>) board::begin_frame(s, cart);
  s.clock += static_cast<uint64_t>(s.frame_end);
  s.dot -= s.frame_end;
  s.odd_frame ^= 1;
  ++s.frame;
  s.phase = Phase::vblank;
  if constexpr (kFull<S>) board::foretell(s, cart);
}

}  // namespace warpzone::nes::ppu
