"""Recorded play: the files of episodes (`format`), how one ended (`outcome`), playing them again
(`replay`), recording them (`play_recorder`), FM2 movies (`fm2`), and demonstrations of levels.

Knows no network, no training and no window.
"""
