"""What a campaign achieved so far: both arms, uplift, cost and return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from shared.domain.campaign_outputs import Arm
from shared.domain.uplift import Balance, Interval, Sample, Stratum, balance, uplift


class UnitSums(NamedTuple):
    """Sums over the units of a campaign that were drawn into one arm with one control share.

    Attributes
    ----------
    enrolled
        Units, those whose window has not ended included; all that follows is without them.
    cost
        Of their contacts.

    """

    arm: Arm
    control_share: float
    enrolled: int
    retained: Sample
    revenue: Sample
    margin: Sample
    cost: float
    opted_out: Sample = Sample()


class ArmReport(Struct, frozen=True):
    """One arm. ``retained`` and money are those of the units that are ``measured``."""

    enrolled: int
    measured: int
    retained: int
    revenue: float
    margin: float
    opted_out: int = 0


class CampaignReport(Struct, frozen=True):
    """A campaign's effect, by intention to treat; a unit is a customer's first enrolment.

    Attributes
    ----------
    retention, revenue, margin
        Uplift per customer: treatment less control, with a 95 % interval that holds however often
        it is looked at. ``None`` while too few are measured.
    cost
        Of the contacts of measured customers.
    incremental_margin
        Margin that the contacts brought, over all measured customers of the treatment arm.
    return_on_spend
        (``incremental_margin`` - ``cost``) / ``cost``; ``None`` where nothing was spent.
    balance
        Whether the arms are as large as they were meant to be.
    opt_outs
        Share that withdrew consent, treatment less control: what counts against the campaign.

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


def report_on(campaign: str, sums: Sequence[UnitSums]) -> CampaignReport:
    """Put a campaign's report together; ``sums`` are of each control share and arm at most one."""
    treatment, control = _arm(sums, "treatment"), _arm(sums, "control")
    margin = uplift(_strata(sums, "margin"))
    cost = sum(each.cost for each in sums)
    gained = None if margin is None else margin.estimate * treatment.measured
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
    )


def _arm(sums: Iterable[UnitSums], arm: Arm) -> ArmReport:
    own = [each for each in sums if each.arm == arm]
    return ArmReport(
        enrolled=sum(each.enrolled for each in own),
        measured=sum(each.retained.n for each in own),
        retained=round(sum(each.retained.total for each in own)),
        revenue=sum(each.revenue.total for each in own),
        margin=sum(each.margin.total for each in own),
        opted_out=round(sum(each.opted_out.total for each in own)),
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
