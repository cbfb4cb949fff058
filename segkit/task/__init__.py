"""What a pixel can be: the `Task`, from which head, loss, metrics, decoding and files follow.

task.py      `Task` and `VOID`: channels, activation, encoding of masks, decoding of probabilities
layers.py    one class of an encoded target or a decoded mask, whatever the kind of task
palette.py   colours of the classes
explain.py   the choice of the head in words
"""

from segkit.task.task import VOID, Task, values_of

__all__ = ["VOID", "Task", "values_of"]
