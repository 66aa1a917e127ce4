"""Several runs at once on the same things: one of them wins, the others are told, and nothing is a mixture of two."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

from simple_voice_clone import main
from tests.command_places import Place, clone, improve
from tests.reading_logs import HEAD
from voicekit import profiles
from voicekit.errors import OutputError
from voicekit.job_results import JobResults, read_results

Make = Callable[[], Place]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")


@pytest.fixture
def place(tiny_checkpoint: Path, voice_file: Path, other_voice_file: Path, tmp_path: Path) -> Iterator[Place]:
    made = Place.make(tmp_path / "of", voice_file, tiny_checkpoint)
    shutil.copy(other_voice_file, tmp_path / "of" / "in" / "other.wav")
    yield made
    check_log(made)
    assert made.litter() == []


def at_once(place: Place, *commands: list[str]) -> list[tuple[int, str]]:
    """The exit codes of runs that were started together, with what each told."""
    with contextlib.ExitStack() as running:
        processes = [running.enter_context(place.start(command, name=f"run{number}"))
                     for number, command in enumerate(commands)]  # fmt: skip
        codes = [process.wait() for process in processes]
    ended = [(code, place.told(f"run{number}")) for number, code in enumerate(codes)]
    assert not [told for _, told in ended if "Internal error" in told]
    return ended


def check_log(place: Place) -> None:
    """Every line is whole, every run has its beginning and its end, and its record."""
    lines = place.log().splitlines()
    assert [line for line in lines if not HEAD.fullmatch(line) and not line.startswith("    ")] == []
    started, finished = (sum(f" {word} - " in line for line in lines) for word in ("started", "finished"))
    records = (place.root / "logs" / "runs.jsonl").read_text("utf-8").splitlines()
    assert len({json.loads(record)["run_id"] for record in records}) == len(records)
    assert len(records) == sum(" started - Run: " in line for line in lines) <= started
    assert finished >= len(records)


def voiced(name: str) -> list[str]:
    return ["--voice", f"../in/{name}.wav"]


def text(*flags: str) -> list[str]:
    return clone("--text", "A dog barks.", *flags)


def with_seed(seed: int, *flags: str) -> list[str]:
    return text("--seed", str(seed), *flags)


def test_the_same_output(place: Place) -> None:
    """Two seeds are two sounds: without --force the second is told, with it the last one stands."""
    ended = at_once(place, with_seed(1, "-o", "a.wav"), with_seed(2, "-o", "a.wav"))
    assert sorted(code for code, _ in ended) == [0, 1]
    assert "exists already" in next(told for code, told in ended if code)
    solo = {}
    for seed in (1, 2):
        assert place.run(with_seed(seed, "-o", f"solo{seed}.wav"))[0] == 0
        solo[seed] = (place.out / f"solo{seed}.wav").read_bytes()
    assert solo[1] != solo[2]
    winner = 1 + next(number for number, (code, _) in enumerate(ended) if code == 0)
    assert (place.out / "a.wav").read_bytes() == solo[winner]
    forced = at_once(place, with_seed(1, "-o", "a.wav", "--force"), with_seed(2, "-o", "a.wav", "--force"))
    assert [code for code, _ in forced] == [0, 0]
    assert (place.out / "a.wav").read_bytes() in solo.values()


def test_the_same_command_twice(place: Place) -> None:
    """One journal, one output, and results beside a job file."""
    command = clone("-o", "a.flac", "--subtitles", "srt")
    ended = at_once(place, command, command)
    assert 0 in [code for code, _ in ended]
    assert all(code == 0 or "exists already" in told for code, told in ended)
    first = place.outputs()
    assert sorted(first) == ["a.flac", "a.srt"]
    code, told = place.run([*command, "--force"])
    assert code == 0 and "spoken before" in told
    assert place.outputs() == first


def test_the_same_list_of_jobs_twice(place: Place) -> None:
    jobs = place.root / "in" / "jobs.jsonl"
    lines = [{"text": f"A dog barks {number}.", "output": f"{number}.ogg", "voice": "voice.wav"} for number in (1, 2)]
    jobs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = clone("--jobs", "../in/jobs.jsonl", "--output-root", ".")
    ended = at_once(place, command, command)
    assert 0 in [code for code, _ in ended]
    assert sorted(place.outputs()) == ["1.ogg", "2.ogg"]
    results = read_results(jobs.with_suffix(".results.jsonl"))
    assert [(each["line"], each["status"]) for each in results] == [(1, "ok"), (2, "ok")]


def test_one_run_writes_results_at_a_time(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    with JobResults(jobs) as first:
        first.append({"line": 1})
        with pytest.raises(OutputError, match="Another run"), JobResults(jobs):
            pass
        first.append({"line": 2})
    assert [each["line"] for each in read_results(first.path)] == [1, 2]
    with JobResults(jobs) as second:
        second.append({"line": 3})
    assert [each["line"] for each in read_results(second.path)] == [3]


def test_the_same_name_for_two_voices(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = at_once(place, *(text(*voiced(name), "-o", f"{name}.wav", "--save-voice", "me")
                             for name in ("voice", "other")))  # fmt: skip
    assert sorted(code for code, _ in ended) == [0, 1]
    assert "There is a voice 'me' already" in next(told for code, told in ended if code)
    monkeypatch.setenv("XDG_DATA_HOME", str(place.root / "data"))
    winner = ("voice", "other")[[code for code, _ in ended].index(0)]
    assert profiles.load("me").sample_names == (f"{winner}.wav",)
    assert list(place.outputs()) == [f"{winner}.wav"]


def test_the_same_recording_is_improved_twice(place: Place) -> None:
    ended = at_once(place, improve("-o", "a.wav"), improve("-o", "a.wav"))
    assert 0 in [code for code, _ in ended]
    assert all(code == 0 or "exists already" in told for code, told in ended)
    assert len(soundfile.read(place.out / "a.wav")[0])


def test_caches_and_the_voice_go_while_somebody_speaks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run needs it has, or is told of; what others remove it does without."""
    assert place.run(text("-o", "first.wav", "--save-voice", "me"))[0] == 0
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    speaks = clone("--voice", "me", "-o", "a.opus")
    with place.start(speaks, name="speaks") as process:
        while process.poll() is None and "Model loaded" not in place.told("speaks"):
            _clear()
        assert main(["--delete-voice", "me", "-q"]) == 0
        while process.poll() is None:
            _clear()
    assert process.returncode == 0, place.told("speaks")
    assert "Internal error" not in place.told("speaks")
    kept = (place.out / "a.opus").read_bytes()
    assert place.run([*speaks, "--force"])[0] == 1  # the voice is gone
    assert "no voice 'me'" in place.told()
    assert (place.out / "a.opus").read_bytes() == kept


def _clear() -> None:
    assert main(["--clear-cache", "-q"]) == 0
    time.sleep(0.05)


def test_clearing_spares_what_another_run_is_writing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished file in the cache belongs to its run for as long as that lives."""
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    code = ("import sys; from voicekit import journal; from voicekit.publishing import published; from pathlib import"
            " Path\nfolder = journal.folder() / 'groups'; folder.mkdir(parents=True)\n"
            "with published(folder / 'a.safetensors', overwrite=True) as part:\n"
            "    print(flush=True); sys.stdin.read(); part.write_bytes(b'whole')")  # fmt: skip
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen([sys.executable, "-c", code], cwd=root,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdin and process.stdout
        process.stdout.readline()
        _clear()
        process.stdin.close()
        assert process.wait() == 0
    assert place.groups() == {"a.safetensors"}
