"""Latents into a waveform: a generator, run over a long segment in short pieces.

A piece with enough of its neighbours on both sides comes out as it does within the whole, so the
pieces are laid side by side without a seam. Short pieces stay in the processor's caches and bound
the memory, whatever the length. This module knows latents and samples; no text, no codes, no files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicekit.complexity import complexity

if TYPE_CHECKING:
    import torch

    from voicekit.hifigan import Generator

PIECE_FRAMES = 192  # 2 s: from 64 to 192 the shared context costs ever less; beyond, only memory grows


@complexity(size="codes", time="O(n)", space="O(n)", stage="vocode")
def vocode(
    generator: Generator,
    latents: torch.Tensor,
    speaker_embedding: torch.Tensor,
    *,
    speed: float = 1.0,
    piece_frames: int = PIECE_FRAMES,
    context_frames: int | None = None,
) -> torch.Tensor:
    """Speak latents; equals coqui's `HifiDecoder.forward` on the whole to float32 rounding.

    Args:
        generator: what speaks.
        latents: float32 [n, width], one a code.
        speaker_embedding: float32 [1, 512, 1], on the same device.
        speed: the latents are stretched by its inverse, as coqui's `inference(speed=)` does.
        piece_frames: length of a piece without its context.
        context_frames: neighbours on each side that a piece is given; None: as many as it depends on.

    Returns:
        float32 [samples] at 24 kHz, on the CPU: 1,114.6 samples a code at normal speed. Space is that of one
        piece (46 MB as released) and of the latents at the generator's rate (22 kB a code).
    """
    import torch

    network = generator.speaking(speaker_embedding)
    context = network.context if context_frames is None else context_frames
    frames = _frames(latents, generator.stretches, speed)  # [1, width, frames]
    total = frames.shape[-1]
    pieces = []
    for start in range(0, total, piece_frames):
        end = min(start + piece_frames, total)
        before, after = min(context, start), min(context, total - end)
        pieces.append(network(frames[..., start - before : end + after], before, after).cpu())
    return torch.cat(pieces)


def _frames(latents: torch.Tensor, stretches: tuple[float, ...], speed: float) -> torch.Tensor:
    """Latents [n, width] at the generator's rate: 4 frames a code, then from 22,050 to 24,000 Hz."""
    from torch.nn.functional import interpolate

    frames = latents.T[None]
    for factor in stretches if speed == 1.0 else (1 / speed, *stretches):
        frames = interpolate(frames, scale_factor=[factor], mode="linear")
    return frames
