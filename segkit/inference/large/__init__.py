"""Images too large for the memory: read, predicted and written in rows of windows.

files.py           which images are large, and their prediction one after the other
predict.py         one large image, row by row
masks.py           tiled TIFF masks written band by band
memory_budget.py   what fits into the memory
work_folder.py     finished rows on disk, to go on from after a kill
"""
