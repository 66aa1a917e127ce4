"""The machine's side of a model: torch imported, its threads set, and where the model runs. Knows no model."""

from __future__ import annotations

import os
from dataclasses import dataclass

from voicekit.errors import ModelUnavailable
from voicekit.loading import import_model

SPINS = "10000"  # turns, some 30 us, that a thread of GNU's OpenMP waits for the next work before it sleeps


@dataclass(frozen=True)
class Device:
    """Where the model runs, and why there."""

    name: str
    reason: str


def import_packages(threads: int | None = None) -> None:
    """Import torch and coqui's classes (1.5 s), and set torch's threads: never more than there are cores.

    Threads that share a core wait for each other by spinning: twice too many are many times slower. OpenMP's spin for
    milliseconds by default, in which another program's turn passes; with `SPINS` a step costs the same on an idle
    machine, and twice as much beside two busy programs instead of thirty times (bench/README.md).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch loads its OpenMP
    import_model()
    if threads:
        import torch

        torch.set_num_threads(min(threads, os.cpu_count() or 1))


def choose_device(wanted: str) -> Device:
    """Choose where to run: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        ModelUnavailable: the wanted device is not here, or torch cannot use it.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return Device("cuda:0", f"CUDA is available: {torch.cuda.get_device_name(0)}")
        if torch.backends.mps.is_available():
            return Device("mps", "Apple's GPU is available")
        built = "torch finds no CUDA GPU" if torch.version.cuda else "this torch is built for the CPU only"
        return Device("cpu", built)
    if wanted.startswith("cuda"):
        index = int(wanted.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise ModelUnavailable(
                f"There is no CUDA device {index}: torch {torch.__version__} sees {torch.cuda.device_count()}.",
                "Use --device auto, or install a torch built for your GPU.",
            )
        return Device(f"cuda:{index}", f"asked for: {torch.cuda.get_device_name(index)}")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ModelUnavailable("This machine has no Apple GPU that torch can use.", "Use --device auto.")
    return Device(wanted, "asked for")
