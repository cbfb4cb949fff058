"""Images larger than the memory: read, predicted and written in rows of windows.

files.py           separates large images, and predicts them one after the other
predict.py         predicts one large image row by row
glass.py           finds the glass of slides, which needs no prediction
qupath.py          writes the objects as GeoJSON for QuPath
masks.py           writes tiled TIFF masks band by band
memory_budget.py   how much memory may be used, and what fits into it
work_folder.py     finished rows on disk, from which a killed prediction goes on
"""
