"""How masks are stored and what their values mean, detected from the files alone.

detect.py     `detect_format`: from files to the settings that read them
guess.py      the result: settings, task, and choices that the user should check
label_places.py  recognises the files of labelling tools
label_tools.py  the classes of the shapes in these files
class_folders.py  the folders of classes in a folder of masks
contents.py   the kind and the values of each mask file
values.py     the meaning of the values, from how often each occurs
instances.py  whether numbers are classes or single objects of one class
scans.py      volumes, DICOM series and their masks
films.py      films and masks of their frames
palettes.py   whether the indices or the colours of a palette are the classes
file_tags.py  tags of files that change the meaning of their values
other_values.py  the share of pixels whose value no entry names
strokes.py    strokes of a paint program, with pixels that nobody painted
vector.py     the layer and the column of a vector file with the labels of maps
folders.py    the content of the mask files of a config's data
"""
