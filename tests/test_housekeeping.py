"""What the clone command does besides speaking: voices listed and deleted, caches emptied, the installation tested."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_leftovers import left_by_a_killed_run
from voicekit import conditioning_cache, doctor, housekeeping, journal, kept_weights, profiles
from voicekit.audio import Audio
from voicekit.command_line import Messages, Outcome
from voicekit.conditioning_cache import Cached
from voicekit.doctor_checks import Finding
from voicekit.errors import AudioError
from voicekit.journal import Journal, Pins, Spoken


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def never(sample: Path, output: Path) -> None:
    raise AssertionError("spoke")


def said_by(work: Callable[[Messages], Outcome]) -> tuple[int, dict[str, Any], str, str]:
    """The outcome of a piece of work, and what it said meanwhile."""
    stream = io.StringIO()
    return *work(Messages(stream=stream)), stream.getvalue()


def delete(name: str, *, dry_run: bool = False) -> tuple[int, dict[str, Any], str, str]:
    return said_by(lambda messages: housekeeping.delete_voice(name, messages, dry_run=dry_run))


def clear(*, dry_run: bool = False) -> tuple[int, dict[str, Any], str, str]:
    return said_by(lambda messages: housekeeping.clear_cache(messages, dry_run=dry_run))


def arrays(seed: int = 0) -> tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, 32, 16)).astype(np.float32), rng.normal(size=(1, 512, 1)).astype(np.float32)


def saved(name: str, consent: str | None = None) -> Path:
    return profiles.save(profiles.Profile(
        name, *arrays(), 10.39, ("0" * 64,), "m" * 64, "xtts_v2", "settings", consent, "2026-01-15T10:30:45+00:00",
        ("me.wav", "more.wav")))  # fmt: skip


# --- voices ---------------------------------------------------------------------------------------------------


def test_no_voices() -> None:
    assert housekeeping.list_voices() == (0, {"voices": []}, "")


def test_voices_are_listed_with_what_they_are_of_and_damaged_ones_too() -> None:
    saved("anna", "Yes, for reading.")
    saved("zoe").write_bytes(b"damaged")
    code, result, line = housekeeping.list_voices()
    assert code == 0
    first, second = line.splitlines()
    assert first == "anna  2026-01-15, 10.4 s of me.wav, more.wav, model xtts_v2, consent: Yes, for reading."
    assert second.startswith("zoe  damaged: ")
    assert [voice["name"] for voice in result["voices"]] == ["anna", "zoe"]
    assert result["voices"][0]["damaged"] == "" and result["voices"][1]["damaged"]


def test_a_voice_is_deleted() -> None:
    path, other = saved("anna"), saved("zoe")
    assert delete("anna")[:3] == (0, {"deleted": "anna", "dry_run": False}, "")
    assert not path.exists() and other.exists()


def test_a_dry_run_deletes_nothing() -> None:
    path = saved("anna")
    code, result, _, said = delete("anna", dry_run=True)
    assert (code, result["dry_run"]) == (0, True) and "would be" in said
    assert path.exists()


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_damaged_voice_is_deleted_like_another(dry_run: bool) -> None:
    path = saved("anna")
    path.write_bytes(b"damaged")
    assert delete("anna", dry_run=dry_run)[0] == 0
    assert path.exists() == dry_run


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_voice_that_is_not_there_cannot_be_deleted(dry_run: bool) -> None:
    saved("anna")
    with pytest.raises(AudioError, match="no voice 'zoe'"):
        delete("zoe", dry_run=dry_run)
    assert profiles.exists("anna")


# --- caches ---------------------------------------------------------------------------------------------------


def filled() -> int:
    """Both caches, with files of some size; their bytes."""
    Journal("a" * 64).pin(Pins(1, "float32", 2))
    Journal("a" * 64).keep("b" * 64, [Spoken(Audio(np.zeros(300_000, np.float32), 24_000), 3, True)])
    for number in range(3):
        conditioning_cache.keep(f"{number}" * 64, Cached(*arrays(number), 10.0))
    return sum(path.stat().st_size for path in files())


def files() -> list[Path]:
    found = [*journal.folder().rglob("*"), *conditioning_cache.folder().rglob("*")]
    return [path for path in found if path.is_file()]


def test_caches_are_emptied_and_voices_stay() -> None:
    path, size = saved("anna"), filled()
    assert len(files()) == 5
    code, result, line, said = clear()
    assert (code, line, files()) == (0, "", [])
    assert path.exists()
    assert result == {"freed_mb": round(size / 2**20, 1), "dry_run": False} and result["freed_mb"] > 1
    assert f"{result['freed_mb']:.1f} MB" in said
    assert clear()[1]["freed_mb"] == 0


@pytest.mark.skipif(os.name != "posix", reason="processes and locks of POSIX")
def test_what_a_killed_run_left_in_the_caches_goes_too() -> None:
    left = left_by_a_killed_run(kept_weights.folder())
    assert (left / "part").exists()
    clear()
    assert not left.exists()


def test_what_is_told_counts_remembered_voices_too() -> None:
    width = 4096
    big = np.zeros((1, 32, width), np.float32)
    conditioning_cache.keep("c" * 64, Cached(big, arrays()[1], 10.0))
    assert clear()[1]["freed_mb"] == pytest.approx(32 * width * 4 / 2**20, abs=0.06)


def test_a_dry_run_empties_nothing() -> None:
    filled()
    assert clear(dry_run=True)[1] == {"freed_mb": None, "dry_run": True}
    assert len(files()) == 5


# --- the installation -----------------------------------------------------------------------------------------


def test_the_installation_is_tested_and_each_finding_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}
    findings = [Finding("Python", "ok", "3.11"), Finding("torch", "broken", "gone", "Install it.")]

    def examine(**wanted: Any) -> Iterator[Finding]:
        asked.update(wanted)
        yield from findings

    monkeypatch.setattr(doctor, "examine", examine)

    def check() -> tuple[int, dict[str, Any], str, str]:
        return said_by(lambda messages: housekeeping.check(
            tmp_path / "logs", "rehearsal-tiny", messages, never, offline=True))  # fmt: skip

    code, result, line, said = check()
    assert (code, line) == (3, "broken: torch")
    assert [finding["name"] for finding in result["findings"]] == ["Python", "torch"]
    assert said.splitlines() == ["ok       Python: 3.11", "broken   torch: gone", "         Install it."]
    assert (asked["offline"], asked["model"], asked["speak"]) == (True, "rehearsal-tiny", never)
    assert asked["log_dir"] == tmp_path / "logs"
    findings.pop()
    assert check()[0::2] == (0, "all is well")
