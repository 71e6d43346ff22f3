"""How fast games run on this computer, beside what else is installed: `warpzone bench`.

Knows no agent, no training and no file of a run; other emulators it only starts in processes of
their own.
"""
