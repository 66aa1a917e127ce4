"""What was spoken is kept whole and private, never believed when damaged, and never needed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voicekit import journal
from voicekit.audio import Audio
from voicekit.journal import Journal, Pins, Spoken, remove_old

posix = pytest.mark.skipif(os.name != "posix", reason="modes and limits are POSIX's")
KEY, DIGEST, OTHER = "a1" * 32, "b2" * 32, "c3" * 32
DAY_S = 86_400
PINS = Pins(2**62 + 1, "bfloat16", 2, {"0:3": 2}, finished=False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voice-cloning" / "journal"


def a_group(samples: int = 40) -> list[Spoken]:
    rng = np.random.default_rng(samples)
    audio = [Audio(rng.uniform(-1, 1, samples + more).astype(np.float32), 24_000) for more in (0, 7)]
    return [
        Spoken(audio[0], 123, True),
        Spoken(audio[1], 602, False, 3, ("ceiling", "loop"), ("it loops", "it is short"), -2.345678, 0.12),
    ]


def same(found: Iterator[Spoken] | None, kept: list[Spoken]) -> bool:
    """Whether that is what was kept, and said to come from the journal."""
    found = None if found is None else list(found)
    if found is None or not all(each.reused for each in found):
        return False
    return [facts(each) for each in found] == [facts(each) for each in kept]


def facts(spoken: Spoken) -> tuple[object, ...]:
    rest = {name: value for name, value in vars(spoken).items() if name not in ("audio", "reused")}
    return spoken.audio.samples.dtype.str, spoken.audio.samples.tobytes(), spoken.audio.sample_rate, rest


def file_of(digest: str) -> Path:
    (path,) = journal.folder().glob(f"groups/{digest}*")
    return path


# --- groups ---------------------------------------------------------------------------------------------------


def test_what_was_spoken_is_found_bit_for_bit() -> None:
    Journal(KEY).keep(DIGEST, a_group())
    assert same(Journal(OTHER).find(DIGEST), a_group())  # whatever command asks: the digest says it all


def test_what_was_not_spoken_is_not_found(caplog: pytest.LogCaptureFixture) -> None:
    assert Journal(KEY).find(DIGEST) is None
    Journal(KEY).keep(DIGEST, a_group())
    assert Journal(KEY).find(OTHER) is None
    assert not caplog.records  # nothing is wrong with it


def test_a_group_is_replaced_whole() -> None:
    Journal(KEY).keep(DIGEST, a_group())
    Journal(KEY).keep(DIGEST, a_group(90))
    assert same(Journal(KEY).find(DIGEST), a_group(90))


@posix
def test_nobody_else_can_look(home: Path) -> None:
    before = os.umask(0)  # the most generous user there is
    try:
        home.mkdir(parents=True)
        home.chmod(0o755)  # made by somebody less careful
        Journal(KEY).pin(PINS)
        Journal(KEY).keep(DIGEST, a_group())
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert all(home in path.parents for path in (file_of(DIGEST), home / f"{KEY}.json"))
    assert sorted(path.name for path in home.iterdir()) == [f"{KEY}.json", "groups"]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 100, 0.5, -1])
def test_a_truncated_group_is_spoken_again(length: float, caplog: pytest.LogCaptureFixture) -> None:
    Journal(KEY).keep(DIGEST, a_group())
    data = file_of(DIGEST).read_bytes()
    file_of(DIGEST).write_bytes(data[: round(length * len(data)) if length == 0.5 else int(length)])
    assert Journal(KEY).find(DIGEST) is None
    assert "damaged" in caplog.text
    assert not list(journal.folder().glob("groups/*"))  # nor is it tried again
    Journal(KEY).keep(DIGEST, a_group())
    assert same(Journal(KEY).find(DIGEST), a_group())


def flipped(places: Callable[[bytes], range]) -> list[int]:
    """Where a flipped bit gave a group that is not what was kept; each byte of these places once."""
    Journal(KEY).keep(DIGEST, a_group())
    path, data = file_of(DIGEST), file_of(DIGEST).read_bytes()
    believed = []
    for place in places(data):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        try:
            found = Journal(KEY).find(DIGEST)
            if found is not None and not same(found, a_group()):
                believed.append(place)
        except Exception:  # what is not noticed at once would break the run
            believed.append(place)
    return believed


def header_bytes(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


@pytest.mark.parametrize("trouble", [MemoryError(), OSError(5, "Input/output error")])
def test_what_says_nothing_of_the_file_leaves_it(trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(KEY).keep(DIGEST, a_group())

    def opened(_: Path) -> None:
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(journal, "_opened", opened)
        if isinstance(trouble, MemoryError):
            with pytest.raises(MemoryError):
                Journal(KEY).find(DIGEST)
        else:
            assert Journal(KEY).find(DIGEST) is None
    assert same(Journal(KEY).find(DIGEST), a_group())


def test_a_flipped_bit_of_the_sound_is_noticed() -> None:
    assert flipped(lambda data: range(header_bytes(data), len(data))) == []


def test_a_flipped_bit_of_what_is_said_about_the_sound_is_noticed() -> None:
    assert flipped(lambda data: range(header_bytes(data))) == []


@pytest.mark.parametrize("about", ["{}", "[]", "null", '[{"codes": 1}]', "no JSON"])
def test_a_file_of_somebody_else_is_not_believed(about: str) -> None:
    from safetensors.numpy import save_file

    Journal(KEY).keep(DIGEST, a_group())
    save_file({"0": np.ones(4, np.float32)}, file_of(DIGEST), {"segments": about})
    found = Journal(KEY).find(DIGEST)
    assert found is None or list(found) == []


def test_one_segment_at_a_time_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors

    Journal(KEY).keep(DIGEST, [a_group()[0] for _ in range(5)])
    real, read = safetensors.safe_open, list[str]()

    class Counted:
        def __init__(self, *args: Any, **more: Any) -> None:
            self._file = real(*args, **more)

        def __enter__(self) -> Counted:
            self._file.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self._file.__exit__(*error)

        def metadata(self) -> Any:
            return self._file.metadata()

        def get_tensor(self, name: str) -> Any:
            read.append(name)
            return self._file.get_tensor(name)

    monkeypatch.setattr(safetensors, "safe_open", Counted)
    found = Journal(KEY).find(DIGEST)
    assert found is not None
    assert read == ["0", "1", "2", "3", "4"]  # looked through, once
    read.clear()
    next(found)
    assert read == ["0"]
    next(found)
    assert read == ["0", "1"]


def test_a_group_that_was_found_stays_whole_while_it_is_used() -> None:
    """Another run may clear the cache in the meantime."""
    Journal(KEY).keep(DIGEST, a_group())
    found = Journal(KEY).find(DIGEST)
    remove_old(days=0)
    assert same(found, a_group()) and Journal(KEY).find(DIGEST) is None


# --- disks ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow over 4 kB meanwhile. No fixture: pytest's own output may be a file, and longer than that."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_costs_only_the_resume(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), full_disk():
        Journal(KEY).keep(DIGEST, a_group(5000))
        Journal(KEY).pin(Pins(1, "float32", 2, {f"0:{line}": 1 for line in range(1000)}))
    assert len([record for record in caplog.records if "cannot be written" in record.message]) == 2
    assert Journal(KEY).find(DIGEST) is None
    assert Journal(KEY).pins() is None
    assert [path.name for path in journal.folder().rglob("*")] == ["groups"]


def test_a_full_disk_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    Journal(KEY).pin(PINS)
    Journal(KEY).keep(DIGEST, a_group())
    monkeypatch.setattr(os, "fsync", full)
    Journal(KEY).pin(Pins(2, "float32", 1))
    Journal(KEY).keep(DIGEST, a_group(90))
    assert Journal(KEY).pins() == PINS
    assert same(Journal(KEY).find(DIGEST), a_group())


def test_an_interrupt_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    Journal(KEY).pin(PINS)
    Journal(KEY).keep(DIGEST, a_group())
    before = sorted(journal.folder().rglob("*"))
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Journal(KEY).pin(Pins(2, "float32", 1))
    with pytest.raises(KeyboardInterrupt):
        Journal(KEY).keep(DIGEST, a_group(90))
    assert sorted(journal.folder().rglob("*")) == before
    assert Journal(KEY).pins() == PINS
    assert same(Journal(KEY).find(DIGEST), a_group())


def test_a_folder_that_cannot_be_made_costs_only_the_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    Journal(KEY).pin(PINS)
    Journal(KEY).keep(DIGEST, a_group())
    assert "cannot be written" in caplog.text
    assert Journal(KEY).pins() is None
    assert Journal(KEY).find(DIGEST) is None
    assert remove_old(days=0) == 0


# --- pins -----------------------------------------------------------------------------------------------------


def test_what_a_command_chose_is_found_by_that_command() -> None:
    Journal(KEY).pin(PINS)
    assert Journal(KEY).pins() == PINS
    assert Journal(OTHER).pins() is None
    Journal(KEY).pin(Pins(1, "float32", 0, finished=True))
    assert Journal(KEY).pins() == Pins(1, "float32", 0, finished=True)


@pytest.mark.parametrize("damage", [
    "", "{", "[]", "null", "7", "{}", '{"seed": 1}',
    '{"seed": "x", "precision": "float32", "threads": 2, "redo": {}, "finished": false}',
    '{"seed": null, "precision": "float32", "threads": 2, "redo": {}, "finished": false}',
    '{"seed": 1, "precision": "float32", "threads": 2, "redo": null, "finished": false}',
    '{"seed": 1, "precision": "float32", "threads": 2, "redo": {"0:1": "x"}, "finished": false}',
])  # fmt: skip
def test_damaged_pins_are_none(damage: str) -> None:
    Journal(KEY).pin(PINS)
    (journal.folder() / f"{KEY}.json").write_text(damage)
    assert Journal(KEY).pins() is None


def test_bytes_that_are_no_text_are_no_pins() -> None:
    Journal(KEY).pin(PINS)
    (journal.folder() / f"{KEY}.json").write_bytes(b"\xff\xfe\x00")
    assert Journal(KEY).pins() is None


def test_pins_are_plain_json() -> None:
    Journal(KEY).pin(PINS)
    assert json.loads((journal.folder() / f"{KEY}.json").read_bytes())["seed"] == PINS.seed


# --- age ------------------------------------------------------------------------------------------------------


def aged(path: Path, days: float) -> int:
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path.stat().st_size


def test_what_nobody_touched_for_a_week_goes() -> None:
    for name in (KEY, OTHER):
        Journal(name).pin(PINS)
        Journal(name).keep(name, a_group())
    freed = aged(file_of(KEY), 7.01) + aged(journal.folder() / f"{KEY}.json", 8)
    aged(file_of(OTHER), 6.99)
    assert remove_old() == freed
    assert Journal(KEY).pins() is None and Journal(KEY).find(KEY) is None
    assert Journal(OTHER).pins() == PINS and same(Journal(OTHER).find(OTHER), a_group())


def test_what_is_used_stays() -> None:
    Journal(KEY).pin(PINS)
    Journal(KEY).keep(DIGEST, a_group())
    for path in (file_of(DIGEST), journal.folder() / f"{KEY}.json"):
        aged(path, 30)
    Journal(KEY).pins()
    Journal(KEY).find(DIGEST)
    assert remove_old() == 0
    assert Journal(KEY).pins() == PINS and same(Journal(KEY).find(DIGEST), a_group())


def test_everything_goes_where_that_is_asked_for() -> None:
    assert remove_old(days=0) == 0  # there is not even a folder
    Journal(KEY).pin(PINS)
    Journal(KEY).keep(DIGEST, a_group())
    (journal.folder() / "groups" / ".left.part").write_bytes(b"of a process that was killed")
    size = sum(path.stat().st_size for path in journal.folder().rglob("*") if path.is_file())
    assert remove_old(days=0) == size
    assert not [path for path in journal.folder().rglob("*") if path.is_file()]
