"""Meters of work and memory that count instead of timing: the same numbers on every machine, however busy it is.

``count_python`` follows Python and NumPy: every line that is executed, every value that is handed to a Python function
in an array, and every byte that a line newly holds, which is how operators and NumPy's own loops show. It cannot see
what one call into C does without handing on or making an array: backtracking in a regular expression, a sort, what a
compiled network does with its input, arithmetic in place. ``Networks`` counts what networks are given.
Nor does an exponent show a term that grows faster while it is a few per cent of the whole at the sizes counted.

``count_torch`` follows torch below its modules, operation by operation: multiply-adds by torch's own formulas, and the
values read and written, so that copying a cache counts too; and the storages that are alive. It cannot see the scratch
memory of one operation.

What is held is counted from the start of the run: the input, made before, is not in it, the result is.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import sys
import tracemalloc
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop

LINE_VALUES = 30  # a line of Python takes about as long as so many float32 values in NumPy
VALUE_BYTES = 4
SMALL_BYTES = 512  # numbers, frames, the meter's own objects: their line stands for them
NOTHING_BYTES = 2**14  # under this is bookkeeping: of the meter, of caches
PROCESS_RUNS = 5


@dataclass(frozen=True)
class Work:
    """What one run did: steps (values handled or multiplied, lines counted as such), and bytes held at its peak."""

    steps: float
    held_bytes: float


def growth(sizes: Sequence[float], counts: Sequence[float]) -> float:
    """The exponent of counts that grow as a power of the size: the slope of the line through their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(counts), 1)[0])


def memory(work: Work) -> float:
    """The bytes held, those under a bound as the bound: a few objects more or less are no growth."""
    return max(work.held_bytes, NOTHING_BYTES)


# --- Python and NumPy --------------------------------------------------------------------------------


def count_python(run: Callable[[], object]) -> Work:
    """The work of a run in this thread. Run it once before, so that imports and caches are not counted."""
    meter = _PythonMeter()
    before = sys.gettrace()
    gc.collect()
    tracemalloc.start()
    try:
        meter.begin()
        sys.settrace(meter.trace)
        result = run()
        sys.settrace(before)
        meter.look()
    finally:
        sys.settrace(before)
        tracemalloc.stop()
    del result
    return Work(LINE_VALUES * meter.lines + meter.handed + meter.made_bytes / VALUE_BYTES, meter.highest_bytes)


class _PythonMeter:
    """Looks at memory at every line, call and return; what was held at most since the last look was made by it."""

    def __init__(self) -> None:
        self.lines = self.handed = self.made_bytes = 0
        self._first = self._latest = self._highest = 0

    @property
    def highest_bytes(self) -> int:
        return self._highest - self._first

    def begin(self) -> None:
        self._first = self._latest = self._highest = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()

    def look(self) -> None:
        held, peak = tracemalloc.get_traced_memory()
        if peak - self._latest >= SMALL_BYTES:
            self.made_bytes += peak - self._latest
        if peak > self._highest:
            self._highest = peak
        self._latest = held
        if peak > held:
            tracemalloc.reset_peak()

    def trace(self, frame: types.FrameType, event: str, _: object) -> Callable[..., Any]:
        self.look()
        if event == "line":
            self.lines += 1
        elif event == "call" and not frame.f_code.co_flags & inspect.CO_GENERATOR:  # one is called at every step
            given, code = frame.f_locals, frame.f_code
            self.handed += sum(_values_in(given.get(name)) for name in code.co_varnames[: _parameters(code)])
        return self.trace


def _parameters(code: types.CodeType) -> int:
    starred = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + starred


def _values_in(argument: object) -> int:
    """How many values an argument of a call holds: an array's, those of the arrays in a list, a text's characters."""
    if isinstance(argument, np.ndarray):
        return _distinct(argument)
    if isinstance(argument, (str, bytes)):
        return len(argument)
    if isinstance(argument, (list, tuple)) and argument and isinstance(argument[0], np.ndarray):
        return sum(_distinct(each) for each in argument if isinstance(each, np.ndarray))
    return 0


def _distinct(array: np.ndarray[Any, Any]) -> int:
    """The values of an array; of windows that overlap in memory each value once."""
    reach = 1 + sum((length - 1) * abs(step) for length, step in zip(array.shape, array.strides, strict=True))
    return min(array.size, reach // array.itemsize + 1) if array.size else 0


# --- the process and networks ------------------------------------------------------------------------


def count_process(run: Callable[[], object]) -> Work:
    """What the system saw: bytes that were read by calls (not by mapping), and memory of its own that is left.

    Whatever C or C++ does shows here, if its result is kept; of five runs the middle one, for allocators and threads
    that ran before take and give back pages when they like. Linux only: elsewhere both are 0.
    """
    return sorted((_count_process(run) for _ in range(PROCESS_RUNS)), key=memory)[PROCESS_RUNS // 2]


def _count_process(run: Callable[[], object]) -> Work:
    gc.collect()
    _give_back_what_is_free()
    before_read, before_held = _read_bytes(), _own_bytes()
    result = run()
    read, held = _read_bytes() - before_read, max(0, _own_bytes() - before_held)
    del result
    return Work((read + held) / VALUE_BYTES, held)


def _give_back_what_is_free() -> None:
    """Memory that glibc keeps for later would take what the run allocates, and nothing would grow."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def _read_bytes() -> int:
    try:
        return int(Path("/proc/self/io").read_text().split()[1])  # rchar
    except OSError:
        return 0


def _own_bytes() -> int:
    """Resident pages that belong to no file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)


class Networks:
    """A network's session that counts: how often it was run, on how many values, and how many at once at most."""

    def __init__(self) -> None:
        self.runs = self.values = self.most_values = 0

    def around(self, session: Any) -> Any:
        """The session, counted; whatever else is asked of it, it answers itself."""
        return _CountedSession(session, self)


class _CountedSession:
    def __init__(self, session: Any, networks: Networks) -> None:
        self._session, self._networks = session, networks

    def run(self, names: Any, feed: dict[str, Any]) -> Any:
        values = sum(np.size(each) for each in feed.values())
        self._networks.runs += 1
        self._networks.values += values
        self._networks.most_values = max(self._networks.most_values, values)
        return self._session.run(names, feed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


# --- torch -------------------------------------------------------------------------------------------


def count_torch(run: Callable[[], object]) -> Work:
    """The work of a run's tensors, on whatever device they lie, meta included."""
    gc.collect()
    meter = _TorchMeter()
    with meter:
        result = run()
    del result
    return Work(meter.multiply_adds + meter.values, meter.highest_bytes)


class _TorchMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation that is left when modules and compound operations have been taken apart."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.multiply_adds = self.values = self.held_bytes = self.highest_bytes = 0
        self._storages: dict[int, int] = {}  # alive: its address -> the bytes that it counts for
        self._compound: dict[Any, bool] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._is_compound(func):
            with self:  # its parts come here one by one
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        given = [*_tensors(args), *_tensors(kwargs.values())]
        for tensor in given:
            self._know(tensor, ours=False)
        out = func(*args, **kwargs)
        made = [*_tensors((out,))]
        if not func.is_view:
            self.values += sum(tensor.numel() for tensor in (*given, *made))
            self.multiply_adds += _multiply_adds(func, args, kwargs, out)
        for tensor in made:
            self._know(tensor, ours=True)
        return out

    def _is_compound(self, func: Any) -> bool:
        if func not in self._compound:
            self._compound[func] = func._can_decompose()
        return self._compound[func]

    def _know(self, tensor: torch.Tensor, *, ours: bool) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._storages:
            self._storages[key] = storage.nbytes() if ours else 0
            self.held_bytes += self._storages[key]
            self.highest_bytes = max(self.highest_bytes, self.held_bytes)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.held_bytes -= self._storages.pop(key)


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _multiply_adds(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    packet = func.overloadpacket
    if packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:  # torch has no formula for it
        return int(sdpa_flop(args[0].shape, args[1].shape, args[2].shape)) // 2
    formula = flop_registry.get(packet)
    return int(formula(*args, **kwargs, out_val=out)) // 2 if formula else 0
