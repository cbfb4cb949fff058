"""Settings trained for equal times and compared on the same images.

compare.py     `compare`: trains, scores and writes the results
settings.py    lists the configs to compare, and checks that their scores are comparable
trainings.py   one process per training, in turn by seed
scoring.py     scores one run image by image
results.py     scores with intervals, and whether a difference is more than chance
report.py      the verdict in sentences, and the tables
plot.py        the plot of scores and differences
"""
