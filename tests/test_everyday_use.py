"""The clone command as people use it day by day: voices by name, lists of jobs, books, formats, and runs that stop.

All of it goes through `main` with the tiny untrained checkpoint. Where only the way of the sound matters, and not the
sound, short noise stands in for what the model would speak (the fixture `quick`).
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import simple_voice_clone
from simple_voice_clone import main
from tests import spoken_faults
from tests.test_epub_reading import build, navigation, page
from voicekit import conditioning_cache, journal, kept_weights, profiles
from voicekit.clone_results import Terminal
from voicekit.job_results import read_results
from voicekit.metadata import AI_GENERATED, read_tags
from voicekit.native import kernels
from voicekit.takes import Take
from voicekit.text import Gaps
from voicekit.tts_model import TTSModel
from voicekit.utterances import Utterance

ROOT = Path(__file__).resolve().parent.parent
READER = "everyday-reader"
THREE = "A dog.\n\nA cat.\n\nA cow."
QUICK_S = 0.4  # of noise, an utterance
GERMAN = "Der Hund schläft unter dem großen Tisch, und die Katze sitzt daneben und wartet auf ihr Abendessen."

Takes = Callable[[Utterance], Take]

pytestmark = pytest.mark.usefixtures("tiny_checkpoint", "reader")


@pytest.fixture(scope="module")
def reader(tiny_checkpoint: Path, voice_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A saved voice: no test that uses it needs to hear a sample."""
    output = tmp_path_factory.mktemp("reader") / "x.wav"
    assert clone("--text", "A.", "--voice", voice_file, "--save-voice", READER, "-o", output, "-q") == 0
    yield READER
    profiles.delete(READER)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own_voices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No voice is saved yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))


@pytest.fixture
def speaking(monkeypatch: pytest.MonkeyPatch) -> Callable[[Takes], list[Utterance]]:
    """Put takes in the model's place; gives the list of what is asked of it."""

    def put(takes: Takes) -> list[Utterance]:
        asked: list[Utterance] = []

        def utter(tts: TTSModel, utterances: Sequence[Utterance], *_: object) -> Iterator[tuple[int, Take]]:
            for place, each in enumerate(utterances):
                asked.append(each)
                yield place, takes(each)

        monkeypatch.setattr(TTSModel, "utter", utter)
        return asked

    return put


@pytest.fixture
def quick(speaking: Callable[[Takes], list[Utterance]]) -> list[Utterance]:
    """Noise instead of speech, the same for the same place and attempt; the list is of what was asked for."""
    return speaking(lambda each: spoken_faults.noise(QUICK_S, seed=each.number + 1_000 * each.attempt))


def clone(*argv: str | Path) -> int:
    return main(["--model", "rehearsal-tiny", *map(str, argv)])


def read(*argv: str | Path) -> int:
    """Speak in the saved voice."""
    return clone("--voice", READER, *argv)


def as_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out))


def logged(since: int = 0) -> str:
    return (Path(os.environ["VOICE_CLONING_LOG_DIR"]) / "voice_cloning.log").read_text("utf-8")[since:]


def forget_what_was_spoken() -> None:
    journal.remove_old(days=0)


def sound(path: str | Path) -> tuple[NDArray[np.float64], int]:
    samples, rate = soundfile.read(path)
    return np.asarray(samples), rate


def stretches_s(path: str | Path, apart_s: float = 0.1) -> list[tuple[float, float]]:
    """Where sound is in a file, seconds: stretches with at least so much silence between them."""
    samples, rate = sound(path)
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    breaks = np.flatnonzero(np.diff(loud) > apart_s * rate)
    starts, ends = np.r_[loud[0], loud[breaks + 1]], np.r_[loud[breaks], loud[-1]]
    return [(start / rate, end / rate) for start, end in zip(starts, ends, strict=True)]


# --- voices ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_voices")
def test_a_saved_voice_speaks_as_in_the_run_that_saved_it(
    voice_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--text", "A dog.", "--seed", "3")
    saving = ("--save-voice", "Anna", "--consent", "Yes, to read.")
    assert clone(*common, "--voice", voice_file, "-o", "a.wav", *saving) == 0
    assert "--voice Anna" in capsys.readouterr().err
    forget_what_was_spoken()
    conditioning_cache.clear()
    assert clone(*common, "--voice", "Anna", "-o", "b.wav") == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()
    capsys.readouterr()
    assert main(["--list-voices"]) == 0
    listed = capsys.readouterr().out
    assert re.fullmatch(r"Anna  \d{4}-\d\d-\d\d, .* s of voice\.wav, model rehearsal-tiny, consent: Yes, to read\.\n",
                        listed)
    assert main(["--delete-voice", "Anna"]) == 0
    assert clone(*common, "--voice", "Anna", "-o", "c.wav") == 1
    assert "no voice 'Anna'" in capsys.readouterr().err
    assert main(["--list-voices", "--json"]) == 0
    assert as_json(capsys)["voices"] == []


def test_a_sample_is_heard_once(voice_file: Path, quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for name, heard in (("a.wav", True), ("b.wav", False)):
        since = len(logged())
        forget_what_was_spoken()
        assert clone("--text", "A dog.", "--voice", voice_file, "-o", name, "--seed", "1") == 0
        for line in ("Audio preprocessing started", "Voice conditioned"):
            assert (line in logged(since)) == heard, line
        told.append([line for line in capsys.readouterr().err.splitlines() if line.startswith("Sample:")])
    assert told[0] == told[1] != []
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_a_file_wins_over_a_voice_of_the_same_name(
    other_voice_file: Path, quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    assert read("--text", "A dog.") == 0
    assert f"Voice: {READER}, saved on" in capsys.readouterr().err
    Path(READER).write_bytes(other_voice_file.read_bytes())
    assert read("--text", "A dog.") == 0
    said = capsys.readouterr().err
    assert f"Sample: {READER}, " in said and f"Voice: {READER}" not in said


def refused_before_anything_slow(since: int) -> bool:
    return not any(line in logged(since) for line in ("preprocessing started", "Model loading started"))


@pytest.mark.usefixtures("own_voices")
def test_a_name_that_is_taken_is_refused_at_once(
    voice_file: Path, quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ("--text", "A dog.", "--voice", voice_file, "--save-voice", "anna")
    assert clone(*wanted) == 0
    created = profiles.path_of("anna").stat().st_ino
    since = len(logged())
    assert clone(*wanted) == 1
    assert "There is a voice 'anna' already" in capsys.readouterr().err
    assert refused_before_anything_slow(since)
    assert profiles.path_of("anna").stat().st_ino == created
    assert os.listdir() == ["cloned_voice.wav"]
    assert clone(*wanted, "--force") == 0
    assert profiles.path_of("anna").stat().st_ino != created


def test_a_dry_run_refuses_a_name_that_is_taken(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", "A dog.", "--voice", voice_file, "--save-voice", READER, "--dry-run") == 1
    assert "already" in capsys.readouterr().err


@pytest.mark.usefixtures("own_voices")
def test_a_voice_of_another_model_is_refused(monkeypatch: pytest.MonkeyPatch, voice_file: Path,
                                             quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", "A.", "--voice", voice_file, "--save-voice", "anna", "-o", "a.wav") == 0
    profiles.save(replace(profiles.load("anna"), model="0" * 64, model_name="mine"), overwrite=True)
    since = len(logged())
    assert clone("--text", "A.", "--voice", "anna", "-o", "b.wav") == 1
    assert "another model (mine)" in capsys.readouterr().err
    assert "Model loading started" not in logged(since)
    assert os.listdir() == ["a.wav"]


# --- jobs -----------------------------------------------------------------------------------------------------


def write_jobs(*lines: dict[str, Any] | str, path: str = "jobs.jsonl") -> None:
    written = [line if isinstance(line, str) else json.dumps({"voice": READER, **line}) for line in lines]
    Path(path).write_text("\n".join(written) + "\n")


def good_and_bad_lines() -> None:
    """Lines 1 and 5 can be done."""
    Path("b.txt").write_text("A cat.")
    Path("taken.wav").write_bytes(b"precious")
    write_jobs(
        {"text": "A dog.", "output": "a.wav", "title": "Dog", "subtitles": "srt"},
        {"text": "A dog.", "output": "x.wav", "pitch": 2},
        {"text_file": "missing.txt", "output": "y.wav"},
        {"text": "A dog.", "output": "z.wav", "voice": "nobody"},
        {"text_file": "b.txt", "output": "b.flac", "language": "de", "speed": 1.5},
        {"text": "A dog.", "output": "taken.wav"},
        "no JSON",
    )


def test_good_lines_of_a_list_are_done_and_bad_ones_told(
    quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    good_and_bad_lines()
    assert clone("--jobs", "jobs.jsonl", "--json") == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["done"], [failure["line"] for failure in result["failed"]]) == (2, [2, 3, 4, 6, 7])
    assert {"a.wav", "a.srt", "b.flac"} == {
        path.name for path in Path().iterdir()} - {"b.txt", "taken.wav", "jobs.jsonl", "jobs.results.jsonl"}
    assert Path("taken.wav").read_bytes() == b"precious"
    for line, says in ((2, "'pitch'"), (3, "missing.txt"), (4, "'nobody'"), (6, "--force"), (7, "not JSON")):
        assert re.search(rf"Line {line}: .*{says}", captured.err)
    assert "5 of 7 jobs failed: lines 2, 3, 4, 6, 7" in captured.err
    spoken = {each.text: (each.language, each.speed) for each in quick}
    assert spoken == {"A dog.": ("en", 1.0), "A cat.": ("de", 1.5)}
    assert read_tags("a.wav")["title"] == "Dog"


def test_the_results_of_a_list_lie_beside_it(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    good_and_bad_lines()
    assert clone("--jobs", "jobs.jsonl", "--json") == 1
    assert json.loads(capsys.readouterr().out)["status"] == "error"
    records = {record["line"]: record for record in read_results("jobs.results.jsonl")}
    assert {line: record["status"] for line, record in records.items()} == {
        1: "ok", 5: "ok", 2: "error", 3: "error", 4: "error", 6: "error", 7: "error"}
    assert Path(records[5]["output"]).samefile("b.flac") and records[5]["language"] == "de"
    assert records[1]["duration_s"] == pytest.approx(QUICK_S, abs=2e-3)
    assert "no voice 'nobody'" in records[4]["error"]["message"]
    assert "dog" not in Path("jobs.results.jsonl").read_text()


def test_a_dry_run_of_a_list_tells_the_bad_lines_and_writes_nothing(
    quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    good_and_bad_lines()
    before = sorted(os.listdir())
    assert clone("--jobs", "jobs.jsonl", "--dry-run", "--json") == 1
    result = as_json(capsys)
    assert [failure["line"] for failure in result["failed"]] == [2, 3, 4, 6, 7]
    assert [Path(path).name for path in result["outputs"]] == ["a.wav", "b.flac"]
    assert (sorted(os.listdir()), quick) == (before, [])
    write_jobs({"text": "A dog.", "output": "a.wav"})
    assert clone("--jobs", "jobs.jsonl", "--dry-run") == 0


@pytest.mark.parametrize(("own", "flags"), [({"subtitles": "srt"}, []), ({}, ["--subtitles", "srt"])])
def test_two_lines_cannot_write_the_same_subtitles(
    own: dict[str, str], flags: list[str], quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    write_jobs(*({"text": "A dog.", "output": name, **own} for name in ("a.wav", "a.flac")))
    assert clone("--jobs", "jobs.jsonl", "--dry-run", *flags) == 1
    assert clone("--jobs", "jobs.jsonl", *flags) == 1
    assert len(quick) == 1  # the other is refused before it is spoken, not after
    assert "Line 2" in capsys.readouterr().err and not Path("a.flac").exists()


def test_outputs_of_a_list_stay_under_the_root(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    write_jobs({"text": "A dog.", "output": "a.wav"}, {"text": "A dog.", "output": "../b.wav"})
    assert clone("--jobs", "jobs.jsonl", "--output-root", "out") == 1
    assert "Line 2: The output '../b.wav' leads out of the output root." in capsys.readouterr().err
    assert os.listdir("out") == ["a.wav"] and not Path("b.wav").exists() and not Path("a.wav").exists()


def test_a_recording_that_is_none_stops_its_own_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty.wav").touch()
    write_jobs({"text": "A dog.", "output": "a.wav", "voice": "empty.wav"}, {"text": "A cat.", "output": "b.wav"})
    assert clone("--jobs", "jobs.jsonl") == 1
    assert "Line 1: " in (told := capsys.readouterr().err) and "is empty" in told
    assert Path("b.wav").exists() and not Path("a.wav").exists()


def test_a_job_sounds_as_its_text_does_alone() -> None:
    """In float32; in what company a text is decoded moves the sums in their last bits only."""
    texts = {"a.wav": "A dog.", "b.wav": "Cats sleep.\n\nWe do not."}
    write_jobs(*({"text": text, "output": name, "seed": 5} for name, text in texts.items()))
    assert clone("--jobs", "jobs.jsonl", "--precision", "float32") == 0
    for name, text in texts.items():
        forget_what_was_spoken()
        assert read("--text", text, "--seed", "5", "--precision", "float32", "-o", "alone.wav", "--force") == 0
        together, alone = sound(name)[0], sound("alone.wav")[0]
        assert together.shape == alone.shape
        assert np.abs(together - alone).max() < 1e-3


def test_an_interrupted_list_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"text": text, "output": f"{number}.wav"} for number, text in enumerate(("A dog.", "A cat.", "A cow."), 1)]
    write_jobs(*lines)
    done = Terminal.done

    def done_and_stopped(*told: Any) -> None:
        done(*told)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Terminal, "done", done_and_stopped)
        assert clone("--jobs", "jobs.jsonl") == 130
    assert sorted(os.listdir()) == ["1.wav", "jobs.jsonl", "jobs.results.jsonl"]
    before = Path("1.wav").stat()
    capsys.readouterr()
    assert clone("--jobs", "jobs.jsonl", "--json") == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert "An earlier run of this command" in captured.err
    assert (result["done"], result["failed"]) == (3, [])
    after = Path("1.wav").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [record["line"] for record in read_results("jobs.results.jsonl")] == [1, 2, 3]
    Path("elsewhere").mkdir()
    write_jobs(*lines, path="elsewhere/jobs.jsonl")
    forget_what_was_spoken()
    assert clone("--jobs", "elsewhere/jobs.jsonl", "--seed", str(result["seed"])) == 0
    for line in lines:
        assert Path(line["output"]).read_bytes() == Path("elsewhere", line["output"]).read_bytes()


def texts_of(quick: list[Utterance], *flags: str) -> set[str]:
    """What the list's run speaks now."""
    quick.clear()
    assert clone("--jobs", "jobs.jsonl", *flags) == 0
    return {each.text for each in quick}


def test_of_a_list_that_is_over_nothing_is_spoken_unless_that_is_asked_for(quick: list[Utterance]) -> None:
    write_jobs({"text": "A dog.", "output": "a.wav"}, {"text": "A cat.", "output": "b.wav"})
    assert texts_of(quick) == {"A dog.", "A cat."}
    assert texts_of(quick) == set()
    assert texts_of(quick, "--force") == {"A dog.", "A cat."}
    with Path("jobs.jsonl").open("a") as file:
        file.write(json.dumps({"text": "A cow.", "output": "c.wav", "voice": READER}))
    assert texts_of(quick, "--force") == {"A cow."}


def test_a_line_with_another_title_or_an_edited_lexicon_is_another_line(
    quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    def title(of_dog: str) -> None:
        write_jobs({"text": "A dog.", "output": "a.wav", "title": of_dog}, {"text": "A cat.", "output": "b.wav"})

    words = Path("words.txt")
    words.write_text("cat = cet")
    flags = ("--lexicon", "words.txt")
    title("Dog")
    texts_of(quick, *flags)
    title("Hound")
    assert clone("--jobs", "jobs.jsonl", *flags) == 1
    assert "Line 1: The file" in capsys.readouterr().err  # it is not replaced unasked, and not passed over either
    assert read_tags("a.wav")["title"] == "Dog"
    assert texts_of(quick, *flags, "--force") == {"A dog."}
    assert read_tags("a.wav")["title"] == "Hound"
    words.write_text("cat = kit")
    assert "A kit." in texts_of(quick, *flags, "--force")


def test_a_dry_run_of_a_list_knows_what_is_done(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"text": "A dog.", "output": "a.wav"}, {"text": "A cat.", "output": "b.wav"}]
    write_jobs(*lines)
    texts_of(quick)
    capsys.readouterr()
    for more, wanted in (([], None), ([{"text": "A cow.", "output": "c.wav"}], ["c.wav"])):
        write_jobs(*lines, *more)
        before = {path: path.stat().st_mtime_ns for path in Path().iterdir()}
        assert clone("--jobs", "jobs.jsonl", "--dry-run", "--json") == 0
        captured = capsys.readouterr()
        result = json.loads(captured.out)
        assert (result["done"], result["failed"]) == (2, [])
        assert f"2 of {2 + len(more)} jobs are done already" in captured.err
        assert wanted is None or [Path(path).name for path in result["outputs"]] == wanted
        assert {path: path.stat().st_mtime_ns for path in Path().iterdir()} == before


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_model_that_is_not_there_is_told_of_once(dry: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write_jobs(*({"text": "A dog.", "output": f"{number}.wav"} for number in range(3)))
    assert main(["--jobs", "jobs.jsonl", "--model", "nowhere", *dry]) == 3
    assert capsys.readouterr().err.count("nowhere") == 1


def test_a_dry_run_of_chapters_that_were_interrupted_is_not_refused(
    monkeypatch: pytest.MonkeyPatch, quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("book.md").write_text("# One\n\nA dog.\n\n# Two\n\nA cat.\n\n# Three\n\nA cow.\n")
    wanted = ("--text-file", "book.md", "--voice", READER, "-o", "book.wav", "--chapters")
    done = Terminal.done

    def done_and_stopped(*told: Any) -> None:
        done(*told)
        if Path("book-02.wav").exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Terminal, "done", done_and_stopped)
        assert clone(*wanted) == 130
    assert sorted(os.listdir()) == ["book-01.wav", "book-02.wav", "book.md"]
    assert clone(*wanted, "--dry-run") == 0  # whether the second one was finished, nobody wrote down
    assert "Output: book-02.wav, book-03.wav (nothing was written)" in capsys.readouterr().err
    assert clone(*wanted) == 0
    assert clone(*wanted, "--dry-run") == clone(*wanted) == 1  # it is over; both say so
    assert "--force" in capsys.readouterr().err


# --- one text, stopped and spoken again -----------------------------------------------------------------------

KILLED = """
import os, signal, sys
from voicekit.delivery import Delivery
add, left = Delivery.add, [int(sys.argv[1])]
def counted(self, *given):
    add(self, *given)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
Delivery.add = counted
from simple_voice_clone import main
main(sys.argv[2:])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that nobody can catch")
def test_a_text_that_was_killed_goes_on_and_gives_the_same_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """18 segments are two groups of 9: the first is whole when the program dies in the second."""
    text = "\n\n".join(f"Pig {number}." for number in "abcdefghijklmnopqr")
    common = ["--model", "rehearsal-tiny", "--voice", READER, "--text", text, "--batch-size", "4"]
    wanted = [*common, "-o", "out.wav"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, "12", *wanted], env=environment, check=False,
                          capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not Path("out.wav").exists()
    asked: list[int] = []
    utter = TTSModel.utter

    def counting(tts: TTSModel, utterances: Sequence[Utterance], *rest: Any) -> Iterator[tuple[int, Take]]:
        asked.extend(each.number for each in utterances)
        return utter(tts, utterances, *rest)

    monkeypatch.setattr(TTSModel, "utter", counting)
    assert main([*wanted, "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert "An earlier run of this command" in captured.err
    assert asked == list(range(9, 18))
    assert [each["reused"] for each in result["segments"]] == [True] * 9 + [False] * 9
    assert [name for name in os.listdir() if not name.startswith(".")] == ["out.wav"]
    forget_what_was_spoken()
    assert main([*common, "-o", "whole.wav", "--seed", str(result["seed"])]) == 0
    assert Path("out.wav").read_bytes() == Path("whole.wav").read_bytes()


def test_one_segment_is_spoken_again_and_the_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    def spoken(*flags: str) -> list[NDArray[np.float64]]:
        assert read("--text", THREE, "--json", *flags) == 0
        segments = as_json(capsys)["segments"]
        samples, rate = sound("cloned_voice.wav")
        return [samples[round(each["start_s"] * rate) : round(each["end_s"] * rate)] for each in segments]

    before = spoken()
    seen = [before[1]]
    for _ in range(2):
        after = spoken("--redo", "2")
        for kept in (0, 2):  # the file's times are told to the millisecond, 24 samples
            length = min(len(before[kept]), len(after[kept])) - 48
            shifts = [np.abs(before[kept][24 : 24 + length] - after[kept][24 + by : 24 + by + length]).max()
                      for by in range(-24, 25) if 24 + by + length <= len(after[kept])]  # fmt: skip
            assert min(shifts) < 1e-6
            assert abs(len(before[kept]) - len(after[kept])) <= 48
        assert not any(np.array_equal(after[1], earlier) for earlier in seen)
        seen.append(after[1])
    assert os.listdir() == ["cloned_voice.wav"]


def test_nothing_is_spoken_again_that_was_never_spoken(
    quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    assert read("--text", THREE, "--redo", "2") == 1
    assert "No earlier run of this command" in capsys.readouterr().err
    assert (quick, os.listdir()) == ([], [])
    assert read("--text", THREE) == 0
    before = Path("cloned_voice.wav").read_bytes()
    assert read("--text", THREE, "--redo", "4") == 1
    assert "no segment 4" in capsys.readouterr().err
    assert Path("cloned_voice.wav").read_bytes() == before


def test_a_greedy_segment_cannot_be_spoken_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read("--text", THREE, "--redo", "2", "--temperature", "0")
    assert ended.value.code == 2
    assert "--temperature 0" in capsys.readouterr().err


def stopped_after(monkeypatch: pytest.MonkeyPatch, outputs: int, *argv: str | Path) -> None:
    """A run that ends by Ctrl-C as soon as so many of its outputs are done; 0: after its first segment."""
    told, left = (Terminal.done, [outputs]) if outputs else (Terminal.spoken, [1])

    def counted(*given: Any) -> None:
        told(*given)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Terminal, "done" if outputs else "spoken", counted)
        assert clone(*argv) == 130


def test_the_result_says_what_was_spoken_before(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    for flags, reused in (((), [False] * 3), (("--redo", "2"), [True, False, True])):
        assert read("--text", THREE, "--json", *flags) == 0
        result = as_json(capsys)
        assert [each["reused"] for each in result["segments"]] == reused
        assert result["reused"] == sum(reused)


def test_a_second_take_that_was_interrupted_leaves_the_others_as_they_are(
    speaking: Callable[[Takes], list[Utterance]], capsys: pytest.CaptureFixture[str]
) -> None:
    def take(each: Utterance) -> Take:
        return spoken_faults.noise(QUICK_S, seed=each.number + 1_000 * each.attempt)

    def interrupted(each: Utterance) -> Take:
        raise KeyboardInterrupt

    speaking(take)
    assert read("--text", THREE) == 0
    before = Path("cloned_voice.wav").read_bytes()
    speaking(interrupted)
    assert read("--text", THREE, "--redo", "2") == 130
    assert Path("cloned_voice.wav").read_bytes() == before
    asked = speaking(take)
    assert read("--text", THREE, "--redo", "2") == 0
    assert Path("cloned_voice.wav").read_bytes() != before
    assert [each.number for each in asked] == [1]


def test_chapters_that_were_interrupted_go_on(
    monkeypatch: pytest.MonkeyPatch, quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("book.md").write_text("# One\n\nIt barks.\n\n# Two\n\nIt purrs.\n")
    wanted = ("--voice", READER, "--text-file", "book.md", "--chapters", "-o", "book.wav")
    stopped_after(monkeypatch, 1, *wanted)
    assert sorted(os.listdir()) == ["book-01.wav", "book.md"]
    assert clone(*wanted) == 0, capsys.readouterr().err
    assert sorted(os.listdir()) == ["book-01.wav", "book-02.wav", "book.md"]


@pytest.mark.usefixtures("own_voices")
def test_a_run_that_saves_a_voice_goes_on_too(
    monkeypatch: pytest.MonkeyPatch, voice_file: Path, quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ("--voice", voice_file, "--text", THREE, "--save-voice", "anna", "-o", "out.wav")
    stopped_after(monkeypatch, 0, *wanted)
    assert clone(*wanted) == 0, capsys.readouterr().err
    assert profiles.exists("anna")
    assert clone(*wanted, "--redo", "2") == 0, capsys.readouterr().err


def test_a_list_with_a_line_that_failed_can_be_given_again(
    quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("b.wav").write_bytes(b"in the way")
    write_jobs({"text": "A dog.", "output": "a.wav"}, {"text": "A cat.", "output": "b.wav"})
    assert clone("--jobs", "jobs.jsonl") == 1
    before = Path("a.wav").stat()
    Path("b.wav").unlink()
    assert clone("--jobs", "jobs.jsonl") == 0, capsys.readouterr().err
    assert Path("a.wav").stat().st_mtime_ns == before.st_mtime_ns
    assert soundfile.info("b.wav").frames


# --- books and subtitles --------------------------------------------------------------------------------------


def test_chapters_of_markdown(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    Path("book.md").write_text("# The **Dog**\n\nIt barks.\n\n# The Cat\n\nIt *purrs*.\n")
    assert read("--text-file", "book.md", "--chapters", "-o", "book.flac", "--title", "Animals") == 0
    assert capsys.readouterr().out == "book-01.flac\nbook-02.flac\n"
    for number, title in ((1, "The Dog"), (2, "The Cat")):
        tags = read_tags(f"book-0{number}.flac")
        assert (tags["title"], tags["album"]) == (title, "Animals")
        assert (tags["track"], tags["tracktotal"]) == (str(number), "2")
    assert "It purrs." in " ".join(each.text for each in quick)


def test_chapters_of_a_book(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    pages = {"one": page("<p>It barks.</p>"), "two": page("<p>It purrs.</p>")}
    Path("book.epub").write_bytes(build(pages, nav=navigation("one.xhtml|Dog", "two.xhtml|Cat")))
    assert read("--text-file", "book.epub", "--chapters", "-o", "book.mp3", "--json") == 0
    result = as_json(capsys)
    assert [each["output"] for each in result["outputs"]] == ["book-01.mp3", "book-02.mp3"]
    tags = read_tags("book-02.mp3")
    assert (tags["title"], tags["album"], tags["track"], tags["artist"]) == (
        "Cat", "A & B", "2/2", "Ann Author, Ben Writer")
    assert [each.text for each in quick] == ["It barks.", "It purrs."]


def test_without_chapters_a_book_is_one_file(quick: list[Utterance]) -> None:
    Path("book.md").write_text("# One\n\nIt barks.\n\n# Two\n\nIt purrs.\n")
    assert read("--text-file", "book.md", "-o", "book.wav") == 0
    assert sorted(os.listdir()) == ["book.md", "book.wav"]


def test_a_book_with_a_preface_and_tags_is_spoken_chapter_by_chapter(quick: list[Utterance]) -> None:
    paragraphs = ("[speed:0.9]", "To Ann.", "Chapter 1", "It barks. [pause:2]", "Chapter 2", "It purrs.")
    Path("book.txt").write_text("\n\n".join(paragraphs))
    assert read("--text-file", "book.txt", "--chapters", "-o", "book.wav", "--retries", "0") == 0
    titles = [read_tags(f"book-0{number}.wav")["title"] for number in (1, 2, 3)]
    assert titles == ["Preface", "Chapter 1", "Chapter 2"]
    assert {each.speed for each in quick} == {0.9}
    for number, silence_s in ((1, 0.0), (2, 2.0), (3, 0.0)):
        samples, rate = soundfile.read(f"book-0{number}.wav")
        assert (len(samples) - 1 - np.flatnonzero(samples)[-1]) / rate == pytest.approx(silence_s, abs=0.1)


def test_a_tag_alone_before_the_first_chapter_is_none(quick: list[Utterance]) -> None:
    Path("book.md").write_text("[speed:0.9]\n\n# One\n\nIt barks.\n\n# Two\n\nIt purrs.\n")
    assert read("--text-file", "book.md", "--chapters", "-o", "book.wav") == 0
    assert sorted(os.listdir()) == ["book-01.wav", "book-02.wav", "book.md"]


@pytest.mark.parametrize("dry", [True, False])
def test_what_a_text_does_not_give_is_told_of(
    dry: bool, quick: list[Utterance], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("book.md").write_text("---\nlang: sv\n---\nHunden.\n")
    assert read("--text-file", "book.md", "--chapters", "-o", "book.wav", *(["--dry-run"] if dry else ["--json"])) == 0
    told = capsys.readouterr()
    for words in ("'sv', by which XTTS v2 knows none", "--chapters found no chapters"):
        assert told.err.count(words) == 1
        assert dry or sum(words in line for line in json.loads(told.out)["warnings"]) == 1


@pytest.mark.parametrize(("kind", "point"), [("srt", ","), ("vtt", ".")])
def test_subtitles_tell_where_the_sound_is(kind: str, point: str, quick: list[Utterance]) -> None:
    assert read("--text", "A dog.\n\n[speed:1.2]A cat.[speed]\n\nA cow.", "-o", "out.wav", "--subtitles", kind) == 0
    written = Path(f"out.{kind}").read_text("utf-8")
    times = [
        tuple(3600 * int(hours) + 60 * int(minutes) + float(f"{seconds}.{thousandths}")
              for hours, minutes, seconds, thousandths in re.findall(r"(\d\d):(\d\d):(\d\d)[.,](\d{3})", line))
        for line in written.splitlines() if "-->" in line
    ]  # fmt: skip
    assert all(point in line for line in written.splitlines() if "-->" in line)
    heard = stretches_s("out.wav")
    assert len(times) == len(quick) == len(heard) == 3
    assert np.abs(np.array(times) - np.array(heard)).max() < 0.02
    assert "[speed" not in written and "dog." in written


def test_subtitles_are_spoken_at_their_times(quick: list[Utterance]) -> None:
    Path("in.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nA dog.\n\n2\n00:00:05,000 --> 00:00:06,000\nA cat.\n")
    assert read("--text-file", "in.srt", "-o", "out.wav") == 0
    (first, _), (second, _) = stretches_s("out.wav")
    assert first == pytest.approx(0.5, abs=0.02)
    assert second == pytest.approx(5.0, abs=0.02)


# --- formats --------------------------------------------------------------------------------------------------


def decoded(path: str) -> tuple[float, int]:
    """Seconds and rate, as a player finds them."""
    import av

    with av.open(path) as container:
        (stream,) = container.streams.audio
        samples = sum(frame.samples for frame in container.decode(stream))
        return samples / stream.rate, stream.rate


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "m4a"])
def test_every_format_decodes_and_says_that_a_machine_spoke(ending: str, quick: list[Utterance]) -> None:
    if ending == "m4a" and not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg")
    for name in ("a", "b"):
        forget_what_was_spoken()
        assert read("--text", THREE, "--seed", "4", "-o", f"{name}.{ending}", "--sample-rate", "44100") == 0
    seconds, rate = decoded(f"a.{ending}")
    assert rate == 44_100
    assert seconds == pytest.approx(3 * QUICK_S + 2 * Gaps().paragraph_s, abs=0.1)
    assert AI_GENERATED in read_tags(f"a.{ending}")["comment"]
    assert Path(f"a.{ending}").read_bytes() == Path(f"b.{ending}").read_bytes()


def test_opus(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.opus", "b.opus"):
        forget_what_was_spoken()
        assert read("--text", THREE, "--seed", "4", "-o", name) == 0
    assert decoded("a.opus")[0] == pytest.approx(3 * QUICK_S + 2 * Gaps().paragraph_s, abs=0.1)
    assert AI_GENERATED in read_tags("a.opus")["comment"]
    assert Path("a.opus").read_bytes() == Path("b.opus").read_bytes()
    capsys.readouterr()
    assert read("--text", "A dog.", "-o", "c.opus", "--sample-rate", "44100", "--json") == 0
    assert as_json(capsys)["sample_rate"] == decoded("c.opus")[1] == 48_000  # Opus has no 44,100 Hz: the next one


@pytest.mark.parametrize(("name", "wav_format", "subtype"), [
    ("a.wav", "pcm24", "PCM_24"), ("a.wav", "float", "FLOAT"), ("a.wav", "pcm16", "PCM_16"),
    ("a.flac", "pcm24", "PCM_24"),
])  # fmt: skip
def test_samples_of_other_widths(name: str, wav_format: str, subtype: str, quick: list[Utterance]) -> None:
    assert read("--text", "A dog.", "-o", name, "--wav-format", wav_format) == 0
    assert soundfile.info(name).subtype == subtype
    assert soundfile.info(name).duration == pytest.approx(QUICK_S, abs=1e-3)


def test_a_file_need_not_say_how_it_was_made(quick: list[Utterance]) -> None:
    assert read("--text", "A dog.", "-o", "a.mp3", "--no-metadata") == 0
    assert AI_GENERATED not in " ".join(read_tags("a.mp3").values())
    assert AI_GENERATED.encode() not in Path("a.mp3").read_bytes()


# --- a pipe ---------------------------------------------------------------------------------------------------


def test_a_listener_hears_the_beginning_before_the_rest_is_spoken(
    monkeypatch: pytest.MonkeyPatch, speaking: Callable[[Takes], list[Utterance]]
) -> None:
    pipe = io.BytesIO()
    arrived: dict[int, int] = {}  # bytes that had come when an utterance was begun

    def take(each: Utterance) -> Take:
        arrived[each.number] = len(pipe.getvalue())
        return spoken_faults.noise(QUICK_S, seed=each.number)

    asked = speaking(take)
    stdout = io.TextIOWrapper(pipe, write_through=True)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        assert read("--text", THREE, "-o", "-") == 0
    assert len(asked) == 3
    assert arrived[0] == 0
    assert arrived[1] >= 44 + 2 * QUICK_S * 24_000  # header and first segment
    samples, rate = soundfile.read(io.BytesIO(pipe.getvalue()))
    assert rate == 24_000
    assert len(samples) / rate == pytest.approx(3 * QUICK_S + 2 * Gaps().paragraph_s, abs=0.01)
    assert os.listdir() == []


# --- texts ----------------------------------------------------------------------------------------------------


def test_a_pause_is_as_long_as_the_text_says(quick: list[Utterance]) -> None:
    assert read("--text", "A dog. [pause:1.5] A cat.", "-o", "out.wav") == 0
    (_, first_ends), (second_begins, _) = stretches_s("out.wav")
    assert second_begins - first_ends == pytest.approx(1.5, abs=0.02)
    assert [each.text for each in quick] == ["A dog.", "A cat."]


def test_gaps_are_as_long_as_asked_for(quick: list[Utterance]) -> None:
    assert read("--text", "A dog.\n\nA cat.", "-o", "out.wav", "--gap", "0.5") == 0
    (_, first_ends), (second_begins, _) = stretches_s("out.wav")
    assert second_begins - first_ends == pytest.approx(2.4 * 0.5, abs=0.02)


def test_words_are_spoken_as_the_lexicon_says(quick: list[Utterance]) -> None:
    Path("words.txt").write_text("# names\nNguyen = nwin\nSQL\tsequel\n")
    assert read("--text", "Nguyen writes SQL.", "--lexicon", "words.txt", "--subtitles", "srt", "-o", "out.wav") == 0
    assert [each.text for each in quick] == ["nwin writes sequel."]
    assert "Nguyen writes SQL." in Path("out.srt").read_text()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_texts_of_other_encodings(encoding: str, quick: list[Utterance]) -> None:
    text = "Un café très crémeux, “déjà” naïf – élève à l’école."
    Path("in.txt").write_bytes(text.encode(encoding))
    assert read("--text-file", "in.txt", "-l", "fr") == 0
    words = re.findall(r"\w+", " ".join(each.text for each in quick))
    assert words == re.findall(r"\w+", text)


def test_a_text_in_another_language_is_warned_of(quick: list[Utterance], capsys: pytest.CaptureFixture[str]) -> None:
    assert read("--text", GERMAN, "--json") == 0
    (warning,) = as_json(capsys)["warnings"]
    assert "looks like de" in warning and "--language" in warning
    assert {each.language for each in quick} == {"en"}
    assert read("--text", GERMAN, "--language", "de", "--json") == 0
    assert as_json(capsys)["warnings"] == []


def test_a_stretch_can_be_in_another_language_and_at_another_speed(quick: list[Utterance]) -> None:
    assert read("--text", "A dog. [language:de] Ein Hund. [language][speed:1.5] Another dog.") == 0
    assert [(each.text, each.language, each.speed) for each in quick] == [
        ("A dog.", "en", 1.0), ("Ein Hund.", "de", 1.0), ("Another dog.", "en", 1.5)]


# --- takes that fail ------------------------------------------------------------------------------------------

FAULTY = f"{spoken_faults.TEXT}\n\nWe have waited for it, and now we have to go."


def test_a_faulty_take_is_spoken_again(
    speaking: Callable[[Takes], list[Utterance]], capsys: pytest.CaptureFixture[str]
) -> None:
    def take(each: Utterance) -> Take:
        if each.number == 0 and each.attempt < 2:
            return (spoken_faults.looping, spoken_faults.falling_silent)[each.attempt]()
        return spoken_faults.good(each.text)

    asked = speaking(take)
    assert read("--text", FAULTY, "--retries", "2", "--json") == 0
    captured = capsys.readouterr()
    first, second = json.loads(captured.out)["segments"]
    assert (first["tries"], second["tries"]) == (3, 1)
    assert first["faults"] == second["faults"] == second["rejected"] == []
    looped, silent = first["rejected"]
    assert "heard" in looped and "silent" in silent
    assert [(each.number, each.attempt) for each in asked] == [(0, 0), (1, 0), (0, 1), (0, 2)]
    assert "1 of them in more than one take" in captured.err
    assert "harbour" not in logged()


def test_where_no_take_passes_the_best_is_kept_and_told(
    tiny_checkpoint: Path, voice_file: Path, speaking: Callable[[Takes], list[Utterance]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(tiny_checkpoint, "fine-tuned")  # a folder is taken for a trained model
    def take(each: Utterance) -> Take:
        if each.number == 1:
            return spoken_faults.good(each.text)
        return spoken_faults.falling_silent(seconds=3.0 if each.attempt == 1 else 6.0)

    asked = speaking(take)
    argv = ["--text", FAULTY, "--voice", str(voice_file), "--model", "fine-tuned", "-o", "out.wav", "--json"]
    assert main(argv) == 0
    result = as_json(capsys)
    first, second = result["segments"]
    assert (first["faults"], first["tries"], len(first["rejected"])) == (["silence"], 3, 2)
    assert all("6." in reason for reason in first["rejected"])  # the one of 3 s was kept
    assert second["faults"] == []
    (warning,) = [each for each in result["warnings"] if "--redo" in each]
    assert "1 of 2 segments may be spoken badly: 1 (silence)" in warning
    assert len(asked) == 4


# --- housekeeping ---------------------------------------------------------------------------------------------


def test_the_installation_is_examined(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--check", "--offline", "--model", "rehearsal-tiny", "--json"])
    captured = capsys.readouterr()
    findings = json.loads(captured.out)["findings"]
    assert code == (3 if any(each["state"] == "broken" for each in findings) else 0)
    found = {each["name"]: each for each in findings}
    assert found["Small clone"]["state"] == "ok"
    assert all(set(each) == {"name", "state", "detail", "fix"} for each in findings)
    assert all(f"{each['name']}: {each['detail']}" in captured.err for each in findings)
    assert os.listdir() == []


def test_caches_are_emptied_and_voices_stay(voice_file: Path, quick: list[Utterance]) -> None:
    kept_weights.clear()
    assert clone("--text", "A dog.", "--voice", voice_file) == 0

    def kept() -> list[Path]:
        folders = (journal.folder(), conditioning_cache.folder(), kept_weights.folder())
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    before = kept()
    assert len(before) == (4 if kernels() else 3)  # what the command chose, its one group, the voice; the weights
    assert main(["--clear-cache", "--dry-run"]) == 0
    assert kept() == before
    assert main(["--clear-cache"]) == 0
    assert kept() == [] and profiles.exists(READER)


@pytest.mark.skipif(kernels() is None, reason="no native kernels here: weights are used as they are")
def test_weights_that_an_earlier_run_laid_out_speak_the_same_bytes(tmp_path: Path) -> None:
    def spoken(name: str) -> bytes:
        journal.remove_old(days=0)
        assert clone("--text", "A dog.", "--voice", READER, "--seed", "1", "-o", f"{name}.wav", "-q") == 0
        return (tmp_path / f"{name}.wav").read_bytes()

    kept_weights.clear()
    first = spoken("first")
    (path,) = kept_weights.folder().iterdir()
    before = path.stat()
    assert spoken("second") == first
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)  # it was used, not made again
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.unlink()
    path.write_bytes(damaged)
    assert spoken("third") == first
    assert path.read_bytes() != damaged
    assert spoken("fourth") == first


@pytest.mark.usefixtures("own_voices")
def test_a_run_that_was_stopped_behind_the_saving_of_its_voice_goes_on(
    voice_file: Path, quick: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    wanted = ("--voice", voice_file, "--text", "A dog.", "--save-voice", "anna", "-o", "out.wav", "-q")
    with monkeypatch.context() as patched:
        patched.setattr(simple_voice_clone, "_cut", stopped)
        assert clone(*wanted) == 130
    assert profiles.exists("anna") and not Path("out.wav").exists()
    assert clone(*wanted) == 0
    assert Path("out.wav").exists()
    journal.remove_old(days=0)
    assert clone(*wanted, "--force") == 0  # asked for
    journal.remove_old(days=0)
    Path("out.wav").unlink()
    assert clone(*wanted) == 1  # another run's voice is not replaced unasked


@pytest.mark.parametrize(("text", "warned"), [
    ("สวัสดีครับ", "1 of 1"), ("A dog.\n\nᚠᛇᚻ ᛒᛦᚦ.", "1 of 2"), ("Naïve “dogs”…", ""),
])  # fmt: skip
def test_characters_that_the_model_has_no_sign_for_are_told(
    quick: list[Utterance], capsys: pytest.CaptureFixture[str], text: str, warned: str
) -> None:
    assert read("--text", text, "-o", "a.wav", "--json", "-q") == 0
    warnings = [line for line in json.loads(capsys.readouterr().out)["warnings"] if "no sign" in line]
    assert len(warnings) == bool(warned) and all(warned in line for line in warnings)


@pytest.mark.parametrize(("temperature", "warned"), [("0.1", True), ("0.39", True), ("0.4", False), ("0", False)])
def test_a_temperature_that_breaks_words_is_warned_of(
    quick: list[Utterance], capsys: pytest.CaptureFixture[str], temperature: str, warned: bool
) -> None:
    assert read("--text", "A dog.", "--temperature", temperature, "--json", "-o", "a.wav") == 0
    assert any("temperature" in warning for warning in as_json(capsys)["warnings"]) == warned


def test_a_run_that_died_with_everything_written_is_refused_as_a_finished_one(
    quick: list[Utterance], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between the output's name and the journal's last word; `--force` writes it again from the journal."""
    pin = journal.Journal.pin
    monkeypatch.setattr(journal.Journal, "pin", lambda own, pins: pin(own, replace(pins, finished=False)))
    command = ("--text", "A dog.", "-o", "a.wav")
    assert read(*command) == 0
    written = Path("a.wav").read_bytes()
    assert read(*command) == 1
    assert "exists already" in capsys.readouterr().err
    assert read(*command, "--force") == 0
    assert Path("a.wav").read_bytes() == written and len(quick) == 1
