"""Chooses a config that trains a data set on this machine.

plan.py             `plan`
rules.py            settings that follow from the data
network_rules.py    those of them that belong to patches and network
reading_reasons.py  the reasons for the settings by which the files are read
budget.py           settings that follow from the machine and the time
step_time.py        measures training steps
choices.py          `Choice`, `Plan` and `Machine`
yaml_text.py        writes the config as YAML with the reasons as comments
"""
