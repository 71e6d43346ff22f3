// QuickerNES for cartridge_loops.py: its core behind three C functions, in one shared library.
// SOURCES is a clone of github.com/SergioMartin86/quickerNES with its submodule jaffarCommon:
//
//   cd SOURCES/source/quickerNES/core
//   g++ -std=c++20 -O3 -march=native -fno-strict-aliasing -shared -fPIC -w -I. \
//       -D__JAFFAR_COMMON_INLINE__=inline \
//       -I ../../../extern/jaffarCommon/include -o quickernes.so \
//       $(find . -name '*.cpp') WARPZONE/benchmarks/quickernes.cpp
#include <cstdint>
#include <cstdio>
#include <exception>

#include "emu.hpp"

extern "C" {

// A console with a cartridge in it, nullptr where it does not take the image. Instructions are
// found by pages, or in a flat copy of the program.
void* quickernes_open(const uint8_t* image, uint32_t size, int flat) {
  auto* emulator = new quickerNES::Emu;
  try {
    if (emulator->load_ines(image, size) == nullptr) {
      emulator->setControllerType(quickerNES::Core::controllerType_t::joypad_t);
      if (flat != 0) {
        emulator->useFlatCodeMap();
      } else {
        emulator->usePagedCodeMap();
      }
      return emulator;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  delete emulator;
  return nullptr;
}

// Runs frames without pictures and sound. Buttons are A=1 B=2 select=4 start=8 up=16 down=32
// left=64 right=128.
void quickernes_step(void* console, uint32_t buttons, int frames) {
  auto* emulator = static_cast<quickerNES::Emu*>(console);
  for (int i = 0; i < frames; ++i) emulator->emulate_skip_frame(buttons, 0, 0, 0);
}

const uint8_t* quickernes_ram(void* console) {
  return static_cast<quickerNES::Emu*>(console)->get_low_mem();
}

}  // extern "C"
