"""Does a checkpoint listen, and does it end? Measured on its finished files, refused where it fails.

The truth is coqui's own `Xtts` (`CoquiProbe`); any other decoder of the architecture can be measured the
same way by giving it the methods of `Probe`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from voicekit.errors import ModelError
from voicekit.loading import import_xtts
from voicekit.rehearsal_weights import START_CODE, STOP_CODE, synthetic_voice

CEILING_CODES = 602  # what one segment can hold: 605 positions less start, stop and conditioning

# All composed for this module.
BASE_TEXT = "the weather is fine today."
OTHER_TEXT = "nobody in the town remembered his name"
SAME_LENGTH_TEXT = "my sister has a small car."
SHARED_START_TEXT = "the weather is fine today, but it may rain"
LONG_TEXT = (
    "the river carried them slowly past the sleeping town, and nobody on the bank raised a hand or called a "
    "name; only the bells, far off, counted out the hour. later the rain came, soft at first, then hard "
    "enough to hide the other shore, and the boat went on."
)
LISTENING_CODES = 60  # enough codes to compare, also of a model that never ends
WAVE_CODES = 24  # a second of sound

LEAST_CHANGED = 0.5  # share of the codes
MOST_LATENTS_SNR_DB, MOST_SPEAKER_SNR_DB = 3.0, 10.0
PEAK_RANGE = (0.05, 0.98)
MOST_OFFSET = 0.01  # of the waveform's RMS
FEWEST_CODES = 10
CODES_PER_CHARACTER_RANGE = (1.1, 1.9)
RATIO_CHARACTERS = 40  # the ratio is asked of texts from here on: the constant part weighs less


@dataclass(frozen=True)
class Voice:
    """What a model makes of a reference: GPT latents [1, 32, width] and speaker embedding [1, 512, 1]."""

    latents: Any
    embedding: Any


class Probe(Protocol):
    """A loaded checkpoint, as far as verification needs it; any decoder of the architecture can be one."""

    def voice(self, wave: Any, rate_hz: int) -> Voice:
        """Condition on a mono float32 reference [samples]."""

    def codes(
        self, text: str, voice: Voice, *, sample_seed: int | None = None, most: int = CEILING_CODES
    ) -> list[int]:
        """The audio codes of an English text, less the stop code: greedy, or sampled with a seed.

        Both with a repetition penalty of 5; sampled with temperature 0.75, top_k 50, top_p 0.85.
        """

    def latents(self, text: str, codes: Sequence[int], voice: Voice) -> Any:
        """The GPT's latents [1, codes, width] for these codes."""

    def wave(self, latents: Any, voice: Voice) -> Any:
        """The vocoder's 24 kHz waveform, float32 [samples]."""


class CoquiProbe:
    """coqui's own `Xtts`, loaded by its own loader on the CPU."""

    def __init__(self, folder: Path) -> None:
        xtts_class = import_xtts()
        from TTS.tts.configs.xtts_config import XttsConfig

        settings = XttsConfig()
        settings.load_json(str(folder / "config.json"))
        self._settings = settings
        self._model = xtts_class(settings)
        self._model.load_checkpoint(settings, checkpoint_dir=str(folder), eval=True)

    def voice(self, wave: Any, rate_hz: int) -> Voice:
        """Condition coqui's model on a wave, float32 [samples]."""
        import torch

        audio = torch.from_numpy(wave)[None]
        settings = self._settings
        latents = self._model.get_gpt_cond_latents(
            audio, rate_hz, settings.gpt_cond_len, settings.gpt_cond_chunk_len
        )
        return Voice(latents, self._model.get_speaker_embedding(audio, rate_hz))

    def codes(
        self, text: str, voice: Voice, *, sample_seed: int | None = None, most: int = CEILING_CODES
    ) -> list[int]:
        """What coqui's `generate` chooses: greedily, or sampled with a seed; `most` codes at most."""
        import torch
        from transformers import MaxLengthCriteria, StoppingCriteriaList

        settings, tokens = self._settings, self._tokens(text)
        prefix = voice.latents.shape[1] + tokens.shape[1] + 3  # start and stop of text, start of codes
        limit = StoppingCriteriaList([MaxLengthCriteria(prefix + most)])
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(sample_seed or 0)
            spoken = self._model.gpt.generate(
                cond_latents=voice.latents,
                text_inputs=tokens,
                do_sample=sample_seed is not None,
                temperature=settings.temperature,
                top_k=settings.top_k,
                top_p=settings.top_p,
                length_penalty=settings.length_penalty,
                repetition_penalty=settings.repetition_penalty,
                num_beams=1,
                stopping_criteria=limit,
            )[0]
        found: list[int] = spoken.tolist()
        return found[: found.index(STOP_CODE)] if STOP_CODE in found else found

    def latents(self, text: str, codes: Sequence[int], voice: Voice) -> Any:
        """The GPT's states for these codes in a second pass, float32 [1, codes, width], as coqui takes them."""
        import torch

        tokens, spoken = self._tokens(text), torch.tensor([[*codes, STOP_CODE]])
        samples = torch.tensor([spoken.shape[1] * self._model.gpt.code_stride_len])
        with torch.inference_mode():
            return self._model.gpt(
                tokens,
                torch.tensor([tokens.shape[1]]),
                spoken,
                samples,
                cond_latents=voice.latents,
                return_latent=True,
            )[:, : len(codes)]

    def wave(self, latents: Any, voice: Voice) -> Any:
        """What coqui's vocoder makes of latents: float32 [samples] of 24 kHz."""
        import torch

        with torch.inference_mode():
            return self._model.hifigan_decoder(latents, g=voice.embedding).flatten().numpy()

    def _tokens(self, text: str) -> Any:
        import torch

        return torch.tensor([self._model.tokenizer.encode(text, lang="en")])


@dataclass(frozen=True)
class Listening:
    """How much a checkpoint depends on what it is given.

    Attributes:
        other_text, same_length, shared_start, other_voice: share (0 to 1) of the greedy codes that change,
            position by position over the shorter, against BASE_TEXT in the first voice.
        latents_snr_db, speaker_snr_db: of the base's waveform against one from another text's latents, and
            against one with another speaker embedding, each less its mean.
        peak, rms, offset: of the base's waveform; the offset is its mean.
    """

    other_text: float
    same_length: float
    shared_start: float
    other_voice: float
    latents_snr_db: float
    speaker_snr_db: float
    peak: float
    rms: float
    offset: float


@dataclass(frozen=True)
class Ending:
    """Lengths of what a checkpoint speaks: one entry a text, characters and codes."""

    characters: tuple[int, ...]
    greedy_codes: tuple[int, ...]
    sampled_codes: tuple[int, ...]


def changed_share(codes: Sequence[int], others: Sequence[int]) -> float:
    """Share of the positions, over the shorter of the two, at which the codes differ; 0 if one is empty."""
    pairs = list(zip(codes, others, strict=False))
    return round(sum(a != b for a, b in pairs) / max(1, len(pairs)), 3)


def snr_db(reference: Any, other: Any) -> float:
    """Level of `reference` over its difference from `other`, over the shorter, each less its mean, in dB."""
    import numpy as np

    length = min(len(reference), len(other))
    a, b = (wave[:length].astype(np.float64) - wave[:length].mean() for wave in (reference, other))
    return round(float(10 * np.log10((a @ a + 1e-20) / ((a - b) @ (a - b) + 1e-20))), 2)


def _voice(probe: Probe, seed: int) -> Voice:
    """The probe's view of four seconds of a made-up voice."""
    return probe.voice(synthetic_voice(seed, seconds=4.0, rate_hz=22050), 22050)


def measure_listening(probe: Probe) -> Listening:
    """Speak a text, three others and the first in another voice, greedily, and compare."""
    first, second = _voice(probe, 101), _voice(probe, 102)
    base = probe.codes(BASE_TEXT, first, most=LISTENING_CODES)
    texts = (OTHER_TEXT, SAME_LENGTH_TEXT, SHARED_START_TEXT)
    others = [probe.codes(text, first, most=LISTENING_CODES) for text in texts]
    revoiced = probe.codes(BASE_TEXT, second, most=LISTENING_CODES)
    latents = probe.latents(BASE_TEXT, base, first)[:, :WAVE_CODES]
    other_latents = probe.latents(OTHER_TEXT, others[0], first)[:, :WAVE_CODES]
    wave, other_wave = probe.wave(latents, first), probe.wave(other_latents, first)
    return Listening(
        other_text=changed_share(base, others[0]),
        same_length=changed_share(base, others[1]),
        shared_start=changed_share(base, others[2]),
        other_voice=changed_share(base, revoiced),
        latents_snr_db=snr_db(wave, other_wave),
        speaker_snr_db=snr_db(wave, probe.wave(latents, Voice(first.latents, second.embedding))),
        peak=round(float(abs(wave).max()), 4),
        rms=round(float(wave.std()), 4),
        offset=float(f"{wave.mean():.2g}"),
    )


def verify_listens(probe: Probe) -> Listening:
    """Measure and refuse a checkpoint whose text, voice or latents hardly matter.

    Raises:
        ModelError: with the figure that failed.
    """
    found = measure_listening(probe)
    for name in ("other_text", "same_length", "shared_start", "other_voice"):
        share = getattr(found, name)
        _demand(share > LEAST_CHANGED, f"deaf: {name} changes {share:.0%} of the codes")
    _demand(found.latents_snr_db < MOST_LATENTS_SNR_DB, f"deaf to latents: {found.latents_snr_db} dB SNR")
    _demand(found.speaker_snr_db < MOST_SPEAKER_SNR_DB, f"deaf to speakers: {found.speaker_snr_db} dB SNR")
    _demand(PEAK_RANGE[0] <= found.peak <= PEAK_RANGE[1], f"waveform peaks at {found.peak}")
    _demand(abs(found.offset) <= MOST_OFFSET * found.rms, f"waveform has an offset of {found.offset}")
    return found


def verify_ends(probe: Probe, lengths: Sequence[int], sample_seed: int = 1) -> Ending:
    """Speak pieces of LONG_TEXT of these lengths (rising, characters), greedily and sampled; see them end.

    Raises:
        ModelError: one ran to the ceiling, ended at once or at no plausible length, held the start code,
            or a longer text was not longer.
    """
    voice = _voice(probe, 101)
    greedy: list[int] = []
    sampled: list[int] = []
    for characters in lengths:
        for seed, counts in ((None, greedy), (sample_seed, sampled)):
            codes = probe.codes(LONG_TEXT[:characters], voice, sample_seed=seed)
            _demand_plausible(codes, characters)
            counts.append(len(codes))
    _demand(greedy == sorted(set(greedy)), f"lengths do not grow with the text: {greedy}")
    return Ending(tuple(lengths), tuple(greedy), tuple(sampled))


def _demand_plausible(codes: Sequence[int], characters: int) -> None:
    """Refuse a code sequence of a length that speech of so many characters would not have."""
    count, ratio = len(codes), len(codes) / characters
    _demand(count < CEILING_CODES, f"never ends: {characters} characters ran to the ceiling of {count} codes")
    _demand(count >= FEWEST_CODES, f"ends at once: {characters} characters gave {count} codes")
    _demand(START_CODE not in codes, "speaks its start code")
    low, high = CODES_PER_CHARACTER_RANGE
    _demand(characters < RATIO_CHARACTERS or low <= ratio <= high, f"{ratio:.2f} codes a character")


def _demand(met: bool, finding: str) -> None:
    if not met:
        raise ModelError(
            f"The rehearsal model fails its verification: {finding}.",
            "This is a defect of the recipe or of the installed versions: please report it with both.",
        )
