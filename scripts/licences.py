"""Writes THIRD_PARTY.md: what of others is in the wheel, and what is installed beside it.

    python scripts/licences.py           # where every extra is installed, see pyproject.toml
    python scripts/licences.py --check   # whether a licence is one that nobody has looked at

Texts of licences come from the packages themselves; the licence of a dependency from its metadata,
which is free text in many: `SPELLINGS` says what is meant. One that is neither in `ALLOWED` nor in
`LOOKED_AT` is refused.
"""

from __future__ import annotations

import argparse
import importlib.metadata as metadata
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "THIRD_PARTY.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEVELOPMENT = ("test", "docs", "plots")
"""Extras that no command needs."""
CUDA = ("cuda-", "nvidia-", "triton")
"""How the names begin of what only PyTorch's CUDA builds require."""

ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause",
    "BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-CMU", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip
"""SPDX names of licences that ask for no more than their text; "BSD" where metadata say no more."""

LOOKED_AT = {
    "certifi": ("MPL-2.0", "certificates, used as they are"),
    "imageio-ffmpeg": ("BSD-2-Clause", "its wheel carries FFmpeg, a program under the GPL-3.0, "
                       "which is started and not linked"),
    "orjson": ("MPL-2.0 AND (Apache-2.0 OR MIT)", "used as it is"),
    "pygame-ce": ("LGPL-2.1", "used as it is, and exchangeable"),
    "tqdm": ("MPL-2.0 AND MIT", "used as it is"),
}  # fmt: skip
"""Dependencies under other terms: the licence, and what it means here."""

SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache License v2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache": "Apache-2.0",
    "BSD License": "BSD",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD-3-Clause License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Somebody else's code in the native module.

    Attributes:
        name: of the project.
        version: that is compiled in here.
        licence: its SPDX name.
        text: of the licence, with the notice of copyright.
    """

    name: str
    version: str
    licence: str
    text: str


def parts() -> list[Part]:
    """Returns what is compiled into the native module beside `native/`."""
    nanobind = metadata.distribution("nanobind")
    files = nanobind.files or []
    (licence,) = (file for file in files if file.name == "LICENSE")
    (header,) = (file for file in files if file.name == "robin_map.h")
    (numbers,) = (file for file in files if file.name == "robin_growth_policy.h")
    found = dict(re.findall(r"TSL_RH_VERSION_(\w+) (\d+)", numbers.read_text(encoding="utf-8")))
    version = ".".join(found[name] for name in ("MAJOR", "MINOR", "PATCH"))
    notice = header.read_text(encoding="utf-8").split("*/")[0]
    robin = "\n".join(line.strip().removeprefix("*").strip() for line in notice.splitlines()[1:])
    return [
        Part("nanobind", nanobind.version, "BSD-3-Clause", licence.read_text("utf-8").strip()),
        Part("robin-map", version, "MIT", robin.strip()),
    ]


def dependencies() -> dict[str, set[str]]:
    """Returns what is installed with the package and its extras: of each name, by which of them;
    "" is the package without any. What is not installed here is not among them."""
    wanted = {"": list(PROJECT["dependencies"])}
    for extra, lines in PROJECT["optional-dependencies"].items():
        if extra not in DEVELOPMENT:
            wanted[extra] = lines
    found: dict[str, set[str]] = {}
    for extra, lines in wanted.items():
        seen: set[str] = set()
        for line in lines:
            _follow(line, ("",), seen)
        for item in seen:
            found.setdefault(item.partition("[")[0], set()).add(extra)
    return found


def missing() -> list[str]:
    """Returns what the extras name and is not installed here, whose licences are not told."""
    lines = [
        line
        for extra in PROJECT["optional-dependencies"].items()
        for line in extra[1]
        if extra[0] not in DEVELOPMENT
    ]
    names = {Requirement(line).name for line in (*PROJECT["dependencies"], *lines)} - {"warpzone"}
    return sorted(name for name in names if not _installed(name))


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _follow(line: str, extras: tuple[str, ...], seen: set[str]) -> None:
    requirement = Requirement(line)
    marker = requirement.marker
    if marker and not any(marker.evaluate({"extra": extra}) for extra in extras):
        return
    name = canonicalize_name(requirement.name)
    key = f"{name}[{','.join(sorted(requirement.extras))}]"
    if name == "warpzone" or key in seen:
        return
    try:
        required = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    seen.add(key)
    for inner in required:
        _follow(inner, ("", *requirement.extras), seen)


def licence_of(name: str) -> str:
    """Returns the licence of something installed as an SPDX expression, as far as its metadata say;
    "" if they do not, and what they say where that is no known spelling."""
    if name in LOOKED_AT:
        return LOOKED_AT[name][0]
    told = metadata.metadata(name)
    expression = told["License-Expression"]
    if expression:
        return expression
    kinds = [line for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    texts = [(told["License"] or "").strip().split("\n")[0].strip()]
    texts += [kind.rpartition(" :: ")[2] for kind in kinds]
    for text in texts:
        if allowed(SPELLINGS.get(text, text)):
            return SPELLINGS.get(text, text)
    return next(filter(None, reversed(texts)), "")


def allowed(expression: str) -> bool:
    """Whether all of an SPDX expression, or one of its alternatives, is in `ALLOWED`."""
    if "(" in expression:  # every name in it, then: stricter than need be, and right
        expression = re.sub(r"[()]", "", expression).replace(" OR ", " AND ")
    return any(
        all(name.strip() in ALLOWED for name in alternative.split(" AND "))
        for alternative in expression.split(" OR ")
    )


def refused() -> list[str]:
    """Returns a line for each dependency that is installed and whose licence nobody has seen."""
    return [
        f"{name}: {licence_of(name) or 'no licence is told'}"
        for name in sorted(dependencies())
        if name not in LOOKED_AT and not name.startswith(CUDA) and not allowed(licence_of(name))
    ]


def page() -> str:
    """Returns the text of THIRD_PARTY.md."""
    lines = [
        "# Code of others",
        "",
        "Written by `scripts/licences.py`. Everything else in the wheel is warpzone's own, under "
        "the licence in LICENSE: Python, native code, the pages of dashboard, maps and reports, "
        "and the trained agents. No font, no picture and no script of others is in it, and no ROM.",
        "",
        "## In the native module",
        "",
        "| project | licence |",
        "|---|---|",
        *(f"| {part.name} | {part.licence} |" for part in parts()),
        "",
        "Which versions are in a wheel is told by the bill of materials in it "
        "(`*.dist-info/sboms/warpzone.cdx.json`). Parts of the compiler's own libraries may be "
        "linked in as well: GCC's, under the GPL-3.0 with the GCC runtime library exception, "
        "LLVM's (Zig, macOS), under the Apache-2.0 with the LLVM exception, or Microsoft's C++ "
        "runtime. None of them puts terms on what they are linked into.",
    ]
    for part in parts():
        lines += ["", f"### {part.name}", "", "```text", part.text, "```"]
    lines += [
        "",
        "## Installed beside it",
        "",
        "Not in the wheel: what pip installs with warpzone or one of its extras, on Linux. "
        "PyTorch's CUDA builds bring NVIDIA's libraries (`nvidia-*`, `cuda-*`, under NVIDIA's own "
        "terms) and `triton` (MIT) besides."
        + "".join(
            f" Not looked at, since not installed where this was written: {name} and what "
            "it requires."
            for name in missing()
        ),
        "",
        "| package | licence | with |",
        "|---|---|---|",
    ]
    for name, extras in sorted(dependencies().items()):
        if name.startswith(CUDA):
            continue
        remark = f" ({LOOKED_AT[name][1]})" if name in LOOKED_AT else ""
        told = "every installation" if "" in extras else ", ".join(f"`{e}`" for e in sorted(extras))
        lines.append(f"| {name} | {licence_of(name)}{remark} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Write or check the licences of others.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    unknown = refused()
    for line in unknown:
        print(f"licences.py: nobody has looked at the licence of {line}", file=sys.stderr)
    if unknown:
        return 1
    if not check:
        PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
