"""How long a run will still take: what was forecast at first, then more and more what the run itself shows.

It asks no clock but the one that it is given, and knows nothing of speech. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable

_WEIGHT = 0.15  # the forecast counts as much as this share of the text, spoken


class Eta:
    """Seconds that are left: the forecast at first, then more and more what the run shows.

    Args:
        total: characters (or codes, or segments) of all that is to be spoken, at least 1.
        expected_s: `Forecast.speaking_s`; None: nothing is known before the first piece is done.
        clock: seconds that never go back, such as `time.monotonic`; the run's own time begins with this object.
    """

    def __init__(self, total: float, expected_s: float | None, clock: Callable[[], float]) -> None:
        if total <= 0:
            raise ValueError("there must be something to do")
        self._total, self._expected_s = float(total), expected_s
        self._clock, self._began = clock, clock()
        self._done, self._at_s = 0.0, 0.0

    @property
    def share(self) -> float:
        """Done, from 0 to 1."""
        return self._done / self._total

    def advance(self, amount: float) -> float | None:
        """So much more is done; what is left now."""
        self._done = min(self._total, self._done + max(0.0, amount))
        self._at_s = self._clock() - self._began
        return self.remaining_s()

    def remaining_s(self) -> float | None:
        """Seconds that are left now; None where neither a forecast nor a finished piece tells. Never under 0."""
        if self._done >= self._total:
            return 0.0
        per_unit = self._per_unit()
        if per_unit is None:
            return None
        since_s = self._clock() - self._began - self._at_s
        left_s = (self._total - self._done) * per_unit
        # The piece under way takes longer than thought: what is left shrinks more slowly, and never to nothing.
        return left_s - since_s if since_s <= left_s / 2 else left_s * left_s / (4 * since_s)

    def _per_unit(self) -> float | None:
        if self._expected_s is None:
            return self._at_s / self._done if self._done > 0 else None
        believed = _WEIGHT * self._total * (1 - self.share)  # at the end only what was measured counts
        return (believed * self._expected_s / self._total + self._at_s) / (believed + self._done)
