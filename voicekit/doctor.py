"""Examine the installation piece by piece, from Python to a small clone, and say what to do.

Nothing that is broken keeps the rest from being examined: a check that fails is a finding itself. Where torch cannot
be used at all, what needs it is left out. The checks are in doctor_checks.py and doctor_machine.py; this module
prints nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from voicekit import doctor_checks, doctor_machine
from voicekit.checkpoint import RELEASED
from voicekit.doctor_checks import INSTALL, Finding
from voicekit.doctor_machine import Speak
from voicekit.errors import VoiceError

logger = logging.getLogger(__name__)

Check = Callable[[], Iterable[Finding]]


def examine(
    *, log_dir: Path, offline: bool = True, model: str = RELEASED, speak: Speak | None = None
) -> Iterator[Finding]:
    """All findings, each as soon as it is known; some ten seconds in all.

    Args:
        log_dir: where the logs go.
        offline: never touch the network; else the hub is asked whether it answers, where a download would follow.
        model: as `--model`.
        speak: gets a sample's path and an output's, and speaks any short text with the model `rehearsal-tiny`
            into it; None leaves the small clone out.
    """
    yield from _each(_packages())
    torch = list(_guarded("torch", doctor_checks.torch_works))
    yield from torch
    usable = all(finding.state != "broken" for finding in torch)
    yield from _each(_at_work(usable=usable))
    yield from _each(_machine(log_dir, model, offline=offline))
    if not usable:
        yield Finding("Small clone", "broken", "left out, because torch cannot be used", "Mend torch first.")
    elif speak is not None:
        yield from _guarded("Small clone", lambda: doctor_machine.small_clone(speak))


def exit_code(findings: Iterable[Finding]) -> int:
    """0, or 3 where anything is broken: a model or a dependency is missing."""
    return 3 if any(finding.state == "broken" for finding in findings) else 0


def _packages() -> dict[str, Check]:
    return {
        "Python": doctor_checks.python_version,
        "Packages": lambda: doctor_checks.requirements(doctor_checks.pinned_lines()),
        "Old TTS package": doctor_checks.old_tts,
        "torch family": doctor_checks.torch_family,
    }


def _at_work(*, usable: bool) -> dict[str, Check]:
    """usable: whether torch is; an import of it in this process might end it."""
    with_torch: dict[str, Check] = {
        "coqui-tts": doctor_checks.coqui_classes,
        "GPU": doctor_machine.gpu,
        "Native kernels": doctor_machine.native_kernels,
        "Precision": doctor_machine.fastest_precision,
    }
    without: dict[str, Check] = {
        "Imports": doctor_checks.imports,
        "Text": doctor_checks.text_packages,
        "FFmpeg": doctor_machine.ffmpeg,
    }
    return {**(with_torch if usable else {}), **without}


def _machine(log_dir: Path, model: str, *, offline: bool) -> dict[str, Check]:
    return {
        "Memory": lambda: doctor_machine.memory(model),
        "Disk": lambda: doctor_machine.disk(Path.cwd()),
        "Folders": lambda: doctor_machine.folders(log_dir),
        "Licence": lambda: doctor_machine.licence(model),
        "Model": lambda: doctor_machine.model_state(model, offline=offline),
        "Extras": doctor_checks.extras,
    }


def _each(checks: dict[str, Check]) -> Iterator[Finding]:
    for name, check in checks.items():
        yield from _guarded(name, check)


def _guarded(name: str, check: Check) -> Iterator[Finding]:
    """The findings of a check; what it raises is its last one."""
    try:
        yield from check()
    except VoiceError as error:
        yield Finding(name, "broken", error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - whatever is broken: the other pieces are examined all the same
        logger.info("The check %s failed", name, exc_info=True)
        reason = (str(error).strip().splitlines() or [""])[0][:160]
        yield Finding(name, "broken", f"the check failed: {type(error).__name__}: {reason}", INSTALL)
