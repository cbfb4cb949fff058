"""Decoders: (the encoder's list of features, ModelConfig) -> features (B, H, W, C) of the size of the first."""
