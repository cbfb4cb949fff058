"""Runtimes: a run as a function from images to probabilities.

Each is a file and a line in `segkit.catalog.RUNTIMES`: keras.py, onnx.py, litert.py, openvino.py.
images.py checks the images, damage.py reports a model that cannot be opened.
"""
