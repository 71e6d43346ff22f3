"""`python -P -m warpzone`: what the command `warpzone` does.

Without `-P` Python itself looks for modules in the current directory first, also for this one.
"""

from warpzone.cli import main

if __name__ == "__main__":
    main()
