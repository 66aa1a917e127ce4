"""What a person and a program are told of samples: lines, the fields of the JSON result, the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from voicekit import assessment, verdict
from voicekit.command_line import Messages, Outcome
from voicekit.errors import VoiceError
from voicekit.improvement import Analysis, Improvement
from voicekit.planning import Planned


@dataclass(frozen=True)
class Treated:
    """What became of one input: an analysis, perhaps an improvement or a plan, perhaps an error."""

    path: str
    before: Analysis | None = None
    improvement: Improvement | None = None
    plan: tuple[Planned, ...] = ()
    error: VoiceError | None = None

    @property
    def final(self) -> Analysis | None:
        """The analysis that counts: of the result, else of the input."""
        return self.improvement.after if self.improvement else self.before


def tell(treated: Treated, messages: Messages) -> None:
    """What a person is told of an input that is through."""
    messages.working("")
    if treated.error:
        messages.error(f"Error: {treated.error.message}")
        messages.error(f"       {treated.error.hint}")
    elif treated.improvement:
        lines = verdict.of_improvement(treated.improvement)
    elif treated.before:
        lines = verdict.of_analysis(treated.before) + verdict.of_plan(treated.plan)
    for line in [] if treated.error else lines:
        messages.say(line)


def outcome(
    treated: Sequence[Treated], messages: Messages, *, min_score: float | None, dry_run: bool
) -> Outcome:
    """Exit code, JSON and stdout of all inputs together.

    Args:
        min_score: what each should reach, 0 to 100; None: anything will do.
    """
    scored = [(each.path, each.final.assessment.score) for each in treated if each.final and not each.error]
    if len(treated) > 1 and scored:
        for line in verdict.ranking(scored):
            messages.say(line)
    low = [path for path, score in scored if min_score is not None and score < min_score]
    for path in low:
        messages.error(f"Under {min_score:g} of 100: {path}")
    errors = [each.error for each in treated if each.error]
    result: dict[str, Any] = {"samples": [as_json(each) for each in treated]}
    if errors:
        result |= {"status": "error", "error": _error_json(errors[0])}
    if dry_run:
        result |= {"dry_run": True}
    lines = [_stdout_line(each) for each in treated if not each.error]
    return 1 if errors or low else 0, result, "\n".join(lines)


def _stdout_line(treated: Treated) -> str:
    """The path of a result; without one the score, the verdict and the path of the input."""
    if treated.improvement:
        return treated.improvement.output
    assert treated.before is not None
    judged = treated.before.assessment
    return f"{judged.score:.1f} {judged.verdict} {treated.path}"


def as_json(treated: Treated) -> dict[str, Any]:
    """The fields of an input in the JSON result."""
    before, after = treated.before, treated.improvement.after if treated.improvement else None
    improvement = treated.improvement
    return {
        "input": treated.path, "output": improvement.output if improvement else None,
        "status": "error" if treated.error else "ok",
        "error": _error_json(treated.error) if treated.error else None,
        "score": _both(before, after, lambda analysis: analysis.assessment.score),
        "verdict": _both(before, after, lambda analysis: analysis.assessment.verdict),
        "score_parts": _both(before, after, lambda analysis: dict(analysis.assessment.parts)),
        "metrics": _both(before, after, lambda analysis: assessment.metric_values(analysis.metrics)),
        "issues": [asdict(issue) for issue in before.assessment.issues] if before else [],
        "issues_after": [asdict(issue) for issue in after.assessment.issues] if after else [],
        "recommendations": assessment.recommendations((after or before).assessment) if before else [],
        "steps": [asdict(step) for step in improvement.steps] if improvement else [],
        "plan": [asdict(planned) for planned in treated.plan],
        "edits": [asdict(kept) for kept in improvement.edits] if improvement else [],
        "examined_s": list(before.examined) if before else None,
    }


def _both(before: Analysis | None, after: Analysis | None, part: Callable[[Analysis], Any]) -> dict[str, Any]:
    found = {"before": part(before)} if before else {}
    return found | {"after": part(after)} if after else found


def _error_json(error: VoiceError) -> dict[str, str]:
    return {"type": type(error).__name__, "message": error.message, "hint": error.hint}
