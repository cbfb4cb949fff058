"""Output formats of prediction: one file each, and a line in `segkit.catalog`.

prediction.py      `PredictedImage`, the input of every format, and `Output`, which formats
implement writer.py          writes all files of an image, or none masks.py           masks and
overlays geojson.py, coco.py, instances.py   objects as polygons, run lengths or numbers objects.py,
polygons.py             find the objects and their outlines probabilities.py   probabilities and
uncertainty summary.py         the table of all images; mask_areas.py counts masks that exist
already listing.py         lists the files of one image each that are merged into one file
"""
