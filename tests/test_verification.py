"""voicekit.verification: words that are missing are named, words that are written otherwise are not."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from voicekit.audio import Audio
from voicekit.errors import ModelUnavailable
from voicekit.verification import Recogniser, missing_words

SENTENCE = "The quick brown fox jumps over the lazy dog."


# --- missing words -------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "heard", "language"), [
    (SENTENCE, SENTENCE, "en"),
    (SENTENCE, "the quick, brown FOX jumps over the lazy dog", "en"),
    ("Don’t go, it's late!", "Dont go its late", "en"),
    ("The colour of honour", "The color of honor", "en"),
    ("Everyday life is well-known.", "Every day life is wellknown", "en"),
    ("Über den Wölken", "Uber den Wolken", "de"),
    ("Él comió aquí.", "El comio aqui", "es"),
    ("Ещё всё", "Еще все", "ru"),
    ("كِتَابٌ جميل", "كتاب جميل", "ar"),
    ("I have 23 cats.", "I have twenty-three cats", "en"),
    ("I have twenty-three cats.", "I have 23 cats.", "en"),
    ("It was in 1999.", "It was in nineteen ninety-nine", "en"),
    ("Call 112 now", "Call one one two now", "en"),
    ("Er hat 42 Bücher.", "Er hat zweiundvierzig Bücher", "de"),
    ("人人生而自由。", "人人生而自由", "zh-cn"),
    ("자유로운 인간", "자유 로운인간", "ko"),
    ("देश में शांति है।", "देश में शांति है", "hi"),
    ("Well.", "Well, and then a lot more that nobody wrote", "en"),
    ("", "anything", "en"),
])  # fmt: skip
def test_what_was_said_is_not_missing(text: str, heard: str, language: str) -> None:
    assert missing_words(text, heard, language) == ()


@pytest.mark.parametrize(("text", "heard", "language", "missing"), [
    (SENTENCE, "the quick fox jumps over the dog", "en", ("brown", "lazy")),
    (SENTENCE, "", "en", tuple(SENTENCE.rstrip(".").split())),
    (SENTENCE, "something else was said here entirely", "en", tuple(SENTENCE.rstrip(".").split())),
    ("No, no, no.", "No, no.", "en", ("no",)),
    ("the cat and the dog and the bird", "the cat and the bird", "en", ("and", "the", "dog")),
    ("It is not so.", "It is so.", "en", ("not",)),
    ("Say yes.", "Say yet.", "en", ("yes",)),  # short words must be equal
    ("I have 23 cats.", "I have cats.", "en", ("23",)),
    ("I have 23 cats.", "I have thirty-three cats.", "en", ()),  # half of it was heard
    ("Er wohnt in Köln.", "Er wohnt in.", "de", ("Köln",)),
    ("人人生而自由，在尊严和权利上一律平等。", "人人生而自由一律平等", "zh-cn", ("在尊严和权利上",)),
    ("東京は大きい町です", "東京は町です", "ja", ("大きい",)),
    ("かぎ", "かき", "ja", ("ぎ",)),
    ("Élise arriva hier", "arriva", "fr", ("Élise", "hier")),
])  # fmt: skip
def test_what_is_missing_is_named_in_order_and_spelling(
    text: str, heard: str, language: str, missing: tuple[str, ...]
) -> None:
    found = missing_words(text, heard, language)
    if text.startswith("the cat"):  # which "and the" it was nobody can say
        assert sorted(found) == sorted(missing)
    else:
        assert found == missing


def test_a_long_text_of_which_one_word_is_missing() -> None:
    words = [f"{first}{second}lo" for first in "bdfgklmnprst" for second in ("a", "e", "ai", "or", "un")]
    for place in range(0, len(words), 7):
        heard = " ".join(words[:place] + words[place + 1 :])
        assert missing_words(" ".join(words), heard, "en") == (words[place],)


# --- the recogniser ------------------------------------------------------------------------------


class Hears:
    """A stand-in with the signatures of faster-whisper 1.2.1, as far as they are used."""

    made: tuple[Any, ...] = ()

    def __init__(self, model_size_or_path: str, device: str = "auto", device_index: int = 0,
                 compute_type: str = "default", *, local_files_only: bool = False) -> None:  # fmt: skip
        Hears.made = (model_size_or_path, device, compute_type, local_files_only)
        if local_files_only:
            raise FileNotFoundError("not in the cache")

    def transcribe(self, audio: Any, language: str | None = None, task: str = "transcribe", log_progress: bool = False,
                   beam_size: int = 5, *, temperature: float = 0.0, condition_on_previous_text: bool = True,
                   ) -> tuple[Any, Any]:  # fmt: skip
        assert isinstance(audio, np.ndarray) and audio.dtype == np.float32 and audio.ndim == 1
        said = f"{language} {audio.size}"
        return (types.SimpleNamespace(text=f" {part} ") for part in (said, "end")), None


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("faster_whisper")
    module.WhisperModel = Hears  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", module)


def second() -> Audio:
    return Audio(np.zeros(24_000, dtype=np.float32), 24_000)


def test_it_listens_at_16_khz_in_whispers_language(whisper: None) -> None:
    assert Recogniser().hears(second(), "zh-cn") == "zh 16000 end"
    assert Hears.made == ("small", "cpu", "int8", False)


def test_a_gpu_is_used_and_any_other_device_is_not(whisper: None) -> None:
    Recogniser(device="cuda:0").load()
    assert Hears.made[1:3] == ("cuda", "float16")
    Recogniser(device="mps").load()
    assert Hears.made[1:3] == ("cpu", "int8")


def test_nothing_is_loaded_before_it_listens_and_only_once(whisper: None) -> None:
    Hears.made = ()
    recogniser = Recogniser()
    assert Hears.made == ()
    assert recogniser.load() is recogniser.load()


def test_offline_without_the_model(whisper: None) -> None:
    with pytest.raises(ModelUnavailable, match="not on this machine") as caught:
        Recogniser(offline=True).hears(second(), "en")
    assert "--verify" in caught.value.hint and caught.value.exit_code == 3


def test_without_the_package_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ModelUnavailable) as caught:
        Recogniser().hears(second(), "en")
    assert caught.value.hint.startswith("python -m pip install ") and "faster-whisper==" in caught.value.hint
    assert caught.value.exit_code == 3
