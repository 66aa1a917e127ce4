"""What the clone command does besides speaking: voices listed and deleted, caches emptied, the installation tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from voicekit import conditioning_cache, doctor, journal, kept_weights, leftovers, profiles
from voicekit.command_line import Messages, Outcome
from voicekit.memory import MB

SmallClone = Callable[[Path, Path], object]  # a sample's path, an output's


def list_voices() -> Outcome:
    """Every saved voice, damaged ones marked."""
    found = profiles.listed()
    lines = [f"{each.name}  damaged: {each.damaged}" if each.damaged else
             f"{each.name}  {each.created[:10]}, {each.heard_s:.1f} s of {', '.join(each.sample_names)},"
             f" model {each.model_name}{f', consent: {each.consent}' if each.consent else ''}"
             for each in found]  # fmt: skip
    return 0, {"voices": [asdict(each) for each in found]}, "\n".join(lines)


def delete_voice(name: str, messages: Messages, *, dry_run: bool) -> Outcome:
    """Forget a saved voice; raises AudioError where there is none of that name."""
    profiles.delete(name, dry_run=dry_run)
    messages.say(f"Voice {name} {'would be' if dry_run else 'is'} deleted")
    return 0, {"deleted": name, "dry_run": dry_run}, ""


def clear_cache(messages: Messages, *, dry_run: bool) -> Outcome:
    """Forget what a later run could have used: journals, voices that were heard, weights that were laid out."""
    if dry_run:
        messages.say("Journals, remembered voices and kept weights would be deleted")
        return 0, {"freed_mb": None, "dry_run": True}, ""
    leftovers.remove()
    voices = sum(map(_size, conditioning_cache.folder().glob("*")))
    conditioning_cache.clear()
    freed_mb = (journal.remove_old(days=0) + voices + kept_weights.clear()) / MB
    messages.say(f"Deleted journals, remembered voices and kept weights: {freed_mb:.1f} MB")
    return 0, {"freed_mb": round(freed_mb, 1), "dry_run": False}, ""


def _size(path: Path) -> int:
    """0 of what is no file, or is none any more: another run may use the cache meanwhile."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def check(log_dir: Path, model: str, messages: Messages, small_clone: SmallClone, *, offline: bool) -> Outcome:
    """Test the installation; every finding as soon as it is there, and 3 if anything is broken."""
    found = []
    for finding in doctor.examine(log_dir=log_dir, offline=offline, model=model, speak=small_clone):
        found.append(finding)
        messages.say(f"{finding.state:8} {finding.name}: {finding.detail}")
        if finding.fix:
            messages.say(f"         {finding.fix}")
    broken = [finding.name for finding in found if finding.state == "broken"]
    line = f"broken: {', '.join(broken)}" if broken else "all is well"
    return doctor.exit_code(found), {"findings": [asdict(finding) for finding in found]}, line
