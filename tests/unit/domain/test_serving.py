"""Which model is served: the newest, unless a person pinned another, from one place of the log."""

import pytest

from shared.domain.batch import read_batch
from shared.domain.position import Serving
from tests.unit.domain.histories import (
    POLICY,
    T0,
    Json,
    activation,
    live,
    partition,
    pin,
    purchase,
    restored,
    run,
    served,
    states,
    tick,
)

MODELS = {version: served(version, lean=version / 2) for version in (1, 2, 3)}


def serving(*events: Json) -> int:
    """Return the version that is served after these events."""
    target = partition()
    run(target, live([purchase("a", T0), *events]), models=MODELS)
    return target.model.version


@pytest.mark.parametrize(
    ("events", "version"),
    [
        ([activation(T0, 1), activation(T0, 2)], 2),
        ([activation(T0, 2), pin(T0, 5, 1)], 1),
        ([activation(T0, 2), pin(T0, 5, 0)], 0),
        ([activation(T0, 1), pin(T0, 5, 1), activation(T0, 2)], 1),
        ([activation(T0, 1), pin(T0, 5, 1), activation(T0, 2), pin(T0, 6, None)], 2),
        ([activation(T0, 1), pin(T0, 6, 1), activation(T0, 2), pin(T0, 5, None)], 1),
        ([activation(T0, 1), pin(T0, 6, 2), pin(T0, 6, 3)], 2),
        ([activation(T0, 1), pin(T0, 5, 9)], 1),
        ([activation(T0, 1), pin(T0, 5, 9), activation(T0, 2)], 2),
    ],
    ids=["newest", "rolled back", "heuristic", "pinned", "unpinned", "heard late", "heard twice",
         "not to be had", "not to be had and forgotten"],
)  # fmt: skip
def test_what_is_served(events: list[Json], version: int) -> None:
    assert serving(*events) == version


def test_a_pin_moves_scores_with_the_cause_model_alone() -> None:
    target = partition()
    run(target, live([purchase("a", T0), activation(T0, 3)]), models=MODELS)
    moved = run(target, live([pin(T0, 5, 1)], target.offset), models=MODELS).scores
    assert {(score.cause, score.model) for score in moved} == {("model", 1)}


def test_a_restore_keeps_the_pin_and_knows_the_newest() -> None:
    events = [purchase("a", T0), activation(T0, 1), pin(T0, 5, 1), activation(T0, 3)]
    whole, before = partition(), partition()
    records = live([*events, pin(T0, 6, None), tick(T0 + 1)])
    run(whole, records, models=MODELS)
    changelog = run(before, records[:4], models=MODELS).changelog
    assert before.position.serving == Serving(3, 1, 5)
    after = partition(
        table=restored(changelog, changelog), position=before.position, model=MODELS[1]
    )
    run(after, records[4:], models=MODELS)
    assert (after.model.version, states(after)) == (3, states(whole))


def test_what_may_come_into_use_is_known_before_the_fold() -> None:
    records = live([pin(T0, 5, 1), pin(T0, 6, None), activation(T0, 2)])
    batch = read_batch(0, records, POLICY.future_tolerance_ms)
    assert batch.versions(newest=7) == {1, 2, 7}
