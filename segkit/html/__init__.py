"""HTML pages: one file each, without links to other files.

page.py      fills templates; histograms and pictures of a page
templates/   the frame of a page, its styles for light and dark mode, tables and pictures
"""
