// What each file here adds to the module.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "nes/cartridge.h"
#include "nes/state.h"

namespace warpzone::bindings {

namespace nb = nanobind;

void bind_nes(nb::module_& m);
void bind_cut(nb::module_& m);
void bind_smb(nb::module_& m);
void bind_linear(nb::module_& m);
void bind_learn(nb::module_& m);
void bind_batch(nb::module_& m);
void bind_consoles(nb::module_& m);

// The last frame as colours 0-63: uint8[240, 256].
nb::ndarray<nb::numpy, uint8_t> screen(const nes::State& state, const nes::Cartridge& cart);

}  // namespace warpzone::bindings
