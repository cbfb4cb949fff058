"""Training data: sources of samples, their division into parts, and batches for the model.

sources/       read samples from folders, files of labelling tools, and TensorFlow Datasets
parts.py       opens the parts "train", "validation" and "test" of a config's data
pixel_size.py  the physical size of pixels, by a setting or by the files
split.py       assigns samples to parts by a hash of the name
groups.py      the group of each sample, and what else stays in one part
batches/       decode, cache and augment samples, and group them into batches
convert.py     writes a data set in another format
writers/       one file per format of labelling tools
label_formats/  what these files contain, also those of predictions

rasterise.py    draws polygons and other shapes as pixels
polygons.py     finds the polygons of a mask
hole_cuts.py    joins the holes of a polygon to its outline
run_lengths.py  run lengths of COCO, CVAT and Kaggle
rle_pack.py     run lengths of Label Studio
"""
