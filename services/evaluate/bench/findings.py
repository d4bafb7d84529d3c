"""What a bench of the churn model finds, for programs; `document` writes it for people."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from services.evaluate.report import Figures

#: Figures by who says it: `OURS`, or an anchor (`services.evaluate.anchors`).
Beside = dict[str, Figures]
OURS = "tenure"


class Said(Struct, frozen=True):
    """One measure of one backtest: silence, and at the cut accounts closed; empty without a cut."""

    prequential: Beside
    at_cut: Beside
    closed_at_cut: Beside


class Row(Struct, frozen=True):
    """What a configuration reaches: silence; ``at_cut`` is None without a cut."""

    prequential: Figures
    at_cut: Figures | None


class Measured(Struct, frozen=True):
    """One row of figures.

    Attributes
    ----------
    data_set
        Name of the set that it belongs to.
    customers
        Regular expression found in the ids of those who are counted.
    on_plans
        Whether customers are on plans.
    said
        By the configuration that is deployed, and beside it.
    rows
        By each configuration, that which is deployed included.

    """

    name: str
    data_set: str
    customers: str
    cut: date | None
    horizon_days: int
    cadence_days: int
    on_plans: bool
    said: Said
    rows: dict[str, Row]


class Promise(Struct, frozen=True):
    """Something that the model is to be, beside another or by itself.

    Attributes
    ----------
    measure, at_cut
        Of which figures: by name, and prequential or at the cut.
    figure
        ``auc``, ``log_loss`` or ``ece``.
    beside
        The anchor that it is held against; None where ``bound`` is fixed.
    bound
        What the figure has to reach, or not to exceed.
    distance
        By how much it does better than that; negative where the promise does not hold.

    """

    measure: str
    at_cut: bool
    figure: str
    beside: str | None
    bound: float
    distance: float
    holds: bool


class LeftOut(Struct, frozen=True):
    """What would have been chosen without one of the sets.

    Attributes
    ----------
    row
        Name of the configuration that the other sets choose.
    others
        Its log loss less that of the one deployed, the mean over the other sets.
    here
        The same on the set left out.

    """

    data_set: str
    row: str
    others: float
    here: float


class Times(Struct, frozen=True):
    """How long a backtest took, in seconds; ``others`` the mean over the other configurations."""

    run: str
    events: int
    customers: int
    deployed: float
    anchors: float
    others: float | None


class Bench(Struct, frozen=True):
    """All of it.

    Attributes
    ----------
    command
        By which it was made.
    champion
        The configuration that is deployed.
    seconds, processes
        How long it took, and how many there were.

    """

    command: str
    champion: str
    measures: list[Measured]
    promises: list[Promise]
    left_out: list[LeftOut]
    times: list[Times]
    seconds: float
    processes: int
