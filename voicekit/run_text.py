"""A report over past runs as people read it in a terminal of 100 columns; knows what to call things, nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from voicekit.run_records import STATUSES, Record

# --- words -------------------------------------------------------------------------------------------------


def seconds_text(seconds: float | None) -> str:
    """48.6 s, 3.40 s, 0.35 s, 12 ms, 1.7 \u00b5s."""
    if not seconds:
        return "-" if seconds is None else "0 s"
    if seconds >= 0.0995:
        return f"{seconds:.{0 if seconds >= 99.95 else 1 if seconds >= 9.995 else 2}f} s"
    value, name = (seconds * 1e3, "ms") if seconds >= 0.0995e-3 else (seconds * 1e6, "\u00b5s")
    return f"{value:.{0 if value >= 9.95 else 1 if value >= 0.95 else 2}f} {name}"


def memory_text(mb: float | None) -> str:
    """975 MB, 2.6 GB, from MB of 2**20 bytes."""
    if mb is None:
        return "-"
    return f"{mb / 1024:.1f} GB" if mb >= 1000 else f"{mb:.0f} MB" if mb >= 1 else f"{mb * 1024:.0f} KB"


def percent_text(share: float | None, sign: str = "") -> str:
    """A share, 0 to 1, in per cent; "-" where it is unknown."""
    if share is None:
        return "-"
    return f"{100 * share:{sign}.0f} %" if abs(share) >= 0.005 else "0 %"


def date_text(started: str | None) -> str:
    """The minute, as the record has it."""
    return (started or "unknown")[:16].replace("T", " ")


def key_text(key: Record) -> str:
    """What runs have in common, in one line."""
    named = (key.get(name) for name in ("mode", "model", "device", "precision"))
    words = [key["script"] or "unknown script", *filter(None, named)]
    if key["threads"] is not None:
        words.append(f"{key['threads']:g} thread{'' if key['threads'] == 1 else 's'}")
    return ", ".join([*words, *([f"machine {key['machine']}"] if key["machine"] else [])])


def growth_text(found: Record | None) -> str:
    """``codes^1.02 (0.97 to 1.08), declared O(n): agrees``."""
    if not found:
        return "-"
    if "exponent" not in found:
        return f"declared {found['declared']} of {found['size']}: {found['verdict']}"
    slower = found["exponent"] < found["declared_exponent"]
    verdict = found["verdict"]
    if verdict == "disagrees":
        verdict += f", it grows {'less' if slower else 'more'}"
    measured = f"{found['size']}^{found['exponent']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
    return f"{measured}, declared {found['declared']}: {verdict}"


def regression_name(found: Record) -> str:
    """Which stage got slower, or whose peak grew."""
    return str(found["stage"]) if found["kind"] == "seconds" else f"{found['kind']} peak"


def regression_text(found: Record) -> str:
    """From where it rose to where, how sure that is, and what changed with it."""
    show = seconds_text if found["kind"] == "seconds" else memory_text
    per = f" per {found['unit']}" if found["unit"] else ""
    sure = f"{found['runs']} runs against {found['earlier_runs']}, p = {found['p']:.1g}"
    changed = " and ".join(f"{name} {new} (before: {old})" for name, (old, new) in sorted(found["changed"].items()))
    return (f"{show(found['after'])}{per} where {show(found['before'])} was usual, {found['ratio']:.2f} times "
            f"({sure}), since {date_text(found['since'])}" + (f", with {changed}" if changed else ""))


# --- the report as text ------------------------------------------------------------------------------------

_WIDTH = 100
_TEXT_GROUPS, _TEXT_STAGES, _TEXT_ERRORS = 6, 14, 10


def as_text(found: Record) -> str:
    """The report for a terminal of 100 columns."""
    if not found["runs"]:
        return "No runs on record." if found["since"] is None and not found["script"] else "No such runs on record."
    parts = [_head(found)]
    parts += [_group_text(group) for group in found["groups"][:_TEXT_GROUPS]]
    if len(found["groups"]) > _TEXT_GROUPS:
        parts.append([f"{len(found['groups']) - _TEXT_GROUPS} smaller groups of runs are left out here."])
    parts.append(_listed("Errors", [_error_text(error) for error in found["errors"][:_TEXT_ERRORS]]))
    regressions = [(each["key"], f"{regression_name(each)}: {regression_text(each)}") for each in found["regressions"]]
    parts.append(_by_key("Regressions", regressions))
    parts.append(_listed("Killed and crashed", [_unfinished_text(each) for each in found["unfinished"]]))
    parts.append(_by_key("Growth", _growth_lines(found)))
    return "\n\n".join("\n".join(part) for part in parts if part)


def _head(found: Record) -> list[str]:
    lines = [f"{found['runs']} runs, {date_text(found['first'])} to {date_text(found['last'])}"]
    for script, counts in found["outcomes"].items():
        words = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
        lines += wrapped(f"{script}: {counts['runs']} ({words})")
    if found["disk"]:
        lines.append(f"log folder: {memory_text(found['disk']['bytes'] / 2**20)} in {found['disk']['files']} files")
    return lines


def _group_text(group: Record) -> list[str]:
    total, count = group["total_s"], group["runs"]
    high = f"p95 {seconds_text(total['p95'])}" if total["p95"] is not None else f"longest {seconds_text(total['max'])}"
    facts = [f"{count} run{'' if count == 1 else 's'}", f"median {seconds_text(total['median'])}", high]
    if group["rtf_median"] is not None:
        facts.append(f"real-time factor {group['rtf_median']:.2f}")
    facts.append(f"memory peak {memory_text(group['peak_mb']['max'])}")
    row = "  {:<16}{:>5}{:>10}{:>11}{:>7}{:>7}{:>9}{:>8}  {}".format
    lines = [*wrapped(key_text(group["key"])), "  " + ", ".join(facts)]
    many = total["p95"] is not None
    high = "p95" if many else "longest"
    lines.append(row("stage", "runs", "median", high, "share", "cpu", "peak", "trend", "per unit"))
    lines += [row(*_stage_cells(stage, many)).rstrip() for stage in group["stages"][:_TEXT_STAGES]]
    left_out = len(group["stages"]) - _TEXT_STAGES
    return [*lines, f"  {left_out} shorter stages are left out here."] if left_out > 0 else lines


def _stage_cells(stage: Record, many: bool) -> list[str]:
    high = seconds_text(stage["max_s"] if stage["p95_s"] is None else stage["p95_s"])
    if many and stage["p95_s"] is None:  # it was in fewer runs than the others
        high = f"max {high}"
    slope = stage["trend_percent_per_10_runs"]
    per = f"{seconds_text(stage['median_s_per_unit'])} per {stage['unit']}" if stage["unit"] else ""
    return [
        stage["name"][:16], str(stage["runs"]), seconds_text(stage["median_s"]), high, percent_text(stage["share"]),
        percent_text(stage["cpu_share"]), memory_text(stage["peak_mb"]["max"]),
        percent_text(None if slope is None else slope / 100, "+"), per[:27],
    ]  # fmt: skip


def _growth_lines(found: Record) -> list[tuple[Record, str]]:
    return [
        (group["key"], f"{stage['name']}: {growth_text(stage['growth'])}, {stage['growth']['runs']} runs")
        for group in found["groups"][:_TEXT_GROUPS] for stage in group["stages"]
        if stage["growth"] and "exponent" in stage["growth"]
    ]  # fmt: skip


def _error_text(error: Record) -> str:
    where = ", ".join(filter(None, (error["place"], error["stage"] and f"stage {error['stage']}")))
    times = "once" if error["count"] == 1 else f"{error['count']} times"
    return f"{error['type']}{f' ({where})' if where else ''}: {times}, latest {error['latest_run']}"


def _unfinished_text(run: Record) -> str:
    peak = f", memory peak {memory_text(run['peak_mb'])}" if run["peak_mb"] is not None else ""
    return f"{run['run_id']}: {run['script']} {run['status']} in {run['last_stage'] or 'an unknown stage'}{peak}"


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    return [title, *(line for sentence in sentences for line in wrapped(sentence, "  "))] if sentences else []


def _by_key(title: str, sentences: Sequence[tuple[Record, str]]) -> list[str]:
    """The sentences under the runs that they are about."""
    lines = [title] if sentences else []
    for key in dict.fromkeys(key_text(key) for key, _ in sentences):
        lines += wrapped(key, "  ")
        lines += [line for about, text in sentences if key_text(about) == key for line in wrapped(text, "    ")]
    return lines


def wrapped(text: str, indent: str = "") -> list[str]:
    """Lines of a terminal's width, those after the first set in."""
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
