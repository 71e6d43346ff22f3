"""Recorded play: episodes as files, played again, as FM2 movies, as demonstrations.

Knows no network, no training and no window.
"""
