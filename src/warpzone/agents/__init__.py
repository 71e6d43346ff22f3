"""A trained agent: found, loaded, evaluated, explained; and those that come with warpzone.

Knows how agents were trained only as far as their files say; knows no window, no film and no
browser.
"""

from warpzone.extras import AGENT, need

need("An agent", train=AGENT)
