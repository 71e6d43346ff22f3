// The Python module warpzone._native. It converts and forwards, it does not decide. The GIL is
// released while games run.
#include <nanobind/nanobind.h>

#include "bindings/rooms.h"

namespace nb = nanobind;
namespace bindings = warpzone::bindings;

NB_MODULE(_native, m) {
  // Cartridges are kept for as long as the process lives; nanobind would call them leaked.
  nb::set_leak_warnings(false);
  m.doc() = "The native core: a console, Super Mario Bros. on it, and batches of games.";
#ifdef WARPZONE_COMPILER
  m.attr("COMPILER") = WARPZONE_COMPILER;
#else
  m.attr("COMPILER") = "unknown";
#endif
  bindings::bind_nes(m);
  bindings::bind_cut(m);
  bindings::bind_smb(m);
  bindings::bind_linear(m);
  bindings::bind_batch(m);
  bindings::bind_consoles(m);
  bindings::bind_learn(m);  // a network decides for a batch
}
