"""voicekit.native: the compiled kernels beside torch in float64, for both vector lengths."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from voicekit import native
from voicekit.native import Kernels, Unavailable, kernels
from voicekit.native_kernels import GELU

torch = pytest.importorskip("torch")

# 24 bits and 11 bits of a weight, less what the sums lose
EXACT_DB = {torch.float32: 110.0, torch.float16: 70.0}


@pytest.fixture(scope="module", params=[16, 8])
def compiled(request: pytest.FixtureRequest) -> Kernels:
    here = kernels()
    if here is None or here.lanes < request.param:
        pytest.skip("this processor has no native kernels of that length")
    return Kernels(lanes=request.param)


def source(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def snr_db(ours: Any, exact: Any) -> float:
    return float(10 * torch.log10(exact.square().sum() / (ours - exact).square().sum()))


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7, 10, 12, 13, 25, 40])
@pytest.mark.parametrize("stored", EXACT_DB)
def test_products_are_those_of_float64(compiled: Kernels, rows: int, stored: Any) -> None:
    x, weight, bias, onto = (torch.randn(shape, generator=source(number))
                             for number, shape in enumerate([(rows, 64), (64, 96), (96,), (rows, 96)]))  # fmt: skip
    panels = compiled.panels(weight, stored)
    exact = x.double() @ weight.double() + bias.double()
    assert snr_db(compiled.multiply(x, panels, bias), exact) > EXACT_DB[stored]
    summed = onto.clone()
    result = compiled.multiply(x, panels, bias, summed)
    assert result.data_ptr() == summed.data_ptr()
    assert snr_db(summed, exact + onto) > EXACT_DB[stored]


def test_a_row_is_the_same_to_the_bit_whatever_is_beside_it(compiled: Kernels) -> None:
    x, weight, bias = (torch.randn(shape, generator=source()) for shape in ((30, 64), (64, 64), (64,)))
    panels = compiled.panels(weight, torch.float16)
    alone = torch.cat([compiled.multiply(row[None], panels, bias) for row in x])
    assert torch.equal(compiled.multiply(x, panels, bias), alone)


def test_threads_share_the_work_and_change_nothing(compiled: Kernels) -> None:
    x, weight, bias = (torch.randn(shape, generator=source()) for shape in ((5, 64), (64, 160), (160,)))
    panels, before = compiled.panels(weight, torch.float32), torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(compiled.multiply(x, panels, bias))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], each) for each in results[1:])


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("stored", EXACT_DB)
def test_attention_is_torchs(compiled: Kernels, size: int, stored: Any) -> None:
    heard = attend(compiled, size, stored, voice=32)
    assert float((heard[0] - heard[1]).abs().max()) < 2e-6


def test_control_a_position_too_much_is_seen(compiled: Kernels) -> None:
    heard = attend(compiled, 16, torch.float32, voice=32, told=33)
    assert float((heard[0] - heard[1]).abs().max()) > 1e-3


def attend(compiled: Kernels, size: int, stored: Any, voice: int, told: int | None = None) -> tuple[Any, Any]:
    """Five rows that begin at different places: ours, and torch's in float64 with a mask."""
    rows, heads, length = 5, 4, 77
    keys, values = torch.randn(2, rows, heads, 128, size, generator=source(1)).to(stored)[..., :length, :]
    together = torch.randn(rows, 3 * heads * size, generator=source(2))  # as the GPT's first product leaves them
    queries = together[:, : heads * size].view(rows, heads, size)
    starts = torch.tensor([32, 40, 50, 76, 33])
    ours = torch.empty(3, heads * size, 2)  # blocks of two rows: the last has one
    compiled.attend(together, (keys, values), starts, voice if told is None else told, ours)
    ours = ours.transpose(1, 2).reshape(6, -1)[:rows]
    newest = together.view(rows, 3, heads, size)[:, 1:].to(stored)
    assert torch.equal(keys[:, :, -1], newest[:, 0]) and torch.equal(values[:, :, -1], newest[:, 1])
    at = torch.arange(length)
    hidden = (at >= voice) & (at < starts[:, None])
    bias = torch.zeros(hidden.shape, dtype=torch.float64).masked_fill(hidden, -torch.inf)[:, None, None]
    exact = torch.nn.functional.scaled_dot_product_attention(
        queries[:, :, None].double(), keys.double(), values.double(), attn_mask=bias
    )
    return ours.double(), exact.transpose(1, 2).reshape(rows, -1)


def test_scores_far_apart_neither_overflow_nor_vanish(compiled: Kernels) -> None:
    """The greatest score is 10,000 above the others: only its value is heard."""
    keys = torch.zeros(1, 1, 40, 16)
    keys[0, 0, 7] = 100.0
    values = torch.arange(40.0)[None, None, :, None].expand(1, 1, 40, 16).contiguous()
    together = torch.cat([torch.full((1, 16), 25.0), torch.zeros(1, 32)], dim=1)
    heard = torch.empty(1, 16, 1)
    compiled.attend(together, (keys, values), torch.tensor([32]), 32, heard)
    assert torch.equal(heard, torch.full((1, 16, 1), 7.0))


@pytest.mark.parametrize("rows", [1, 5, 12, 25])
def test_gelu_is_torchs_and_lies_in_blocks(compiled: Kernels, rows: int) -> None:
    x, weight, bias = (torch.randn(shape, generator=source(number))
                       for number, shape in enumerate([(rows, 64), (64, 96), (96,)]))  # fmt: skip
    bias *= 30.0  # far from zero, too
    blocks, block = compiled.blocks(rows)
    outputs = torch.empty(blocks, 96, block)
    compiled.product(in_blocks(x, blocks, block), compiled.panels(weight, torch.float32), bias, outputs, GELU)
    exact = torch.nn.functional.gelu(x.double() @ weight.double() + bias.double(), approximate="tanh")
    assert snr_db(in_rows(outputs)[:rows], exact) > EXACT_DB[torch.float32]


@pytest.mark.parametrize("rows", [1, 5, 12, 25])
def test_norms_are_torchs_and_lie_in_blocks(compiled: Kernels, rows: int) -> None:
    x, weight, bias = (torch.randn(shape, generator=source(number))
                       for number, shape in enumerate([(rows, 96), (96,), (96,)]))  # fmt: skip
    x = (3.0 + x) * torch.logspace(-3, 3, rows)[:, None]
    blocks, block = compiled.blocks(rows)
    outputs = torch.zeros(blocks, 96, block)
    compiled.norm(x, weight, bias, 1e-5, outputs)
    exact = torch.nn.functional.layer_norm(x.double(), (96,), weight.double(), bias.double(), 1e-5)
    assert snr_db(in_rows(outputs)[:rows], exact) > EXACT_DB[torch.float32]


def in_blocks(x: Any, blocks: int, block: int) -> Any:
    padded = torch.cat([x, torch.zeros(blocks * block - len(x), x.shape[1])])
    return padded.view(blocks, block, -1).transpose(1, 2).contiguous()


def in_rows(blocked: Any) -> Any:
    return blocked.transpose(1, 2).reshape(-1, blocked.shape[1])


def test_what_does_not_fit_is_said(compiled: Kernels) -> None:
    assert compiled.fits(64, 2 * compiled.lanes * 3)
    assert not compiled.fits(64, 2 * compiled.lanes * 3 + 1)
    assert not compiled.fits(compiled.lanes - 1, 2 * compiled.lanes)


def test_another_processor_has_none_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(native.platform, "machine", lambda: "riscv64")
    kernels.cache_clear()
    try:
        with caplog.at_level(logging.INFO):
            assert kernels() is None
        assert "riscv64" in caplog.text
        with pytest.raises(Unavailable, match="riscv64"):
            Kernels()
    finally:
        kernels.cache_clear()
