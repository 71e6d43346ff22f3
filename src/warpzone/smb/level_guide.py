"""What makes each level hard: notes for people, not used by the game."""

from __future__ import annotations

GUIDE: dict[str, str] = {
    "1-1": "",
    "1-2": "lifts near the end; warp zone",
    "1-3": "moving lifts",
    "1-4": "fire bars, Bowser",
    "2-1": "sometimes back is the way on",
    "2-2": "swimming",
    "2-3": "flying fish",
    "2-4": "fire bars, lifts, Bowser",
    "3-1": "Hammer Bros.",
    "3-2": "crowds of Koopas",
    "3-3": "balance lifts",
    "3-4": "fire bars, Bowser",
    "4-1": "Lakitu",
    "4-2": "long; lifts; warp zones",
    "4-3": "balance lifts",
    "4-4": "wrong paths lead back",
    "5-1": "long; Bullet Bills",
    "5-2": "Hammer Bros.; a part under water",
    "5-3": "1-3 with Bullet Bills",
    "5-4": "2-4 with more fire bars",
    "6-1": "Lakitu",
    "6-2": "many pipes; a part under water",
    "6-3": "all kinds of lifts",
    "6-4": "1-4 with more fire bars",
    "7-1": "Bullet Bills, Hammer Bros.",
    "7-2": "2-2 with more enemies",
    "7-3": "2-3 with Koopas",
    "7-4": "wrong paths lead back",
    "8-1": "the longest; wide gaps",
    "8-2": "Lakitu, Bullet Bills, wide gaps",
    "8-3": "Hammer Bros., wide gaps",
    "8-4": "pipes to enter with Down; a part under water",
}
"""Level → note."""
