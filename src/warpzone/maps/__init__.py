"""Levels as long pictures, with where a run's episodes ended and traces of those it kept.

Holds what draws them in a page, too (`static/`), for whoever writes one. Must not know: how a run
is trained, a server, and the pages that show a map.
"""

from pathlib import Path

from warpzone.extras import need

need("A level as a picture", films=("PIL",))

STATIC = Path(__file__).parent / "static"
"""The scripts and styles that draw a map in a page."""
