"""Damage to files of known structure: each kind of it, all of it in turn or drawn at random.

A `Layout` knows how a format is put together: where its parts begin, which JSON it holds, and how
checksums over what was changed are made right again, so that damage reaches what lies behind them.
What lies where is worked out from a good file; damaged ones are made from that, never read.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.support.mutations import places

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63,
            2**64 - 1)  # fmt: skip
LONG_TEXT = "x" * 100_000
HOSTILE_TEXT = "a\x1b[2J\x1b]0;owned\x07\r\n\u202e\x00/../../etc/passwd %s {0} $(id)"
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**70, 1e308,
    -1e308, 5e-324, float("nan"), float("inf"), float("-inf"), "", "0", "1-1", "nan", "power-on",
    HOSTILE_TEXT, LONG_TEXT, "\ud800", "é" * 300, [], {}, [[]], [None], [0, 4], {"": 0}, {"a": []},
    ["1-1"] * 40, 10**400,
)  # fmt: skip
"""What takes the place of each value of JSON; what cases are called has their numbers in it."""
RAW = {
    "digits": b"1" * 5_000,
    "exponent": b"1e999999999",
    "fraction": b"0." + b"0" * 5_000 + b"1",
    "lists": b"[" * 100_000 + b"]" * 100_000,
    "open lists": b"[" * 200_000,
    "objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "escapes": b'"\\ud800\\udc00\\u0000\\ud800"',
    "not UTF-8": b'"\xff\xfe\x80"',
    "comment": b"1 /* 2 */",
    "nothing": b"",
    "not quite a number": b"+1",
}
"""What no `json.dumps` writes in the place of a value."""
MAGICS = {
    "zip": b"PK\x03\x04",
    "gzip": b"\x1f\x8b\x08\x00",
    "ELF": b"\x7fELF\x02\x01\x01\x00",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "iNES": b"NES\x1a\x02\x01\x00\x00",
    "pickle": b"\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.",
    "byte order mark": b"\xef\xbb\xbf",
    "UTF-16": b"\xff\xfe{\x00}\x00",
    "script": b"#!/bin/sh\nexit 1\n",
    "null": b"null",
    "zeroes": bytes(64),
    "all ones": b"\xff" * 64,
}
"""How files of other kinds begin."""

_TOO_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What taking a file apart raises that is no longer whole."""

Case = tuple[str, Callable[[], bytes]]
"""What is damaged, and what makes the damaged file."""


@dataclass(frozen=True)
class Layout:
    """How the bytes of a format hang together.

    Attributes:
        documents: gives the JSON in a file by name, and puts other JSON in its place; `{}`: none.
        boundaries: gives the places at which parts begin.
        seal: makes checksums right again; None: there are none.
        special: hostile files that are made by hand, by name.
    """

    documents: Callable[[bytes], Mapping[str, bytes]] = lambda data: {}
    put: Callable[[bytes, str, bytes], bytes] = lambda data, name, document: document
    boundaries: Callable[[bytes], list[int]] = lambda data: [*range(min(len(data), 64))]
    seal: Callable[[bytes], bytes] | None = None
    special: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)


KINDS = ("cut", "flip", "number", "piece", "start", "value", "key", "raw", "special", "stranger")


def systematic(layout: Layout, good: bytes, strangers: Mapping[str, bytes]) -> Iterator[Case]:
    """Yields each case once: `kind/what`.

    Args:
        layout: of the format.
        good: a file of it.
        strangers: good files of other formats, by name.
    """
    edges = sorted({*layout.boundaries(good), len(good)})
    stride = max(1, len(good) // 500)
    cuts = {*range(0, len(good), stride), *edges, *(edge - 1 for edge in edges if edge > 0)}
    for at in sorted(cut for cut in cuts if cut < len(good)):
        yield from _both(layout, f"cut/{at}", partial(_cut, good, at))
    spots = sorted({*edges, *range(0, len(good), max(1, len(good) // 300))})
    for at in (spot for spot in spots if spot < len(good)):
        for bit in (0, 7):
            yield from _both(layout, f"flip/{at}.{bit}", partial(_flipped, good, at, bit))
    for at in edges[:200]:
        for size in (1, 2, 4, 8):
            for value in EXTREMES:
                if at + size <= len(good) and value < 256**size:
                    number = value.to_bytes(size, "little")
                    make = partial(_with, good, at, number)
                    yield f"number/{at}:{size}={value:x}", partial(_sealed_of, layout, make)
    for at in edges[:100]:
        yield f"piece/{at} inserted", partial(_joined, good[:at], b"\0" * 7, good[at:])
        yield f"piece/{at} twice", partial(_joined, good[: at + 16], good[at:])
        yield f"piece/{at} missing", partial(_joined, good[:at], good[at + 8 :])
    yield "piece/twice as a whole", partial(_joined, good, good)
    yield "piece/much behind", partial(_joined, good, bytes(1 << 20))
    for name, magic in MAGICS.items():
        yield f"start/{name} before", partial(_joined, magic, good)
        yield f"start/{name} over", partial(_joined, magic, good[len(magic) :])
        yield f"start/{name} alone", partial(_joined, magic)
    for name, document in layout.documents(good).items():
        yield from _of_json(layout, good, name, document)
    for name, make_special in layout.special.items():
        yield f"special/{name}", partial(make_special, good)
    for name, other in strangers.items():
        yield f"stranger/{name}", partial(_joined, other)


def _both(layout: Layout, what: str, make: Callable[[], bytes]) -> Iterator[Case]:
    """As it is, and with checksums made right again."""
    yield what, make
    if layout.seal is not None:
        yield f"{what} sealed", partial(_sealed_of, layout, make)


def _cut(good: bytes, at: int) -> bytes:
    return good[:at]


def _flipped(good: bytes, at: int, bit: int) -> bytes:
    return _with(good, at, bytes([good[at] ^ 1 << bit]))


def _joined(*parts: bytes) -> bytes:
    return b"".join(parts)


def _sealed_of(layout: Layout, make: Callable[[], bytes]) -> bytes:
    return _sealed(layout, make())


def _of_json(layout: Layout, good: bytes, name: str, document: bytes) -> Iterator[Case]:
    try:
        value = json.loads(document)
    except ValueError:  # such as frames of a movie
        return

    def put(change: Callable[..., bytes], *arguments: Any) -> Callable[[], bytes]:
        return lambda: layout.put(good, name, change(document, *arguments))

    for place in places(value):
        where = f"{name}:{'.'.join(map(str, place))}"
        for number, other in enumerate(VALUES):
            yield f"value/{where}={number}", put(_replacing, place, other)
        for kind, raw in RAW.items():
            yield f"raw/{where}={kind}", put(_spliced, place, raw)
        if place:
            yield f"key/{where} missing", put(_missing, place)
            yield f"key/{where} twice", put(_twice, place)
        yield f"key/{where} unknown", put(_extending, place)


def _replacing(document: bytes, place: tuple[Any, ...], value: Any) -> bytes:
    return _dumped(_replaced(document, place, value))


def _missing(document: bytes, place: tuple[Any, ...]) -> bytes:
    return _dumped(_without(document, place))


def _extending(document: bytes, place: tuple[Any, ...]) -> bytes:
    return _dumped(_extended(document, place))


def drawn(
    layout: Layout, good: bytes, strangers: Mapping[str, bytes], seed: int
) -> tuple[str, bytes]:
    """Returns one case of many: what was done, and the file."""
    chance = random.Random(seed)
    data, done = good, []
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        try:
            what, data = _step(layout, good, data, strangers, chance)
        except (*_TOO_DAMAGED, struct.error, zlib.error):
            continue  # to have that part
        done.append(what)
    if layout.seal is not None and chance.random() < 0.8:
        data, done = _sealed(layout, data), [*done, "sealed"]
    return ", ".join(done) or "as it was", data


def _step(
    layout: Layout,
    good: bytes,
    data: bytes,
    strangers: Mapping[str, bytes],
    chance: random.Random,
) -> tuple[str, bytes]:
    kind = chance.choice(KINDS)
    size = len(data)
    edges = [edge for edge in layout.boundaries(good) if edge <= size] or [0]
    at = chance.choice(edges) if chance.random() < 0.5 else chance.randrange(size + 1)
    documents = layout.documents(data) if kind in ("value", "key", "raw") else {}
    if kind == "cut":
        return f"cut at {at}", data[:at]
    if kind == "flip" and size:
        count = chance.choice((1, 1, 2, 8, 64))
        changed = bytearray(data)
        for _ in range(count):
            spot = min(max(at + chance.randrange(-64, 64), 0), size - 1)
            changed[spot] ^= 1 << chance.randrange(8)
        return f"{count} bits flipped near {at}", bytes(changed)
    if kind == "number":
        width = chance.choice((1, 2, 4, 8))
        value = chance.choice(EXTREMES) if chance.random() < 0.7 else chance.getrandbits(64)
        number = (value % 256**width).to_bytes(width, chance.choice(("little", "big")))
        return f"{number.hex()} at {at}", _with(data, at, number)
    if kind == "piece":
        end = min(size, at + chance.choice((1, 4, 16, 256, 65536)))
        how = chance.choice(("missing", "twice", "elsewhere", "noise"))
        piece, rest = data[at:end], data[:at] + data[end:]
        to = chance.randrange(len(rest) + 1)
        made = {
            "missing": rest,
            "twice": data[:end] + piece + data[end:],
            "elsewhere": rest[:to] + piece + rest[to:],
            "noise": data[:at] + chance.randbytes(end - at) + data[end:],
        }[how]
        return f"bytes {at} to {end} {how}", made
    if kind == "start":
        name = chance.choice([*MAGICS])
        return f"begins as {name}", MAGICS[name] + data[len(MAGICS[name]) :]
    if documents:
        name = chance.choice([*documents])
        document = documents[name]
        place = chance.choice(places(json.loads(document)))
        where = f"{name}:{'.'.join(map(str, place))}"
        if kind == "raw":
            raw = chance.choice([*RAW])
            return f"{where} is {raw}", layout.put(data, name, _spliced(document, place, RAW[raw]))
        if kind == "key" and place:
            how = chance.choice(("missing", "twice", "unknown"))
            changed_text = {
                "missing": lambda: _dumped(_without(document, place)),
                "twice": lambda: _twice(document, place),
                "unknown": lambda: _dumped(_extended(document, place)),
            }[how]()
            return f"{where} {how}", layout.put(data, name, changed_text)
        value = chance.choice(VALUES) if chance.random() < 0.7 else _any(chance)
        text = _dumped(_replaced(document, place, value))
        return f"{where} is {value!r:.60}", layout.put(data, name, text)
    if kind == "special" and layout.special:
        name = chance.choice([*layout.special])
        return name, layout.special[name](good)
    if kind == "stranger":
        name = chance.choice([*strangers])
        other = strangers[name]
        cut = chance.randrange(len(other) + 1)
        return f"goes on as {name}", data[:at] + other[cut:]
    return "nothing", data


def _any(chance: random.Random, depth: int = 0) -> Any:
    """Some value of JSON."""
    kind = chance.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return chance.choice(VALUES)
    if kind == 1:
        return chance.randrange(-(2 ** chance.randrange(1, 80)), 2 ** chance.randrange(1, 80))
    if kind == 2:
        return chance.uniform(-1, 1) * 10.0 ** chance.randrange(-300, 300)
    if kind == 3:
        letters = "ab01-./\x00\x1b\né\u202e\U0001f600\ud800"
        return "".join(chance.choice(letters) for _ in range(chance.randrange(12)))
    if kind == 4:
        return base64.b64encode(zlib.compress(chance.randbytes(chance.randrange(40)))).decode()
    if kind == 5:
        return chance.random() < 0.5
    if kind == 6:
        return [_any(chance, depth + 1) for _ in range(chance.randrange(5))]
    return {str(_any(chance, 3))[:20]: _any(chance, depth + 1) for _ in range(chance.randrange(4))}


def _with(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + piece + data[at + len(piece) :]


def _sealed(layout: Layout, data: bytes) -> bytes:
    """With right checksums, where it is whole enough to have some."""
    if layout.seal is None:
        return data
    try:
        return layout.seal(data)
    except (*_TOO_DAMAGED, struct.error):
        return data


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _replaced(document: bytes, place: tuple[Any, ...], value: Any) -> Any:
    root = json.loads(document)
    if not place:
        return value
    _holder(root, place)[place[-1]] = value
    return root


def _without(document: bytes, place: tuple[Any, ...]) -> Any:
    root = json.loads(document)
    del _holder(root, place)[place[-1]]
    return root


def _extended(document: bytes, place: tuple[Any, ...]) -> Any:
    """With something more in the place, or where that has no parts, beside it."""
    root = json.loads(document)
    here: Any = root
    for key in place:
        here = here[key]
    for holder in (here, _holder(root, place) if place else None):
        if isinstance(holder, dict):
            holder["no such key \x1b[31m"] = {"a": [1]}
            return root
        if isinstance(holder, list):
            holder.append({"a": [1]})
            return root
    return [root]


_MARK = "8f14e45fceea167a5a36dedd4bea2543"


def _spliced(document: bytes, place: tuple[Any, ...], raw: bytes) -> bytes:
    """With bytes in a place that need not be JSON."""
    return _dumped(_replaced(document, place, _MARK)).replace(f'"{_MARK}"'.encode(), raw)


def _twice(document: bytes, place: tuple[Any, ...]) -> bytes:
    """With a key that is there twice, the second time with nothing; of a list, one more part."""
    root = json.loads(document)
    holder, last = _holder(root, place), place[-1]
    if isinstance(holder, list):
        holder.insert(last, holder[last])
        return _dumped(root)
    holder[_MARK] = None
    return _dumped(root).replace(f'"{_MARK}"'.encode(), json.dumps(last).encode())


def _holder(root: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        root = root[key]
    return root


# Layouts


def json_file(special: Mapping[str, Callable[[bytes], bytes]] | None = None) -> Layout:
    """A file that is one JSON document."""
    return Layout(
        documents=lambda data: {"": data},
        boundaries=_json_edges,
        special={
            "as UTF-16": lambda good: good.decode().encode("utf-16"),
            "many spaces": lambda good: b" " * 200_000 + good,
            "many keys": lambda good: _dumped({f"k{i}": i for i in range(50_000)}),
            "a list of it": lambda good: b"[" + good + b"]",
            **(special or {}),
        },
    )


def _json_edges(data: bytes) -> list[int]:
    return [at for at, byte in enumerate(data[:20_000]) if byte in b'{}[],:"'][:400]


def lines_file(special: Mapping[str, Callable[[bytes], bytes]] | None = None) -> Layout:
    """A file of lines, each of which is JSON."""

    def documents(data: bytes) -> dict[str, bytes]:
        lines = data.split(b"\n")
        return {str(at): line for at, line in enumerate(lines[:3]) if line.startswith(b"{")}

    def put(data: bytes, name: str, document: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[int(name)] = document
        return b"\n".join(lines)

    return Layout(
        documents=documents,
        put=put,
        boundaries=lambda data: [at + 1 for at, byte in enumerate(data[:50_000]) if byte == 10],
        special={
            "no end of the line": lambda good: good.rstrip(b"\n"),
            "ends of lines of Windows": lambda good: good.replace(b"\n", b"\r\n"),
            "a line without end": lambda good: good + b"x" * (3 << 20),
            "lines of nothing": lambda good: b"\n" * (1 << 18),
            "short lines": lambda good: b"{}\n" * 50_000,
            **(special or {}),
        },
    )


def text_file(special: Mapping[str, Callable[[bytes], bytes]]) -> Layout:
    """A file of lines that are no JSON."""
    return Layout(
        boundaries=lambda data: [at + 1 for at, byte in enumerate(data[:50_000]) if byte == 10],
        special=special,
    )


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and the bytes behind it."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header, data[8 + length :]


def with_header(header: bytes, rest: bytes) -> bytes:
    """A safetensors file with that header."""
    return struct.pack("<Q", len(header)) + header + rest


def safetensors_specials() -> dict[str, Callable[[bytes], bytes]]:
    """Files that say of themselves what cannot be."""

    def tensors(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
        def make(good: bytes) -> bytes:
            header, rest = header_of(good)
            names = [name for name in header if name != "__metadata__"]
            change({name: header[name] for name in names})
            return with_header(_dumped(header), rest)

        return make

    def every(**values: Any) -> Callable[[bytes], bytes]:
        return tensors(lambda found: [entry.update(values) for entry in found.values()])

    return {
        "a header of 2^60 bytes": lambda good: struct.pack("<Q", 2**60) + good[8:],
        "a header of 2^64-1 bytes": lambda good: b"\xff" * 8 + good[8:],
        "a header of 99 MB": lambda good: struct.pack("<Q", 99_000_000) + good[8:],
        "a header of nothing": lambda good: struct.pack("<Q", 0) + good[8:],
        "a header of one byte": lambda good: struct.pack("<Q", 1) + good[8:],
        "shapes of 2^60": every(shape=[2**60]),
        "shapes of 2^40 by 2^40": every(shape=[2**40, 2**40]),
        "shapes of 2^30, bytes too": every(shape=[2**30], data_offsets=[0, 2**32]),
        "shapes of nothing by 2^62": every(shape=[0, 2**62], data_offsets=[0, 0]),
        "shapes of many extents": every(shape=[1] * 5_000),
        "shapes below 0": every(shape=[-1, -4]),
        "all in one place": every(data_offsets=[0, 4], shape=[1]),
        "the wrong way round": every(data_offsets=[64, 0]),
        "2^64-1 bytes": every(data_offsets=[0, 2**64 - 1]),
        "types that are none": every(dtype="F128"),
        "types of 8 bits": every(dtype="U8"),
        "types of floats of 8 bits": every(dtype="F8_E4M3"),
        "types of complex numbers": every(dtype="C64"),
        "types of truth": every(dtype="BOOL"),
        "not a number": lambda good: _filled(good, b"\xff"),
        "many tensors": lambda good: with_header(
            _dumped(
                header_of(good)[0]
                | {
                    f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
                    for i in range(5_000)
                }
            ),
            header_of(good)[1],
        ),
    }


def _filled(good: bytes, byte: bytes) -> bytes:
    header, rest = header_of(good)
    return with_header(_dumped(header), byte * len(rest))


def agent_file() -> Layout:
    """Safetensors with a description as JSON within the JSON of the header."""

    def documents(data: bytes) -> dict[str, bytes]:
        header, _ = header_of(data)
        found = {"header": _dumped(header)}
        metadata = header.get("__metadata__")
        if isinstance(metadata, dict) and isinstance(metadata.get("warpzone"), str):
            found["description"] = metadata["warpzone"].encode("utf-8", "surrogatepass")
        return found

    def put(data: bytes, name: str, document: bytes) -> bytes:
        header, rest = header_of(data)
        if name == "description":
            text = document.decode("utf-8", "surrogateescape")
            header["__metadata__"] = {"warpzone": text}
            document = _dumped(header)
        return with_header(document, rest)

    return Layout(
        documents=documents,
        put=put,
        boundaries=lambda data: [*range(8), *_header_edges(data, 0)],
        special=safetensors_specials(),
    )


def _header_edges(data: bytes, start: int) -> list[int]:
    (length,) = struct.unpack_from("<Q", data, start)
    begin = start + 8
    text = data[begin : begin + length]
    edges = [begin + at for at in _json_edges(text)][:200]
    end = begin + length
    return [*edges, *range(end, min(end + 64, len(data)), 4)]


CHECKPOINT_HEAD = 22 + 64 + 1
"""Bytes before the payload of a checkpoint: its kind, a checksum, the end of the line."""


def checkpoint_file() -> Layout:
    """A line with a checksum, and safetensors, of which one tensor is JSON."""

    def payload_of(data: bytes) -> bytes:
        _, newline, payload = data.partition(b"\n")
        if not newline:
            raise ValueError("no payload")
        return payload

    def seal(data: bytes) -> bytes:
        payload = payload_of(data)
        digest = hashlib.sha256(payload).hexdigest().encode()
        return b"warpzone checkpoint 1 " + digest + b"\n" + payload

    def documents(data: bytes) -> dict[str, bytes]:
        header, rest = header_of(payload_of(data))
        begin, end = header["values.json"]["data_offsets"]
        return {"header": _dumped(header), "values": rest[begin:end]}

    def put(data: bytes, name: str, document: bytes) -> bytes:
        header, rest = header_of(payload_of(data))
        if name == "values":
            begin, end = header["values.json"]["data_offsets"]
            more = len(document) - (end - begin)
            for entry in header.values():
                offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
                if offsets and offsets[0] >= end and entry is not header["values.json"]:
                    entry["data_offsets"] = [offset + more for offset in offsets]
            header["values.json"]["data_offsets"] = [begin, begin + len(document)]
            header["values.json"]["shape"] = [len(document)]
            rest = rest[:begin] + document + rest[end:]
            document = _dumped(header)
        return seal(b"\n" + with_header(document, rest))

    def within(make: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        return lambda good: seal(b"\n" + make(payload_of(good)))

    return Layout(
        documents=documents,
        put=put,
        boundaries=lambda data: [*range(24), *_header_edges(data, CHECKPOINT_HEAD)],
        seal=seal,
        special={name: within(make) for name, make in safetensors_specials().items()},
    )


def code_file(magic: bytes) -> Layout:
    """A line of magic, a line with a checksum, a line of JSON, and code."""

    def content_of(data: bytes) -> bytes:
        parts = data.split(b"\n", 2)
        if len(parts) < 3:
            raise ValueError("no content")
        return parts[2]

    def seal(data: bytes) -> bytes:
        content = content_of(data)
        return magic + hashlib.sha256(content).hexdigest().encode() + b"\n" + content

    def put(data: bytes, name: str, document: bytes) -> bytes:
        code = content_of(data).partition(b"\n")[2]
        return seal(b"\n\n" + document + b"\n" + code)

    return Layout(
        documents=lambda data: {"facts": content_of(data).partition(b"\n")[0]},
        put=put,
        boundaries=lambda data: [*range(0, 300, 5)],
        seal=seal,
    )


def png_file() -> Layout:
    """Chunks, each with a checksum; a text among them is JSON."""

    def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
        found, at = [], 8
        while at + 8 <= len(data):
            (length,) = struct.unpack_from(">I", data, at)
            found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
            at += 12 + length
        return found

    def packed(parts: list[tuple[bytes, bytes]]) -> bytes:
        return MAGICS["PNG"] + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in parts
        )

    def documents(data: bytes) -> dict[str, bytes]:
        for kind, body in chunks(data):
            if kind == b"tEXt" and body.startswith(b"warpzone\0"):
                return {"text": body[9:]}
        raise ValueError("no text")

    def put(data: bytes, name: str, document: bytes) -> bytes:
        return packed(
            [
                (kind, b"warpzone\0" + document if kind == b"tEXt" else body)
                for kind, body in chunks(data)
            ]
        )

    def sized(width: int, height: int, *, whole: bool = False) -> Callable[[bytes], bytes]:
        def make(good: bytes) -> bytes:
            parts = []
            for kind, body in chunks(good):
                if kind == b"IHDR":
                    body = struct.pack(">II", width, height) + body[8:]
                if kind == b"IDAT" and whole:
                    body = zlib.compress(bytes((width + 1) * height), 9)
                parts.append((kind, body))
            return packed(parts)

        return make

    def text_bomb(good: bytes) -> bytes:
        text = b"warpzone\0\0" + base64.b64decode(bomb())
        return packed([*chunks(good)[:-1], (b"zTXt", text), (b"IEND", b"")])

    return Layout(
        documents=documents,
        put=put,
        boundaries=lambda data: [*range(64), *range(64, min(len(data), 2000), 40)],
        seal=lambda data: packed(chunks(data)),
        special={
            "2^31 by 2^31": sized(2**31 - 1, 2**31 - 1),
            "30,000 by 30,000": sized(30_000, 30_000),
            "13,000 by 13,000, all there": sized(13_000, 13_000, whole=True),
            "nothing by nothing": sized(0, 0),
            "a text of 256 MB, packed": text_bomb,
        },
    )


@functools.cache
def bomb() -> str:
    """A text, as base64, that unpacks to 256 MB of zeroes."""
    packer, block = zlib.compressobj(1), bytes(1 << 20)
    packed = b"".join([*(packer.compress(block) for _ in range(256)), packer.flush()])
    return base64.b64encode(packed).decode()
