"""How masks are stored and what their values mean, found out from the files alone.

detect.py     from files to the settings that read them
contents.py   the kind and the values of each mask file
values.py     what the values mean, from how often each occurs
instances.py  whether numbers are classes or single objects of one class
palettes.py   whether indices of a palette or their colours say what a pixel is
said_by_files.py  what is decided by the files' own words and should be known
folders.py    what the mask files of a config's data hold
"""
