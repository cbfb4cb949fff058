"""The description of a data set: its problems, and the head that it needs.

inspect.py            `inspect`: the whole inspection
find_config.py        the config that reads the data, from a file or detected by mask_format/
fingerprint.py        the facts of each sample; intensities.py has the statistics of its values
problems.py           all problems, each a problem.py with a code
class_problems.py     problems of classes: missing, rare, unlabelled, on one side, tiny
stroke_problems.py    problems of sparse labels: no background, a canvas that is a class
copy_problems.py      problems of equal images; near_duplicates.py finds nearly equal ones
copies_together.py    puts copies into one part, where segkit itself divides the samples
group_problems.py     groups in two parts; proposals of groups from names and folders
pixel_size.py         the physical size of pixels, and files that do not state it
ranges.py             problems of pixel values: outliers, nodata, different scales
duplicate_files.py    equal image files, found without decoding
data_sets.py          what each of several data sets knows about the classes
agreement.py          how much several annotators agree
verdict.py            which head the masks need
summary.py            all facts together: the content of the JSON file
report.py             the inspection on the screen and as an HTML page
examples.py           images beside their masks, chosen so that every class is shown
training_check.py     the same checks before a training
unlabelled_check.py   the checks of images without masks (`train.unlabelled`)
input_statistics.py   the `input` section: depth, channels and statistics of the training images
"""
