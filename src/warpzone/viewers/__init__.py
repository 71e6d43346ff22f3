"""What a person plays with and looks at: windows, terminals, notebooks, gamepads.

Knows no training and no browser.
"""
