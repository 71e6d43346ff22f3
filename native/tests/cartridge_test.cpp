#include "nes/cartridge.h"

#include "check.h"
#include "program.h"

using program::Bytes;
using warpzone::nes::Cartridge;
using warpzone::nes::Mirroring;

namespace {

std::string refusal(const Bytes& image) {
  return check::thrown([&] { const Cartridge cart(image); });
}

Bytes changed(size_t at, uint8_t value) {
  Bytes image = program::image({0xEA});
  image[at] = value;
  return image;
}

}  // namespace

TEST(cartridges_that_cannot_run_say_why) {
  const std::string not_ines = "not an iNES image: the first four bytes are not 'NES' and 0x1A";
  CHECK_EQUAL(refusal({}), not_ines);
  CHECK_EQUAL(refusal({'N', 'E', 'S', 0x1A}), not_ines);
  CHECK_EQUAL(refusal(changed(0, 'X')), not_ines);
  const std::string supported =
      "; only NROM (0), MMC1 (1), UxROM (2), CNROM (3), MMC3 (4) and AxROM (7) run here";
  CHECK_EQUAL(refusal(changed(6, 0x50)), "the cartridge has mapper 5" + supported);
  CHECK_EQUAL(refusal(changed(7, 0x40)), "the cartridge has mapper 64" + supported);
  CHECK_EQUAL(refusal(changed(4, 0)),
              "an NROM cartridge has 16 to 32 KB of program, in units of 16, the header says 0 KB");
  CHECK_EQUAL(
      refusal(changed(4, 4)),
      "an NROM cartridge has 16 to 32 KB of program, in units of 16, the header says 64 KB");
  CHECK_EQUAL(
      refusal(changed(5, 2)),
      "an NROM cartridge has up to 8 KB of picture ROM, in units of 8, the header says 16 KB");
  Bytes cut = program::image({0xEA});
  cut.pop_back();
  CHECK_EQUAL(refusal(cut), "the image is cut short: 40975 of 40976 bytes");
  cut.resize(16);
  CHECK_EQUAL(refusal(cut), "the image is cut short: 16 of 40976 bytes");
  CHECK_EQUAL(refusal(program::image({0xEA})), "");
}

TEST(a_small_program_appears_twice_and_a_trainer_is_passed_over) {
  Bytes image = program::image({0x12, 0x34});
  image.erase(image.begin() + 16 + 0x4000, image.begin() + 16 + 0x8000);
  image[4] = 1;
  image.insert(image.begin() + 16, 512, uint8_t{0x99});
  image[6] |= 4;
  const Cartridge cart(image);
  CHECK_EQUAL(cart.prg[0], 0x12);
  CHECK_EQUAL(cart.prg[0x4000], 0x12);
  CHECK_EQUAL(cart.prg[0x4001], 0x34);
  CHECK(cart.mirroring == Mirroring::vertical);
  image[6] &= 0xFE;
  CHECK(Cartridge(image).mirroring == Mirroring::horizontal);
}

TEST(rows_of_tiles_are_unpacked_leftmost_first) {
  Bytes image = program::image({0xEA});
  const size_t chr = 16 + 0x8000;
  image[chr + 16 * 300 + 5] = 0b11000001;      // low bits of row 5 of tile 300
  image[chr + 16 * 300 + 5 + 8] = 0b01000010;  // its high bits
  const Cartridge cart(image);
  CHECK_EQUAL(cart.rows[300 * 8 + 5], 0x0102000000000301ULL);
  CHECK_EQUAL(cart.rows_flipped[300 * 8 + 5], 0x0103000000000201ULL);
  CHECK_EQUAL(cart.rows[300 * 8 + 4], 0ULL);
}
