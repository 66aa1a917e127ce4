"""An analysis or an improvement -> what a person reads of it in a terminal: plain lines, nothing is printed here."""

from __future__ import annotations

from pathlib import Path

from voicekit.assessment import Assessment, Issue
from voicekit.improvement import Analysis, Improvement
from voicekit.planning import Planned

BAR = 20  # characters
THINGS = 3  # that matter most


def one_line(assessment: Assessment) -> str:
    """The verdict of a sample in one line, for a clone run."""
    said = f"{assessment.verdict} ({assessment.score:.0f} of 100)"
    return f"{said}: {', '.join(issue.code for issue in assessment.raised)}" if assessment.raised else said


def bar(score: float) -> str:
    """A score as a bar of ASCII, so that every terminal shows it."""
    filled = round(score / 100 * BAR)
    return "[" + "#" * filled + "." * (BAR - filled) + f"] {score:3.0f}"


def of_analysis(analysis: Analysis) -> list[str]:
    """Verdict, score, and the three things that matter most."""
    found = analysis.assessment
    lines = [f"{_name(analysis.path)}: {found.verdict}", f"  score  {bar(found.score)} of 100"]
    return lines + [f"  {_mark(issue)} {issue.message} {issue.fix}" for issue in _foremost(found)]


def of_improvement(improvement: Improvement) -> list[str]:
    """Verdict, score before and after, the three things that matter most, and where the file is."""
    before, after = improvement.before.assessment, improvement.after.assessment
    lines = [
        f"{_name(improvement.before.path)}: {_change(before, after)}",
        f"  before {bar(before.score)} of 100",
        f"  after  {bar(after.score)}",
    ]
    lines += [f"  {_outcome(issue, after)}" for issue in _foremost(before)]
    done = [step.name for step in improvement.steps if step.applied]
    lines.append(f"  Done: {', '.join(done) if done else 'nothing had to be done'}.")
    metrics = improvement.after.metrics
    lines.append(f"  -> {improvement.output} ({metrics.duration_s:.1f} s)")
    return lines


def of_plan(plan: tuple[Planned, ...]) -> list[str]:
    """What would be done, and why or why not; nothing where there is no plan."""
    width = max((len(step.name) for step in plan), default=0)
    lines = [f"  {'do  ' if step.wanted else 'skip'} {step.name:<{width}}  {step.reason}" for step in plan]
    return ["  Plan (nothing was written):", *lines] if plan else []


def ranking(scored: list[tuple[str, float]]) -> list[str]:
    """Several samples by score, the best first and named; ``(path, score)`` each."""
    order = sorted(scored, key=lambda item: -item[1])
    lines = [f"  {place}. {score:5.1f}  {path}" for place, (path, score) in enumerate(order, 1)]
    return [f"Best of {len(order)}: {order[0][0]}", *lines]


def _change(before: Assessment, after: Assessment) -> str:
    return after.verdict if before.verdict == after.verdict else f"{before.verdict} -> {after.verdict}"


def _foremost(found: Assessment) -> tuple[Issue, ...]:
    return found.raised[:THINGS] or found.issues[:1]


def _mark(issue: Issue) -> str:
    return {"error": "!!", "warning": "! ", "info": "- "}[issue.severity]


def _outcome(issue: Issue, after: Assessment) -> str:
    """What was wrong, and whether it still is."""
    left = next((other for other in after.issues if other.code == issue.code), None)
    if left is None:
        return f"ok {issue.message} {issue.gone}."
    if left.severity == issue.severity and not issue.mendable:
        return f"{_mark(issue)} {issue.message} {issue.fix}"
    return f"{_mark(left)} {issue.message} Now: {left.message}"


def _name(path: str) -> str:
    return Path(path).name
