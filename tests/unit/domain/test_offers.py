"""Next best offer: drawn alike at the start, then mostly the best; a function of what is named."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaigner.bench.offers import TRUTHS, measure
from shared.domain.bandit import choose
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_outputs import Told
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.campaigns import decision_id
from shared.domain.dealings import Dealings
from shared.domain.offers import (
    LEAST,
    UNKNOWN,
    Learned,
    Offer,
    Offers,
    Tally,
    known_at,
    nested,
)
from shared.domain.outputs import Profile, Score
from shared.domain.simulation import Made, simulate
from shared.domain.simulation import Told as Heard
from shared.domain.standings import Standings
from tests.campaign_builders import DAY, MINUTE, T0, campaign, raw, score

THREE = Offers((Offer("a"), Offer("b"), Offer("c")), explore=0.2)
DRAWS = [f"decision-{number}" for number in range(4_000)]
#: Standard errors of a share of that many draws, at the most.
SURE = 4 * 0.5 / len(DRAWS) ** 0.5


def knows(**tallies: tuple[int, int]) -> Learned:
    return Learned(7, T0, {"": {name: Tally(n, won, n) for name, (n, won) in tallies.items()}})


def shares(offers: Offers, learned: Learned, context: str = "") -> dict[str, float]:
    counts = Counter(choose(offers, learned, context, each)[0] for each in DRAWS)
    return {name: counts[name] / len(DRAWS) for name in offers.names}


@pytest.mark.parametrize("learned", [UNKNOWN, knows(a=(LEAST, 40), b=(LEAST - 1, 0), c=(9, 1))])
def test_while_nothing_can_be_told_all_are_drawn_alike(learned: Learned) -> None:
    for share in shares(THREE, learned).values():
        assert share == pytest.approx(1 / 3, abs=SURE)


def test_others_than_the_best_known_get_no_more_than_their_share() -> None:
    """However little tells them apart: equals would be drawn alike by the bandit alone."""
    close = knows(a=(1_000, 101), b=(1_000, 100), c=(1_000, 100))
    found = shares(THREE, close)
    assert found["b"] + found["c"] == pytest.approx(0.2 * 2 / 3, abs=0.05)
    assert found["b"] + found["c"] <= 0.2 + SURE
    assert found["b"] > 0 < found["c"]


def test_what_did_badly_is_hardly_tried_and_what_is_new_is_within_the_share() -> None:
    told = knows(a=(1_000, 300), b=(1_000, 100))
    found = shares(THREE, told)
    assert found["b"] == 0
    assert 0.1 < found["c"] <= 0.2 + SURE


def test_without_exploring_the_best_known_is_all_there_is() -> None:
    quiet = Offers(THREE.choices, explore=0.0)
    assert shares(quiet, knows(a=(100, 10), b=(100, 30), c=(100, 20)))["b"] == 1


def test_what_is_learned_may_be_who_stays() -> None:
    stays = Offers(THREE.choices[:2], learns_from="retained", explore=0.0)
    told = Learned(1, T0, {"": {"a": Tally(100, 60, 20), "b": Tally(100, 10, 30)}})
    assert shares(stays, told)["b"] == 1


def test_a_context_counts_once_enough_is_known_in_it() -> None:
    by = Offers(THREE.choices[:2], explore=0.0, by="plan")
    gold = {"a": Tally(LEAST, 5, 0), "b": Tally(LEAST, 20, 0)}
    told = Learned(1, T0, {"plan=gold": gold, "plan=basic": {"a": Tally(900, 500, 0)}})
    assert shares(by, told, "plan=gold")["b"] == 1
    assert shares(by, told, "plan=basic")["a"] == 1  # all contexts together tell
    assert by.context(score(profile=Profile(plan="gold"))) == "plan=gold"
    assert by.context(score()) == "plan="
    assert Offers(THREE.choices, by="stage").context(score()) == "stage=growth"


@given(st.text(max_size=20), st.integers(0, 500), st.integers(0, 500))
def test_a_choice_is_a_function_of_the_state_and_the_decision(
    decision: str, won: int, lost: int
) -> None:
    told = knows(a=(won + lost, won), b=(200, 50), c=(LEAST, 10))
    first, again = (choose(THREE, told, "", decision) for _ in range(2))
    assert first == again
    assert first[1].version == 7


def test_states_are_numbered_as_more_is_known_and_found_by_number_or_time() -> None:
    one, two = Learned(1, T0, knows(a=(100, 1)).tallies), Learned(2, T0 + 5, {})
    assert not knows(a=(101, 9)).is_news_after(one)
    assert knows(a=(103, 9)).is_news_after(one)
    assert knows(a=(1, 0)).is_news_after(UNKNOWN)
    library = {"x": [one, two]}
    assert known_at(library, "x", 1, T0 + 9) is one
    assert known_at(library, "x", None, T0 + 4) is one
    assert known_at(library, "x", None, T0 - 1) == known_at(library, "y", None, T0) == UNKNOWN
    assert nested([("p", "b", Tally(1)), ("p", "a", Tally(2))]) == {
        "p": {"a": Tally(2), "b": Tally(1)}
    }


# ---- in a campaign

SEVERAL = campaign(
    offer="",
    offers=Offers((Offer("a", 3.0), Offer("b")), explore=0.5, by="plan"),
    control=0.5,
    valid_for_ms=90 * DAY,
    window_ms=2 * DAY,
    cost_per_contact=1.0,
)


def rises(*customers: str, at: int = T0) -> list[Score]:
    low = [score(who, 0.1, number, at=at) for number, who in enumerate(customers)]
    return low + [
        score(who, 0.7, 100 + number, at=at + MINUTE) for number, who in enumerate(customers)
    ]


def fold(
    scores: list[Score], learned: Learned = UNKNOWN, told: dict[str, Told] | None = None
) -> Batch:
    batch, last = Batch(Lease(0, 1), 0, 1), dict[str, Score]()
    fold_ = Fold(
        Standings(), batch, Rules([SEVERAL], "salt"), T0, last.__getitem__,
        told=told, learned=lambda _: learned,
    )  # fmt: skip
    for each in scores:
        fold_.take(each, raw(each))
    fold_.pass_time(T0 + 10 * DAY)
    return batch


def test_either_arm_has_an_offer_and_only_treatment_teaches() -> None:
    crowd = [f"c{number}" for number in range(60)]
    accept = [
        score(who, 0.7, 500 + n, at=T0 + DAY, dealings=Dealings(accepted=1))
        for n, who in enumerate(crowd[::2])
    ]
    batch = fold([*rises(*crowd), *accept])
    assert {each.outcome for each in batch.decisions} == {"fired", "held_out"}
    assert {each.offer for each in batch.decisions} == {"a", "b"}
    treated = {each.customer: each.offer for each in batch.decisions if each.arm == "treatment"}
    assert batch.tallies == {
        (SEVERAL.name, "plan=", offer): Tally(
            sum(got == offer for got in treated.values()),
            sum(got == offer for who, got in treated.items() if who in crowd[::2]),
            0,
        )
        for offer in ("a", "b")
    }
    costs = {unit.offer: unit.acceptance_cost for unit in batch.units.values() if unit.cost}
    assert costs == {"a": 3.0, "b": 0.0}
    assert all(unit.acceptance_cost == 0 for unit in batch.units.values() if not unit.cost)


def test_who_is_not_enrolled_gets_no_offer() -> None:
    (closed,) = fold([score(risk=0.1), score(risk=0.7, step=1, closed=True)]).decisions
    assert (closed.outcome, closed.offer, closed.chosen) == ("suppressed", "", None)


def test_an_offer_that_left_is_not_chosen_anew_after_a_restore() -> None:
    """What was told stands, whatever the older database knows of the offers."""
    key = decision_id(SEVERAL.name, "anna", 1)
    (before,) = fold(rises("anna")).decisions
    other = "a" if before.offer == "b" else "b"
    batch = fold(rises("anna"), told={key: Told("fired", T0, other)})
    (again,) = batch.decisions
    assert (again.offer, again.recalled) == (other, True)
    assert batch.tallies == {(SEVERAL.name, "plan=", other): Tally(1, 0, 0)}


@pytest.mark.parametrize("told", [UNKNOWN, knows(a=(200, 60), b=(200, 90))])
def test_a_simulation_chooses_what_was_chosen(told: Learned) -> None:
    crowd = [f"c{number}" for number in range(40)]
    scores = rises(*crowd)
    batch = fold(scores, told)
    made = [Made(each, T0) for each in batch.decisions]
    versions = [told, Learned(8, T0, knows(a=(900, 800), b=(900, 1)).tallies)]
    found = simulate(
        [Heard(T0, each) for each in scores],
        made,
        Rules([SEVERAL], "salt"),
        (T0, T0 + DAY),
        library={SEVERAL.name: versions if told.version else versions[1:]},
    )
    offers = {each.id: (each.outcome, each.offer, each.chosen) for each in batch.decisions}
    assert {each.id: (each.outcome, each.offer, each.chosen) for each in found} == offers


# ---- what it is worth


def test_choosing_misses_less_than_drawing_by_lot_and_is_bounded() -> None:
    truth, offers = TRUTHS["four offers, one is best"]
    seen = measure(truth, offers, runs=2)
    assert seen.learned < seen.uniform / 5
    assert seen.last < seen.uniform / 10 / 10
    assert seen.explored <= offers.explore


def test_telling_customers_apart_pays_where_they_differ() -> None:
    apart = measure(*TRUTHS["each plan has another best, told apart"], runs=1)
    alike = measure(*TRUTHS["each plan has another best, all alike"], runs=1)
    assert apart.learned < alike.learned / 5
