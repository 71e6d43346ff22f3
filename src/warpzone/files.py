"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from warpzone.errors import CheckpointError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there, also when the process or the machine stops.

    Raises:
        CheckpointError: the disk is full or the directory cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
        if os.name == "posix":  # the new name is on the disk only when its directory is
            directory = os.open(path.parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path} ({len(data) / 1e6:.1f} MB): {error.strerror or error}."
            " Make room or choose another directory; what was saved before is untouched"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
