"""Another emulator beside ours: `cynes`, and cartridges made for comparing the two."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import cynes
import numpy as np
from numpy.typing import NDArray

from warpzone import Console

CODE = 0x8000


class Peer:
    """A cynes console with the face of `warpzone.Console`."""

    def __init__(self, path: Path) -> None:
        self._nes = cynes.NES(str(path))
        marker = bytes(range(1, 65))
        for i, byte in enumerate(marker):
            self._nes[0x0300 + i] = byte
        # Reading memory byte by byte is slow; its snapshots hold the RAM as it is.
        self._ram_at = self._nes.save().tobytes().index(marker) - 0x0300
        for i in range(len(marker)):
            self._nes[0x0300 + i] = 0
        self.picture: NDArray[np.uint8] = np.zeros((240, 256, 3), np.uint8)

    @property
    def ram(self) -> NDArray[np.uint8]:
        return self.ram_of(self.save())

    def ram_of(self, state: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The work RAM in a snapshot."""
        return state[self._ram_at : self._ram_at + 0x800]

    def poke(self, address: int, value: int) -> None:
        self._nes[address] = value

    def step(self, buttons: int = 0, frames: int = 1) -> None:
        # Its bits are in the opposite order.
        self._nes.controller = int(f"{buttons:08b}"[::-1], 2)
        self.picture = self._nes.step(frames)

    def save(self) -> NDArray[np.uint8]:
        state: NDArray[np.uint8] = self._nes.save()
        return state

    def load(self, state: NDArray[np.uint8]) -> None:
        self._nes.load(state)

    def crashed(self) -> bool:
        return bool(self._nes.has_crashed)


def differences(peer: Peer, console: Console) -> dict[str, tuple[int, int]]:
    """Where RAM differs, outside the stack page: address → (peer's, ours)."""
    theirs, ours = peer.ram, console.ram
    at = np.flatnonzero(theirs != ours)
    return {f"${i:04X}": (int(theirs[i]), int(ours[i])) for i in at if not 0x100 <= i < 0x200}


def cartridge(
    code: bytes,
    *,
    at: int = CODE,
    nmi: bytes = b"\x40",
    irq: bytes = b"\x40",
    data: dict[int, bytes] | None = None,
    pictures: bytes = b"",
    vertical: bool = True,
) -> bytes:
    """An NROM image whose program begins with `code` at address `at`.

    The handlers of interrupts lie at $FE00 and $FF00; `data` is put where its keys say.
    """
    program = bytearray(0x8000)
    parts = {at: code, 0xFE00: nmi, 0xFF00: irq, **(data or {})}
    for address, part in parts.items():
        program[address - 0x8000 : address - 0x8000 + len(part)] = part
    assert len(program) == 0x8000
    for i, vector in enumerate((0xFE00, at, 0xFF00)):
        program[0x7FFA + 2 * i : 0x7FFC + 2 * i] = vector.to_bytes(2, "little")
    header = b"NES\x1a" + bytes([2, 1, 1 if vertical else 0]) + bytes(9)
    return header + bytes(program) + pictures.ljust(0x2000, b"\0")


QUIET = bytes.fromhex("78 D8 A9 40 8D 17 40 A9 00 8D 00 20 8D 01 20 A2 FF 9A")
"""SEI, CLD; no interrupts of the sound chip (ours has none), NMI and rendering off; stack."""

CLEAR = bytes.fromhex("A2 00 8A 95 00 9D 00 01 9D 00 02 9D 00 03 9D 00 04") + bytes.fromhex(
    "9D 00 05 9D 00 06 9D 00 07 E8 D0 E6"
)
"""Zeroes in all RAM: a console's memory at power-on is anyone's guess."""

WAIT_VBLANK = bytes.fromhex("2C 02 20 10 FB")


def stop(at: int) -> bytes:
    """JMP to itself."""
    return b"\x4c" + at.to_bytes(2, "little")


def peer_colours() -> NDArray[np.uint8]:
    """RGB of the 64 colours on cynes, uint8[64, 3], seen by showing each as the backdrop."""
    code = QUIET + CLEAR
    loop = CODE + len(code)
    code += b"\x2c\x02\x20" + WAIT_VBLANK
    for register, value in ((0x2006, 0x3F), (0x2006, 0x00)):
        code += bytes([0xA9, value, 0x8D]) + register.to_bytes(2, "little")
    # INC $10; LDA $10; STA $2007; then $2006 back to the backdrop, which is what is shown
    code += bytes.fromhex("E6 10 A5 10 8D 07 20 A9 3F 8D 06 20 A9 00 8D 06 20")
    code += b"\x4c" + loop.to_bytes(2, "little")
    with TemporaryDirectory() as folder:
        path = Path(folder, "colours.nes")
        path.write_bytes(cartridge(code))
        peer = Peer(path)
    table = np.zeros((64, 3), np.uint8)
    for _ in range(70):
        peer.step()
        table[peer.ram[0x10] & 0x3F] = peer.picture[120, 128]
    return table
