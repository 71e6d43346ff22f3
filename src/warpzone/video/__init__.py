"""Films of play: pictures put together, drawn over, side by side, and encoded.

Knows no window and no browser.
"""

from warpzone.extras import need

need("A film", films=("PIL",))
