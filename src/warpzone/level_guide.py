"""What the 32 levels are like: a table for people, not used by the game."""

from __future__ import annotations

OVERGROUND, UNDERGROUND, WATER, CASTLE = "overground", "underground", "water", "castle"

GUIDE: dict[str, tuple[str, str]] = {
    "1-1": (OVERGROUND, ""),
    "1-2": (UNDERGROUND, "lifts near the end; warp zone"),
    "1-3": (OVERGROUND, "treetops, moving lifts"),
    "1-4": (CASTLE, "fire bars, Bowser"),
    "2-1": (OVERGROUND, "sometimes back is the way on"),
    "2-2": (WATER, "swimming"),
    "2-3": (OVERGROUND, "bridges, flying fish"),
    "2-4": (CASTLE, "fire bars, lifts, Bowser"),
    "3-1": (OVERGROUND, "Hammer Bros."),
    "3-2": (OVERGROUND, "crowds of Koopas"),
    "3-3": (OVERGROUND, "treetops, balance lifts"),
    "3-4": (CASTLE, "fire bars, Bowser"),
    "4-1": (OVERGROUND, "Lakitu"),
    "4-2": (UNDERGROUND, "long; lifts; warp zones"),
    "4-3": (OVERGROUND, "mushrooms, balance lifts"),
    "4-4": (CASTLE, "maze: wrong paths lead back"),
    "5-1": (OVERGROUND, "long; Bullet Bills"),
    "5-2": (OVERGROUND, "Hammer Bros.; a part under water"),
    "5-3": (OVERGROUND, "1-3 with Bullet Bills"),
    "5-4": (CASTLE, "2-4 with more fire bars"),
    "6-1": (OVERGROUND, "Lakitu"),
    "6-2": (OVERGROUND, "many pipes; a part under water"),
    "6-3": (OVERGROUND, "treetops, all kinds of lifts"),
    "6-4": (CASTLE, "1-4 with more fire bars"),
    "7-1": (OVERGROUND, "Bullet Bills, Hammer Bros."),
    "7-2": (WATER, "2-2 with more enemies"),
    "7-3": (OVERGROUND, "2-3 with Koopas"),
    "7-4": (CASTLE, "maze: wrong paths lead back"),
    "8-1": (OVERGROUND, "the longest; wide gaps"),
    "8-2": (OVERGROUND, "Lakitu, Bullet Bills, wide gaps"),
    "8-3": (OVERGROUND, "Hammer Bros., wide gaps"),
    "8-4": (CASTLE, "maze of pipes to enter with Down; a part under water"),
}
"""Level → (kind of its main area, what makes it hard)."""
