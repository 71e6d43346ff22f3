"""Positions and speeds of a tile view in finer detail, for the first layer of a network.

A position that goes in as one number must be scaled so that its whole range fits; a pixel is then
too small a change for a network to time a jump by in reasonable time. Here such a number becomes a
row of piecewise-linear features (linear B-splines; "tile coding" with linear tiles, Sutton & Barto
2018, section 9.5.4), of which two are not 0 at a time, so that one layer can make any curve of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import warpzone._native as _native

OBJECTS = 4
"""Nearest ones that are seen so."""

# (scalar, its unit's inverse, first centre, last centre): see native/smb/tiles.h.
_MARIO = (
    (0, 16.0, 0, 15),  # px from the left edge of his tile
    (1, 16.0, 0, 15),  # px from the upper edge
    (3, 6.0, -6, 6),  # speed along x, 8/16 px a frame
    (4, 5.0, -5, 5),  # speed along y, px a frame
)
# (scalar of an object, its unit's inverse, first centre, last centre)
_OBJECT = (
    (1, 16.0, -4, 8),  # distance along x, 8 px
    (2, 8.0, -3, 3),  # distance along y, 16 px
)


class PiecewiseLinear(nn.Module):
    """Makes of the scalars of `tiles`, float32 [B, S], the same followed by features of some of
    them, [B, S + `size`].

    Features of an object that is not there are 0. Has no weights.
    """

    def __init__(self) -> None:
        super().__init__()
        rows: list[tuple[int, float, int, int]] = []  # column, scale, centre, who must be there
        for column, scale, low, high in _MARIO:
            rows += [(column, scale, centre, -1) for centre in range(low, high + 1)]
        for index in range(OBJECTS):
            first = _native.MARIO_SCALARS + index * _native.OBJECT_SCALARS
            for column, scale, low, high in _OBJECT:
                rows += [(first + column, scale, c, first) for c in range(low, high + 1)]
        columns, scales, centres, present = zip(*rows, strict=True)
        self.size = len(rows)
        # On the CPU also where a network is made without memory for its weights.
        for name, values in (
            ("columns", torch.tensor(columns, device="cpu")),
            ("scales", torch.tensor(scales, device="cpu")),
            ("centres", torch.tensor(centres, dtype=torch.float32, device="cpu")),
            ("present", torch.tensor([p for p in present if p >= 0], device="cpu")),
        ):
            self.register_buffer(name, values, persistent=False)

    columns: Tensor
    scales: Tensor
    centres: Tensor
    present: Tensor

    def forward(self, scalars: Tensor) -> Tensor:
        values = scalars.index_select(1, self.columns)
        features = (values * self.scales).sub_(self.centres).abs_().neg_().add_(1).clamp_(min=0)
        features[:, -len(self.present) :] *= scalars.index_select(1, self.present)
        return torch.cat((scalars, features), 1)
