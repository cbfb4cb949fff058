"""Draw the diagrams of docs/explanation/house.md: `python docs/images/draw_diagrams.py`."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

WIDTH = 500
BOX = 58
GAP = 40
MARGIN = 20
STYLE = """
  .card { fill: #ffffff; } .box { fill: #e6f4f1; stroke: #00796b; }
  text { font-family: system-ui, sans-serif; font-size: 14px; fill: #1c2b29; }
  .title { font-weight: 600; font-size: 15px; } .path { font-family: monospace; font-size: 12.5px; }
  .data { font-size: 13px; fill: #455a64; } .arrow { stroke: #607d8b; stroke-width: 1.5; }
  .head { fill: #607d8b; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #1e2129; } .box { fill: #1d3b38; stroke: #4db6ac; } text { fill: #e4ecec; }
    .data { fill: #b0bec5; } .arrow { stroke: #90a4ae; } .head { fill: #90a4ae; }
  }
"""


class Step(NamedTuple):
    """A box: what happens, in which file, and a line more; and what goes to the next step."""

    title: str
    path: str
    line: str
    data: str = ""


BATCH = [
    Step(
        "Config",
        "segkit/config/",
        "All settings are checked before Keras is imported.",
        "RunConfig",
    ),
    Step(
        "Source",
        "segkit/data/sources/",
        "Reads an image and its mask, and turns values into classes.",
        "image (H, W, C); mask uint8",
    ),
    Step(
        "Parts",
        "segkit/data/parts.py",
        "Training, validation and test: by name, list or folder.",
        "the training part",
    ),
    Step(
        "Samples",
        "segkit/data/batches/cache.py",
        "Decoded and encoded once, cached in memory or on disk.",
        "image as stored; target uint8, VOID = 255",
    ),
    Step(
        "Patches",
        "segkit/data/batches/augment.py",
        "Turn, scale, flip and crop are one warp; the seed decides.",
        "images (B, h, w, C); targets (B, h, w, ...) uint8",
    ),
    Step(
        "Model",
        "segkit/models/build.py",
        "Scales the values itself; encoder, decoder, head.",
        "logits (B, h, w, classes), float32",
    ),
    Step(
        "Loss and metrics",
        "segkit/losses/",
        "One value per image; VOID pixels do not count.",
        "gradients; pixel counts",
    ),
    Step(
        "Step",
        "segkit/training/fit.py",
        "Keras' fit; callbacks for time, checkpoints, best epoch.",
        "weights, scores, pictures",
    ),
    Step("Run folder", "segkit/run/folder.py", "All that training and prediction share."),
]
PREDICTION = [
    Step(
        "Run folder",
        "segkit/run/folder.py",
        "Config, model, exports, and what tune chose.",
        "RunConfig, model or export",
    ),
    Step(
        "Runtime",
        "segkit/inference/load.py",
        "Keras, ONNX Runtime, LiteRT or OpenVINO.",
        "function: images (B, H, W, C) to probabilities",
    ),
    Step(
        "Views and runs",
        "segkit/inference/tta.py",
        "Optional: averages mirrored views and several runs.",
        "the same kind of function",
    ),
    Step(
        "Windows",
        "segkit/inference/tiles.py",
        "Cuts a large image into windows and blends them.",
        "probabilities (H, W, classes), float32",
    ),
    Step(
        "Decoding",
        "segkit/inference/decoding.py",
        "Temperature, threshold or highest class, rules for objects.",
        "mask (H, W) or (H, W, classes), uint8",
    ),
    Step(
        "Outputs",
        "segkit/inference/outputs/",
        "Masks as in the data set, polygons, COCO, tables.",
        "hidden files, renamed when all are written",
    ),
    Step(
        "Folder of masks",
        "segkit/inference/files.py",
        "A failed image is listed; the others are predicted.",
    ),
]
DIAGRAMS = {"batch.svg": BATCH, "prediction.svg": PREDICTION}


def draw(steps: list[Step], title: str) -> str:
    """Return the steps as an SVG picture, one below the other, for light and dark screens."""
    height = 2 * MARGIN + len(steps) * BOX + (len(steps) - 1) * GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="card" width="{WIDTH}" height="{height}" rx="8"/>',
    ]
    for i, step in enumerate(steps):
        top = MARGIN + i * (BOX + GAP)
        parts += _box(step, top)
        if step.data:
            parts += _arrow(step.data, top + BOX)
    return "\n".join([*parts, "</svg>", ""])


def _box(step: Step, top: int) -> list[str]:
    right = WIDTH - MARGIN - 14
    return [
        f'<rect class="box" x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" '
        f'height="{BOX}" rx="6"/>',
        f'<text class="title" x="{MARGIN + 14}" y="{top + 23}">{escape(step.title)}</text>',
        f'<text class="path" x="{right}" y="{top + 23}" '
        f'text-anchor="end">{escape(step.path)}</text>',
        f'<text x="{MARGIN + 14}" y="{top + 45}">{escape(step.line)}</text>',
    ]


def _arrow(data: str, top: int) -> list[str]:
    middle = 60
    end = top + GAP - 2
    return [
        f'<line class="arrow" x1="{middle}" y1="{top + 3}" x2="{middle}" y2="{end - 7}"/>',
        f'<path class="head" d="M{middle - 5} {end - 8} L{middle + 5} {end - 8} '
        f'L{middle} {end} Z"/>',
        f'<text class="data" x="{middle + 18}" y="{top + 25}">{escape(data)}</text>',
    ]


def main() -> None:
    """Write the pictures beside this file."""
    titles = {"batch.svg": "The way of a batch", "prediction.svg": "The way of a prediction"}
    for name, steps in DIAGRAMS.items():
        path = Path(__file__).parent / name
        path.write_text(draw(steps, titles[name]), encoding="utf-8")


if __name__ == "__main__":
    main()
