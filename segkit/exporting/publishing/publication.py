"""What a published package is made from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from segkit.config import RunConfig
from segkit.data.parts import open_parts
from segkit.errors import RunError
from segkit.exporting.export import export, middle
from segkit.inference.images import match_model_input
from segkit.run import Run
from segkit.run.exports import Exported, export_folders
from segkit.system.progress import Progress

MOST_SAMPLES = 50
"""Images that are tried as the test image of a package."""


class Publication:
    """A run with the facts that a package needs. The ONNX export is made when it is first used.

    Args:
        run: A finished run.
        authors: Names of the authors.
        license: Identifier of the license, such as "MIT"; None if it is not chosen yet.
        trust: Whether Python code that the run's data section names may be imported.
        progress: Receives what is done.
    """

    def __init__(
        self,
        run: Run,
        authors: tuple[str, ...] = (),
        license: str | None = None,
        trust: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.run = run
        self.authors = authors
        self.license = license
        self.trust = trust
        self.progress = progress or Progress()

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return self.run.path.resolve().name

    @cached_property
    def config(self) -> RunConfig:
        """The config of the run, with the settings that `segkit tune` chose."""
        return self.run.config(self.trust)

    @cached_property
    def exported(self) -> Exported:
        """The float32 export for ONNX Runtime; it is made if the run has none."""
        for folder in export_folders(self.run.path):
            try:
                found = Exported.read(folder)
            except RunError:
                continue
            record = found.record
            is_float = record.format == "onnx" and record.precision == "float32"
            if is_float and found.is_of(self.run.model):
                found.check()
                return found
        return export(self.run.path, "onnx", trust=self.trust, progress=self.progress)

    def sample_images(self, height: int, width: int) -> Iterator[np.ndarray]:
        """Yield the middle (height, width, C) of images that did not train the network.

        Training images are taken if there are no others. Small images are padded by reflection.

        Raises:
            DataError: If the run's data cannot be opened.
        """
        parts = open_parts(self.run.config(self.trust))
        part = parts["validation"]
        if not len(part):
            part = parts["train"]
        for name in part.names[:MOST_SAMPLES]:
            image = match_model_input(self.config, part.read(name).image, name)
            yield middle(image, height, width)

    def card(self) -> str:
        """Return the model card of the run; a short one if an older version made the run."""
        if self.run.card.is_file():
            return self.run.card.read_text(encoding="utf-8")
        header = "library_name: keras\npipeline_tag: image-segmentation\nlicense: other\n"
        return f"---\n{header}---\n\n# {self.name}\n\n{self.config.task.explain()}\n"
