"""The upper part of a sample's report: its verdict, what matters most, what is to be heard and to be seen.

Small functions that give HTML back; text from outside is escaped where it is put in. Draws and encodes nothing.
"""

from __future__ import annotations

import json
from math import cos, pi, sin

from voicekit.improvement import Analysis
from voicekit.metric_words import WORDS, issue_metric, issue_title, mark, number, part_title, with_unit
from voicekit.report_page import escaped, file_name, name_html
from voicekit.report_sample import SEVERITY_MARKS, VERDICTS, Sample, Side, card, clock, from_to

STRENGTHS = ("noise", "length", "room", "bandwidth", "clipping", "level")  # the most telling parts of the score first

Row = tuple[str, str, str, str]  # colour, tag, title, text; the last two are HTML


def upper_part(sample: Sample) -> str:
    """The verdict first, then what it comes from, for ears and eyes."""
    matters = card("What matters most", _matters(sample))
    return f'<div class="top">{_hero(sample)}{matters}</div>{_listen(sample)}{_see(sample)}'


# --- the verdict ---------------------------------------------------------------------------------


def _hero(sample: Sample) -> str:
    final, was = sample.final.assessment, sample.before.analysis.assessment
    colour, meaning = VERDICTS[final.verdict]
    history = ""
    if sample.improvement is not None:
        history = (
            f'<p class="from">Before: {was.verdict}, {was.score:.0f} of 100</p>'
            f'<p class="from">Improved sample: {name_html(file_name(sample.improvement.output))}</p>'
        )
    history += _examined_words(sample.before.analysis)
    return (
        f'<header class="card hero"><h2>{name_html(sample.name)}</h2>'
        f'<div class="{colour}">{_gauge(final.score, was.score if sample.after else None)}</div>'
        f'<div><p class="verdict {colour}">{final.verdict.capitalize()}</p><p>{meaning}</p>{history}</div></header>'
    )


def _examined_words(analysis: Analysis) -> str:
    """Which part was examined, where it was not all."""
    (start, end), whole = analysis.examined, analysis.metrics.duration_s
    if end - start >= whole - 0.5:
        return ""
    return f'<p class="from">Examined: {clock(start)} to {clock(end)} of {clock(whole)}</p>'


def _gauge(score: float, was: float | None) -> str:
    """A half circle from 0 to 100; a line across it where the score was before."""
    said = f"Score {score:.0f} of 100" + (f", before {was:.0f}" if was is not None else "")
    tick = ""
    if was is not None:
        x, y = -cos(pi * was / 100), -sin(pi * was / 100)
        ends = f'x1="{70 + 44 * x:.2f}" y1="{70 + 44 * y:.2f}" x2="{70 + 64 * x:.2f}" y2="{70 + 64 * y:.2f}"'
        tick = f'<line class="was" {ends} stroke-width="2"/>'
    arc = 'd="M16 70 A54 54 0 0 1 124 70" fill="none" stroke-width="13" pathLength="100"'
    return (
        f'<svg class="gauge" viewBox="0 0 140 84" role="img" aria-label="{said}">'
        f'<path class="track" {arc}/><path class="value" {arc} stroke-dasharray="{score:.1f} 100"/>{tick}'
        f'<text x="70" y="64" font-size="34">{score:.0f}</text>'
        '<text class="of" x="70" y="80" font-size="10">of 100</text></svg>'
    )


def _matters(sample: Sample) -> str:
    """Three things at most: what is still wrong, then what is gone, then what is good."""
    rows = [*_still_wrong(sample), *_gone(sample), *_strengths(sample)][:3]
    items = [
        f'<li><span><span class="tag {colour}">{tag}</span></span><div><b>{title}</b>'
        f'<span class="muted">{text}</span></div></li>'
        for colour, tag, title, text in rows
    ]
    return f'<ol class="matters">{"".join(items)}</ol>' if items else ""


def _still_wrong(sample: Sample) -> list[Row]:
    mendable = sample.after is None
    return [
        (SEVERITY_MARKS[issue.severity], "Mendable" if mendable and issue.mendable else "To do",
         escaped(issue_title(issue.code)), f"{escaped(issue.message)} {escaped(issue.fix)}")
        for issue in sample.final.assessment.raised
    ]


def _gone(sample: Sample) -> list[Row]:
    """What was raised before and is no longer, each code once."""
    if sample.after is None:
        return []
    was, now = sample.before.analysis, sample.final
    rows: dict[str, Row] = {}
    for issue in was.assessment.raised:
        words = issue_metric(issue, was.metrics)
        if words is None or now.assessment.has(issue.code):
            continue
        title, values = issue_title(issue.code), from_to(words, was, now)
        text = values if words.label == title else f"{words.label}: {values}"
        rows.setdefault(issue.code, ("good", issue.gone, escaped(title), text))
    return list(rows.values())


def _strengths(sample: Sample) -> list[Row]:
    """The most telling parts of the score that are as they should be, and were so before too."""
    final, rows = sample.final, []
    troubled = {issue.code for issue in sample.before.analysis.assessment.raised}
    for part in STRENGTHS:
        words = next(words for words in WORDS if words.part == part)
        if mark(words, final.metrics, final.assessment) == "good" and not troubled.intersection(words.codes):
            value = with_unit(words, getattr(final.metrics, words.name))
            rows.append(("good", "Good", escaped(part_title(part)), f"{words.label}: {value}"))
    return rows


# --- to hear and to see --------------------------------------------------------------------------


def _listen(sample: Sample) -> str:
    shown = [(heading, side) for heading, side in sample.sides if side.player]
    if not shown:
        return ""
    players = "".join(_player(heading, side, sample.name) for heading, side in shown)
    compare = _compare(sample) if len(shown) == 2 else ""
    note = (
        "Loudness as it is. For this page the sound was made 24 kHz mono MP3 (96 kbit/s); of what was examined, a "
        "minute at most is here."
    )
    return (
        f'<section class="card listen"><h3>Listen</h3><div class="pair">{players}</div>{compare}'
        f'<p class="small muted">{note}</p></section>'
    )


def _player(heading: str, side: Side, name: str) -> str:
    start, end = side.played_s
    whole = end - start >= side.analysis.metrics.duration_s - 0.05
    span = f"{number(end - start, 1)} s: " + ("all of it" if whole else f"{clock(start)} to {clock(end)} of the file")
    label = escaped(f"{heading}: {name}")
    return (
        f'<div><h4>{heading}</h4><audio controls preload="metadata" src="{side.player}" aria-label="{label}"></audio>'
        f'<p class="small muted">{span}</p></div>'
    )


def _compare(sample: Sample) -> str:
    """A button that switches between both at the same words; the script shows it."""
    before, after = sample.before, sample.after
    if after is None or sample.improvement is None:
        return ""
    map_, at = [], 0.0
    for kept in sample.improvement.edits:
        map_.append([round(at, 3), round(kept.start_s - before.played_s[0], 3), round(kept.end_s - kept.start_s, 3)])
        at += kept.end_s - kept.start_s
    return (
        f'<div class="compare" hidden data-map="{json.dumps(map_)}" data-volume="{_volumes(before, after)}">'
        '<button type="button">Play and compare</button>'
        '<label><input type="checkbox">Both equally loud (the louder one sounds better at first)</label></div>'
    )


def _volumes(before: Side, after: Side) -> str:
    """The volumes, 0 to 1, that make both equally loud: the louder one is turned down."""
    first, second = before.analysis.metrics.loudness_lufs, after.analysis.metrics.loudness_lufs
    louder_db = 0.0 if first is None or second is None else second - first
    return json.dumps([round(10 ** (min(0.0, louder_db) / 20), 3), round(10 ** (-max(0.0, louder_db) / 20), 3)])


def _see(sample: Sample) -> str:
    figures = "".join(_figure(heading, side) for heading, side in sample.sides if side.picture)
    words = (
        "Above, the level of the sound over time; the strip shows where somebody speaks (coloured) and where nobody "
        "does (grey), so that only noise is heard. Below, its spectrogram: low sounds at the bottom, high ones at the "
        "top, the stronger the colour the louder, against the loudest moment. Noise fills the gaps between the words."
    )
    return card("See", f'<div class="pair">{figures}</div><p class="small muted">{words}</p>') if figures else ""


def _figure(heading: str, side: Side) -> str:
    size = f'width="{side.width}" height="{side.height}"'
    return (
        f"<figure><figcaption>{heading}</figcaption><picture>"
        f'<source media="screen and (prefers-color-scheme: dark)" srcset="{side.dark_picture}">'
        f'<img src="{side.picture}" {size} alt="{_picture_words(heading, side.analysis)}"></picture></figure>'
    )


def _picture_words(heading: str, analysis: Analysis) -> str:
    """What the picture shows, in words."""
    metrics, speech = analysis.metrics, analysis.speech
    spoken = f"{metrics.speech_s:.1f} s of speech in {len(speech)} stretches" if speech else "no speech"
    noise = "" if metrics.snr_db is None else f"; the voice stands {metrics.snr_db:.0f} dB above the noise"
    band = "" if metrics.bandwidth_hz is None else f"; sound up to {metrics.bandwidth_hz / 1000:.1f} kHz"
    length = analysis.examined[1] - analysis.examined[0]
    return escaped(f"Waveform and spectrogram, {heading.lower()}: {length:.1f} s, {spoken}{noise}{band}.")
