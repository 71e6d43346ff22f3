#include "fuzz/interpreter/elsewhere.h"

namespace warpzone::nes {

template void cpu::step_once<false, State>(State&, const Cartridge&);
template void cpu::run_compiled<true, State>(State&, const Cartridge&, const Compiled&);
template void cpu::run_compiled<true, FullState>(FullState&, const Cartridge&, const Compiled&);

}  // namespace warpzone::nes
