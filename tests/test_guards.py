"""The guards let careful steps pass and refuse those that harm: each kind of harm is constructed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.voices import talking
from voicekit.audio import Audio, resample
from voicekit.guards import noise_drop_db, speech_change
from voicekit.noise import Regions
from voicekit.quality import speech_regions

RATE = 24_000


@pytest.fixture(scope="module")
def clean() -> Audio:
    return talking(8.0, RATE)


@pytest.fixture(scope="module")
def speech(clean: Audio) -> Regions:
    return speech_regions(clean)


def noisy(clean: Audio, snr_db: float) -> Audio:
    noise = np.random.default_rng(3).standard_normal(len(clean.samples))
    scale = np.std(clean.samples) * 10 ** (-snr_db / 20)
    return Audio((clean.samples + scale * noise).astype(np.float32), clean.sample_rate)


@pytest.mark.parametrize("snr_db", [30.0, 20.0, 10.0])
def test_taking_exactly_the_noise_away_passes(clean: Audio, speech: Regions, snr_db: float) -> None:
    before = noisy(clean, snr_db)
    change = speech_change(before, clean, speech)
    assert change.harm is None
    assert abs(change.level_db) < 1.0 and change.bands_db < 1.0
    assert noise_drop_db(before, clean, speech) > 40 - snr_db


def test_nothing_changed_is_no_harm(clean: Audio, speech: Regions) -> None:
    change = speech_change(clean, clean, speech)
    assert (change.harm, change.level_db) == (None, pytest.approx(0, abs=0.1))


def muffled(audio: Audio) -> Audio:
    low = resample(resample(audio, 2_000), RATE).samples
    return Audio(np.pad(low, (0, max(0, len(audio.samples) - len(low))))[: len(audio.samples)], RATE)


def chopped(audio: Audio) -> Audio:
    gate = (np.arange(len(audio.samples)) // (RATE // 10)) % 2
    return Audio((audio.samples * (0.02 + 0.98 * gate)).astype(np.float32), RATE)


HARMS = {
    "turned down": lambda audio: Audio(audio.samples * np.float32(0.3), RATE),
    "turned up": lambda audio: Audio(audio.samples * np.float32(3), RATE),
    "muffled": muffled,
    "chopped": chopped,
    "replaced by noise": lambda audio: Audio(
        np.random.default_rng(0).standard_normal(len(audio.samples)).astype(np.float32) * audio.samples.std(), RATE),
    "other words": lambda audio: Audio(audio.samples[::-1].copy(), RATE),
}


@pytest.mark.parametrize("name", HARMS)
def test_each_harm_is_refused_with_its_reason(clean: Audio, speech: Regions, name: str) -> None:
    change = speech_change(noisy(clean, 20.0), HARMS[name](clean), speech)
    assert change.harm is not None and change.harm.startswith("it would change the speech's"), change


def test_without_speech_nothing_can_be_said(clean: Audio) -> None:
    assert speech_change(clean, clean, []).harm is None
    assert noise_drop_db(clean, clean, []) == 0.0
