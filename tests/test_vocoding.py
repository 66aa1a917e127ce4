"""voicekit.vocoding and voicekit.hifigan: the generator is coqui's, pieces are the whole, and the bounds can tell."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from voicekit import convolutions, hifigan
from voicekit.checkpoint import from_folder
from voicekit.convolutions import Arithmetic, Convolution, NativeConvolution, PackedConvolution, can_pack
from voicekit.hifigan import Generator
from voicekit.native import Kernels, kernels
from voicekit.vocoding import vocode

ROUNDING = 1e-5  # of a waveform within -1..1
NOISE_DB = -100.0  # of all of it, below the waveform


@pytest.fixture(scope="module")
def coqui(tiny_checkpoint: Path) -> Any:
    from voicekit.loading import load_xtts

    return load_xtts(from_folder(tiny_checkpoint)).hifigan_decoder


@pytest.fixture(scope="module", params=["native kernels, oneDNN", "oneDNN", "conv1d"])
def arithmetic(coqui: Any, request: pytest.FixtureRequest) -> Arithmetic:
    compiled, packs = kernels() if "native" in request.param else None, "oneDNN" in request.param
    if packs and not can_pack(coqui.waveform_decoder.conv_pre.weight):
        pytest.skip("this processor or this torch has no packed convolutions")
    if "native" in request.param and compiled is None:
        pytest.skip("this processor has no native kernels")
    made = Arithmetic(compiled, packs)
    assert str(made) == request.param
    return made


@pytest.fixture(scope="module")
def generator(coqui: Any, arithmetic: Arithmetic) -> Generator:
    return Generator(coqui, arithmetic=arithmetic)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    import torch

    with torch.inference_mode():
        yield


def latents_of(coqui: Any, codes: int) -> Any:
    import torch

    return torch.randn(codes, coqui.waveform_decoder.conv_pre.in_channels, generator=torch.Generator().manual_seed(3))


def voice(seed: int = 4) -> Any:
    import torch

    return torch.nn.functional.normalize(torch.randn(1, 512, 1, generator=torch.Generator().manual_seed(seed)), dim=1)


@functools.cache
def spoken(coqui: Any, codes: int, seed: int = 4) -> Any:
    """What coqui makes of as many latents with a voice."""
    return coqui(latents_of(coqui, codes)[None], g=voice(seed)).flatten()


def difference(samples: Any, expected: Any) -> float:
    assert samples.shape == expected.shape
    return float((samples - expected).abs().max())


@pytest.mark.parametrize("codes", [1, 2, 9, 40])
def test_the_whole_is_coquis(coqui: Any, generator: Generator, codes: int) -> None:
    latents, embedding = latents_of(coqui, codes), voice()
    expected = spoken(coqui, codes)
    assert float(expected.abs().max()) > 1000 * ROUNDING  # the bound means something
    samples = vocode(generator, latents, embedding, piece_frames=10_000)
    assert difference(samples, expected) < ROUNDING
    assert float(10 * ((samples - expected).square().sum() / expected.square().sum()).log10()) < NOISE_DB


@pytest.mark.parametrize("piece_frames", [7, 50, 128])
def test_pieces_are_the_whole(coqui: Any, generator: Generator, piece_frames: int) -> None:
    latents, embedding = latents_of(coqui, 40), voice()
    expected = spoken(coqui, 40)
    assert difference(vocode(generator, latents, embedding, piece_frames=piece_frames), expected) < ROUNDING


def test_pieces_of_one_frame_are_the_whole(coqui: Any, generator: Generator) -> None:
    latents, embedding = latents_of(coqui, 3), voice()
    expected = spoken(coqui, 3)
    assert difference(vocode(generator, latents, embedding, piece_frames=1), expected) < ROUNDING


@pytest.mark.parametrize("speed", [0.5, 0.9, 2.0])
def test_speed_is_coquis_interpolation(coqui: Any, generator: Generator, speed: float) -> None:
    import torch

    latents, embedding = latents_of(coqui, 20), voice()
    stretched = torch.nn.functional.interpolate(latents.T[None], scale_factor=1 / speed, mode="linear")
    expected = coqui(stretched.transpose(1, 2), g=embedding).flatten()
    assert difference(vocode(generator, latents, embedding, speed=speed), expected) < ROUNDING


def test_each_voice_is_its_own(coqui: Any, generator: Generator) -> None:
    """Nothing of one speaker stays for the next."""
    latents = latents_of(coqui, 9)
    first, second = (vocode(generator, latents, voice(seed)) for seed in (4, 5))
    assert difference(first, second) > 100 * ROUNDING
    for seed, samples in ((4, first), (5, second)):
        assert difference(samples, spoken(coqui, 9, seed)) < ROUNDING


def test_control_with_too_little_context_the_seams_show(coqui: Any, generator: Generator) -> None:
    latents, embedding = latents_of(coqui, 40), voice()
    expected = spoken(coqui, 40)
    pieces = vocode(generator, latents, embedding, piece_frames=50, context_frames=4)
    assert difference(pieces, expected) > 10 * ROUNDING


def test_control_stages_that_drop_too_much_context_show(coqui: Any, generator: Generator) -> None:
    latents, embedding = latents_of(coqui, 40), voice()
    network = generator._network
    stages = tuple(dataclasses.replace(stage, context=2) for stage in network.stages)
    with patch.object(generator, "_network", dataclasses.replace(network, stages=stages)):
        pieces = vocode(generator, latents, embedding, piece_frames=50)
    assert difference(pieces, spoken(coqui, 40)) > 10 * ROUNDING


@pytest.mark.parametrize("name", ["SLOPE", "LAST_SLOPE"])
def test_control_a_wrong_slope_shows(coqui: Any, generator: Generator, name: str) -> None:
    latents, embedding = latents_of(coqui, 9), voice()
    expected = spoken(coqui, 9)
    with patch.object(hifigan, name, 0.05):
        assert difference(vocode(generator, latents, embedding), expected) > 10 * ROUNDING


@pytest.mark.parametrize("number", range(5))
def test_control_each_place_of_the_speaker_shows(coqui: Any, generator: Generator, number: int) -> None:
    import torch

    latents, embedding = latents_of(coqui, 9), voice()
    speakers = list(generator._speakers)
    speakers[number] = tuple(map(torch.zeros_like, speakers[number]))  # type: ignore[assignment]
    with patch.object(generator, "_speakers", speakers):
        samples = vocode(generator, latents, embedding)
    assert difference(samples, spoken(coqui, 9)) > 10 * ROUNDING


def test_every_convolution_has_the_kind_that_was_said(generator: Generator) -> None:
    network, arithmetic = generator._network, generator.arithmetic
    other = PackedConvolution if arithmetic.packs else Convolution
    residual = {type(each) for stage in network.stages for block in stage.blocks for chain in block for each in chain}
    assert residual == {NativeConvolution if arithmetic.kernels else other}
    others = [network.first, network.last, *(stage.upsampling.convolution for stage in network.stages)]
    assert {type(each) for each in others} == {other}


def test_the_weights_are_given_back_only_when_all_are_copied(coqui: Any, arithmetic: Arithmetic) -> None:
    parameters, given = list(coqui.waveform_decoder.parameters()), list[Any]()
    Generator(coqui, arithmetic=arithmetic, given_back=given.extend)
    assert [each.data_ptr() for each in given] == [each.data_ptr() for each in parameters if arithmetic.packs]


def test_the_fastest_is_taken_unless_told_otherwise(coqui: Any) -> None:
    generator = Generator(coqui)
    assert generator.arithmetic.kernels is kernels()
    assert generator.arithmetic.packs == can_pack(coqui.waveform_decoder.conv_pre.weight)


def test_another_torch_runs_plain_convolutions(coqui: Any) -> None:
    """An operator that is missing is noticed at construction, not in the middle of a text."""
    error = AttributeError("'_OpNamespace' 'mkldnn' object has no attribute")
    with patch.object(convolutions, "pack", side_effect=error), patch.object(convolutions, "kernels", lambda: None):
        generator = Generator(coqui)
    assert str(generator.arithmetic) == "conv1d"
    latents, embedding = latents_of(coqui, 9), voice()
    assert difference(vocode(generator, latents, embedding), spoken(coqui, 9)) < ROUNDING


def test_another_device_has_neither() -> None:
    import torch

    assert str(convolutions.arithmetic_for(torch.empty(1, 1, 1, device="meta"))) == "conv1d"


def test_only_float32_on_a_processor_is_packed() -> None:
    import torch

    assert not can_pack(torch.empty(1, 1, 1, device="meta"))
    assert not can_pack(torch.zeros(1, 1, 1, dtype=torch.float64))
    with patch("platform.machine", return_value="aarch64"):
        assert not can_pack(torch.zeros(1, 1, 1))


@pytest.mark.parametrize("way", ["native kernels, conv1d", "the fastest"])
def test_the_second_kind_of_residual_blocks(way: str) -> None:
    """coqui's generator has two; a configuration may name either, and taps for which there is no kernel."""
    import types

    import torch
    from TTS.vocoder.models.hifigan_generator import HifiganGenerator

    from voicekit.loading import _fold_weight_norm

    torch.manual_seed(0)
    with torch.inference_mode(False):
        decoder = HifiganGenerator(
            20, 1, "2", [[1, 3], [2, 6]], [5, 3], [7, 4], 32, [3, 2], inference_padding=0, cond_channels=6,
            conv_pre_weight_norm=False, conv_post_weight_norm=False, conv_post_bias=True, cond_in_each_up_layer=True,
        )  # fmt: skip
        _fold_weight_norm(decoder)
    for parameter in decoder.parameters():
        parameter.mul_(1.2)  # of torch's first weights nothing would be left at the end
    rates = types.SimpleNamespace(
        waveform_decoder=decoder, ar_mel_length_compression=1024, output_hop_length=256,
        input_sample_rate=24_000, output_sample_rate=24_000,
    )  # fmt: skip
    latents, embedding = torch.randn(7, 20), torch.randn(1, 6, 1)
    frames = torch.nn.functional.interpolate(latents.T[None], scale_factor=4.0, mode="linear")
    expected = decoder(frames, g=embedding).flatten()
    assert 0.01 < float(expected.abs().mean()) < 0.9
    mixed = Arithmetic(Kernels(lanes=8), packs=False) if kernels() and way != "the fastest" else None
    for piece_frames in (5, 1000):
        samples = vocode(Generator(rates, arithmetic=mixed), latents, embedding, piece_frames=piece_frames)
        assert difference(samples, expected) < ROUNDING
