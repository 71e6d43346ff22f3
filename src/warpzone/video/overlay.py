"""What an agent does and its policy gives out, drawn beside the game: pad, value, probabilities."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from warpzone.agents.playback import Moment, Playback
from warpzone.episodes.outcome import Outcome
from warpzone.video.film import Frame, colours, enlarge

WIDTH = 144
"""Of the panel, in NES pixels; both are even, as MP4 needs at any scale."""
HEIGHT = 240

GROUND = (20, 20, 24)
INK = (235, 235, 235)
FAINT = (130, 130, 138)
TRACK = (46, 46, 54)
VALUE = (90, 170, 250)
CHOSEN = (250, 200, 70)
OTHER = (150, 150, 160)
BODY = (196, 194, 190)
FACE = (40, 40, 44)
IDLE = (92, 92, 98)
LIT = (255, 64, 48)

Box = tuple[float, float, float, float]


class Overlay:
    """Draws the panel of one film.

    The pad shows the action that the agent chose; with sticky actions the game may still hold
    the one before.
    """

    def __init__(self, playback: Playback, scale: int) -> None:
        """
        Args:
            playback: whose moments are shown.
            scale: picture pixels per NES pixel; text is drawn at that size, not enlarged.
        """
        self._names = list(playback.action_names)
        self._palette = playback.palette
        self._scale = scale
        self._largest = 0.0
        """Of all values so far: what the full bar stands for."""

    def panel(self, moment: Moment | None, outcome: Outcome | None = None) -> Frame:
        """Returns the panel: uint8[240 * scale, 144 * scale, 3].

        Args:
            moment: the decision to show; None: the agent no longer plays, nothing is pressed.
            outcome: how the episode ended, to stand in place of the value.
        """
        pen = Pen(WIDTH, HEIGHT, self._scale)
        held = set() if moment is None else set(self._names[moment.action].split(" + "))
        draw_pad(pen, held)
        if moment is not None:
            self._draw_value(pen, moment.value)
            self._draw_probabilities(pen, moment)
        elif outcome is not None:
            pen.text((8, 76), str(outcome), INK, width=WIDTH - 16)
        return pen.pixels()

    def beside(self, frame: Frame, panel: Frame) -> Frame:
        """Returns a picture uint8[240, 256] with a panel: uint8[240 * scale, 400 * scale, 3]."""
        return np.hstack([enlarge(colours(frame, self._palette), self._scale), panel])

    def _draw_value(self, pen: Pen, value: float) -> None:
        self._largest = max(self._largest, abs(value))
        pen.text((8, 70), "value", FAINT)
        pen.text((WIDTH - 8, 70), f"{value:.1f}", INK, anchor="rm")
        share = abs(value) / self._largest if self._largest else 0.0
        pen.bar((8, 77, WIDTH - 8, 82), share, VALUE if value >= 0 else LIT)

    def _draw_probabilities(self, pen: Pen, moment: Moment) -> None:
        pen.text((8, 94), "action probabilities", FAINT)
        top, pitch = 101.0, min(13.0, (HEIGHT - 105) / len(self._names))
        for index, (name, probability) in enumerate(
            zip(self._names, moment.probabilities, strict=True)
        ):
            y = top + pitch * (index + 0.5)
            chosen = index == moment.action
            pen.text((8, y), name, INK if chosen else FAINT, width=66)
            bar = (77, y - pitch * 0.3, 110, y + pitch * 0.3)
            pen.bar(bar, float(probability), CHOSEN if chosen else OTHER)
            text = f"{probability:.0%}"
            pen.text((WIDTH - 8, y), text, INK if chosen else FAINT, anchor="rm")


class Pen:
    """Draws in NES pixels on a picture that has `scale` times as many."""

    def __init__(self, width: int, height: int, scale: int, *, ground: Frame | None = None) -> None:
        self._scale = scale
        if ground is None:
            self._image = Image.new("RGB", (width * scale, height * scale), GROUND)
        else:
            self._image = Image.fromarray(ground)
        self._draw = ImageDraw.Draw(self._image)

    def pixels(self) -> NDArray[np.uint8]:
        """Returns what is drawn: uint8[height * scale, width * scale, 3]."""
        return np.asarray(self._image)

    def box(self, box: Box, colour: tuple[int, int, int], radius: float = 0) -> None:
        left, top, right, bottom = (round(edge * self._scale) for edge in box)
        if right > left and bottom > top:
            # Pillow counts the last pixel in.
            corners = (left, top, right - 1, bottom - 1)
            self._draw.rounded_rectangle(corners, radius * self._scale, fill=colour)

    def bar(self, box: Box, share: float, colour: tuple[int, int, int]) -> None:
        """Draws a track of which `share` (0 to 1) is filled."""
        left, top, right, bottom = box
        self.box(box, TRACK)
        self.box((left, top, left + (right - left) * min(share, 1.0), bottom), colour)

    def text(
        self,
        place: tuple[float, float],
        text: str,
        colour: tuple[int, int, int],
        *,
        anchor: str = "lm",
        size: float = 9,
        width: float | None = None,
    ) -> None:
        """Writes a line at `place`, by Pillow's anchors; smaller where it is wider than `width`."""
        pixels = size * self._scale
        font = _font(round(pixels))
        if width is not None and (length := font.getlength(text)) > width * self._scale:
            font = _font(int(pixels * width * self._scale / length))
        x, y = (round(position * self._scale) for position in place)
        self._draw.text((x, y), text, colour, font, anchor)

    def line(
        self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], width: float
    ) -> None:
        scaled = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.line(scaled, colour, max(1, round(width * self._scale)), joint="curve")


def draw_pad(pen: Pen, held: set[str]) -> None:
    """Draws the controller, with the buttons lit that are in `held`, by their names."""

    def colour(button: str) -> tuple[int, int, int]:
        return LIT if button in held else IDLE

    pen.box((8, 8, 136, 60), BODY, radius=3)
    pen.box((12, 16, 132, 56), FACE, radius=2)
    pen.box((29, 31, 37, 39), IDLE)
    pen.box((29, 21, 37, 31), colour("up"), radius=1)
    pen.box((29, 39, 37, 49), colour("down"), radius=1)
    pen.box((19, 31, 29, 39), colour("left"), radius=1)
    pen.box((37, 31, 47, 39), colour("right"), radius=1)
    pen.box((54, 37, 65, 41), colour("select"), radius=2)
    pen.box((69, 37, 80, 41), colour("start"), radius=2)
    for button, left in (("B", 88.0), ("A", 109.0)):
        pen.box((left - 2, 28, left + 18, 48), BODY, radius=2)
        pen.box((left, 30, left + 16, 46), colour(button), radius=8)
        pen.text((left + 8, 38), button, INK, anchor="mm")


@functools.cache
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(1, pixels))
