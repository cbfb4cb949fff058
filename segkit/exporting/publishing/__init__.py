"""Packages of a run for other programs and for model hubs.

publication.py   what a package is made from: run, ONNX export, sample image, authors
bioimageio.py    a model of the BioImage Model Zoo
deepness.py      an ONNX file for the QGIS plugin Deepness
hub.py           a folder for a model hub, and its download
"""
