"""Files: images and masks are read as they are stored, and written whole or not at all.

atomic.py         temporary names, renaming, and what killed processes left behind
locks.py          lock files, so that only one process works on a file or folder
files.py          what is opened is a file; folders that are made
names.py          names from elsewhere as parts of a path, on a terminal, in a table
image_files.py    the image files in a folder, and what else is there
images.py         reading and writing images
masks.py          reading and writing masks
coding.py         which values or colours stand for the classes in mask files; coding_record.py writes it down
codecs.py         decoding by Pillow and tifffile; pictures.py names the formats, png.py decodes plain PNG faster
tiff_windows.py   any window of a TIFF without reading the rest
tiff_files.py     writing TIFF
georeference.py   where the pixels of a GeoTIFF lie on the map
nodata.py         which pixels of a TIFF hold no data
overlay.py        masks drawn over images
"""
