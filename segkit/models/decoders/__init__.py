"""Decoders: functions `(levels, settings) -> features`, each in a file of its name.

`levels` are the encoder's features, finest first, each half the size of the one before. The result
has the size of the first level. `segkit.catalog.DECODERS` lists all decoders.
"""
