"""Files of labelling tools that `segkit convert` writes. A format is one file here.

writer.py       `Writer`, the base class of all formats, and the objects of a mask
coco.py         COCO: objects as run lengths
labelme.py      labelme: objects as masks, one JSON file per image
labelstudio.py  Label Studio: brush strokes, tasks to import
rle.py          a CSV file of run lengths, as in competitions of Kaggle
yolo.py         YOLO: polygons, one text file per image
"""
