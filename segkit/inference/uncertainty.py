"""Maps of how uncertain a prediction is."""

from __future__ import annotations

import numpy as np

from segkit.config import RunConfig
from segkit.inference.temperature import entropy, tempered


def uncertainty(config: RunConfig, values: np.ndarray) -> np.ndarray:
    """Return the uncertainty of each pixel, and the disagreement where members were averaged.

    The first band is the entropy of the probabilities. The second band is the disagreement of the
    runs or views: their mutual information, which is the entropy of the mean minus the mean of the
    entropies (Houlsby et al., Bayesian active learning by disagreement, 2011,
    https://arxiv.org/abs/1112.5745). It is never larger than the first band.

    Args:
        config: The config of the run.
        values: Probabilities (H, W, C), or (H, W, C + 1) with the mean entropy of the members as
            the last channel (see `tta.mean_of`).

    Returns:
        (H, W, 1) or (H, W, 2) float32, from 0 (certain) to 1 (all classes equally probable).
    """
    channels = config.task.channels
    probabilities = tempered(config.task, values[..., :channels], config.decode.temperature)
    total = entropy(config.task, probabilities)
    bands = [total]
    if values.shape[-1] > channels:
        mean_entropy = values[..., channels]
        bands.append(np.clip(total - mean_entropy, 0, 1))
    return np.stack(bands, axis=-1).astype(np.float32)
