"""XTTS of any amount of work, at the released sizes where these decide the growth, without the released weights.

How many codes are spoken is dictated by a head that says so. The vocoder is on the meta device, where only shapes are
computed: as many convolutions over real numbers would take minutes. What needs a whole model gets the tiny one.
"""

from __future__ import annotations

import functools
import types
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from tests.growing_inputs import Run
from tests.voices import talking
from voicekit import loading, rehearsal
from voicekit.checkpoint import Checkpoint, from_folder
from voicekit.convolutions import Arithmetic
from voicekit.decoding import Sampling, Segment, decode
from voicekit.gpt import LeanGPT
from voicekit.hifigan import Generator
from voicekit.tts_model import TTSModel
from voicekit.vocoding import vocode

VOICE, TEXT = 4, 4  # positions; 32 and 20 to 150 really, read once, beside which few codes would not show
GREEDY = Sampling(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0)
ORDINARY_CODE = 7


@functools.cache
def tiny_model() -> TTSModel:
    return TTSModel.load(from_folder(rehearsal.ensure("rehearsal-tiny")), device="cpu")


@functools.cache
def released_gpt(width: int = 1024) -> Any:
    """coqui's GPT as released (its config.json), with one of its 30 equal layers; every number that it needs is 0."""
    from TTS.tts.layers.xtts.gpt import GPT

    with torch.device("meta"):
        gpt = GPT(
            start_text_token=261, stop_text_token=0, layers=1, model_dim=width, heads=width // 64,
            max_text_tokens=402, max_mel_tokens=605, max_prompt_tokens=70, number_text_tokens=6681,
            num_audio_tokens=1026, start_audio_token=1024, stop_audio_token=1025, use_perceiver_resampler=True,
        ).eval()  # fmt: skip
    for part in (gpt.gpt, gpt.mel_embedding, gpt.mel_pos_embedding, gpt.final_norm):
        part.to_empty(device="cpu")
        for number in part.parameters():
            number.data.zero_()
    return gpt


@functools.cache
def released_vocoder() -> Any:
    """coqui's HiFi-GAN as released, with 2 of the 18 convolutions in each stage's residual blocks; no numbers in it.

    Its waveform has a place in memory, as `vocode` wants it.
    """
    from TTS.vocoder.models.hifigan_generator import HifiganGenerator

    with torch.device("meta"):
        coqui = HifiganGenerator(
            1024, 1, "2", [[1, 3]], [11], [16, 16, 4, 4], 512, [8, 8, 2, 2], inference_padding=0,
            cond_channels=512, conv_pre_weight_norm=False, conv_post_weight_norm=False, conv_post_bias=False,
            cond_in_each_up_layer=True,
        )  # fmt: skip
    released = types.SimpleNamespace(
        waveform_decoder=coqui, ar_mel_length_compression=1024, output_hop_length=256, input_sample_rate=22_050,
        output_sample_rate=24_000,
    )  # fmt: skip
    return _Placed(Generator(released, arithmetic=Arithmetic(None, packs=False)))


class _Placed:
    """A generator without numbers, whose waveforms have a place in memory."""

    def __init__(self, generator: Generator) -> None:
        self._generator, self.stretches = generator, generator.stretches

    def speaking(self, embedding: torch.Tensor) -> Any:
        network = self._generator.speaking(embedding)

        def placed(frames: torch.Tensor, before: int, after: int) -> torch.Tensor:
            return torch.empty(network(frames, before, after).shape)

        placed.context = network.context  # type: ignore[attr-defined]
        return placed


class _Saying(torch.nn.Module):
    """A head that chooses so many codes, the last of which is the stop code."""

    def __init__(self, gpt: Any, codes: int) -> None:
        super().__init__()
        self.left, self.stop_code, self.kinds = codes, gpt.stop_audio_token, gpt.num_audio_tokens

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        logits = torch.zeros(1, self.kinds)
        logits[0, ORDINARY_CODE if self.left else self.stop_code] = 1.0
        return logits


def decoding(codes: int, _: Path, width: int = 1024) -> Run:
    gpt = released_gpt(width)
    segment = Segment(torch.zeros(TEXT, width), torch.Generator())

    def run() -> object:
        with torch.inference_mode(), patch.object(gpt, "mel_head", _Saying(gpt, codes)):
            lean = LeanGPT(gpt, torch.float32)
            return list(decode(lean, lean.hear(torch.zeros(1, VOICE, width)), [segment], GREEDY, 1))

    return run


def vocoding_as_released(codes: int, _: Path) -> Run:
    vocoder = released_vocoder()
    latents, embedding = torch.empty(codes, 1024, device="meta"), torch.empty(1, 512, 1, device="meta")
    return torch.inference_mode()(lambda: vocode(vocoder, latents, embedding))


def vocoding_tiny(codes: int, _: Path) -> Run:
    vocoder = tiny_model()._generator
    latents, embedding = torch.zeros(codes, 64), torch.zeros(1, 512, 1)
    return torch.inference_mode()(lambda: vocode(vocoder, latents, embedding))


def conditioning(heard_s: int, _: Path) -> Run:
    model, sample = tiny_model(), talking(float(heard_s))
    return lambda: model.condition([sample], model.voice_settings())


def loading_float32(parameters: int, folder: Path) -> Run:
    return _loading(parameters, folder, torch.float32)


def loading_float16(parameters: int, folder: Path) -> Run:
    """Numbers that must be turned to float32 cannot stay in the file."""
    return _loading(parameters, folder, torch.float16)


def loading_old_format(parameters: int, folder: Path) -> Run:
    """Files that are no ZIP archive cannot be mapped."""
    run = _loading(parameters, folder, torch.float32)
    return patch.object(loading, "is_zip", lambda path: False)(run)


def _loading(parameters: int, folder: Path, dtype: torch.dtype) -> Run:
    """`load_xtts` of a checkpoint that is one matrix: coqui's classes cost the same at every size, and much."""
    tiny = from_folder(rehearsal.ensure("rehearsal-tiny"))
    weights = folder / f"{parameters}.pth"
    torch.save({"model": {"matrix": torch.zeros(parameters, dtype=dtype)}}, weights)
    checkpoint = Checkpoint("one matrix", tiny.config, tiny.vocab, weights)

    def one_matrix(*_: Any) -> torch.nn.Module:
        model = torch.nn.Module()
        model.matrix = torch.nn.Parameter(torch.empty(parameters))
        model.hifigan_decoder = torch.nn.Module()
        model.hifigan_decoder.waveform_decoder = torch.nn.Module()
        return model

    def run() -> object:
        with patch.object(loading, "build", one_matrix):
            return loading.load_xtts(checkpoint)

    return run
