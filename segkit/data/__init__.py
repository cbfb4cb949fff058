"""Sources of samples, their split into parts, augmentation, and the batches that feed the model."""
