"""Models for other runtimes. The function is `segkit.export`; a folder of that name would hide it.

export.py        `export`: convert, compare with Keras, accept or refuse
formats.py       the formats, and the precisions of each
convert.py       writes the model of each format
portable.py      rewrites a network with operations that all runtimes have
quantizers.py    write 8-bit models
sensitivity.py   chooses which layers of an 8-bit model stay in float32
parity.py        how far apart the predictions of two models are
publish.py       `publish`: a package for another program or a model hub
publishing/      what each package holds
"""
