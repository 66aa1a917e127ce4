"""The README's commands as they stand, in their order, in a folder that has the files that they name.

Where a command would take the released model, it gets the tiny untrained one; what is piped into a player is caught.
"""

from __future__ import annotations

import functools
import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import soundfile

import improve_voice_sample
import logger_config
import simple_voice_clone
from samples.make_logs import noisy_recording
from tests.test_epub_reading import build, navigation, page
from voicekit import profiles
from voicekit.cloning import CloneSettings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
MAINS = {"improve_voice_sample.py": improve_voice_sample.main, "simple_voice_clone.py": simple_voice_clone.main,
         "logger_config.py": logger_config.main}  # fmt: skip
SUBTITLES = "1\n00:00:00,500 --> 00:00:02,000\nGuten Tag.\n\n2\n00:00:03,000 --> 00:00:05,000\nAuf Wiedersehen.\n"


def blocks(kind: str = "") -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [content for language, content in fenced if language == kind]


def commands() -> list[str]:
    """Every line that runs one of the scripts, as it stands."""
    lines = [line for block in blocks() for line in block.splitlines()]
    return [line for line in lines if re.search(r"(^|\| )python \w+\.py", line)]


@pytest.fixture
def folder(tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's folder, with a home of its own, in which no voice is saved."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("VOICE_CLONING_LOG_DIR", str(tmp_path / "logs"))
    reference = ROOT / "samples" / "reference.wav"
    noisy_recording(tmp_path / "me.wav")
    for name in ("more.wav", "a.wav", "b.wav"):
        shutil.copy(reference, tmp_path / name)
    (tmp_path / "recordings").mkdir()
    shutil.copy(reference, tmp_path / "recordings" / "one.wav")
    subprocess.run(["ffmpeg", "-v", "error", "-i", "me.wav", "me.m4a"], check=True)
    book = build({"one": page("<h1>One</h1><p>A dog.</p>")}, nav=navigation("one.xhtml|One"))
    (tmp_path / "book.epub").write_bytes(book)
    (tmp_path / "film.srt").write_text(SUBTITLES, "utf-8")
    (tmp_path / "brief.txt").write_text("Guten Tag.", "utf-8")
    (lines,) = [block for block in blocks() if block.startswith('{"text"')]
    (tmp_path / "lines.jsonl").write_text(lines, "utf-8")
    return tmp_path


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """A line as a shell would take it; echo's words come by stdin."""
    given, _, rest = line.rpartition("python ")
    words = shlex.split(rest.split(" | ")[0], comments=True)
    said = re.search(r'echo "(.*?)"', given)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((said[1] if said else "").encode())))
    model = ["--model", "rehearsal-tiny"] if words[0] == "simple_voice_clone.py" else []
    return int(MAINS[words[0]]([*words[1:], *model]))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the FFmpeg program is not on the PATH")
def test_every_command_does_what_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert len(commands()) >= 13
    for line in commands():
        for written in ("me_improved.wav", "report.html"):  # a reader is not asked to run two such commands in a row
            Path(written).unlink(missing_ok=True)
        if "--voice me_improved.wav" in line:
            shutil.copy("more.wav", "me_improved.wav")
        assert run(line, monkeypatch) == 0, line
        out = capfdbinary.readouterr().out
        for made in re.findall(r"# -> (\S+)", line):
            assert soundfile.info(made).duration > 0.3, line
        if "-o -" in line:
            assert out[:4] == b"RIFF" and len(out) > 10_000
    assert profiles.exists("me")
    made = {"hello.mp3", "film.flac", "film.vtt", "hello.wav", "brief.mp3", "lines.results.jsonl", "report.html"}
    assert made <= {path.name for path in folder.iterdir()}
    assert not list(folder.glob("book*.mp3"))  # a dry run
    assert [path.name for path in (folder / "improved").iterdir()] == ["one_improved.wav"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the FFmpeg program is not on the PATH")
def test_the_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python")
    settings = CloneSettings(model="rehearsal-tiny")
    speak = functools.partial(simple_voice_clone.clone_voice_simple, settings=settings)
    monkeypatch.setattr(simple_voice_clone, "clone_voice_simple", speak)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "README.md", "exec"), names)
    assert soundfile.info(names["sample"]).samplerate == 24_000
    assert names["speech"] == "hello.wav" and soundfile.info("hello.wav").duration > 0.3


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on the PATH")
def test_the_targets_of_make_exist() -> None:
    used = set(re.findall(r"^make (\w+)", "\n".join(blocks()), re.MULTILINE)) | set(re.findall(r"`make (\w+)`", README))
    assert used >= {"demo", "test", "check", "clone", "lock", "audit"}
    for target in used:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_the_files_that_are_installed_from_exist() -> None:
    for name in re.findall(r"-r (\S+\.(?:txt|lock))", README) + re.findall(r"python (samples/\w+\.py)", README):
        assert (ROOT / name).is_file(), name


def test_the_pictures_stand_alone_and_tell_of_no_machine() -> None:
    picture = (ROOT / "docs" / "terminal.svg").read_text("utf-8")
    assert not re.search(r"url\(.?https?:|@import|<image|<script|/(home|root|Users|work|tmp)/", picture)
    assert "improve_voice_sample.py" in picture and "holiday.jpg" in picture
    assert (ROOT / "docs" / "report.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
