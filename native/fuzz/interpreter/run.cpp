#include "fuzz/interpreter/elsewhere.h"

namespace warpzone::nes {

template void cpu::run<true, State>(State&, const Cartridge&);
template void cpu::run<false, State>(State&, const Cartridge&);
template void interpret_frame<true, State>(State&, const Cartridge&, uint8_t);
template void interpret_frame<false, State>(State&, const Cartridge&, uint8_t);

}  // namespace warpzone::nes
