"""Every error that a user can cause or meet, each with a text that says what to do.

The command line prints these without a traceback; any other exception is a fault of warpzone, but
for the lack of memory, which has no class of its own: libraries say it in ways of their own.
"""

import errno

_NO_MEMORY = (
    *("can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc"),
    "failed to map segment",  # of a library that is loaded
    "resource temporarily unavailable",  # of a new thread, which needs some for its stack
)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an exception, of Python, the system, a library or the native core, says that
    memory is out."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    said = str(error).lower() if isinstance(error, RuntimeError | ImportError) else ""
    return any(words in said for words in _NO_MEMORY)


class WarpzoneError(Exception):
    """Base of all errors that warpzone reports to its user."""


class RomError(WarpzoneError):
    """No usable ROM: missing, unreadable, not an NROM cartridge, or not to be fetched."""


class LevelError(WarpzoneError, ValueError):
    """A level name or a list of levels that does not exist in the game."""


class ConfigError(WarpzoneError, ValueError):
    """A setting with an unknown name or a value out of its range."""


class CheckpointError(WarpzoneError):
    """A checkpoint or run directory that is missing, damaged or of another version."""


class TrainingError(WarpzoneError):
    """A training that ended before its time, e.g. on a full disk; the text says how to go on."""


class RankError(TrainingError):
    """Of several processes that train together another one has ended or cannot be reached."""


class FileError(WarpzoneError):
    """A file that cannot be written: a full disk, a folder that is missing or not writable.

    `errno` is the system's number of the fault, None where it has none, and `reason` its text
    alone, for who says the rest.
    """

    def __init__(self, message: str, number: int | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.errno, self.reason = number, reason or message


class RunError(WarpzoneError):
    """No run directory where one is looked for."""


class ServerError(WarpzoneError):
    """The dashboard cannot be served, e.g. on a port that is taken."""


class AgentError(WarpzoneError):
    """A saved agent that is missing, damaged or does not fit its use."""


class EpisodeError(WarpzoneError):
    """A recorded episode that is missing, damaged, of another version, or not to be played here."""


class DisplayError(WarpzoneError):
    """No window can be opened, e.g. on a machine without a screen."""


class MissingPackageError(WarpzoneError, ImportError):
    """A package that does not come along with warpzone and is not installed; the text names it."""


class EngineError(WarpzoneError, RuntimeError):
    """The native engine stopped: a game did not start, or a worker thread failed."""
