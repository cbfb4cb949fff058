"""A damaged TensorFlow data set gives samples, or an error that names the folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from segkit.data.sources.tfds_records import record_offsets
from segkit.errors import SegkitError
from tests.helpers.damage import damaged
from tests.helpers.prepared_tfds import ORGANS, PICTURES, drawn, opened, write

EXAMPLES = int(os.environ.get("SEGKIT_EXAMPLES", "60"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("tfds") / "tiny", PICTURES, [drawn(number) for number in range(3)]
    )


@pytest.mark.one_backend
@pytest.mark.parametrize("ending", ["*.tfrecord*", "dataset_info.json", "features.json"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_samples_or_an_error_with_a_code(
    prepared: Path, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("damaged") / "tiny"))
    (path,) = folder.glob(ending)

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(path.read_bytes()))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            source = opened(folder, ORGANS)
            for name in source.names[:3]:
                source.read(name)
        except SegkitError as problem:
            assert str(folder) in str(problem) or "data." in str(problem)  # noqa: PT017

    check()


@pytest.mark.one_backend
def test_no_record_of_a_damaged_file_ends_beyond_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    for length in (2**63, 2**64 - 1, 2**40, 5):
        path.write_bytes(length.to_bytes(8, "little") + bytes(16))
        for start, size in record_offsets(path):
            assert start + size <= path.stat().st_size
