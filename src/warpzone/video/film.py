"""Films of pictures: MP4 with every frame, GIF with every third; sheets of pictures as PNG.
Files are whole or not there at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from warpzone.errors import ConfigError, WarpzoneError
from warpzone.extras import need
from warpzone.files import check_output_path, replacing

Frame = NDArray[np.uint8]

SUFFIXES = (".mp4", ".gif")
MP4_FPS = 60
GIF_KEEP = 3
"""One frame in three is 20.03 pictures/s; the clock of GIFs, in 1/100 s, can only keep 20."""
GIF_FRAME_MS = 50
DEFAULT_SCALE = {".mp4": 4, ".gif": 1}
"""H.264 as every player decodes it has one colour for 2 x 2 pixels: with an even scale each pixel
of the game keeps its own, and where the screen scrolls, colours move by whole steps, so that
nothing is left to be encoded. An odd scale takes twice the bytes, for blurred edges."""
MAX_SCALE = 8
_ENCODING = (
    *("-preset", "veryfast", "-crf", "18"),
    *("-g", "300"),  # a keyframe in 5 s, to seek by; the game's pictures follow from each other
    # What the fast presets leave out is what pixel art gains by: a screen that scrolls is found as
    # one motion (me, merange), what an object has covered is found in earlier pictures (ref), and
    # whole blocks are copied because that is weighed exactly (subme, trellis). A third of the size
    # for half as much time again. Less smoothing of edges: here they are meant.
    "-x264-params",
    "me=umh:merange=24:ref=3:mixed-refs=1:subme=6:trellis=1:deblock=-3,-3",
)
SHEET_SUFFIX = ".png"
SHEET_COLUMNS = 5
SHEET_GAP = 4
"""Pixels between the pictures of a sheet."""


class FilmError(WarpzoneError):
    """A film could not be written."""


def check_film_path(path: Path, suffixes: Sequence[str] = SUFFIXES) -> Path:
    """Returns `path` if a film can be written there.

    Called before a recording starts, so that minutes of play are not lost to a typing error.

    Raises:
        ConfigError: see `warpzone.files.check_output_path`.
        MissingPackageError: what writes such a file is not installed.
    """
    found = check_output_path(path, "a film", suffixes)
    encoder = "imageio_ffmpeg" if found.suffix.lower() == ".mp4" else "PIL"
    need(f"A film ({found.suffix})", films=(encoder,))
    return found


def pick_scale(path: Path, scale: int | None, default: Mapping[str, int] = DEFAULT_SCALE) -> int:
    """Returns `scale`, or where it is None the default for the suffix of `path`.

    Raises:
        ConfigError: not 1 to 8.
    """
    factor = default[path.suffix.lower()] if scale is None else scale
    if not 1 <= factor <= MAX_SCALE:
        raise ConfigError(f"scale is {factor}, must be 1 to {MAX_SCALE}")
    return factor


def write_film(
    path: Path, frames: Iterable[Frame], *, palette: NDArray[np.uint8], scale: int | None = None
) -> int:
    """Writes `frames` to `path` and returns how many frames were given.

    The film is written beside its place under another name and moved there when it is complete:
    a failed recording neither leaves half a film nor harms an older one.

    Args:
        path: `.mp4` (H.264, yuv420p, 60 frames/s) or `.gif` (20 pictures/s, loops for ever).
        frames: one per emulated frame and all of one size: uint8[h, w] NES palette indices (0-63)
            or uint8[h, w, 3] RGB. MP4 needs an even width and height after scaling.
        palette: uint8[64, 3] RGB.
        scale: whole factor 1-8 (default 4 for MP4, 1 for GIF), nearest neighbour.

    Raises:
        ConfigError: bad path or scale.
        FilmError: no frames, or the encoder or the disk failed.
    """
    check_film_path(path)
    suffix = path.suffix.lower()
    factor = pick_scale(path, scale)

    source = iter(frames)
    first = next(source, None)
    if first is None:
        raise FilmError(f"nothing to write to {str(path)!r}: the recording has no frames")
    counter = itertools.count()
    counted = _counted(itertools.chain([first], source), counter)

    with _beside(path) as temporary:
        if suffix == ".mp4":
            _write_mp4(temporary, counted, palette, factor)
        else:
            _write_gif(temporary, counted, palette, factor)
    return next(counter)


def write_sheet(path: Path, frames: Sequence[Frame], *, palette: NDArray[np.uint8]) -> None:
    """Writes pictures as rows of one, in reading order, on black.

    Args:
        path: `.png`.
        frames: uint8[h, w] NES palette indices (0-63), at least one, all of one size.
        palette: uint8[64, 3] RGB.

    Raises:
        ConfigError: bad path.
        FilmError: no pictures, or the disk failed.
    """
    from PIL import Image

    check_film_path(path, (SHEET_SUFFIX,))
    if not frames:
        raise FilmError(f"nothing to write to {str(path)!r}: the recording has no frames")
    columns = min(SHEET_COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    height, width = (extent + SHEET_GAP for extent in frames[0].shape)
    sheet = Image.new("RGB", (columns * width - SHEET_GAP, rows * height - SHEET_GAP))
    for number, frame in enumerate(frames):
        row, column = divmod(number, columns)
        sheet.paste(Image.fromarray(palette[frame & 63]), (column * width, row * height))
    with _beside(path) as temporary:
        sheet.save(temporary, format="PNG")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yields a name to write to, which becomes `path` when all has gone well."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise FilmError(f"could not write {str(path)!r}: {error}") from error


def _counted(frames: Iterable[Frame], counter: Iterator[int]) -> Iterator[Frame]:
    for frame in frames:
        next(counter)
        yield frame


def colours(frame: Frame, palette: NDArray[np.uint8]) -> Frame:
    """Returns a picture of palette indices uint8[h, w] as RGB uint8[h, w, 3]; RGB as it is."""
    return palette[frame & 63] if frame.ndim == 2 else frame


def enlarge(frame: Frame, scale: int) -> Frame:
    """Returns uint8[h, w, ...] with each pixel as `scale` x `scale` pixels."""
    return frame.repeat(scale, axis=0).repeat(scale, axis=1)


def _write_mp4(path: Path, frames: Iterator[Frame], palette: NDArray[np.uint8], scale: int) -> None:
    import imageio_ffmpeg

    first = next(frames)
    height, width = first.shape[:2]
    encoder = imageio_ffmpeg.write_frames(
        str(path),
        (width, height),
        fps=MP4_FPS,
        codec="libx264",
        pix_fmt_in="rgb24",
        pix_fmt_out="yuv420p",
        quality=None,
        macro_block_size=1,
        ffmpeg_log_level="error",
        output_params=[
            "-vf",
            f"scale={width * scale}:{height * scale}:flags=neighbor:out_color_matrix=bt709",
            *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
            *_ENCODING,
            "-movflags",
            "+faststart",
        ],
    )
    encoder.send(None)
    sent = 0
    try:
        for frame in itertools.chain([first], frames):
            encoder.send(np.ascontiguousarray(colours(frame, palette)))
            sent += 1
    finally:
        encoder.close()
    # imageio-ffmpeg does not say how ffmpeg ended.
    try:
        written, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    except RuntimeError:
        written = 0
    if written != sent:
        raise OSError(f"the encoder wrote {written} of {sent} frames. Is the disk full?")


def _write_gif(path: Path, frames: Iterator[Frame], palette: NDArray[np.uint8], scale: int) -> None:
    from PIL import Image

    def picture(frame: Frame) -> Image.Image:
        if frame.ndim == 3:
            image = Image.fromarray(np.ascontiguousarray(enlarge(frame, scale)))
            return image.quantize(256, dither=Image.Dither.NONE)
        image = Image.fromarray(np.ascontiguousarray(enlarge(frame & np.uint8(63), scale)))
        image.putpalette(palette.astype(np.uint8).tobytes())
        return image

    pictures = (picture(frame) for frame in itertools.islice(frames, 0, None, GIF_KEEP))
    first = next(pictures)
    first.save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures,
        duration=GIF_FRAME_MS,
        loop=0,
        optimize=False,
    )
