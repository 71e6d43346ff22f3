#include "fuzz/interpreter/elsewhere.h"

namespace warpzone::nes {

template void cpu::run<true>(State&, const Cartridge&);
template void cpu::run<false>(State&, const Cartridge&);
template void interpret_frame<true>(State&, const Cartridge&, uint8_t);
template void interpret_frame<false>(State&, const Cartridge&, uint8_t);

}  // namespace warpzone::nes
