"""voicekit.gpt: the step in the kernels' layouts beside the same layers by torch's operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voicekit import checkpoint, loading
from voicekit.gpt import LeanGPT
from voicekit.native import kernels

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("rows", [1, 5, 13])  # 13 are two blocks, one row of them padded
def test_a_native_step_is_torchs(tiny_checkpoint: Path, rows: int) -> None:
    ours, torchs = (steps(tiny_checkpoint, rows, native=native) for native in (True, False))
    error = float((ours - torchs).square().sum() / torchs.square().sum())
    assert 10 * torch.log10(torch.tensor(1 / error)) > 100.0


def test_control_a_row_that_hears_its_padding_is_seen(tiny_checkpoint: Path) -> None:
    ours, deaf = (steps(tiny_checkpoint, 5, native=True, padded=padded) for padded in (True, False))
    assert not float((ours - deaf).abs().max()) < 1e-3  # what nobody wrote there may be no number


@torch.inference_mode()
def steps(folder: Path, rows: int, *, native: bool, padded: bool = True) -> Any:
    """What rows of unequal texts think in three steps, [3, rows, width]."""
    here = kernels()
    if here is None:
        pytest.skip("this processor has no native kernels")
    xtts = loading.load_xtts(checkpoint.from_folder(folder))
    gpt = LeanGPT(xtts.gpt, torch.float32, here if native else None)
    assert gpt.arithmetic == ("native kernels" if native else "torch")
    source = torch.Generator().manual_seed(1)
    cache = gpt.hear(torch.randn(1, 32, gpt.width, generator=source)).for_rows(rows)
    gpt.read([torch.randn(4 + row, gpt.width, generator=source) for row in range(rows)], cache)
    if not padded:
        cache.start[:] = cache.voice
    return torch.stack([gpt.step(torch.randn(rows, gpt.width, generator=source), cache) for _ in range(3)])
