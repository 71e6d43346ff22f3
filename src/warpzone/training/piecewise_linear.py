"""Positions and speeds of a tile view in finer detail, for the first layer of a network.

A position that goes in as one number must be scaled so that its whole range fits; a pixel is then
too small a change for a network to time a jump by in reasonable time. Here such a number becomes a
row of piecewise-linear features (linear B-splines; "tile coding" with linear tiles, Sutton & Barto
2018, section 9.5.4), of which two are not 0 at a time, so that one layer can make any curve of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from warpzone.smb.tile_layout import mario_scalar, mario_unit, object_scalar, object_unit

OBJECTS = 4
"""Nearest ones that are seen so."""

# (scalar, from one centre to the next in the scalar's own unit, first centre, last centre)
_MARIO = (
    ("x_in_cell", 1, 0, 15),
    ("y_in_cell", 1, 0, 15),
    ("x_speed", 8, -6, 6),
    ("y_speed", 1, -5, 5),
)
_OBJECT = (
    ("x_distance", 8, -4, 8),
    ("y_distance", 16, -3, 3),
)


class PiecewiseLinear(nn.Module):
    """Makes of the scalars of `tiles`, float32 [B, S], the same followed by features of some of
    them, [B, S + `size`].

    Features of an object that is not there are 0. Has no weights.
    """

    def __init__(self) -> None:
        super().__init__()
        rows: list[tuple[int, float, int, int]] = []  # column, scale, centre, who must be there
        for scalar, step, low, high in _MARIO:
            scale = mario_unit(scalar) / step
            rows += [(mario_scalar(scalar), scale, c, -1) for c in range(low, high + 1)]
        for index in range(OBJECTS):
            there = object_scalar("present", index)
            for scalar, step, low, high in _OBJECT:
                column, scale = object_scalar(scalar, index), object_unit(scalar) / step
                rows += [(column, scale, c, there) for c in range(low, high + 1)]
        columns, scales, centres, present = zip(*rows, strict=True)
        self.size = len(rows)
        # On the CPU also where a network is made without memory for its weights.
        for name, values in (
            ("columns", torch.tensor(columns, device="cpu")),
            ("scales", torch.tensor(scales, device="cpu")),
            ("centres", torch.tensor(centres, dtype=torch.float32, device="cpu")),
            ("present", torch.tensor([p for p in present if p >= 0], device="cpu")),
            ("who", torch.tensor(present, device="cpu")),
        ):
            self.register_buffer(name, values, persistent=False)

    columns: Tensor
    scales: Tensor
    centres: Tensor
    present: Tensor
    who: Tensor
    """Of each feature: the scalar that tells whether its object is there; -1: always."""

    def forward(self, scalars: Tensor) -> Tensor:
        values = scalars.index_select(1, self.columns)
        features = (values * self.scales).sub_(self.centres).abs_().neg_().add_(1).clamp_(min=0)
        features[:, -len(self.present) :] *= scalars.index_select(1, self.present)
        return torch.cat((scalars, features), 1)
