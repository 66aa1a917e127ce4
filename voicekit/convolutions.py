"""Convolutions of a network that only speaks: three ways to run the same, the fastest that is there.

The weights do not change, so they are laid out once: transformed for the native kernels, which need half of the
multiplications; packed by oneDNN, which then runs near the processor's peak (torch's own compiler calls the same
operators); or left to torch's conv1d (CUDA, ARM, another torch). The first two want channels-last: the channels of a
step lie side by side. Which of them is chosen, `Arithmetic` says; what the convolutions are for, nobody here knows.
"""

from __future__ import annotations

import functools
import platform
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicekit.kept_weights import NOTHING_KEPT, KeptWeights
from voicekit.native import kernels
from voicekit.native_convolution import GROUP, TILINGS, matrices, scratch_rows, source

if TYPE_CHECKING:
    import torch

    from voicekit.native import Kernels

STEPS_EXPECTED = 2048  # that a convolution runs over, for oneDNN's choice of a layout


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution over [1, channels, steps], in any memory layout."""

    weight: torch.Tensor  # [out, in, taps]
    bias: torch.Tensor | None
    padding: int
    dilation: int = 1

    def __call__(self, x: torch.Tensor, slope: float | None = None, *, before: float | None = None) -> torch.Tensor:
        """Convolve; slopes are those of a leaky ReLU that follows, and of one before."""
        from torch.nn.functional import conv1d, leaky_relu

        x = x if before is None else leaky_relu(x, before)
        y = conv1d(x, self.weight, self.bias, padding=self.padding, dilation=self.dilation)
        return y if slope is None else leaky_relu(y, slope, inplace=True)

    def add_to(self, total: torch.Tensor, x: torch.Tensor, *, copy: bool = False) -> torch.Tensor:
        """Add the convolution of x to a total, in place or to a copy; the sum."""
        return total + self(x) if copy else total.add_(self(x))


@dataclass(frozen=True, eq=False)
class PackedConvolution(Convolution):
    """The same by oneDNN, over tensors that are channels-last; what follows is done before a result leaves registers.

    weight: in oneDNN's own layout.
    """

    def __call__(self, x: torch.Tensor, slope: float | None = None, *, before: float | None = None) -> torch.Tensor:
        """Convolve; slopes are those of a leaky ReLU that follows, and of one before."""
        import torch
        from torch.nn.functional import leaky_relu

        x = x if before is None else leaky_relu(x, before)
        follows = ("none", [], "") if slope is None else ("leaky_relu", [slope], "")
        y: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
            _image(x), self.weight, self.bias, *_geometry(self), *follows
        )
        return y.squeeze(2)

    def add_to(self, total: torch.Tensor, x: torch.Tensor, *, copy: bool = False) -> torch.Tensor:
        """Add the convolution of x to a total, in place or to a copy; the sum."""
        import torch

        total = total.clone() if copy else total
        torch.ops.mkldnn._convolution_pointwise_.binary(
            _image(total), _image(x), self.weight, self.bias, *_geometry(self), "add", None, None, [], None
        )
        return total


@dataclass(frozen=True, eq=False)
class NativeConvolution(Convolution):
    """The same by a native kernel, over tensors that are channels-last: one pass over memory, whatever is beside it.

    weight: transformed for `run`; bias: not None.
    """

    run: Convolver = field(kw_only=True)

    def __call__(self, x: torch.Tensor, slope: float | None = None, *, before: float | None = None) -> torch.Tensor:
        """Convolve; slopes are those of a leaky ReLU that follows, and of one before."""
        slopes = (1.0 if each is None else each for each in (before, slope))
        return _channels(self.run(_rows(x), self.weight, self._bias(), self.dilation, slopes=tuple(slopes)))

    def add_to(self, total: torch.Tensor, x: torch.Tensor, *, copy: bool = False) -> torch.Tensor:
        """Add the convolution of x to a total, in place or to a copy; the sum."""
        added = _rows(total)
        if not copy and added.data_ptr() != total.data_ptr():  # another layout: it was copied
            return super().add_to(total, x)
        outputs = None if copy else added
        return _channels(self.run(_rows(x), self.weight, self._bias(), self.dilation, added=added, outputs=outputs))

    def _bias(self) -> torch.Tensor:
        assert self.bias is not None
        return self.bias


def _geometry(convolution: Convolution) -> tuple[list[int], list[int], list[int], int]:
    """Padding, stride, dilation and groups, of an image of one row."""
    return [0, convolution.padding], [1, 1], [1, convolution.dilation], 1


def _image(x: torch.Tensor) -> torch.Tensor:
    """[1, channels, steps] -> [1, channels, 1, steps], with the strides by which torch knows channels-last."""
    return x.transpose(1, 2).unsqueeze(1).permute(0, 3, 1, 2)


def _rows(x: torch.Tensor) -> torch.Tensor:
    """[1, channels, steps] -> [steps, channels], contiguous: of channels-last the same memory."""
    return x[0].t().contiguous()


def _channels(rows: torch.Tensor) -> torch.Tensor:
    """[steps, channels] -> [1, channels, steps], of the same memory."""
    return rows.t().unsqueeze(0)


@dataclass(frozen=True)
class Arithmetic:
    """Which ways are open: native kernels where a convolution fits them, then oneDNN's operators, then conv1d.

    kept: what an earlier run transformed for native kernels.
    """

    kernels: Kernels | None
    packs: bool
    kept: KeptWeights = NOTHING_KEPT

    def __str__(self) -> str:
        ways = ["native kernels"] * (self.kernels is not None) + ["oneDNN" if self.packs else "conv1d"]
        return ", ".join(ways)

    def lay_out(self, convolution: Convolution, name: str) -> Convolution:
        """The same convolution, which has this name among all, in the fastest way."""
        if self.kernels is not None and fits(convolution, self.kernels):
            return transform(convolution, self.kernels, self.kept, name)
        return pack(convolution) if self.packs else convolution


def arithmetic_for(weight: torch.Tensor, kept: KeptWeights = NOTHING_KEPT) -> Arithmetic:
    """What there is for weights such as this one, where it lies."""
    import torch

    if (weight.device.type, weight.dtype) != ("cpu", torch.float32):
        return Arithmetic(None, packs=False)
    return Arithmetic(kernels(), can_pack(weight), kept)


def fits(convolution: Convolution, kernels: Kernels) -> bool:
    """Whether a native kernel can run it: whole panels of channels, and as many steps and channels as before."""
    out, width, taps = convolution.weight.shape
    keeps = out == width and convolution.padding == convolution.dilation * (taps // 2)
    return keeps and taps in TILINGS and kernels.fits(width, out) and convolution.bias is not None


def transform(
    convolution: Convolution, kernels: Kernels, kept: KeptWeights = NOTHING_KEPT, name: str = ""
) -> Convolution:
    """The same convolution by a native kernel."""
    run = convolver(kernels, convolution.weight.shape[2])
    weight = kept(name, functools.partial(run.transformed, convolution.weight))
    return NativeConvolution(weight, convolution.bias, convolution.padding, convolution.dilation, run=run)


def can_pack(weight: torch.Tensor) -> bool:
    """Whether oneDNN's operators are there and fast for this weight: float32 on an x86 processor."""
    import torch

    if (weight.device.type, weight.dtype) != ("cpu", torch.float32) or platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        convolution = pack(Convolution(weight.new_ones(1, 1, 1), None, 0))
        x = weight.new_ones(1, 1, 1)
        convolution.add_to(x, convolution(x, 0.5))
    except (AttributeError, RuntimeError):  # operators that another torch does not have
        return False
    return float(x) == 2.0


def pack(convolution: Convolution) -> Convolution:
    """The same convolution by oneDNN's operators."""
    import torch

    rows = convolution.weight.unsqueeze(2).contiguous()
    padding, stride, dilation, groups = _geometry(convolution)
    expected = [1, rows.shape[1], 1, STEPS_EXPECTED]
    weight = torch.ops.mkldnn._reorder_convolution_weight(rows, padding, stride, dilation, groups, expected)
    return PackedConvolution(weight, convolution.bias, convolution.padding, convolution.dilation)


# --- native kernels -------------------------------------------------------------------------------------------


class Convolver:
    """Convolutions with one number of taps, of [steps, channels] float32 that keep their length.

    Args:
        kernels: what compiles and calls.
        taps: a key of `TILINGS`.
    """

    def __init__(self, kernels: Kernels, taps: int) -> None:
        self._kernels, self._tiling, self._taps = kernels, TILINGS[taps], taps
        self._rows = GROUP[kernels.lanes]
        self._address = kernels.compile(source(self._tiling, kernels.lanes))

    def transformed(self, weight: torch.Tensor) -> torch.Tensor:
        """A weight [out, in, taps] at the points: [points, panels, pieces, in, panel width], contiguous."""
        import torch
        from torch.nn.functional import pad

        tiling, width = self._tiling, self._kernels.panel_width
        pieces = pad(weight, (0, tiling.pieces * tiling.taps - self._taps)).double()
        pieces = pieces.view(-1, width, weight.shape[1], tiling.pieces, tiling.taps)
        evaluated = torch.from_numpy(matrices(tiling)[1])
        return torch.einsum("nr,qwipr->nqpiw", evaluated, pieces).float().contiguous()

    def __call__(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, dilation: int = 1, *,
        slopes: tuple[float, ...] = (1.0, 1.0), added: torch.Tensor | None = None, outputs: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """Convolve [steps, channels]; all tensors are contiguous.

        Args:
            weight: as `transformed` makes it.
            slopes: of a leaky ReLU before and of one behind; 1 is none.
            added: is added to the result; may be `outputs`.
            outputs: where the result is written; None: a new tensor.
        """
        import torch

        assert all(each.is_contiguous() for each in (x, bias, added, outputs) if each is not None)
        (steps, channels), tiling = x.shape, self._tiling
        tiles = -(-steps // (dilation * tiling.outputs)) + tiling.pieces - 1  # of a phase; the last is read ahead
        groups = -(-dilation * tiles // self._rows)
        room = scratch_rows(tiling, self._kernels.lanes) * channels
        scratch = x.new_empty((torch.get_num_threads(), room))
        outputs = torch.empty_like(x) if outputs is None else outputs
        self._kernels.run(
            self._address, x, weight, bias, outputs, 0 if added is None else added, scratch, room, steps, channels,
            dilation, dilation * (self._taps // 2), tiles, groups, *map(_bits, slopes),
        )  # fmt: skip
        return outputs


@functools.cache
def convolver(kernels: Kernels, taps: int) -> Convolver:
    """The kernel for so many taps, compiled once a process."""
    return Convolver(kernels, taps)


def _bits(number: float) -> int:
    """A float32 as the integer that has its bits."""
    return int(struct.unpack("<i", struct.pack("<f", number))[0])
