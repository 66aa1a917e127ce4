"""What would make a run faster or safer on this machine: a GPU, threads, memory, another precision.

It is told what the machine has, and reads the runs on record; it asks no system and knows no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voicekit.forecast import AUTO, finished_runs
from voicekit.log_values import size
from voicekit.run_statistics import median

Record = Mapping[str, Any]

FASTER = 1.3  # a gain that is worth a sentence
SHORT_THREADS = 0.5  # of the cores


def device_advice(
    records: Sequence[Record],
    *,
    model: str,
    device: str,
    precision: str = AUTO,
    threads: int | None = None,
    cores: int = 1,
    gpu_unused: bool = False,
    available_mb: float | None = None,
    needed_mb: float | None = None,
    machine: str | None = None,
) -> str | None:
    """What would make the run faster or safer on this machine, in sentences; None where nothing would.

    Args:
        device, precision, threads: as the run will have them.
        cores: that this process may use.
        gpu_unused: the machine has a GPU, be torch able to use it or not, and the device is the CPU.
        available_mb, needed_mb: memory that the machine can give, and that the run needs.
    """
    said = []
    if gpu_unused and device == "cpu":
        said.append("This machine has a GPU that is not used: --device cuda is many times faster, with a torch that is"
                    " built for it (--check tells which).")  # fmt: skip
    if available_mb is not None and needed_mb is not None and available_mb < needed_mb:
        said.append(f"The machine has {size(available_mb)} of memory left and the run needs about {size(needed_mb)}:"
                    " close other programs, or take a smaller --batch-size.")  # fmt: skip
    if threads is not None and device == "cpu" and threads <= SHORT_THREADS * cores:
        said.append(f"It runs on {threads} of {cores} cores: without --threads it takes all of them.")
    faster = _faster_precision(records, model, device, precision, machine)
    if faster:
        name, ratio = faster
        said.append(f"By the runs on record here, --precision {name} speaks {ratio:.1f} times as fast as {precision}.")
    return " ".join(said) or None


def _faster_precision(
    records: Sequence[Record], model: str, device: str, precision: str, machine: str | None
) -> tuple[str, float] | None:
    """The precision that took the least for a code, and how many times as fast it is; None without a clear one.

    Only runs of one batch width are compared, that of the latest run in the precision that was asked for.
    """
    if precision == AUTO:
        return None
    rated = [
        (run.key.precision or "", run.rows, run.stages["generate"].seconds / run.sizes["codes"])
        for run, _ in finished_runs(records)
        if run.key.model == model and run.key.device == device and machine in (None, run.key.machine)
    ]
    own = [row for name, row, _ in rated if name == precision]
    if not own:
        return None
    alike = [(name, each) for name, row, each in rated if row == own[-1]]
    usual = {name: median([each for other, each in alike if other == name]) for name, _ in alike if name}
    best = min(usual, key=lambda name: usual[name])
    ratio = usual[precision] / usual[best] if usual[best] > 0 else 1.0
    return (best, ratio) if ratio >= FASTER else None
