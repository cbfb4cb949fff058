"""The run folder, which is the only thing that training and prediction share.

folder.py        `Run`: the files of a run; creates, reopens and reads a run
checkpoint.py    the state of a training in one file
tuned.py         tuned.yaml: the settings that `segkit tune` chose
exports.py       export.json and the models in RUN/exports
environment.py   versions, machine and command that made a run
"""

from segkit.run.folder import Run

__all__ = ["Run"]
