"""Customers as they occur, and labels put to a churn model, as many at once as there are."""

from collections.abc import Iterable

import numpy as np

from shared.domain.churn import ChurnModel
from shared.domain.features import FEATURES, Floats

AT = {name: column for column, name in enumerate(FEATURES)}


def customers(n: int = 600, seed: int = 5, *, planned: bool = True) -> Floats:
    """Facts as they occur, over a year and a half, some customers on one of three plans."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, len(FEATURES)))
    x[:, AT["visits"]] = rng.geometric(0.2, n) - 1
    never = x[:, AT["visits"]] == 0
    x[:, AT["tenure"]] = rng.uniform(0, 400, n)
    x[:, AT["recency"]] = np.where(never, 1.0, rng.uniform(0, 1, n)) * x[:, AT["tenure"]]
    for name, scale in (("visits_7", 0.3), ("visits_30", 1.0), ("visits_90", 2.0)):
        x[:, AT[name]] = np.where(never, 0.0, rng.exponential(scale, n))
    x[:, AT["mean_spend"]] = rng.exponential(20.0, n)
    x[:, AT["onboarding"]] = rng.exponential(3.0, n)
    x[:, AT["services"]] = rng.integers(0, 4, n)
    x[:, AT["day"]] = 15_000 + np.sort(rng.uniform(0, 550, n))
    if planned:
        x[:, AT["plan"]] = rng.integers(0, 4, n)
        x[:, AT["family"]] = np.where(x[:, AT["plan"]] > 1, 2, x[:, AT["plan"]])
        x[:, AT["plan_days"]] = np.where(never, 0.0, x[:, AT["tenure"]])
    return x.astype(np.float32).astype(np.float64)


def teach(
    model: ChurnModel,
    x: Floats,
    silent: Iterable[int],
    closed: Iterable[int] | None = None,
    involuntary: Iterable[int] | None = None,
) -> ChurnModel:
    """Have a model learn (n, F) features and their (n,) outcomes; nobody closed unless said."""
    if len(x):
        nobody = [0] * len(x)
        outcomes = [nobody if each is None else each for each in (silent, closed, involuntary)]
        model.learn(model.groundwork.take(x, *(list(map(int, each)) for each in outcomes)))
    return model
