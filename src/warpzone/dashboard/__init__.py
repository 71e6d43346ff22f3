"""Runs, games and maps in a browser, served on this machine.

Answers, and leaves it to `runs`, `maps` and `episodes` to read and compute. Must not know: how a
run is trained. Never writes into a run; nothing but the command line imports it.
"""

from warpzone.extras import DASHBOARD, need

need("The dashboard", dashboard=DASHBOARD)
