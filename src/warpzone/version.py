"""The version of warpzone that is installed. A leaf."""

from importlib.metadata import version

VERSION = version("warpzone")
