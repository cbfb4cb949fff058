"""Predict masks: python predict.py RUN IMAGE_OR_FOLDER... --out DIR [--overlay] "
"[--probabilities].
"""

import sys

from segkit.cli import main

if __name__ == "__main__":
    sys.exit(main(command="predict"))
