"""Records of runs -> what they took, what failed, what got slower.

It measures and stores nothing, and names no file and no text. The numbers are those of ``voicekit.run_statistics``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voicekit.run_records import (
    STATUSES,
    UNFINISHED,
    Key,
    Law,
    Record,
    Run,
    Series,
    by_work,
    chosen,
    is_busier,
    kinds_of,
    law_of,
    load_of,
    median_of,
    series_of,
    size_in,
    unit,
    width_of,
)
from voicekit.run_statistics import LATEST, Growth, Rise, growth, holm, median, p95, rise, trend

REPORT_SCHEMA = 1
LISTED = 20  # killed and crashed runs that are named, the latest
_TREND_RUNS, _GROWTH_RUNS = 100, 500  # the latest, all pairs of which are looked at
_SHORTEST_S = 0.05  # below it a stage's seconds are the clock's and the disk's
_REPORT_P = 0.05  # of a false alarm in all of a report; half of it, for only rises are told
_WIDEST_INTERVAL = 1.0  # of an exponent: a wider one agrees with everything

# --- the report --------------------------------------------------------------------------------------------


def report(
    runs: Iterable[Record],
    *,
    since_s: float | None = None,
    script: str | None = None,
    now: float | None = None,
) -> dict[str, Any]:
    """What past runs took and what became of them, ready for JSON. Seconds, MB of 2**20 bytes; null is unknown.

    Args:
        runs: records in the order in which the runs ended.
        since_s: only runs that started within so many seconds before `now` (since 1970; else the clock's).
        script: only the runs of this one.

    Returns:
        schema: 1. since (seconds since 1970), script: the choice, null for all. runs: how many. first, last: when they
        started. outcomes: of each script ``{runs, ok, error, interrupted, killed, crashed, unknown}``.
        groups: of runs that ended well and can be compared, the largest first: ``key`` (script, model, device,
        precision, machine, threads), ``runs, first, last, total_s {median, p95, max}, rtf_median, peak_mb {median,
        max}``, and ``stages``, the longest first: ``name, runs, median_s, p95_s, max_s, share`` (of the total),
        ``unit, median_s_per_unit`` (of the declared size), ``cpu_share, peak_mb {median, max},
        trend_percent_per_10_runs`` (of the last 100 runs, for their sizes), ``growth {declared, declared_exponent,
        size, verdict, exponent, low, high, factor, runs, size_ratio}``.
        errors: ``type, place, stage, count, latest_run, latest_started``, the most frequent first.
        unfinished: killed and crashed runs, the latest first, at most 20: ``run_id, script, status, started,
        last_stage, peak_mb``.
        regressions: ``key, kind`` (seconds, memory or GPU memory), ``stage`` (null: the whole run), ``unit, before,
        after, ratio, p`` (corrected for all series of the report), ``runs, earlier_runs, since, since_run,
        version`` (of the program, where it was another before), ``changed {package: [before, after]}``.
        disk: null, to be filled with what ``disk_used`` says of the log folder.
    """
    earliest = None if since_s is None else (time.time() if now is None else now) - since_s
    found: dict[str, Any] = {"schema": REPORT_SCHEMA, "since": earliest, "script": script}
    kept = chosen(found, runs)
    dates = sorted((run.when, run.started) for run in kept if run.when is not None)
    groups = groups_of(kept)
    return {
        **found,
        "runs": len(kept),
        "first": dates[0][1] if dates else None,
        "last": dates[-1][1] if dates else None,
        "outcomes": _outcomes(kept),
        "groups": [_group(key, members) for key, members in groups.items()],
        "errors": _errors(kept),
        "unfinished": _unfinished(kept),
        "regressions": _regressions(groups),
        "disk": None,
    }


def has_regression(found: Record) -> bool:
    """Whether a report found that anything got worse."""
    return bool(found.get("regressions"))


def groups_of(runs: Iterable[Run]) -> dict[Key, list[Run]]:
    """Comparable runs that ended well, the largest group first."""
    groups: dict[Key, list[Run]] = {}
    for run in runs:
        if run.status == "ok":
            groups.setdefault(run.key, []).append(run)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def _outcomes(runs: Sequence[Run]) -> dict[str, dict[str, int]]:
    counts = Counter((run.script, run.status) for run in runs)
    scripts = sorted({run.script for run in runs})
    return {
        script: {"runs": sum(counts[script, status] for status in STATUSES),
                 **{status: counts[script, status] for status in STATUSES}}
        for script in scripts
    }  # fmt: skip


def _group(key: Key, runs: list[Run]) -> dict[str, Any]:
    totals = [run.total_s for run in runs if run.total_s is not None]
    names = dict.fromkeys(name for run in runs for name in run.stages)
    stages = [_stage(name, runs) for name in names]
    return {
        "key": key._asdict(),
        "runs": len(runs),
        "first": runs[0].started,
        "last": runs[-1].started,
        "total_s": {"median": median_of(totals), "p95": p95(totals), "max": max(totals, default=None)},
        "rtf_median": median_of([run.rtf for run in runs]),
        "peak_mb": _spread([run.peak_mb for run in runs]),
        "stages": sorted(stages, key=lambda stage: -stage["median_s"]),
    }


def _stage(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    there = [run for run in runs if name in run.stages]
    stages = [run.stages[name] for run in there]
    seconds = [stage.seconds for stage in stages]
    whole = sum(run.total_s for run in there if run.total_s is not None)
    part = sum(run.stages[name].seconds for run in there if run.total_s is not None)
    series = series_of(there, name)
    per_unit = [value / size for value, size in zip(series.values, series.sizes, strict=True) if size]
    slope = trend(series.adjusted[-_TREND_RUNS:])
    return {
        "name": name,
        "runs": len(there),
        "median_s": median(seconds),
        "p95_s": p95(seconds),
        "max_s": max(seconds),
        "share": part / whole if whole else None,
        "unit": unit(series.law) if series.law else None,
        "median_s_per_unit": median(per_unit) if series.law and per_unit else None,
        "cpu_share": median_of([stage.cpu_share for stage in stages]),
        "peak_mb": _spread([stage.peak_mb for stage in stages]),
        "trend_percent_per_10_runs": slope,
        "growth": _growth(there, name),
    }


def _growth(runs: Sequence[Run], name: str) -> dict[str, Any] | None:
    """The measured law beside the declared one; None where nothing is declared, or the stage is too short to tell."""
    law = law_of(runs, name)
    if law is None or median([run.stages[name].seconds for run in runs if name in run.stages]) < _SHORTEST_S:
        return None
    by_size = law._replace(power=1.0)
    sized = [(size, run.stages[name].seconds) for run in runs[-_GROWTH_RUNS:] if (size := size_in(run, name, by_size))]
    found = growth([size for size, _ in sized], [seconds for _, seconds in sized])
    about = {"declared": law.time, "declared_exponent": law.power, "size": law.size, "verdict": _verdict(found, law)}
    return about if found is None else {**about, **vars(found)}


def _verdict(found: Growth | None, law: Law) -> str:
    if found is None:
        return "not enough spread"
    if found.high - found.low > _WIDEST_INTERVAL:
        return "too uncertain"
    return "agrees" if found.agrees_with(law.power) else "disagrees"


def _spread(values: Sequence[float | None]) -> dict[str, float | None]:
    return {"median": median_of(values), "max": max((each for each in values if each is not None), default=None)}


def _errors(runs: Sequence[Run]) -> list[dict[str, Any]]:
    failed = [run for run in runs if run.error and run.status != "interrupted"]  # that was somebody's wish
    latest, counts = {run.error: run for run in failed}, Counter(run.error for run in failed)
    return [
        {"type": error[0], "place": error[1], "stage": error[2], "count": count,
         "latest_run": latest[error].run_id, "latest_started": latest[error].started}
        for error, count in counts.most_common() if error
    ]  # fmt: skip


def _unfinished(runs: Sequence[Run]) -> list[dict[str, Any]]:
    ended = sorted((run for run in runs if run.status in UNFINISHED), key=lambda run: -(run.when or 0.0))
    return [
        {"run_id": run.run_id, "script": run.script, "status": run.status, "started": run.started,
         "last_stage": run.last_stage, "peak_mb": run.peak_mb}
        for run in ended[:LISTED]
    ]  # fmt: skip


# --- regressions -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Watched:
    """A series that is looked through for a rise. stage: None where it is of the whole run."""

    key: Key
    kind: str
    stage: str | None
    series: Series


def _regressions(groups: Mapping[Key, Sequence[Run]]) -> list[dict[str, Any]]:
    """Stages that take longer than they did, and peaks of memory that are higher, for the same work.

    A report looks through many series, so p is corrected for all of them: exit code 4 is of the whole report.
    """
    watched = [each for key, runs in groups.items() for each in _watched(key, runs)]
    risen = [(each, found) for each in watched if (found := _rise(each))]
    corrected = holm([found.p for _, found in risen], len(watched))
    return [_regression(each, replace(found, p=p))
            for (each, found), p in zip(risen, corrected, strict=True) if p < _REPORT_P]  # fmt: skip


def _watched(key: Key, runs: Sequence[Run]) -> list[_Watched]:
    """Every series of like work in these runs that is long enough to tell a rise."""
    found = []
    for name in dict.fromkeys(name for run in runs for name in run.stages):
        every = [series_of(alike, name) for alike in kinds_of(runs, name)]
        found += [_Watched(key, "seconds", name, series) for series in every
                  if max(series.values, default=0.0) >= _SHORTEST_S]
    for width in dict.fromkeys(map(width_of, runs)):
        for kind, value_of in (("memory", _peak_of), ("GPU memory", _cuda_peak_of)):
            alike = [run for run in runs if width_of(run) == width and value_of(run)]
            found.append(_Watched(key, kind, None, by_work(alike, value_of)))
    return [each for each in found if len(each.series.values) >= 2 * LATEST]


def _peak_of(run: Run) -> float | None:
    return run.peak_mb


def _cuda_peak_of(run: Run) -> float | None:
    return run.cuda_peak_mb


def _rise(watched: _Watched) -> Rise | None:
    series = watched.series

    def is_not_the_load(earlier: slice, latest: slice) -> bool:
        return not is_busier(load_of(series.runs[latest]), load_of(series.runs[earlier]))

    found = rise(series.values, series.sizes, proportional=series.law is not None, accepts=is_not_the_load)
    if found and watched.kind == "seconds" and median(series.values[found.at :]) < _SHORTEST_S:
        return None
    return found


def _regression(watched: _Watched, risen: Rise) -> dict[str, Any]:
    series = watched.series
    earlier, latest = series.runs[risen.at - risen.earlier : risen.at], series.runs[risen.at :]
    changed = _changed(earlier, latest)
    return {
        "key": watched.key._asdict(),
        "kind": watched.kind,
        "stage": watched.stage,
        "unit": unit(series.law) if series.law else None,
        "before": risen.before,
        "after": risen.after,
        "ratio": risen.ratio,
        "p": risen.p,
        "runs": len(latest),
        "earlier_runs": len(earlier),
        "since": latest[0].started,
        "since_run": latest[0].run_id,
        "version": changed["app"][1] if "app" in changed else None,
        "changed": changed,
    }


def _changed(earlier: Sequence[Run], latest: Sequence[Run]) -> dict[str, list[str]]:
    """Packages whose usual version is another since then."""

    def usual(runs: Sequence[Run], name: str) -> str | None:
        known = Counter(run.versions[name] for run in runs if name in run.versions)
        return known.most_common(1)[0][0] if known else None

    names = dict.fromkeys(name for run in latest for name in run.versions)
    pairs = {name: (usual(earlier, name), usual(latest, name)) for name in names}
    return {name: [old, new] for name, (old, new) in pairs.items() if old and new and old != new}
