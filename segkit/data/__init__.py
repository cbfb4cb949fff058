"""The data of a training: sources of samples, their division into parts, and batches for the model.

sources/     where samples come from: folders, COCO, TensorFlow Datasets, generated shapes
split.py     which samples train, validate and test, by a hash of their names
parts.py     the parts "train", "validation" and "test" of a config's data
batches/     decoded, augmented samples in batches
convert.py   a data set written as folders or as a TensorFlow data set
"""
