"""Models for other runtimes. The function is `segkit.export`; a folder of that name would hide it.

export.py        `export`: convert, compare with Keras, accept or refuse
formats.py       formats, and the precisions of each
convert.py       writes the model of each format; portable.py rewrites it with operations that all runtimes have
quantizers.py    8-bit models; sensitivity.py chooses which layers stay in float32
parity.py        how far apart two models predict
"""
