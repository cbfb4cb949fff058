"""Runtimes: a trained run as a function from images to probabilities."""
