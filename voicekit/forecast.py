"""What a run will come to, from the runs that this machine has on record: length of the speech, time by stage.

A forecast rests on runs of the same model, device, precision, threads and machine; where there is none, it tells the
length of the speech alone. Records in, numbers out: this module reads no file, asks no clock and knows no torch.
Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicekit.run_costs import Usual, Work, growing_share, spread
from voicekit.run_records import Key, Run, read, text_in
from voicekit.run_statistics import median

Record = Mapping[str, Any]

SCRIPT = "simple_voice_clone"
AUTO = "auto"
LATEST = 40  # comparable runs: older ones may be of an older program
CODES_PER_S = 22_050 / 1024  # of speech: one code stands for 1024 samples at 22,050 Hz
SPEECH_SIGMA, UNTOLD_SPEECH_SIGMA = 0.15, 0.3  # believed of the length before runs tell of it (see `run_costs`)
TENTH = 1.2816  # standard deviations from the median to the 10th and the 90th of 100

_FEWEST_CHARACTERS = 20


@dataclass(frozen=True)
class Range:
    """Between `low` and `high` lie 80 of 100 runs like this one; seconds."""

    expected: float
    low: float
    high: float

    @classmethod
    def around(cls, expected: float, sigma: float) -> Range:
        """Of values whose logarithm spreads by sigma."""
        factor = math.exp(TENTH * sigma)
        return cls(expected, expected / factor, expected * factor)


@dataclass(frozen=True)
class Forecast:
    """What a run will come to.

    speech_s: of the whole file, pauses included; speech_runs: how many runs that rests on (0: the typical rate).
    total_s: wall time; None where no comparable run is on record. stages: its parts, seconds by name.
    runs: how many comparable runs the time rests on.
    device, precision: of these runs.
    """

    speech_s: Range
    speech_runs: int
    total_s: Range | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    runs: int = 0
    device: str | None = None
    precision: str | None = None

    @property
    def speaking_s(self) -> float | None:
        """Of the total, what is spent on speaking: where an `Eta` begins."""
        if self.total_s is None:
            return None
        return self.stages.get("generate", 0.0) + self.stages.get("vocode", 0.0)


def forecast(
    records: Sequence[Record],
    *,
    model: str,
    characters: int,
    segments: int,
    batch_size: int,
    typical_s: float,
    language: str = "en",
    speed: float = 1.0,
    device: str = AUTO,
    precision: str = AUTO,
    threads: int | None = None,
    machine: str | None = None,
    sample_s: float | None = None,
    voice_known: bool = False,
    codes: int | None = None,
) -> Forecast | None:
    """Expected length of the speech and expected time of a run; None where there is nothing to speak.

    Args:
        records: of `run_history.read_runs`; anything in them may be missing or wrong.
        model: the checkpoint's name, as records have it.
        characters, segments: of the text; codes: where they are known, instead of an estimate.
        typical_s: what the text takes at speed 1 where no run on record tells (`speaking_rate.spoken_seconds`).
        device, precision, threads: as asked for; what is left to choose is taken to be chosen as in the latest run.
        speed: how many times as fast as normal, `--tempo` included.
        machine: `machine.about()["id"]`; None compares runs of all machines.
        sample_s: seconds of all samples, where they are known.
        voice_known: samples need not be prepared or heard (a profile, or the cache).
    """
    if characters < 1 or segments < 1:
        return None
    finished = finished_runs(records)
    per_character, speech_sigma, speech_runs = _speech(finished, model, language) or (
        typical_s / characters, UNTOLD_SPEECH_SIGMA, 0)  # fmt: skip
    if codes is not None:
        per_character, speech_sigma = codes / CODES_PER_S / characters, 0.0
    expected_s = characters * per_character / speed  # the codes' latents are stretched by the inverse of the speed
    speech = Range.around(expected_s, speech_sigma)
    comparable = _comparable(finished, model, device, precision, threads, machine)[-LATEST:]
    if not comparable:
        return Forecast(speech, speech_runs)
    usual = Usual.of([run for run, _ in comparable])
    codes = round(expected_s * speed * usual.codes_per_s) if codes is None else codes
    stages = usual.stages(Work(max(1, codes), min(segments, batch_size), expected_s, sample_s, voice_known))
    sigma = math.hypot(usual.sigma, speech_sigma * growing_share(stages))
    key = comparable[-1][0].key
    return Forecast(
        speech, speech_runs, Range.around(sum(stages.values()), sigma), stages, len(comparable),
        key.device, key.precision,
    )  # fmt: skip


# --- which runs --------------------------------------------------------------------------------------------


def finished_runs(records: Sequence[Record]) -> list[tuple[Run, Record]]:
    """Clones that spoke all of their text and came to their end: as they are read, and as they stand."""
    ours = [(read(record), record) for record in records if record.get("script") == SCRIPT and not record.get("reused")]
    return [(run, record) for run, record in ours if run.status == "ok" and _has_spoken(run)]


def _has_spoken(run: Run) -> bool:
    generate = run.stages.get("generate")
    return generate is not None and generate.seconds > 0 and {"codes", "audio_s"} <= run.sizes.keys()


def _comparable(
    finished: Sequence[tuple[Run, Record]],
    model: str,
    device: str,
    precision: str,
    threads: int | None,
    machine: str | None,
) -> list[tuple[Run, Record]]:
    """In the records' order. What is not asked for is as in the latest of those that fit what is."""
    # `cuda` is the first of its devices
    wanted = {"device": f"{device}:0" if device == "cuda" else device, "precision": precision, "threads": threads}
    asked = {name: value for name, value in wanted.items() if value not in (AUTO, None)}
    known = [each for each in finished if each[0].key.model == model and machine in (None, each[0].key.machine)
             and all(getattr(each[0].key, name) == value for name, value in asked.items())]  # fmt: skip
    return [each for each in known if _alike(each[0].key, known[-1][0].key)]


def _alike(first: Key, second: Key) -> bool:
    return (first.device, first.precision, first.threads) == (second.device, second.precision, second.threads)


# --- how much speech ---------------------------------------------------------------------------------------


def _speech(finished: Sequence[tuple[Run, Record]], model: str, language: str) -> tuple[float, float, int] | None:
    """Seconds of speech a character, how their logarithm spreads, and how many runs tell it; None where none does.

    A model speaks alike on any device. A text of a word or two tells nothing.
    """
    measured = [
        run.sizes["audio_s"] / run.sizes["text_length"]
        for run, record in finished
        if run.key.model == model and text_in(record.get("language")) == language
        and run.sizes.get("text_length", 0.0) >= _FEWEST_CHARACTERS and not _is_stretched(record)
    ][-LATEST:]  # fmt: skip
    if not measured:
        return None
    return median(measured), spread(measured, SPEECH_SIGMA), len(measured)


def _is_stretched(record: Record) -> bool:
    flags = record.get("flags")
    return isinstance(flags, list) and not {"--speed", "--tempo"}.isdisjoint(map(str, flags))
