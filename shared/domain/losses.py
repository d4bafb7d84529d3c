"""Log losses, by which what is learned and the heuristic that it begins with are told apart."""

from __future__ import annotations

import math
from typing import Final

CLIP: Final = 1e-4  # probabilities served lie in [CLIP, 1 - CLIP]
MEMORY: Final = 0.999  # discount of the losses that choose between model and heuristic
MIN_LABELS: Final = 100  # fewer say nothing about which is better


def log_loss(p: float, y: int) -> float:
    """Return -ln of the probability given to the outcome, clipped at `CLIP`."""
    return -math.log(max(p if y else 1 - p, CLIP))
