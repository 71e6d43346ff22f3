// Where the time of learning goes.
#pragma once

#include "batch/watch.h"

namespace warpzone::learn {

using batch::Watch;

// Of what the time is spent on, summed over threads; `wall` is the caller's.
struct Seconds {
  double gather = 0, forward = 0, losses = 0, backward = 0, gradients = 0, optimise = 0, wall = 0;
};

}  // namespace warpzone::learn
