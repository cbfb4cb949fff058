"""`python -m segkit.cli.child COMMAND ...`: runs a command in a process that ends with its parent.

The parent holds a pipe to the standard input of this process open. When the parent ends, even by
`kill -9`, the pipe closes, and this process ends at once. Otherwise a training would go on alone,
and it would slow down and overwrite the training that replaces it.
"""

import os
import sys
import threading

from segkit.cli.commands import main


def end_with_parent() -> None:
    """Wait until standard input closes, and end this process with exit status 130."""
    while os.read(0, 1):  # returns nothing once the pipe is closed; the parent never writes
        pass
    os._exit(130)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.exit(main())
