"""What a person and a program are told of a clone: lines while it runs, the fields of the JSON result."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voicekit.clone_plans import Plan, model_state, plan
from voicekit.cloning import Cloned, CloneSettings, Listener, Request, SpokenSegment
from voicekit.command_line import Messages, Outcome, Progress
from voicekit.cutting import Cut
from voicekit.errors import VoiceError
from voicekit.forecast import Forecast
from voicekit.held_files import HoldsFiles
from voicekit.job_results import JobResults, read_results, results_path
from voicekit.standard_output import STDOUT
from voicekit.tasks import Tasks

_SHARED = ("language", "device", "precision", "seed", "batch_size", "model")  # by the outputs of one run
Expect = Callable[[Sequence[Cut]], Forecast | None]


class Terminal(Listener, HoldsFiles):
    """Tells a person, and keeps what the command needs for its result. A context, so that no progress bar stays."""

    def __init__(
        self, messages: Messages, expect: Expect = lambda cuts: None, *, jobs: str | None = None
    ) -> None:
        """`expect`: what texts will come to; `jobs`: a job file, beside which each request has a line as it ends."""
        super().__init__()
        self._messages, self._expect, self._jobs = messages, expect, jobs
        self._results: JobResults | None = None
        self._progress = Progress(messages, "Segment")
        self._files.callback(self._progress.close)
        self.delivered = 0  # by the run that this one goes on with
        self.warnings: list[str] = []
        self.clones: list[Cloned] = []
        self.failures: list[dict[str, Any]] = []

    def earlier(self) -> Collection[str]:
        return {str(record.get("digest")) for record in self._earlier() if record.get("status") == "ok"}

    def begun(self, delivered: Sequence[Request], making: Sequence[Request]) -> None:
        """The file of results goes on where a line of it tells of an output that stays; else it begins anew."""
        self.delivered = len(delivered)
        if self._jobs is None:
            return
        earlier, made = self._earlier(), {os.path.abspath(request.output) for request in making}
        stays = any(record.get("status") == "ok" and _is_elsewhere(record.get("output"), made) for record in earlier)
        known = [{**record, "output": None} for record in earlier] if stays else []
        self._results = self._files.enter_context(JobResults(self._jobs, resume=stays))
        for failure in self.failures:
            if {**failure, "output": None} not in known:
                self._results.append(failure)

    def _earlier(self) -> list[dict[str, Any]]:
        """The lines of an earlier run of the job file; none where there was none."""
        return read_results(self.results) if self.results and os.path.exists(self.results) else []

    @property
    def messages(self) -> Messages:
        """Where its lines go."""
        return self._messages

    def note(self, line: str) -> None:
        self._messages.say(line)

    def warn(self, line: str) -> None:
        if line not in self.warnings:  # said once, of however many chapters and jobs
            self.warnings.append(line)
            super().warn(line)

    def confirm(self, question: str) -> bool:
        return self._messages.confirm(question)

    def planned(self, cuts: Sequence[Cut]) -> None:
        expected = self._expect(cuts)
        self._progress.begin(sum(len(cut.segments) for cut in cuts), sum(cut.characters for cut in cuts),
                             expected.speaking_s if expected else None)  # fmt: skip

    def spoken(self, segment: SpokenSegment, characters: int) -> None:
        takes = f", take {segment.tries}" if segment.tries > 1 else ""
        self._progress.advance(characters, f"{segment.end_s - segment.start_s:.1f} s of speech{takes}")

    def done(self, request: Request, cloned: Cloned) -> None:
        self.clones.append(cloned)
        if self._results:
            self._results.append({"line": request.line, "status": "ok", "digest": request.digest, **_fields(cloned)})

    def failed(self, request: Request, error: VoiceError) -> None:
        self.fail(request.line, error.message, error.hint, output=request.output)

    @property
    def results(self) -> str | None:
        """Path of the file of results; None without a job file."""
        return str(results_path(self._jobs)) if self._jobs else None

    def fail(self, line: int | None, message: str, hint: str, *, output: str | None = None) -> None:
        """A line of a job file cannot be done."""
        failure = {"line": line, "status": "error", "output": output, "error": {"message": message, "hint": hint}}
        self.failures.append(failure)
        self._messages.error(f"Line {line}: {message} {hint}".rstrip())
        if self._results:
            self._results.append(failure)


def _is_elsewhere(output: object, made: Collection[str]) -> bool:
    """Whether an output is there, and none of those that are made now."""
    return isinstance(output, str) and os.path.abspath(output) not in made and os.path.exists(output)


def outcome(clones: Sequence[Cloned], terminal: Terminal, spent: Mapping[str, float]) -> Outcome:
    """Of one text: the fields of its output; of chapters, those of each under `outputs`."""
    _say(clones, terminal, spent)
    common = {"rtf": _rtf(clones, spent), "reused": _reused(clones), "warnings": list(terminal.warnings)}
    paths = "\n".join(cloned.output for cloned in clones if cloned.output != STDOUT)
    if len(clones) == 1:
        return 0, {**_fields(clones[0]), **common}, paths
    shared = {name: getattr(clones[0], name) for name in _SHARED}
    duration_s = round(sum(cloned.duration_s for cloned in clones), 3)
    return 0, {"outputs": [_fields(cloned) for cloned in clones], "duration_s": duration_s, **shared, **common}, paths


def jobs_outcome(clones: Sequence[Cloned], terminal: Terminal, spent: Mapping[str, float]) -> Outcome:
    """Of a job file: how many were done, and which were not."""
    if clones:
        _say(clones, terminal, spent)
    failures, done = _failures(terminal), len(clones) + terminal.delivered
    if failures:
        lines = ", ".join(str(failure["line"]) for failure in failures)
        terminal.messages.error(f"{len(failures)} of {len(failures) + done} jobs failed: lines {lines}")
    shared = {name: getattr(clones[0], name) for name in _SHARED} if clones else {}
    result = {"results": terminal.results, **shared, "done": done, "failed": failures, "rtf": _rtf(clones, spent),
              "reused": _reused(clones),
              "duration_s": round(sum(cloned.duration_s for cloned in clones), 3),
              "warnings": list(terminal.warnings)}  # fmt: skip
    return int(bool(failures)), result, terminal.results or ""


def planned_jobs(tasks: Tasks, settings: CloneSettings, terminal: Terminal, log_dir: Path) -> Outcome:
    """What a run of a job file would do: of its good lines the plan, of its bad ones what is wrong.

    Raises:
        VoiceError: there is no such model, which every line needs.
    """
    delivered = sum(task.delivered for task in tasks.left)
    tasks.left = [task for task in tasks.left if not task.delivered]
    state = model_state(settings.model) if tasks.left else None
    tasks.each(lambda task: plan([task.request], settings, log_dir))
    failures, to_do = _failures(terminal), [task.request for task in tasks.left]
    common: dict[str, Any] = {"done": delivered, "failed": failures}
    if delivered:
        terminal.note(f"{delivered} of {delivered + len(to_do) + len(failures)} jobs are done already")
    if not to_do:
        nothing: dict[str, Any] = {"outputs": [], "model": settings.model, "model_state": state, "segment_count": 0}
        return int(bool(failures)), {"dry_run": True, **nothing, "expected": None, **common}, ""
    _, result, line = planned(plan(to_do, settings, log_dir), terminal.messages)
    return int(bool(failures)), {**result, **common}, line


def _failures(terminal: Terminal) -> list[dict[str, Any]]:
    return sorted(terminal.failures, key=lambda failure: failure["line"])


def planned(what: Plan, messages: Messages) -> Outcome:
    """What a run would do."""
    for name, duration_s in what.samples:
        messages.say(f"Sample: {name}, {duration_s:.1f} s")
    model, language = what.requests[0].settings.model, what.requests[0].language
    messages.say(f"Model: {model} ({what.model_state})")
    messages.say(f"Text: {what.characters} characters, about {what.segments} segments, language {language}")
    expected = what.expected
    if expected:
        messages.say(f"Expected: {_words(expected)}")
    if what.advice:
        messages.say(what.advice)
    paths = [request.output for request in what.requests]
    messages.say(f"Output: {', '.join(paths)} (nothing was written)")
    result: dict[str, Any] = {
        "dry_run": True, "output": paths[0], "model": model, "model_state": what.model_state, "language": language,
        "segment_count": what.segments, "outputs": paths,
        "expected": {"speech_s": round(expected.speech_s.expected, 1),
                     "total_s": round(expected.total_s.expected, 1) if expected.total_s else None,
                     "runs": expected.runs} if expected else None,
    }  # fmt: skip
    return 0, result, "\n".join(path for path in paths if path != STDOUT)


def _words(expected: Forecast) -> str:
    """Length and time with their ranges, and what they rest on."""
    length = expected.speech_s
    speech = f"{length.expected:.0f} s of speech ({length.low:.0f} to {length.high:.0f})"
    if expected.total_s is None:
        return f"{speech}; how long it takes, no run of this model on this machine tells yet"
    total = expected.total_s
    return f"{speech}, in {total.expected:.0f} s of time ({total.low:.0f} to {total.high:.0f}), by {expected.runs} runs"


def _say(clones: Sequence[Cloned], terminal: Terminal, spent: Mapping[str, float]) -> None:
    segments = [segment for cloned in clones for segment in cloned.segments]
    again = sum(segment.tries > 1 for segment in segments)
    taken = f", {again} of them in more than one take" if again else ""
    alike = f", {clones[0].similarity:.2f} alike to the voice" if len(clones) == 1 and clones[0].similarity else ""
    work = _rtf(clones, spent)
    effort = "" if work is None else f" {work:.2f} s of work for a second of speech,"
    reused = f", {_reused(clones)} of them spoken before" if _reused(clones) else ""
    terminal.note(f"Spoke {sum(cloned.duration_s for cloned in clones):.1f} s in {len(segments)}"
                  f" segment{'s' * (len(segments) != 1)}{taken}{reused},{effort} seed {clones[0].seed}{alike}")


def _reused(clones: Sequence[Cloned]) -> int:
    """Segments that came from the journal."""
    return sum(segment.reused for cloned in clones for segment in cloned.segments)


def _fields(cloned: Cloned) -> dict[str, Any]:
    return {**asdict(cloned), "duration_s": round(cloned.duration_s, 3)}


def _rtf(clones: Sequence[Cloned], spent: Mapping[str, float]) -> float | None:
    """Seconds of generate and vocode for a second of sound that this run spoke; None of none."""
    if not any(segment.reused for cloned in clones for segment in cloned.segments):
        duration_s = sum(cloned.duration_s for cloned in clones)
    else:
        spoken = (segment for cloned in clones for segment in cloned.segments if not segment.reused)
        duration_s = sum(segment.end_s - segment.start_s for segment in spoken)
    return round((spent.get("generate", 0.0) + spent.get("vocode", 0.0)) / duration_s, 3) if duration_s else None
