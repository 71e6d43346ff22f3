// What the compiler is to inline always, or never: registers must stay in registers on the hot
// path, and what is rarely called must not take them.
#pragma once

#if defined(_MSC_VER)
#define WZ_INLINE inline
#define WZ_NOINLINE __declspec(noinline) inline
#else
#define WZ_INLINE inline __attribute__((always_inline))
#define WZ_NOINLINE inline __attribute__((noinline))
#endif
