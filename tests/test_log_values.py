"""What values are called in the log: arrays by their shape, texts by their length, secrets not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from voicekit.log_values import listing, mask_argv, summary


def test_private_values_are_not_shown() -> None:
    words = "my secret words"
    assert listing({"text": words, "api_token": "hf_x", "password": "p"}) == (
        "text_length=15, api_token=***, password=***"
    )
    for name in (
        "text",
        "sentences",
        "segments",
        "prompt",
        "speaker_text",
        "lexicon",
        "note",
        "",
        "max_text",
    ):
        for value in (words, [words], {"secret": words}, (words, words)):
            assert "secret" not in summary(value, name).replace("secret=", ""), (name, value)
    assert "secret" not in summary({"secretly": words}, "lexicon")


def test_paths_arrays_and_settings_are_shown() -> None:
    numpy = pytest.importorskip("numpy")

    @dataclass(frozen=True)
    class Settings:
        temperature: float
        text: str

    assert summary("my voice.wav", "speaker_audio") == "my voice.wav"
    assert summary(["a b.wav", "c.wav"], "speaker_audio") == "[a b.wav, c.wav]"
    assert summary(Path("book.txt"), "text_file") == "book.txt" == summary("book.txt", "text_file")
    assert summary(numpy.zeros((2, 480), numpy.float32)) == "float32[2, 480]"
    assert summary(Settings(0.75, "hello")) == "Settings(temperature=0.75, text_length=5)"
    assert summary({"score": 82, "issues": ["noisy"]}) == "{score=82, issues=[noisy]}"
    assert summary(list(range(100))) == "<100 items>"
    assert summary("en", "language") == "en"


def test_an_odd_object_is_named_by_its_type() -> None:
    class Odd:
        @property
        def shape(self) -> int:
            raise RuntimeError

    assert summary(Odd()) == "<Odd>"


def test_private_flags_are_masked_in_every_spelling() -> None:
    argv = [
        "--text",
        "--secret words",
        "--tex=secret",
        "--text-file",
        "book.txt",
        "--consent",
        "secret",
        "-v",
    ]
    masked = mask_argv(argv, ("--text", "--consent"))
    assert "secret" not in " ".join(masked)
    assert masked == [
        "--text", "<14 characters>", "--tex=<6 characters>", "--text-file", "book.txt", "--consent",
        "<6 characters>", "-v",
    ]  # fmt: skip
