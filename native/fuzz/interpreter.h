// Keeps what is compiled for a check from containing the interpreter once per file: with sanitizers
// it takes most of the compiler's time. Included ahead of every file by the build.
#pragma once

#include "nes/console.h"

namespace warpzone::nes {

#ifndef WARPZONE_INTERPRETER
#define WARPZONE_INTERPRETER extern
#endif
WARPZONE_INTERPRETER template void cpu::run<true>(State&, const Cartridge&);
WARPZONE_INTERPRETER template void cpu::run<false>(State&, const Cartridge&);
WARPZONE_INTERPRETER template void interpret_frame<true>(State&, const Cartridge&, uint8_t);
WARPZONE_INTERPRETER template void interpret_frame<false>(State&, const Cartridge&, uint8_t);

}  // namespace warpzone::nes
