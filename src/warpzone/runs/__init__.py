"""Run directories as a reader sees them, while they are written and afterwards.

Must not know: PyTorch, the game, how a run is trained, and who shows it. Never writes into a run,
and whatever lies in a run directory, only that run is the worse for it.
"""
