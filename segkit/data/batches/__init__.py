"""Batches for the model, made by threads ahead of it.

training.py     the endless stream of training batches, in an order that follows from the seed
validation.py   the validation images as Keras takes them; windows.py cuts the large ones
cache.py        decoded samples kept in memory; disk_cache.py keeps them on disk
augment.py      random changes; patch.py finds where a patch lies and warps it
distances.py    signed distances to outlines, for the boundary loss
"""
