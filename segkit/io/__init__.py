"""Reads images and masks as they are stored, and writes files complete or not at all.

atomic.py         temporary names, renaming, and the files of killed processes
failures.py       the description of a failed read or write
files.py          reading files, but not pipes and devices; making folders
folders.py        folders that are written complete or not at all
json_files.py     reading JSON that segkit wrote
yaml_text.py      reading YAML from untrusted files
locks.py          lock files: one process at a time works on a file or folder
names.py          names as parts of a path, and in a table
unicode_names.py  names with accents in different encodings
image_files.py    the image files in a folder, and the skipped files
images.py         reading and writing images
masks.py          reading and writing masks; mask_alpha.py decides what transparent pixels are
coding.py         values or colours of the classes in mask files
coding_record.py  the file that describes the coding of a folder of masks
codecs.py         decoding by Pillow
pictures.py       the formats that Pillow may open
png.py            decoding usual PNG files faster
metadata.py       PNG and JPEG without broken metadata
tiff.py           reading a TIFF as its tags say
tiff_cover.py     the mask of a TIFF that says where it has data
tiff_series.py    the image that is read of a TIFF of several
tiff_stacks.py    reading one position of a stack in a TIFF
tiff_windows.py   reading windows of a TIFF without the rest
windowed.py       an image that is read by windows, in any format
tiff_files.py     writing TIFF
bands.py          choosing bands of an image
rasters.py        reading JPEG 2000 and VRT through rasterio
raster_windows.py reading windows of them
vrt.py            the files that a VRT names
vectors.py        reading vector files, and drawing them on the grid of an image
colour_spaces.py  CMYK, YCbCr and CIELAB as RGB
pages.py          the pages of a file: which are read, and their names
planes.py         the planes of files with further axes (T, Z, C)
plane_addresses.py the addresses and names of planes
ome_zarr.py       reading OME-Zarr
ome_zarr_windows.py reading windows of OME-Zarr
stack_files.py    reading OME-Zarr and the files of microscopes
slides.py         the levels of whole slides
slide_addresses.py the addresses of levels
slide_windows.py  reading windows of a level
pixels.py         values, and pixels without data
turning.py        turning pictures upright
lossless.py       whether a compression changed the pixels
geometry.py       the physical size and place of an image's pixels
physical_size.py  the physical size and place that a file states
georeference.py   where the pixels of a GeoTIFF lie on the map
films/            frames of films, and writing films
microscopes/      CZI, LIF and ND2, the files of microscopes
scans/            volumes in NIfTI, NRRD, MetaImage and DICOM, by slices
nodata.py         the nodata value of a TIFF
overlay.py        masks drawn over images
notebook.py       masks shown in notebooks
"""
