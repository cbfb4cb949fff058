"""Decoders: functions `(levels, settings) -> features`, each in a file of its name and a line in `segkit.catalog.DECODERS`.

`levels` are the encoder's features, finest first, each half the size of the one before. The result has the size of the
first. unet.py, unetplusplus.py, attention_unet.py, fpn.py, linknet.py, deeplabv3plus.py.
"""
