"""`segkit compare`: settings trained in equal minutes, scored on the same images, and how much of a difference is chance."""
