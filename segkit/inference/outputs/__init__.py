"""What prediction writes. A format is one file here, and a line in `segkit.catalog`.

prediction.py     `PredictedImage`, the input of every format, and `Output`, their base class
writer.py         writes all files of an image, or none
extra_outputs.py  what `segkit.predict` writes besides the masks, as its arguments
overlay_films.py  overlays of the frames of a film, joined to a film
masks.py          masks, and overlays of them on the images
probabilities.py  probabilities, and maps of uncertainty
geojson.py        objects as polygons
geopackage.py     objects as polygons on the map
geotiff.py        the mask as class ids on the map
qupath.py         objects as annotations for QuPath
yolo.py           objects as lines of polygons
labelme.py        objects as masks or polygons for labelme
labelstudio.py    tasks with predictions for Label Studio
rle.py            the pixels of each class as run lengths in one CSV file
coco.py           objects as run lengths in one file of all images
instances.py      objects as numbers in an image
nifti.py          masks of scans as NIfTI volumes
dicom_seg.py      masks of DICOM series as DICOM segmentations
volumes.py        collects the masks of slices for these two formats
ome_tiff.py       masks of stacks (T, Z) as OME-TIFF
parts.py          keeps the masks that make one file
objects.py        finds the objects that these formats write
shape_options.py  which objects are written, and how their polygons are thinned
object_polygons.py  the polygons of the objects of an image
object_layers.py  the pixels of the objects of each class
listing.py        lists and reads the files of single images that are merged into one file
summary.py        the table of all images
mask_counts.py    counts the pixels and objects of masks and of mask files
object_counts.py  counts the objects of a layer tile by tile
"""
