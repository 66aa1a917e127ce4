"""voicekit.vocoding: pieces are the whole, and the bound can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voicekit.checkpoint import from_folder
from voicekit.vocoding import CONTEXT_FRAMES, FRAME_SAMPLES, vocode


@pytest.fixture(scope="module")
def hifigan(tiny_checkpoint: Path) -> Any:
    from voicekit.loading import load_xtts

    return load_xtts(from_folder(tiny_checkpoint)).hifigan_decoder


@pytest.fixture(scope="module")
def spoken(hifigan: Any) -> tuple[Any, Any, Any]:
    """Latents of 40 codes [40, width], a speaker embedding, and coqui's own waveform of the whole."""
    import torch

    source = torch.Generator().manual_seed(3)
    latents = torch.randn(40, hifigan.waveform_decoder.conv_pre.in_channels, generator=source)
    embedding = torch.nn.functional.normalize(torch.randn(1, 512, 1, generator=source), dim=1)
    with torch.inference_mode():
        whole = hifigan(latents[None], g=embedding).flatten()
    return latents, embedding, whole


@pytest.mark.parametrize("piece_frames", [7, 50, 128, 10_000])
def test_pieces_are_the_whole(hifigan: Any, spoken: tuple[Any, Any, Any], piece_frames: int) -> None:
    import torch

    latents, embedding, whole = spoken
    with torch.inference_mode():
        pieces = vocode(hifigan, latents, embedding, piece_frames=piece_frames)
    assert pieces.shape == whole.shape
    assert float((pieces - whole).abs().max()) < 1e-5


def test_control_with_too_little_context_the_seams_show(hifigan: Any, spoken: tuple[Any, Any, Any]) -> None:
    import torch

    latents, embedding, whole = spoken
    with torch.inference_mode():
        pieces = vocode(hifigan, latents, embedding, piece_frames=50, context_frames=CONTEXT_FRAMES // 4)
    assert float((pieces - whole).abs().max()) > 1e-4


def test_speed_is_coquis_interpolation(hifigan: Any, spoken: tuple[Any, Any, Any]) -> None:
    import torch

    latents, embedding, _ = spoken
    with torch.inference_mode():
        stretched = torch.nn.functional.interpolate(latents[None].transpose(1, 2), scale_factor=0.5, mode="linear")
        whole = hifigan(stretched.transpose(1, 2), g=embedding).flatten()
        assert torch.allclose(vocode(hifigan, latents, embedding, speed=2.0), whole, atol=1e-5)


def test_one_code_can_be_spoken(hifigan: Any, spoken: tuple[Any, Any, Any]) -> None:
    import torch

    latents, embedding, _ = spoken
    with torch.inference_mode():
        samples = vocode(hifigan, latents[:1], embedding)
    assert samples.numel() == 4 * FRAME_SAMPLES
