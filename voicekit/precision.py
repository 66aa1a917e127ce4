"""Which precision the GPT's layers get where nobody asked for one: the fastest that this machine does natively.

On a CPU it is measured, once a machine: the product of a few rows with matrices that are larger than most caches, which
is what a decode step is made of. The figures are kept in the user's cache and told. What each precision costs in
quality is measured in tests/test_precisions.py; all of them pass its bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicekit import machine, remembered
from voicekit.matrices import Layout
from voicekit.native import kernels

if TYPE_CHECKING:
    import torch

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
REMEMBERED = "precision"
CLEARLY = 1.1  # so much faster than float32 a narrower precision must be
_SIDE, _MATRICES, _ROWS, _REPEATS = 4096, 3, 8, 5  # 200 MB in float32; a minimum of five


@dataclass(frozen=True)
class Chosen:
    """A precision of `PRECISIONS`, without auto, and why."""

    name: str
    reason: str


def choose(wanted: str, device: str) -> Chosen:
    """The precision for a device: what is wanted, or for `auto` the fastest (see the module)."""
    if wanted != "auto":
        return Chosen(wanted, "asked for")
    if device.startswith("cuda"):
        import torch

        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Chosen("bfloat16", "native on this GPU") if native else Chosen("float16", "this GPU has no bfloat16")
    if device == "cpu":
        return fastest(_remembered(_measure))
    return Chosen("float32", f"no other is known to be faster on {device}")


def fastest(milliseconds: Mapping[str, float]) -> Chosen:
    """The fastest precision by what each took for the same products; float32 unless another is clearly faster."""
    wide = milliseconds["float32"]
    best = min(milliseconds, key=lambda name: milliseconds[name])
    if wide < CLEARLY * milliseconds[best]:
        return Chosen("float32", "no narrower one is clearly faster here")
    return Chosen(best, f"the fastest here: {wide / milliseconds[best]:.1f} times as fast as float32")


def _remembered(measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What was measured on this machine with this torch; measured now where it was not."""
    import torch

    key = f"{machine.about()['id']} {torch.__version__}"
    known = remembered.read(REMEMBERED)
    if not _is_measurement(known.get(key)):
        known[key] = measure()
        remembered.write(REMEMBERED, known)
    found: dict[str, float] = known[key]
    return found


def _is_measurement(found: object) -> bool:
    return (
        isinstance(found, dict)
        and "float32" in found
        and all(name in PRECISIONS and isinstance(taken, float) and taken > 0 for name, taken in found.items())
    )


def _measure() -> dict[str, float]:
    """Milliseconds of one core for the same products, by precision; the least of several turns.

    By the thread's own clock: threads that wait for each other on a busy machine would tell of nothing else.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _taken()
    finally:
        torch.set_num_threads(threads)


def _taken() -> dict[str, float]:
    import torch

    weight, bias = torch.ones(_SIDE, _SIDE), torch.zeros(_SIDE)
    taken: dict[str, float] = {}
    with torch.inference_mode():
        for name in ("float32", "float16", "bfloat16"):
            if name != "float32" and not _is_native(name):
                continue
            module = _Module(weight, bias)
            layout = Layout(getattr(torch, name), kernels())
            matrices = [layout.matrix(module, "") for _ in range(_MATRICES)]
            taken[name] = 1e3 * min(_turn(matrices, torch.ones(_ROWS, _SIDE)) for _ in range(_REPEATS))
    return taken


@dataclass(frozen=True, eq=False)
class _Module:
    weight: torch.Tensor
    bias: torch.Tensor


def _is_native(name: str) -> bool:
    """float16 needs our kernels, bfloat16 the processor's own instructions: emulated, both are slower than float32."""
    import torch

    if name == "float16":
        return kernels() is not None
    with suppress(AttributeError, RuntimeError):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def _turn(matrices: list[Any], x: torch.Tensor) -> float:
    start = time.thread_time()
    for matrix in matrices:
        matrix(x)
    return time.thread_time() - start
