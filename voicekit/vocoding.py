"""Latents into a waveform: coqui's HiFi-GAN, run over a long segment in short pieces.

A piece with enough of its neighbours on both sides comes out as it does within the whole, so the
pieces are laid side by side without a seam. Short pieces stay in the processor's caches (a segment
of 16 s takes 0.36 instead of 0.50 of real time on two cores) and bound the memory, whatever the length.
This module knows latents and samples; no text, no codes, no files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voicekit.complexity import complexity

if TYPE_CHECKING:
    import torch

FRAME_SAMPLES = 256  # at 24 kHz: what the generator makes of one input frame (8 x 8 x 2 x 2)
PIECE_FRAMES = 128  # 1.4 s
# How far a sample sees, in frames: 3 of the first convolution; in each stage 60 steps of the widest residual
# block (kernel 11, dilations 1, 3, 5, each followed by one of 1) at 8, 64, 128 and 256 steps a frame, which is
# 7.5 + 0.9 + 0.5 + 0.2; the transposed convolutions and the last one, 1.5 together.
CONTEXT_FRAMES = 16


@complexity(size="codes", time="O(n)", space="O(n)", stage="vocode")
def vocode(
    hifigan: Any,
    latents: torch.Tensor,
    speaker_embedding: torch.Tensor,
    *,
    speed: float = 1.0,
    piece_frames: int = PIECE_FRAMES,
    context_frames: int = CONTEXT_FRAMES,
) -> torch.Tensor:
    """Speak latents; equals coqui's `HifiDecoder.forward` on the whole to float32 rounding.

    Args:
        hifigan: coqui's `HifiDecoder`.
        latents: float32 [n, width], one a code.
        speaker_embedding: float32 [1, 512, 1], on the same device.
        speed: the latents are stretched by its inverse, as coqui's `inference(speed=)` does.
        piece_frames: length of a piece without its context.
        context_frames: neighbours on each side that a piece is given.

    Returns:
        float32 [samples] at 24 kHz, on the CPU: 1,114.6 samples a code at normal speed. Space is that of one
        piece (28 MB as released), or from 330 codes on that of the latents at the generator's rate (88 kB a code).
    """
    import torch

    frames = _frames(hifigan, latents[None], speed)  # [1, width, frames]
    total = frames.shape[-1]
    pieces = []
    for start in range(0, total, piece_frames):
        end = min(start + piece_frames, total)
        left, right = max(start - context_frames, 0), min(end + context_frames, total)
        waveform = hifigan.waveform_decoder(frames[..., left:right], g=speaker_embedding).flatten()
        pieces.append(waveform[(start - left) * FRAME_SAMPLES : (end - left) * FRAME_SAMPLES].cpu())
    return torch.cat(pieces)


def _frames(hifigan: Any, latents: torch.Tensor, speed: float) -> torch.Tensor:
    """Latents [1, n, width] at the generator's rate: 4 frames a code, then from 22,050 to 24,000 Hz."""
    from torch.nn.functional import interpolate

    frames = latents.transpose(1, 2)
    if speed != 1.0:
        frames = interpolate(frames, scale_factor=1 / speed, mode="linear")
    frames = interpolate(
        frames, scale_factor=[hifigan.ar_mel_length_compression / hifigan.output_hop_length], mode="linear"
    )
    if hifigan.output_sample_rate != hifigan.input_sample_rate:
        frames = interpolate(
            frames, scale_factor=[hifigan.output_sample_rate / hifigan.input_sample_rate], mode="linear"
        )
    return frames
