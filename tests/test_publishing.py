"""Files appear whole or not at all, and never over another one unasked."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from voicekit.errors import OutputError
from voicekit.publishing import check_target, published, temporary_folder, write_whole


def test_writes_the_bytes_and_leaves_nothing_else(tmp_path: Path) -> None:
    assert write_whole(tmp_path / "a.html", b"whole") == tmp_path / "a.html"
    assert (tmp_path / "a.html").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["a.html"]


def test_refuses_to_overwrite_unless_told_to(tmp_path: Path) -> None:
    target = tmp_path / "a.html"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        write_whole(target, b"other")
    assert target.read_bytes() == b"mine"
    write_whole(target, b"other", overwrite=True)
    assert target.read_bytes() == b"other"
    assert os.listdir(tmp_path) == ["a.html"]


def test_what_cannot_be_finished_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_whole(tmp_path / "a.html", b"whole")
    assert os.listdir(tmp_path) == []


def test_an_interrupt_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.html", b"whole")
    assert os.listdir(tmp_path) == []


def test_without_links_the_name_is_claimed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    write_whole(tmp_path / "a.html", b"whole")
    assert (tmp_path / "a.html").read_bytes() == b"whole"
    with pytest.raises(OutputError, match="exists already"):
        write_whole(tmp_path / "a.html", b"other")
    assert os.listdir(tmp_path) == ["a.html"]


def test_an_interrupt_behind_the_last_step_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without links: the file has its name when Ctrl-C is heard."""
    replace = os.replace

    def no_links(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    def interrupted(part: Path, final: Path) -> None:
        replace(part, final)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.html", b"whole")
    assert (tmp_path / "a.html").read_bytes() == b"whole"


def test_an_interrupt_before_the_last_step_leaves_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a.html", b"whole")
    assert os.listdir(tmp_path) == []


def test_follows_a_symbolic_link_when_it_may_overwrite(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_bytes(b"old")
    (tmp_path / "link.html").symlink_to("real.html")
    write_whole(tmp_path / "link.html", b"new", overwrite=True)
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_bytes() == b"new"


@pytest.mark.parametrize(("name", "says"), [
    ("a.txt", "does not end in .html or .htm"),
    ("no/a.html", "There is no folder"),
    ("folder.html", "is a folder"),
    ("taken.html", "exists already"),
])
def test_says_beforehand_what_will_not_work(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "taken.html").touch()
    with pytest.raises(OutputError, match=says):
        check_target(tmp_path / name, (".html", ".htm"))
    assert check_target(tmp_path / "free.HTM", (".html", ".htm")) == tmp_path / "free.HTM"


def test_a_name_taken_meanwhile_is_never_replaced(tmp_path: Path) -> None:
    final = tmp_path / "a.wav"
    with pytest.raises(OutputError, match="exists already"):
        with published(final, overwrite=False) as part:
            part.write_bytes(b"new")
            final.write_bytes(b"theirs")
    assert final.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["a.wav"]


def test_the_same_bytes_will_do_where_that_is_said(tmp_path: Path) -> None:
    """A run that was killed may have written the file; another's is told of all the same."""
    target = write_whole(tmp_path / "a.srt", b"whole")
    before = target.stat().st_ino
    with pytest.raises(OutputError, match="exists already"):
        write_whole(target, b"whole")
    write_whole(target, b"whole", or_same=True)
    for other in (b"whole.", b"whol", b"Whole", b""):
        with pytest.raises(OutputError, match="exists already"):
            write_whole(target, other, or_same=True)
    assert (target.read_bytes(), target.stat().st_ino) == (b"whole", before)
    assert os.listdir(tmp_path) == ["a.srt"]


def test_temporary_files_have_a_place_or_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert folder.parent == tmp_path
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no"))
    with pytest.raises(OutputError, match="Temporary files"), temporary_folder():
        pass


def test_an_error_in_a_temporary_folder_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(FileNotFoundError), temporary_folder() as folder:
        (folder / "no").read_bytes()
