"""What else could be said of the same snapshots: simpler models, and batch models."""

from __future__ import annotations

from services.evaluate.report import Said
from shared.domain.features import FEATURES, Floats
from shared.domain.forecasts import Base, Labels

_RECENCY = FEATURES.index("recency")


def cheap(found: Labels | Base, horizon_days: float) -> dict[str, Said]:
    """Return what needs no training.

    ``recency`` says r / (r + H) after r days of silence; ``heuristic`` is what a scorer serves
    until its model is better (`shared.domain.hazard`).
    """
    recency = found.features[:, _RECENCY]
    return {
        "recency": _as_rank(recency / (recency + horizon_days)),
        "heuristic": _as_rank(found.heuristic),
    }


def _as_rank(p: Floats) -> Said:
    return p, p
