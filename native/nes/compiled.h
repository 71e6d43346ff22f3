// The cartridge's program as native code: one function for each region of it. They are made outside
// (see the Python package warpzone.nes.recompiler); here is what they are given and how they are
// entered.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nes/cartridge.h"
#include "nes/cpu.h"
#include "nes/state.h"

namespace warpzone::nes {

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
  std::array<const void*, 0x10000> regions;  // by address of the program
};

struct Compiled {
  enum Left : int32_t { bailed = 0, unknown = 1 };
  using Enter = int32_t (*)(State*, const Context*);  // goes on at the state's PC
  struct Region {
    uint64_t address;
    const void* code;
  };

  Context context;
  Enter enter;
  const void* no_region;             // stands for addresses without one: leaves at once
  const Compiled* before = nullptr;  // what the cartridge ran with until this came
  // Addresses that compiled code wanted to go to and that had no region: a bit for each.
  mutable std::array<std::atomic<uint8_t>, 0x1000> wanted{};

  Compiled(const Cartridge& cart, Enter enter_, const void* no_region_,
           std::span<const Region> regions)
      : enter(enter_), no_region(no_region_) {
    context.read = [](State* s, const Context* c, uint32_t address, int32_t dot) {
      return static_cast<uint32_t>(cpu::io_read(*s, *c->cart, static_cast<uint16_t>(address), dot));
    };
    context.write = [](State* s, const Context* c, uint32_t address, uint32_t value, int32_t dot) {
      return cpu::io_write(*s, *c->cart, static_cast<uint16_t>(address),
                           static_cast<uint8_t>(value), dot);
    };
    context.read_uncarried = [](State* s, const Context* c, uint32_t base, uint32_t address,
                                int32_t always, int32_t dot) {
      if (base < 0x2000 || base >= 0x4100) return 0;
      if (always == 0 && ((base ^ address) & 0xFF00) == 0) return 0;
      const uint32_t uncarried = (base & 0xFF00) | (address & 0xFF);
      cpu::io_read(*s, *c->cart, static_cast<uint16_t>(uncarried), dot);
      return 0;
    };
    context.waiting_dots = [](State* s, const Context* c, uint32_t branch, uint32_t target,
                              uint32_t a, int32_t dot) {
      return cpu::waiting_dots(*s, *c->cart, static_cast<uint16_t>(branch),
                               static_cast<uint16_t>(target), static_cast<uint8_t>(a), dot);
    };
    context.cart = &cart;
    context.regions.fill(no_region);
    for (const Region& region : regions) context.regions[region.address & 0xFFFF] = region.code;
  }

  bool has(uint16_t address) const { return context.regions[address] != no_region; }

  void want(uint16_t address) const {
    if (address < 0x8000) return;  // what lies in RAM changes
    const size_t i = address - 0x8000U;
    wanted[i / 8].fetch_or(static_cast<uint8_t>(1U << (i % 8)), std::memory_order_relaxed);
  }

  bool wants(int address) const {
    const auto i = static_cast<size_t>(address - 0x8000);
    return ((wanted[i / 8].load(std::memory_order_relaxed) >> (i % 8)) & 1) != 0;
  }
};

namespace cpu {

// Like run(), with native code where there is some. A region runs as a whole or not at all, so the
// last instructions before an event are the interpreter's. (A template, like run(), so that checks
// can share one compiled copy of the interpreter.)
template <bool kSkipWaiting = true>
void run_compiled(State& s, const Cartridge& cart, const Compiled& code) {
  if (!begin_slice(s, cart)) return;
  while (s.dot < s.next_event) {
    if (code.has(s.pc)) {
      const int32_t left = code.enter(&s, &code.context);
      if (left == Compiled::bailed)
        return interpret<kSkipWaiting, State>(s, cart, [](uint16_t) { return false; });
      code.want(s.pc);
    }
    interpret<kSkipWaiting, State>(s, cart, [&code](uint16_t pc) { return code.has(pc); });
  }
}

}  // namespace cpu
}  // namespace warpzone::nes
