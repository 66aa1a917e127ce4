"""The rehearsal checkpoints: they listen, they end, and what does neither is refused.

The tiny one is built once a session (96 MB, some seconds); coqui's own classes load and speak it.
"""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from voicekit import rehearsal, rehearsal_checks, rehearsal_weights
from voicekit.errors import ModelError
from voicekit.rehearsal_tokenizer import ALPHABET, SPECIAL_TOKENS, VOCABULARY_SIZE, write_vocabulary
from voicekit.text import LANGUAGES

# One sentence a language, composed for this test: natural text, punctuation and digits.
SENTENCES = {
    "en": "She counted 21 boats, didn't she?",
    "es": "¿Dónde está mi perro? ¡Mañana vuelve!",
    "fr": "Où est passé l'œuf, garçon naïf?",
    "de": "Größe zählt nicht; schöne Füße auch nicht.",
    "it": "Perché la città è così più quieta?",
    "pt": "O avô não põe açúcar no pão às três.",
    "pl": "Zażółć gęślą jaźń, źdźbło i łódź.",
    "tr": "Şu ılık göğün altında çiçek İstanbul.",
    "ru": "Съешь ещё этих мягких булок, объём цел.",
    "nl": "De vrouw geeft de koning één ijsje.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "ar": "هل شربت القهوة صباحًا؟ نعم، شكرًا.",
    "zh-cn": "今天天气很好，我们去公园。",
    "ja": "今日は天気がいいですね。",
    "hu": "Árvíztűrő tükörfúrógép, ősz és tűz.",
    "ko": "오늘은 날씨가 좋습니다.",
    "hi": "क्या आज बारिश होगी? हाँ, ज़रूर।",
}


@pytest.fixture(scope="session")
def probe(tiny_checkpoint: Path) -> rehearsal_checks.CoquiProbe:
    """The tiny checkpoint in coqui's own `Xtts`, by its own loader."""
    return rehearsal_checks.CoquiProbe(tiny_checkpoint)


@pytest.fixture(scope="session")
def voice(probe: rehearsal_checks.CoquiProbe) -> rehearsal_checks.Voice:
    return probe.voice(rehearsal_weights.synthetic_voice(7, seconds=3.0, rate_hz=22050), 22050)


@pytest.fixture
def altered(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[Any]:
    """A function that loads the tiny checkpoint after a change to its tensors."""
    import torch

    def load(change: Any) -> rehearsal_checks.CoquiProbe:
        folder = tmp_path / "altered"
        folder.mkdir()
        for name in ("config.json", "vocab.json"):
            shutil.copy(tiny_checkpoint / name, folder)
        state = torch.load(tiny_checkpoint / "model.pth", weights_only=True)["model"]
        change(state)
        torch.save({"model": state}, folder / "model.pth")
        return rehearsal_checks.CoquiProbe(folder)

    yield load


def test_every_checkpoint_has_its_dimensions() -> None:
    assert tuple(rehearsal_weights.DIMENSIONS) == rehearsal.NAMES
    full = rehearsal_weights.DIMENSIONS["rehearsal"]
    assert (full.layers, full.width, full.heads) == (30, 1024, 16)
    for dimensions in rehearsal_weights.DIMENSIONS.values():
        written = rehearsal_weights.config(dimensions)["model_args"]
        assert written["decoder_input_dim"] == written["gpt_n_model_channels"] == dimensions.width


def test_the_build_leaves_a_whole_private_folder(tiny_checkpoint: Path) -> None:
    assert sorted(path.name for path in tiny_checkpoint.iterdir()) == [
        "config.json", "model.pth", "rehearsal.json", "vocab.json",
    ]  # fmt: skip
    assert list(tiny_checkpoint.parent.iterdir()) == [tiny_checkpoint]
    assert stat.S_IMODE(tiny_checkpoint.stat().st_mode) == 0o700
    assert rehearsal.is_complete(tiny_checkpoint, "rehearsal-tiny")
    assert not rehearsal.is_complete(tiny_checkpoint, "rehearsal")
    record = json.loads((tiny_checkpoint / "rehearsal.json").read_text(encoding="utf-8"))
    assert "noise" in record["note"]
    assert record["listening"]["other_text"] > 0.5


def test_the_config_holds_the_released_settings(tiny_checkpoint: Path) -> None:
    from TTS.tts.configs.xtts_config import XttsConfig

    settings = XttsConfig()
    settings.load_json(str(tiny_checkpoint / "config.json"))
    assert (settings.temperature, settings.length_penalty, settings.repetition_penalty) == (0.75, 1.0, 5.0)
    assert (settings.top_k, settings.top_p) == (50, 0.85)
    assert (settings.gpt_cond_len, settings.gpt_cond_chunk_len, settings.max_ref_len) == (30, 4, 30)
    assert settings.sound_norm_refs is False
    assert sorted(settings.languages) == sorted(LANGUAGES)


def test_the_weights_load_as_plain_tensors(tiny_checkpoint: Path) -> None:
    import torch

    state = torch.load(tiny_checkpoint / "model.pth", weights_only=True, mmap=True)["model"]
    assert not [key for key in state if "gpt_inference" in key]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values() if tensor.is_floating_point())
    assert state["mel_stats"].shape == (80,)
    assert float(state["mel_stats"].min()) > 0
    assert state["gpt.text_embedding.weight"].shape[0] == VOCABULARY_SIZE


# --- tokenizer ---------------------------------------------------------------------------------


def test_the_vocabulary_has_the_released_size_and_special_tokens(tiny_checkpoint: Path) -> None:
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(tiny_checkpoint / "vocab.json")).get_vocab()
    assert len(vocabulary) == VOCABULARY_SIZE == 6681
    assert sorted(vocabulary.values()) == list(range(VOCABULARY_SIZE))
    assert len(LANGUAGES) == 17
    assert set(SPECIAL_TOKENS) | set(ALPHABET) <= set(vocabulary)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_character_of_any_language_is_unknown(tiny_checkpoint: Path, language: str) -> None:
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    tokenizer = VoiceBpeTokenizer(tiny_checkpoint / "vocab.json")
    unknown, tag = (tokenizer.tokenizer.token_to_id(token) for token in ("[UNK]", f"[{language}]"))
    ids = tokenizer.encode(SENTENCES[language], lang=language)
    assert ids[0] == tag
    assert unknown not in ids
    assert len(ids) < len(tokenizer.preprocess_text(SENTENCES[language], language.split("-")[0]))


# --- listening ---------------------------------------------------------------------------------


def test_text_voice_and_latents_matter(probe: rehearsal_checks.CoquiProbe) -> None:
    found = rehearsal_checks.verify_listens(probe)
    assert min(found.other_text, found.same_length, found.shared_start, found.other_voice) > 0.5, found
    assert found.latents_snr_db < 3.0, found
    assert found.speaker_snr_db < 10.0, found
    assert 0.05 <= found.peak <= 0.98, found
    assert found.rms > 0.01, found


def test_the_texts_compared_are_what_they_are_said_to_be(probe: rehearsal_checks.CoquiProbe) -> None:
    assert len(rehearsal_checks.SAME_LENGTH_TEXT) == len(rehearsal_checks.BASE_TEXT)
    assert rehearsal_checks.SHARED_START_TEXT.startswith(rehearsal_checks.BASE_TEXT[:-1])
    assert len(rehearsal_checks.LONG_TEXT) >= 250


def test_one_changed_letter_changes_the_codes(
    probe: rehearsal_checks.CoquiProbe, voice: rehearsal_checks.Voice
) -> None:
    one, other = (probe.codes(text, voice) for text in ("he has a red hat today", "he has a red cat today"))
    assert rehearsal_checks.changed_share(one, other) > 0.5


def test_the_same_input_gives_the_same_codes(probe: rehearsal_checks.CoquiProbe, voice: rehearsal_checks.Voice) -> None:
    text = rehearsal_checks.BASE_TEXT
    assert probe.codes(text, voice) == probe.codes(text, voice)
    assert probe.codes(text, voice, sample_seed=3) == probe.codes(text, voice, sample_seed=3)
    assert probe.codes(text, voice, sample_seed=3) != probe.codes(text, voice, sample_seed=4)


def test_random_latents_give_another_safe_waveform(
    probe: rehearsal_checks.CoquiProbe, voice: rehearsal_checks.Voice
) -> None:
    import torch

    chance = torch.Generator().manual_seed(0)
    waves = [probe.wave(torch.randn(1, 30, 64, generator=chance), voice) for _ in range(2)]
    assert rehearsal_checks.snr_db(*waves) < 3.0
    for wave in waves:
        assert 0.05 <= abs(wave).max() <= 0.98
        assert abs(wave.mean()) < 0.01 * wave.std()


def test_a_deaf_checkpoint_is_refused(altered: Any) -> None:
    from TTS.tts.models.xtts import Xtts

    def forget(state: dict[str, Any]) -> None:
        import torch
        from TTS.tts.configs.xtts_config import XttsConfig

        settings = XttsConfig()
        settings.from_dict(rehearsal_weights.config(rehearsal_weights.DIMENSIONS["rehearsal-tiny"]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            default = Xtts(settings).state_dict()
        assert set(default) == set(state)
        state.update(default)

    with pytest.raises(ModelError, match="deaf"):
        rehearsal_checks.verify_listens(altered(forget))


def test_a_vocoder_that_ignores_its_latents_is_refused(altered: Any) -> None:
    def deafen(state: dict[str, Any]) -> None:
        state["hifigan_decoder.waveform_decoder.conv_pre.weight"] *= 0.02

    with pytest.raises(ModelError, match="deaf to latents"):
        rehearsal_checks.verify_listens(altered(deafen))


# --- ending ------------------------------------------------------------------------------------


def test_speech_ends_at_plausible_lengths(probe: rehearsal_checks.CoquiProbe) -> None:
    lengths = (2, 20, 60, 120, 250)
    found = rehearsal_checks.verify_ends(probe, lengths, sample_seed=5)
    assert found.characters == lengths
    assert list(found.greedy_codes) == sorted(set(found.greedy_codes))
    for characters, *counts in zip(found.characters, found.greedy_codes, found.sampled_codes, strict=True):
        assert all(10 <= count < 602 for count in counts)
        assert characters < 40 or all(1.1 <= count / characters <= 1.9 for count in counts)


def test_sampled_lengths_differ(probe: rehearsal_checks.CoquiProbe, voice: rehearsal_checks.Voice) -> None:
    counts = [len(probe.codes(rehearsal_checks.LONG_TEXT[:40], voice, sample_seed=seed)) for seed in range(5)]
    assert len(set(counts)) > 2
    assert max(counts) < 1.4 * min(counts)


def test_a_checkpoint_that_never_ends_is_refused(altered: Any) -> None:
    def never_stop(state: dict[str, Any]) -> None:
        state["gpt.mel_head.bias"][rehearsal_weights.STOP_CODE] = -1e4

    with pytest.raises(ModelError, match="never ends"):
        rehearsal_checks.verify_ends(altered(never_stop), (3,))


def test_a_checkpoint_that_ends_at_once_is_refused(altered: Any) -> None:
    def stop_at_once(state: dict[str, Any]) -> None:
        state["gpt.mel_head.bias"][rehearsal_weights.STOP_CODE] = 1e4

    with pytest.raises(ModelError, match="ends at once"):
        rehearsal_checks.verify_ends(altered(stop_at_once), (50,))


# --- building ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_tensors(tiny_checkpoint: Path, tmp_path: Path) -> None:
    import torch

    dimensions = rehearsal_weights.DIMENSIONS["rehearsal-tiny"]
    (tmp_path / "config.json").write_text(json.dumps(rehearsal_weights.config(dimensions)), encoding="utf-8")
    vocabulary = write_vocabulary(tmp_path / "vocab.json").get_vocab()
    assert (tmp_path / "vocab.json").read_bytes() == (tiny_checkpoint / "vocab.json").read_bytes()
    built = torch.load(tiny_checkpoint / "model.pth", weights_only=True)["model"]
    again, other = (rehearsal_weights.weights(tmp_path, dimensions, vocabulary, seed) for seed in (0, 1))
    assert list(built) == list(again)
    assert all(torch.equal(built[key], again[key]) for key in built)
    assert not torch.equal(built["gpt.mel_head.weight"], other["gpt.mel_head.weight"])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, OSError])
def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    def interrupted(folder: Path, *_: object) -> None:
        (folder / "model.pth").write_bytes(b"half")
        raise interruption

    monkeypatch.setattr(rehearsal, "_write_checkpoint", interrupted)
    with pytest.raises(ModelError if interruption is OSError else interruption):
        rehearsal.build(tmp_path / "tiny", "rehearsal-tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_comes_second_keeps_the_first(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "tiny"

    def outrun(folder: Path, *_: object) -> None:
        shutil.copytree(tiny_checkpoint, target)  # another process finishes meanwhile

    monkeypatch.setattr(rehearsal, "_write_checkpoint", outrun)
    for name in ("verify_listens", "verify_ends", "_write_record"):
        monkeypatch.setattr(rehearsal, name, lambda *_: None)
    assert rehearsal.build(target, "rehearsal-tiny", load=lambda _: None) == target
    assert rehearsal.is_complete(target, "rehearsal-tiny")
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(ModelError, match="already holds"):
        rehearsal.build(tmp_path, "rehearsal-tiny")
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "keep"


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no rehearsal model"):
        rehearsal.build(tmp_path / "x", "rehearsal-huge")


def test_ensure_builds_once_and_again_when_damaged(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Path] = []

    def copy_instead(folder: Path, name: str) -> Path:
        built.append(folder)
        return Path(shutil.copytree(tiny_checkpoint, folder))

    monkeypatch.setattr(rehearsal, "build", copy_instead)
    folder = rehearsal.ensure("rehearsal-tiny", cache_dir=tmp_path)
    assert folder == tmp_path / "rehearsal" / f"rehearsal-tiny-v{rehearsal.RECIPE_VERSION}"
    assert rehearsal.ensure("rehearsal-tiny", cache_dir=tmp_path) == folder
    assert len(built) == 1
    (folder / "model.pth").write_bytes(b"cut")
    assert rehearsal.ensure("rehearsal-tiny", cache_dir=tmp_path) == folder
    assert len(built) == 2
    assert rehearsal.is_complete(folder, "rehearsal-tiny")
