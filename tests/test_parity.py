"""In float32 and greedy we speak exactly what coqui's own `Xtts.inference` speaks.

The truth is coqui's code on the same checkpoint: its loader, its conditioning from the file, its
Hugging Face generation, its second GPT pass for the latents, its vocoder. The controls at the end
must fail: they show that the comparison can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voicekit.audio import Audio, mean_channels, read_recording, resample_like_coqui
from voicekit.checkpoint import from_folder
from voicekit.decoding import Decoded, Segment, decode, embed_text
from voicekit.text import segments
from voicekit.tts_model import TTSModel, Voice
from voicekit.utterances import segment_generator
from voicekit.vocoding import vocode

TEXTS = (
    ("en", "The quick brown fox jumps over the lazy dog."),
    ("en", "It was 12 o'clock, and nobody had said a word."),
    ("de", "Heute ist ein schöner Tag, und morgen kommt der Frühling."),
)
LONGER = (
    "Every morning the baker opened his shop before the sun was up. The street was quiet, and the bread was warm. "
    "One day a stranger came in, looked around, and asked for the oldest loaf he had. The baker laughed, for he had "
    "never sold an old loaf in his life. But the stranger waited, and said nothing more."
)


@dataclass(frozen=True)
class Spoken:
    """One segment as somebody spoke it: codes [n] with the stop, latents [n, width], waveform [samples]."""

    codes: np.ndarray
    latents: np.ndarray
    waveform: np.ndarray


@pytest.fixture(scope="module")
def ours(tiny_checkpoint: Path) -> TTSModel:
    return TTSModel.load(from_folder(tiny_checkpoint), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def coqui(tiny_checkpoint: Path) -> Any:
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    config = XttsConfig()
    config.load_json(str(tiny_checkpoint / "config.json"))
    model = Xtts(config)
    model.load_checkpoint(config, checkpoint_dir=str(tiny_checkpoint), eval=True)
    return model


def heard(path: Path) -> Audio:
    return resample_like_coqui(mean_channels(read_recording(path)), 22_050)


@pytest.fixture(scope="module")
def voice(ours: TTSModel, voice_file: Path) -> Voice:
    return ours.condition([heard(voice_file)], ours.voice_settings())


def speak_all(model: TTSModel, texts: Sequence[str], language: str, voice: Voice, rows: int) -> list[Spoken]:
    """The product's own stages, with what lies between them kept; so many segments at once."""
    import torch

    gpt, sampling = model._gpt, model.speech_settings(temperature=0.0).sampling
    with torch.inference_mode():
        embedded = [embed_text(gpt, model.tokens(text, language)) for text in texts]
        segments = [Segment(text, segment_generator(0, number)) for number, text in enumerate(embedded)]
        ended = dict(decode(gpt, gpt.hear(voice.conditioning), segments, sampling, rows))
        return [_vocoded(model, ended[number], voice) for number in range(len(texts))]


def speak(model: TTSModel, text: str, language: str, voice: Voice) -> Spoken:
    return speak_all(model, [text], language, voice, rows=1)[0]


def _vocoded(model: TTSModel, decoded: Decoded, voice: Voice) -> Spoken:
    waveform = vocode(model._generator, decoded.latents, voice.speaker_embedding).numpy()
    return Spoken(decoded.codes.numpy(), decoded.latents.numpy(), waveform)


def coqui_speaks(model: Any, text: str, language: str, voice: Voice) -> Spoken:
    """`Xtts.inference` with the released settings, greedy; its codes are caught as they pass."""
    caught: list[np.ndarray] = []
    generate = model.gpt.generate

    def listening(*args: Any, **kwargs: Any) -> Any:
        codes = generate(*args, **kwargs)
        caught.append(codes[0].numpy())
        return codes

    model.gpt.generate = listening
    try:
        result = model.inference(
            text, language, voice.conditioning, voice.speaker_embedding, temperature=0.75, length_penalty=1.0,
            repetition_penalty=5.0, top_k=50, top_p=0.85, do_sample=False,
        )
    finally:
        model.gpt.generate = generate
    return Spoken(caught[0], result["gpt_latents"][0], result["wav"])


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def snr_db(a: np.ndarray, b: np.ndarray) -> float:
    """SNR of the mean-removed waveform `a` against `b`, over the shorter of the two."""
    n = min(len(a), len(b))
    a, b = a[:n].astype(np.float64), b[:n].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    return float(10 * np.log10((b**2).sum() / max(((a - b) ** 2).sum(), 1e-30)))


def assert_equal(a: Spoken, b: Spoken) -> None:
    assert a.codes.tolist() == b.codes.tolist()
    assert a.latents.shape == b.latents.shape
    assert relative_error(a.latents, b.latents) < 1e-4
    assert a.waveform.shape == b.waveform.shape
    assert snr_db(a.waveform, b.waveform) >= 80


def test_conditioning_is_coquis(ours: TTSModel, coqui: Any, voice: Voice, voice_file: Path, monkeypatch: Any) -> None:
    """`Xtts.get_conditioning_latents` with the config's settings; only its file decoder is replaced by soundfile's."""
    import torch
    from TTS.tts.models import xtts as coqui_module

    audio = torch.from_numpy(heard(voice_file).samples)[None]
    monkeypatch.setattr(coqui_module, "load_audio", lambda path, rate: audio.clone())
    config = coqui.config
    latents, embedding = coqui.get_conditioning_latents(
        str(voice_file), max_ref_length=config.max_ref_len, gpt_cond_len=config.gpt_cond_len,
        gpt_cond_chunk_len=config.gpt_cond_chunk_len,
    )
    assert torch.equal(latents, voice.conditioning)
    assert torch.equal(embedding, voice.speaker_embedding)


@pytest.mark.parametrize(("language", "text"), TEXTS)
def test_speaks_what_coqui_speaks(ours: TTSModel, coqui: Any, voice: Voice, language: str, text: str) -> None:
    spoken = speak(ours, text, language, voice)
    assert spoken.codes[-1] == 1025  # it ended by itself, so the stop is compared too
    assert_equal(spoken, coqui_speaks(coqui, text, language, voice))


def test_each_segment_of_a_longer_text_equals_coquis(ours: TTSModel, coqui: Any, voice: Voice) -> None:
    pieces = segments(LONGER, "en", ours.measure)
    assert len(pieces) > 1
    for piece in pieces:
        assert_equal(speak(ours, piece.text, "en", voice), coqui_speaks(coqui, piece.text, "en", voice))


BATCH = [
    "Good morning.", "The train was late again, so I walked along the river and watched the boats.", "Why not?",
    "Nobody hurries there, and that is why I like it.", "Shall we go back now, or stay a little?", "Yes.",
    "He said that it would rain, but the sky was blue from one end to the other.",
]  # fmt: skip


@pytest.fixture(scope="module")
def coquis_batch(coqui: Any, voice: Voice) -> list[Spoken]:
    return [coqui_speaks(coqui, text, "en", voice) for text in BATCH]


@pytest.mark.parametrize("rows", [1, 2, 3, 16])
@pytest.mark.parametrize("turned", [False, True])
def test_in_any_batch_and_order_each_segment_equals_coquis(
    ours: TTSModel, voice: Voice, coquis_batch: list[Spoken], rows: int, turned: bool
) -> None:
    order = slice(None, None, -1 if turned else 1)
    for mine, theirs in zip(speak_all(ours, BATCH[order], "en", voice, rows), coquis_batch[order], strict=True):
        assert_equal(mine, theirs)


def test_control_a_batch_in_another_order_differs(
    ours: TTSModel, voice: Voice, coquis_batch: list[Spoken]
) -> None:
    mixed = speak_all(ours, [*BATCH[1:], BATCH[0]], "en", voice, 3)
    with pytest.raises(AssertionError):
        for mine, theirs in zip(mixed, coquis_batch, strict=True):
            assert_equal(mine, theirs)


def test_control_another_text_differs(ours: TTSModel, coqui: Any, voice: Voice) -> None:
    with pytest.raises(AssertionError):
        assert_equal(speak(ours, TEXTS[0][1], "en", voice), coqui_speaks(coqui, TEXTS[1][1], "en", voice))


def test_control_another_voice_differs(ours: TTSModel, coqui: Any, voice: Voice, other_voice_file: Path) -> None:
    other = ours.condition([heard(other_voice_file)], ours.voice_settings())
    a, b = speak(ours, TEXTS[0][1], "en", other), coqui_speaks(coqui, TEXTS[0][1], "en", voice)
    assert a.codes.tolist() != b.codes.tolist()
    assert snr_db(a.waveform, b.waveform) < 20


def test_control_one_code_changed_differs(ours: TTSModel, coqui: Any, voice: Voice) -> None:
    """Codes with one exchanged, through coqui's own latent pass and vocoder: the bounds notice a single code."""
    import torch

    text = TEXTS[0][1]
    mine, gpt = speak(ours, text, "en", voice), coqui.gpt
    codes = torch.from_numpy(mine.codes.copy())[None]
    codes[0, len(mine.codes) // 2] = (codes[0, len(mine.codes) // 2] + 7) % 1024
    tokens = torch.tensor([ours.tokens(text, "en")])
    with torch.inference_mode():
        latents = gpt(tokens, torch.tensor([tokens.shape[-1]]), codes, torch.tensor([codes.shape[-1] * 1024]),
                      cond_latents=voice.conditioning, return_latent=True)
        waveform = coqui.hifigan_decoder(latents, g=voice.speaker_embedding).flatten().numpy()
    changed = Spoken(codes[0].numpy(), latents[0].numpy(), waveform)
    assert relative_error(mine.latents, changed.latents) > 1e-4
    assert snr_db(mine.waveform, changed.waveform) < 80
