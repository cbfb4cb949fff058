"""What a pixel can be: the `Task`, from which head, loss, metrics, decoding and files follow.

task.py      `Task`: settings, and everything that follows from them
encoding.py  encoding of masks, decoding of probabilities, and `VOID`
defaults.py  settings of a task that follow from others
checks.py    checks of a task's settings
sets.py      sets of classes that a pixel can still be
soft.py      soft targets: a probability per class and pixel
meanings.py  descriptions such as "not tumour" as mask values
layers.py    classes and planes of an encoded target or a decoded mask, for every kind of task
palette.py   colours of the classes
weights.py   weights of the classes
as_task.py   a task from a dictionary
readable.py  errors of pydantic as errors that a user can read
hints.py     parts of messages about wrong values in a mask
html.py      a task as a table for notebooks
explain.py   the choice of the head in words
"""

from segkit.task.as_task import as_task
from segkit.task.meanings import meant, value_of, with_sets
from segkit.task.task import VOID, YES_NO, Task, values_of

__all__ = ["VOID", "YES_NO", "Task", "as_task", "meant", "value_of", "values_of", "with_sets"]
