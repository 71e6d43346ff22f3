// How often and how much the test program has allocated so far, in all threads.
#pragma once

#include <cstddef>

namespace allocations {

size_t count();
size_t bytes();

}  // namespace allocations
