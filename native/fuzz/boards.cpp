// Boards: any size that a header may name, any writes to registers, snapshots with anything wrong
// in what a plain console has not. Whatever comes of it must stay inside the arrays, and be such
// that its own snapshot is taken again.
#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "fuzz/fuzz.h"
#include "nes/paint.h"
#include "nes/snapshot.h"
#include "tests/program.h"

namespace nes = warpzone::nes;
using fuzz::Bytes;

namespace {

constexpr std::array<uint8_t, 6> kMappers = {0, 1, 2, 3, 4, 7};
constexpr int kMostFrames = 8, kMostCalls = 400;
constexpr uint8_t kLarge = 1, kNes2 = 2, kFourScreens = 4, kVertical = 8, kBattery = 16;

// Writes to $8000 and beyond in a loop, with interrupts let through, and reads what is mapped.
const Bytes kProgram = {0x58, 0xE8, 0x8E, 0x00, 0x80, 0x9D, 0x01, 0x80, 0x9D, 0x00, 0xC0,
                        0x8E, 0x01, 0xE0, 0xAD, 0x00, 0xA0, 0xEE, 0x00, 0x60, 0x8E, 0x07,
                        0x20, 0xAD, 0x07, 0x20, 0x8E, 0x10, 0x40, 0x8E, 0x15, 0x40, 0x8E,
                        0x17, 0x40, 0xA5, 0x20, 0xF0, 0xFC, 0x4C, 0x00, 0xF0};

Bytes image_of(fuzz::Input& input) {
  const uint8_t mapper = kMappers[static_cast<size_t>(input.below(kMappers.size()))];
  const uint8_t flags = input.byte();
  const int scale = (flags & kLarge) != 0 ? 4 : 1;
  const auto prg = static_cast<size_t>(2 * (1 + input.below(8)) * scale);
  const auto chr = static_cast<size_t>(8 * input.below(9) * scale);
  Bytes image = program::banked(mapper, prg, chr, kProgram);
  if ((flags & kVertical) != 0) image[6] |= 1;
  if ((flags & kBattery) != 0) image[6] |= 2;
  if ((flags & kFourScreens) != 0) image[6] |= 8;
  if ((flags & kNes2) != 0) {
    image[7] = 8;
    for (const size_t at : {8, 10, 11}) image[at] = input.byte();
  } else {
    image[8] = input.byte() & 7;
  }
  return image;
}

Bytes saved(const nes::FullState& s, const nes::Cartridge& cart) {
  Bytes bytes(nes::snapshot_bytes<nes::FullState>(cart));
  nes::save(s, cart, bytes.data());
  return bytes;
}

// Everything that is mapped now.
void read_all(const nes::FullState& s, const nes::Cartridge& cart) {
  unsigned sum = 0;
  for (unsigned at = 0x8000; at < 0x10000; at += 0xFF) {
    sum += nes::board::program_byte(s, cart, static_cast<uint16_t>(at));
  }
  for (unsigned at = 0; at < 0x3000; at += 0x7F) {
    sum += nes::ppu::read_vram(s, cart, static_cast<uint16_t>(at));
  }
  FUZZ_REQUIRE(sum < UINT32_MAX);
}

// What may be wrong in a snapshot: everything between the plain state's memories and the RAM.
std::vector<size_t> places() {
  std::vector<size_t> all;
  const size_t from = sizeof(nes::SnapshotHeader);
  for (size_t i = 0; i < offsetof(nes::State, ram); ++i) all.push_back(from + i);
  for (size_t i = sizeof(nes::State); i < nes::kFullStateHead; ++i) all.push_back(from + i);
  return all;
}

enum Call { kWrite, kWriteRegister, kFrame, kPicture, kDamage, kCalls };

}  // namespace

std::vector<Bytes> fuzz::seeds() {
  std::vector<Bytes> all;
  for (uint8_t mapper = 0; mapper < kMappers.size(); ++mapper) {
    for (const uint8_t flags : {0, 1, 2, 12, 26}) {
      Bytes bytes = {mapper, flags, 3, mapper % 2 == 0 ? uint8_t{4} : uint8_t{0}, 1, 0x77, 0x77};
      for (uint8_t i = 0; i < 40; ++i) {
        bytes.insert(bytes.end(), {kWriteRegister, static_cast<uint8_t>(i * 37),
                                   static_cast<uint8_t>(i * 29 + mapper)});
        if (i % 8 == 7) bytes.insert(bytes.end(), {kFrame, i, kPicture, kWrite, i, 0x20, i});
      }
      all.push_back(bytes);
    }
  }
  // One change for each byte that decides about a console.
  const size_t count = places().size();
  for (size_t i = 0; i < count; ++i) {
    const auto low = static_cast<uint8_t>(i), high = static_cast<uint8_t>(i >> 8);
    for (const uint8_t value : {0xFF, 0x7F, 1}) {
      all.push_back({static_cast<uint8_t>(i % kMappers.size()), 2, 3, static_cast<uint8_t>(i % 3),
                     0, 0x77, 0x77, kFrame, 0, kDamage, low, high, value, kFrame, 0, kPicture});
    }
  }
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  std::unique_ptr<nes::Cartridge> made;
  try {
    made = std::make_unique<nes::Cartridge>(image_of(input), true);
  } catch (const std::invalid_argument&) {  // refused
    return 0;
  }
  const nes::Cartridge& cart = *made;
  const auto console = std::make_unique<nes::FullState>(),
             other = std::make_unique<nes::FullState>();
  nes::FullState &s = *console, &executed = *other;
  nes::switch_on(s, cart);
  Bytes picture(static_cast<size_t>(nes::kScreenHeight) * nes::kScreenWidth);
  static const std::vector<size_t> kPlaces = places();
  int frames = 0;
  for (int calls = 0; !input.empty() && frames < kMostFrames && calls < kMostCalls; ++calls) {
    switch (input.below(kCalls)) {
      case kWrite:
      case kWriteRegister: {
        const uint16_t at = input.word();
        const uint8_t value = at < 0x8000 ? input.byte() : static_cast<uint8_t>(at >> 3);
        const auto where = static_cast<uint16_t>(at < 0x2000 ? at | 0x8000 : at);
        s.dot += nes::cpu::io_write(s, cart, where, value, s.dot + 9) + 12;
        read_all(s, cart);
        const int32_t end = s.phase == nes::Phase::vblank ? nes::kVblankEnd : s.frame_end;
        if (s.dot < end - 2000) break;
        [[fallthrough]];
      }
      case kFrame: {
        ++frames;
        const uint8_t buttons = input.byte();
        executed = s;
        nes::interpret_frame<true>(s, cart, buttons);
        nes::interpret_frame<false>(executed, cart, buttons);
        // What an event ends last is the same either way, whatever is skipped.
        const bool same = std::memcmp(static_cast<void*>(&s), &executed, sizeof(s)) == 0;
        FUZZ_REQUIRE(same);
        *other = nes::load<nes::FullState>(saved(s, cart), cart);
        break;
      }
      case kPicture:
        nes::ppu::draw(s, cart, picture.data());
        for (const uint8_t colour : picture) FUZZ_REQUIRE(colour < 64);
        break;
      default: {
        Bytes bytes = saved(s, cart);
        const size_t at = kPlaces[input.word() % kPlaces.size()];
        bytes[at] = input.byte();
        try {
          s = nes::load<nes::FullState>(bytes, cart);
        } catch (const std::invalid_argument&) {  // refused
        }
        read_all(s, cart);
      }
    }
  }
  return 0;
}
