"""Gauges that have to be asked for: outbox and customers, every few seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event
from typing import Final

import structlog
from prometheus_client import Gauge

from services.campaigner.campaign_file import CampaignBook
from services.campaigner.ports import Clock, Store
from shared import metrics
from shared.adapters.sql.campaign_queries import CampaignQueries
from shared.domain.base_book import MONTHS_BY, month_of
from shared.domain.base_months import Bridge, Month, parts
from shared.domain.campaign_report import CampaignReport, reports_on
from shared.domain.campaign_state import Lease
from shared.domain.uplift import Interval

log = structlog.get_logger(__name__)

_OUTBOX_S: Final = 2.0
#: Counting customers reads an index of them all, so not with every look at the outbox.
_OUTBOX_LOOKS: Final = 8
#: Adding up lifetime values reads every customer.
_BASE_LOOKS: Final = 32
#: Of each of market, brand and plan: the largest parts of the base, so that labels stay few.
_MOST_PARTS: Final = 50
_MOVES: Final = (
    "opening", "gained", "returned", "moved_in", "lost_voluntary", "lost_involuntary",
    "lost_silent", "lost_erased", "moved_out", "closing",
)  # fmt: skip


_OF_EFFECTS: Final = (
    metrics.CAMPAIGNER_UNITS,
    metrics.CAMPAIGNER_MEASURED,
    metrics.CAMPAIGNER_OPTED_OUT,
    metrics.CAMPAIGNER_ACCEPTED,
    metrics.CAMPAIGNER_COMPLAINED,
    metrics.CAMPAIGNER_OFFERED,
    metrics.CAMPAIGNER_OFFER_ACCEPTED,
    metrics.CAMPAIGNER_UPLIFT,
    metrics.CAMPAIGNER_MARGIN_UPLIFT,
    metrics.CAMPAIGNER_CLV_UPLIFT,
    metrics.CAMPAIGNER_COST,
    metrics.CAMPAIGNER_RETURN,
    metrics.CAMPAIGNER_BALANCE,
)


class Gauges:
    """Sets the gauges of the database.

    Parameters
    ----------
    store, queries
        The database.
    leases
        Returns the partitions that are owned now.
    clock
        The wall clock.
    book
        Returns the campaigns in force.

    """

    def __init__(
        self,
        store: Store,
        queries: CampaignQueries,
        leases: Callable[[], list[Lease]],
        clock: Clock,
        book: Callable[[], CampaignBook],
    ) -> None:
        self._store = store
        self._queries = queries
        self._leases = leases
        self._clock = clock
        self._book = book
        #: Why the database does not answer, for readiness.
        self.problem: str | None = None

    def run(self, stop: Event) -> None:
        """Look every few seconds until ``stop`` is set."""
        looks = 0
        while not stop.is_set():
            self._attempt(
                count_customers=looks % _OUTBOX_LOOKS == 0, add_up=looks % _BASE_LOOKS == 0
            )
            looks += 1
            stop.wait(_OUTBOX_S)

    def measure_outbox(self) -> None:
        """Set how much waits for Kafka, and since when."""
        partitions = [each.partition for each in self._leases()]
        count, oldest = self._store.backlog(partitions)
        metrics.CAMPAIGNER_OUTBOX.set(count)
        age_ms = 0 if oldest is None else self._clock() - oldest
        metrics.CAMPAIGNER_OUTBOX_AGE.set(max(age_ms, 0) / 1000)

    def measure_customers(self) -> None:
        """Set how many customers are in each stage."""
        counts = self._queries.stages()
        metrics.CAMPAIGNER_CUSTOMERS.clear()  # a stage that nobody is in any more has no row
        for stage, count in counts.items():
            metrics.CAMPAIGNER_CUSTOMERS.labels(stage).set(count)

    def measure_segments(self) -> None:
        """Set how many customers are in each segment."""
        counts = self._queries.segments.counts()
        metrics.CAMPAIGNER_SEGMENTS.clear()
        for segment, count in counts.items():
            metrics.CAMPAIGNER_SEGMENTS.labels(segment).set(count)

    def measure_base(self) -> None:
        """Set customer equity, and the month that the base is at."""
        metrics.CUSTOMER_EQUITY.clear()
        for stage, equity in self._queries.base.equity().items():
            metrics.CUSTOMER_EQUITY.labels(stage).set(equity)
        for each in (metrics.BASE_MONTH_CUSTOMERS, metrics.BASE_MONTH_RECURRING):
            each.clear()
        until = month_of(self._queries.now())
        for by in MONTHS_BY:
            found = parts(self._queries.base.cells(by), until)
            found.sort(key=lambda part: -part.months[-1].closing)
            for part in found[:_MOST_PARTS]:
                _show_month(by, part.name, part.months[-1])

    def measure_effects(self) -> None:
        """Set what each campaign has achieved."""
        for each in _OF_EFFECTS:
            each.clear()
        for report in reports_on(self._queries.unit_sums()):
            _show(report)

    def measure_budgets(self) -> None:
        """Set what is left of each budget."""
        metrics.CAMPAIGNER_BUDGET_LEFT.clear()  # a campaign that is gone has none
        book, now = self._book(), self._clock()
        limits = list(book.rails.limits(*book.campaigns))
        periods = [(each.scope, each.period(now, book.rails.time_zone)) for each in limits]
        spent = self._queries.spent(periods)
        for limit, period in zip(limits, periods, strict=True):
            left = metrics.CAMPAIGNER_BUDGET_LEFT.labels(limit.scope, limit.span)
            left.set(1 - spent[period] / limit.most)

    def _attempt(self, *, count_customers: bool, add_up: bool) -> None:
        try:
            self.measure_outbox()
            self.measure_budgets()
            if count_customers:
                self.measure_customers()
                self.measure_segments()
                self.measure_effects()
            if add_up:
                self.measure_base()
        except Exception as error:
            self.problem = f"the database does not answer ({type(error).__name__})"
            log.exception("could not ask the database")
        else:
            self.problem = None


def _show_month(by: str, name: str, month: Month) -> None:
    for move in _MOVES:
        metrics.BASE_MONTH_CUSTOMERS.labels(by, name, move).set(getattr(month, move))
    for move in Bridge.__struct_fields__:
        amount = float(getattr(month.recurring, move))
        metrics.BASE_MONTH_RECURRING.labels(by, name, move).set(amount)


def _show(report: CampaignReport) -> None:
    name = report.campaign
    for arm, found in (("treatment", report.treatment), ("control", report.control)):
        metrics.CAMPAIGNER_UNITS.labels(name, arm).set(found.enrolled)
        metrics.CAMPAIGNER_MEASURED.labels(name, arm).set(found.measured)
        metrics.CAMPAIGNER_OPTED_OUT.labels(name, arm).set(found.opted_out)
        metrics.CAMPAIGNER_ACCEPTED.labels(name, arm).set(found.accepted)
        metrics.CAMPAIGNER_COMPLAINED.labels(name, arm).set(found.complained)
    for offer in report.offers:
        metrics.CAMPAIGNER_OFFERED.labels(name, offer.offer).set(offer.treatment.measured)
        metrics.CAMPAIGNER_OFFER_ACCEPTED.labels(name, offer.offer).set(offer.treatment.accepted)
    _show_interval(metrics.CAMPAIGNER_UPLIFT, name, report.retention, 1.0)
    _show_interval(metrics.CAMPAIGNER_MARGIN_UPLIFT, name, report.margin, math.inf)
    _show_interval(metrics.CAMPAIGNER_CLV_UPLIFT, name, report.clv, math.inf)
    metrics.CAMPAIGNER_COST.labels(name).set(report.cost)
    _show_interval(metrics.CAMPAIGNER_RETURN, name, _return_on_spend(report), math.inf)
    metrics.CAMPAIGNER_BALANCE.labels(name).set(report.balance.p_value)


def _return_on_spend(report: CampaignReport) -> Interval | None:
    """Return the interval of the margin that a unit of money brought, less that unit."""
    margin = report.margin
    if margin is None or not report.cost:
        return None
    each = report.treatment.measured / report.cost
    return Interval(margin.estimate * each - 1, margin.low * each - 1, margin.high * each - 1)


def _show_interval(gauge: Gauge, campaign: str, interval: Interval | None, most: float) -> None:
    """Show an interval; while too few were measured it is all that is possible, up to ``most``."""
    low, high = (-most, most) if interval is None else (interval.low, interval.high)
    gauge.labels(campaign, "low").set(low)
    gauge.labels(campaign, "high").set(high)
    if interval is not None:
        gauge.labels(campaign, "estimate").set(interval.estimate)
