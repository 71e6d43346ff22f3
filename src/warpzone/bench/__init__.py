"""How fast games run on this computer, beside what else is installed: `warpzone bench`."""
