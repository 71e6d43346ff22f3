// A console whose steps are so many dots long, not as long as its frames: a step may begin and end
// in the middle of a picture, as it does in emulators that count cycles. What is seen then is what
// the screen shows: the lines that the beam has drawn already, and below them the picture before.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>

#include "nes/cartridge.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "nes/snapshot.h"
#include "nes/state.h"

namespace warpzone::nes {

inline constexpr size_t kBlack = 0x0F;  // a colour

// Where the beam is: this many lines are drawn, and this many pixels of the next.
struct Beam {
  int lines, pixels;
};

// At a moment that the CPU has just reached, with an instruction that may end later.
inline Beam beam(const State& s, uint64_t moment) {
  const uint64_t begun = s.clock + static_cast<uint64_t>(s.line0);  // scanline 0
  if (s.phase != Phase::render || moment <= begun) return {0, 0};
  const auto dots = static_cast<int>(std::min<uint64_t>(moment - begun, kFrameDots));
  const int line = dots / kDotsPerLine;
  if (line >= kScreenHeight) return {kScreenHeight, 0};
  return {line, std::clamp(dots % kDotsPerLine - 1, 0, kScreenWidth)};
}

// What a step changes beside the console itself.
struct Cut {
  uint64_t moment;  // in dots since power-on: until when steps have run
  uint64_t shown;   // whether there is a picture that is complete
};

template <typename S>
struct CutConsole {
  S now;
  S before;  // at the end of the picture that was completed last
  Cut cut;

  // Steps are counted from `lead` dots before the first scanline.
  void reset(const Cartridge& cart, int lead) {
    switch_on(now, cart);
    before = now;
    cut = {static_cast<uint64_t>(kRenderStart - lead), 0};
  }

  void step(const Cartridge& cart, uint8_t buttons, int dots) {
    cut.moment += static_cast<uint64_t>(dots);
    run_to(now, cart, buttons, cut.moment, [&] {
      std::memcpy(static_cast<void*>(&before), static_cast<const void*>(&now),
                  bytes_in_use<S>(cart));
      cut.shown = 1;
    });
  }

  // The screen: uint8[240][256], of each colour (0-63) what `table` has for it; black where nothing
  // was ever drawn.
  void draw(const Cartridge& cart, const std::array<uint8_t, 64>& table, uint8_t* out) const {
    if (cut.shown != 0) {
      paint(before, cart, table, {kScreenHeight, 0}, out);
    } else {
      std::memset(out, table[kBlack], kScreenHeight * kScreenWidth);
    }
    paint(now, cart, table, beam(now, cut.moment), out);
  }

  size_t save_bytes(const Cartridge& cart) const {
    return sizeof(Cut) + 2 * snapshot_bytes<S>(cart);
  }

  void save(const Cartridge& cart, uint8_t* out) const {
    std::memcpy(out, &cut, sizeof(cut));
    nes::save(now, cart, out + sizeof(cut));
    nes::save(before, cart, out + sizeof(cut) + snapshot_bytes<S>(cart));
  }

  // Throws std::invalid_argument with the reason when the bytes are not what `save` wrote.
  void load(const Cartridge& cart, std::span<const uint8_t> bytes) {
    const size_t one = snapshot_bytes<S>(cart);
    if (bytes.size() != save_bytes(cart)) {
      throw std::invalid_argument("a snapshot has " + std::to_string(save_bytes(cart)) +
                                  " bytes, these are " + std::to_string(bytes.size()));
    }
    Cut read;
    std::memcpy(&read, bytes.data(), sizeof(read));
    const S loaded = nes::load<S>(bytes.subspan(sizeof(read), one), cart);
    const S last = nes::load<S>(bytes.subspan(sizeof(read) + one), cart);
    const uint64_t at = loaded.clock + static_cast<uint64_t>(loaded.dot);
    constexpr uint64_t kLatest = uint64_t{1} << 60;
    if (read.shown > 1 || at > kLatest || read.moment > at + kFrameDots ||
        at > read.moment + kFrameDots) {
      throw std::invalid_argument("the snapshot is damaged");
    }
    now = loaded;
    before = last;
    cut = read;
  }

 private:
  static void paint(const S& s, const Cartridge& cart, const std::array<uint8_t, 64>& table,
                    Beam until, uint8_t* out) {
    if (until.lines == 0 && until.pixels == 0) return;
    ppu::Painter<simd::Best, S> painter(s, cart, table);
    typename ppu::Painter<simd::Best, S>::Line line;
    for (int y = 0; y <= until.lines && y < kScreenHeight; ++y) {
      const auto pixels = static_cast<size_t>(y < until.lines ? kScreenWidth : until.pixels);
      std::memcpy(out + y * kScreenWidth, painter.next(line, true), pixels);
    }
  }
};

}  // namespace warpzone::nes
