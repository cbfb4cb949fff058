"""Sources of samples. Each is a function `(DataConfig, Task) -> Source` and a line in `segkit.catalog.SOURCES`.

source.py         `Source`, `Sample` and `Subset`; opens the source that a config names
folder.py         images and masks in files; pairs.py finds which belong together, labels.py reads what masks store,
                  coding.py says how masks are to be stored so that they are read back
pair_names.py     how names of images and masks belong together; what lists and folders call the parts
mask_advice.py    what an error proposes for the values of a mask; labelling_tools.py recognises folders of such tools
blocks.py         regions of large images as samples of their own
coco.py           images with a COCO JSON file, which coco_json.py reads and checks
tfds.py           prepared TensorFlow data sets; tfds_records.py reads records, tfds_labels.py knows class names
shapes.py         generated discs, squares and triangles
"""
