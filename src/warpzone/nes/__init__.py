"""One NES: console, cartridge, ROM files, and the recompiler that turns a program into native code.

Knows no game, no level, no environment and no network.
"""
