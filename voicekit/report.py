"""Analyses and improvements of voice samples -> one HTML page that can be sent to somebody.

The page holds everything itself, sound and pictures too, and loads nothing. It tells nothing but what the records
say; names and messages in them are taken as text from strangers.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from voicekit import pictures
from voicekit.assessment import Assessment
from voicekit.audio import Audio, PathLike, resample
from voicekit.improvement import Analysis, Improvement
from voicekit.metric_words import issue_title
from voicekit.publishing import check_target, write_whole
from voicekit.report_details import lower_part
from voicekit.report_page import SCRIPT, data_uri, escaped, name_html, page
from voicekit.report_sample import Sample, Side, table, verdict_html
from voicekit.report_verdict import upper_part

REPORT_SUFFIXES = (".html", ".htm")
PLAYER_RATE_HZ = 24_000  # a clone's own rate
PLAYER_LONGEST_S = 60.0
LAME_SCALE = 0.95  # the encoder turns everything down by this; measured, 0.45 dB
PLAYER_COMPRESSION = 0.4  # of libsndfile's 0 to 1: MP3 with 96 kbit/s, 36 to 42 dB above its own error on speech


@dataclass(frozen=True, eq=False)
class ReportEntry:
    """One sample of a report.

    name: what it is called in the report. before, before_audio: the analysis, and the part that was examined (the first
    sample is at `before.examined[0]` of the file; `before.speech` counts from there). improvement, after_audio: what
    it became; None where it was only examined. Without audio there are no player and no pictures.
    error: what happened and what to do, where nothing could be done; the rest is then None.
    """

    name: str
    before: Analysis | None = None
    before_audio: Audio | None = None
    improvement: Improvement | None = None
    after_audio: Audio | None = None
    error: tuple[str, str] | None = None


def write_report(path: PathLike, results: Iterable[ReportEntry], *, overwrite: bool = False) -> Path:
    """Writes the report of some samples, the best first; whole, or not at all.

    Args:
        path: ends in .html or .htm.
        results: in any order; taken one at a time, so a generator need hold the audio of only one sample.
        overwrite: whether a file may be replaced.

    Raises:
        OutputError: another extension, the file exists and ``overwrite`` is false, or it cannot be written.
    """
    target = check_target(path, REPORT_SUFFIXES, overwrite=overwrite)
    return write_whole(target, report_html(results).encode(), overwrite=overwrite)


def report_html(results: Iterable[ReportEntry]) -> str:
    """The page as :func:`write_report` writes it."""
    done: list[_Shown] = []
    failed: list[ReportEntry] = []
    for count, entry in enumerate(results, start=1):
        if (shown := _show(entry, f"sample-{count}")) is None:
            failed.append(entry)
        else:
            done.append(shown)
    done.sort(key=lambda shown: -shown.now.score)
    many = len(done) + len(failed) != 1
    body = [f"<main><h1>Voice sample report{'s' if many else ''}</h1>"]
    body += [_overview(done, failed)] if many or failed else []
    back = '<p class="back"><a href="#overview">Back to the overview</a></p>' if many else ""
    body += [shown.html + back for shown in done]
    return page(_title(done, failed), "".join([*body, "</main>", FOOTER]), script=SCRIPT)


@dataclass(frozen=True)
class _Shown:
    """A sample that is done: its part of the page, and what the overview tells of it."""

    anchor: str
    name: str
    was: Assessment | None
    now: Assessment
    speech_s: float
    html: str


def _show(entry: ReportEntry, anchor: str) -> _Shown | None:
    """The entry's part of the page; None for one that failed."""
    before = entry.improvement.before if entry.improvement else entry.before
    if before is None or entry.error is not None:
        return None
    after = entry.improvement.after if entry.improvement else None
    peak = _shared_peak([(before, entry.before_audio), (after, entry.after_audio)])
    first_word_s = entry.improvement.edits[0].start_s if entry.improvement and entry.improvement.edits else 0.0
    sample = Sample(
        anchor,
        entry.name,
        _side(before, entry.before_audio, peak, first_word_s),
        _side(after, entry.after_audio, peak) if after else None,
        entry.improvement,
    )
    was = before.assessment if after else None
    speech_s = sample.final.metrics.speech_s
    html = f'<article class="sample" id="{anchor}">{upper_part(sample)}{lower_part(sample)}</article>'
    return _Shown(anchor, entry.name, was, sample.final.assessment, speech_s, html)


# --- sound and pictures --------------------------------------------------------------------------


def _shared_peak(pairs: Sequence[tuple[Analysis | None, Audio | None]]) -> float:
    """What fills the waveforms' panels: the higher peak, so that both can be compared."""
    return max(pictures.shown_peak(analysis, audio) if analysis and audio else 0.0 for analysis, audio in pairs)


def _side(analysis: Analysis, audio: Audio | None, peak: float, wanted_s: float = 0.0) -> Side:
    """Player and pictures of one recording; without its audio, the analysis alone.

    The player holds a minute at most; where there is more, it begins a second before `wanted_s` of the file.
    """
    if audio is None:
        return Side(analysis)
    start_s, end_s = analysis.examined
    length_s = min(end_s - start_s, audio.duration_s)
    skipped_s = max(0.0, min(wanted_s - 1.0 - start_s, length_s - PLAYER_LONGEST_S))
    played_s = min(length_s, PLAYER_LONGEST_S)
    first = round(skipped_s * audio.sample_rate)
    part = Audio(audio.samples[first : first + round(played_s * audio.sample_rate)], audio.sample_rate)
    player = data_uri("audio/mpeg", mp3_bytes(part)) if len(part.samples) else ""
    heard = (start_s + skipped_s, start_s + skipped_s + played_s)
    light, dark = (
        data_uri("image/png", pictures.png_bytes(
            pictures.sample_picture(analysis, audio, theme=theme, peak=peak), theme=theme))
        for theme in (pictures.LIGHT, pictures.DARK)
    )
    width, height = pictures.PAGE.pixels
    return Side(analysis, player, heard, light, dark, width, height)


def mp3_bytes(audio: Audio) -> bytes:
    """The sound as a mono MP3 of 24 kHz and 96 kbit/s, its loudness as it is (over full scale it is clipped)."""
    samples = resample(audio, PLAYER_RATE_HZ).samples.clip(-1.0, 1.0) / LAME_SCALE
    stream = io.BytesIO()
    with soundfile.SoundFile(
        stream, "w", PLAYER_RATE_HZ, 1, "MPEG_LAYER_III", format="MP3",
        compression_level=PLAYER_COMPRESSION, bitrate_mode="CONSTANT",
    ) as file:
        for start in range(0, len(samples), 2**16):  # in pieces, so that Ctrl-C is heard between them
            file.write(samples[start : start + 2**16])
    return stream.getvalue()


# --- the page around the samples -----------------------------------------------------------------

FOOTER = (
    "<footer><p>The score, from 0 to 100, says how much XTTS v2 is given to work with: it hears one channel, up to 8 "
    "kHz, the first 30 s.</p><p>This page holds the recordings themselves: whoever gets the file gets the voice. It "
    "loads nothing from the network.</p></footer>"
)


def _title(done: Sequence[_Shown], failed: Sequence[ReportEntry]) -> str:
    if len(done) == 1 and not failed:
        return f"{done[0].name}: {done[0].now.verdict}, {done[0].now.score:.0f} of 100"
    return f"Voice samples: {len(done) + len(failed)}" + (f", the best is {done[0].name}" if done else "")


def _overview(done: Sequence[_Shown], failed: Sequence[ReportEntry]) -> str:
    """The ranking, best first, then what failed."""
    content = (_best(done) + _ranking(done) if done else "") + _failures(failed)
    return f'<section class="card overview" id="overview">{content or "<p>No samples were given.</p>"}</section>'


def _best(done: Sequence[_Shown]) -> str:
    best, count = done[0], len(done)
    heading = f"The best of {count} samples" if count > 1 else "The only one that could be examined"
    return (
        f'<div class="best"><p class="from">{heading}</p><h2>{name_html(best.name)}</h2>'
        f"<p>{verdict_html(best.now)}, {best.now.score:.0f} of 100</p></div>"
    )


def _ranking(done: Sequence[_Shown]) -> str:
    rows = "".join(_ranked(place, shown) for place, shown in enumerate(done, start=1))
    head = "".join(f'<th scope="col">{word}</th>' for word in ("No.", "Sample", "Score"))
    return table("All samples, the best first", f"<tr>{head}</tr>", f"<tbody>{rows}</tbody>", "ranking")


def _ranked(place: int, shown: _Shown) -> str:
    was = f'<span class="muted">{shown.was.score:.0f} \u2192 </span>' if shown.was else ""
    problems = [issue_title(issue.code) for issue in shown.now.raised]
    about = "; ".join([f"{shown.speech_s:.1f} s of speech", *dict.fromkeys(problems)])
    link = f'<a href="#{shown.anchor}">{name_html(shown.name)}</a>'
    return (
        f'<tr><td>{place}</td><th scope="row">{link}<span class="muted">{escaped(about)}</span></th>'
        f"<td>{was}<b>{shown.now.score:.0f}</b> {verdict_html(shown.now)}</td></tr>"
    )


def _failures(failed: Sequence[ReportEntry]) -> str:
    if not failed:
        return ""
    items = []
    for entry in failed:
        message, hint = entry.error or ("There is no result.", "")
        items.append(
            f'<li class="bad"><div class="head"><h4>{name_html(entry.name)}</h4></div><p>{escaped(message)}</p>'
            f'<p class="fix">{escaped(hint)}</p></li>'
        )
    return f'<h3>Could not be done</h3><ul class="issues">{"".join(items)}</ul>'
