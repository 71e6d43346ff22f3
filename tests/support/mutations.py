"""JSON with parts of it exchanged, for tests of what reads files from anywhere."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    # Copies, for what is drawn is changed inside.
    | st.sampled_from([0, -1, 1, 2**31, 2**63, 1e308, "F16", "F64", "tiles", [0, 4], {}]).map(
        copy.deepcopy
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each part of what JSON can hold."""
    found = [path]
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, key))
    return found


def replaced(root: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Returns `root` with another value at a place."""
    if not place:
        return value
    holder = root
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return root
