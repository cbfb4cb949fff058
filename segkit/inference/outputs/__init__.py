"""What prediction writes: one file for each format, and a line in `segkit.catalog.OUTPUTS` or `PROBABILITIES`.

prediction.py      `Answer`, the prediction of one image, and `Output`, what a format implements
writer.py          writes all files of an image, or none
masks.py           masks and overlays
geojson.py, coco.py, instances.py   objects as polygons, run lengths or numbers; objects.py and polygons.py find them
probabilities.py   probabilities and uncertainty
summary.py         the table of all images; listing.py merges what several runs wrote
"""
