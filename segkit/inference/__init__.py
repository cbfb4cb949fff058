"""From a run folder and images to masks in files.

predict.py         `predict`, which puts networks, images, outputs and machines together
predictor.py       `Predictor`, a run as a function of one image
load.py            opens runs and exports; export_choice.py chooses the fastest export
runtimes/          one file for each runtime
inputs.py          finds the images; images.py predicts them in batches or windows
reading.py         reads images, pages and slices of scans as the network takes them
scale.py           warns of images whose values have another range than the training images
resolution.py      images resampled to the resolution of the training, and a warning of others
tiles.py           windows that cover an image, and how they are blended
sliding_window.py  the mask of an image that is larger than a window; blend.py blends row by row
tta.py             flipped and rotated views; ensemble.py averages several runs
temperature.py     calibrated probabilities; uncertainty.py maps of uncertainty
decoding.py        from probabilities to masks; components.py finds objects
files.py           predicts files and notes failures; pipeline.py reads, predicts and writes them
outputs/           one file for each output format
large/             images larger than the memory
cluster.py         prediction on a Ray cluster
"""
