"""Compile the kernels of `voicekit.native_kernels` for this processor, and run them on torch's own threads.

llvmlite comes with librosa's numba and compiles a kernel in some 20 ms. The threads are those of the OpenMP that torch
has loaded: a second set of threads would take the cores from the first. Where one of the two is missing (another
system, another processor), `kernels()` is None, and whoever asks uses torch's operators.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicekit import native_code, native_kernels
from voicekit.native_kernels import ADD, ROWS, STORE

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_FEATURES = {16: ("avx512f",), 8: ("avx2", "fma", "f16c")}  # what vectors of so many float32 values need


class Unavailable(Exception):
    """Native kernels cannot run here; the text says why."""


@functools.cache
def kernels() -> Kernels | None:
    """The kernels of this process; None where they cannot be had, which the log explains once."""
    try:
        return Kernels()
    except Unavailable as reason:
        logger.info("Native kernels: none (%s)", reason)
        return None


class Kernels:
    """Products, norms and attention on float32 inputs, with weights and caches of float32 or float16.

    lanes: float32 values in a vector, 8 or 16; None chooses what the processor has.
    """

    def __init__(self, lanes: int | None = None) -> None:
        self.lanes = lanes or _lanes()
        self._openmp = _openmp()
        self._engines: list[Any] = []  # code lives as long as its engine
        self._compiled: dict[tuple[Any, ...], int] = {}
        _introduce(self._openmp)
        self._address("attention", 4 * self.lanes, "float32")  # now, if it cannot be compiled

    @property
    def panel_width(self) -> int:
        """Columns of a weight matrix that lie together."""
        return 2 * self.lanes

    def fits(self, depth: int, width: int) -> bool:
        """Whether a matrix [depth, width], or heads of size `depth`, are whole vectors."""
        return width % self.panel_width == 0 and depth % self.lanes == 0

    def takes(self, dtype: torch.dtype) -> bool:
        """Whether weights and caches may be of this type."""
        return _name(dtype) in native_code.STORED

    def panels(self, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """A matrix [depth, width] cut into panels: [panels, depth, panel width], contiguous."""
        depth, width = weight.shape
        return weight.to(dtype).view(depth, width // self.panel_width, self.panel_width).transpose(0, 1).contiguous()

    def blocks(self, rows: int) -> tuple[int, int]:
        """In how many blocks so many rows go through a matrix, and of how many rows each: the last may be padded."""
        blocks = -(-rows // ROWS[-1])
        return blocks, next(each for each in ROWS if each * blocks >= rows)

    def multiply(
        self, x: torch.Tensor, panels: torch.Tensor, bias: torch.Tensor, onto: torch.Tensor | None = None
    ) -> torch.Tensor:
        """x W + bias, float32 [rows, depth] -> [rows, width]; `onto` (contiguous) gets it added, in place."""
        rows = len(x)
        blocks, block = self.blocks(rows)
        whole = blocks * block == rows
        outputs = onto if onto is not None and whole else x.new_empty((blocks * block, len(bias)))
        self.product(_in_blocks(x, blocks, block), panels, bias, outputs, ADD if outputs is onto else STORE)
        if whole:
            return outputs
        return outputs[:rows] if onto is None else onto.add_(outputs[:rows])

    def product(
        self, inputs: torch.Tensor, panels: torch.Tensor, bias: torch.Tensor, outputs: torch.Tensor, finish: int = STORE
    ) -> None:
        """x W + bias, with x in blocks: float32 [blocks, depth, block].

        Args:
            inputs, panels, bias, outputs: contiguous.
            outputs: float32 [blocks * block, width]; with GELU [blocks, width, block].
            finish: STORE, ADD or GELU of `voicekit.native_kernels`.
        """
        blocks, depth, block = inputs.shape
        address = self._address("linear", block, _name(panels.dtype))
        self.run(address, inputs, panels, bias, outputs, depth, len(bias), len(panels), blocks, finish)

    def norm(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, epsilon: float, outputs: torch.Tensor
    ) -> None:
        """Each row's layer norm: contiguous float32 [rows, width] -> [blocks, width, block]."""
        address = self._address("norm", epsilon, "float32")
        self.run(address, x, weight, bias, outputs, *x.shape, outputs.shape[2])

    def attend(
        self, qkv: torch.Tensor, cache: tuple[torch.Tensor, torch.Tensor], starts: torch.Tensor, voice: int,
        outputs: torch.Tensor,
    ) -> None:  # fmt: skip
        """The newest position of each row enters the cache, at its end, and hears what the cache holds.

        Args:
            qkv: contiguous float32 [rows or more, 3, heads * size].
            cache: keys and values, each [rows, heads, length, size] of float32 or float16; positions lie behind
                each other.
            starts: int64 [rows]; positions from `voice` up to a row's start are padding.
            outputs: float32 [blocks, heads * size, block].
        """
        keys, values = cache
        rows, heads, length, size = keys.shape
        room = length + 2 * self.lanes
        scores = qkv.new_empty(_threads() * room)
        address = self._address("attention", size, _name(keys.dtype))
        self.run(address, qkv, keys, values, outputs, starts, scores, rows, heads,
                 keys.stride(0), keys.stride(1), voice, length, room, outputs.shape[2])  # fmt: skip

    def run(self, address: int, *arguments: torch.Tensor | int) -> None:
        """Call compiled code on all of torch's threads; tensors are handed over as addresses, contiguous ones."""
        values = [each if isinstance(each, int) else each.data_ptr() for each in arguments]
        packed = (ctypes.c_int64 * len(values))(*values)
        self._openmp.GOMP_parallel(address, ctypes.addressof(packed), _threads(), 0)

    def _address(self, kind: str, size: float, stored: str) -> int:
        key = (kind, size, stored)
        if key not in self._compiled:
            self._compiled[key] = self.compile(getattr(native_kernels, kind)(size, self.lanes, stored))
        return self._compiled[key]

    def compile(self, source: str) -> int:
        """Machine code of LLVM text for this processor; the address of its function `run`."""
        import llvmlite.binding as llvm

        target = _target()  # the engine owns it: one for each
        module = llvm.parse_assembly(source)
        module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
        passes = llvm.create_pass_builder(target, options)
        passes.getModulePassManager().run(module, passes)
        engine = llvm.create_mcjit_compiler(module, target)
        engine.finalize_object()
        self._engines.append(engine)
        return int(engine.get_function_address("run"))


def _in_blocks(x: torch.Tensor, blocks: int, block: int) -> torch.Tensor:
    """[rows, depth] -> [blocks, depth, block]; rows that are missing are zeros."""
    from torch.nn.functional import pad

    if blocks * block > len(x):
        x = pad(x, (0, 0, 0, blocks * block - len(x)))
    return x.view(blocks, block, x.shape[1]).transpose(1, 2).contiguous()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _lanes() -> int:
    """Raises: Unavailable."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise Unavailable(f"the processor is {platform.machine() or 'unknown'}, not x86-64")
    try:
        import llvmlite.binding as llvm
    except (ImportError, OSError) as error:
        raise Unavailable(f"llvmlite cannot be imported: {error}") from error
    has = llvm.get_host_cpu_features()
    for lanes, features in _FEATURES.items():
        if all(has.get(feature) for feature in features):
            return lanes
    raise Unavailable("the processor has neither AVX-512 nor AVX2 with FMA and F16C")


def _openmp() -> ctypes.CDLL:
    """The OpenMP library that torch has loaded. Raises: Unavailable."""
    import torch

    mapped = Path("/proc/self/maps")
    if not (torch.backends.openmp.is_available() and mapped.exists()):  # type: ignore[no-untyped-call]
        raise Unavailable("torch runs without OpenMP, or this system does not tell which one it has loaded")
    names = {line.split()[-1] for line in mapped.read_text("utf-8", errors="replace").splitlines() if "omp" in line}
    for name in sorted(names):
        if Path(name).name.startswith(("libgomp", "libomp", "libiomp")):
            library = ctypes.CDLL(name)
            if hasattr(library, "GOMP_parallel"):
                library.GOMP_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
                library.GOMP_parallel.restype = None
                return library
    raise Unavailable("torch's OpenMP library is not found")


def _introduce(openmp: ctypes.CDLL) -> None:
    """Tell LLVM of this processor, and where the functions are that the kernels call."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name in ("omp_get_thread_num", "omp_get_num_threads"):
        llvm.add_symbol(name, ctypes.cast(getattr(openmp, name), ctypes.c_void_p).value)


def _target() -> Any:
    import llvmlite.binding as llvm

    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
    )
