"""A run as one HTML file that holds everything it shows.

Must not know: the dashboard, a server, a network. Never writes into a run but the report itself.
"""

from warpzone.extras import AGENT, FILM, need

need("A report", train=AGENT, films=FILM)
