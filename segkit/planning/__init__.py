"""From a data set to a config that trains it on this machine.

plan.py        `plan`
rules.py       what follows from the data
budget.py      what follows from the machine and the time; step_time.py times training steps
choices.py     `Plan` and `Machine`
yaml_text.py   the config as YAML with the reasons as comments
"""
