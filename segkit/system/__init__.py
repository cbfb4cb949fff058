"""The machine: memory, threads, devices, the start of Keras, and how work is reported.

terminal.py    text that must not control a terminal
progress.py      `Progress`: receives messages, warnings, counts and the status of a training
memory.py        how much memory is free, and how much this process takes
threads.py       work done ahead by threads, in order and with bounded memory
replicas.py      how a batch is shared by several devices and processes
keras_start.py   imports Keras without the messages of its backend
after_import.py  imports modules as soon as another one has been imported
after_import.py  imports modules as soon as another one has been imported
quiet.py         holds back what C++ libraries write to standard error
terminal.py      text from elsewhere that must not control a terminal
packages.py      imports the package of an extra, or names the extra that is missing
"""
