"""How seconds grow with the input, beside the growth that each operation declares and that of its counted work.

The operations are those that declare their complexity, over the inputs of their test (tests/growth_cases.py): at n,
2n, 4n and 8n. Nothing needs the released weights: the GPT decodes with one of its 30 layers at the released width,
the vocoder is as released but without trained numbers. Counted is the exponent that tests/test_complexity.py holds
to the declared one, at n, 2n and 4n; seconds are the best of ``--rounds``, sizes in turn, so that a busy moment of
the machine does not fall on one of them alone. What a run costs at any size (a call, a file, a thread) draws the
exponent of seconds under the declared one where inputs are small, caches that are left behind draw it over it.

The last line is one JSON object. Run from the project's folder: ``python bench/scaling.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.counted_work import growth  # noqa: E402
from tests.growth_cases import CASES, Case, counted_growth  # noqa: E402
from voicekit.complexity import DECLARED  # noqa: E402

DOUBLINGS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Row:
    """One operation: its declaration, the exponents of its counted work and of its seconds, and those seconds."""

    operation: str
    size: str
    declared: str
    counted: float | None
    seconds_exponent: float
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]


def measure(case: Case, rounds: int, *, count: bool) -> Row:
    """Times one case, and counts it if asked."""
    declared = DECLARED[case.operation]
    with tempfile.TemporaryDirectory(prefix="voice-cloning-growth-") as folder:
        counted = round(counted_growth(case, Path(folder)).time, 3) if count else None
        sizes = timed_sizes(case)
        make = case.timed or case.make
        runs = [make(size, Path(folder)) for size in sizes]
        seconds = best_seconds(runs, rounds)
    exponent = round(growth(sizes, seconds), 3)
    return Row(str(case), declared.size, declared.time, counted, exponent, sizes, seconds)


def timed_sizes(case: Case) -> tuple[int, ...]:
    """From the size at which it is counted, or from a smaller one where the largest would be out of bounds."""
    largest = case.first * DOUBLINGS[-1]
    if case.timed_up_to is not None:
        largest = min(largest, case.timed_up_to)
    return tuple(largest * doubling // DOUBLINGS[-1] for doubling in DOUBLINGS)


def best_seconds(runs: list[Callable[[], object]], rounds: int) -> tuple[float, ...]:
    """The least seconds of each run; once more before, so that imports, caches and pages are there."""
    found: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for run, seconds in zip(runs, found, strict=True):
            start = time.perf_counter()
            run()
            if number:
                seconds.append(time.perf_counter() - start)
    return tuple(round(min(seconds), 6) for seconds in found)


def main(argv: list[str] | None = None) -> int:
    """Measures all cases, prints the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--no-count", action="store_true", help="time only: half of the duration")
    options = parser.parse_args(argv)
    print(f"{'operation':<48}{'in':<12}{'declared':<12}{'counted':>8}{'seconds':>9}{'at the largest':>16}")
    rows = []
    for case in CASES:
        if options.only in str(case):
            row = measure(case, options.rounds, count=not options.no_count)
            counted = "-" if row.counted is None else f"{row.counted:.2f}"
            print(f"{row.operation:<48}{row.size:<12}{row.declared:<12}{counted:>8}{row.seconds_exponent:>9.2f}"
                  f"{row.seconds[-1]:>14.3f} s", flush=True)
            rows.append(row)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result = {"bench": "scaling", "rounds": options.rounds, "machine": machine}
    print(json.dumps(result | {"operations": [asdict(row) for row in rows]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
