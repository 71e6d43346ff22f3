#define WARPZONE_INTERPRETER
#include "fuzz/interpreter.h"
