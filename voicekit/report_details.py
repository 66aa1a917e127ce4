"""The lower part of a sample's report: problems, steps, what was kept, all measurements, and the score's parts.

Small functions that give HTML back; text from outside is escaped where it is put in. Judges and measures nothing.
"""

from __future__ import annotations

from voicekit.assessment import Issue
from voicekit.edits import Kept, total_s
from voicekit.improvement import Analysis, Improvement, Step
from voicekit.metric_words import (
    DASH,
    GROUPS,
    SEVERITY_WORDS,
    MetricWords,
    change_text,
    direction,
    issue_metric,
    issue_title,
    mark,
    metric_text,
    number,
    part_title,
    step_title,
    with_unit,
)
from voicekit.report_page import escaped, hidden
from voicekit.report_sample import SEVERITY_MARKS, Sample, card, clock, from_to, table

SIGNS = {"good": "\u2713", "ok": "~", "weak": "!", "bad": "\u2715"}
ARROWS = {"better": ("good", "\u2197"), "worse": ("bad", "\u2198")}


def lower_part(sample: Sample) -> str:
    """All that the verdict rests on."""
    parts = [card("Problems, and what to do", _issues(sample))]
    if sample.improvement is not None:
        parts.append(card("What was done", _steps(sample.improvement.steps), "table-card"))
        parts.append(card("What was kept", _edit_strip(sample.improvement)))
    parts.append(card("Measurements", _metrics(sample), "table-card"))
    parts.append(card("How the score comes about", _score(sample), "table-card"))
    return "".join(parts)


# --- problems, steps, edits ----------------------------------------------------------------------


def _issues(sample: Sample) -> str:
    """The issues that there are now, then those that were mended."""
    final, was = sample.final, sample.before.analysis
    codes = {issue.code for issue in final.assessment.issues}
    now = [_issue(issue, final, was if sample.after else None) for issue in final.assessment.issues]
    gone = [_gone(issue, was, final) for issue in was.assessment.issues if issue.code not in codes]
    if not now and not gone:
        return "<p>None were found.</p>"
    return f'<ul class="issues">{"".join(now + gone)}</ul>'


def _issue(issue: Issue, analysis: Analysis, was: Analysis | None) -> str:
    """An issue that there is; `was`: the analysis before the improvement, if there was one."""
    words, bound = _words_and_bound(issue, analysis)
    value, mender = with_unit(words, issue.value), "This tool can mend it"
    if was is not None and hasattr(was.metrics, words.name):
        value = from_to(words, was, analysis)
        earlier = getattr(was.metrics, words.name)
        nearer = earlier is not None and abs(issue.value - issue.threshold) < abs(abs(earlier) - issue.threshold)
        mender = "Mended in part" if nearer else "Could not be mended"
    return _issue_item(
        SEVERITY_MARKS[issue.severity], issue,
        (SEVERITY_WORDS[issue.severity], mender if issue.mendable else "Needs a new recording"),
        f'<p>{escaped(issue.message)}</p><p class="fix">{escaped(issue.fix)}</p>'
        f'<p class="small muted">{words.label}: {value}; wanted: {bound}</p>',
    )


def _gone(issue: Issue, was: Analysis, now: Analysis) -> str:
    words, bound = _words_and_bound(issue, was)
    values = from_to(words, was, now) if hasattr(now.metrics, words.name) else with_unit(words, issue.value)
    return _issue_item(
        "good", issue, (issue.gone,),
        f'<p>Before: {escaped(issue.message)}</p><p class="small muted">{words.label}: {values}; wanted: {bound}</p>',
    )


def _issue_item(colour: str, issue: Issue, tags: tuple[str, ...], text: str) -> str:
    """A problem's heading with its tags (the first one in its colour), and what is to be said of it."""
    first, *others = tags
    drawn = f'<span class="tag {colour}">{first}</span>'
    drawn += "".join(f'<span class="tag muted">{tag}</span>' for tag in others)
    return f'<li class="{colour}"><div class="head"><h4>{escaped(issue_title(issue.code))}</h4>{drawn}</div>{text}</li>'


def _words_and_bound(issue: Issue, analysis: Analysis) -> tuple[MetricWords, str]:
    """How the issue's metric is told, and the bound that it crossed."""
    words = issue_metric(issue, analysis.metrics) or MetricWords(issue.code, "Measured", "", decimals=2)
    side = "at least" if issue.value < issue.threshold else "at most"
    return words, f"{side} {with_unit(words, issue.threshold)}"


def _steps(steps: tuple[Step, ...]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escaped(step_title(step.name))}<span class="muted">{escaped(step.reason)}</span></th>'
        f'<td>{_done(step.applied)}</td><td class="n">{_seconds(step)}</td></tr>'
        for step in steps
    )
    head = '<tr><th scope="col">Step, and why</th><th scope="col">Applied</th><th scope="col">Took</th></tr>'
    return table("The steps of the improvement, in order", head, f"<tbody>{rows}</tbody>")


def _done(applied: bool) -> str:
    return '<b class="good">yes</b>' if applied else '<span class="muted">no</span>'


def _seconds(step: Step) -> str:
    return f"{number(step.seconds, 2)}\u00a0s" if step.applied or step.seconds >= 0.005 else DASH


def _edit_strip(improvement: Improvement) -> str:
    """The recording above, the result below, and ways from each kept piece to its new place."""
    pieces = improvement.edits
    if not pieces:
        return ""
    start = min([improvement.before.examined[0], *(piece.start_s for piece in pieces)])
    end = max([improvement.before.examined[1], *(piece.end_s for piece in pieces)])
    drawing = (
        '<svg class="strip" viewBox="0 0 1000 76" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="gone" width="1000" height="16"/>{_ways(pieces, start, end)}</svg>'
    )
    ends = f"<p class=\"ends\"><span>{clock(start)}</span><span>{{}}</span><span>{clock(end)}</span></p>"
    kept, length = total_s(pieces), end - start
    return (
        f"<p>{_edit_words(pieces, kept, length)}</p>{ends.format('the recording')}{drawing}"
        f'<p class="ends"><span>the result, {number(kept, 1)} s</span></p>{_edit_table(pieces)}'
    )


def _ways(pieces: tuple[Kept, ...], start: float, end: float) -> str:
    scale, at, drawn = 1000 / max(end - start, 1e-6), 0.0, []
    for piece in pieces:
        a, b, width = ((piece.start_s - start) * scale, (piece.end_s - start) * scale,
                       (piece.end_s - piece.start_s) * scale)
        drawn.append(
            f'<rect class="kept" x="{a:.1f}" width="{width:.1f}" height="16"/>'
            f'<path class="way" d="M{a:.1f} 16 L{b:.1f} 16 L{at + width:.1f} 60 L{at:.1f} 60 Z"/>'
            f'<rect class="kept" x="{at:.1f}" y="60" width="{max(width - 2, 1):.1f}" height="16"/>'
        )
        at += width
    return "".join(drawn)


def _edit_words(pieces: tuple[Kept, ...], kept: float, length: float) -> str:
    if length - kept < 0.05 and len(pieces) == 1:
        return "Everything was kept; nothing was cut."
    count = "one piece" if len(pieces) == 1 else f"{len(pieces)} pieces"
    starts = [piece.start_s for piece in pieces]
    order = " The best stretch was put first, where XTTS listens." if starts != sorted(starts) else ""
    cut = f"; {number(length - kept, 1)} s were cut" if length - kept >= 0.05 else ""
    return f"{number(kept, 1)} s of {number(length, 1)} s were kept, in {count}{cut}.{order}"


def _edit_table(pieces: tuple[Kept, ...]) -> str:
    rows, at = "", 0.0
    for count, piece in enumerate(pieces, start=1):
        length = piece.end_s - piece.start_s
        spans = ((piece.start_s, piece.end_s), (at, at + length))
        cells = "".join(f'<td class="n">{number(a, 2)} to {number(b, 2)}\u00a0s</td>' for a, b in spans)
        rows, at = f'{rows}<tr><th scope="row">{count}</th>{cells}</tr>', at + length
    head = '<tr><th scope="col">Piece</th><th scope="col">In the recording</th><th scope="col">In the result</th></tr>'
    drawn = table("The kept pieces", head, f"<tbody>{rows}</tbody>")
    return f"<details><summary>The pieces as a table</summary>{drawn}</details>"


# --- measurements and score ----------------------------------------------------------------------


def _metrics(sample: Sample) -> str:
    headings = "".join(f'<th scope="col">{heading}</th>' for heading, _ in sample.sides)
    head = f'<tr><th scope="col">Measure</th>{headings}</tr>'
    span = len(sample.sides) + 1
    bodies = "".join(
        f'<tbody><tr class="group"><th class="group" colspan="{span}" scope="rowgroup">{title}</th></tr>'
        f'{"".join(_metric_row(words, sample) for words in group)}</tbody>'
        for title, group in GROUPS
    )
    key = "\u2713 as it should be; ~ good enough; ! weak; \u2715 bad; no sign: nothing to judge; a dash: not known."
    kind = "metrics" if sample.after else "metrics one"
    return table("All measurements", head, bodies, kind) + f'<p class="small muted">{key}</p>'


def _metric_row(words: MetricWords, sample: Sample) -> str:
    analyses = [side.analysis for _, side in sample.sides]
    values = [getattr(analysis.metrics, words.name) for analysis in analyses]
    marks = [mark(words, analysis.metrics, analysis.assessment) for analysis in analyses]
    change = _change(words, (values[0], values[-1]), (marks[0], marks[-1])) if sample.after else ""
    ends = [""] * (len(values) - 1) + [change]
    cells = "".join(
        f'<td class="n">{metric_text(words, value)}{_sign(said)}{end}</td>'
        for value, said, end in zip(values, marks, ends, strict=True)
    )
    unit = f'\u00a0<span class="unit">{words.unit}</span>' if words.unit else ""
    explanation = f'<span class="muted">{words.explanation}</span>' if words.explanation else ""
    return f'<tr data-metric="{words.name}"><th scope="row">{words.label}{unit}{explanation}</th>{cells}</tr>'


def _sign(said: str | None) -> str:
    return f' <b class="{said}" aria-hidden="true">{SIGNS[said]}</b>{hidden(said)}' if said else ""


def _change(
    words: MetricWords, values: tuple[float | None, float | None], marks: tuple[str | None, str | None]
) -> str:
    """The difference, with an arrow and a word where one direction is the better one."""
    difference, said = change_text(words, *values), direction(words, *values, marks)
    if not difference:
        return ""
    if said not in ARROWS:
        return f' <span class="change muted">{"about the same" if said else difference}</span>'
    colour, arrow = ARROWS[said]
    return f' <span class="change {colour}"><span aria-hidden="true">{arrow}</span> {difference} {said}</span>'


def _score(sample: Sample) -> str:
    final, was = sample.final.assessment, sample.before.analysis.assessment
    earlier = was.parts if sample.after else {}
    rows = "".join(
        f'<tr><th scope="row">{escaped(part_title(part))}</th>'
        f'<td class="graph">{_bar(final.parts.get(part), earlier.get(part))}</td>'
        + (f"<td>{_quality(earlier.get(part))}</td>" if sample.after else "")
        + f"<td>{_quality(final.parts.get(part))}</td></tr>"
        for part in {**earlier, **final.parts}
    )
    columns = "".join(f'<th scope="col">{heading}</th>' for heading, _ in sample.sides)
    head = f'<tr><th scope="col">Part</th><th scope="col">{hidden("Bar")}</th>{columns}</tr>'
    thin = "; the thin bar is what there was before" if sample.after else ""
    words = (
        f"Each part says how much of what XTTS can use is there: 100 is all of it{thin}. The score is their product, "
        "so one weak part pulls it down. Score derived from published thresholds and from how XTTS listens; not "
        "calibrated against listeners."
    )
    drawn = table("The parts of the score", head, f"<tbody>{rows}</tbody>", "parts")
    return f'{drawn}<p class="small muted">{words}</p>'


def _quality(quality: float | None) -> str:
    return DASH if quality is None else f"{100 * quality:.0f}"


def _bar(quality: float | None, was: float | None) -> str:
    """How much of the part there is; over it, thin, how much there was."""
    quality = quality or 0.0
    colour = "value" if quality >= 0.7 else "value weak"
    earlier = "" if was is None else f'<rect class="was" y="1" width="{1000 * was:.0f}" height="3"/>'
    return (
        '<svg class="bar" viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true">'
        f'{earlier}<rect class="track" y="5" width="1000" height="8"/>'
        f'<rect class="{colour}" y="5" width="{1000 * quality:.0f}" height="8"/></svg>'
    )
