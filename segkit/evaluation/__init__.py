"""Scores, calibration, and the choice of thresholds.

evaluate.py           `evaluate`: the scores of a run on images with known masks
counts.py             pixel counts, and the scores that follow from them
bootstrap.py          confidence intervals of scores
measurements.py       what is kept of each image
open_pixels.py        pixels whose truth is open, and the bounds of Dice that follow
parents.py            scores of groups of classes
summary.py            the report of all scores, as in scores.json
pooling.py            the images of all folds of a cross-validation together
confusion.py          which classes are taken for which others
ceiling.py            the highest score that can be expected
image_scores.py       scores of single images, and scores.csv
intervals.py          means of image scores with intervals over groups
surfaces.py           distances between outlines of true and predicted masks
error_causes.py       the causes of wrong pixels
image_facts.py        which properties of images go with low scores
calibration.py        calibration scores of probabilities, and the temperature that improves them
probability_curves.py  reliability of probabilities; precision and recall over thresholds
thresholds.py         thresholds from histograms of probabilities
tune.py               `tune`: chooses how a run decodes its probabilities
tuning.py             the order of the choices; with tuning_statistics.py, tuning_rules.py,
                      tuning_intervals.py and tuning_warnings.py
tuning_tables.py      what was chosen, as tables on the screen
tables.py             results as tables on the screen
report_tables.py      intervals, worst images and losses as tables on the screen
"""
