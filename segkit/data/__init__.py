"""Training data: sources of samples, their division into parts, and batches for the model.

sources/       read samples from folders, COCO files, TensorFlow Datasets and generated shapes
parts.py       opens the parts "train", "validation" and "test" of a config's data
pixel_size.py  the physical size of pixels, by a setting or by the files
split.py       assigns samples to parts by a hash of the name
groups.py      the group of each sample, and what else stays in one part
batches/       decode, cache and augment samples, and group them into batches
convert.py     writes a data set as folders or as a TensorFlow data set
"""
