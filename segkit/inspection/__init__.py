"""What a data set is, what is wrong with it, and which head it needs.

inspect.py            `inspect`: the whole inspection, and its JSON
find_config.py        the config that reads the data, from a file or found out by mask_format/
fingerprint.py        what is kept of each sample; intensities.py counts its grey levels
problems.py           errors and warnings, each a problem.py with a code; ranges.py finds odd values of pixels
near_duplicates.py    images that are nearly the same; duplicate_files.py finds equal files without decoding
verdict.py            which head the masks need
training_check.py     the same checks before a training; input_statistics.py measures what scaling needs
report.py             an inspection on the screen and as a page
"""
