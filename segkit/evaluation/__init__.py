"""Scores, calibration, and the choice of thresholds.

evaluate.py      `evaluate`: the scores of a run on images with known masks
counts.py        pixel counts, and the scores that follow from them
bootstrap.py     confidence intervals over images
calibration.py   how far probabilities can be trusted
tune.py          `tune`: chooses how a run decodes; tuning.py makes the choice
thresholds.py    thresholds from histograms of probabilities
tables.py        results as tables on the screen
"""
