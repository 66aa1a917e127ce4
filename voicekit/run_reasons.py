"""One run: what it did, what it cost, and why it was slow, or that it was not.

``explain`` runs at the end of every run: standard library only, and light. It says only what the numbers carry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from voicekit.run_records import (
    UNFINISHED,
    Key,
    Law,
    Record,
    Run,
    Stage,
    amount_in,
    is_busier,
    key_of,
    kinds_of,
    load_of,
    mapping_in,
    median_of,
    names_of,
    read,
    series_of,
    size_in,
    text_in,
    unit,
    work_of,
)
from voicekit.run_statistics import median
from voicekit.run_text import date_text, key_text, memory_text, percent_text, seconds_text, wrapped

# --- one run, and why it was slow --------------------------------------------------------------------------

_COMPARED = 20  # the latest comparable runs say what is usual
_FEWEST_COMPARED = 3
_SLOW_RATIO, _SLOW_S = 1.25, 0.2  # over so many times the usual seconds, and over so many more
_LOW_SHARE = 0.7  # of the usual cores: it did not compute, it waited
_MANY_FAULTS, _FAULTS_RATIO = 100, 5
_PEAK_RATIO = 1.25


def explain(run: Record, earlier: Sequence[Record]) -> list[str]:
    """Sentences on why this run was slow, or that it was not. Each stands alone; none holds a text or a file's name.

    Args:
        run: its record.
        earlier: records of runs before it, at most the last 200.
    """
    this = read(run)
    if this.status != "ok":
        return [_where(this)]
    before = [key_of(each) for each in earlier if each.get("run_id") != run.get("run_id")]
    usual, settings = _comparable(this, earlier), _other_settings(this.key, before)
    if len(usual) < _FEWEST_COMPARED:
        return [_where(this), _too_few(this.key, before, len(usual)), *settings]
    stages = [_Compared.of(name, this, usual) for name in this.stages]
    slow = sorted((each for each in stages if each.is_slow), key=lambda each: -each.more_s)
    outside = _outside(this, usual)
    about_all = [*_about_the_start(this, usual), *settings] if slow or outside else settings
    named = [*(_slow_stage(each, this, usual) for each in slow), *outside]
    unknown = _unexplained(slow, this, usual) if not about_all else []
    return [_against_usual(this, usual, stages), *named, *_incomparable(stages), *about_all, *unknown]


def _comparable(this: Run, earlier: Sequence[Record]) -> list[Run]:
    """The latest comparable runs that ended well, oldest first."""
    found: list[Run] = []
    for record in reversed(earlier):
        if record.get("status") == "ok" and record.get("run_id") != this.run_id and key_of(record) == this.key:
            found.append(read(record))
        if len(found) == _COMPARED:
            break
    return found[::-1]


@dataclass(frozen=True)
class _Compared:
    """A stage beside what was to be expected of it.

    expected_s: None if earlier runs had no such stage, or not for such work. is_covered: whether enough of them had it
    for work of this kind and about this size; beyond that, the law may be another.
    """

    name: str
    stage: Stage
    expected_s: float | None
    amount: str = ""  # " for 147 codes"
    per_unit: str = ""  # " (0.24 s per code, usually 0.15 s)"
    is_covered: bool = True

    @classmethod
    def of(cls, name: str, this: Run, usual: Sequence[Run]) -> _Compared:
        stage, there = this.stages[name], [run for run in usual if name in run.stages]
        if 2 * len(there) < len(usual):
            return cls(name, stage, None)
        alike = next(kind[:-1] for kind in kinds_of([*there, this], name) if kind[-1] is this)
        series = series_of(alike, name)
        if len(series.runs) < min(_FEWEST_COMPARED, len(usual)):
            return cls(name, stage, None, is_covered=False)
        size = series.size_of(this)
        amount = f" for {_amount_text(size, series.law)}" if series.law and size else ""
        known = [each for each in series.sizes if each is not None]
        if size is None and known:  # the usual amount of work is all that can be assumed
            size = median(known)
        line = series.line
        expected = line.at(size)
        per_unit = _per_unit(stage.seconds, expected, size, series.law)
        return cls(name, stage, expected, amount, per_unit, line.covers(size))

    @property
    def more_s(self) -> float:
        return self.stage.seconds - (self.expected_s or 0.0)

    @property
    def is_comparable(self) -> bool:
        """Whether anything can be said: beyond what is covered, only that the law went on as it was."""
        usual = self.expected_s or 0.0
        return self.is_covered or not (
            _is_well_over(self.stage.seconds, usual) or _is_well_over(usual, self.stage.seconds))  # fmt: skip

    @property
    def is_slow(self) -> bool:
        return self.is_comparable and _is_well_over(self.stage.seconds, self.expected_s or 0.0)

    @property
    def part_s(self) -> float:
        """Its part of the total that was to be expected: its own seconds, where they cannot be compared."""
        return (self.expected_s or 0.0) if self.is_comparable else self.stage.seconds


def _incomparable(stages: Sequence[_Compared]) -> list[str]:
    names = " and ".join(each.name for each in stages if not each.is_comparable)
    return [f"{names} cannot be compared: no earlier run was like this one in what they worked on."] if names else []


def _where(this: Run) -> str:
    """Where the time went: the stages that make up over half of it."""
    total = this.total_s if this.total_s is not None else sum(stage.seconds for stage in this.stages.values())
    longest, part = [], 0.0
    for name, stage in sorted(this.stages.items(), key=lambda each: -each[1].seconds)[:3]:
        if part <= total / 2:
            longest.append(f"{name} {seconds_text(stage.seconds)}")
            part += stage.seconds
    if not longest or not total:
        return f"No stage was timed; the run took {seconds_text(total)}."
    return f"Most of the time: {' and '.join(longest)} of {seconds_text(total)} ({percent_text(part / total)})."


def _too_few(here: Key, before: Sequence[Key], count: int) -> str:
    there = f"{count or 'no'} comparable run{'' if count == 1 else 's'} came before"
    if here.model and not any(key.model == here.model and key.machine in (here.machine, None) for key in before):
        return f"Too few runs to compare it with: it is the first run of this model on this machine ({there})."
    return f"Too few runs to compare it with: {there}, {_FEWEST_COMPARED} are needed."


def _other_settings(here: Key, before: Sequence[Key]) -> list[str]:
    """What most earlier runs of this script and model did otherwise: device, then precision, then threads."""
    keys = [key for key in before if key[:2] == here[:2]]
    if sentence := _otherwise(here.device, [key.device for key in keys], "on {}"):
        return [sentence]
    keys = [key for key in keys if (key.device, key.machine) == (here.device, here.machine)]
    precision = _otherwise(here.precision, [key.precision for key in keys], "in {}")
    usual = median_of([key.threads for key in keys])
    fewer = [key.threads for key in keys] if usual is not None and (here.threads or usual) < usual else []
    threads = _otherwise(here.threads, fewer, "with {:g} thread" + ("" if here.threads == 1 else "s"))
    return [sentence for sentence in (precision, threads) if sentence]


def _otherwise(here: object, before: Sequence[object], show: str) -> str:
    """One sentence if over half of the earlier runs had another value, all the same one."""
    other, count = Counter(before).most_common(1)[0] if before else (None, 0)
    if here is None or other is None or other == here or 2 * count <= len(before):
        return ""
    used = f"{other:g}" if isinstance(other, float) else other
    return (f"It ran {show.format(here)}; {count} of {len(before)} earlier runs of this script and model used {used}.")


def _against_usual(this: Run, usual: Sequence[Run], stages: Sequence[_Compared]) -> str:
    """The total beside the usual one, the work beside the usual work, and whether the one explains the other."""
    totals = [run.total_s for run in usual if run.total_s is not None]
    if this.total_s is None or not totals or not median(totals):
        return _where(this)
    middle, work = median(totals), work_of([*usual, this])
    amount = ""
    if work and work in this.sizes:
        times = this.sizes[work] / median([run.sizes[work] for run in usual if work in run.sizes])
        amount = f" for {times:.1f} times the {names_of(work)[1]}"
    expected = sum(each.part_s for each in stages) + _rest(usual)
    said = (f"It took {seconds_text(this.total_s)}, {this.total_s / middle:.1f} times the usual "
            f"{seconds_text(middle)}{amount}: ")
    if _is_well_over(this.total_s, expected):
        return f"{said}slow, {seconds_text(expected)} was to be expected."
    if _is_well_over(expected, this.total_s):
        return f"{said}fast, {seconds_text(expected)} was to be expected."
    known = all(each.is_comparable for each in stages)
    return f"{said}as expected{'' if known else ', as far as it can be compared'}."


def _is_well_over(seconds: float, usual: float) -> bool:
    return seconds > _SLOW_RATIO * usual and seconds - usual > _SLOW_S


def _rest(runs: Sequence[Run]) -> float:
    """Seconds that usually belong to no stage."""
    rests = [run.total_s - sum(stage.seconds for stage in run.stages.values()) for run in runs
             if run.total_s is not None]
    return max(0.0, median(rests)) if rests else 0.0


def _outside(this: Run, usual: Sequence[Run]) -> list[str]:
    """Time that no stage accounts for, where it is more than usual."""
    here, before = _rest([this]), _rest(usual)
    if not _is_well_over(here, before):
        return []
    return [f"Outside the measured stages {seconds_text(here)} passed (usually {seconds_text(before)})."]


def _slow_stage(found: _Compared, this: Run, usual: Sequence[Run]) -> str:
    took = f"{found.name} took {seconds_text(found.stage.seconds)}{found.amount}"
    causes = _causes(found, this, usual)
    if found.expected_s is None:
        said = f"{took}, which most comparable runs did not have"
    else:
        times = f"{found.stage.seconds / found.expected_s:.1f} times" if found.expected_s > 0 else "not"
        said = f"{took}, {times} the {seconds_text(found.expected_s)} that are usual for it{found.per_unit}"
    return f"{said}: {'; '.join(causes)}." if causes else f"{said}."


def _causes(found: _Compared, this: Run, usual: Sequence[Run]) -> list[str]:
    """What the numbers of this stage say; nothing where they say nothing."""
    stage, others = found.stage, [run.stages[found.name] for run in usual if found.name in run.stages]
    causes = ["a download, as fast as the network"] if "download" in found.name.lower() else []
    faults, waited = median_of([each.faults for each in others]), _waited(stage, others, this, usual)
    many = stage.faults is not None and stage.faults > _MANY_FAULTS
    if many and stage.faults is not None and faults is not None and stage.faults > _FAULTS_RATIO * faults:
        causes.append(f"it waited for the disk, with {stage.faults:.0f} major page faults (usually {faults:.0f})")
    elif waited and not causes:
        causes.append(waited)
    peak = median_of([each.peak_mb for each in others])
    if stage.peak_mb is not None and peak is not None and stage.peak_mb > _PEAK_RATIO * peak:
        causes.append(f"its memory peak was {memory_text(stage.peak_mb)} (usually {memory_text(peak)})")
    return causes


def _waited(stage: Stage, others: Sequence[Stage], this: Run, usual: Sequence[Run]) -> str:
    """Whether it had fewer processor cores than usual, and whether others used the machine."""
    share, cores = stage.cpu_share, median_of([each.cpu_share for each in others])
    if share is None or cores is None or share >= _LOW_SHARE * cores:
        return ""
    said = f"it had {share:.1f} processor cores (usually {cores:.1f})"
    if is_busier(this.load, load_of(usual)):
        return f"others used the machine, {said}, load average {_loads(this, usual)}"
    return f"{said}, so it waited, for what the numbers do not say"


def _loads(this: Run, usual: Sequence[Run]) -> str:
    return f"{this.load or 0.0:.1f} per core (usually {load_of(usual) or 0.0:.1f})"


def _about_the_start(this: Run, usual: Sequence[Run]) -> list[str]:
    """How the machine was when the run began, where that explains slowness."""
    found = []
    free, need = median_of([run.available_mb for run in usual]), median_of([run.peak_mb for run in usual])
    if is_busier(this.load, load_of(usual)):
        found.append(f"The machine was busy: load average {_loads(this, usual)}.")
    if this.available_mb is None or free is None or need is None:
        return found
    if this.available_mb < min(_LOW_SHARE * free, 1.1 * need):
        found.append(f"Memory was short: {memory_text(this.available_mb)} were free at the start (usually "
                     f"{memory_text(free)}), and such a run needs {memory_text(need)}.")
    return found


def _unexplained(slow: Sequence[_Compared], this: Run, usual: Sequence[Run]) -> list[str]:
    """Says plainly where no cause is to be seen."""
    dark = [each.name for each in slow if each.expected_s is not None and not _causes(each, this, usual)]
    if not dark:
        return []
    return [f"Why {' and '.join(dark)} took longer is not to be seen in the numbers of this run."]


def _amount_text(size: float, law: Law) -> str:
    """The size as it was counted, from its power."""
    counted = size ** (1 / law.power)
    number = f"{counted:.0f}" if counted >= 100 or abs(counted - round(counted)) < 1e-6 else f"{counted:.1f}"
    return f"{number} {names_of(law.size)[1]}"


def _per_unit(seconds: float, expected_s: float, size: float | None, law: Law | None) -> str:
    if not law or not size:
        return ""
    return f" ({seconds_text(seconds / size)} per {unit(law)}, usually {seconds_text(expected_s / size)})"


def describe_run(run: Record, earlier: Sequence[Record]) -> str:
    """All that is known of one run, for a terminal of 100 columns; `earlier`: the records before it."""
    this = read(run)
    parts = [
        [line for sentence in _what_it_was(run, this) for line in wrapped(sentence)],
        _stage_table(this, _comparable(this, earlier)),
        wrapped(_cost(run, this)),
        [line for sentence in explain(run, earlier) for line in wrapped(sentence)],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _what_it_was(run: Record, this: Run) -> list[str]:
    code = run.get("exit_code")
    end = f"{this.status}{f', exit code {code}' if isinstance(code, int) else ''}"
    lines = [f"Run {this.run_id}, {date_text(this.started)}: {end}", key_text(this.key._asdict())]
    machine = mapping_in(run.get("machine"))
    facts = [text_in(machine.get("system")), text_in(machine.get("cpu")), text_in(machine.get("gpu"))]
    facts += [f"{name} {version}" for name, version in this.versions.items()]
    lines.append(", ".join(filter(None, facts)))
    if this.error:
        kind, place, stage = this.error
        lines.append(f"Error: {kind} in {place or 'an unknown place'}, stage {stage or 'unknown'}")
    if this.status in UNFINISHED:
        crash = text_in(run.get("crash"))
        lines.append(f"Last stage: {this.last_stage or 'unknown'}{f', crash: {crash}' if crash else ''}")
    return [line for line in lines if line]


def _stage_table(this: Run, usual: Sequence[Run]) -> list[str]:
    row = "{:<15}{:>8}{:>7}{:>7}{:>8}{:>8}{:>8}{:>8}  {}".format
    lines = [row("stage", "seconds", "share", "cpu", "before", "after", "peak", "usual", "per unit")]
    for name, stage in sorted(this.stages.items(), key=lambda each: -each[1].seconds):
        found = _Compared.of(name, this, usual) if len(usual) >= _FEWEST_COMPARED else None
        expected = found.expected_s if found and found.is_comparable else None
        size = size_in(this, name, stage.law) if stage.law and stage.law.power else None
        per = f"{seconds_text(stage.seconds / size)} per {unit(stage.law)}" if stage.law and size else ""
        share = stage.seconds / this.total_s if this.total_s else None
        memory = [memory_text(mb) for mb in (stage.before_mb, stage.after_mb, stage.peak_mb)]
        lines.append(row(name[:15], seconds_text(stage.seconds), percent_text(share), percent_text(stage.cpu_share),
                         *memory, seconds_text(expected), per).rstrip())
    return lines if this.stages else []


def _cost(run: Record, this: Run) -> str:
    log = mapping_in(run.get("log"))
    records, dropped, spent = (amount_in(log.get(name)) for name in ("records", "dropped", "seconds"))
    facts = [f"{seconds_text(this.total_s)}" if this.total_s is not None else "an unknown time"]
    cpu_s = amount_in(run.get("cpu_s"))
    facts += [f"{seconds_text(cpu_s)} of processor time"] if cpu_s is not None else []
    facts += [f"memory peak {memory_text(this.peak_mb)}"] if this.peak_mb is not None else []
    facts += [f"on the GPU {memory_text(this.cuda_peak_mb)}"] if this.cuda_peak_mb is not None else []
    if records is not None:
        lost = f", {dropped:.0f} lost" if dropped else ""
        facts.append(f"{records:.0f} log records{lost}" + (f" in {seconds_text(spent)}" if spent is not None else ""))
    return f"Cost: {', '.join(facts)}"
