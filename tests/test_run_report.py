"""The report over past runs: what was planted is found, noise is not, and no damaged record stops it.

The runs are made here, by :func:`history`, with the truth known: laws of growth, a noise of 8 %, and every twentieth
run two to five times as slow as it should be.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from voicekit import run_history
from voicekit.run_reasons import describe_run, explain
from voicekit.run_records import disk_used, find_run, key_of, seconds_in, since
from voicekit.run_report import has_regression, report
from voicekit.run_text import as_text

Record = dict[str, Any]

ROOT = Path(run_history.__file__).resolve().parents[1]
FIRST = dt.datetime(2026, 10, 1, 9, 0, tzinfo=dt.UTC)
HOSTILE = "<script>window.hacked=1</script>\"onload='x'\x1b[2J\u202e"

# stage: (fixed seconds, seconds per unit of work, power of the codes; its declaration)
LAWS: dict[str, tuple[float, float, float, Record | None]] = {
    "import": (4.4, 0.0, 0.0, None),
    "load_model": (0.7, 0.0, 0.0, {"size": "codes", "time": "O(1)", "space": "O(n)"}),
    "generate": (0.0, 0.24, 1.0, {"size": "codes", "time": "O(n)", "space": "O(n)"}),
    "verify": (0.0, 4e-5, 2.0, {"size": "codes", "time": "O(n^2)", "space": "O(n)"}),
    "vocode": (0.3, 0.012, 1.0, None),
    "write": (0.004, 0.0, 0.0, None),
}


def history(count: int, seed: int = 1, noise: float = 0.08, slow_runs: float = 0.05) -> list[Record]:
    """Runs of one script on one machine, an hour apart, with texts of very different lengths."""
    draw = random.Random(seed)
    return [one(number, draw, noise, slow_runs) for number in range(count)]


def one(number: int, draw: random.Random, noise: float, slow_runs: float) -> Record:
    codes = round(math.exp(draw.uniform(math.log(40), math.log(600))))
    started = FIRST + dt.timedelta(hours=number)
    hiccup = draw.uniform(2, 5) if draw.random() < slow_runs else 1.0
    stages: Record = {}
    for name, (fixed, each, power, declared) in LAWS.items():
        seconds = (fixed + each * codes**power) * math.exp(draw.gauss(0, noise)) * hiccup
        stages[name] = {
            "seconds": round(seconds, 6), "calls": 1, "cpu_s": 1.9 * seconds / hiccup, "rss_before_mb": 900.0,
            "rss_after_mb": 1000.0, "rss_peak_mb": (1500 + codes) * math.exp(draw.gauss(0, 0.02)), "cuda_peak_mb": None,
            "major_faults": draw.randrange(20), "sizes": {"codes": codes}, "declared": declared,
        }  # fmt: skip
    timings = {name: stage["seconds"] for name, stage in stages.items()}
    timings["total"] = sum(timings.values()) + 0.1
    return {
        "schema": 2, "run_id": f"{started:%Y%m%d-%H%M%S}-{draw.randrange(16**4):04x}", "script": "simple_voice_clone",
        "started": started.isoformat("T", "milliseconds"), "status": "ok", "exit_code": 0,
        "versions": {"app": "0.3.0", "python": "3.11.7", "torch": "2.11.0"},
        "machine": {"id": "a1b2c3d4e5", "system": "Linux 6.18 x86_64", "cpu": "AMD EPYC 9R14", "cores": 2,
                    "ram_mb": 24100, "gpu": None},
        "load": {"average_1min": draw.uniform(0.1, 0.8), "available_mb": 20000 + draw.uniform(0, 1000)},
        "flags": ["--text", "--voice"], "threads": 2, "model": "xtts_v2", "device": "cpu", "precision": "float32",
        "language": "en", "sizes": {"text_length": codes, "segments": 2, "codes": codes, "audio_s": codes / 21.5},
        "rtf": timings["total"] / (codes / 21.5), "timings_s": timings, "stages": stages,
        "memory_mb": {"start_rss": 38.0, "end_rss": 1500.0, "peak_rss": 1600.0 + codes, "cuda_peak": None},
        "cpu_s": 80.1, "log": {"records": 58, "dropped": 0, "seconds": 0.0031}, "error": None, "warnings": 0,
        "last_stage": "write",
    }  # fmt: skip


def slowed(runs: Sequence[Record], stage: str, times: float, version: str | None = None) -> list[Record]:
    """The same runs with one stage slower, in its processor time as well."""
    changed = copy.deepcopy(list(runs))
    for run in changed:
        about = run["stages"][stage]
        more = about["seconds"] * (times - 1)
        about["seconds"] += more
        about["cpu_s"] *= times
        run["timings_s"][stage] += more
        run["timings_s"]["total"] += more
        if version:
            run["versions"]["app"] = version
    return changed


def failed(run: Record, status: str = "error", place: str | None = "voicekit.text:segments") -> Record:
    error = {"type": "TextError", "stage": "preprocess", "place": place}
    return {**run, "status": status, "error": error if status == "error" else None,
            "exit_code": 2 if status == "error" else None, "last_stage": "generate"}  # fmt: skip


def schema_1(run: Record) -> Record:
    kept = ("run_id", "script", "started", "status", "exit_code", "error", "timings_s", "model", "device", "precision")
    return {"schema": 1, **{name: run[name] for name in kept}, "memory_mb": {"peak_rss": 1600.0}, "duration_s": 7.0,
            "warnings": []}  # fmt: skip


def stage_of(found: Record, name: str) -> Record:
    (stage,) = [stage for stage in found["groups"][0]["stages"] if stage["name"] == name]
    assert isinstance(stage, dict)
    return stage


# --- which runs --------------------------------------------------------------------------------------------


def test_periods() -> None:
    assert [seconds_in(period) for period in ("90m", "2h", "7d", " 1W ")] == [5400, 7200, 604800, 604800]
    for wrong in ("", "7", "d", "-1d", "1.5h", "7 years", "\u0667d", "9" * 400 + "d"):
        with pytest.raises(ValueError, match="is no period: write a number and m, h, d or w"):
            seconds_in(wrong)


def test_since_keeps_the_later_runs_and_drops_those_without_a_date() -> None:
    runs: list[Record] = [
        {"run_id": "old", "started": "2026-01-01T00:00:00+00:00"},
        {"run_id": "new", "started": "2026-01-02T02:00:00+02:00"},
        {"run_id": "bad", "started": "yesterday"},
        {"run_id": "early", "started": "0001-01-01T00:00:00"},
        {"run_id": "none"},
        {"run_id": "number", "started": 3},
    ]
    midnight = 1767312000.0  # 2026-01-02T00:00:00Z
    assert [run["run_id"] for run in since(runs, midnight)] == ["new"]
    assert since(runs, midnight + 1) == []
    found = report(runs, since_s=60, now=midnight + 59)
    assert (found["runs"], found["first"]) == (1, "2026-01-02T02:00:00+02:00")


def test_only_one_script() -> None:
    runs = [{"script": "a", "status": "ok"}, {"script": "b", "status": "ok"}]
    assert list(report(runs, script="b")["outcomes"]) == ["b"]


def test_a_run_is_found_by_its_id_by_the_beginning_of_it_and_as_the_last() -> None:
    runs = history(5)
    assert find_run(runs, runs[2]["run_id"]) is runs[2]
    assert find_run(runs, runs[2]["run_id"][:13]) is runs[2]
    assert find_run([runs[4], *runs[:4]], "last") is runs[4]
    with pytest.raises(ValueError, match=r"5 runs begin with '2026'.*write more"):
        find_run(runs, "2026")
    for unknown in ("1999", ""):
        with pytest.raises(ValueError, match=f"write an id such as {runs[4]['run_id']}"):
            find_run(runs, unknown)
    with pytest.raises(ValueError, match="no runs on record"):
        find_run([], "last")
    assert find_run([{"run_id": 7}, {}, {"run_id": "a"}], "last") == {"run_id": "a"}


def test_an_id_that_is_the_beginning_of_another_is_found() -> None:
    assert find_run([{"run_id": "ab"}, {"run_id": "abc"}], "ab") == {"run_id": "ab"}


def test_disk_use_is_that_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "running").mkdir()
    (tmp_path / "runs.jsonl").write_bytes(b"x" * 1000)
    (tmp_path / "running" / "a.json").write_bytes(b"x" * 24)
    assert disk_used(tmp_path) == {"bytes": 1024, "files": 2}
    assert disk_used(tmp_path / "missing") == {"bytes": 0, "files": 0}
    found = {**report(history(1)), "disk": disk_used(tmp_path)}
    assert "log folder: 1 KB in 2 files" in as_text(found)


# --- numbers -----------------------------------------------------------------------------------------------


def test_outcomes_errors_and_killed_runs_are_counted() -> None:
    runs = history(9)
    runs[1], runs[2] = failed(runs[1]), failed(runs[2])
    runs[3], runs[4] = failed(runs[3], place=None), failed(runs[4], "killed")
    runs[5], runs[6] = failed(runs[5], "crashed"), failed(runs[6], "interrupted")
    runs[7] = {**runs[7], "script": "improve_voice_sample", "status": "dancing"}
    found = report(runs)
    assert found["outcomes"]["simple_voice_clone"] == {
        "runs": 8, "ok": 2, "error": 3, "interrupted": 1, "killed": 1, "crashed": 1, "unknown": 0,
    }  # fmt: skip
    assert found["outcomes"]["improve_voice_sample"]["unknown"] == 1
    first, second = found["errors"]
    assert (first["type"], first["place"], first["count"]) == ("TextError", "voicekit.text:segments", 2)
    assert first["latest_run"] == runs[2]["run_id"]
    assert (second["place"], second["stage"], second["count"]) == (None, "preprocess", 1)
    assert [(each["run_id"], each["status"], each["last_stage"]) for each in found["unfinished"]] == [
        (runs[5]["run_id"], "crashed", "generate"), (runs[4]["run_id"], "killed", "generate"),
    ]  # fmt: skip


def test_only_comparable_runs_are_put_together() -> None:
    """One thing differs in each: it must not be mixed with the others, nor a failed run with good ones."""
    runs = history(8)
    for run, (name, value) in zip(runs, [("script", "b"), ("model", "b"), ("device", "cuda"), ("precision", "b"),
                                         ("threads", 1), ("machine", {"id": "b"}), ("status", "error")], strict=False):
        run[name] = value
    groups = report(runs)["groups"]
    assert [group["runs"] for group in groups] == [1] * 7
    assert {group["key"]["script"] for group in groups} == {"simple_voice_clone", "b"}


def test_the_numbers_of_a_stage_are_those_of_the_records() -> None:
    runs = history(25)
    stage = stage_of(report(runs), "generate")
    seconds = sorted(run["stages"]["generate"]["seconds"] for run in runs)
    assert (stage["runs"], stage["median_s"], stage["max_s"]) == (25, seconds[12], seconds[-1])
    assert stage["p95_s"] == pytest.approx(seconds[22] + 0.8 * (seconds[23] - seconds[22]))
    totals = sum(run["timings_s"]["total"] for run in runs)
    assert stage["share"] == pytest.approx(sum(seconds) / totals)
    assert stage["unit"] == "code"
    assert stage["median_s_per_unit"] == pytest.approx(0.24, rel=0.05)
    assert stage["cpu_share"] == pytest.approx(1.9, rel=0.01)
    assert stage["peak_mb"]["max"] == max(run["stages"]["generate"]["rss_peak_mb"] for run in runs)
    assert stage_of(report(runs), "import")["unit"] is None
    assert stage_of(report(runs[:19]), "generate")["p95_s"] is None


def test_growth_is_measured_against_the_declared_law() -> None:
    found = report(history(60))
    linear, square = stage_of(found, "generate")["growth"], stage_of(found, "verify")["growth"]
    assert (linear["verdict"], square["verdict"]) == ("agrees", "agrees")
    assert linear["low"] <= 1.0 <= linear["high"] and square["low"] <= 2.0 <= square["high"]
    assert square["exponent"] == pytest.approx(2.0, abs=0.1)
    assert stage_of(found, "load_model")["growth"]["verdict"] == "agrees", "O(1) does not grow with the codes"
    assert stage_of(found, "import")["growth"] is None, "nothing is declared"
    assert "generate: codes^" in as_text(found)


def test_a_wrong_declaration_disagrees() -> None:
    runs = history(60)
    for run in runs:
        run["stages"]["verify"]["declared"] = {"size": "codes", "time": "O(n)", "space": "O(n)"}
    assert stage_of(report(runs), "verify")["growth"]["verdict"] == "disagrees"
    assert "declared O(n): disagrees, it grows more" in " ".join(as_text(report(runs)).split())


def test_few_runs_or_like_sizes_tell_nothing_of_growth() -> None:
    assert stage_of(report(history(7)), "generate")["growth"]["verdict"] == "not enough spread"
    runs = history(60)
    for run in runs:
        run["stages"]["generate"]["sizes"]["codes"] = 100
    assert stage_of(report(runs), "generate")["growth"]["verdict"] == "not enough spread"


def test_a_trend_is_per_ten_runs_and_longer_texts_are_none() -> None:
    runs = history(60, noise=0.01, slow_runs=0.0)
    for number, run in enumerate(runs):
        run["stages"]["generate"]["seconds"] *= 1 + 0.01 * number  # 10 % of the first per ten runs
    found = report(sorted(runs, key=lambda run: run["sizes"]["codes"]))
    assert abs(stage_of(found, "vocode")["trend_percent_per_10_runs"]) < 1
    assert stage_of(report(runs), "generate")["trend_percent_per_10_runs"] == pytest.approx(100 * 0.1 / 1.3, abs=1.5)


# --- regressions -------------------------------------------------------------------------------------------


def test_a_planted_regression_is_found_with_its_version() -> None:
    runs = history(50)
    found = report(runs[:40] + slowed(runs[40:], "generate", 1.4, "0.4.0"))
    assert has_regression(found)
    (one,) = found["regressions"]
    assert (one["kind"], one["stage"], one["version"], one["unit"]) == ("seconds", "generate", "0.4.0", "code")
    assert one["ratio"] == pytest.approx(1.4, rel=0.1)
    assert one["before"] == pytest.approx(0.24, rel=0.05)
    assert one["after"] == pytest.approx(0.24 * 1.4, rel=0.08)
    assert one["p"] < 0.01
    assert one["changed"] == {"app": ["0.3.0", "0.4.0"]}
    began = [run["run_id"] for run in runs].index(one["since_run"])
    assert abs(began - 40) <= 2
    text = " ".join(as_text(found).split())
    assert "where 0.24 s was usual, 1." in text and "with app 0.4.0 (before: 0.3.0)" in text


@pytest.mark.parametrize("latest", [5, 8, 14, 28])
def test_most_planted_regressions_are_found_whenever_they_began(latest: int) -> None:
    found = 0
    for seed in range(20):
        runs = history(30 + latest, seed=seed)
        found += has_regression(report(runs[:30] + slowed(runs[30:], "generate", 1.4)))
    assert found >= 17


def test_noise_is_no_regression() -> None:
    """200 histories of pure noise, eight series in each; more than 2 % with an alarm would be too many."""
    counts = (10, 14, 22, 45)
    alarms = sum(has_regression(report(history(counts[seed % 4], seed=1000 + seed))) for seed in range(200))
    assert alarms <= 4


def with_stages(runs: Sequence[Record], more: int, noise: float, seed: int) -> list[Record]:
    """The same runs with more stages, each of two seconds, whose noise is their own."""
    draw = random.Random(seed)
    for run in runs:
        for number in range(more):
            seconds = 2.0 * math.exp(draw.gauss(0, noise))
            run["stages"][f"stage_{number}"] = {"seconds": seconds, "sizes": {}, "declared": None}
            run["timings_s"][f"stage_{number}"] = seconds
    return list(runs)


@pytest.mark.parametrize("count", [15, 45])
def test_noise_over_many_stages_is_no_regression(count: int) -> None:
    """Sixteen stages whose noise of 30 % is over the ratio often enough: only the correction for all of them helps."""
    alarms = sum(
        has_regression(report(with_stages(history(count, seed=seed, noise=0.3), 10, 0.3, seed))) for seed in range(100)
    )
    assert alarms <= 3


@pytest.mark.parametrize(("earlier", "latest"), [(30, 7), (30, 15)])
def test_one_slow_stage_among_many_is_found(earlier: int, latest: int) -> None:
    found = 0
    for seed in range(20):
        runs = with_stages(history(earlier + latest, seed=seed), 4, 0.08, seed)
        regressions = report(runs[:earlier] + slowed(runs[earlier:], "generate", 1.5))["regressions"]
        found += [each["stage"] for each in regressions] == ["generate"]
    assert found >= 18


def test_five_runs_against_five_prove_nothing_of_ten_stages() -> None:
    """Their least p, 2 of 252 orders, is under 0.01, and comes by chance in a tenth of such reports."""
    runs = with_stages(history(10, slow_runs=0.0), 4, 0.08, 1)
    assert report(runs[:5] + slowed(runs[5:], "generate", 1.5))["regressions"] == []


def of_segments(runs: Sequence[Record], segments: int) -> list[Record]:
    """Runs whose segments were decoded together: a step costs as much for many as for one, and a tenth a row more."""
    changed = copy.deepcopy(list(runs))
    for run in changed:
        run["sizes"]["segments"] = segments
        run.update(slowed([run], "generate", (1 / min(segments, 12) + 0.11) / 1.11)[0])
    return changed


def test_short_texts_after_long_ones_are_no_regression() -> None:
    """A single sentence costs five times as much per code as one of twelve that are decoded together."""
    runs = history(45, slow_runs=0.0)
    mixed = of_segments(runs[:30], 24) + of_segments(runs[30:], 1)
    assert report(mixed)["regressions"] == []
    slow = mixed[:15] + of_segments(runs[15:30], 1) + slowed(of_segments(runs[30:], 1), "generate", 1.5)
    (one,) = report(slow)["regressions"]
    assert (one["stage"], one["earlier_runs"]) == ("generate", 15), "runs of one segment are compared with their like"


def of_known_voice(runs: Sequence[Record], *, known: bool) -> list[Record]:
    """A voice that was heard before needs no preparation: milliseconds, and no seconds of sample."""
    changed = copy.deepcopy(list(runs))
    for number, run in enumerate(changed):
        seconds = (0.06 if known else 1.0) * (1 + 0.01 * (number % 5))
        declared = {"size": "sample_s", "time": "O(n)", "space": "O(n)"}
        run["stages"]["preprocess"] = {"seconds": seconds, "sizes": {} if known else {"sample_s": 10.0},
                                       "declared": declared}  # fmt: skip
        run["timings_s"]["preprocess"] = seconds
        run["timings_s"]["total"] += seconds
    return changed


@pytest.mark.parametrize("earlier", [20, 35])
def test_new_voices_after_known_ones_are_no_regression(earlier: int) -> None:
    runs = history(earlier + 10, slow_runs=0.0)
    voices = of_known_voice(runs[:earlier], known=True) + of_known_voice(runs[earlier:], known=False)
    assert report(voices)["regressions"] == []


def test_a_few_outliers_are_no_regression() -> None:
    runs = history(30, slow_runs=0.0)
    assert not has_regression(report(runs[:25] + slowed(runs[25:27], "generate", 8.0) + runs[27:]))


def test_longer_texts_are_no_regression() -> None:
    """Ever longer texts: more seconds in every stage that works on them, declared or not, and more memory."""
    runs = sorted(history(40, slow_runs=0.0), key=lambda run: run["sizes"]["codes"])
    assert runs[-1]["timings_s"]["vocode"] > 3 * runs[0]["timings_s"]["vocode"]
    assert report(runs)["regressions"] == []
    assert report(runs[::-1])["regressions"] == [], "a short text is slow per code where a part is fixed"


def test_a_busy_machine_is_no_regression() -> None:
    runs = history(40, slow_runs=0.0)
    slow = slowed(runs[30:], "generate", 1.6)
    assert has_regression(report(runs[:30] + slow)), "the same runs on an idle machine"
    for run in slow:
        run["load"]["average_1min"] = 4.0
    assert report(runs[:30] + slow)["regressions"] == []


def test_a_regression_that_is_over_is_none() -> None:
    runs = history(60, slow_runs=0.0)
    assert report(runs[:30] + slowed(runs[30:52], "generate", 1.6) + runs[52:])["regressions"] == []


def test_a_stage_of_milliseconds_has_no_regressions() -> None:
    runs = history(40)
    assert report(runs[:30] + slowed(runs[30:], "write", 3.0))["regressions"] == []
    assert has_regression(report(runs[:30] + slowed(runs[30:], "load_model", 3.0)))


def test_a_rise_of_the_memory_peak_is_found() -> None:
    runs = history(40)
    for run in runs[30:]:
        run["memory_mb"]["peak_rss"] *= 1.5
    (one,) = report(runs)["regressions"]
    assert (one["kind"], one["stage"], one["unit"]) == ("memory", None, None)
    assert one["ratio"] == pytest.approx(1.5, rel=0.05)
    assert re.search(r"memory peak: 2\.\d GB where 1\.\d GB was usual, 1\.[45]\d times", as_text(report(runs)))


def test_the_memory_of_the_gpu_is_told_from_the_other() -> None:
    runs = history(40)
    for number, run in enumerate(runs):
        run["memory_mb"]["cuda_peak"] = 4096.0 + run["sizes"]["codes"]
        run["memory_mb"]["cuda_peak"] *= 1.5 if number >= 30 else 1.0
    (one,) = report(runs)["regressions"]
    assert one["kind"] == "GPU memory"
    assert "GPU memory peak: " in as_text(report(runs))


def test_runs_that_cannot_be_compared_are_no_regression() -> None:
    """A slower machine beside a faster one, or a failed run that took long."""
    runs = history(40)
    for run in (slow := slowed(runs[30:], "generate", 3.0)):
        run["machine"]["id"] = "another"
    assert report(runs[:30] + slow)["regressions"] == []
    assert report(runs[:30] + [failed(run) for run in slow])["regressions"] == []


# --- why a run was slow ------------------------------------------------------------------------------------


def explained(change: Callable[[Record], object], earlier: Sequence[Record] | None = None) -> str:
    """What is said of an ordinary run of 200 codes after `change` was done to it."""
    before = history(40) if earlier is None else list(earlier)
    (run,) = history(1, seed=5, noise=0.0, slow_runs=0.0)
    codes = run["sizes"]["codes"]
    change(run)
    assert run["sizes"]["codes"] == codes
    sentences = explain(run, before)
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in sentences)
    return "\n".join(sentences)


def lengthen(run: Record, stage: str, times: float, cpu_times: float = 1.0) -> None:
    run.update(slowed([run], stage, times)[0])
    run["stages"][stage]["cpu_s"] *= cpu_times / times


def test_a_usual_run_is_as_expected() -> None:
    said = explained(lambda run: None)
    assert said.count("\n") == 0 and said.endswith(": as expected.")


def test_more_text_is_more_work_and_not_slowness() -> None:
    before = history(40, slow_runs=0.0)
    long = max(history(200, seed=9, noise=0.0, slow_runs=0.0), key=lambda run: run["sizes"]["codes"])
    (said,) = explain(long, before)
    middle = sorted(run["timings_s"]["total"] for run in before[-30:])[14:16]
    times = long["timings_s"]["total"] / (sum(middle) / 2)
    assert times > 2
    assert f"{times:.1f} times the usual" in said and "times the codes: as expected." in said


def test_a_size_that_no_earlier_run_had_is_not_called_slow() -> None:
    """Of texts of 100 to 200 codes nothing follows for one of 6000, where the cost of a code is another."""
    before = [run for run in history(120, slow_runs=0.0) if 100 <= run["sizes"]["codes"] <= 200]
    (run,) = history(1, seed=5, noise=0.0, slow_runs=0.0)
    lengthen(run, "generate", 60.0, 60.0)
    run["sizes"]["codes"] = 6000
    for stage in run["stages"].values():
        stage["sizes"]["codes"] = 6000
    said = " ".join(explain(run, before))
    assert "slow" not in said and "fast" not in said and "usual for it" not in said
    assert ": as expected, as far as it can be compared." in said
    assert "cannot be compared: no earlier run was like this one in what they worked on." in said
    assert re.search(r"^generate .* -  ", describe_run(run, before), re.MULTILINE), "nothing is usual for it"


def test_of_what_can_be_compared_slowness_is_told_beside_what_cannot() -> None:
    before = [run for run in history(120, slow_runs=0.0) if run["sizes"]["codes"] < 150]
    (run,) = history(1, seed=5, noise=0.0, slow_runs=0.0)
    lengthen(run, "load_model", 5.0, 5.0)
    run["sizes"]["codes"] = run["stages"]["generate"]["sizes"]["codes"] = 9000
    said = explain(run, before)
    assert any(sentence.startswith("load_model took ") for sentence in said)
    assert not any(sentence.startswith("generate took ") for sentence in said)


def test_a_voice_that_is_heard_for_the_first_time_is_not_slow() -> None:
    known = of_known_voice(history(20, slow_runs=0.0), known=True)
    (new,) = of_known_voice(history(1, seed=5, noise=0.0, slow_runs=0.0), known=False)
    said = " ".join(explain(new, known))
    assert "slow" not in said and "preprocess took" not in said and "preprocess cannot be compared" in said
    both = known[:10] + of_known_voice(history(10, slow_runs=0.0), known=False)
    assert " ".join(explain(new, both)).endswith(": as expected."), "ten earlier runs heard one, too"


def test_a_single_sentence_is_compared_with_single_sentences() -> None:
    long = of_segments(history(20, slow_runs=0.0), 24)
    (short,) = of_segments(history(1, seed=5, noise=0.0, slow_runs=0.0), 1)
    assert "generate took" not in " ".join(explain(short, long))
    alike = long[:12] + of_segments(history(8, seed=3, slow_runs=0.0), 1)
    assert " ".join(explain(short, alike)).endswith(": as expected.")
    lengthen(short, "generate", 2.0, 2.0)
    assert "generate took" in " ".join(explain(short, alike))


@pytest.mark.parametrize(("one", "other"), [
    ({"flags": ["--verify"]}, {}),
    ({"flags": ["--play"]}, {}),
    ({"flags": ["--redo"]}, {}),
    ({"flags": ["--jobs"]}, {}),
    ({"flags": ["--check"]}, {"flags": ["--list-voices"]}),
    ({"flags": ["--report"]}, {"flags": ["--plot"]}),
    ({"settings": {"denoise": "strong"}}, {"settings": {"denoise": "off"}}),
    ({"flags": ["--denoise"]}, {}),
    ({"flags": ["--speed"], "settings": {"speed": 0.5}}, {"flags": ["--speed"], "settings": {"speed": 2.0}}),
    ({"flags": ["--batch-size"], "batch_size": 1}, {"flags": ["--batch-size"], "batch_size": 24}),
    ({"flags": ["-o"], "settings": {"format": ".mp3"}}, {"flags": ["-o"], "settings": {"format": ".wav"}}),
    ({"flags": ["-o"], "settings": {"format": "-"}}, {}),
    ({"reused": 7}, {"reused": 0}),
])  # fmt: skip
def test_other_work_is_not_compared(one: Record, other: Record) -> None:
    """Flags that add work or leave it out, and what was left of an earlier run."""
    assert key_of(one) != key_of(other)
    assert key_of(one) == key_of(dict(one)) and key_of({"flags": 5, "settings": "damaged", **one}) == key_of(one)


@pytest.mark.parametrize("same", [
    {"flags": ["--denoise"], "settings": {"denoise": "auto"}},
    {"flags": ["--tempo", "--speed"], "settings": {"tempo": 1.0, "speed": 1}},
    {"flags": ["--batch-size"], "batch_size": 12},
    {"flags": ["-o"], "settings": {"format": ".wav"}},
    {"flags": ["--quiet", "--force", "--seed", "--json", "--subtitles"], "reused": 0},
])  # fmt: skip
def test_a_default_that_is_written_out_is_the_same_work(same: Record) -> None:
    assert key_of(same) == key_of({"flags": []})


def test_a_slow_stage_is_named_with_its_usual_seconds() -> None:
    said = explained(lambda run: lengthen(run, "generate", 2.0, 2.0))
    first, second, third = said.split("\n")
    assert ": slow, " in first
    assert second.startswith("generate took ") and " codes, 2.0 times the " in second
    assert re.search(r"\(0\.[45]\d s per code, usually 0\.2\d s\)\.$", second)
    assert third == "Why generate took longer is not to be seen in the numbers of this run."


def test_a_stage_that_lost_its_processor_to_others() -> None:
    def busy(run: Record) -> None:
        lengthen(run, "generate", 2.0)
        run["load"]["average_1min"] = 5.0

    said = explained(busy)
    assert re.search(r"others used the machine, it had (0\.9|1\.0) processor cores \(usually 1\.9\)", said)
    assert "load average 2.5 per core (usually 0.2)" in said
    assert "not to be seen" not in said


def test_a_stage_that_waited_for_the_disk() -> None:
    def swapping(run: Record) -> None:
        lengthen(run, "generate", 3.0)
        run["stages"]["generate"]["major_faults"] = 48_000
        run["load"]["available_mb"] = 700.0

    said = explained(swapping)
    assert "it waited for the disk, with 48000 major page faults (usually " in said
    assert "Memory was short: 700 MB were free at the start (usually 19.9 GB)" in said


def test_less_memory_than_usual_is_no_cause_while_it_is_enough() -> None:
    def less(run: Record) -> None:
        lengthen(run, "generate", 2.0, 2.0)
        run["load"]["available_mb"] = 8000.0

    assert "Memory was short" not in explained(less)


def test_time_outside_the_stages_is_told_only_where_it_is_unusual() -> None:
    def elsewhere(run: Record) -> None:
        run["timings_s"]["total"] += 30.0

    said = explained(elsewhere)
    assert ": slow, " in said and "Outside the measured stages 30.1 s passed (usually 0.10 s)." in said
    before = history(40)
    for run in before:
        elsewhere(run)
    assert explained(elsewhere, before).endswith(": as expected.")


def test_a_higher_memory_peak_of_a_slow_stage() -> None:
    def large(run: Record) -> None:
        lengthen(run, "generate", 2.0, 2.0)
        run["stages"]["generate"]["rss_peak_mb"] = 8192.0

    assert "its memory peak was 8.0 GB (usually " in explained(large)


def test_a_download_is_a_cause_and_other_runs_had_none() -> None:
    def download(run: Record) -> None:
        run["stages"]["download"] = {"seconds": 300.0}
        run["timings_s"]["total"] += 300.0

    said = explained(download)
    assert "download took 300 s, which most comparable runs did not have: a download, as fast as the network." in said


def test_another_device_fewer_threads_another_precision() -> None:
    on_gpu = [{**run, "device": "cuda"} for run in history(12)]
    said = explained(lambda run: None, on_gpu)
    assert "Most of the time: generate" in said
    assert "Too few runs to compare it with: no comparable runs came before, 3 are needed." in said
    assert "It ran on cpu; 12 of 12 earlier runs of this script and model used cuda." in said
    devices = ["cuda"] * 5 + ["mps"] * 4 + ["cpu"] * 3
    mixed = [{**run, "device": device} for run, device in zip(history(12), devices, strict=True)]
    assert "cuda" not in explained(lambda run: None, mixed), "the most, but not most of them"
    threads = explained(lambda run: run.update(threads=1), history(12))
    assert "It ran with 1 thread; 12 of 12 earlier runs of this script and model used 2." in threads
    assert "earlier runs" not in explained(lambda run: run.update(threads=8), history(12)), "more are no reason"
    half = [{**run, "precision": "bfloat16"} for run in history(12)]
    said = explained(lambda run: None, half)
    assert "It ran in float32; 12 of 12 earlier runs of this script and model used bfloat16." in said


def test_the_first_run_of_a_model_is_called_that() -> None:
    assert "it is the first run of this model on this machine" in explained(lambda run: None, [])
    others = [{**run, "model": "another"} for run in history(5)]
    assert "it is the first run of this model on this machine" in explained(lambda run: None, others)
    elsewhere = [{**run, "machine": {"id": "elsewhere"}} for run in history(5)]
    assert "it is the first run of this model on this machine" in explained(lambda run: None, elsewhere)
    assert "2 comparable runs came before, 3 are needed" in explained(lambda run: None, history(2))


def test_with_two_runs_before_only_the_time_is_told() -> None:
    (run,) = history(1)
    run["timings_s"] = {"generate": 35.2, "condition_voice": 5.3, "total": 48.6}
    del run["stages"]
    first, second = explain(run, history(2))
    assert first == "Most of the time: generate 35.2 s of 48.6 s (72 %)."
    assert second.startswith("Too few runs")


def test_a_run_is_not_compared_with_itself() -> None:
    runs = history(3)
    assert any(sentence.startswith("Too few") for sentence in explain(runs[-1], runs))


def test_an_unfinished_run_is_not_called_slow_or_fast() -> None:
    runs = history(12)
    (said,) = explain(failed(runs[-1]), runs[:-1])
    assert said.startswith("Most of the time: ")


def test_nothing_private_is_said() -> None:
    def secret(run: Record) -> None:
        lengthen(run, "generate", 2.0)
        run.update(model="/home/somebody/secret.pth", language="secret", flags=["secret"])

    earlier = [{**run, "model": "/home/somebody/secret.pth"} for run in history(12)]
    assert "secret" not in explained(secret, earlier) + explained(secret, [])


def test_explaining_needs_no_numpy_and_no_statistics() -> None:
    """It runs at the end of every run: what it imports, every run pays for."""
    code = ("import sys, json; from voicekit.run_reasons import explain; runs = json.load(sys.stdin)\n"
            "explain(runs[-1], runs[:-1])\n"
            "print([name for name in ('numpy', 'scipy', 'statistics', 'torch', 'json.tool') if name in sys.modules])")
    runs = json.dumps(history(40))
    out = subprocess.run([sys.executable, "-c", code], input=runs, capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "[]"


# --- words -------------------------------------------------------------------------------------------------


def test_the_text_fits_a_terminal_and_says_when_there_is_nothing() -> None:
    assert as_text(report([])) == "No runs on record."
    assert as_text(report(history(3), script="other")) == "No such runs on record."
    runs = history(60)
    runs[3], runs[4] = failed(runs[3]), failed(runs[4], "killed")
    runs[5] = failed({**runs[5], "script": "x" * 300}, place="y" * 300)
    text = as_text(report(runs[:40] + slowed(runs[40:], "generate", 1.5, "0.4.0")))
    assert max(map(len, text.splitlines())) <= 100
    assert [text.index(title) for title in ("\nErrors", "\nRegressions", "\nKilled", "\nGrowth")] == sorted(
        text.index(title) for title in ("\nErrors", "\nRegressions", "\nKilled", "\nGrowth")
    )
    row = next(line for line in text.splitlines() if line.startswith("  generate"))
    assert row.split()[1] == "57" and "190 %" in row and re.search(r"0\.2\d s per code$", row)


def test_no_record_reaches_the_terminal_with_control_characters() -> None:
    runs = [hostile(run) for run in history(12, slow_runs=0.0)]
    slow = slowed(runs[-1:], "generate" + HOSTILE, 3.0)[0]
    text = as_text(report(runs)) + describe_run(slow, runs[:-1]) + "\n".join(explain(slow, runs[:-1]))
    for name in ("generate<script>", "torch<script>", "per <script>"):
        assert name in text
    assert not set(text) & set("\x1b\u202e")


def test_a_run_is_described_with_everything_that_is_known() -> None:
    runs = history(12)
    text = describe_run(slowed([runs[-1]], "generate", 2.0)[0], runs[:-1])
    for piece in (runs[-1]["run_id"], "ok, exit code 0", "xtts_v2, cpu, float32, 2 threads", "AMD EPYC 9R14",
                  "app 0.3.0", "58 log records in 3.1 ms", "80.1 s of processor time", "generate took", "900 MB",
                  "1.0 GB", "s per code"):  # fmt: skip
        assert piece in text, piece
    assert max(map(len, text.splitlines())) <= 100
    said = describe_run(failed(runs[0], "killed"), [])
    assert "killed" in said and "Last stage: generate" in said
    assert "Error: TextError in voicekit.text:segments, stage preprocess" in describe_run(failed(runs[0]), [])


def test_a_record_of_the_first_schema_is_read() -> None:
    runs = [schema_1(run) for run in history(25)]
    found = report(runs)
    group = found["groups"][0]
    assert (group["key"]["machine"], group["runs"]) == (None, 25)
    assert group["peak_mb"]["max"] == 1600.0
    assert stage_of(found, "generate")["median_s"] > 0
    assert "generate" in as_text(found)
    assert explain(runs[-1], runs[:-1])[0].startswith("It took ")
    assert "memory peak 1.6 GB" in describe_run(runs[-1], runs[:-1])


# --- damage ------------------------------------------------------------------------------------------------

JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 3, 1e308, 10**400, float("nan"), float("inf"), -0.5, "", "x" * 5000, HOSTILE, "O(n^99999)",
    "2026-13-45", [], [[]], {}, {"id": {}}, {"total": "long"}, {"generate": 5}, {HOSTILE: {"seconds": 1, "sizes": 7}},
)  # fmt: skip


def damaged(value: Any, draw: random.Random, rate: float) -> Any:
    if draw.random() < rate:
        return draw.choice(JUNK)
    if isinstance(value, dict):
        return {key: damaged(item, draw, rate) for key, item in value.items() if draw.random() > rate / 2}
    return value


def hostile(value: Any) -> Any:
    """The same record with a stranger's text in every string, names of stages, sizes and packages included."""
    if isinstance(value, str):
        return value if value in ("ok", "error", "killed") or value[:4] == "2026" or value[:2] == "O(" else HOSTILE
    if isinstance(value, dict):
        names = {**{name: name + HOSTILE for name in LAWS}, "codes": HOSTILE, "torch": "torch" + HOSTILE}
        return {names.get(key, key): hostile(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("seed", range(30))
def test_no_damage_stops_it(seed: int) -> None:
    draw = random.Random(seed)
    runs = [damaged(run, draw, 0.03 + 0.3 * draw.random()) for run in history(25, seed)]
    records = [run for run in runs if isinstance(run, dict)] + [{}]
    found = report(records, since_s=draw.choice([None, 1e12]), now=2e9)
    json.dumps(found, allow_nan=False)
    assert found["runs"] <= len(records)
    assert as_text(found)
    for run in records:
        assert explain(run, records)
        assert describe_run(run, records)
    assert find_run(records, "last")


def test_each_value_of_the_wrong_type_is_unknown_and_nothing_else_is_lost() -> None:
    for junk in JUNK:
        runs = history(4, slow_runs=0.0)
        runs[0] = {**runs[0], "timings_s": junk, "sizes": junk, "memory_mb": junk, "error": junk, "load": junk}
        found = report(runs)
        assert found["groups"][0]["runs"] == 4
        assert stage_of(found, "generate")["runs"] == 4, "its seconds are in `stages` as well"
        assert found["groups"][0]["total_s"]["max"] < 1e15
