"""Run directories as a reader sees them, while they are written and afterwards.

Knows no network and no game; never writes into a run.
"""
