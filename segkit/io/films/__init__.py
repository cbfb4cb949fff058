"""Reads the frames of films by ffmpeg, and writes films (extra `video`).

ffmpeg.py     runs the ffmpeg that imageio-ffmpeg brings
packets.py    the number of frames of a film and their times, from its packets
film.py       `Film`, whose frames are decoded in order
frames.py     addresses of frames, and the films that are kept open
writing.py    writes frames as an H.264 film
"""
