"""The run folder: the only thing that training and prediction share.

folder.py        `Run`: the files of a run, how a run is created, reopened and read
checkpoint.py    the state of a training in one file
tuned.py         tuned.yaml: what `segkit tune` chose
exports.py       export.json and the models in RUN/exports
environment.py   versions, machine and command that made a run
"""

from segkit.run.folder import Run

__all__ = ["Run"]
