"""Decoders: (the encoder's features, ModelConfig) -> features (B, H, W, C) at the resolution of the finest of them.

The encoder's features come finest first, each half the height and width of the one before, two levels or more, of any
channels. Decoders have widths of their own, by the settings' `width` and `widest`.
"""
