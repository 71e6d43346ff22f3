"""The translator: a cartridge's 6502 program as native code.

`provide.Engine` is what games use. The way of the data: `translate.observe` plays and notes what is
code, `flow` groups instructions into regions, `codegen` writes each region as a function in
LLVM IR, LLVM makes an object file, `cache` keeps it, `loader` puts it into memory. Nothing here
knows the game; any NROM cartridge will do.
"""

from warpzone.nes.recompiler.provide import Engine

__all__ = ["Engine"]
