"""Train a network: python train.py CONFIG [--run DIR] [--set a.b=c] [--resume]."""

import sys

from segkit.cli import main

if __name__ == "__main__":
    sys.exit(main(command="train"))
