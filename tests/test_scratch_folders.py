"""What killed processes left goes, what a living one holds stays, and nobody else's file is ever touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from voicekit import scratch_folders
from voicekit.publishing import write_whole
from voicekit.scratch_folders import remove_left, scratch_folder

ROOT = Path(__file__).resolve().parent.parent
HOLDS = """
import sys, time
from voicekit.scratch_folders import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "half").write_bytes(b"half")
    (folder / "more").mkdir()
    (folder / "more" / "half").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(600)
"""

posix = pytest.mark.skipif(os.name != "posix", reason="locks and signals of POSIX")


@contextmanager
def holding(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that holds a scratch folder, and its path."""
    command = [sys.executable, "-c", HOLDS, str(parent)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def killed(parent: Path) -> Path:
    """What a killed process left."""
    with holding(parent) as (process, folder):
        process.kill()
        process.wait()
    assert (folder / "half").exists()
    return folder


def aged(folder: Path, days: float) -> None:
    when = time.time() - days * 86_400
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (when, when))


def test_it_is_private_hidden_empty_and_gone_at_the_end(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert folder.parent == tmp_path and folder.name.startswith(".")
        assert os.listdir(folder) == ["lock"]
        assert os.name != "posix" or folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_it_is_gone_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), scratch_folder(tmp_path) as folder:
        (folder / "half").touch()
        raise error
    assert os.listdir(tmp_path) == []


def test_where_nothing_can_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError), scratch_folder(tmp_path / "no"):  # noqa: PT011 - whichever it is
        pass


@posix
def test_the_next_file_that_is_published_removes_what_was_left(tmp_path: Path) -> None:
    left = [killed(tmp_path), killed(tmp_path)]
    write_whole(tmp_path / "a.html", b"whole")
    assert os.listdir(tmp_path) == ["a.html"], left


@posix
def test_what_a_living_process_holds_stays(tmp_path: Path) -> None:
    with holding(tmp_path) as (process, folder):
        aged(folder, 30)  # it may be stopped for as long as it likes
        remove_left(tmp_path)
        assert (folder / "half").exists() and (folder / "more" / "half").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        remove_left(tmp_path)
    assert os.listdir(tmp_path) == []


@posix
def test_only_our_own_kind_of_folder_goes(tmp_path: Path) -> None:
    ours = killed(tmp_path).name
    others = [ours[:-1], ours + "t", ours[1:], ours.upper(), ours.replace("-", "_"), ".0123456789abcdef.part",
              ".voice-cloning-.part", ".voice-cloning-zzzzzzzz-00000000.part"]  # fmt: skip
    for name in others:
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
    (tmp_path / ours.replace(ours[-9], "0" if ours[-9] != "0" else "1")).write_bytes(b"a file of that name")
    kept = tmp_path.parent / f"{tmp_path.name}-kept"
    kept.mkdir()
    (kept / "lock").touch()
    (tmp_path / f"{ours[:-13]}ffffffff.part").symlink_to(kept)
    before = set(os.listdir(tmp_path)) - {ours}
    remove_left(tmp_path)
    assert set(os.listdir(tmp_path)) == before
    assert os.listdir(kept) == ["lock"]


@posix
def test_another_users_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = killed(tmp_path)
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    remove_left(tmp_path)
    assert (folder / "half").exists()


@posix
@pytest.mark.parametrize(("days", "stays"), [(0.9, True), (1.1, False)])
def test_another_machines_goes_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, stays: bool
) -> None:
    """Its locks need not be seen here."""
    folder = killed(tmp_path)
    monkeypatch.setattr(scratch_folders, "_machine", lambda: "0" * 8)
    aged(folder, days)
    remove_left(tmp_path)
    assert folder.exists() == stays


@posix
@pytest.mark.parametrize(("days", "stays"), [(0.0, True), (1.1, False)])
def test_without_locks_age_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, stays: bool
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    folder = killed(tmp_path)
    aged(folder, days)
    monkeypatch.setattr(scratch_folders.fcntl, "flock", no_locks)
    remove_left(tmp_path)
    assert folder.exists() == stays
    with scratch_folder(tmp_path) as own:
        assert own.exists()


@posix
def test_one_that_was_left_before_it_had_its_lock_goes(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        name = folder.name
    (tmp_path / name).mkdir()
    remove_left(tmp_path)
    assert os.listdir(tmp_path) == []


@posix
@pytest.mark.parametrize("when", ["open", "flock"])
def test_one_that_is_taken_for_litter_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Another process tidies up between two steps of the making."""
    place = {"open": os, "flock": scratch_folders.fcntl}[when]
    real, tidied = getattr(place, when), list[int]()

    def disturbed(*given: object) -> object:
        if not tidied and (when == "flock" or str(given[0]).endswith("lock")):
            tidied.append(1)
            remove_left(tmp_path)
        return real(*given)

    monkeypatch.setattr(place, when, disturbed)
    with scratch_folder(tmp_path) as folder:
        monkeypatch.undo()
        remove_left(tmp_path)
        assert os.listdir(folder) == ["lock"]
    assert tidied and os.listdir(tmp_path) == []


@posix
def test_two_that_tidy_up_at_once_leave_nothing(tmp_path: Path) -> None:
    for _ in range(8):
        killed(tmp_path)
    code = "import sys; from voicekit.scratch_folders import remove_left; remove_left(sys.argv[1])"
    tidying = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in tidying] == [0] * 4
    assert os.listdir(tmp_path) == []
