"""Shared by all tests: Hypothesis draws the same examples in every run, and never stops a test for being slow."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("ci")
