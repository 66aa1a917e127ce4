"""Whatever ends a run, and whenever: no half file has a name, and the next run tidies up and comes to the same end.

Both commands are run as people run them, and are stopped at moments drawn over the whole length of a run. How many
moments a signal gets is the environment's CRASH_MOMENTS.
"""

from __future__ import annotations

import io
import json
import logging
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from logger_config import setup_logging
from simple_voice_clone import main
from tests.command_places import Place, clone, improve
from voicekit import clone_results, outputs, publishing
from voicekit.job_results import read_results

MOMENTS = int(os.environ.get("CRASH_MOMENTS", "1"))
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL] if os.name == "posix" else []
# One after the other, by the moment's number.
CLONES = [
    clone("-o", "a.opus", "--subtitles", "srt"),
    clone("-o", "a.wav", "--subtitles", "vtt", "--chapters"),
    clone("--jobs", "../in/jobs.jsonl", "--output-root", ".", "--subtitles", "srt"),
    clone("-o", "a.m4a"),
    clone("-o", "a.flac", "--save-voice", "me", "--gap", "0.1"),
]
IMPROVES = [improve("-o", "a.wav"), improve("-o", "a.flac", "--denoise", "light"),
            improve("-o", "a.mp3", "--report", "r.html")]  # fmt: skip
MARKDOWN = "# One\n\nA dog barks.\n\n# Two\n\nA cat sleeps.\n\n# Three\n\nA cow.\n"
_LOGGED = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - .*$", re.MULTILINE)
_SOUND = (".wav", ".flac", ".opus", ".ogg", ".mp3")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
Make = Callable[[list[str]], Place]


@dataclass(frozen=True)
class Undisturbed:
    """What a run of a command comes to when nobody stops it: its files, and how long it takes."""

    files: dict[str, bytes]
    seconds: float


def drawn(number: int, name: str, undisturbed: Undisturbed) -> float:
    """Seconds after the start of the process."""
    return 0.1 + random.Random(f"{name} {number}").random() * undisturbed.seconds


@pytest.fixture(scope="session")
def make(tiny_checkpoint: Path, voice_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Gives a place in which a command can run."""
    matplotlib = tmp_path_factory.mktemp("matplotlib")

    def new(command: list[str]) -> Place:
        place = Place.make(tmp_path_factory.mktemp("place") / "of", voice_file, tiny_checkpoint)
        (place.root / "cache" / "matplotlib").symlink_to(matplotlib)
        if "--chapters" in command:
            (place.root / "in" / "text.txt").write_text(MARKDOWN)
            (place.root / "in" / "text.txt").rename(place.root / "in" / "text.md")
        if "--jobs" in command:
            (place.root / "in" / "jobs.jsonl").write_text(_jobs("../in/voice.wav"))
        return place

    return new


def _jobs(voice: str) -> str:
    lines = [("A dog barks.", "one.ogg"), ("A cat sleeps.", "two.wav")]
    return "".join(json.dumps({"text": text, "output": output, "voice": voice}) + "\n" for text, output in lines)


def _command(command: list[str]) -> list[str]:
    return [each.replace("text.txt", "text.md") if "--chapters" in command else each for each in command]


@pytest.fixture(scope="session")
def undisturbed(make: Make) -> Callable[[list[str]], Undisturbed]:
    known: dict[str, Undisturbed] = {}

    def run(command: list[str]) -> Undisturbed:
        if str(command) not in known:
            place, begun = make(command), time.monotonic()
            code, told = place.run(_command(command))
            assert code == 0, told
            assert place.litter() == []
            known[str(command)] = Undisturbed(_compared(place.outputs()), time.monotonic() - begun)
            shutil.rmtree(place.root)
        return known[str(command)]

    return run


def _compared(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without what tells of the run itself: the results of jobs, and a page's word on when it was made."""
    ends = {name: data[-8:] for name, data in files.items() if name == "r.html"}
    return {name: data for name, data in files.items() if not name.endswith((".jsonl", ".html"))} | ends


def _stopped(place: Place, command: list[str], after_s: float, number: signal.Signals) -> int:
    with place.start(_command(command)) as process:
        time.sleep(after_s)
        process.send_signal(number)
        return process.wait()


def _is_pythons_own(told: str) -> bool:
    """Whether the traceback is of the interpreter's start, before the script had a word in it."""
    return "voicekit" not in told or "from voicekit import interrupts" in told


def check_end(code: int, number: signal.Signals, place: Place) -> None:
    """How the process ended, and what it told."""
    told = place.told()
    assert "Internal error" not in told
    if number != signal.SIGKILL and "Traceback" in told:
        assert _is_pythons_own(told), told
    else:  # the signal itself: while Python starts, and while it ends; a shell makes the same number of it
        assert code in (0, -number, 128 + number), (code, told)


def check_left(place: Place, before: dict[str, str], expected: Undisturbed) -> None:
    """What a stopped run leaves: whole files or none, its inputs as they were, and all that it told in the log."""
    assert place.inputs() == before
    for name, data in _compared(place.outputs()).items():
        assert data == expected.files[name], name
        if name.endswith(_SOUND):
            assert len(soundfile.read(place.out / name)[0])
    log = place.log()
    assert log == "" or log.endswith("\n")
    lines = set(log.splitlines())
    assert [line for line in _LOGGED.findall(place.told()) if line not in lines] == []


def go_on(place: Place, command: list[str], expected: Undisturbed) -> None:
    """The same command again comes to the end of one that was never stopped, and leaves nothing behind."""
    spoken = place.groups()
    code, told = place.run(_command(command))
    was_over = "There is a voice" in told and _compared(place.outputs()) == expected.files
    if code == 1 and ("exists already" in told or was_over):  # it had come to its end, or all that it makes was there
        code, told = place.run([*_command(command), "--force"])
    assert code == 0, told
    assert _compared(place.outputs()) == expected.files
    assert place.litter() == []
    assert spoken <= place.groups()
    if spoken and "has not finished: what it spoke" in told and "--jobs" not in command:
        assert "spoken before, taken from the journal" in told


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("commands", [CLONES, IMPROVES], ids=["clone", "improve"])
def test_a_run_that_is_stopped_leaves_nothing_half(
    commands: list[list[str]], number: signal.Signals, moment: int, make: Make,
    undisturbed: Callable[[list[str]], Undisturbed], record_testsuite_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    command = commands[(moment * len(SIGNALS) + SIGNALS.index(number)) % len(commands) if MOMENTS > 1 else 0]
    expected, place = undisturbed(command), make(command)
    before = place.inputs()
    code = _stopped(place, command, drawn(moment, f"{number} {command[0][-9:]}", expected), number)
    found = f"code {code}, {len(place.groups())} groups, {sorted(place.outputs())}"
    record_testsuite_property(f"{number} {moment}", found)
    check_end(code, number, place)
    check_left(place, before, expected)
    go_on(place, command, expected)
    shutil.rmtree(place.root)


class _Dies(io.StringIO):
    """A terminal at whose first word the process ends."""

    def write(self, text: str) -> int:
        raise SystemExit(137)


def test_what_a_person_saw_is_in_the_log_already(tmp_path: Path) -> None:
    setup_logging(tmp_path, console_level=logging.INFO, stream=_Dies())
    with pytest.raises(SystemExit):
        logging.getLogger("a").info("seen")
    assert (tmp_path / "voice_cloning.log").read_text().endswith(" - INFO - a - seen\n")


# --- between the files of one output ----------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice_file: Path, tiny_checkpoint: Path) -> list[str]:
    """What commands in an empty folder have in common."""
    monkeypatch.chdir(tmp_path)
    Path("text.md").write_text(MARKDOWN)
    Path("jobs.jsonl").write_text(_jobs(str(voice_file)))
    Path("voice.wav").symlink_to(voice_file)
    return ["--model", "rehearsal-tiny", "--seed", "1"]


WISHES = {
    "one": (["--voice", "voice.wav", "--text", "A dog barks.", "-o", "a.wav", "--subtitles", "srt"],
            ["a.srt", "a.wav"]),
    "chapters": (["--voice", "voice.wav", "--text-file", "text.md", "--chapters", "-o", "a.wav", "--subtitles", "vtt"],
                 [f"a-0{number}.{ending}" for number in (1, 2, 3) for ending in ("vtt", "wav")]),
    "jobs": (["--jobs", "jobs.jsonl", "--subtitles", "srt"],
             ["jobs.results.jsonl", "one.ogg", "one.srt", "two.srt", "two.wav"]),
}  # fmt: skip


def _made() -> dict[str, bytes]:
    names = sorted(set(os.listdir()) - {"text.md", "jobs.jsonl", "voice.wav"})
    return {name: Path(name).read_bytes() for name in names}


def _stop_at(monkeypatch: pytest.MonkeyPatch, place: object, name: str, call: int) -> None:
    """The process ends at the n-th call of this function, as by a signal; the journal is not told."""
    left = [call]
    real = getattr(place, name)

    def stopping(*given: object, **more: object) -> object:
        left[0] -= 1
        if not left[0]:
            raise SystemExit(137)
        return real(*given, **more)

    monkeypatch.setattr(place, name, stopping)


@pytest.mark.parametrize(("place", "name"), [(outputs, "write_whole"), (clone_results.Terminal, "done")])
@pytest.mark.parametrize("wish", WISHES)
def test_stopped_between_the_files_of_an_output_the_rest_follows(
    wish: str, place: object, name: str, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subtitles, or a line of results, are not forgotten because the sound is there; and no sound is made twice."""
    flags, expected = WISHES[wish]
    with monkeypatch.context() as patched:
        _stop_at(patched, place, name, 1)
        assert main([*here, *flags]) == 137
    stopped = _made()
    sounds = {each: data for each, data in stopped.items() if each.endswith(_SOUND)}
    assert len(sounds) == 1
    inodes = {each: os.stat(each).st_ino for each in sounds}
    assert main([*here, *flags]) == 0
    made = _made()
    assert sorted(made) == expected
    assert {each: made[each] for each in sounds} == sounds
    assert {each: os.stat(each).st_ino for each in sounds} == inodes
    if wish == "jobs":
        results = read_results("jobs.results.jsonl")
        assert sorted((each["line"], each["status"]) for each in results) == [(1, "ok"), (2, "ok")]


@pytest.mark.parametrize("wish", ["one", "chapters"])
def test_a_file_that_came_in_the_meantime_is_not_taken_for_ours(
    wish: str, here: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, expected = WISHES[wish]
    theirs = Path(next(each for each in expected if each.endswith(".wav")))
    with monkeypatch.context() as patched:
        _stop_at(patched, publishing, "_name_new", {"one": 2, "chapters": 2}[wish])
        assert main([*here, *flags]) == 137
    theirs.write_bytes(b"somebody's own")
    assert main([*here, *flags]) == 1
    assert "exists already" in capsys.readouterr().err
    assert theirs.read_bytes() == b"somebody's own"
