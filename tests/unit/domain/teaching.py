"""Labels put to a churn model, as many at once as there are."""

from collections.abc import Iterable

from shared.domain.churn import ChurnModel
from shared.domain.features import Floats


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
