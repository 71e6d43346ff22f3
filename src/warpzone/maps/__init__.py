"""Levels as long pictures, with where episodes ended and the ways that they took.

Knows no run of training and no browser; serves nothing.
"""
