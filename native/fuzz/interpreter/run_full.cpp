#include "fuzz/interpreter/elsewhere.h"

namespace warpzone::nes {

template void cpu::run<true, FullState>(FullState&, const Cartridge&);
template void cpu::run<false, FullState>(FullState&, const Cartridge&);
template void interpret_frame<true, FullState>(FullState&, const Cartridge&, uint8_t);
template void interpret_frame<false, FullState>(FullState&, const Cartridge&, uint8_t);
template void cpu::step_once<false, FullState>(FullState&, const Cartridge&);

}  // namespace warpzone::nes
