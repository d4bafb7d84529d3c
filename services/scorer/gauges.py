"""What a scorer shows of itself at ``/metrics``, beside what is counted as it happens."""

from __future__ import annotations

import math
import time

from msgspec.structs import astuple

from services.scorer.service import Scorer
from services.scorer.trainer import Trainer
from services.scorer.worker import PartitionWorker
from shared import metrics
from shared.domain.challenger import Interval
from shared.domain.learner import Learner
from shared.domain.lifecycle import STAGES
from shared.domain.markets import Markets
from shared.domain.rfm import SEGMENTS

_OF_THE_MODEL = (
    metrics.MODEL_AUC,
    metrics.MODEL_LOG_LOSS,
    metrics.MODEL_ECE,
    metrics.MODEL_WARM,
    metrics.MODEL_VERSION,
    metrics.MODEL_AGE,
    metrics.MODEL_LABEL_DELAY,
    metrics.MODEL_DRIFTS,
    metrics.MODEL_DISCOUNTED_LOSS.labels("learner"),
    metrics.MODEL_DISCOUNTED_LOSS.labels("heuristic"),
    metrics.MODEL_PROMOTIONS,
    *(metrics.MODEL_CHALLENGER.labels(each) for each in Interval.__struct_fields__),
)
_OF_MARKETS = (
    metrics.MODEL_MARKET_AUC,
    metrics.MODEL_MARKET_LOG_LOSS,
    metrics.MODEL_MARKET_ECE,
)


def refresh(scorer: Scorer, trainer: Trainer, lag: int, committed_lag: int) -> None:
    """Set every gauge.

    Parameters
    ----------
    lag, committed_lag
        Records behind the end of the log, by position and by commit.

    """
    metrics.SCORER_LAG.set(lag)
    metrics.SCORER_COMMITTED_LAG.set(committed_lag)
    _partitions(list(scorer.workers.values()))
    if trainer.learner is None:
        _no_model()
    else:
        _model(trainer.learner)


def _partitions(workers: list[PartitionWorker]) -> None:
    metrics.SCORER_PARTITIONS.set(len(workers))
    metrics.SCORER_STATE_BYTES.set(sum(worker.partition.table.rows.nbytes for worker in workers))
    metrics.SCORER_TRANSACTION_SECONDS.set(max((one.committing_s for one in workers), default=0))
    times = [worker.durable.now for worker in workers if worker.durable.now]
    metrics.SCORER_WATERMARK_DELAY.set(_since(min(times)) if times else math.nan)
    stages = [worker.partition.stages() for worker in workers]
    for stage in STAGES:
        metrics.CUSTOMERS.labels(stage).set(sum(each[stage] for each in stages))
    segments = [worker.partition.segments() for worker in workers]
    for segment in SEGMENTS:
        metrics.SEGMENTS.labels(segment).set(sum(each[segment] for each in segments))


def _model(learner: Learner) -> None:
    recent = learner.metrics.recent()
    losses = learner.model.losses
    for gauge, value in zip(
        _OF_THE_MODEL,
        (
            recent.auc(),
            recent.log_loss(),
            recent.ece(),
            learner.model.warm,
            learner.version,
            _since(learner.published_at),
            _since(min(learner.watermarks.values(), default=0)),
            learner.drift.found,
            *losses,
            len(learner.promotions),
            *astuple(learner.comparison.difference()),
        ),
        strict=True,
    ):
        gauge.set(value)
    metrics.MODEL_LABELS.set(learner.model.labels)
    _markets(learner.markets)


def _markets(markets: Markets) -> None:
    for gauge in _OF_MARKETS:
        gauge.clear()  # a market may have no place any more
    for market, tally in markets.tallies():
        figures = (tally.auc(), tally.log_loss(), tally.ece())
        for gauge, value in zip(_OF_MARKETS, figures, strict=True):
            gauge.labels(market).set(value)


def _no_model() -> None:
    """Say that another scorer trains, or none: a former trainer's figures would stand for ever."""
    for gauge in _OF_THE_MODEL:
        gauge.set(math.nan)
    metrics.MODEL_LABELS.set(0)
    _markets(Markets())


def _since(epoch_ms: int) -> float:
    """Return the seconds since a time; NaN for 0, which is no time."""
    return time.time() - epoch_ms / 1000 if epoch_ms else math.nan
