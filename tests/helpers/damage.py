"""Files with damaged bytes: what a broken disk, a copy that ended early, or an editor leaves."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = (
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b"9" * 400,
    b"[]",
    b"{}",
    b'"',
    b"\n",
    b",",
    b"\0",
    b"\xff",
    b"true",
    b"- a\n",
    b"\t",
)
"""Pieces that mean something in JSON, YAML or CSV."""


@st.composite
def damaged(draw: st.DrawFn, *valid: bytes) -> bytes:
    """Draw bytes near one of `valid`: cut off, with bytes changed, pieces doubled, removed or put
    in; or anything.
    """
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=100))
    content = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(1, 3))):
        content = draw(_changed(content))
    return content


@st.composite
def _changed(draw: st.DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    end = min(len(content), start + draw(st.integers(0, 12)))
    before = content[:start]
    piece = content[start:end]
    after = content[end:]
    kind = draw(st.sampled_from(("cut", "replace", "remove", "double", "insert", "flip")))
    if kind == "cut":
        return before
    if kind == "replace":
        return before + draw(st.sampled_from(WORDS) | st.binary(max_size=8)) + after
    if kind == "remove":
        return before + after
    if kind == "double":
        return before + piece + piece + after
    if kind == "insert":
        return before + draw(st.sampled_from(WORDS)) + piece + after
    flipped = bytes(byte ^ draw(st.sampled_from((1, 32, 128, 255))) for byte in piece[:1])
    return before + flipped + content[start + len(flipped) :]
