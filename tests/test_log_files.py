"""The log file: it rotates by day and by size, several processes share it, and nothing that was logged is lost."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import json
import logging
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import logger_config
from tests.reading_logs import HEAD, text_of
from voicekit.log_files import DatedFileHandler

ROOT = Path(logger_config.__file__).resolve().parent
ONE_DAY = 86400.0
NOBODY = 65534
posix = pytest.mark.skipif(os.name != "posix", reason="signals, users and limits of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces of Linux")


class Clock:
    """A clock that stands until it is told to go on; starts at noon of 2026-01-15, local time."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 1, 15, 12).timestamp()

    def __call__(self) -> float:
        return self.now


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def in_order(folder: Path) -> list[Path]:
    """The log's files in the order in which they were written."""

    def age(path: Path) -> tuple[str, int]:
        found = re.fullmatch(r"voice_cloning_([\d-]+)(?:\.(\d+))?\.log", path.name)
        return (found[1], int(found[2] or 1)) if found else ("now", 0)

    return sorted((folder / name for name in names(folder)), key=age)


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, __file__, 1, message, (), None)


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, stderr=-1, **options)  # type: ignore[call-overload]


def test_the_log_is_private(tmp_path: Path) -> None:
    DatedFileHandler(tmp_path / "logs").close()
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "logs" / "voice_cloning.log").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


def test_a_full_file_gets_the_name_of_its_day_and_a_second_one_a_number(tmp_path: Path) -> None:
    handler = DatedFileHandler(tmp_path, max_bytes=300, clock=Clock())
    for i in range(12):
        handler.handle(record(f"record {i} " + "x" * 100))
    handler.close()
    found = names(tmp_path)
    assert found[0] == "voice_cloning.log"
    assert "voice_cloning_2026-01-15.log" in found and "voice_cloning_2026-01-15.2.log" in found
    order = ["voice_cloning_2026-01-15.log"]
    order += [f"voice_cloning_2026-01-15.{number}.log" for number in range(2, len(found))]
    assert sorted([*order, "voice_cloning.log"]) == found
    text = "".join((tmp_path / name).read_text() for name in [*order, "voice_cloning.log"])
    assert re.findall(r"record (\d+)", text) == [str(i) for i in range(12)]
    assert all((tmp_path / name).stat().st_size <= 300 for name in found)


def test_an_existing_name_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "voice_cloning_2026-01-15.log").write_text("older\n")
    (tmp_path / "voice_cloning_2026-01-15.7.log").write_text("old\n")
    handler = DatedFileHandler(tmp_path, max_bytes=1, clock=Clock())
    handler.handle(record("one"))
    handler.handle(record("two"))
    handler.close()
    assert (tmp_path / "voice_cloning_2026-01-15.log").read_text() == "older\n"
    assert (tmp_path / "voice_cloning_2026-01-15.7.log").read_text() == "old\n"
    assert "one" in (tmp_path / "voice_cloning_2026-01-15.8.log").read_text()


def test_two_handlers_cross_midnight_together(tmp_path: Path) -> None:
    clock = Clock()
    first, second = DatedFileHandler(tmp_path, clock=clock), DatedFileHandler(tmp_path, clock=clock)
    first.handle(record("first on the 15th"))
    second.handle(record("second on the 15th"))
    clock.now += ONE_DAY
    first.handle(record("first on the 16th"))
    second.handle(record("second on the 16th"))
    clock.now += 3 * ONE_DAY
    second.handle(record("second on the 19th"))
    first.handle(record("first on the 19th"))
    for handler in (first, second):
        handler.close()
    contents = {
        name: re.findall(r"(?:first|second) on the \d+th", (tmp_path / name).read_text())
        for name in names(tmp_path)
    }
    assert contents == {
        "voice_cloning_2026-01-15.log": ["first on the 15th", "second on the 15th"],
        "voice_cloning_2026-01-16.log": ["first on the 16th", "second on the 16th"],
        "voice_cloning.log": ["second on the 19th", "first on the 19th"],
    }


def test_a_peer_that_rotates_while_we_wait_saves_us_the_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (DatedFileHandler(tmp_path, max_bytes=150) for _ in "ab")
    first.handle(record("one" + "x" * 80))
    locked = DatedFileHandler._locked

    def peer_first(self: DatedFileHandler, wait_s: float) -> contextlib.AbstractContextManager[bool]:
        monkeypatch.setattr(DatedFileHandler, "_locked", locked)
        second.handle(record("two"))
        return locked(self, wait_s)

    monkeypatch.setattr(DatedFileHandler, "_locked", peer_first)
    first.handle(record("three"))
    first.close()
    second.close()
    assert len(names(tmp_path)) == 2
    assert re.findall("two|three", text_of(tmp_path)) == ["two", "three"]


def test_two_processes_that_rotate_by_size_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import logging, sys; from voicekit.log_files import DatedFileHandler\n"
        "h = DatedFileHandler(sys.argv[1], max_bytes=4000, keep_files=1)\n"
        "for i in range(400):\n"
        "    h.handle(logging.LogRecord('w', 20, '', 1, f'<{sys.argv[2]}-{i}>' + 'x' * 60, (), None))\n"
        "assert h.dropped == 0"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), n], cwd=ROOT) for n in "abc"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    lines = "".join((tmp_path / name).read_text() for name in names(tmp_path)).splitlines()
    assert all(HEAD.fullmatch(line) for line in lines)
    assert sorted(re.findall(r"<(\w-\d+)>", "\n".join(lines))) == sorted(
        f"{w}-{i}" for w in "abc" for i in range(400)
    )
    assert len(names(tmp_path)) > 10


def test_retention_removes_old_and_surplus_logs_of_ours_alone(tmp_path: Path) -> None:
    clock = Clock()

    def make(name: str, days_ago: float) -> None:
        (tmp_path / name).write_text("x\n")
        os.utime(tmp_path / name, (clock.now - days_ago * ONE_DAY,) * 2)

    foreign = [
        "voice_cloning_2020-01-01.log.gz",
        "voice_cloning_2020-1-1.log",
        "runs.jsonl",
        "other_2020-01-01.log",
    ]
    foreign += [
        "voice_cloning_2020-01-01.0.log",
        "my_voice_cloning_2020-01-01.log",
        "voice_cloning_2020-01-01.txt",
    ]
    for name in foreign:
        make(name, 2000)
    make("voice_cloning_2025-12-01.log", 45)  # too old
    make("voice_cloning_2025-11-01.log", 0.5)  # its name is old, but somebody wrote to it lately
    make("voice_cloning_2026-01-10.log", 5)  # in time, but one too many
    make("voice_cloning_2026-01-11.log", 4)
    make("voice_cloning_2026-01-12.log", 3)
    (tmp_path / "voice_cloning_2019-01-01.log").mkdir()
    handler = DatedFileHandler(tmp_path, max_bytes=1, keep_days=30, keep_files=3, clock=clock)
    for _ in range(3):
        handler.handle(record("x"))
    handler.close()
    ours = ["voice_cloning_2025-11-01.log", "voice_cloning_2026-01-12.log", "voice_cloning_2026-01-15.log"]
    ours += ["voice_cloning_2026-01-15.2.log", "voice_cloning.log", "voice_cloning_2019-01-01.log"]
    assert names(tmp_path) == sorted(foreign + ours)


def test_a_rotation_that_fails_costs_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = DatedFileHandler(tmp_path, max_bytes=1)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "rename", refuse)
    for i in range(3):
        handler.handle(record(f"record {i}"))
    handler.close()
    assert re.findall(r"record \d", text_of(tmp_path)) == ["record 0", "record 1", "record 2"]


def test_a_folder_that_vanishes_is_made_again(tmp_path: Path) -> None:
    handler = DatedFileHandler(tmp_path / "logs")
    (tmp_path / "logs" / "voice_cloning.log").unlink()
    (tmp_path / "logs").rmdir()
    handler.handle(record("after"))
    handler.close()
    assert "after" in text_of(tmp_path / "logs")


def test_a_full_disk_is_said_once_and_counted_and_never_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = DatedFileHandler(tmp_path)
    write = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    for _ in range(5):
        handler.handle(record("lost"))
    monkeypatch.setattr(os, "write", write)
    first = capsys.readouterr().err
    assert first.count("\n") == 1 and os.strerror(errno.ENOSPC) in first
    handler.handle(record("there is room again"))
    handler.close()
    handler.close()
    assert capsys.readouterr().err.splitlines()[0].startswith("5 log records")
    assert [line.split(" - ", 3)[3] for line in text_of(tmp_path).splitlines()] == ["there is room again"]


def test_a_line_cut_by_a_full_disk_does_not_swallow_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = DatedFileHandler(tmp_path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    handler.handle(record("cut"))
    monkeypatch.setattr(os, "write", write)
    handler.handle(record("whole"))
    handler.close()
    cut, whole = text_of(tmp_path).splitlines()
    assert len(cut) == 10 and HEAD.fullmatch(whole)


def test_a_line_cut_by_a_killed_process_does_not_swallow_the_next(tmp_path: Path) -> None:
    (tmp_path / "voice_cloning.log").write_text("2026-01-15 10:30")
    clock = Clock()
    os.utime(tmp_path / "voice_cloning.log", (clock.now, clock.now))
    handler = DatedFileHandler(tmp_path, clock=clock)
    handler.handle(record("whole"))
    handler.handle(record("and the next"))
    handler.close()
    cut, *whole = text_of(tmp_path).splitlines()
    assert cut == "2026-01-15 10:30" and [bool(HEAD.fullmatch(line)) for line in whole] == [True, True]


def test_a_cut_line_is_no_concern_of_the_next_file(tmp_path: Path) -> None:
    (tmp_path / "voice_cloning.log").write_text("2026-01-15 10:30")
    handler = DatedFileHandler(tmp_path, max_bytes=1)
    handler.handle(record("whole"))
    handler.close()
    assert HEAD.fullmatch(text_of(tmp_path).rstrip("\n")) and text_of(tmp_path).count("\n") == 1


def test_what_was_written_lost_and_spent_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 10.25, 20.0, 20.5, 30.0, 30.125])
    monkeypatch.setattr("voicekit.log_files.time.perf_counter", lambda: next(ticks))
    handler = DatedFileHandler(tmp_path)
    handler.handle(record("kept"))
    handler.handle(record("kept too"))
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, data: 0)
        handler.handle(record("lost"))
    handler.close()
    assert (handler.records, handler.dropped, handler.seconds) == (2, 1, 0.875)


# --- several processes, and how they end ---------------------------------------------------------------

_WRITER = """
import datetime, logging, os, sys
from voicekit.log_files import DatedFileHandler

folder, name, midnight = sys.argv[1:]
before, after = (datetime.datetime(2026, 1, day, hour).timestamp() for day, hour in ((15, 23), (16, 1)))
clock = lambda: after if os.path.exists(midnight) else before
handler = DatedFileHandler(folder, max_bytes=50_000, clock=clock)
print("ready", flush=True)
sys.stdin.readline()
for i in range(5000):
    if i == 2500:
        open(midnight, "w").close()  # whoever is here first makes it midnight for both
    handler.handle(logging.LogRecord("w", 20, "", 1, f"<{name}-{i}>" + "x" * (i % 97), (), None))
handler.close()
assert (handler.records, handler.dropped) == (5000, 0)
"""


def test_two_processes_across_midnight_and_many_rotations_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    writers = [python(_WRITER, folder, name, tmp_path / "midnight") for name in "ab"]
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0), (b"", 0)]

    said: dict[str, list[int]] = {"a": [], "b": []}
    for path in in_order(folder):
        data = path.read_bytes()
        assert data.endswith(b"\n") and len(data) < 60_000
        for name, numbers in said.items():
            here = [int(number) for number in re.findall(rf"(?m) - INFO - w - <{name}-(\d+)>x*$", data.decode())]
            assert here == sorted(here)
            numbers += here
        assert all(re.fullmatch(r".* - INFO - w - <[ab]-\d+>x*", line) for line in data.decode().splitlines())
        assert all(HEAD.fullmatch(line) for line in data.decode().splitlines())
    assert sorted(said["a"]) == sorted(said["b"]) == list(range(5000))
    # Not the order over the files: a file's day is that of the machine until its first writer has set ours.
    for day in ("2026-01-15", "2026-01-16"):
        assert sum(day in path.name for path in in_order(folder)) >= 3


_VICTIM = """
import logging, os, struct, sys
from voicekit.log_files import DatedFileHandler

handler = DatedFileHandler(sys.argv[1], max_bytes=200_000)
i = 0
while True:
    handler.handle(logging.LogRecord("w", 20, "", 1, f"<{i}>" + "x" * (i * 37 % 9000), (), None))
    os.write(1, struct.pack("<I", i))
    i += 1
"""


@posix
@pytest.mark.parametrize("kill_at", [1, 40, 333, 1000])
def test_what_was_logged_before_a_kill_is_in_the_file(tmp_path: Path, kill_at: int) -> None:
    victim = python(_VICTIM, tmp_path)
    assert victim.stdout is not None
    told = victim.stdout.read(4 * kill_at)
    victim.kill()
    told += victim.stdout.read()
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    (last,) = struct.unpack("<I", told[-4:])
    assert len(told) == 4 * (last + 1) >= 4 * kill_at

    handler = DatedFileHandler(tmp_path, max_bytes=200_000)
    handler.handle(record("the next run"))
    handler.close()
    lines = "".join(path.read_text() for path in in_order(tmp_path)).splitlines()
    assert HEAD.fullmatch(lines[-1]) and lines[-1].endswith(" - the next run")
    whole = [re.fullmatch(r".* - INFO - w - <(\d+)>(x*)", line) for line in lines[: last + 1]]
    assert [(int(one[1]), len(one[2])) for one in whole if one] == [(i, i * 37 % 9000) for i in range(last + 1)]
    assert len(lines) <= last + 3  # these, perhaps the record that was being written, and the next run's


# --- where nothing can be written ----------------------------------------------------------------------

_FULL = """
import logging, resource, signal, sys
from logger_config import setup_logging

resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
setup_logging(sys.argv[1])
for i in range(100):
    logging.getLogger("w").info("<%d>%s", i, "x" * 40)
print("the work is done")
"""


@posix
def test_a_file_that_can_grow_no_more_costs_one_warning(tmp_path: Path) -> None:
    child = python(_FULL, tmp_path)
    out, err = child.communicate()
    assert (child.returncode, out) == (0, b"the work is done\n")
    warning, count = err.decode().splitlines()
    assert warning.startswith("Cannot write the log ") and warning.endswith(" The program goes on.")
    lines = text_of(tmp_path).splitlines()
    whole = [int(found[1]) for line in lines if (found := re.fullmatch(r".*<(\d+)>x{40}", line))]
    assert whole == list(range(len(whole))) and 30 < len(whole) >= len(lines) - 1
    assert count.startswith(f"{100 - len(whole)} log records could not be written to ")


_DISK = """
import json, logging, os, sys
from logger_config import setup_logging

folder = sys.argv[1]
with open(folder + "/ballast", "wb") as ballast:
    ballast.write(bytes(32 * 1024))
setup_logging(folder + "/logs")
for i in range(1000):
    logging.getLogger("w").info("<%d>%s", i, "x" * 40)
os.unlink(folder + "/ballast")
logging.getLogger("w").info("there is room again")
with open(folder + "/logs/voice_cloning.log") as log:
    print(json.dumps(log.read().splitlines()))
"""
_MOUNT = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'


def _namespace() -> list[str] | None:
    """How a process gets mounts of its own here; None where it may not."""
    for command in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        with contextlib.suppress(OSError), tempfile.TemporaryDirectory() as folder:
            mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder]
            if subprocess.run([*command, *mount], capture_output=True, check=False).returncode == 0:
                return command
    return None


@linux
def test_a_full_disk_costs_one_warning_and_the_log_goes_on_when_there_is_room(tmp_path: Path) -> None:
    namespace = _namespace()
    if not namespace:
        pytest.skip("no file system can be mounted here")
    command = [*namespace, "sh", "-c", _MOUNT, "sh", str(tmp_path), sys.executable, _DISK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    warning, count = done.stderr.splitlines()
    assert done.returncode == 0 and os.strerror(errno.ENOSPC) in warning
    lines = json.loads(done.stdout)
    assert lines[-1].endswith(" - there is room again") and HEAD.fullmatch(lines[-1])
    whole = [int(found[1]) for line in lines if (found := re.fullmatch(r".*<(\d+)>x{40}", line))]
    assert whole == list(range(len(whole))) and 200 < len(whole) >= len(lines) - 2
    assert count.startswith(f"{1000 - len(whole)} log records could not be written to ")


@pytest.fixture
def anybodys_folder() -> Iterator[Path]:
    """A folder that another user can reach: pytest's own are closed to all but the user of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="voice-cloning-tests-"))
    folder.chmod(0o777)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


_NOBODY = f"""
import contextlib, logging, os, sys
import platformdirs, logger_config
from voicekit.log_files import DatedFileHandler

if os.geteuid() == 0:  # no folder is closed to root
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""
_FALLBACK = (
    _NOBODY
    + """
print(logger_config.setup_logging(sys.argv[1]))
logging.getLogger("a").info("saved")
"""
)
_CLOSED_LATER = (
    _NOBODY
    + """
folder = sys.argv[1] + "/own"
handler = DatedFileHandler(folder, max_bytes=1)
handler.handle(logging.LogRecord("w", 20, "", 1, "open", (), None))
os.chmod(folder, 0o500)
for i in range(3):
    handler.handle(logging.LogRecord("w", 20, "", 1, f"closed {i}", (), None))
os.chmod(folder, 0o700)
handler.close()
print(handler.records, handler.dropped)
print(*(line.split(" - ")[3] for line in open(folder + "/voice_cloning.log")), sep="")
"""
)


@posix
@pytest.mark.parametrize("wanted", ["closed", "closed/logs", "of_another"])
def test_a_folder_of_another_user_is_passed_over_with_one_warning(anybodys_folder: Path, wanted: str) -> None:
    closed = anybodys_folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    other = anybodys_folder / "of_another"
    other.mkdir()
    (other / "voice_cloning.log").touch(0o000 if os.geteuid() else 0o600)
    other.chmod(0o777)
    environment = {**os.environ, "XDG_STATE_HOME": str(anybodys_folder / "state"), "HOME": str(anybodys_folder)}
    child = python(_FALLBACK, anybodys_folder / wanted, env=environment)
    out, err = child.communicate()
    (warning,) = err.decode().splitlines()
    used = Path(out.decode().strip())
    assert child.returncode == 0 and anybodys_folder / "state" in used.parents
    assert os.strerror(errno.EACCES) in warning
    assert text_of(used).splitlines()[-1].endswith(" - INFO - a - saved")


@posix
def test_a_folder_that_is_closed_later_costs_the_rotation_only(anybodys_folder: Path) -> None:
    child = python(_CLOSED_LATER, anybodys_folder)
    out, err = child.communicate()
    assert (child.returncode, err) == (0, b"")
    assert out.decode().splitlines()[0] == "4 0"
    assert out.decode().split()[2:] == ["open", "closed", "0", "closed", "1", "closed", "2"]
