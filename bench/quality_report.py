"""Rows of the quality benchmark -> tables, ranks, recall of the issues, and the JSON of aggregates.

A row is what one contestant made of one file in one cell (a dict, see ``quality.measure``). A cell's number is the mean
over its files of what could be told; a contestant that gave no file is listed. The means over all cells leave out files
for which any contestant has no number, so that nobody gains by failing where it is hard.

Ranks: in each cell, for each metric, contestants are ranked by their means, rounded to a step that can be heard or
trusted (STEPS); ties share their mean rank; where a contestant has no number for a file, it is given one step less than
the worst of the others. The overall rank is the mean over cells of OVRL, STOI, PESQ, SI-SDR and cosine; SIG, BAK and
level are shown, not counted.

Recall of an issue is counted in cells that expect its code (``quality_degradations.GRID``), in files; an
issue counts as raised with severity error or warning. Spearman: of a file's score before against the severity in
one kind, its clean version being severity 0; mean over files; -1 is right, a score that never moves counts 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]

METRICS = ("ovrl", "sig", "bak", "stoi", "pesq", "si_sdr", "cosine", "level_ok")
COUNTED = ("ovrl", "stoi", "pesq", "si_sdr", "cosine")
STEPS = {"ovrl": 0.02, "sig": 0.02, "bak": 0.02, "stoi": 0.005, "pesq": 0.02, "si_sdr": 0.1, "cosine": 0.005,
         "level_ok": 0.01}
DIGITS = {"ovrl": 2, "sig": 2, "bak": 2, "stoi": 3, "pesq": 2, "si_sdr": 1, "cosine": 3, "level_ok": 2}
TITLES = {
    "ovrl": "DNSMOS OVRL", "sig": "DNSMOS SIG", "bak": "DNSMOS BAK", "stoi": "STOI", "pesq": "PESQ wide-band",
    "si_sdr": "SI-SDR, dB", "cosine": "speaker cosine to the clean original", "level_ok": "share of files at the level",
}
PAIRS = "pairs"
COSINE_LOSS = 0.01
TWICE_MS, TWICE_DB = 50.0, 0.5


def report(rows: Sequence[Row], contestants: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """Prints every block and gives the aggregates."""
    rows = sorted(rows, key=lambda row: (cells.index(row["cell"]), row["file"], row["contestant"]))
    grid = [cell for cell in cells if cell != PAIRS and any(row["cell"] == cell for row in rows)]
    for metric in METRICS:
        print_metric(rows, contestants, grid, metric)
    answer: dict[str, Any] = {"files": len({row["file"] for row in rows if row["cell"] != PAIRS}), "cells": len(grid)}
    answer["failures"] = failures(rows)
    answer["means"] = averages(of(rows, cells=grid), contestants)
    answer["cpu_s"] = {name: mean(of(rows, contestant=name), "cpu_s", 3) for name in contestants}
    answer["pairs"] = pairs(rows, contestants)
    answer["ranks"] = ranks(rows, contestants, grid)
    answer |= ours(rows, grid) if "ours" in contestants else {}
    return answer


# --- what rows say ---------------------------------------------------------------------------------------


def of(rows: Iterable[Row], *, contestant: str | None = None, cells: Iterable[str] | None = None) -> list[Row]:
    """The rows of a contestant, of cells."""
    wanted = None if cells is None else set(cells)
    return [row for row in rows
            if contestant in (None, row["contestant"]) and (wanted is None or row["cell"] in wanted)]


def mean(rows: Iterable[Row], metric: str, digits: int | None = None) -> float | None:
    """Over the rows that have the number; None if none has."""
    values = [row[metric] for row in rows if row.get(metric) is not None]
    return rounded(float(np.mean(values)), metric, digits) if values else None


def rounded(value: float | None, metric: str, digits: int | None = None) -> float | None:
    """To the digits that mean something."""
    return None if value is None else round(value, DIGITS[metric] if digits is None else digits)


def averages(rows: Sequence[Row], contestants: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Contestant -> metric -> mean over the files for which all contestants have the number."""
    found: dict[str, dict[str, float | None]] = {name: {} for name in contestants}
    for metric in METRICS:
        common = shared(rows, contestants, metric)
        for name in contestants:
            mine = [row for row in of(rows, contestant=name) if (row["cell"], row["file"]) in common]
            found[name][metric] = mean(mine, metric, 4)
    return found


def shared(rows: Sequence[Row], contestants: Sequence[str], metric: str) -> set[tuple[str, str]]:
    """(cell, file) of which every contestant has the number."""
    count = Counter((row["cell"], row["file"]) for row in rows if row.get(metric) is not None)
    return {key for key, has in count.items() if has == len(contestants)}


def failures(rows: Sequence[Row]) -> dict[str, int]:
    """How often each contestant gave no file; printed with one reason each."""
    bad = [row for row in rows if row.get("error")]
    if bad:
        print("\nNo file came from")
    for name, count in sorted(Counter(row["contestant"] for row in bad).items()):
        cells = ", ".join(sorted({row["cell"] for row in bad if row["contestant"] == name}))
        said = next(row["error"] for row in bad if row["contestant"] == name)
        print(f"  {name}: {count} times ({cells}); {said.splitlines()[0][:120]}")
    return dict(Counter(row["contestant"] for row in bad))


# --- tables ------------------------------------------------------------------------------------------


def print_table(title: str, head: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Columns of 10 after a first one of 16; None is a dash."""
    print(f"\n{title}")
    print(f"{head[0]:<16}" + "".join(f"{name:>11}" for name in head[1:]))
    for line in lines:
        print(f"{line[0]:<16}" + "".join(f"{'-' if value is None else value:>11}" for value in line[1:]))


def print_metric(rows: Sequence[Row], contestants: Sequence[str], cells: Sequence[str], metric: str) -> None:
    """One metric: a line a cell, a column a contestant."""
    lines = [[cell, *(mean(of(rows, contestant=name, cells=[cell]), metric) for name in contestants)] for cell in cells]
    means = averages(of(rows, cells=cells), contestants)
    lines.append(["mean", *(rounded(means[name][metric], metric) for name in contestants)])
    if any(value is not None for line in lines for value in line[1:]):
        print_table(TITLES[metric], ["cell", *contestants], lines)


def pairs(rows: Sequence[Row], contestants: Sequence[str]) -> dict[str, Any]:
    """The recorded pairs: a line a contestant."""
    mine = of(rows, cells=[PAIRS])
    if not mine:
        return {}
    found: dict[str, Any] = averages(mine, contestants)
    count = len({row["file"] for row in mine})
    shown = [[name, *(rounded(found[name][metric], metric) for metric in METRICS)] for name in contestants]
    print_table(f"Recorded pairs ({count} files)", ["contestant", *METRICS], shown)
    return found | {"files": count}


def ranks(rows: Sequence[Row], contestants: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """Mean rank of each contestant, 1 is best: by metric over cells, and overall (COUNTED)."""
    places: dict[str, dict[str, list[float]]] = {name: {metric: [] for metric in METRICS} for name in contestants}
    for cell in cells:
        for metric in METRICS:
            numbers = settled(of(rows, cells=[cell]), contestants, metric)
            for name, place in places_of(numbers, STEPS[metric]).items():
                places[name][metric].append(place)
    found = {name: _mean_places(by_metric) for name, by_metric in places.items()}
    head = ["contestant", "overall", *METRICS]
    ordered = sorted(found, key=lambda name: found[name]["overall"] or 99)
    lines = [[name, *(found[name][column] for column in head[1:])] for name in ordered]
    print_table(f"Mean rank over {len(cells)} cells (1 is best; overall: {', '.join(COUNTED)})", head, lines)
    return found


def _mean_places(by_metric: dict[str, list[float]]) -> dict[str, float | None]:
    found = {metric: round(float(np.mean(places)), 2) if places else None for metric, places in by_metric.items()}
    counted = [place for metric in COUNTED for place in by_metric[metric]]
    return {"overall": round(float(np.mean(counted)), 2) if counted else None, **found}


def settled(rows: Sequence[Row], contestants: Sequence[str], metric: str) -> dict[str, float]:
    """A cell's number of each contestant, where none is one step under the worst; {} if nobody has any."""
    by_file: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.get(metric) is not None:
            by_file.setdefault(row["file"], {})[row["contestant"]] = row[metric]
    filled = {name: [values.get(name, min(values.values()) - STEPS[metric]) for values in by_file.values()]
              for name in contestants}
    return {name: float(np.mean(values)) for name, values in filled.items() if values}


def places_of(numbers: dict[str, float], step: float) -> dict[str, float]:
    """Ranks, the largest number first; ties (after rounding to steps) share theirs."""
    from scipy.stats import rankdata

    places = rankdata([-round(value / step) for value in numbers.values()])
    return dict(zip(numbers, map(float, places), strict=True))


# --- ours --------------------------------------------------------------------------------------------


def ours(rows: Sequence[Row], cells: Sequence[str]) -> dict[str, Any]:
    """The blocks that only our own report makes possible."""
    mine = of(rows, contestant="ours", cells=[*cells, PAIRS])
    found: dict[str, Any] = {"clean": clean_block(rows), "cosine_losses": cosine_losses(rows, cells)}
    found |= {"recall": recall(mine), "false_alarms_on_clean": false_alarms(mine)}
    found |= {"spearman": spearman(mine), "twice": twice(mine)}
    return found


def clean_block(rows: Sequence[Row]) -> dict[str, Any]:
    """What ours does to clean files: a line a file."""
    mine = of(rows, contestant="ours", cells=["clean"])
    before = {row["file"]: row for row in of(rows, contestant="input", cells=["clean"])}
    lines = []
    for row in mine:
        old = before.get(row["file"], {}).get("ovrl")
        row = row | {"d_ovrl": None if old is None or row.get("ovrl") is None else round(row["ovrl"] - old, 2)}
        lines.append(row)
    head = ("cosine", "stoi", "pesq", "si_sdr", "d_ovrl", "score_before", "score_after")
    shown = [[row["file"][:15], *(_short(row.get(name)) for name in head), " ".join(row.get("issues") or [])]
             for row in lines]
    if shown:
        print_table("Clean files through ours", ["file", *head, "raised"], shown)
    least = {f"min_{name}": min((row[name] for row in lines if row.get(name) is not None), default=None)
             for name in ("cosine", "stoi", "si_sdr", "d_ovrl")}
    return least | {name: mean(lines, name, 4) for name in ("cosine", "stoi", "pesq", "si_sdr", "d_ovrl")}


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def cosine_losses(rows: Sequence[Row], cells: Sequence[str]) -> dict[str, float]:
    """Cells in which ours sounds less like the speaker than the input does, by over 0.01."""
    lost = {}
    for cell in [*cells, PAIRS]:
        old, new = (mean(of(rows, contestant=name, cells=[cell]), "cosine", 4) for name in ("input", "ours"))
        if old is not None and new is not None and new < old - COSINE_LOSS:
            lost[cell] = round(new - old, 4)
    said = ", ".join(f"{cell} ({change:+.3f})" for cell, change in lost.items())
    print(f"\nCells where ours' cosine is under the input's by over {COSINE_LOSS}: {said or 'none'}")
    return lost


def recall(mine: Sequence[Row]) -> dict[str, Any]:
    """Of each cell: what was expected, how often it was raised, what else was. Then by code."""
    by_code: dict[str, list[bool]] = {}
    lines = []
    for cell in dict.fromkeys(row["cell"] for row in mine):
        files = [row for row in mine if row["cell"] == cell and row.get("issues") is not None]
        raised = Counter(code for row in files for code in row["issues"])
        wanted = Counter(code for row in files for code in row["expects"])
        for row in files:
            for code in row["expects"]:
                by_code.setdefault(code, []).append(code in row["issues"])
        hit = {code: sum(code in row["issues"] for row in files if code in row["expects"]) for code in wanted}
        said = " ".join(f"{code} {hit[code]}/{count}" for code, count in wanted.items()) or "-"
        also = " ".join(f"{code}:{count}" for code, count in raised.most_common() if code not in wanted)
        lines.append(f"{cell:<18}{len(files):>5}   {said:<26}{_text(mean(files, 'score_before', 1)):>9}"
                     f"{_text(mean(files, 'score_after', 1)):>9}   {also}")
    print(f"\nIssues raised by ours\n{'cell':<18}{'files':>5}   {'expected, found':<26}{'score':>9}{'after':>9}   also")
    print("\n".join(lines))
    found = {code: {"found": sum(hits), "of": len(hits)} for code, hits in sorted(by_code.items())}
    print("recall: " + ", ".join(f"{code} {count['found']}/{count['of']}" for code, count in found.items()))
    return found


def _text(value: float | None) -> str:
    return "-" if value is None else str(value)


def false_alarms(mine: Sequence[Row]) -> dict[str, Any]:
    """Issues raised on clean files."""
    clean = [row for row in mine if row["cell"] == "clean" and row.get("issues") is not None]
    alarmed = {row["file"]: row["issues"] for row in clean if row["issues"]}
    codes = Counter(code for raised in alarmed.values() for code in raised)
    print(f"false alarms on clean: {len(alarmed)} of {len(clean)} files {alarmed or ''}")
    return {"files": len(alarmed), "of": len(clean), "codes": dict(codes)}


def spearman(mine: Sequence[Row]) -> dict[str, float]:
    """Of each kind with several levels: score before against severity, mean over files."""
    scores = {(row["file"], row["kind"], row["severity"]): row.get("score_before") for row in mine}
    found = {}
    for kind in dict.fromkeys(row["kind"] for row in mine):
        per_file = [_rho(scores, file, kind) for file in sorted({row["file"] for row in mine if row["kind"] == kind})]
        known = [rho for rho in per_file if rho is not None]
        if known:
            found[kind] = round(float(np.mean(known)), 3)
    print("Spearman of score against severity: " + (", ".join(f"{k} {v}" for k, v in found.items()) or "-"))
    return found


def _rho(scores: dict[tuple[str, str, int], float | None], file: str, kind: str) -> float | None:
    from scipy.stats import spearmanr

    points = [(level, score) for (name, of_kind, level), score in scores.items()
              if name == file and of_kind == kind and score is not None and kind not in ("clean", PAIRS, "two")]
    clean = scores.get((file, "clean", 1))
    if clean is not None and points:
        points.append((0, clean))
    if len({level for level, _ in points}) < 3:
        return None
    levels, values = zip(*points, strict=True)
    return 0.0 if len(set(values)) == 1 else float(spearmanr(levels, values).statistic)


def twice(mine: Sequence[Row]) -> dict[str, Any]:
    """What a second run changes: the largest differences, and the cells beyond the bounds."""
    again = [row for row in mine if row.get("twice")]
    if not again:
        return {}
    moved = [row for row in again if "error" in row["twice"] or abs(row["twice"]["length_ms"]) >= TWICE_MS
             or abs(row["twice"]["level_db"] or 0.0) >= TWICE_DB]
    length = max((abs(row["twice"].get("length_ms", 0.0)) for row in again), default=0.0)
    level = max((abs(row["twice"].get("level_db") or 0.0) for row in again), default=0.0)
    print(f"\nTwice through ours: {len(moved)} of {len(again)} changed by {TWICE_MS:.0f} ms or {TWICE_DB} dB or more; "
          f"the most: {length:.0f} ms, {level:.2f} dB")
    for row in moved:
        print(f"  {row['cell']}, {row['file']}: {row['twice']}")
    return {"files": len(again), "changed": len(moved), "most_ms": round(length, 1), "most_db": round(level, 3)}
