"""`python -m warpzone`."""

from warpzone.cli import main

if __name__ == "__main__":
    main()
