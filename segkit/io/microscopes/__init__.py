"""Reads the files of microscopes: CZI (Zeiss), LIF (Leica) and ND2 (Nikon), extra `microscopy`.

suffixes.py   the suffixes of the files
open_file.py  `MicroscopeFile`, which each format implements
czi.py        CZI through pylibCZIrw, the library of Zeiss
czi_directory.py checks the directory of a CZI file
lif.py        LIF through liffile
nd2.py        ND2 through nd2
reading.py    opens a file of any of these formats, and reads its planes
windows.py    reading windows of a plane
"""
