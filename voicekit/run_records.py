"""A record of ``runs.jsonl`` as one reads it: which runs there are, which are comparable, what of them is measured.

A record may come from an older version, another program or a damaged line: what is missing or of a wrong type is
unknown, and nothing here fails for it. Standard library only.
"""

from __future__ import annotations

import bisect
import contextlib
import datetime as dt
import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from voicekit.complexity import exponent
from voicekit.run_statistics import Line, median, usual_line

Record = Mapping[str, Any]

STATUSES = ("ok", "error", "interrupted", "killed", "crashed", "unknown")
UNFINISHED = ("killed", "crashed")
_PAIRED = 100  # runs, all pairs of which are looked at

_MOST = 1e15  # a larger number is damage, and its square would still be one
_LEAST_SIZE = 1e-6
_HIGHEST_POWER = 4.0
_LONGEST_TEXT = 80
_UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# Flags by which a run does more, less or other work, which none of its sizes tells of.
_MODES = ("--dry-run", "--analyze-only", "--no-dnsmos", "--no-preprocess", "--report", "--plot", "--verify", "--play",
          "--redo", "--jobs", "--check", "--list-voices", "--delete-voice", "--clear-cache")  # fmt: skip
# Settings that change the work by their value: what they are called, and the default. Where a record has no value (an
# older one), the flag alone counts.
_SETTINGS: Mapping[str, tuple[str, str | float]] = {
    "denoise": ("--denoise", "auto"), "speed": ("--speed", 1.0), "tempo": ("--tempo", 1.0),
    "sample_rate": ("--sample-rate", 24_000.0), "batch_size": ("--batch-size", 12.0), "format": ("output", ".wav"),
}  # fmt: skip

# Stages that work on several segments at once, and the numbers of these from which on a code costs another amount: by
# a quarter less or so from one to the next, where a row costs a tenth of a step (voicekit.run_costs).
_TOGETHER = ("generate",)
_ROWS = (2, 3, 4, 6, 9, 14, 32)

# How much work a run was, by the first of these that is known; and what one of each is called.
_WORK = ("codes", "audio_s", "sample_s", "text_length", "characters", "segments")
_NAMES = {"text_length": ("character", "characters"), "heard_s": ("second heard", "seconds heard")}
_MEASURES = {"s": ("second of", "seconds of"), "mb": ("MB of", "MB of")}


# --- reading a record --------------------------------------------------------------------------------------


class Key(NamedTuple):
    """Runs with the same key are compared with each other, and with no others. mode: flags for less or other work."""

    script: str | None
    model: str | None
    device: str | None
    precision: str | None
    machine: str | None
    threads: float | None
    mode: str | None = None


class Law(NamedTuple):
    """A stage's declared growth: ``O(n)`` of a size, and the power of n in it."""

    size: str
    time: str
    power: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run, in seconds and MB of 2**20 bytes; None is unknown."""

    seconds: float
    cpu_s: float | None
    before_mb: float | None
    after_mb: float | None
    peak_mb: float | None
    faults: float | None
    sizes: Mapping[str, float]
    law: Law | None

    @property
    def cpu_share(self) -> float | None:
        """Processor cores that it had on average; nothing on a stage too short for the clock of the CPU."""
        return self.cpu_s / self.seconds if self.cpu_s is not None and self.seconds >= 0.01 else None


@dataclass(frozen=True, slots=True)
class Run:
    """A record, as far as it can be read. load: the load average per core, at the start or at the end if higher.

    rows: segments that were decoded together; a run that did not say its batch size had the default one.
    """

    run_id: str
    status: str
    started: str | None
    when: float | None
    key: Key
    total_s: float | None
    stages: Mapping[str, Stage]
    sizes: Mapping[str, float]
    rows: float
    peak_mb: float | None
    cuda_peak_mb: float | None
    available_mb: float | None
    load: float | None
    rtf: float | None
    versions: Mapping[str, str]
    error: tuple[str, str | None, str | None] | None  # type, place, stage
    last_stage: str | None

    @property
    def script(self) -> str:
        """Which command ran; "unknown" in a damaged record."""
        return self.key.script or "unknown"


def read(record: Record) -> Run:
    """The record, with everything unusable in it left out."""
    timings, memory = mapping_in(record.get("timings_s")), mapping_in(record.get("memory_mb"))
    load, status = mapping_in(record.get("load")), text_in(record.get("status"))
    error = mapping_in(record.get("error"))
    kind = text_in(error.get("type"))
    cores = amount_in(mapping_in(record.get("machine")).get("cores"))
    averages = [amount_in(load.get(name)) for name in ("average_1min", "average_1min_end")]
    average = max((each for each in averages if each is not None), default=None)
    sizes = _sizes(record.get("sizes")) or _sizes({"audio_s": record.get("duration_s")})  # schema 1
    started = text_in(record.get("started"))
    return Run(
        run_id=text_in(record.get("run_id")) or "unknown",
        status=status if status in STATUSES else "unknown",
        started=started,
        when=_timestamp(started),
        key=key_of(record),
        total_s=amount_in(timings.get("total")),
        stages=_stages(timings, mapping_in(record.get("stages"))),
        sizes=sizes,
        rows=_rows(record, sizes),
        peak_mb=amount_in(memory.get("peak_rss")),
        cuda_peak_mb=amount_in(memory.get("cuda_peak")),
        available_mb=amount_in(load.get("available_mb")),
        load=average / cores if average is not None and cores else None,
        rtf=amount_in(record.get("rtf")),
        versions=_versions(record.get("versions")),
        error=(kind, text_in(error.get("place")), text_in(error.get("stage"))) if kind else None,
        last_stage=text_in(record.get("last_stage")),
    )


def key_of(record: Record) -> Key:
    """What must be equal for two runs to be compared: script, model, device and the like."""
    return Key(
        script=text_in(record.get("script")),
        model=text_in(record.get("model")),
        device=text_in(record.get("device")),
        precision=text_in(record.get("precision")),
        machine=text_in(mapping_in(record.get("machine")).get("id")),
        threads=amount_in(record.get("threads")),
        mode=_mode(record),
    )


def _mode(record: Record) -> str | None:
    """The flags and settings by which a run does more, less or other work; nothing of an ordinary run."""
    flags = record.get("flags")
    given = flags if isinstance(flags, (list, tuple)) else ()
    found = [flag for flag in _MODES if flag in given]
    found += [_setting(record, name, given) for name in _SETTINGS]
    found += ["resumed"] if amount_in(record.get("reused")) else []
    return " ".join(filter(None, found)) or None


def _setting(record: Record, name: str, given: Sequence[object]) -> str:
    """``--denoise strong``; nothing where it is the default."""
    (flag, default), value = _SETTINGS[name], {**record, **mapping_in(record.get("settings"))}.get(name)
    told = text_in(value) if isinstance(default, str) else amount_in(value)
    if told is None:
        return flag if flag in given else ""
    return "" if told == default else f"{flag} {told if isinstance(told, str) else format(told, 'g')}"


def _rows(record: Record, sizes: Mapping[str, float]) -> float:
    most = amount_in(record.get("batch_size")) or float(_SETTINGS["batch_size"][1])
    return max(1.0, min(sizes.get("segments", most), most))


def _stages(timings: Record, stages: Record) -> dict[str, Stage]:
    """Stages by name; schema 1 knows of each only how long it took."""
    found = {}
    for name in {**stages, **timings}:
        about = mapping_in(stages.get(name))
        seconds = amount_in(about.get("seconds", timings.get(name)))
        if seconds is not None and name != "total":
            found[text_in(name) or "unknown"] = Stage(
                seconds=seconds,
                cpu_s=amount_in(about.get("cpu_s")),
                before_mb=amount_in(about.get("rss_before_mb")),
                after_mb=amount_in(about.get("rss_after_mb")),
                peak_mb=amount_in(about.get("rss_peak_mb")),
                faults=amount_in(about.get("major_faults")),
                sizes=_sizes(about.get("sizes")),
                law=_law(about.get("declared")),
            )
    return found


def _law(value: object) -> Law | None:
    declared = mapping_in(value)
    size, law = text_in(declared.get("size")), text_in(declared.get("time"))
    return _read_law(size, law) if size and law else None


@functools.lru_cache(maxsize=256)  # a few names and laws, thousands of times
def _read_law(size: str, law: str) -> Law | None:
    with contextlib.suppress(ValueError):
        if (power := exponent(law)) <= _HIGHEST_POWER:
            return Law(size, law, power)
    return None


def mapping_in(value: object) -> Record:
    """A record's part, or an empty one where something else stands there."""
    return value if isinstance(value, dict) else {}


def amount_in(value: object) -> float | None:
    """A number that is not negative; NaN, infinity and absurd ones are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < _MOST else None


def _sizes(value: object) -> dict[str, float]:
    found = {text_in(name): amount_in(size) for name, size in mapping_in(value).items()}
    return {name: size for name, size in found.items() if name and size is not None and size >= _LEAST_SIZE}


def _versions(value: object) -> dict[str, str]:
    found = {text_in(name): text_in(version) for name, version in mapping_in(value).items()}
    return {name: version for name, version in found.items() if name and version}


def text_in(value: object) -> str | None:
    """A record's text, without control characters; None where something else stands there."""
    return _clean(value) if isinstance(value, str) else None


@functools.lru_cache(maxsize=1024)
def _clean(text: str) -> str | None:
    """Text fit for a terminal: no control characters, not endless; None for nothing."""
    if not text.strip():
        return None
    clean = _UNWRITABLE.sub("\ufffd", text)
    return clean if len(clean) <= _LONGEST_TEXT else clean[: _LONGEST_TEXT - 1] + "\u2026"


def _timestamp(started: str | None) -> float | None:
    with contextlib.suppress(ValueError, OSError, OverflowError):
        return dt.datetime.fromisoformat(started or "").timestamp()
    return None


# --- which runs --------------------------------------------------------------------------------------------

_PERIOD_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds_in(period: str) -> float:
    """``"90m"``, ``"12h"``, ``"7d"`` or ``"2w"`` in seconds. Raises ValueError for anything else."""
    found = re.fullmatch(r"([0-9]{1,6})([mhdw])", period.strip().lower())
    if not found:
        raise ValueError(f"{period!r} is no period: write a number and m, h, d or w, such as 7d")
    return float(found[1]) * _PERIOD_S[found[2]]


def since(runs: Iterable[Record], earliest: float) -> list[Record]:
    """The runs that started at or after `earliest` (seconds since 1970); one without a readable start is left out."""
    return [run for run in runs if (when := _timestamp(text_in(run.get("started")))) is not None and when >= earliest]


def chosen(found: Record, runs: Iterable[Record]) -> list[Run]:
    """The runs that a report is about, read."""
    earliest, script = found.get("since"), found.get("script")
    kept = list(runs) if earliest is None else since(runs, earliest)
    return [run for run in map(read, kept) if script is None or run.key.script == script]


def find_run(runs: Sequence[Record], wanted: str) -> Record:
    """The run of that id, of an id that begins so, or the latest one (``last``).

    Raises ValueError, with a sentence for people, if there is none or more than one.
    """
    if not runs:
        raise ValueError("There are no runs on record.")
    newest = max(enumerate(runs), key=lambda each: (read(each[1]).when or 0.0, each[0]))[1]
    if wanted == "last":
        return newest
    ids = {text_in(run.get("run_id")) or "": run for run in runs}  # of two with one id, the one written later
    fitting = [run_id for run_id in ids if wanted and run_id.startswith(wanted)]
    if wanted in ids and wanted:
        return ids[wanted]
    if len(fitting) == 1:
        return ids[fitting[0]]
    if fitting:
        raise ValueError(f"{len(fitting)} runs begin with {wanted!r}, such as {', '.join(fitting[-3:])}: write more.")
    raise ValueError(f"No run is called {wanted!r}: write an id such as {read(newest).run_id}, the beginning of one, "
                     "or last.")


def disk_used(log_dir: str | os.PathLike[str]) -> dict[str, int]:
    """What the log folder holds, as ``{bytes, files}``; a link is itself, and what cannot be looked at is nothing."""
    size = files = 0
    for folder, _, names in os.walk(log_dir):
        for name in names:
            with contextlib.suppress(OSError):
                size += Path(folder, name).lstat().st_size
                files += 1
    return {"bytes": size, "files": files}


# --- series of comparable runs -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """One number of each run that has it, and the size it is measured by.

    sizes: of the stage's declared kind, to the declared power, and then `law` is given; else of the run's work, or
    None where that is unknown.
    """

    runs: list[Run]
    values: list[float]
    sizes: list[float | None]
    size_of: Callable[[Run], float | None]
    law: Law | None = None

    @property
    def line(self) -> Line:
        """What is usual, by the latest 100."""
        return usual_line(self.values[-_PAIRED:], self.sizes[-_PAIRED:], proportional=self.law is not None)

    @property
    def adjusted(self) -> list[float]:
        """The values over what is usual for their sizes."""
        line = self.line
        usual = [line.at(size) for size in self.sizes]
        return [value / each if each > 0 else 1.0 for value, each in zip(self.values, usual, strict=True)]


def series_of(runs: Sequence[Run], name: str) -> Series:
    """The seconds of a stage. Where most runs know the size that it is declared by, only those count."""
    there = [run for run in runs if name in run.stages]
    law = law_of(there, name)

    def seconds(run: Run) -> float | None:
        return run.stages[name].seconds

    if law is None:
        return by_work(there, seconds)
    if law.power == 0:
        return _series(there, seconds, lambda run: None)
    sized = _series(there, seconds, lambda run: size_in(run, name, law), law)
    known = [run for run, size in zip(there, sized.sizes, strict=True) if size is not None]
    return _series(known, seconds, sized.size_of, law) if 2 * len(known) >= len(there) else by_work(there, seconds)


def kinds_of(runs: Sequence[Run], name: str) -> list[list[Run]]:
    """The runs that have a stage, parted by what it worked on there: only within a part can its seconds be compared.

    A voice that was heard before is taken from the cache, which the declared size tells by its absence; and a code
    costs the less, the more segments are decoded together.
    """
    there = [run for run in runs if name in run.stages]
    law = law_of(there, name)
    kinds: dict[tuple[bool, int], list[Run]] = {}
    for run in there:
        is_sized = law is not None and law.power > 0 and size_in(run, name, law) is not None
        kinds.setdefault((is_sized, width_of(run) if name in _TOGETHER else 0), []).append(run)
    return list(kinds.values())


def width_of(run: Run) -> int:
    """About how many segments were decoded together: within one width, a code costs the same up to a quarter."""
    return bisect.bisect(_ROWS, run.rows)


def law_of(runs: Sequence[Run], name: str) -> Law | None:
    """What the latest run declares; the declaration may have changed."""
    return next((run.stages[name].law for run in reversed(runs) if name in run.stages and run.stages[name].law), None)


def size_in(run: Run, name: str, law: Law) -> float | None:
    """The declared size of a stage, to the declared power (at least 1)."""
    size = run.stages[name].sizes.get(law.size, run.sizes.get(law.size)) if name in run.stages else None
    return None if size is None else size ** (law.power or 1.0)


def work_of(runs: Sequence[Run]) -> str | None:
    """The kind of size that tells how much work these runs were: the first that most of them know."""
    counts = Counter(name for run in runs for name in run.sizes)
    return next((name for name in _WORK if 2 * counts[name] > len(runs)), None)


def by_work(runs: Sequence[Run], value_of: Callable[[Run], float | None]) -> Series:
    """A number that is declared by nothing: with the run's work beside it, which it may or may not grow with."""
    work = work_of(runs)
    known = [run for run in runs if work is None or work in run.sizes]
    return _series(known, value_of, lambda run: run.sizes.get(work) if work else None)


def _series(
    runs: Sequence[Run], value_of: Callable[[Run], float | None], size_of: Callable[[Run], float | None],
    law: Law | None = None,
) -> Series:  # fmt: skip
    there = [(run, value) for run in runs if (value := value_of(run)) is not None]
    measured = [run for run, _ in there]
    return Series(measured, [value for _, value in there], [size_of(run) for run in measured], size_of, law)


def names_of(size: str) -> tuple[str, str]:
    """What one and many of a size are called: code, codes; second of audio, seconds of audio."""
    what, _, measure = size.rpartition("_")
    if size in _NAMES or measure not in _MEASURES or not what:
        return _NAMES.get(size, (size.removesuffix("s").replace("_", " "), size.replace("_", " ")))
    one, many = _MEASURES[measure]
    return f"{one} {what.replace('_', ' ')}", f"{many} {what.replace('_', ' ')}"


def unit(law: Law) -> str:
    """What one of the declared size is called, with its power."""
    one, _ = names_of(law.size)
    return one if law.power in (0, 1) else f"{one}\u00b2" if law.power == 2 else f"{one}^{law.power:g}"


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of what is known; None of nothing."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def load_of(runs: Sequence[Run]) -> float | None:
    """The median load of the machine while these ran, as `Run.load`."""
    return median_of([run.load for run in runs])


def is_busier(now: float | None, usual: float | None) -> bool:
    """Whether a load average per core is well above the usual one: others use the machine."""
    return now is not None and usual is not None and now > 1.5 * usual + 0.5
