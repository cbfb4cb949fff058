"""Decoders: (the encoder's list of features, ModelConfig) -> features (B, H, W, C) at full resolution."""
