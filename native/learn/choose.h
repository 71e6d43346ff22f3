// Which of the compiled kernels this processor can run.
#pragma once

#include <string>
#include <vector>

#include "learn/kernels.h"

namespace warpzone::learn {

// The fastest first.
std::vector<const Kernels*> available_kernels();

// Those of a name, or ("") the fastest. Throws std::invalid_argument.
const Kernels& choose_kernels(const std::string& name);

}  // namespace warpzone::learn
