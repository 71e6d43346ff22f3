"""Options that several benchmarks have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RomOption = Annotated[Path | None, typer.Option(help="The ROM to play.", show_default="looked for")]
OutOption = Annotated[
    Path | None, typer.Option(help="File for the JSON.", show_default="standard output")
]
