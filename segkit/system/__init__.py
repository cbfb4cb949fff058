"""The machine: memory, threads, devices, the start of Keras, and reports of progress.

progress.py      `Progress`: receives messages, warnings, counts and the status of a training
memory.py        the free memory, and the memory of this process
threads.py       computes results ahead in threads, in order and with bounded memory
replicas.py      shares a batch among several devices and processes
keras_start.py   imports Keras without the messages of its backend
after_import.py  imports modules as soon as another one has been imported
quiet.py         hides what C++ libraries write to standard error
terminal.py      makes text safe for a terminal, and counts in words
packages.py      imports the package of an extra, or names the missing extra
"""
