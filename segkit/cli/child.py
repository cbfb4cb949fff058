"""`python -m segkit.cli.child COMMAND ...`: the command line, in a process that ends with the one that started it.

Whoever starts it holds a pipe to its standard input open. When the pipe closes, by `kill -9` too, the work ends at once:
without this a training would go on alone, and slow down and overwrite the one that replaces it.
"""

import os
import sys
import threading

from segkit.cli.commands import main


def end_with_parent() -> None:
    while os.read(0, 1):  # nothing is ever sent; nothing is read once the other end is closed
        pass
    os._exit(130)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.exit(main())
