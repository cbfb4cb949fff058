"""Maps of how unsure a prediction is."""

from __future__ import annotations

import numpy as np

from segkit.config import RunConfig
from segkit.inference.temperature import entropy, tempered


def uncertainty(config: RunConfig, answer: np.ndarray) -> np.ndarray:
    """Return how unsure an answer is, (H, W, 1 or 2) float32 from 0 (sure) to 1 (all answers equally probable).

    First the entropy of the probabilities; second, where the answer is the mean of several views and `views.mean_of` added
    the mean of their entropies as a last channel, the disagreement of the views: their mutual information, the entropy of
    the mean less the mean of the entropies (Houlsby et al., BALD, 2011). It is at most the first.
    """
    channels = config.task.channels
    total = entropy(
        config.task, tempered(config.task, answer[..., :channels], config.decode.temperature)
    )
    parts = [
        total,
        *(np.clip(total - each, 0, 1) for each in np.moveaxis(answer[..., channels:], -1, 0)),
    ]
    return np.stack(parts, axis=-1).astype(np.float32)
