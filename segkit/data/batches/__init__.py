"""Batches for the model, made by threads while the model trains.

training.py     the endless stream of training batches, in an order that follows from the seed
shares.py       the order of an epoch in which each of several data sets has a share
views.py        the batches of the consistency term, with two views of each image
validation.py   the validation images as a Keras data set
windows.py      cuts large validation images into windows, and summarises their masks
cache.py        decoded samples in memory; disk_cache.py stores them on disk
augment.py      random changes of samples; patch.py samples the patch and warps it
distances.py    signed distances to outlines, for the boundary loss
"""
