"""Whether the served predictions got worse: ADWIN on the squared error of what was said.

Squared errors lie in [0, 1], as ADWIN's bound requires (Bifet & Gavalda 2007, doi
10.1137/1.9781611972771.42); log losses do not. River's window cannot be written down, but it is a
function of its inputs, so the newest of these are kept, in thousandths.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

#: Labels that are kept at least when some are forgotten, and half of those kept at most.
KEPT: Final = 5_000
#: Labels that tell how bad it is now.
_NEWEST: Final = 500
_PARTS: Final = 1_000  # of a squared error
#: How likely ADWIN is to see a change, in all its looks at one width, where there is none.
CONFIDENCE: Final = 0.002


class Drift(Struct, frozen=True):
    """The served predictions got worse.

    Attributes
    ----------
    at
        Label time at which it was noticed, epoch milliseconds.
    labels
        Measured labels until then: what identifies it.
    before, after
        Mean squared error (Brier score) since the last change, and of the newest 500 labels.

    """

    at: int
    labels: int
    before: float
    after: float


class DriftDetector:
    """Watches measured labels in their order.

    Attributes
    ----------
    labels
        Seen so far.
    found
        How often predictions got worse; that they got better is no alarm.

    """

    def __init__(self) -> None:
        self.labels = 0
        self.found = 0
        self._inputs: list[int] = []
        self._window = _window([])

    def update(self, p: float, y: int, at: int) -> Drift | None:
        """Take in a label, and tell of a change for the worse.

        Parameters
        ----------
        p, y
            The probability that was served, and what came true.
        at
            When that was known, epoch milliseconds.

        """
        self.labels += 1
        error = round(_PARTS * (p - y) ** 2)
        before = self._window.estimation
        self._window.update(error / _PARTS)
        self._inputs.append(error)
        if not self._window.drift_detected:
            if len(self._inputs) >= 2 * KEPT:
                self._keep(KEPT)
            return None
        newest = self._inputs[-_NEWEST:]
        after = sum(newest) / len(newest) / _PARTS
        if after <= before:
            self._keep(max(round(self._window.width), 1))
            return None
        # ADWIN drops what is older bit by bit, and would tell of one change many times.
        self._keep(0)
        self.found += 1
        return Drift(at, self.labels, before, after)

    def _keep(self, count: int) -> None:
        """Forget older labels; whoever restores what is kept has the same window then."""
        self._inputs = self._inputs[len(self._inputs) - count :]
        self._window = _window(self._inputs)

    def dump(self) -> dict[str, Any]:
        """Return everything needed to go on to the same bits, as JSON values."""
        return {"labels": self.labels, "found": self.found, "inputs": self._inputs[:]}

    @classmethod
    def load(cls, state: dict[str, Any]) -> DriftDetector:
        """Restore what `dump` returned."""
        detector = cls()
        detector.labels, detector.found = state["labels"], state["found"]
        detector._inputs = state["inputs"][:]
        detector._window = _window(detector._inputs)
        return detector


def _window(inputs: list[int]) -> Any:  # noqa: ANN401  # River leaves its methods untyped
    """Return ADWIN after these inputs."""
    from river import drift

    window: Any = drift.ADWIN(delta=CONFIDENCE)  # type: ignore[no-untyped-call]
    for error in inputs:
        window.update(error / _PARTS)
    return window
