"""Runs the command line by `python -m segkit COMMAND`."""

import sys

from segkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
