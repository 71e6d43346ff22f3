// Keeps what is compiled for a check from containing the interpreter once per file: with sanitizers
// it takes most of the compiler's time. The build includes this ahead of every file; the files
// beside it hold the one copy.
#pragma once

#include "nes/console.h"

namespace warpzone::nes {

extern template void cpu::step_once<false, State>(State&, const Cartridge&);
extern template void cpu::run<true, State>(State&, const Cartridge&);
extern template void cpu::run<false, State>(State&, const Cartridge&);
extern template void cpu::step_once<false, FullState>(FullState&, const Cartridge&);
extern template void cpu::run<true, FullState>(FullState&, const Cartridge&);
extern template void cpu::run<false, FullState>(FullState&, const Cartridge&);
extern template void cpu::run_compiled<true, State>(State&, const Cartridge&, const Compiled&);
extern template void cpu::run_compiled<true, FullState>(FullState&, const Cartridge&,
                                                        const Compiled&);
extern template void interpret_frame<true, State>(State&, const Cartridge&, uint8_t);
extern template void interpret_frame<false, State>(State&, const Cartridge&, uint8_t);
extern template void interpret_frame<true, FullState>(FullState&, const Cartridge&, uint8_t);
extern template void interpret_frame<false, FullState>(FullState&, const Cartridge&, uint8_t);

}  // namespace warpzone::nes
