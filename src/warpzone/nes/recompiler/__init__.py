"""The translator: a cartridge's 6502 program as native code.

`provide.Engine` is what games use. The way of the data: `translate.observe` plays and notes what is
code, `flow` groups instructions into regions, `module` and `region` write each as a function in
LLVM IR, with `operations` for what instructions do and `memory` for what they reach; LLVM makes an
object file, `cache` keeps it, `loader` puts it into memory.

Knows no game and no level; any NROM cartridge will do.
"""

from warpzone.nes.recompiler.provide import Engine

__all__ = ["Engine"]
