"""Encoders: (features (B, H, W, C), ModelConfig) -> a list of features, the finest first, halved at each step."""
