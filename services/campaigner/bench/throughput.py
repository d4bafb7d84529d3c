"""How many score changes a campaigner weighs, and how many decisions a database takes, a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from services.campaigner.campaign_file import CampaignBook, parse_campaigns
from services.campaigner.service import Campaigner
from shared.adapters.sql.campaign_store import CampaignStore
from shared.adapters.sql.engine import open_database
from shared.domain.campaign_fold import Fold
from shared.domain.campaign_state import Batch, Lease, Rules
from shared.domain.errors import TenureError
from shared.domain.outputs import Identity, Profile, Reason, Score
from shared.domain.standings import Standings

_T0: Final = 1_800_000_000_000
_MINUTE: Final = 60_000
_PAGE: Final = 5_000  # records in one transaction, as the consumer polls them at most

_CAMPAIGN: Final = """\
  - name: campaign-{number}
    state: live
    trigger: {{risk_over: {threshold}}}
    audience: {{where: {{tenure_days: {{min: 30}}, plan: [gold]}}}}
    channel: sms
    offer: any
    valid_for: 3650d
    cool_down: 0s
"""


#: One of each kind; most of what is weighed makes none of them due.
_TRIGGERS: Final = (
    "{risk_over: 0.6}", "{risk_under: 0.2}", "{enters: [decline]}", "{reaches: {visits: 100}}",
    "{silent_for: 14d}", "{date: contract_end, before: 30d}", "{event: complaint}",
    "{anniversary: first_activity}", "{falls_below: {usage_ratio: 0.5}}",
    "{rises_to: {risk_rise_7d: 0.25}}",
)  # fmt: skip


class Throughput(Struct, frozen=True):
    """``count`` of what took ``seconds`` of ``clock`` time."""

    name: str
    count: int
    seconds: float

    @property
    def a_second(self) -> float:
        """How many there were each second."""
        return self.count / self.seconds


class _Record(Struct):
    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = None


class UsedDatabaseError(TenureError):
    """Customers of an earlier run are there, whose crossings are used up."""


def weigh(changes: int = 100_000, customers: int = 20_000) -> Throughput:
    """Fold score changes against ten campaigns, of which one in a hundred crosses; one core."""
    rules = Rules(_campaigns([0.5 + number / 20 for number in range(10)]).campaigns, "salt")
    batch = Batch(Lease(0, 1), 0, 0)
    fold = Fold(Standings(), batch, rules, _T0)
    decoder = msgspec.json.Decoder(Score)
    raws = [raw.decode() for raw in _scores(changes, customers, rises=100)]
    seconds = _cpu(lambda: _fold_all(fold, decoder, raws))
    crossed = len({each.origin for each in batch.decisions})
    return Throughput(f"score changes, ten campaigns, {crossed:,} crossed", changes, seconds)


def weigh_each_kind(changes: int = 100_000, customers: int = 20_000) -> Throughput:
    """Fold the same score changes against ten campaigns, each with another kind of trigger."""
    text = "".join(
        _CAMPAIGN.format(number=number, threshold="0.60").replace("{risk_over: 0.60}", trigger)
        for number, trigger in enumerate(_TRIGGERS)
    )
    rules = Rules(parse_campaigns(f"campaigns:\n{text}".encode()).campaigns, "salt")
    batch = Batch(Lease(0, 1), 0, 0)
    fold, decoder = Fold(Standings(), batch, rules, _T0), msgspec.json.Decoder(Score)
    raws = [raw.decode() for raw in _scores(changes, customers, rises=100)]
    seconds = _cpu(lambda: _fold_all(fold, decoder, raws))
    return Throughput("score changes, ten kinds of triggers", changes, seconds)


def decide(database_url: str, decisions: int = 20_000) -> Throughput:
    """Record decisions with all that belongs to them, a transaction for each poll's worth."""
    database = open_database(database_url)
    try:
        store = CampaignStore(database, "bench-customer-scores")
        rules = Rules(_campaigns([0.6]).campaigns, "salt")
        campaigner = Campaigner(store, lambda: rules, clock=lambda: _T0, owner="bench")
        if campaigner.own([0])[0]:
            raise UsedDatabaseError("The database holds an earlier run: name an empty one.")
        records = [
            _Record(number, raw)
            for number, raw in enumerate(_scores(2 * decisions, decisions, rises=1))
        ]
        below, above = records[:decisions], records[decisions:]
        for page in _pages(below):
            campaigner.process({0: page})
        began = time.perf_counter()
        made = sum(campaigner.process({0: page}) for page in _pages(above))
        return Throughput(
            f"decisions recorded, {database.dialect.name}", made, time.perf_counter() - began
        )
    finally:
        database.dispose()


def _fold_all(fold: Fold, decoder: msgspec.json.Decoder[Score], raws: list[str]) -> None:
    for raw in raws:
        fold.take(decoder.decode(raw), raw)


def _cpu(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _campaigns(thresholds: list[float]) -> CampaignBook:
    text = "".join(
        _CAMPAIGN.format(number=number, threshold=f"{min(each, 1.0):.2f}")
        for number, each in enumerate(thresholds)
    )
    return parse_campaigns(f"campaigns:\n{text}".encode())


def _scores(changes: int, customers: int, *, rises: int) -> Iterator[bytes]:
    """Yield scores of customers in turn; each second round one in ``rises`` has a high risk."""
    for number in range(changes):
        turn, who = divmod(number, customers)
        high = turn % 2 == 1 and who % rises == 0
        yield msgspec.json.encode(_score(f"customer-{who}", number, 0.97 if high else 0.2))


def _score(customer: str, number: int, risk: float) -> Score:
    return Score(
        customer=customer,
        at=_T0 + number,
        origin=Identity(0, number, 0),
        cause="event",
        stage="growth",
        stage_since=_T0 - 100 * _MINUTE,
        risk=risk,
        model=3,
        features=[0.25] * 20,
        reasons=[Reason("recency", 0.75, "silent for 12 days")] * 3,
        first_activity=_T0 - 90 * 24 * 60 * _MINUTE,
        last_activity=_T0 - 60 * _MINUTE,
        visits=7,
        spend=70.0,
        revenue=70.0,
        margin=21.0,
        cost=2.5,
        closed=False,
        profile=Profile(plan="gold", consent={"sms": True}),
        clv=48.5,
    )


def _pages(records: list[_Record]) -> Iterator[list[_Record]]:
    for start in range(0, len(records), _PAGE):
        yield records[start : start + _PAGE]
