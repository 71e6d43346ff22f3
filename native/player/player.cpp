// Plays cartridges with buttons drawn at random and prints, for every frame, a sum over all bytes
// of the console's state, its picture and that picture made smaller: two processors that print the
// same play the same.
//
//     warpzone_player FRAMES [FILE.nes ...]
//
// Those that are made here come first: one that keeps its books where Super Mario Bros. does, and
// one for each mapper.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "batch/picture.h"
#include "fuzz/standin.h"
#include "nes/console.h"
#include "nes/paint.h"
#include "nes/snapshot.h"
#include "tests/program.h"

namespace nes = warpzone::nes;
namespace batch = warpzone::batch;
using program::Bytes;

namespace {

uint64_t sum_of(const std::vector<uint8_t>& bytes) {  // FNV-1a
  uint64_t sum = 0xCBF29CE484222325U;
  for (const uint8_t byte : bytes) sum = (sum ^ byte) * 0x100000001B3U;
  return sum;
}

template <typename S>
void play(const std::string& name, const nes::Cartridge& cart, int frames, bool made) {
  constexpr int kSmall = 84, kHold = 10, kScene = 25;
  const auto state = std::make_unique<S>();
  S& s = *state;
  nes::switch_on(s, cart);
  const batch::GreyPicture<> grey(kSmall, kSmall, 0);
  std::vector<uint8_t> saved(nes::snapshot_bytes<S>(cart)), small(kSmall * kSmall),
      picture(static_cast<size_t>(nes::kScreenWidth) * nes::kScreenHeight);
  std::mt19937 random(1);
  uint8_t buttons = 0;
  for (int frame = 0; frame < frames; ++frame) {
    if (frame % kHold == 0) buttons = static_cast<uint8_t>(random() & random());
    if (made && frame % kScene == 0) program::randomise_picture(s, random);
    nes::interpret_frame<true, S>(s, cart, buttons);
    nes::save(s, cart, saved.data());
    nes::ppu::draw(s, cart, picture.data());
    grey.draw(s, cart, small.data());
    std::printf("%s %d %016llx %016llx %016llx\n", name.c_str(), frame,
                static_cast<unsigned long long>(sum_of(saved)),
                static_cast<unsigned long long>(sum_of(picture)),
                static_cast<unsigned long long>(sum_of(small)));
  }
}

void play(const std::string& name, const Bytes& image, int frames, bool made = true) {
  const auto cart = std::make_unique<nes::Cartridge>(image);
  if (cart->plain) {
    play<nes::State>(name, *cart, frames, made);
  } else {
    play<nes::FullState>(name, *cart, frames, made);
  }
}

// Shows everything, scrolls and changes tiles and banks with what is drawn from a table.
Bytes with_mapper(uint8_t mapper) {
  const Bytes code = {0xA9, 0x90, 0x8D, 0x00, 0x20, 0xA9, 0x1E, 0x8D, 0x01, 0x20,  // NMI, picture
                      0xE6, 0x10, 0xA6, 0x10, 0x8E, 0x05, 0x20, 0x8E, 0x05, 0x20,  // count, scroll
                      0xA9, 0x21, 0x8D, 0x06, 0x20, 0x8E, 0x06, 0x20, 0x8E, 0x07,  // a tile
                      0x20, 0xA9, 0x00, 0x8D, 0x06, 0x20, 0x8D, 0x06, 0x20, 0x8E,
                      0x00, 0x40, 0x8E, 0x15, 0x40, 0x4C, 0x0A, 0xF0};  // sound, and again
  const size_t prg = mapper == 3 ? 4 : 16;
  const size_t chr = mapper == 2 || mapper == 7 ? 0 : 32;  // else it is RAM
  Bytes image = program::banked(mapper, prg, chr, code);
  std::mt19937 random(mapper);
  for (size_t i = 16 + prg * 0x2000; i < image.size(); ++i)
    image[i] = static_cast<uint8_t>(random());
  return image;
}

Bytes contents(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  return Bytes(bytes.begin(), bytes.end());
}

}  // namespace

int main(int argc, char** argv) {
  const int frames = argc > 1 ? std::atoi(argv[1]) : 0;
  if (frames < 1) {
    std::fprintf(stderr, "warpzone_player FRAMES [FILE.nes ...]\n");
    return 2;
  }
  try {
    play("standin", standin::image(), frames);
    for (const uint8_t mapper : {1, 2, 3, 4, 7}) {
      play("mapper" + std::to_string(mapper), with_mapper(mapper), frames);
    }
    for (int i = 2; i < argc; ++i)
      play("file" + std::to_string(i - 1), contents(argv[i]), frames, false);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "warpzone_player: %s\n", error.what());
    return 1;
  }
  return 0;
}
