"""The report of a run: one HTML page with scores, curves, pictures and settings.

report.py           `report`: scores a run and writes its page; `write_report` after a training
album.py            chooses the images that the page shows, while they are scored
drawings.py         draws an image, its masks and its errors for the page
figures.py          curves as SVG
learning_curves.py  curves of losses, scores and learning rate over the epochs
content.py          what the template shows
loss_bars.py        losses of Dice by cause
sentences.py        the verdict, and how to reproduce the run
templates/          the page, its styles and its script
"""
