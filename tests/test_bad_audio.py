"""Every kind of bad audio, through the reading of both commands and through the commands: refused well, or read.

The reading is watched in a process of its own: no hang (10 s of processor time), memory bounded, no word on the streams
from the libraries, no exception but an AudioError with a message and a hint.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import improve_voice_sample
import simple_voice_clone
from tests.bad_audio import KINDS, put, whole
from tests.bad_places import CONTENTS, in_a_folder_of_its_own
from tests.watched_reading import READERS, in_a_child, watched

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits, pipes and links are POSIX's here")

NOBODY = 65534
REFUSED = [kind for kind in KINDS if KINDS[kind].refusal]
ODD_NAMES = [kind for kind in KINDS if kind.startswith("a name with")]
FOLDERS = ("a folder", "a link to a folder")  # improve_voice_sample.py takes what is in them
# All of a sample is hashed before it is read: a terabyte takes its time.
CLONED = [kind for kind in CONTENTS if KINDS[kind].refusal and kind != "a terabyte of nothing"][::6]
NO_FILES = [kind for kind in REFUSED if kind not in CONTENTS and kind != "no name"]


def read_all(place: str) -> dict[str, dict[str, Any]]:
    """What comes of each kind in each reader; which one it is at is told by a file, should it be the last."""
    outcomes = {}
    for kind in KINDS:
        name = in_a_folder_of_its_own(kind, Path(place))
        (Path(place) / "at").write_text(kind)
        outcomes[kind] = {reader: asdict(watched(name, reader)) for reader in READERS}
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    place = tmp_path_factory.mktemp("kinds")
    try:
        return dict(in_a_child(f"{__name__}.read_all", str(place)))
    except Exception as error:
        raise AssertionError(f"at the kind {(place / 'at').read_text()!r}") from error


def test_there_are_many_kinds() -> None:
    assert len(KINDS) >= 60 and len(REFUSED) >= 40 and len(CLONED) >= 8


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_reading_gives_the_sound_or_a_reason(outcomes: dict[str, dict[str, Any]], kind: str, reader: str) -> None:
    found, wanted = outcomes[kind][reader], KINDS[kind]
    assert found["defect"] is None
    assert found["grown_mb"] < wanted.most_mb
    if wanted.refusal:
        assert re.search(wanted.refusal, found["refusal"] or "was read")
    else:
        assert found["refusal"] is None
        assert wanted.values[0] <= found["values"] <= wanted.values[1]


def refused_well(code: int, said: str, before: set[Path]) -> None:
    """An error of the input, with a hint, a place in the log and nothing left behind."""
    assert code == 1, said
    assert "Traceback" not in said and "Internal error" not in said and "Logging error" not in said
    lines = said.splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("Error: "))
    assert len(lines[at]) > 20 and lines[at + 1].startswith("       ") and len(lines[at + 1]) > 15
    assert set(Path().rglob("*")) == before, "something was written"


@pytest.fixture
def _back(tmp_path: Path) -> Iterator[None]:
    here = os.getcwd()
    yield
    os.chdir(here)


@pytest.mark.usefixtures("_back")
@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind not in (*FOLDERS, "no name")])
def test_improve_refuses_it(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = in_a_folder_of_its_own(kind, tmp_path)
    before = set(Path().rglob("*"))
    code = improve_voice_sample.main(["-o", "out.wav", "--", name])
    heard = capfd.readouterr()
    refused_well(code, heard.err, before)
    assert heard.out == ""


@pytest.mark.usefixtures("_back", "tiny_checkpoint")
@pytest.mark.parametrize("kind", CLONED)
def test_clone_refuses_it(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = in_a_folder_of_its_own(kind, tmp_path)
    before = set(Path().rglob("*"))
    code = clone(name)
    heard = capfd.readouterr()
    refused_well(code, heard.err, before)
    assert heard.out == ""


def clone(voice: str) -> int:
    return simple_voice_clone.main(
        ["--model", "rehearsal-tiny", "--text", "A dog.", "-o", "out.wav", f"--voice={voice}"]
    )


def clone_no_files(place: str) -> list[tuple[str, int, str, list[str]]]:
    """Of each kind that is no file: the exit code, what was said, what was in the folder in the end but not before."""
    told = []
    for kind in NO_FILES:
        name = in_a_folder_of_its_own(kind, Path(place))
        (Path(place) / "at").write_text(kind)
        before = set(os.listdir())
        with contextlib.redirect_stderr(io.StringIO()) as said:
            code = clone(name)
        told.append((kind, code, said.getvalue(), sorted(set(os.listdir()) - before)))
    return told


@pytest.mark.usefixtures("tiny_checkpoint")
def test_clone_refuses_what_is_no_file_and_waits_for_none(tmp_path: Path) -> None:
    try:
        told = in_a_child(f"{__name__}.clone_no_files", str(tmp_path), seconds=100)
    except subprocess.TimeoutExpired:
        pytest.fail(f"waited for {(tmp_path / 'at').read_text()!r}")
    for kind, code, said, written in told:
        assert (code, written) == (1, []), (kind, said)
        assert "Error: " in said and "Traceback" not in said and "Internal error" not in said, (kind, said)
    assert len(told) == len(NO_FILES) >= 10


@pytest.mark.usefixtures("_back")
@pytest.mark.parametrize("kind", ODD_NAMES)
def test_improve_takes_any_name(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = in_a_folder_of_its_own(kind, tmp_path)
    assert improve_voice_sample.main(["--analyze-only", "--no-dnsmos", "--", name]) == 0
    assert "rror" not in capfd.readouterr().err


# --- what may not be read; root may read everything, so another user tries -----------------------------------------


def as_nobody(place: str, names: list[str]) -> list[Any]:
    """What comes of these files for a user who owns nothing; of the first one in the command, too."""
    import av  # noqa: F401  (the packages may lie where that user may not go)

    os.chdir(place)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    refusals = [watched(name, reader).refusal for name in names for reader in READERS]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = improve_voice_sample.main(["-o", "out.wav", "--log-dir", "logs", "--", names[0]])
    return [refusals, code, said.getvalue(), sorted(os.listdir())]


def test_what_may_not_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.chdir(folder)
        for name in ("closed.wav", "open.wav", "in/a.wav"):
            Path(name).parent.mkdir(exist_ok=True)
            put(whole("wav"), name)
        os.symlink("closed.wav", "link.wav")
        os.mkdir("logs")
        for name, mode in ((".", 0o777), ("logs", 0o777), ("open.wav", 0o644), ("closed.wav", 0), ("in", 0)):
            os.chmod(name, mode)
        names = ["closed.wav", "link.wav", "in/a.wav", "open.wav"]
        try:
            refusals, code, said, left = in_a_child(f"{__name__}.as_nobody", folder, names)
        finally:
            os.chmod("in", 0o755)
        assert all("may not be read" in refusal for refusal in refusals[:6]), refusals
        assert refusals[6:] == [None, None], "what may be read is read"
        assert code == 1 and "may not be read" in said and "Traceback" not in said
        assert left == ["closed.wav", "in", "link.wav", "logs", "open.wav"]
