"""What the files of labelling tools contain, for `segkit convert` and for predictions.

labelme.py      a JSON file per image, with masks or polygons
labelstudio.py  tasks with brush strokes
rle.py          rows of a CSV file of run lengths
yolo.py         lines of polygons
unlabelled.py   pixels without a label
"""
