"""``trigger``: what makes a decision due, in one of its ways."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from services.campaigner.campaign_values import (
    EPSILON,
    Duration,
    Model,
    Word,
    mark,
    wrong,
)
from shared.domain.campaigns import MARKS_PER_UNIT
from shared.domain.happenings import Happening, Level
from shared.domain.outputs import Stage
from shared.domain.triggers import (
    Anniversary,
    DateNears,
    Falls,
    Happened,
    Milestone,
    Reached,
    Rises,
    RiskOver,
    RiskUnder,
    Silent,
    StageEntered,
    Trigger,
)

_KINDS: Final = (
    "risk_over", "risk_under", "enters", "reaches", "silent_for", "date", "rises_to",
    "falls_below", "event", "anniversary",
)  # fmt: skip
_STEP: Final = 1 / MARKS_PER_UNIT

Risk = Annotated[float, Field(ge=0.05, le=1)]
Stages = Annotated[list[Stage], Field(min_length=1)]
Amount = Annotated[float, Field(gt=0, le=1e12)]
Finite = Annotated[float, Field(ge=-1e12, le=1e12)]


class ReachesModel(Model):
    """``reaches``: a milestone."""

    purchases: Amount | None = None
    visits: Amount | None = None
    spend: Amount | None = None
    revenue: Amount | None = None
    margin: Amount | None = None

    @model_validator(mode="after")
    def _one(self) -> ReachesModel:
        if len(self.model_fields_set) != 1:
            raise wrong("not exactly one milestone", "Write e.g. `reaches: {purchases: 100}`")
        return self

    def trigger(self, *, include_existing: bool) -> Milestone:
        """Return the trigger as the domain knows it."""
        given = ((each, getattr(self, each)) for each in get_args(Reached))
        measure, threshold = next(pair for pair in given if pair[1] is not None)
        return Milestone(measure=measure, threshold=threshold, include_existing=include_existing)


class LevelModel(Model):
    """``rises_to`` and ``falls_below``: a level, and how high it is."""

    balance: Finite | None = None
    clv: Finite | None = None
    expected_spend: Finite | None = None
    risk_rise_7d: Finite | None = None
    usage_ratio: Finite | None = None

    @model_validator(mode="after")
    def _one(self) -> LevelModel:
        if len(self.model_fields_set) != 1:
            raise wrong("not exactly one level", "Write e.g. `falls_below: {balance: 5}`")
        return self

    def named(self) -> tuple[Level, float]:
        """Return the level, and its threshold."""
        given = ((each, getattr(self, each)) for each in get_args(Level))
        return next(pair for pair in given if pair[1] is not None)


class TriggerModel(Model):
    """``trigger``: exactly one of its kinds, and what goes with that."""

    risk_over: Risk | None = None
    risk_under: Risk | None = None
    hysteresis: Annotated[float, Field(ge=0, le=0.95)] = 0.1
    enters: Stages | None = None
    from_: Annotated[Stages | None, Field(alias="from")] = None
    reaches: ReachesModel | None = None
    silent_for: Duration | None = None
    date: Literal["contract_end", "expiry"] | None = None
    before: Duration = "0s"  # type: ignore[assignment]  # validated like what a file holds
    rises_to: LevelModel | None = None
    falls_below: LevelModel | None = None
    rearm_at: Finite | None = None
    service: Word | None = None
    event: Happening | None = None
    of: Word | None = None
    anniversary: Literal["first_activity"] | None = None
    include_existing: bool = False

    @field_validator("risk_over", "risk_under", "hysteresis")
    @classmethod
    def _on_marks(cls, value: float | None) -> float | None:
        return None if value is None else mark(value)

    @field_validator("hysteresis")
    @classmethod
    def _must_rearm(cls, value: float, info: ValidationInfo) -> float:
        over, under = (info.data.get(each) for each in ("risk_over", "risk_under"))
        most = 1.0
        if over is not None:
            most = over - _STEP
        elif under is not None:
            most = 1 - under
        if value > most + EPSILON:
            raise wrong("no risk would ever re-arm a customer", f"Write at most {most:.2f}")
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> TriggerModel:
        given = [kind for kind in _KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            reason = f"{' and '.join(given)} at once" if given else "nothing to wait for"
            raise wrong(reason, f"Write one of {', '.join(_KINDS)}, e.g. `risk_over: 0.6`")
        self._require(given[0], "hysteresis", "risk_over", "risk_under")
        self._require(given[0], "from_", "enters")
        self._require(given[0], "before", "date", "anniversary")
        self._require(given[0], "rearm_at", "rises_to", "falls_below")
        self._require(given[0], "service", "rises_to", "falls_below")
        self._require(given[0], "of", "event")
        self._check_level()
        if self.of is not None and self.event not in ("purchase", "usage"):
            raise wrong(f"of says nothing about {self.event}", "Leave of out")
        return self

    def _check_level(self) -> None:
        for found, sign, most in (
            (self.rises_to, 1, "at most"),
            (self.falls_below, -1, "at least"),
        ):
            if found is None:
                continue
            level, threshold = found.named()
            if self.service is not None and level != "usage_ratio":
                raise wrong(f"service says nothing about {level}", "Leave service out")
            if self.rearm_at is not None and sign * self.rearm_at > sign * threshold:
                reason = "nobody would be armed anew before it holds again"
                raise wrong(reason, f"Write {most} {threshold:g}")

    def _require(self, kind: str, field: str, *kinds: str) -> None:
        if field in self.model_fields_set and kind not in kinds:
            name = field.rstrip("_")
            raise wrong(f"{name} says nothing about {kind}", f"Leave {name} out")

    def trigger(self) -> Trigger:
        """Return the trigger as the domain knows it."""
        existing = self.include_existing
        if self.reaches is not None:
            return self.reaches.trigger(include_existing=existing)
        if self.rises_to is not None or self.falls_below is not None:
            return self._level(existing=existing)
        return self._risk(existing=existing) or self._other(existing=existing)

    def _risk(self, *, existing: bool) -> Trigger | None:
        if self.risk_over is not None:
            rearm = _rounded(self.risk_over - self.hysteresis)
            return RiskOver(threshold=self.risk_over, rearm_below=rearm, include_existing=existing)
        if self.risk_under is not None:
            rearm = _rounded(self.risk_under + self.hysteresis)
            return RiskUnder(threshold=self.risk_under, rearm_from=rearm, include_existing=existing)
        return None

    def _other(self, *, existing: bool) -> Trigger:
        if self.enters is not None:
            before = None if self.from_ is None else frozenset(self.from_)
            stages = frozenset(self.enters)
            return StageEntered(stages=stages, before=before, include_existing=existing)
        if self.silent_for is not None:
            return Silent(for_ms=self.silent_for, include_existing=existing)
        if self.date is not None:
            return DateNears(date=self.date, lead_ms=self.before, include_existing=existing)
        if self.event is not None:
            return Happened(event=self.event, of=self.of, include_existing=existing)
        return Anniversary(lead_ms=self.before, include_existing=existing)

    def _level(self, *, existing: bool) -> Rises | Falls:
        """Return a trigger by a level; `_one_kind` saw that one of the two is given."""
        found = self.rises_to or self.falls_below
        assert found is not None  # noqa: S101
        level, threshold = found.named()
        rearm = threshold if self.rearm_at is None else self.rearm_at
        common: dict[str, Any] = {"of": self.service, "include_existing": existing}
        if self.rises_to is not None:
            return Rises(level=level, threshold=threshold, rearm_below=rearm, **common)
        return Falls(level=level, threshold=threshold, rearm_from=rearm, **common)


def _rounded(risk: float) -> float:
    return round(risk * MARKS_PER_UNIT) / MARKS_PER_UNIT
