"""How good a voice-sample improver is: ours beside the usual ways, on speech damaged in known ways.

Clean speech (``--speech DIR``, else made here) is degraded (quality_degradations.py says how), each contestant
(quality_contestants.py) makes a file of it, and every file is measured by models and formulas from outside this
project (quality_metrics.py). Recorded noisy/clean twins (``--pairs DIR``) are a block of their own. A cell is one
degradation at one level, averaged over the files (quality_report.py).

What a cell compares. STOI, PESQ and SI-SDR compare with the clean speech on the same axis: for ``ours`` the
reference is cut by the edit list of its report, for coqui and classic, which trim ends, the overlap is compared, and
for all a constant delay is taken out. Two speakers have no aligned reference: there only DNSMOS, cosine to the first
speaker, and level are told. In the cell "silence" the input is its own reference, and in "clean" and "level" the
reference is what the input holds: nothing can be gained there, only lost. The input of "phase" is heard as XTTS
averages it: without a voice.

Every row goes to ``--rows FILE`` as it is measured; rows that are there already are not measured again (``--redo ours``
measures that contestant again), so a long run can be broken off, and peers are measured once. The last line
is one JSON object. Two processes with one thread each; the same files give the same numbers, CPU seconds aside.

    python bench/quality.py --quick
    python bench/quality.py --speech recordings --pairs pairs --rows rows.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"  # before numpy and torch are imported; workers inherit it
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np  # noqa: E402

from bench import quality_contestants as competing  # noqa: E402
from bench import quality_degradations as degrading  # noqa: E402
from bench import quality_metrics as measuring  # noqa: E402
from bench import quality_report as reporting  # noqa: E402
from bench import quality_speech as hearing  # noqa: E402

Row = dict[str, Any]
CELLS = {cell.name: cell for cell in degrading.GRID}
CONTESTANTS = {contestant.name: contestant for contestant in competing.CONTESTANTS}
QUICK_WINDOWS, WARM_S = 1, 4.0


@dataclass(frozen=True)
class Settings:
    """What every worker knows. others: file -> files of other speakers. noises: recorded noise."""

    others: dict[Path, tuple[Path, ...]]
    noises: tuple[Path, ...]
    dnsmos_windows: int | None
    twice: bool


@dataclass(frozen=True)
class Job:
    """One file in one cell (``pair``: in the block of pairs), and who has to make something of it."""

    cell: str
    file: Path
    contestants: tuple[str, ...]
    pair: hearing.Pair | None = None

    @property
    def name(self) -> str:
        """The file's name in rows."""
        return self.pair.name if self.pair else self.file.stem


@dataclass(frozen=True)
class Scene:
    """The damaged file on disk, and what its results are compared with."""

    source: Path
    degraded: degrading.Degraded
    clean: degrading.Clean
    facts: Row  # cell, kind, severity, file, expects


# --- in a worker -------------------------------------------------------------------------------------

_SETTINGS: list[Settings] = []


def prepare(settings: Settings, contestants: Sequence[str], first: Path) -> None:
    """Each contestant and each metric once on a few seconds: imports and warming up are nobody's CPU seconds."""
    _SETTINGS[:] = [settings]
    samples, rate = hearing.load(first)
    with tempfile.TemporaryDirectory(prefix="quality-") as place:
        short = Path(place, "warm.wav")
        degrading.write_wav(degrading.Degraded(samples[None, : round(WARM_S * rate)], None), rate, short)
        run_job(Job("clean", short, tuple(contestants)))


def run_job(job: Job) -> list[Row]:
    """Degrades, lets everybody try, measures. A cell that cannot be made gives no rows but one with ``skipped``."""
    with tempfile.TemporaryDirectory(prefix="quality-") as place:
        folder = Path(place)
        try:
            scene = set_scene(job, folder)
        except degrading.Impossible as reason:
            return [{"cell": job.cell, "file": job.name, "contestant": "", "skipped": str(reason)}]
        return [compete(CONTESTANTS[contestant], scene, folder) for contestant in job.contestants]


def set_scene(job: Job, folder: Path) -> Scene:
    """Writes the damaged file as 16-bit WAV."""
    settings, source = _SETTINGS[0], folder / "sample.wav"
    facts: Row = {"cell": job.cell, "file": job.name}
    if job.pair:
        degraded, clean = hearing.as_degraded(job.pair)
        facts |= {"kind": reporting.PAIRS, "severity": 1, "expects": []}
    else:
        cell = CELLS[job.cell]
        noises = settings.noises if cell.kind == "recorded" else ()
        clean = hearing.material(job.file, settings.others.get(job.file, ()), noises)
        degraded = cell.degrade(clean, cell.level, degrading.generator(job.name, cell.kind))
        expected = degrading.expected_codes(cell, degraded.samples, clean.rate)
        facts |= {"kind": cell.kind, "severity": cell.severity, "expects": list(expected)}
    return Scene(degrading.write_wav(degraded, clean.rate, source), degraded, clean, facts)


def compete(contestant: competing.Contestant, scene: Scene, folder: Path) -> Row:
    """One contestant's row."""
    outcome = competing.compete(contestant, scene.source, folder / f"{contestant.name}.wav")
    row = scene.facts | {"contestant": contestant.name, "cpu_s": outcome.cpu_s, "error": outcome.error}
    row |= told(outcome.report)
    if outcome.path is not None:
        row |= measure(contestant, outcome, scene)
        if contestant.name == "ours" and _SETTINGS[0].twice:
            row["twice"] = again(contestant, outcome.path, folder)
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()}


def measure(contestant: competing.Contestant, outcome: competing.Outcome, scene: Scene) -> Row:
    """All metrics of a result."""
    assert outcome.path is not None
    heard = measuring.hear(outcome.path)
    result = heard.at_16k
    row: Row = {"length_s": len(result) / measuring.RATE_HZ}
    row |= measuring.dnsmos(result, _SETTINGS[0].dnsmos_windows)
    original = voice(scene.clean.samples.tobytes(), scene.clean.rate)
    row["cosine"] = measuring.cosine(original, measuring.embedding(result))
    row |= measuring.loudness(heard)
    return row | compared(contestant, outcome, scene, result)


def compared(contestant: competing.Contestant, outcome: competing.Outcome, scene: Scene, result: Any) -> Row:
    """The metrics against the reference, if there is one."""
    reference, search = scene.degraded.reference, round(measuring.SEARCH_S * measuring.RATE_HZ)
    if reference is None:
        return {}
    edits = competing.edits(outcome.report)
    if contestant.alignment == "edits" and edits:
        reference = measuring.lay(reference, scene.clean.rate, edits)
    trims = contestant.alignment == "ends" or (contestant.alignment == "edits" and not edits)
    return measuring.intrusive(measuring.to_16k(reference, scene.clean.rate), result, None if trims else search)


@lru_cache(maxsize=4)
def voice(samples: bytes, rate: int) -> Any:
    """The clean original's speaker embedding, computed once for all contestants."""
    return measuring.embedding(measuring.to_16k(np.frombuffer(samples), rate))


def told(report: competing.Report) -> Row:
    """What our own report says of the sample: raised issues, scores."""
    if report is None:
        return {}
    raised = [issue["code"] for issue in report.get("issues") or [] if issue["severity"] in ("error", "warning")]
    score = report.get("score") or {}
    applied = [step["name"] for step in report.get("steps") or [] if step.get("applied")]
    return {"issues": raised, "score_before": score.get("before"), "score_after": score.get("after"), "steps": applied}


def again(contestant: competing.Contestant, once: Path, folder: Path) -> Row:
    """Ours on its own result: by how much length and loudness differ."""
    outcome = competing.compete(contestant, once, folder / "twice.wav")
    if outcome.path is None:
        return {"error": outcome.error}
    first, second = measuring.hear(once), measuring.hear(outcome.path)
    longer_s = len(second.samples) / second.rate - len(first.samples) / first.rate
    old, new = (measuring.loudness(heard)["lufs"] for heard in (first, second))
    louder_db = None if old is None or new is None else round(new - old, 3)
    return {"length_ms": round(1000 * longer_s, 2), "level_db": louder_db}


# --- the whole ---------------------------------------------------------------------------------------


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path, nargs="+", metavar="DIR", help="clean speech, 6 s or more a file")
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="NAME_noisy.* beside NAME_clean.*")
    parser.add_argument("--noise", type=Path, metavar="DIR", help="recorded noise (without it: of the pairs)")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help=f"of {','.join(CONTESTANTS)}")
    parser.add_argument("--only", help="cells or kinds, such as 'white,reverb 1.0,pairs'")
    parser.add_argument("--files", type=int, metavar="N", help="so many of the speech files, spread over them")
    parser.add_argument("--ours", type=Path, metavar="SCRIPT", help="another script with our main()")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="JSON lines: kept, and gone on with")
    parser.add_argument("--redo", default="", help="contestants whose rows in FILE are measured again")
    parser.add_argument("--dnsmos-windows", type=int, metavar="N", help="at most so many a file (default: all)")
    parser.add_argument("--twice", action="store_true", help="run ours on its own results too")
    parser.add_argument("--quick", action="store_true", help="two files, eight cells, one window: 2 to 3 minutes")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    unknown = [name for name in options.contestants.split(",") if name not in CONTESTANTS]
    if unknown:
        parser.error(f"unknown contestants: {', '.join(unknown)}")
    options.cells = chosen_cells(options)
    if not options.cells:
        parser.error(f"no such cell; cells are: {', '.join(CELLS)}")
    if options.quick:
        options.files, options.dnsmos_windows = options.files or 2, options.dnsmos_windows or QUICK_WINDOWS
    return options


def chosen_cells(options: argparse.Namespace) -> list[str]:
    """The cells' names, the pairs last."""
    names = [*(degrading.QUICK if options.quick else CELLS), reporting.PAIRS]
    if options.only is None:
        return names
    wanted = {word.strip() for word in options.only.split(",")}
    return [name for name in [*CELLS, reporting.PAIRS] if name in wanted or name.split(" ")[0] in wanted]


def able_contestants(names: Sequence[str]) -> list[str]:
    """Those that can run here; the others are named on stderr."""
    able = []
    for name in CONTESTANTS:
        why = CONTESTANTS[name].lacks() if name in names else None
        if why:
            say(f"not taking part: {name} ({why})")
        elif name in names:
            able.append(name)
    return able


def plan(options: argparse.Namespace, files: Sequence[Path], pairs: Sequence[hearing.Pair],
         contestants: Sequence[str], done: set[tuple[str, str, str]]) -> list[Job]:
    """What is left to measure, cell by cell."""
    jobs = [Job(cell, file, tuple(contestants)) for cell in options.cells if cell in CELLS for file in files]
    if reporting.PAIRS in options.cells:
        jobs += [Job(reporting.PAIRS, pair.noisy, tuple(contestants), pair) for pair in pairs]
    left = [Job(job.cell, job.file, tuple(name for name in job.contestants if (job.cell, job.name, name) not in done),
                job.pair) for job in jobs]
    return [job for job in left if job.contestants]


def measured(jobs: Sequence[Job], settings: Settings, contestants: Sequence[str], first: Path,
             processes: int) -> Iterator[list[Row]]:
    """The rows of each job as they come, from processes of their own."""
    started = time.monotonic()
    with ProcessPoolExecutor(processes, get_context("spawn"), prepare, (settings, contestants, first)) as pool:
        waiting = {pool.submit(run_job, job): job for job in jobs}
        for number, future in enumerate(as_completed(waiting), 1):
            job, spent = waiting[future], time.monotonic() - started
            left = spent / number * (len(jobs) - number)
            say(f"[{number}/{len(jobs)}] {job.cell}, {job.name} ({spent:.0f} s, about {left:.0f} s left)")
            yield future.result()


def kept_rows(path: Path | None, redo: str) -> list[Row]:
    """Rows of earlier runs, without those to be measured again."""
    if path is None or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [row for row in rows if row["contestant"] not in redo.split(",")]


def write_rows(path: Path | None, rows: Sequence[Row], mode: str) -> None:
    """JSON lines."""
    if path is not None:
        with path.open(mode, encoding="utf-8") as stream:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def collect(options: argparse.Namespace, contestants: Sequence[str], folder: Path) -> tuple[list[Row], list[str]]:
    """Finds the material, measures what no earlier run measured; rows, and reasons for what was skipped."""
    own = None if options.speech else hearing.make_speech(_made(folder / "speech"))
    speech = hearing.find_speech(options.speech or [own], options.files)
    pairs = hearing.find_pairs(options.pairs)
    for skipped in speech.skipped:
        say(f"too short or not readable: {skipped}")
    if not speech.files:
        sys.exit("No clean speech of six seconds or more was found.")
    say(f"{len(speech.files)} files of clean speech, {len(pairs)} pairs")
    noises = hearing.write_noise(options.noise, pairs, _made(folder / "noise"))
    everybody = speech.files if options.speech is None else hearing.find_speech(options.speech).files
    others = hearing.other_speakers(everybody)
    settings = Settings(others, tuple(noises), options.dnsmos_windows, options.twice)
    rows = kept_rows(options.rows, options.redo)
    write_rows(options.rows, rows, "w")
    done = {(row["cell"], row["file"], row["contestant"]) for row in rows}
    jobs, skipped_cells = plan(options, speech.files, pairs, contestants, done), []
    for found in measured(jobs, settings, contestants, speech.files[0], options.jobs) if jobs else ():
        skipped_cells += [f"{row['cell']}: {row['skipped']}" for row in found if "skipped" in row]
        good = [row for row in found if "skipped" not in row]
        write_rows(options.rows, good, "a")
        rows += good
    wanted = {file.stem for file in speech.files} | {pair.name for pair in pairs}
    rows = [row for row in rows if row["file"] in wanted and row["cell"] in options.cells]
    return [row for row in rows if row["contestant"] in contestants], sorted(set(skipped_cells))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def say(message: str) -> None:
    """Progress, on stderr."""
    print(message, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Measures, prints the tables and the JSON line."""
    options = parse(argv)
    started = time.monotonic()
    if options.ours:
        os.environ["VOICE_BENCH_OURS"] = str(options.ours.resolve())
    contestants = able_contestants(options.contestants.split(","))
    lacking = measuring.missing_packages()
    for metric, package in lacking.items():
        say(f"not measured: {metric} ({package} is not installed)")
    with tempfile.TemporaryDirectory(prefix="quality-bench-") as name:
        os.environ["VOICE_CLONING_LOG_DIR"] = str(Path(name, "logs"))
        rows, skipped = collect(options, contestants, Path(name))
    for reason in skipped:
        print(f"skipped: {reason}")
    answer = reporting.report(rows, contestants, options.cells)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    facts = {"bench": "quality", "machine": machine, "seconds": round(time.monotonic() - started), "skipped": skipped}
    print(json.dumps(facts | {"not_measured": sorted(lacking), **answer}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
