"""What an operation costs as its input grows: declared where it is defined, compared with what was measured.

``tests/test_complexity.py`` doubles the input of each declared operation and counts its work; every run logs the
declaration of a stage beside what the stage took, and the report over the runs fits the exponent of the seconds.
Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])

_POLYNOMIAL = re.compile(r"O\((?:1|log n|n(?:\^(?P<power>\d+(?:\.\d+)?))?(?: log n)?)\)")


@dataclass(frozen=True)
class Complexity:
    """How time and memory of one operation grow with n.

    operation: module and function, as ``voicekit.joining.join``.
    size: what n counts, as a span counts it: ``codes``, ``samples``, ``characters``.
    time, space: ``O(1)``, ``O(log n)``, ``O(n)``, ``O(n log n)``, ``O(n^2)``; space is what is held beyond the input.
    stage: the stage of a run (a key of ``timings_s``) whose time this operation decides; None: it decides none.
    """

    operation: str
    size: str
    time: str
    space: str
    stage: str | None = None


DECLARED: dict[str, Complexity] = {}  # by operation; filled as the modules are imported


def complexity(*, size: str, time: str, space: str, stage: str | None = None) -> Callable[[F], F]:
    """Declare an operation's growth; the function itself is left as it is.

    Raises ValueError for a law that ``exponent`` cannot read.
    """
    exponent(time), exponent(space)

    def declare(function: F) -> F:
        operation = f"{function.__module__}.{function.__qualname__}"
        DECLARED[operation] = Complexity(operation, size, time, space, stage)
        return function

    return declare


def exponent(law: str) -> float:
    """The power of n in a law: 0 for ``O(1)`` and ``O(log n)``, 1 for ``O(n)`` and ``O(n log n)``, 2 for ``O(n^2)``."""
    found = _POLYNOMIAL.fullmatch(law)
    if not found:
        raise ValueError(f"{law!r} is no growth law: write O(1), O(log n), O(n), O(n log n) or O(n^2)")
    return 0.0 if "n" not in law.replace("log n", "") else float(found["power"] or 1)


def of_stage(stage: str) -> Complexity | None:
    """The declaration that decides a stage's time, among the modules imported so far."""
    return next((declared for declared in DECLARED.values() if declared.stage == stage), None)
