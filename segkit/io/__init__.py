"""Files: images and masks are read as they are stored, and written whole or not at all.

atomic.py         temporary names, renaming, and what killed processes left behind
failures.py       what a failed reading or writing means, in a sentence
folders.py        folders that are there whole or not at all
json_files.py     reading JSON that segkit wrote
locks.py         lock files: one process at a time works on a file or folder
files.py          what is opened is a file; folders that are made
names.py          names from elsewhere as parts of a path, on a terminal, in a table
image_files.py    the image files in a folder, and what else is there
images.py         reading and writing images
masks.py          reading and writing masks
coding.py         which values or colours stand for the classes in mask files; coding_record.py
writes it down codecs.py         decoding by Pillow; pictures.py names the formats, png.py decodes
plain PNG faster metadata.py       PNG and JPEG without what is broken beside their pixels
tiff.py           TIFF as its tags say; colour_spaces.py makes RGB of CMYK, YCbCr and CIELAB
tiff_windows.py   any window of a TIFF without reading the rest
tiff_files.py     writing TIFF
pages.py          files of several pages: which are read, and how a page is named
pixels.py         values, and where a file holds none
turning.py        pictures turned upright
lossless.py       whether a compression changed the pixels
unicode_names.py  names that look alike
georeference.py   where the pixels of a GeoTIFF lie on the map; nodata.py says which of them hold no
data overlay.py        masks drawn over images; notebook.py shows masks in notebooks
"""
