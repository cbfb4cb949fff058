"""Settings trained for equal times and compared on the same images.

compare.py     `compare`: trains, scores and writes the results
settings.py    which configs are compared, and that their scores are comparable
trainings.py   one process for each training, in turn by seed
scoring.py     one run scored image by image
results.py     scores with intervals, and whether a difference is more than chance
report.py      the table and the verdict in words; plot.py draws them
"""
