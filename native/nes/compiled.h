// The cartridge's program as native code: one function for each region of it. They are made outside
// (see the Python package warpzone.nes.recompiler); here is what they are given and how they are
// entered.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nes/cartridge.h"
#include "nes/cpu.h"
#include "nes/state.h"

namespace warpzone::nes {

// A place in the program: an address and, in its upper half, the bank of 8 KB that is there. In a
// plain cartridge nothing moves, and the bank is 0.
inline uint32_t place_of(const State&, uint16_t address) { return address; }
inline uint32_t place_of(const FullState& s, uint16_t address) {
  const uint32_t bank = address < 0x8000 ? 0 : s.board.prg[(address >> 13) & 3U];
  return bank << 16 | address;
}

// What every region gets beside the state. Offsets of the members are published to the translator.
struct Context {
  // Reads and writes outside RAM and program, as the interpreter makes them.
  uint32_t (*read)(State*, const Context*, uint32_t address, int32_t dot);
  int32_t (*write)(State*, const Context*, uint32_t address, uint32_t value, int32_t dot);
  // Of an indexed address: see Core::read_uncarried.
  int32_t (*read_uncarried)(State*, const Context*, uint32_t base, uint32_t address, int32_t always,
                            int32_t dot);
  int32_t (*waiting_dots)(State*, const Context*, uint32_t branch, uint32_t target, uint32_t a,
                          int32_t dot);
  const Cartridge* cart;
  // The regions of a plain program by address.
  std::array<const void*, 0x10000> regions;
  // Those of another one: by eighth of memory and the bank that is there, then by address in it.
  std::array<const void* const*, 8 * 0x100> windows;
  // P was `before` until an instruction that ends at `end` changed its mask of interrupts.
  int32_t (*mask_changed)(State*, const Context*, uint32_t before, int32_t end);
};

struct Compiled {
  enum Left : int32_t { bailed = 0, unknown = 1 };
  using Enter = int32_t (*)(State*, const Context*);  // goes on at the state's PC
  struct Region {
    uint64_t place;
    const void* code;
  };
  using Window = std::array<const void*, 0x2000>;

  Context context;
  Enter enter;
  const void* no_region;             // stands for places without one: leaves at once
  const Compiled* before = nullptr;  // what the cartridge ran with until this came
  std::vector<Window> windows;       // of the context; the first one is empty
  // Places that compiled code wanted to go to and that had no region: a bit for each.
  mutable std::vector<std::atomic<uint8_t>> wanted;

  Compiled(const Cartridge& cart, Enter enter_, const void* no_region_,
           std::span<const Region> regions)
      : enter(enter_), no_region(no_region_), wanted(0x1000 * (cart.plain ? 1 : cart.prg_banks())) {
    cart.plain ? connect<State>() : connect<FullState>();
    context.cart = &cart;
    context.regions.fill(no_region);
    if (cart.plain) {
      for (const Region& region : regions) context.regions[region.place & 0xFFFF] = region.code;
      return;
    }
    const auto window_of = [](const Region& region) {
      return (region.place >> 13 & 7) << 8 | (region.place >> 16 & 0xFF);
    };
    std::array<size_t, 8 * 0x100> numbers{};
    size_t count = 1;
    for (const Region& region : regions) {
      size_t& number = numbers[window_of(region)];
      if (number == 0) number = count++;
    }
    windows.resize(count);
    for (Window& window : windows) window.fill(no_region);
    for (const Region& region : regions) {
      windows[numbers[window_of(region)]][region.place & 0x1FFF] = region.code;
    }
    for (size_t i = 0; i < numbers.size(); ++i) context.windows[i] = windows[numbers[i]].data();
  }

  bool has(const State&, uint16_t address) const { return context.regions[address] != no_region; }
  bool has(const FullState& s, uint16_t address) const {
    const uint32_t place = place_of(s, address);
    return context.windows[address >> 13 << 8 | place >> 16][address & 0x1FFF] != no_region;
  }

  void want(uint32_t place) const {
    if ((place & 0x8000) == 0) return;  // what lies in RAM changes
    const size_t i = bit_of(place);
    wanted[i / 8].fetch_or(static_cast<uint8_t>(1U << (i % 8)), std::memory_order_relaxed);
  }

  bool wants(uint32_t place) const {
    const size_t i = bit_of(place);
    return ((wanted[i / 8].load(std::memory_order_relaxed) >> (i % 8)) & 1) != 0;
  }

 private:
  static size_t bit_of(uint32_t place) { return (place >> 16) << 15 | (place & 0x7FFF); }

  template <typename S>
  void connect() {
    context.read = [](State* s, const Context* c, uint32_t address, int32_t dot) {
      return static_cast<uint32_t>(
          cpu::io_read(as<S>(s), *c->cart, static_cast<uint16_t>(address), dot));
    };
    context.write = [](State* s, const Context* c, uint32_t address, uint32_t value, int32_t dot) {
      return cpu::io_write(as<S>(s), *c->cart, static_cast<uint16_t>(address),
                           static_cast<uint8_t>(value), dot);
    };
    context.read_uncarried = [](State* s, const Context* c, uint32_t base, uint32_t address,
                                int32_t always, int32_t dot) {
      if (base < 0x2000 || base >= 0x4100) return 0;
      if (always == 0 && ((base ^ address) & 0xFF00) == 0) return 0;
      const uint32_t uncarried = (base & 0xFF00) | (address & 0xFF);
      cpu::io_read(as<S>(s), *c->cart, static_cast<uint16_t>(uncarried), dot);
      return 0;
    };
    context.waiting_dots = [](State* s, const Context* c, uint32_t branch, uint32_t target,
                              uint32_t a, int32_t dot) {
      return cpu::waiting_dots(as<S>(s), *c->cart, static_cast<uint16_t>(branch),
                               static_cast<uint16_t>(target), static_cast<uint8_t>(a), dot);
    };
    context.mask_changed = [](State* s, const Context*, uint32_t before, int32_t end) {
      if constexpr (kFull<S>) {
        cpu::mask_changed(as<S>(s), static_cast<uint8_t>(before), s->p, end);
      }
      return 0;
    };
  }

  template <typename S>
  static S& as(State* s) {
    return static_cast<S&>(*s);
  }
};

namespace cpu {

// Like run(), with native code where there is some. A region runs as a whole or not at all, so the
// last instructions before an event are the interpreter's. (A template, like run(), so that checks
// can share one compiled copy of the interpreter.)
template <bool kSkipWaiting = true, typename S = State>
void run_compiled(S& s, const Cartridge& cart, const Compiled& code) {
  if (!begin_slice(s, cart)) return;
  while (s.dot < s.next_event) {
    if (code.has(s, s.pc)) {
      const int32_t left = code.enter(&s, &code.context);
      if (left == Compiled::bailed)
        return interpret<kSkipWaiting, S>(s, cart, [](uint16_t) { return false; });
      code.want(place_of(s, s.pc));
    }
    interpret<kSkipWaiting, S>(s, cart, [&](uint16_t pc) { return code.has(s, pc); });
  }
}

}  // namespace cpu
}  // namespace warpzone::nes
