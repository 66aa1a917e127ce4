"""voicekit.tts_model: conditioning, seeds, limits, devices, on the real classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from tests.voices import talking
from voicekit.audio import Audio
from voicekit.checkpoint import from_folder
from voicekit.errors import AudioError, TextError
from voicekit.text import LANGUAGES, Measured
from voicekit.tts_model import TTSModel, Voice, VoiceSettings
from voicekit.utterances import SpeechSettings, Utterance

SENTENCES = {
    "en": "The train leaves at 7.", "es": "El tren sale a las 7.", "fr": "Le train part à 7 heures.",
    "de": "Der Zug fährt um 7 Uhr.", "it": "Il treno parte alle 7.", "pt": "O trem parte às 7.",
    "pl": "Pociąg odjeżdża o 7 rano.", "tr": "Tren saat 7 gibi kalkıyor.", "ru": "Поезд отходит в 7 часов.",
    "nl": "De trein vertrekt om 7 uur.", "cs": "Vlak odjíždí v 7 hodin.", "ar": "يغادر القطار الساعة 7 صباحا.",
    "zh-cn": "火车7点出发。", "hu": "A vonat 7 órakor indul.", "ko": "기차는 7시에 출발합니다.",
    "ja": "電車は七時に出ます。",
    "hi": "ट्रेन सात बजे चलती है।",  # upstream reads no Hindi digits
}


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> TTSModel:
    return TTSModel.load(from_folder(tiny_checkpoint), device="cpu")


@pytest.fixture(scope="module")
def voice(model: TTSModel) -> Voice:
    return model.condition([talking(6.0)], model.voice_settings())


def first(model: TTSModel, text: str, voice: Voice, **wanted: float) -> Audio:
    return next(model.speak([text], voice, "en", model.speech_settings(**wanted))).audio


def test_the_defaults_are_the_released_config() -> None:
    assert VoiceSettings() == VoiceSettings(30, 4, 30, False)


def test_settings_come_from_the_checkpoint_and_give_way_to_the_user(model: TTSModel) -> None:
    assert model.speech_settings(seed=3, temperature=None) == SpeechSettings(seed=3)
    assert model.speech_settings(top_k=7).top_k == 7


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_can_be_tokenised_as_installed(model: TTSModel, language: str) -> None:
    tokens = model.tokens(SENTENCES[language], language)
    unknown = model._xtts.tokenizer.tokenizer.token_to_id("[UNK]")
    tag = model._xtts.tokenizer.tokenizer.token_to_id(f"[{language}]")
    assert tokens[0] == tag
    assert unknown not in tokens
    assert 5 < len(tokens) < 100


READINGS = {  # beside `SENTENCES`: numbers, abbreviations, signs, capitals, spaces, as coqui's own tokenizer reads them
    "en": "  Dr. Smith paid $1,250.50 on the 3rd & left at 50%.  ", "es": "El 2º día costó 3.500 € y un 5%.",
    "fr": "M. Dupont a payé 1.250,50 € le 3e jour & 7%.", "de": "Am 3. Mai kostete es 1.250,50 € & 7%.",
    "it": "Il 2º giorno costò 1.250,50 € & 7%.", "pt": "O 2º dia custou 1.250,50 € & 7%.",
    "pl": "Dnia 3. maja to kosztowało 1.250,50 zł & 7%.", "tr": "Bu 3. gün 1.250,50 tuttu & 7%.",
    "ru": "На 3-й день это стоило 1.250,50 & 7%.", "nl": "Op de 3e dag kostte het 1.250,50 & 7%.",
    "cs": "Stálo to 1.250,50 Kč & 7%.", "ar": "كلف ذلك 1250 & 7%.", "zh-cn": "第3天花了1250元，7%。",
    "hu": "A 3. napon 1.250,50 volt & 7%.", "ko": "3일째에 1250원이 들었습니다, 7%.",
    "ja": "東京へ行きました。  本当？", "hi": "यह अच्छा है & बहुत सुन्दर।",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["sentence", "reading", "capitals"])
def test_tokens_are_coquis_own(model: TTSModel, language: str, kind: str) -> None:
    text = {"sentence": SENTENCES, "reading": READINGS, "capitals": SENTENCES}[kind][language]
    text = f" \n{text.upper()} " if kind == "capitals" else text
    try:
        coquis = model._xtts.tokenizer.encode(text.strip().lower(), language)
    except Exception as error:  # num2words gives up, which is what spoken_form is for
        assert kind == "reading", error
        assert len(model.tokens(text, language)) > 5
        return
    if language in ("ja", "hi") and any(character.isdigit() for character in text):
        return  # coqui leaves digits as they are in these
    if kind == "reading" and "€" in text and language in ("es", "fr", "de", "it", "pt"):
        text = text.replace(" €", "€")  # written apart, coqui drops the sign
        coquis = model._xtts.tokenizer.encode(text.strip().lower(), language)
    assert model.tokens(text, language) == coquis


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_measure_counts_what_is_tokenised(model: TTSModel, language: str) -> None:
    """Characters once numbers are read out, which coqui's own cleaning tells; tokens as they are.

    Of scripts that it romanises after that, the characters as they are written: a digit is one of theirs.
    """
    text = SENTENCES[language]
    measured = model.measure(text, language)
    assert measured.tokens == len(model.tokens(text, language))
    cleaned = model._xtts.tokenizer.preprocess_text(text.lower(), language.split("-")[0])
    read = text if language in ("zh-cn", "ja", "ko") else cleaned
    assert measured == Measured(len(read), measured.tokens)
    if language == "en":
        assert measured.characters == len("the train leaves at seven.")


@pytest.mark.parametrize(("text", "language"), [("Bylo to 8. dne.", "cs"), (f"It is {'9' * 400}.", "en")])
def test_what_coqui_cannot_read_is_read_all_the_same(model: TTSModel, text: str, language: str) -> None:
    """num2words has no Czech ordinals, and gives up on long numbers."""
    with pytest.raises((NotImplementedError, OverflowError)):
        model._xtts.tokenizer.encode(text.lower(), language)
    tokens = model.tokens(text, language)
    assert model._xtts.tokenizer.tokenizer.token_to_id("[UNK]") not in tokens
    assert len(tokens) > len(text.split())


def test_too_many_tokens_are_refused_before_the_model_runs(model: TTSModel, voice: Voice) -> None:
    with pytest.raises(TextError, match="tokens"):
        list(model.speak(["x1 " * 400], voice, "en", SpeechSettings()))


def test_all_samples_count_weighted_by_what_is_heard(model: TTSModel) -> None:
    """Chunks of 4 s count alike: a sample of two chunks weighs twice one of a single chunk."""
    import torch

    long, short = talking(8.0), talking(4.0, pitch_hz=200, seed=2)
    settings = model.voice_settings()
    a, b = model.condition([long], settings), model.condition([short], settings)
    both = model.condition([long, short], settings)
    assert torch.allclose(both.conditioning, (2 * a.conditioning + b.conditioning) / 3, atol=1e-6)
    expected = (2 * a.speaker_embedding + b.speaker_embedding) / 3
    assert torch.allclose(both.speaker_embedding, expected, atol=1e-6)
    assert both.heard_s == pytest.approx(12.0)


def test_a_second_sample_counts_even_after_a_long_first_one(model: TTSModel) -> None:
    import torch

    long = Audio(np.tile(talking(10.0).samples, 4), 22_050)
    settings = model.voice_settings()
    alone = model.condition([long], settings)
    assert alone.heard_s == 30
    assert not torch.equal(alone.conditioning, model.condition([long, talking(6.0, seed=9)], settings).conditioning)


def test_conditioning_does_not_change_the_sample(model: TTSModel) -> None:
    sample = talking(5.0)
    before = sample.samples.copy()
    model.condition([sample], VoiceSettings(sound_norm_refs=True))
    assert np.array_equal(sample.samples, before)


def test_a_sample_too_short_to_be_heard_is_refused(model: TTSModel) -> None:
    with pytest.raises(AudioError, match="too short"):
        model.condition([talking(0.3)], VoiceSettings())


def test_a_segments_speech_does_not_depend_on_its_neighbours(model: TTSModel, voice: Voice) -> None:
    settings = model.speech_settings(seed=5)
    texts = ["One two three.", "Four five.", "Six.", "Seven eight nine ten eleven twelve."]
    together = list(model.speak(texts, voice, "en", settings))
    assert [speech.index for speech in together] == [0, 1, 2, 3]
    for batch_size in (1, 2, 3):
        for mine, theirs in zip(model.speak(texts, voice, "en", settings, batch_size), together, strict=True):
            assert (mine.codes, mine.stopped) == (theirs.codes, theirs.stopped)
            difference = mine.audio.samples - theirs.audio.samples  # the rounding of sums in another order
            assert np.abs(difference).max() < 1e-4 * np.abs(theirs.audio.samples).max()


def test_the_same_batch_gives_the_same_bytes(model: TTSModel, voice: Voice) -> None:
    texts = ["One two three.", "Four five.", "Six.", "Seven eight nine ten eleven twelve.", "Thirteen."]
    settings = model.speech_settings(seed=5)
    once, again = ([speech.audio.samples for speech in model.speak(texts, voice, "en", settings, 2)] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_narrow_layers_speak_nearly_what_float32_speaks(tiny_checkpoint: Path, model: TTSModel, voice: Voice) -> None:
    """The scores of the first code differ by the rounding of the narrow layers, and by no more."""
    import torch

    from voicekit.decoding import embed_text

    scores = {}
    for precision in ("float32", "bfloat16", "float16"):
        gpt = TTSModel.load(from_folder(tiny_checkpoint), "cpu", precision)._gpt
        with torch.inference_mode():
            cache = gpt.hear(voice.conditioning).for_rows(1)
            gpt.read([embed_text(gpt, model.tokens("One two three.", "en"))], cache)
            states = gpt.step(gpt.embed_codes([gpt.start_code], [0]), cache)
            scores[precision] = gpt.logits(gpt.latents(states))[0].log_softmax(-1)
    exact = scores["float32"]
    for precision, bound in (("bfloat16", 0.05), ("float16", 0.005)):
        divergence = float((exact.exp() * (exact - scores[precision])).sum())
        assert 0 < divergence < bound, (precision, divergence)


def test_who_listens_hears_the_first_segment_before_the_others_begin(model: TTSModel, voice: Voice) -> None:
    texts = ["One two three.", "Four five.", "Six."]
    settings = model.speech_settings(seed=5)
    begun: list[int] = []
    real = model._segment

    def noted(utterance: Utterance) -> Any:
        begun.append(utterance.number)
        return real(utterance)

    with patch.object(model, "_segment", noted):
        speech = model.speak(texts, voice, "en", settings, first_alone=True)
        assert next(speech).index == 0
        assert begun == [0]
        assert [each.index for each in speech] == [1, 2]
    assert begun == [0, 1, 2]


def test_out_of_gpu_memory_halves_the_batch_and_says_so(
    model: TTSModel, voice: Voice, caplog: pytest.LogCaptureFixture
) -> None:
    """A GPU that holds two segments at a time: the same segments come, and none twice."""
    import torch

    from voicekit import tts_model

    texts = ["One two three.", "Four five.", "Six.", "Seven eight nine.", "Ten."]
    settings = model.speech_settings(temperature=0.0)
    whole = [each.audio.samples for each in model.speak(texts, voice, "en", settings, 8)]
    tried: list[int] = []
    real = tts_model.decode

    def cramped(gpt: Any, heard: Any, segments: Any, sampling: Any, rows: int) -> Any:
        tried.append(rows)
        if rows > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(gpt, heard, segments, sampling, rows)

    with patch.object(tts_model, "decode", cramped):
        halved = list(model.speak(texts, voice, "en", settings, 8))
    assert tried == [8, 4, 2]
    assert [each.index for each in halved] == list(range(5))
    assert all(np.array_equal(a, b.audio.samples) for a, b in zip(whole, halved, strict=True))
    assert "going on with 4" in caplog.text and "going on with 2" in caplog.text


def test_out_of_memory_with_one_segment_is_an_error(model: TTSModel, voice: Voice) -> None:
    import torch

    from voicekit import tts_model

    with patch.object(tts_model, "decode", side_effect=torch.OutOfMemoryError("CUDA out of memory")):
        with pytest.raises(torch.OutOfMemoryError):
            list(model.speak(["One."], voice, "en", model.speech_settings(), 2))


def test_seeds_make_takes(model: TTSModel, voice: Voice) -> None:
    a, b = (first(model, "One two three.", voice, seed=seed) for seed in (1, 2))
    assert not np.array_equal(a.samples, b.samples)
    again = first(model, "One two three.", voice, seed=1)
    assert np.array_equal(a.samples, again.samples)


def test_the_length_is_that_of_the_codes(model: TTSModel, voice: Voice) -> None:
    speech = next(model.speak(["One two three."], voice, "en", model.speech_settings(temperature=0.0)))
    assert speech.audio.sample_rate == 24_000
    assert speech.audio.duration_s == pytest.approx(speech.codes * 1024 / 22_050, abs=0.03)
