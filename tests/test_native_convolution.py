"""The Toom-Cook kernels beside torch's convolution in float64, for both vector lengths; an error would show."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from voicekit.convolutions import Arithmetic, Convolution, Convolver, NativeConvolution, convolver, fits, transform
from voicekit.native import Kernels, kernels
from voicekit.native_convolution import TILINGS, matrices

torch = pytest.importorskip("torch")

EXACT_DB = 100.0  # the points cost up to 30 dB of float32's 133
CHANNELS = 64


@pytest.fixture(scope="module", params=[16, 8])
def compiled(request: pytest.FixtureRequest) -> Kernels:
    here = kernels()
    if here is None or here.lanes < request.param:
        pytest.skip("this processor has no native kernels of that length")
    return here if here.lanes == request.param else Kernels(lanes=request.param)


def drawn(taps: int, steps: int, dilation: int = 1, channels: int = CHANNELS) -> tuple[Any, Convolution]:
    """An input [1, channels, steps], channels-last, and a plain convolution for it."""
    source = torch.Generator().manual_seed(taps * steps + dilation)
    x = torch.randn(1, steps, channels, generator=source).transpose(1, 2)
    weight = torch.randn(channels, channels, taps, generator=source) / (channels * taps) ** 0.5
    return x, Convolution(weight, torch.randn(channels, generator=source), dilation * (taps // 2), dilation)


def exactly(x: Any, convolution: Convolution, slope: float = 1.0, before: float = 1.0) -> Any:
    from torch.nn.functional import conv1d, leaky_relu

    y = conv1d(leaky_relu(x.double(), before), convolution.weight.double(), convolution.bias.double(),  # type: ignore[union-attr]
               padding=convolution.padding, dilation=convolution.dilation)  # fmt: skip
    return leaky_relu(y, slope)


def snr_db(ours: Any, exact: Any) -> float:
    assert ours.shape == exact.shape
    return float(10 * torch.log10(exact.square().sum() / (ours - exact).square().sum()))


@pytest.mark.parametrize("taps", TILINGS)
@pytest.mark.parametrize("dilation", [1, 3, 5])
@pytest.mark.parametrize("steps", [1, 2, 6, 7, 29, 71, 72, 73, 200, 777])
def test_a_convolution_is_that_of_float64(compiled: Kernels, taps: int, dilation: int, steps: int) -> None:
    x, convolution = drawn(taps, steps, dilation)
    assert snr_db(transform(convolution, compiled)(x), exactly(x, convolution)) > EXACT_DB


@pytest.mark.parametrize("taps", TILINGS)
@pytest.mark.parametrize("channels", [32, 96, 256])
def test_any_number_of_panels(compiled: Kernels, taps: int, channels: int) -> None:
    x, convolution = drawn(taps, 100, channels=channels)
    assert snr_db(transform(convolution, compiled)(x), exactly(x, convolution)) > EXACT_DB


@pytest.mark.parametrize("taps", TILINGS)
@pytest.mark.parametrize("slope", [0.1, 0.0])
def test_leaky_relus_before_and_behind(compiled: Kernels, taps: int, slope: float) -> None:
    x, convolution = drawn(taps, 100)
    native = transform(convolution, compiled)
    assert snr_db(native(x, slope), exactly(x, convolution, slope)) > EXACT_DB
    assert snr_db(native(x, before=slope), exactly(x, convolution, before=slope)) > EXACT_DB
    assert snr_db(native(x, slope, before=0.3), exactly(x, convolution, slope, 0.3)) > EXACT_DB


@pytest.mark.parametrize("taps", TILINGS)
def test_a_total_grows_in_place_or_in_a_copy(compiled: Kernels, taps: int) -> None:
    x, convolution = drawn(taps, 100)
    total, _ = drawn(taps, 100, dilation=2)
    before, native = total.clone(), transform(convolution, compiled)
    exact = before + exactly(x, convolution)
    summed = native.add_to(total, x, copy=True)
    assert torch.equal(total, before)
    assert snr_db(summed, exact) > EXACT_DB
    assert native.add_to(total, x).data_ptr() == total.data_ptr()
    assert torch.equal(total, summed)


def test_any_layout_is_taken(compiled: Kernels) -> None:
    x, convolution = drawn(3, 50)
    native, exact = transform(convolution, compiled), exactly(x, convolution)
    assert snr_db(native(x.contiguous()), exact) > EXACT_DB
    total = torch.ones_like(x).contiguous()
    native.add_to(total, x)
    assert snr_db(total, exact + 1) > EXACT_DB


@pytest.mark.parametrize("taps", TILINGS)
def test_nothing_beside_a_slice_is_read_or_written(compiled: Kernels, taps: int) -> None:
    """What lies before and behind the steps is another piece's, and not zero."""
    x, convolution = drawn(taps, 60, dilation=3)
    around = torch.full((1, 100, CHANNELS), torch.nan).transpose(1, 2)
    around[..., 20:80] = x
    native = transform(convolution, compiled)
    assert snr_db(native(around[..., 20:80]), exactly(x, convolution)) > EXACT_DB
    native.add_to(around[..., 20:80], x)
    assert around[..., :20].isnan().all()
    assert around[..., 80:].isnan().all()
    assert snr_db(around[..., 20:80], x + exactly(x, convolution)) > EXACT_DB


@pytest.mark.parametrize("taps", TILINGS)
def test_threads_share_the_work_and_change_nothing(compiled: Kernels, taps: int) -> None:
    x, convolution = drawn(taps, 1000, dilation=3)
    native, before, results = transform(convolution, compiled), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(native(x, 0.1))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], each) for each in results[1:])


@pytest.mark.parametrize("taps", TILINGS)
def test_the_small_matrices_are_a_convolution(taps: int) -> None:
    """In float64 the three of them make the outputs of a tile from its definition, to float64 rounding."""
    import numpy as np

    tiling = TILINGS[taps]
    of_outputs, of_weights, of_inputs = matrices(tiling)
    draw = np.random.default_rng(taps)
    weight, inputs = draw.normal(size=tiling.taps), draw.normal(size=tiling.size)
    made = of_outputs @ ((of_weights @ weight) * (of_inputs @ inputs))
    assert made == pytest.approx(np.correlate(inputs, weight, "valid"), abs=1e-11)


@pytest.mark.parametrize("taps", TILINGS)
def test_control_a_wrong_point_shows(compiled: Kernels, taps: int) -> None:
    """Of the weights only: with the same wrong point everywhere it would be a good tiling."""
    x, convolution = drawn(taps, 100)
    run = convolver(compiled, taps)
    other = Convolver(compiled, taps)
    points = (*other._tiling.points[:-1], 5.0)
    other._tiling = dataclasses.replace(other._tiling, points=points)
    wrong = run(x[0].t(), other.transformed(convolution.weight), convolution.bias).t()[None]  # type: ignore[arg-type]
    assert snr_db(wrong, exactly(x, convolution)) < 40


@pytest.mark.parametrize("piece", [0, 1])
def test_control_a_missing_piece_shows(compiled: Kernels, piece: int) -> None:
    x, convolution = drawn(11, 100)
    run = convolver(compiled, 11)
    weight = run.transformed(convolution.weight)
    weight[:, :, piece] = 0
    assert snr_db(run(x[0].t(), weight, convolution.bias).t()[None], exactly(x, convolution)) < 20  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [
    {"padding": 0}, {"bias": None}, {"weight": torch.zeros(48, 64, 3)}, {"weight": torch.zeros(40, 40, 3)},
    {"weight": torch.zeros(64, 64, 5), "padding": 2},
])  # fmt: skip
def test_what_does_not_fit_is_left_to_others(compiled: Kernels, change: dict[str, Any]) -> None:
    _, convolution = drawn(3, 1)
    arithmetic = Arithmetic(compiled, packs=False)
    assert isinstance(arithmetic.lay_out(convolution, ""), NativeConvolution)
    other = dataclasses.replace(convolution, **change)
    assert not fits(other, compiled)
    assert arithmetic.lay_out(other, "") is other
