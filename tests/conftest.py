"""Shared by all tests: Hypothesis draws the same examples in every run, and never stops a test for
being slow.

TensorFlow computes as `segkit.system.keras_start.load_keras` has it compute for users.
"""

from __future__ import annotations

from hypothesis import settings

from segkit.system.keras_start import prefer_onednn

prefer_onednn()

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("ci")
