"""Encoders: (features (B, H, W, C), ModelConfig) -> a list of features, at full resolution first, halved at each step."""
