"""What a clone will come to, before it begins: its segments, its length, its time on this machine. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicekit import checkpoint, cutting, machine, rehearsal, run_history
from voicekit.audio import is_silent, read_part, to_mono
from voicekit.cloning import MOST_SAMPLE_S, CloneSettings, Request
from voicekit.cutting import Cut
from voicekit.device_advice import device_advice
from voicekit.errors import AudioError
from voicekit.forecast import Forecast, forecast
from voicekit.speaking_rate import spoken_seconds
from voicekit.text import roughly
from voicekit.voices import source


@dataclass(frozen=True)
class Plan:
    """What would be done: for each request its segments, the samples, the model, and what is to be expected."""

    requests: tuple[Request, ...]
    cuts: tuple[Cut, ...]
    samples: tuple[tuple[str, float], ...]
    model_state: str
    expected: Forecast | None
    advice: str | None

    @property
    def segments(self) -> int:
        """How many segments all texts have."""
        return sum(len(cut.segments) for cut in self.cuts)

    @property
    def characters(self) -> int:
        """How many characters are spoken, numbers read out."""
        return sum(cut.characters for cut in self.cuts)


def plan(requests: Sequence[Request], settings: CloneSettings, log_dir: Path) -> Plan:
    """What would be done of requests that are admitted and not delivered.

    Raises:
        AudioError: a sample is silent.
        ModelError: there is no such model.
        TextError: a text with nothing to speak, a lexicon that cannot be read.
    """
    share = -(-settings.batch_size // max(1, len(requests)))
    cuts = [cutting.cut(each, roughly, cutting.lexicon_of(each.settings), share) for each in requests]
    state = model_state(settings.model)
    records = run_history.read_runs(log_dir)
    return Plan(tuple(requests), tuple(cuts), _samples(requests), state, expected(requests, cuts, settings, log_dir),
                _advice(records, settings))  # fmt: skip


def expected(
    requests: Sequence[Request], cuts: Sequence[Cut], settings: CloneSettings, log_dir: Path
) -> Forecast | None:
    """The length and the time of a run, from the runs on record on this machine."""
    if not requests:
        return None
    language = requests[0].language
    texts = [segment.text for cut in cuts for segment in cut.segments]
    return forecast(
        run_history.read_runs(log_dir), model=_recorded(settings.model), characters=sum(map(len, texts)),
        segments=len(texts), batch_size=settings.batch_size,
        typical_s=sum(spoken_seconds(text, language).typical for text in texts), language=language,
        speed=(settings.speed or 1.0) * settings.tempo, device=settings.device, precision=settings.precision,
        threads=settings.threads, machine=machine.about()["id"],
    )  # fmt: skip


def _advice(records: Sequence[dict[str, Any]], settings: CloneSettings) -> str | None:
    device = "cpu" if settings.device == "auto" and not machine.has_nvidia_gpu() else settings.device
    return device_advice(
        records, model=_recorded(settings.model), device=device, precision=settings.precision, threads=settings.threads,
        cores=machine.cores(), gpu_unused=machine.has_nvidia_gpu(), machine=machine.about()["id"],
    )  # fmt: skip


def _recorded(model: str) -> str:
    """The model as the records of runs name it."""
    return model if model in (*rehearsal.NAMES, checkpoint.RELEASED) else Path(model).name


def _samples(requests: Sequence[Request]) -> tuple[tuple[str, float], ...]:
    """Every sample once: its name and its seconds."""
    found = []
    for path in dict.fromkeys(path for request in requests for path in source(request.voice, preprocess=True).samples):
        audio = to_mono(read_part(path, 0.0, MOST_SAMPLE_S))
        if is_silent(audio):
            raise AudioError(f"{path!r} is silent: its loudest moment is under -70 dBFS.",
                             "Record it again, nearer to the microphone.")  # fmt: skip
        found.append((Path(path).name, audio.duration_s))
    return tuple(found)


def model_state(model: str) -> str:
    """Whether a model is here; raises ModelError for a folder that is none."""
    if model in rehearsal.NAMES:
        return "here" if rehearsal.is_complete(rehearsal.folder_of(model), model) else "would be built first"
    if model == checkpoint.RELEASED:
        return "here" if checkpoint.find_released() else "would be downloaded first, 1.9 GB"
    checkpoint.from_folder(Path(model))
    return "here"
