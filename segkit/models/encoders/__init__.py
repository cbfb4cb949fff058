"""Encoders: functions `(x, settings) -> levels`, features from fine to coarse.

plain.py, residual.py   encoders of segkit
applications.py         networks of keras.applications
hub.py                  backbones of KerasHub
pretrained.py           pretrained RGB weights for images with any number of channels

`segkit.catalog.ENCODERS` lists all encoders.
"""
