"""Sources of samples: functions `(DataConfig, Task) -> Source` in `segkit.catalog.SOURCES`.

source.py             defines `Source`, `Sample` and `Subset`, and opens the source of a config

folder.py             images and masks in files
pairs.py              finds the masks of each image in folders or in a list (csv_list.py)
pair_pages.py         divides pairs into pages and planes
pair_names.py         rules for names of images, masks and parts
labelling_tools.py    recognises folders of labelling tools

labels.py             converts stored values to class ids or yes/no masks
mask_colours.py       converts colours to class ids or yes/no masks
palettes.py           reads and checks the palettes of mask files
mask_layers.py        combines one layer per class to a mask
mask_advice.py        advice in errors about mask values
coding.py             stores masks so that a config reads them back

coco.py               images with a COCO JSON file
coco_json.py          reads the entries of the file; coco_fields.py checks its fields
coco_segmentation.py  converts polygons and run lengths

labelme.py, labelstudio.py, cvat.py, via.py, yolo.py, qupath.py, rle.py, supervisely.py,
cityscapes.py         read the files of labelling tools, each one of a tool
roboflow.py           folders with COCO files of Roboflow
voc.py                folders of Pascal VOC
label_source.py       draws the shapes of all these tools, and checks sizes
label_areas.py        draws areas of slides
label_images.py       finds the images that label files name
label_meanings.py     finds the classes of labels
label_layers.py       combines drawn shapes to a mask
label_values.py       checks values in label files, and makes shapes of them
scans.py              slices of volumes and of DICOM series
scan_pairs.py         finds the masks of each volume
scan_masks.py         label volumes, DICOM segmentations and pictures as masks

video.py              frames of films with masks

tfds.py               prepared TensorFlow data sets
tfds_folder.py        finds the folder of a data set, or downloads it
tfds_records.py       reads records
tfds_labels.py        knows the classes of some data sets

data_sets.py          several data sets as one source
annotators.py         the masks of several annotators as soft labels
probabilities.py      masks that store the probability of each class
wrapped.py            the base of sources that change the masks of another source
partly_labelled.py    samples in which some classes were not annotated
points.py             points that grow to discs
labelled_area.py      samples of which only a part was labelled
box_bounds.py         boxes that only bound objects; coco_partial.py reads those of COCO files
vector.py             maps with the vector labels of vector_features.py

unlabelled.py         images of a folder without masks, for the consistency term
blocks.py             blocks of large images as samples of their own
shapes.py             generated discs, squares and triangles
"""
