"""x W + b in the layouts that are fast for a few rows: which one a matrix gets, and what it costs in precision.

| layout   | where                                 | weights             | arithmetic                |
|----------|---------------------------------------|---------------------|---------------------------|
| stored   | anywhere                              | float32, as mapped  | float32                   |
| panelled | CPUs that `voicekit.native` knows     | float32 or float16  | float32                   |
| packed   | CPUs with bfloat16 in oneDNN          | bfloat16            | bfloat16, float32 sums    |
| turned   | anywhere                              | bfloat16 or float16 | the device's              |

float16 keeps three bits more of a weight than bfloat16: beside float32 a product is 79 instead of 61 dB exact.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicekit.kept_weights import NOTHING_KEPT, KeptWeights
from voicekit.native import Kernels

if TYPE_CHECKING:
    import torch

ROWS_EXPECTED = 16  # in a step, for oneDNN's choice of a layout
GivenBack = Callable[["list[torch.Tensor]"], None]


@dataclass(frozen=True, eq=False)
class Matrix:
    """x W + b; weight: float32 [depth, width], as GPT-2's files hold it; bias: [width]. Others change the layout."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[rows, depth] -> [rows, width]."""
        import torch

        return torch.addmm(self.bias, x, self.weight)

    def add(self, x: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        """onto + x W + b, float32 [rows, width]; `onto` may be written to."""
        return onto.add_(self(x))

    @property
    def nbytes(self) -> int:
        """Bytes of the weights and the bias."""
        return self.weight.numel() * self.weight.element_size() + int(self.bias.nbytes)  # oneDNN's tells no bytes


@dataclass(frozen=True, eq=False)
class Panelled(Matrix):
    """weight: float32 or float16 [panels, depth, panel width] for `kernels`."""

    kernels: Kernels

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.kernels.multiply(x, self.weight, self.bias)

    def add(self, x: torch.Tensor, onto: torch.Tensor) -> torch.Tensor:
        return self.kernels.multiply(x, self.weight, self.bias, onto)


@dataclass(frozen=True, eq=False)
class Turned(Matrix):
    """weight: [width, depth] of a narrow type, or what oneDNN made of it, in which every product is."""

    packed: bool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        import torch

        x = x.to(self.bias.dtype)
        if not self.packed:
            return torch.nn.functional.linear(x, self.weight, self.bias)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return product


@dataclass(frozen=True)
class Layout:
    """Which layout matrices get.

    dtype: of the weights. kernels: None where they cannot run. given_back: is handed each weight that was copied.
    kept: where an earlier run may have left panels.
    """

    dtype: torch.dtype
    kernels: Kernels | None
    given_back: GivenBack = lambda _: None
    kept: KeptWeights = NOTHING_KEPT

    def matrix(self, module: Any, name: str) -> Matrix:
        """The matrix of a module's `weight` [depth, width] and `bias`, which has this name among all."""
        weight, bias, kernels = module.weight.detach(), module.bias.detach(), self.kernels
        if kernels and kernels.takes(self.dtype) and kernels.fits(*weight.shape):
            panels = self.kept(name, functools.partial(kernels.panels, weight, self.dtype))
            self.given_back([weight])
            return Panelled(panels, bias, kernels)
        if weight.dtype == self.dtype:
            return Matrix(weight, bias)
        turned = weight.to(self.dtype).t().contiguous()
        packed = _packed(turned)
        self.given_back([weight])
        return Turned(turned if packed is None else packed, bias.to(self.dtype), packed is not None)


def _packed(weight: torch.Tensor) -> torch.Tensor | None:
    """A bfloat16 matrix in oneDNN's own layout, if this processor and this torch have it (torch's compiler uses it)."""
    import torch

    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu":
        return None
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return None
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS_EXPECTED)
    except (AttributeError, RuntimeError):  # operators that another torch does not have, or does not build in
        return None
    return packed
