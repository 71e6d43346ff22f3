"""Why bytes of `save_state` are refused, for the person who reads it."""

from __future__ import annotations

import struct

_HEADER = struct.Struct("<8sIiiiQ")
"""What all saved games begin with: which kind, the format, how many, what is seen, columns of
variables, bytes of an observation. Those of levels go on with the bytes of a game; then comes the
cartridge."""
_CARTRIDGE = {b"WZBATCH\0": 40, b"WZCONSO\0": 32}
"""Where the cartridge's fingerprint is, eight bytes, by the kind of games."""
_MEMORY = {b"WZCONSO\0": 40}
"""Likewise how many bytes the stretches of memory have."""
_OBSERVATIONS = ("pixels", "rgb", "ram")
"""By their numbers from 1 on; 0 is what only such games have."""
_OWN = {b"WZBATCH\0": "tiles", b"WZCONSO\0": "variables"}


def refusal(given: bytes, own: bytes) -> str:
    """Returns what is wrong with bytes that games do not take.

    Args:
        given: these.
        own: what the games themselves save, without what stands behind the native state.
    """
    kind = own[:8]
    if given[:8] != kind:
        if given[:8] in _CARTRIDGE:
            return "they are of the other kind of games: levels, or a described game"
        return "they are no saved state" if given else "there are 0 bytes"
    place = _CARTRIDGE[kind]
    end = _MEMORY.get(kind, place) + 8
    if len(given) < end:
        return f"they are cut short, after {len(given)} bytes"
    _, version, games, observation, columns, size = _HEADER.unpack_from(given)
    _, own_version, own_games, own_observation, own_columns, own_size = _HEADER.unpack_from(own)
    if version != own_version:
        return f"they are of format {version}, and this version of warpzone reads {own_version}"
    if given[place : place + 8] != own[place : place + 8]:
        return "they are of another cartridge"
    if observation != own_observation:
        return (
            f"they are of observation {_named(observation, kind)}, not"
            f" {_named(own_observation, kind)}"
        )
    if size != own_size:
        return (
            f"their observations have {size} bytes, not {own_size}: the settings that shape them"
            " differ"
        )
    if columns != own_columns:
        return "the variables of the game's description differ"
    if kind in _MEMORY and given[_MEMORY[kind] :][:8] != own[_MEMORY[kind] :][:8]:
        return "the stretches of memory that the game's description names differ"
    if games != own_games:
        return f"they are of {games} game{'s' if games != 1 else ''}, not of {own_games}"
    if given[:end] != own[:end]:
        return "they are of another version of warpzone"
    if len(given) < len(own):
        return "they are cut short"
    return "there are more bytes than belong to them"


def _named(observation: int, kind: bytes) -> str:
    if observation == 0:
        return _OWN[kind]
    known = 1 <= observation <= len(_OBSERVATIONS)
    return _OBSERVATIONS[observation - 1] if known else f"number {observation}"
