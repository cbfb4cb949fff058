"""Encoders: functions `(x, settings) -> levels`, features from fine to coarse, each a line in `segkit.catalog.ENCODERS`.

plain.py, residual.py   encoders of our own
applications.py         networks of keras.applications
hub.py                  backbones of KerasHub
pretrained.py           pretrained RGB weights for images with any number of channels
"""
