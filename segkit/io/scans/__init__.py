"""Reads scans: volumes in NIfTI, NRRD and MetaImage files, and DICOM. A volume is read by slices.

volume.py         `Volume` and its `Grid`: what every reader of a volume returns
views.py          slices of a volume along an anatomical direction, and back
nifti.py          NIfTI, by nibabel
itk.py            NRRD and MetaImage, by SimpleITK
dicom.py          DICOM series and multi-frame files, by pydicom
dicom_headers.py  the headers of DICOM files that order the slices
dicom_pixels.py   the pixels of DICOM files as values
dicom_seg.py      DICOM segmentations as masks, by pydicom
finding.py        the volumes in a folder, and their names
slices.py         addresses of slices, and the volumes that are kept open
"""
