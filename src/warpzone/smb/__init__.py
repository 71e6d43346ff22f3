"""Super Mario Bros.: levels, actions, signals, environments, search.

Another game is a folder beside it. Knows no network, no training, no window and no
file format of recorded play.
"""
