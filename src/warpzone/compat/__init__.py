"""Faces that users of other projects know, on warpzone's console: their code changes its imports.

Thin rooms, which nothing else imports; each knows no training, no agent and no file of a run. What
they cannot do alike is said in their docstrings.
"""
