"""What a campaign achieved so far: both arms, uplift, cost and return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from shared.domain.campaign_outputs import Arm
from shared.domain.controls import ALL
from shared.domain.uplift import Balance, Interval, Sample, Stratum, balance, uplift


class UnitSums(NamedTuple):
    """Sums over the units of a campaign that were drawn into one arm with one control share.

    Attributes
    ----------
    enrolled
        Units, those whose window has not ended included; all that follows is without them.
    cost
        Of their contacts, and of offers that they accepted.
    rating
        Of those who rated.
    offer
        The one of several that they got, or would have got; empty where there is but one.

    """

    arm: Arm
    control_share: float
    enrolled: int
    retained: Sample
    revenue: Sample
    margin: Sample
    cost: float
    opted_out: Sample = Sample()
    clv: Sample = Sample()
    accepted: Sample = Sample()
    complained: Sample = Sample()
    rating: Sample = Sample()
    offer: str = ""

    def plus(self, other: UnitSums) -> UnitSums:
        """Return both together, whatever their offers."""
        return UnitSums(
            self.arm,
            self.control_share,
            self.enrolled + other.enrolled,
            cost=self.cost + other.cost,
            **{each: getattr(self, each).plus(getattr(other, each)) for each in _SAMPLES},
        )


_SAMPLES: Final = (
    "retained", "revenue", "margin", "opted_out", "clv", "accepted", "complained", "rating",
)  # fmt: skip


class ArmReport(Struct, frozen=True):
    """One arm. ``retained`` and all that follows are of the units that are ``measured``.

    ``rating`` is the mean of those who rated, ``rated`` how many did.
    """

    enrolled: int
    measured: int
    retained: int
    revenue: float
    margin: float
    opted_out: int = 0
    clv: float = 0.0
    accepted: int = 0
    complained: int = 0
    rated: int = 0
    rating: float | None = None


class OfferReport(Struct, frozen=True):
    """One of several offers: those who got it, and those who would have, but were held out.

    Attributes
    ----------
    accepted
        Share of those measured that accepted it.
    retention, margin
        Uplift per customer, as in the report of the campaign.

    """

    offer: str
    treatment: ArmReport
    control: ArmReport
    accepted: float | None
    retention: Interval | None
    margin: Interval | None
    cost: float


class CampaignReport(Struct, frozen=True):
    """A campaign's effect, by intention to treat; a unit is a customer's first enrolment.

    Attributes
    ----------
    retention, revenue, margin, clv
        Uplift per customer: treatment less control, with a 95 % interval that holds however often
        it is looked at. ``None`` while too few are measured.
    cost
        Of the contacts of measured customers, and of offers that they accepted.
    incremental_margin, incremental_clv
        What the contacts brought, over all measured customers of the treatment arm.
    return_on_spend
        (``incremental_margin`` - ``cost``) / ``cost``; ``None`` where nothing was spent.
    balance
        Whether the arms are as large as they were meant to be.
    opt_outs, complaints
        Share that withdrew consent, and that complained, treatment less control: what counts
        against the campaign.
    acceptance
        Share that accepted an offer, treatment less control.
    cost_per_acceptance
        ``cost`` by customer who accepted; ``None`` while nobody did.
    offers
        Where there are several.

    """

    campaign: str
    treatment: ArmReport
    control: ArmReport
    retention: Interval | None
    revenue: Interval | None
    margin: Interval | None
    cost: float
    incremental_margin: float | None
    return_on_spend: float | None
    balance: Balance
    opt_outs: Interval | None = None
    complaints: Interval | None = None
    acceptance: Interval | None = None
    clv: Interval | None = None
    incremental_clv: float | None = None
    cost_per_acceptance: float | None = None
    offers: list[OfferReport] = []


def report_on(
    campaign: str, each_offer: Sequence[UnitSums], spent: float | None = None
) -> CampaignReport:
    """Put a campaign's report together.

    Parameters
    ----------
    campaign
        Its name.
    each_offer
        Of each offer, control share and arm at most one.
    spent
        What contacts cost, where the units do not know.

    """
    sums = _together(each_offer)
    treatment, control = _arm(sums, "treatment"), _arm(sums, "control")
    margin, clv = uplift(_strata(sums, "margin")), uplift(_strata(sums, "clv"))
    cost = sum(each.cost for each in sums) if spent is None else spent
    gained = _in_all(margin, treatment)
    return CampaignReport(
        campaign=campaign,
        treatment=treatment,
        control=control,
        retention=uplift(_strata(sums, "retained")),
        revenue=uplift(_strata(sums, "revenue")),
        margin=margin,
        cost=cost,
        incremental_margin=gained,
        return_on_spend=None if gained is None or not cost else (gained - cost) / cost,
        balance=balance(_counts(sums)),
        opt_outs=uplift(_strata(sums, "opted_out")),
        complaints=uplift(_strata(sums, "complained")),
        acceptance=uplift(_strata(sums, "accepted")),
        clv=clv,
        incremental_clv=_in_all(clv, treatment),
        cost_per_acceptance=cost / treatment.accepted if treatment.accepted else None,
        offers=_offers(each_offer),
    )


def reports_on(found: Mapping[str, Sequence[UnitSums]]) -> list[CampaignReport]:
    """Return the reports of campaigns, and of all together (`ALL`) where that has units.

    What contacts cost is known to each campaign, so all of them cost what each of them did.
    """
    own = [report_on(name, sums) for name, sums in found.items() if name != ALL]
    if ALL not in found:
        return own
    return [*own, report_on(ALL, found[ALL], sum(each.cost for each in own))]


def _in_all(interval: Interval | None, treatment: ArmReport) -> float | None:
    return None if interval is None else interval.estimate * treatment.measured


def _together(each_offer: Iterable[UnitSums]) -> list[UnitSums]:
    """Return the sums of each control share and arm, whatever the offer."""
    found: dict[tuple[float, Arm], UnitSums] = {}
    for each in each_offer:
        key = each.control_share, each.arm
        found[key] = found[key].plus(each) if key in found else each
    return list(found.values())


def _offers(each_offer: Sequence[UnitSums]) -> list[OfferReport]:
    names = sorted({each.offer for each in each_offer if each.offer})
    return [_offer(name, [one for one in each_offer if one.offer == name]) for name in names]


def _offer(name: str, sums: Sequence[UnitSums]) -> OfferReport:
    treatment = _arm(sums, "treatment")
    return OfferReport(
        offer=name,
        treatment=treatment,
        control=_arm(sums, "control"),
        accepted=treatment.accepted / treatment.measured if treatment.measured else None,
        retention=uplift(_strata(sums, "retained")),
        margin=uplift(_strata(sums, "margin")),
        cost=sum(each.cost for each in sums),
    )


def _arm(sums: Iterable[UnitSums], arm: Arm) -> ArmReport:
    own = [each for each in sums if each.arm == arm]
    rated = sum(each.rating.n for each in own)
    return ArmReport(
        enrolled=sum(each.enrolled for each in own),
        measured=sum(each.retained.n for each in own),
        retained=round(sum(each.retained.total for each in own)),
        revenue=sum(each.revenue.total for each in own),
        margin=sum(each.margin.total for each in own),
        opted_out=round(sum(each.opted_out.total for each in own)),
        clv=sum(each.clv.total for each in own),
        accepted=round(sum(each.accepted.total for each in own)),
        complained=round(sum(each.complained.total for each in own)),
        rated=rated,
        rating=sum(each.rating.total for each in own) / rated if rated else None,
    )


def _strata(sums: Sequence[UnitSums], outcome: str) -> list[Stratum]:
    samples: dict[float, dict[Arm, Sample]] = {}
    for each in sums:
        samples.setdefault(each.control_share, {})[each.arm] = getattr(each, outcome)
    nobody = Sample()
    return [
        Stratum(share, arms.get("treatment", nobody), arms.get("control", nobody))
        for share, arms in sorted(samples.items())
    ]


def _counts(sums: Sequence[UnitSums]) -> list[tuple[float, int, int]]:
    enrolled = {(each.control_share, each.arm): each.enrolled for each in sums}
    return [
        (share, enrolled.get((share, "treatment"), 0), enrolled.get((share, "control"), 0))
        for share in sorted({each.control_share for each in sums})
    ]
