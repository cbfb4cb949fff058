"""From a run folder and images to masks in files.

predict.py       `predict`: images, networks, outputs and machine put together
predictor.py     `Predictor`: a run as a function of one image
load.py          which runtime opens a run; runtimes/ holds one file for each
inputs.py        which images are meant; images.py predicts them in batches or windows
scale.py         whether images have the scale of the training images
tiles.py         windows that cover an image, and how they are blended
sliding_window.py   the mask of an image that is larger than a window; blend.py blends row by row
tta.py           flipped and rotated views; ensemble.py averages several runs
temperature.py   calibrated probabilities; uncertainty.py measures doubt
decoding.py      from probabilities to masks; components.py finds objects
files.py         predicts and writes file by file; outputs/ holds the formats
large/           images larger than the memory
cluster.py       prediction on a Ray cluster
"""
