"""Memory that nobody wrote to holds whatever was there before: not a number of it may reach the sound.

torch fills new memory with NaN where it is asked to (`torch.utils.deterministic.fill_uninitialized_memory`), so that
whoever reads it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from tests.voices import talking
from voicekit import convolutions, loading, tts_model
from voicekit.checkpoint import from_folder
from voicekit.gpt import LeanGPT
from voicekit.kept_weights import NOTHING_KEPT
from voicekit.key_values import Cache
from voicekit.native import kernels
from voicekit.tts_model import TTSModel

torch = pytest.importorskip("torch")
TEXTS = ("A dog.", "A cat and another cat, both of them asleep.", "No.", "The train leaves at seven.", "Why not?")


@contextmanager
def unwritten_is_nan() -> Iterator[None]:
    """Within it new memory of torch holds NaN."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        assert torch.empty(3).isnan().all() and torch.zeros(3).new_empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def model(folder: Path, *, native: bool, precision: str) -> TTSModel:
    """With native kernels, or as where there are none: on a GPU, on another processor."""
    given = kernels() if native else None
    with (
        patch.object(loading, "kernels", lambda: given),
        patch.object(convolutions, "kernels", lambda: given),
        patch.object(tts_model, "kept", lambda *_: NOTHING_KEPT),
    ):
        return TTSModel.load(from_folder(folder), device="cpu", precision=precision)


def spoken(tts: TTSModel) -> np.ndarray:
    """Texts of unequal lengths, three side by side, so that rows have padding and are filled anew."""
    voice = tts.condition([talking(6.0)], tts.voice_settings())
    said = tts.speak(TEXTS, voice, "en", tts.speech_settings(seed=3), batch_size=3)
    return np.concatenate([each.audio.samples for each in said])


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("native", [True, False])
def test_what_nobody_wrote_is_not_heard(tiny_checkpoint: Path, native: bool, precision: str) -> None:
    if native and (kernels() is None or precision == "bfloat16"):
        pytest.skip("the native kernels know no such arithmetic here")
    heard = []
    for filled in (False, True):
        with unwritten_is_nan() if filled else nullcontext():
            tts = model(tiny_checkpoint, native=native, precision=precision)
            assert tts.arithmetic.startswith("native" if native else "torch")
            heard.append(spoken(tts))
    assert np.isfinite(heard[1]).all()
    assert np.array_equal(*heard)


def test_control_padding_that_is_not_cleared_is_heard(tiny_checkpoint: Path) -> None:
    begin = Cache.begin

    def uncleared(cache: Cache, lengths: list[int], room: int, *, clear: bool) -> None:
        begin(cache, lengths, room, clear=False)

    with unwritten_is_nan(), patch.object(Cache, "begin", uncleared):
        tts = model(tiny_checkpoint, native=False, precision="float32")
        gpt: LeanGPT = tts._gpt
        cache = gpt.hear(torch.randn(1, 32, gpt.width)).for_rows(2)
        gpt.read([torch.randn(rows, gpt.width) for rows in (4, 7)], cache)
        assert gpt.step(torch.randn(2, gpt.width), cache).isnan().any()
