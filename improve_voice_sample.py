#!/usr/bin/env python3
"""Judge a recording of a voice, and make the best sample for cloning out of it.

The data flow, top to bottom: the recording is read, measured and assessed; from that a plan is made; each step of it
is kept only where a guard lets it pass; the result is written, and measured again from the file.
The craft of each stage lies in `voicekit`; this file is its table of contents.
"""

from __future__ import annotations

from voicekit import interrupts

if __name__ == "__main__":
    interrupts.leave_quietly()  # what is imported below takes half a second

import argparse
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from logger_config import span, timed
from voicekit import assessment, machine, mending, pictures, planning, report, sample_files, sample_results
from voicekit.audio import Audio, to_mono
from voicekit.audio_state import state
from voicekit.audio_writing import check_output_path, free_name, write_audio
from voicekit.command_line import (
    Messages,
    Outcome,
    add_common_flags,
    new_parser,
    number_between,
    run_command,
)
from voicekit.edits import Edits, Kept
from voicekit.errors import AudioError, ModelUnavailable, OutputError, VoiceError
from voicekit.improvement import Analysis, Improvement, Step
from voicekit.log_values import size
from voicekit.measurement import Measured, measure
from voicekit.memory import MB
from voicekit.planning import ImproveSettings, Planned
from voicekit.publishing import check_target
from voicekit.sample_results import Treated
from voicekit.screening import Excerpt, read_excerpt

SCRIPT = "improve_voice_sample"
logger = logging.getLogger(SCRIPT)

STAGES = ("import", "read", "measure", "mend", "write", "report")
SHORTEST_S = 0.5
LEAST_LOSS = 1.0  # of the score: cutting half a second off moves DNSMOS's windows, and the score by so much


class Listener:
    """Is told what happens to a sample while it happens. This one says nothing."""

    def measured(self, before: Analysis) -> None:
        """The input is measured; nothing was changed yet."""

    def step(self, step: Step) -> None:
        """A step is over."""

    def done(self, improvement: Improvement) -> None:
        """The sample is written and measured."""


@timed
def analyze_voice_sample(audio_path: str | Path, *, opinion: bool = True) -> dict[str, Any]:
    """Judge a recording as a sample for cloning.

    Args:
        audio_path: the recording, any common format. Of one over three minutes the three minutes in which speech
            stands out most are measured (`examined_s` says which).
        opinion: ask DNSMOS too.

    Returns:
        `metrics` (see voicekit.assessment.Metrics: names carry their units), `score` (0 to 100) and its
        `score_parts` (each 0 to 1), `verdict` (one word), `issues` (code, severity, value, threshold, message, fix,
        mendable; the worst first) and `recommendations` (sentences, the most important first).

    Raises:
        AudioError: the recording cannot be read, is digitally silent, or shorter than half a second.
    """
    return as_dictionary(_examine(audio_path, opinion)[0])


@timed
def optimize_voice_sample(
    audio_path: str | Path,
    output_path: str | Path | None = None,
    *,
    settings: ImproveSettings = ImproveSettings(),
    listener: Listener = Listener(),
) -> str:
    """Make the best sample for cloning out of a recording; never a worse one.

    Args:
        audio_path: the recording, any common format; it is never changed.
        output_path: the result, in the format that its ending names; None: beside the recording, with
            `_improved` in its name, the next free one.
        settings: how far denoising may go, whether DNSMOS is asked, whether an existing result is replaced.
        listener: is told of each step, and gets the whole result (`Improvement`).

    Returns:
        Path of the optimised sample: 24,000 Hz mono, -20 LUFS or as far as a true peak of -3 dBTP lets it.

    Raises:
        AudioError: as `analyze_voice_sample`; or nobody speaks in it.
        OutputError: the result cannot be written, or exists.
    """
    target = _checked_output(audio_path, output_path, settings.overwrite)
    if shortage := machine.low_disk(target.parent):
        logger.warning(shortage)
    before, measured = _examine(audio_path, settings.opinion)
    listener.measured(before)
    _refuse_no_speech(before)
    plan = planning.plan(measured, before.assessment, settings)
    improved = _make(plan, before, measured, target, settings, listener)
    careful = planning.without_risk(plan)
    if improved.after.assessment.score < before.assessment.score - LEAST_LOSS and careful != plan:
        logger.warning("The result scores less than the recording: made again without the steps that may harm.")
        again, first = replace(settings, overwrite=True), improved.after.assessment.score
        improved = _make(careful, before, measured, target, again, listener)
        if improved.after.assessment.score < first:
            logger.warning("That scores still less: made as at first.")
            improved = _make(plan, before, measured, target, again, listener)
    listener.done(improved)
    logger.info("Output saved: %s, Duration: %.2fs, Score: %.1f -> %.1f", target, improved.after.metrics.duration_s,
                before.assessment.score, improved.after.assessment.score)
    return str(target)


def _make(
    plan: tuple[Planned, ...], before: Analysis, measured: Measured, target: Path, settings: ImproveSettings,
    listener: Listener,
) -> Improvement:
    """The plan carried out, the result written, and measured again from its file."""
    with span("Optimisation", started="Optimisation started", done="Optimisation completed", label="Total time",
              stage="mend", memory=True, logger=logger) as step:
        mended = mending.carry_out(plan, measured, settings, listener.step)
        step.count(audio_s=measured.voice.duration_s)
    with span("Write", done="Sample written", stage="write") as step:
        write_audio(mended.audio, target, overwrite=settings.overwrite)
        step.note(**state(mended.audio), file=size(target.stat().st_size / MB))
        step.count(audio_s=mended.audio.duration_s)
    after, _ = _examine(target, settings.opinion, before.metrics.speakers == 1)
    return Improvement(str(target), before, after, mended.steps, _in_file_time(mended.edits, before))


def _examine(path: str | Path, opinion: bool, one_speaker: bool = False) -> tuple[Analysis, Measured]:
    """A file, read, measured and assessed."""
    with span("Read", done="Recording read", stage="read") as step:
        excerpt = read_excerpt(path)
        _refuse_nothing(excerpt, path)
        step.note(file=f"{excerpt.source_s:.2f}s", **state(excerpt.recording))
        step.count(audio_s=excerpt.source_s)
    with span("Measuring", done="Analysis completed", stage="measure", memory=True) as step:
        measured = measure(excerpt, opinion=opinion, one_speaker=one_speaker)
        judged = assessment.assess(measured.metrics)
        step.count(audio_s=excerpt.recording.duration_s)
    _log_assessment(judged)
    end_s = excerpt.start_s + excerpt.recording.duration_s
    examined = Analysis(str(path), measured.metrics, judged, tuple(measured.speech), (excerpt.start_s, end_s))
    return examined, measured


def as_dictionary(analysis: Analysis) -> dict[str, Any]:
    """An analysis as plain data, valid as JSON."""
    judged = analysis.assessment
    return {
        "path": analysis.path, "metrics": assessment.metric_values(analysis.metrics), "score": judged.score,
        "score_parts": dict(judged.parts), "verdict": judged.verdict,
        "issues": [asdict(each) for each in judged.issues],
        "recommendations": assessment.recommendations(judged), "examined_s": list(analysis.examined),
    }


def _refuse_nothing(excerpt: Excerpt, path: str | Path) -> None:
    """Half a second and one sample that differs from the others: anything more is analysed."""
    if excerpt.recording.duration_s < SHORTEST_S:
        raise AudioError(f"{str(path)!r} is {excerpt.recording.duration_s:.2f} s long: nothing can be said of that.",
                         "Record 6 to 30 seconds of speech.")
    if not np.ptp(excerpt.recording.samples, axis=1).any():
        raise AudioError(f"{str(path)!r} is digital silence.", "Record it again; check which microphone is chosen.")


def _refuse_no_speech(analysis: Analysis) -> None:
    if analysis.assessment.has("no_speech"):
        issue = analysis.assessment.issues[0]
        raise AudioError(f"In {analysis.path!r} nobody seems to speak.", issue.fix)


def _checked_output(source: str | Path, output: str | Path | None, overwrite: bool) -> Path:
    """A place that can be written, and never the recording itself: it cannot be made again."""
    if not os.path.exists(source):
        raise AudioError(f"There is no file {str(source)!r}.", "Check the name and the folder.")
    target = Path(output) if output is not None else free_name(sample_files.beside(Path(source)))
    if os.path.exists(target) and os.path.samefile(source, target):
        raise OutputError(f"The output {str(target)!r} is the recording itself.", "Choose another name.")
    return check_output_path(target, overwrite)


def _in_file_time(kept: Edits, before: Analysis) -> Edits:
    """The edit list in seconds of the file, not of the part that was examined."""
    start_s = before.examined[0]
    return tuple(Kept(each.start_s + start_s, each.end_s + start_s) for each in kept)


def _log_assessment(judged: assessment.Assessment) -> None:
    parts = ", ".join(f"{part}={quality:.3f}" for part, quality in judged.parts.items())
    logger.info("Score: %.1f of 100 (%s), the product of %s", judged.score, judged.verdict, parts)
    for issue in judged.issues:
        level = logging.WARNING if issue.raised else logging.INFO
        logger.log(level, "Issue: %s (%s), value %s, threshold %s", issue.code, issue.severity, issue.value,
                   issue.threshold, extra={"for_file": True})
    for line in assessment.recommendations(judged):
        logger.info("Recommendation: %s", line)


# --- the command line ---------------------------------------------------------------------------------------

EXAMPLES = """\
  python improve_voice_sample.py me.wav                          # -> me_improved.wav and a verdict
  python improve_voice_sample.py me.m4a --analyze-only           # the verdict alone
  python improve_voice_sample.py recordings/ -o improved/ --report report.html --json"""


def build_parser() -> argparse.ArgumentParser:
    """The flags of this script."""
    summary = "Judge a recording of a voice, and make the best sample for cloning out of it."
    parser = new_parser(SCRIPT, summary, EXAMPLES)
    what = parser.add_argument_group("what to improve, and where to")
    what.add_argument("samples", metavar="SAMPLE", nargs="+", help="a recording, or a folder of recordings")
    what.add_argument("-o", "--output", metavar="FILE|DIR",
                      help="the result; a folder for several (default: NAME_improved.wav beside the recording)")
    what.add_argument("--analyze-only", action="store_true", help="judge, and write no sample")
    what.add_argument("--report", metavar="FILE.html", help="write one page with verdicts, players and pictures")
    what.add_argument("--plot", metavar="FILE.png", help="draw waveform and spectrogram (one sample)")
    how = parser.add_argument_group("how")
    how.add_argument("--denoise", choices=planning.DENOISE, default="auto",
                     help="auto: where it is noisy, as far as needed; light and strong: in any case (default: auto)")
    how.add_argument("--no-dnsmos", action="store_true", help="do not ask DNSMOS: faster")
    how.add_argument("--min-score", type=number_between(0, 100), metavar="N",
                     help="exit with 1 where a result (with --analyze-only: a sample) scores less")
    add_common_flags(parser)
    return parser


class _Terminal(Listener):
    """Shows progress, and keeps what is known of one sample."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.before: Analysis | None = None
        self.improvement: Improvement | None = None

    def measured(self, before: Analysis) -> None:
        self.before = before

    def step(self, step: Step) -> None:
        self._messages.working(f"{step.name}...")

    def done(self, improvement: Improvement) -> None:
        self.improvement = improvement


def _work(args: argparse.Namespace) -> Outcome:
    messages = Messages(quiet=args.quiet)
    inputs = sample_files.recordings(args.samples)
    wanted = None if args.analyze_only else args.output
    outputs = sample_files.targets(args.samples, inputs, wanted, make=not args.dry_run)
    _check_pages(args, inputs)
    treated = []
    for number, (path, output) in enumerate(zip(inputs, outputs, strict=True), 1):
        messages.working(f"{Path(path).name} ({number} of {len(inputs)})...")
        treated.append(_treat(path, output, args, messages))
        sample_results.tell(treated[-1], messages)
    _write_pages(treated, args, messages)
    return sample_results.outcome(treated, messages, min_score=args.min_score, dry_run=args.dry_run)


def _treat(path: str, output: Path | None, args: argparse.Namespace, messages: Messages) -> Treated:
    """One input; what is wrong with it does not stop the others."""
    terminal = _Terminal(messages)
    settings = ImproveSettings(args.denoise, not args.no_dnsmos, args.force, threads=args.threads or 0)
    try:
        if os.path.isdir(path):
            reason = f"In the folder {path!r} there is no recording that can be read."
            raise AudioError(reason, f"Known endings: {' '.join(sample_files.ENDINGS)}")
        if args.analyze_only or args.dry_run:
            analysis, measured = _examine(path, settings.opinion)
            terminal.before = analysis
            if args.analyze_only:
                return Treated(path, analysis)
            _refuse_no_speech(analysis)
            if output is None or output.parent.is_dir() or output == Path(args.output):  # else it is still to be made
                _checked_output(path, output, settings.overwrite)
            return Treated(path, analysis, plan=planning.plan(measured, analysis.assessment, settings))
        optimize_voice_sample(path, output, settings=settings, listener=terminal)
        return Treated(path, terminal.before, terminal.improvement)
    except ModelUnavailable:
        raise  # the next one would fail in the same way
    except VoiceError as error:
        logger.error("%s: %s %s", path, error.message, error.hint, extra={"for_file": True})
        return Treated(path, terminal.before, error=error)


def _check_pages(args: argparse.Namespace, inputs: Sequence[str]) -> None:
    """Says now what the report or the plot would refuse at the end."""
    if args.plot and len(inputs) > 1:
        raise OutputError("--plot draws one sample.", "Name one file, or use --report.")
    for name, endings in ((args.report, report.REPORT_SUFFIXES), (args.plot, pictures.PLOT_SUFFIXES)):
        if name:
            check_target(name, endings, overwrite=args.force)


def _write_pages(treated: Sequence[Treated], args: argparse.Namespace, messages: Messages) -> None:
    if args.dry_run:
        return
    with span("Report", stage="report"):
        if args.report:
            report.write_report(args.report, (_entry(each) for each in treated), overwrite=args.force)
            messages.say(f"Report: {args.report}")
        if args.plot and treated[0].final:
            pictures.write_plot(args.plot, *_pictured(treated[0]), overwrite=args.force)
            messages.say(f"Plot: {args.plot}")


def _pictured(treated: Treated) -> list[tuple[Analysis, Audio]]:
    """The analyses of a sample, before and after, with the sound of each."""
    both = [treated.before, treated.improvement.after if treated.improvement else None]
    return [(analysis, to_mono(read_excerpt(analysis.path).recording)) for analysis in both if analysis]


def _entry(treated: Treated) -> report.ReportEntry:
    """What the report shows of an input; the sound is read again, so that a batch holds one sample at a time."""
    error = (treated.error.message, treated.error.hint) if treated.error else None
    sounds = [sound for _, sound in _pictured(treated)] + [None, None]
    return report.ReportEntry(
        Path(treated.path).name, treated.before, sounds[0], treated.improvement, sounds[1], error
    )


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if "" in (args.output, args.report, args.plot, *args.samples):
        parser.error("an empty name was given")
    if args.analyze_only and args.output:
        parser.error("--analyze-only writes no sample: leave out --output")
    return run_command(SCRIPT, argv, args, _work, stages=STAGES)


if __name__ == "__main__":
    raise SystemExit(interrupts.exit_code_of(main))
