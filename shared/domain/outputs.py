"""What the scorer tells the world: scores, transitions, training examples, dead letters.

These structs are the wire contracts of their topics (JSON); `shared.schemas` publishes their
JSON Schemas. Times are epoch milliseconds in UTC, money is in the reporting currency.

What there is a lot of is kept from the garbage collector (``gc=False``): it holds no cycles, and
looking for some takes as long as making it.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from shared.domain.dealings import Dealings

Stage = Literal[
    "prospect", "onboarding", "growth", "maturity", "decline", "dormant", "lapsed", "won_back"
]
#: Why a score was computed: an event arrived, time passed, or the model changed.
Cause = Literal["event", "review", "model"]


class Identity(Struct, frozen=True, gc=False, order=True):
    """Where in the log something came from; the same after every replay.

    Attributes
    ----------
    partition, offset
        The record of ``customer-events`` that caused it.
    ordinal
        Its number among all that this record caused.

    """

    partition: int
    offset: int
    ordinal: int


class Reason(Struct, frozen=True, gc=False):
    """One feature's share of a score.

    Attributes
    ----------
    feature
        Name of the feature.
    contribution
        Signed, in log-odds: positive raises the risk.
    text
        The same in an operator's words.
    of
        Whether it is the risk of silence that it raises, or that of a closed account.

    """

    feature: str
    contribution: float
    text: str
    of: Literal["silent", "closed"] = "silent"


class Profile(Struct, frozen=True, gc=False, omit_defaults=True):
    """What is known about a customer beyond behaviour, from ``tenure.account`` events.

    Attributes
    ----------
    plan, plan_limit, brand, market, time_zone, balance, expiry, contract_end
        As the account events told it last; times in epoch milliseconds.
    acquisition_source, referred_by, attributes
        The same.
    status
        What became of the account last.
    consent
        Maps `channel`, `channel/purpose` or `*` to whether consent is given.

    """

    plan: str | None = None
    plan_limit: float | None = None
    brand: str | None = None
    market: str | None = None
    time_zone: str | None = None
    balance: float | None = None
    expiry: int | None = None
    contract_end: int | None = None
    acquisition_source: str | None = None
    referred_by: str | None = None
    status: str | None = None
    consent: dict[str, bool] = {}
    attributes: dict[str, str] = {}


class Score(Struct, frozen=True, gc=False, tag_field="kind", tag="score"):
    """A customer's live profile, sent when something that a reader cares about changed.

    Attributes
    ----------
    kind
        Tells it from a clock.
    customer
        Who.
    at
        The partition's time at which it was computed, epoch milliseconds.
    origin, cause
        What made it, the same after every replay; whether that was an event, a review or a model.
    stage, stage_since
        Where in the lifecycle; since when, epoch milliseconds.
    reasons
        What moved the risk most, with how much.
    closed
        Whether the account is closed.
    profile
        What account events told last.
    risk
        Probability of no activity in ``(at, at + horizon]``.
    model
        Version of the model that computed ``risk``; 0 is the stated heuristic (cold start).
    features
        The model's input; `risk` can be computed again from it and the version.
    first_activity, last_activity
        0 before any activity.
    visits
        Days with activity.
    spend, revenue, margin, cost
        Activity's amounts without refunds; all amounts; revenue times margin; money spent
        on the customer.
    p_closed, p_involuntary, p_churn
        Probability of an account closed within the horizon; of one closed by the operator, or with
        payments open; of silence or a closed account.
    expected_spend, clv
        Spend expected over the horizon, 0 once the account is closed; the present value of the
        margin to come (`shared.domain.value`), likewise.
    dealings
        Use by service, products, touch points, payments, costs.
    risk_7d_ago, risk_30d_ago
        The risk as it was a week ago (up to a day more), in steps of 1/254, null where the
        customer was not known yet; as it was thirty days ago, likewise.
    next_review
        When the customer is looked at again if nothing happens.
    expected_visits
        Days with activity expected over the horizon.
    purchases
        How many the customer made, without refunds and automatic renewals.
    segment, rfm
        Segment by recency, frequency and money, empty for whoever was never active or has left,
        and while the base is too small for quintiles; its digits, 5 the best, empty likewise.
    value_band
        Fifth of the base by lifetime value, 5 the best; 0 where that is not known.
    heavy_use
        Services of which this customer uses more than four fifths of their users do.

    """

    customer: str
    at: int
    origin: Identity
    cause: Cause
    stage: Stage
    stage_since: int
    risk: float
    model: int
    features: list[float]
    reasons: list[Reason]
    first_activity: int
    last_activity: int
    visits: int
    spend: float
    revenue: float
    margin: float
    cost: float
    closed: bool
    profile: Profile
    p_closed: float = 0.0
    p_churn: float = 0.0
    expected_spend: float = 0.0
    clv: float = 0.0
    dealings: Dealings = Dealings()
    risk_7d_ago: float | None = None
    risk_30d_ago: float | None = None
    next_review: int = 0
    expected_visits: float = 0.0
    purchases: int = 0
    segment: str = ""
    rfm: str = ""
    value_band: int = 0
    heavy_use: list[str] = []
    p_involuntary: float = 0.0


class Clock(Struct, frozen=True, tag_field="kind", tag="clock"):
    """A partition's time, sent on ``customer-scores`` as it passes a quarter of an hour.

    Attributes
    ----------
    kind
        Tells it from a score.
    partition, at
        Which one; its time, epoch milliseconds.

    """

    partition: int
    at: int


class Transition(Struct, frozen=True, gc=False):
    """A change of stage. ``lasted_ms`` is how long the former stage took.

    Attributes
    ----------
    customer, at
        Who; the partition's time, epoch milliseconds.
    origin
        What caused it: the same after every replay.
    before, after
        The former stage; the new one.
    reason
        Why, in words.
    lasted_ms
        How long the former stage took, milliseconds.

    """

    customer: str
    at: int
    origin: Identity
    before: Stage
    after: Stage
    reason: str
    lasted_ms: int


class Example(Struct, frozen=True, gc=False):
    """A labelled snapshot. It carries no customer id, so a model cannot be traced to a person.

    A snapshot makes two: soon, what the model learns from (the horizon's first step), and at the
    end of the horizon what its prediction is measured by.

    Attributes
    ----------
    origin
        What caused it: the same after every replay.
    at, labelled_at
        When the snapshot was taken, and the time at which its label was known.
    features
        The model's input at ``at``.
    silent
        The label: no activity in ``(at, at + horizon]``, or within the step.
    predicted
        The probability that the model gave at ``at``.
    heuristic
        The fallback's probability at ``at``.
    model
        Version of the model that predicted.
    challenger
        The probability that this version's challenger gave at ``at``, if it had one.
    recent
        Whether the customer was active within two horizons before ``at``.
    closed, involuntary
        The other label: the account was closed by then; and not by the customer's choice.
    learned, measured
        What it is for.
    spend
        Money spent over the horizon, where it is measured.
    market
        What account events named last, likewise; empty where they named none.

    """

    origin: Identity
    at: int
    labelled_at: int
    features: list[float]
    silent: bool
    predicted: float
    heuristic: float
    model: int
    recent: bool
    closed: bool = False
    learned: bool = True
    measured: bool = True
    spend: float = 0.0
    market: str = ""
    challenger: float | None = None
    involuntary: bool = False


class Watermark(Struct, frozen=True):
    """No example of this partition labelled before ``at`` will follow.

    Attributes
    ----------
    partition, at
        Which one; epoch milliseconds.

    """

    partition: int
    at: int


class Training(Struct, frozen=True):
    """A record of ``training-examples``: what one flush of one partition added.

    Attributes
    ----------
    watermark, examples
        How far the partition is; what it labelled since.

    """

    watermark: Watermark
    examples: list[Example]


class DeadLetter(Struct, frozen=True):
    """Bytes that could not be processed, and why.

    ``index`` is the place within the source record's array, ``None`` for the whole record.
    """

    value: bytes
    error: str
    field: str
    reason: str
    remedy: str
    partition: int
    offset: int
    index: int | None

    def key(self, topic: str) -> str:
        """Return its key in the topic: one of its own, by which it can be taken out again."""
        index = "" if self.index is None else f"/{self.index}"
        return f"{topic}/{self.partition}/{self.offset}{index}"
