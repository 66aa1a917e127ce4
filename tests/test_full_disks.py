"""No room, or no permission, for each of the places that the commands write to: told of or done without, never half.

Room is taken away by a small tmpfs; where none can be mounted, by a limit on the size of files, or by /dev/full for the
log. Permissions bind another user, since root may write everywhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

from tests.command_places import FOLDERS, Place, clone, improve

NOBODY = 65534
LIMIT = 60_000  # bytes of a file: more than a log has here, less than a second of the sound that is written
SHORT = ["--text", "A dog barks.", "-o", "a.opus"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="mounts, limits and users of POSIX")
Make = Callable[[], Place]


@pytest.fixture
def make(tiny_checkpoint: Path, voice_file: Path, tmp_path: Path) -> Iterator[Make]:
    """Gives a place that another user can reach, too: pytest's own folders are closed."""
    with tempfile.TemporaryDirectory(prefix="voice-cloning-tests-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield lambda: Place.make(Path(name, "place"), voice_file, tiny_checkpoint)


@contextlib.contextmanager
def no_room(folder: Path, *, kib: int) -> Iterator[dict[str, object]]:
    """So little room in an empty folder; gives what is to be said to the process that shall find it so."""
    mounted = os.environ.get("NO_TMPFS") is None and shutil.which("mount") is not None and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=755", "none", str(folder)], capture_output=True, check=False
    ).returncode == 0  # fmt: skip
    try:
        # Without a PATH: espeak-ng, which coqui asks for its version, does not live with this limit.
        yield {} if mounted else {"preexec_fn": _limited, "environment": {"PATH": ""}}
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def _limited() -> None:
    """Python ignores the signal of this limit: a write fails, as on a full disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def check_refused(place: Place, code: int, before: dict[str, str]) -> None:
    """Told in one sentence with a hint; nothing has a name, nothing is left, nothing was lost."""
    told = place.told()
    assert code == 1, told
    assert "Error: " in told and "Internal error" not in told
    assert place.inputs() == before
    assert [name for name in place.outputs() if not name.startswith("place")] == []


# --- no room ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [
    clone("--text", "A dog barks at the moon.", "-o", "a.wav", "--subtitles", "srt", "--sample-rate", "48000",
          "--no-preprocess"),  # where a limit stands for the disk, it is on temporary files, too
    improve("-o", "a.wav"),
], ids=["clone", "improve"])  # fmt: skip
def test_no_room_for_the_output(command: list[str], make: Make) -> None:
    place = make()
    before = place.inputs()
    with no_room(place.out, kib=32) as limits:
        code, told = place.run(command, **limits)
        check_refused(place, code, before)
        assert "'a.wav' cannot be written" in told
        assert place.litter() == []
    assert place.run(command)[0] == 0
    assert len(soundfile.read(place.out / "a.wav")[0])
    assert place.litter() == []


def test_no_room_for_temporary_files(make: Make) -> None:
    place = make()
    before = place.inputs()
    with no_room(place.root / "tmp", kib=16) as limits:
        code, _ = place.run(clone(*SHORT), **limits)
        check_refused(place, code, before)
        assert place.litter() == []


def test_no_room_for_a_voice_that_is_to_be_saved(make: Make) -> None:
    place = make()
    before = place.inputs()
    data = place.root / "data"
    with no_room(data, kib=4) as limits:
        if limits:  # a voice of the tiny model is smaller than any limit that a log keeps to
            data.rmdir()
            data.write_bytes(b"no folder")
        code, _ = place.run(clone(*SHORT, "--save-voice", "me"))
        check_refused(place, code, before)
        assert list(place.root.glob("data/voice-cloning/voices/*")) == []


def test_no_room_for_caches_and_log_costs_only_these(make: Make) -> None:
    place = make()
    cache = place.root / "cache"
    shutil.move(cache / "voice-cloning" / "rehearsal", place.root / "models")
    log, room = place.root / "logs", contextlib.ExitStack()
    with room:
        limits = room.enter_context(no_room(cache, kib=16))
        if limits:
            (log / "voice_cloning.log").symlink_to("/dev/full")
        else:
            room.enter_context(no_room(log, kib=4))
        (cache / "voice-cloning").mkdir(exist_ok=True)
        shutil.move(place.root / "models", cache / "voice-cloning" / "rehearsal")
        code, told = place.run(clone(*SHORT, "--no-preprocess"), **limits)
        assert code == 0, told
        assert len(soundfile.read(place.out / "a.opus")[0])
        assert "journal cannot be written" in told
        assert told.count("Cannot write the log") == 1 and "log records could not be written" in told
        assert not place.groups()
        # The record of a run has no room either: that it was under way is all that is known of it.
        assert [name for name in place.litter() if not name.startswith("logs/running/")] == []


# --- no permission ----------------------------------------------------------------------------------------------


def _as_another(command: list[str], place: Place) -> list[str]:
    """The command as a user who may read everything, since Python may lie in root's home, and write as modes say."""
    if os.geteuid():
        return command
    given = "+dac_read_search"
    script = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--inh-caps={given}",
              f"--ambient-caps={given}"]  # fmt: skip
    for path in (place.root, *place.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return [*script, *command]


@contextlib.contextmanager
def closed(*folders: Path) -> Iterator[None]:
    """Nobody but root may write there."""
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o755)


def run_as_another(place: Place, command: list[str]) -> tuple[int, str]:
    own = {"HOME": str(place.root)}
    return place.run(command, environment=own, prefix=_as_another([], place))


@pytest.mark.parametrize("command", [clone(*SHORT), improve("-o", "a.wav")], ids=["clone", "improve"])
def test_no_permission_for_the_output(command: list[str], make: Make) -> None:
    place = make()
    before = place.inputs()
    with closed(place.out):
        code, told = run_as_another(place, command)
        check_refused(place, code, before)
        assert "cannot be written to" in told and "Choose another one." in told
        assert place.litter() == []


def test_no_permission_for_a_recording_that_is_improved_beside_itself(make: Make) -> None:
    place = make()
    before = place.inputs()
    with closed(place.root / "in"):
        code, _ = run_as_another(place, improve())
        check_refused(place, code, before)


@pytest.mark.parametrize(("folder", "more"), [("tmp", ()), ("data", ("--save-voice", "me"))])
def test_no_permission_where_something_must_be_written(folder: str, more: tuple[str, ...], make: Make) -> None:
    place = make()
    before = place.inputs()
    with closed(place.root / folder):
        code, told = run_as_another(place, clone(*SHORT, *more))
        if folder == "tmp" and code == 0:  # Python looks for other folders
            assert place.litter() == [] and len(soundfile.read(place.out / "a.opus")[0])
        else:
            check_refused(place, code, before)
            assert str(place.root / folder) in told


def test_no_permission_for_caches_and_log_costs_only_these(make: Make) -> None:
    place = make()
    caches = [place.root / "cache" / "voice-cloning", place.root / "cache", place.root / "logs"]
    with closed(*caches):
        code, told = run_as_another(place, clone(*SHORT))
        assert code == 0, told
        assert len(soundfile.read(place.out / "a.opus")[0])
        assert "journal cannot be written" in told
        assert told.count("The log cannot be written to") == 1
        assert sorted(os.listdir(place.root / "logs")) == [] and place.litter() == []
    log = place.root / FOLDERS["XDG_STATE_HOME"] / "voice-cloning" / "log" / "voice_cloning.log"
    assert log.read_text("utf-8").splitlines()[-1].count("finished - exit code 0") == 1
