"""The report over past runs as one HTML page that loads nothing and runs no script.

Knows what ``run_report`` found and draws it with ``run_plots``; measures nothing. All text that comes out of a record
is escaped where it is put in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voicekit.report_page import escaped, page
from voicekit.run_plots import COLOURS, PLOT_STYLE, Part, Point, key, scatter, stacked, thinned, timeline
from voicekit.run_records import STATUSES, Key, Record, Run, by_work, chosen, law_of, size_in
from voicekit.run_report import groups_of
from voicekit.run_statistics import LATEST, median
from voicekit.run_text import (
    date_text,
    key_text,
    memory_text,
    percent_text,
    regression_name,
    regression_text,
    seconds_text,
)

DRAWN_GROUPS, DRAWN_RUNS, DRAWN_BARS, DRAWN_LAWS, LISTED_GROUPS, LISTED_ERRORS = 6, 150, 24, 6, 20, 20
WINDOW = 9  # runs that a running median is of, more where there are hundreds
MARK_WORDS = {"ok": "ended well", "error": "error", "interrupted": "interrupted", "killed": "killed",
              "crashed": "crashed", "unknown": "outcome unknown"}


def as_page(found: Record, runs: Iterable[Record]) -> str:
    """What ``report`` found over these runs, as HTML; `runs`: the records that the report was made from."""
    kept = chosen(found, runs)
    if not kept:
        body = _card("", '<p class="verdict">No runs</p><p>There are no runs on record to report on.</p>')
    else:
        body = _overview(found, kept) + _regressions(found) + _outcomes(found) + _errors(found) + _unfinished(found)
        body += _groups(found, kept)
    return page("Past runs", f"<main><h1>Past runs</h1>{body}</main>{_FOOTER}", more_style=PLOT_STYLE + _OWN_STYLE)


# --- the page's head ---------------------------------------------------------------------------------------


def _overview(found: Record, runs: Sequence[Run]) -> str:
    """The verdict, and the numbers that most people came for."""
    good, word, why = _verdict(found)
    ended = sum(run.status == "ok" for run in runs)
    share = percent_text(math.floor(100 * ended / len(runs)) / 100)  # 100 % only if all did
    facts = [("Runs", f"{len(runs):,}", f"since {date_text(found['first'])[:10]}"),
             ("Ended well", share, f"{ended:,} of {len(runs):,}")]
    if found["groups"]:
        largest = found["groups"][0]
        facts.append(("Median time", seconds_text(largest["total_s"]["median"]),
                      f"{_runs_text(largest['runs'])} of {_title_of(largest['key'])}"))
        facts.append(("Memory peak", memory_text(largest["peak_mb"]["max"]), "the highest of these"))
    if found.get("disk"):
        facts.append(("Log folder", memory_text(found["disk"]["bytes"] / 2**20), f"{found['disk']['files']} files"))
    drawn = "".join(f"<div><dt>{escaped(name)}</dt><dd><b>{escaped(value)}</b><span>{escaped(note)}</span></dd></div>"
                    for name, value, note in facts)
    return _card("", f'<div><p class="verdict {good}">{word}</p><p>{why}</p></div><dl class="facts">{drawn}</dl>')


def _verdict(found: Record) -> tuple[str, str, str]:
    slower = found["regressions"]
    if slower:
        count = f"{len(slower)} regression{'' if len(slower) == 1 else 's'}"
        return "bad", count, "Something takes longer, or more memory, than it did for the same work."
    if not any(group["runs"] >= 2 * LATEST for group in found["groups"]):
        return "muted", "Too early to tell", f"It takes {2 * LATEST} comparable runs to tell whether one got slower."
    return "good", "No regression", "For the same work, nothing was found to take longer, or more memory, than it did."


def _regressions(found: Record) -> str:
    items = ""
    for each in found["regressions"]:
        items += (f'<li class="bad"><div class="head"><h3>{escaped(regression_name(each))}</h3>'
                  f'<span class="tag bad">{each["ratio"]:.2f} times</span></div>'
                  f'<p>{escaped(regression_text(each))}.</p>'
                  f'<p class="small muted">{escaped(key_text(each["key"]))}</p></li>')
    return _card("What got worse", f'<ul class="issues">{items}</ul>') if items else ""


def _outcomes(found: Record) -> str:
    """Each script's runs as a bar, and in numbers."""
    there = [status for status in STATUSES if any(counts[status] for counts in found["outcomes"].values())]
    head = ["Script", "Runs", *(MARK_WORDS[status].capitalize() for status in there)]
    rows = [[script, counts["runs"], *(counts[status] for status in there), _outcome_bar(counts)]
            for script, counts in found["outcomes"].items()]
    return _card("Outcomes", _table("Runs of each script by outcome", [*head, ""], rows, "outcomes"))


def _outcome_bar(counts: Mapping[str, int]) -> _Html:
    at, drawn = 0.0, ""
    for status in STATUSES:
        width = 100 * counts[status] / counts["runs"]
        colour = {"ok": "value", "interrupted": "weak", "unknown": "was"}.get(status, "wrong")
        drawn += f'<rect class="{colour}" x="{at:.2f}" width="{width:.2f}" height="14"/>' if width else ""
        at += width
    return _bar(drawn)


def _errors(found: Record) -> str:
    errors = found["errors"][:LISTED_ERRORS]
    if not errors:
        return ""
    most, rows = errors[0]["count"], []
    for error in errors:
        where = ", ".join(filter(None, (error["place"], error["stage"] and f"stage {error['stage']}")))
        bar = _bar(f'<rect class="wrong" width="{100 * error["count"] / most:.1f}" height="14"/>')
        rows.append([error["type"], where or "unknown", error["count"], bar, error["latest_run"]])
    head = ["Error", "Where", "Times", "", "Latest run"]
    left_out = len(found["errors"]) - len(errors)
    note = f'<p class="small muted">{left_out} rarer kinds of errors are left out.</p>' if left_out else ""
    return _card("Errors by type and place", _table("Errors by type and place", head, rows, "errors") + note)


def _unfinished(found: Record) -> str:
    rows = [[run["run_id"], run["script"], run["status"], run["last_stage"] or "unknown", memory_text(run["peak_mb"])]
            for run in found["unfinished"]]
    head = ["Run", "Script", "Outcome", "Last stage", "Memory peak"]
    table = _table("Runs that never came to their end", head, rows, "killed")
    return _card("Killed and crashed", table) if rows else ""


# --- groups of comparable runs -----------------------------------------------------------------------------


def _groups(found: Record, runs: Sequence[Run]) -> str:
    members, colours = groups_of(runs), _colours(found)
    drawn = [_group(group, members.get(Key(**group["key"]), []), runs, found["regressions"], colours)
             for group in found["groups"][:DRAWN_GROUPS]]
    others = found["groups"][DRAWN_GROUPS:]
    rows = [[key_text(group["key"]), group["runs"], seconds_text(group["total_s"]["median"]),
             memory_text(group["peak_mb"]["max"])] for group in others[:LISTED_GROUPS]]
    more = len(others) - LISTED_GROUPS
    note = f'<p class="small muted">{more} more are left out.</p>' if more > 0 else ""
    head = ["Runs with", "Runs", "Median time", "Memory peak"]
    listed = _card("Smaller groups", _table("Smaller groups of comparable runs", head, rows) + note) if rows else ""
    return "".join(drawn) + listed


def _colours(found: Record) -> dict[str, int]:
    """One colour for a stage throughout the page, given to those that took most; the others share the last one."""
    seconds: dict[str, float] = {}
    for group in found["groups"][:DRAWN_GROUPS]:
        for stage in group["stages"]:
            seconds[stage["name"]] = seconds.get(stage["name"], 0.0) + stage["median_s"] * stage["runs"]
    ordered = sorted(seconds, key=lambda name: -seconds[name])
    return {name: min(number, COLOURS - 1) for number, name in enumerate(ordered)}


def _group(
    group: Record, members: Sequence[Run], runs: Sequence[Run], worse: Sequence[Record], colours: Mapping[str, int]
) -> str:
    about = group["key"]
    facts = [_runs_text(group["runs"]), f"{date_text(group['first'])} to {date_text(group['last'])}"]
    if group["rtf_median"] is not None:
        facts.append(f"real-time factor {group['rtf_median']:.2f}")
    title = f'<h2>{escaped(_title_of(about))}</h2><p class="small muted">{escaped(", ".join(facts))}</p>' \
            f'<p class="small muted">{escaped(key_text(about))}</p>'
    starts = {each["since_run"] for each in worse if each["key"] == about}
    plots = [_totals_plot(about, runs), _speed_plot(members, starts), _stages_plot(members, colours),
             _memory_plot(members)]
    laws = [_growth_plot(stage, members) for stage in group["stages"]
            if stage["growth"] and "exponent" in stage["growth"]][:DRAWN_LAWS]
    content = f'<div class="plots">{"".join(plots)}</div>'
    content += f'<h3>Stages</h3>{_stages_table(group)}'
    if laws:
        content += f'<h3>Growth with size</h3><div class="plots">{"".join(laws)}</div>'
    return f'<section class="card group"><div>{title}</div>{content}{_unmeasured(group)}</section>'


def _runs_text(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def _title_of(about: Record) -> str:
    model = f", {about['model']}" if about["model"] else ""
    return f"{about['script'] or 'unknown script'}{model}{' on ' + about['device'] if about['device'] else ''}"


def _stages_table(group: Record) -> str:
    many = group["total_s"]["p95"] is not None
    head = ["Stage", "Runs", "Median", "p95" if many else "Longest", "Share", "Cores", "Memory peak",
            "Trend / 10 runs", "Per unit"]
    rows = []
    for stage in group["stages"]:
        high = stage["max_s"] if stage["p95_s"] is None else stage["p95_s"]
        slope, cores = stage["trend_percent_per_10_runs"], stage["cpu_share"]
        per = f"{seconds_text(stage['median_s_per_unit'])} per {stage['unit']}" if stage["unit"] else "-"
        rows.append([
            stage["name"], stage["runs"], seconds_text(stage["median_s"]),
            seconds_text(high) + (" (max)" if many and stage["p95_s"] is None else ""), percent_text(stage["share"]),
            "-" if cores is None else f"{cores:.1f}", memory_text(stage["peak_mb"]["max"]),
            percent_text(None if slope is None else slope / 100, "+"), per,
        ])  # fmt: skip
    return _table("Seconds, memory and trend of each stage", head, rows, "stages")


def _unmeasured(group: Record) -> str:
    """The declared laws that these runs cannot check."""
    names = [f"{stage['name']} ({stage['growth']['declared']} of {stage['growth']['size']})" for stage in
             group["stages"] if stage["growth"] and "exponent" not in stage["growth"]]
    if not names:
        return ""
    return (f'<p class="small muted">Declared, but not to be measured before eight runs with sizes from one to four: '
            f"{escaped(', '.join(names))}.</p>")


# --- the plots of a group ----------------------------------------------------------------------------------


def _totals_plot(about: Record, runs: Sequence[Run]) -> str:
    """Total seconds in the order of the runs; with those that failed and may have been of this group."""
    there = [run for run in runs if _may_be(run, about) or (run.key == Key(**about) and run.total_s is not None)]
    at = {id(run): float(number) for number, run in enumerate(there)}
    good = [run for run in there if run.status == "ok"]
    bad = [run for run in there if run.status != "ok"]
    drawn = thinned(good, DRAWN_RUNS) + thinned(bad, DRAWN_RUNS // 2)
    points = [Point(at[id(run)], run.total_s, _run_title(run, seconds_text(run.total_s)), run.status) for run in drawn]
    line = _running_median([(at[id(run)], run.total_s or 0.0) for run in good])
    marks = dict.fromkeys(sorted((run.status for run in there), key=STATUSES.index))
    entries = [*((mark, MARK_WORDS[mark]) for mark in marks), *_median_key(line, len(good))]
    middle = seconds_text(median([run.total_s or 0.0 for run in good])) if good else "unknown"
    label = f"Total seconds of {len(there)} runs, {len(bad)} of which did not end well; median {middle}."
    drawing = timeline(points, line, "seconds", _ends(there), label)
    return _figure("Total time of each run", drawing, key(entries), _thinned_note(len(drawn), len(there)))


def _may_be(run: Run, about: Record) -> bool:
    """A run that failed, and that nothing it knew of itself sets apart from the group."""
    return run.status != "ok" and all(value in (None, about[name]) for name, value in run.key._asdict().items())


def _window(count: int) -> int:
    """How many values a running median is of: an odd number."""
    return max(WINDOW, count // 50 * 2 + 1)


def _running_median(values: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The median of the values around some of them, evenly spread; nothing where they are fewer than it is of."""
    window = _window(len(values))
    if len(values) < window:
        return []
    around = window // 2
    return [(values[number][0], median([y for _, y in values[max(0, number - around) : number + around + 1]]))
            for number in thinned(range(len(values)), DRAWN_RUNS)]


def _median_key(line: Sequence[tuple[float, float]], count: int) -> list[tuple[str, str]]:
    return [("line", f"median of {_window(count)} runs")] if line else []


def _speed_plot(members: Sequence[Run], starts: set[str]) -> str:
    """Total time over what is usual for as much work: here a change shows that long and short texts hide above."""
    series = by_work(members, lambda run: run.total_s)
    if len(series.values) < 2 * LATEST:
        return ""
    values = [(float(number), value) for number, value in enumerate(series.adjusted)]
    drawn = thinned(list(zip(values, series.runs, strict=True)), DRAWN_RUNS)
    points = [Point(x, y, _run_title(run, f"{y:.2f} times the usual")) for (x, y), run in drawn]
    line = _running_median(values)
    events = [float(number) for number, run in enumerate(series.runs) if run.run_id in starts]
    entries = [*_median_key(line, len(values)), *([("event", "got worse here")] if events else [])]
    label = (f"Total time of {len(values)} runs over what is usual for as much work; median of the latest {LATEST}: "
             f"{median([value for _, value in values[-LATEST:]]):.2f}.")
    drawing = timeline(points, line, "times the usual", _ends(series.runs), label, events)
    return _figure("Time for the same work", drawing, key(entries), _thinned_note(len(drawn), len(values)))


def _stages_plot(members: Sequence[Run], colours: Mapping[str, int]) -> str:
    latest = [run for run in members if run.stages][-DRAWN_BARS:]
    names = sorted({name for run in latest for name in run.stages}, key=lambda name: (colours[name], name))
    bars = [[Part(colours[name], run.stages[name].seconds,
                  _run_title(run, f"{name} {seconds_text(run.stages[name].seconds)}"))
             for name in names if name in run.stages] for run in latest]
    entries = [(f"c{colours[name]}", name) for name in names if colours[name] < COLOURS - 1]
    rest = [name for name in names if colours[name] == COLOURS - 1]
    entries += [(f"c{COLOURS - 1}", rest[0] if len(rest) == 1 else f"{len(rest)} others")] if rest else []
    label = f"Seconds of each stage in the latest {len(latest)} runs; the table has the medians."
    title = "Stages of the latest runs" if len(latest) > 1 else "Stages of the run"
    return _figure(title, stacked(bars, "seconds", _ends(latest), label), key(entries)) if latest else ""


def _memory_plot(members: Sequence[Run]) -> str:
    there = [(float(number), run) for number, run in enumerate(members) if run.peak_mb is not None]
    if not there:
        return ""
    peaks = [run.peak_mb or 0.0 for _, run in there]
    one, unit = (1024.0, "GB") if max(peaks) >= 1000 else (1.0, "MB")
    drawn = thinned(there, DRAWN_RUNS)
    points = [Point(x, (run.peak_mb or 0.0) / one, _run_title(run, memory_text(run.peak_mb))) for x, run in drawn]
    label = (f"Peak of the resident memory of {len(there)} runs, from {memory_text(min(peaks))} to "
             f"{memory_text(max(peaks))}.")
    drawing = timeline(points, [], unit, _ends([run for _, run in there]), label)
    return _figure("Memory peak of each run", drawing, "", _thinned_note(len(drawn), len(there)))


def _growth_plot(stage: Record, members: Sequence[Run]) -> str:
    """Seconds over the declared size with two lines: what was measured, and the declared law through their middle."""
    name, found = stage["name"], stage["growth"]
    law = law_of(members, name)
    if law is None:
        return ""
    sized = [(run, size_in(run, name, law._replace(power=1.0))) for run in members if name in run.stages]
    there = [(run, size) for run, size in sized if size and run.stages[name].seconds > 0]
    if not there:
        return ""
    drawn = thinned(there, DRAWN_RUNS)
    points = [Point(size, run.stages[name].seconds, _run_title(run, f"{seconds_text(run.stages[name].seconds)} for "
                    f"{size:g} {found['size']}")) for run, size in drawn]
    middle, factor = math.log10(median([size for _, size in there])), math.log10(found["factor"] or 1e-300)
    declared = factor + (found["exponent"] - found["declared_exponent"]) * middle
    lines = [("law", declared, found["declared_exponent"]), ("line", factor, found["exponent"])]
    measured = f"{found['exponent']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
    label = f"{name}: seconds over {found['size']}, both logarithmic, {len(there)} runs; exponent {measured}, " \
            f"declared {found['declared']}: {found['verdict']}."
    entries = [("line", f"measured: power {measured}"), ("law", f"declared: {found['declared']}")]
    colour = "good" if found["verdict"] == "agrees" else "weak"
    tag = f'<span class="tag {colour}">{escaped(found["verdict"])}</span>'
    drawing = scatter(points, lines, (found["size"], "seconds"), label)
    return _figure(name, drawing, key(entries), _thinned_note(len(drawn), len(there)), tag)


def _ends(runs: Sequence[Run]) -> tuple[str, str]:
    return (date_text(runs[0].started)[:10], date_text(runs[-1].started)[:10]) if runs else ("", "")


def _run_title(run: Run, what: str) -> str:
    return f"{what}, {date_text(run.started)}, {run.run_id}" + (f", {run.status}" if run.status != "ok" else "")


def _thinned_note(drawn: int, there: int) -> str:
    return f"{drawn} of {there:,} runs are drawn, evenly spread." if drawn < there else ""


def _figure(title: str, drawing: str, entries: str, note: str = "", tag: str = "") -> str:
    said = f'<p class="small muted">{escaped(note)}</p>' if note else ""
    caption = f"<figcaption>{escaped(title)} {tag}</figcaption>"
    return f'<figure class="plot">{caption}{drawing}{entries}{said}</figure>'


# --- pieces ------------------------------------------------------------------------------------------------


class _Html(str):
    """Text that is HTML already."""


def _bar(content: str) -> _Html:
    return _Html('<svg class="bar" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
                 f'<rect class="track" width="100" height="14"/>{content}</svg>')


def _card(title: str, content: str) -> str:
    head = f"<h2>{escaped(title)}</h2>" if title else ""
    return f'<section class="card">{head}{content}</section>'


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Any]], kind: str = "") -> str:
    """A table that a narrow screen shows as one block for each row; the roles keep it a table there."""
    columns = "".join(f'<th scope="col" role="columnheader">{escaped(name)}</th>' for name in head)
    lines = ""
    for first, *others in rows:
        cells = "".join(f'<td role="cell" data-label="{escaped(name)}">{_cell(value)}</td>'
                        for name, value in zip(head[1:], others, strict=True))
        lines += f'<tr role="row"><th scope="row" role="rowheader">{escaped(str(first))}</th>{cells}</tr>'
    return (
        f'<table class="rows {kind}" role="table"><caption class="vh">{escaped(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{columns}</tr></thead><tbody role="rowgroup">{lines}</tbody></table>'
    )


def _cell(value: object) -> str:
    """Nothing known is a dash."""
    if isinstance(value, _Html):
        return value
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return "\u2013" if text in ("-", "0") else escaped(text)


_OWN_STYLE = """
.card > h2 + *, .card > h3 + * { margin-top: 12px; }
.card > h3 { margin-top: 28px; margin-bottom: 0; font-size: 1rem; }
.card > .verdict { margin: 0; }
.verdict + p { color: var(--muted); }
.group > :first-child p { margin-top: 2px; }
.facts { display: grid; grid-template-columns: 1fr 1fr; gap: 16px 20px; margin: 20px 0 0; padding-top: 20px;
  border-top: 1px solid var(--line); }
.facts > div { min-width: 0; }
.facts dt { font-size: .8125rem; font-weight: 600; color: var(--muted); }
.facts dd { margin: 0; }
.facts b { display: block; font-size: 1.375rem; font-weight: 700; line-height: 1.25; }
.facts span { display: block; font-size: .8125rem; color: var(--muted); overflow-wrap: anywhere; }
.issues h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.plots { display: grid; gap: 28px; }
.plot figcaption { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: center; overflow-wrap: anywhere; }
.plot .key { margin-top: 8px; }
.rows th, .rows td { overflow-wrap: normal; }
.rows tbody th, .errors td, .killed td, .stages td:last-child { overflow-wrap: anywhere; }
.bar .wrong { fill: var(--bad); }
@media (max-width: 719px) {
  .rows, .rows tbody { display: block; }
  .rows thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .rows tbody tr { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 6px 12px; padding: 12px 0;
    border-top: 1px solid var(--line); }
  .rows tbody tr:first-child { border-top: 0; padding-top: 0; }
  .rows tbody th { grid-column: 1 / -1; padding: 0; border: 0; font-weight: 650; }
  .rows td { text-align: left; padding: 0; border: 0; }
  .rows td::before { content: attr(data-label); display: block; font-size: .8125rem; color: var(--muted); }
  .outcomes td:last-child, .errors td:nth-child(2), .errors td:nth-child(5) { grid-column: 1 / -1; }
  .errors td:nth-child(4) { grid-column: span 2; align-self: end; padding-bottom: 4px; }
  .killed td:nth-child(2), .stages td:last-child { grid-column: span 2; }
  .rows td[data-label=""]::before { content: none; }
}
@media (min-width: 720px) {
  .rows tbody th { min-width: 11ch; }
  .facts { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
  .plots { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 32px 28px; }
  .rows th, .rows td { padding-left: 8px; padding-right: 8px; }
  .errors th:nth-child(2), .errors td:nth-child(2), .killed th:not(:last-child), .killed td:not(:last-child) {
    text-align: left; }
  .rows td { white-space: nowrap; }
  .errors td:nth-child(2), .killed td, .stages td:last-child { white-space: normal; }
  .errors td:nth-child(4), .outcomes td:last-child { width: 22%; padding-top: 12px; }
}
@media print { .plot { break-inside: avoid; } .group { break-inside: auto; } }
"""

_FOOTER = """<footer><p>A median is the middle value: half of the runs took longer. 95 % of the runs took no longer than
the p95. Cores are seconds of the processor over seconds. Only runs with the same script, model, device, precision,
machine and number of threads are compared, and a stage by the size that it is declared to grow with. A regression: the
latest five runs or more took over 1.25 times as long as up to thirty before them, p below 0.01 (Mann-Whitney, for all
places tested) and below 0.05 for the whole report (Holm), at no higher load. Growth: the Theil-Sen slope of log seconds
over log size, with its 95 % interval. Memory is the resident memory of the process.</p></footer>"""
