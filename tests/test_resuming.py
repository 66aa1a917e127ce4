"""The same command goes on where it stopped; what sounds makes it another one, what does not sound does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from voicekit import journal, resuming
from voicekit.chapters import Cue
from voicekit.cloning import CloneSettings, Listener, Request
from voicekit.errors import OutputError
from voicekit.journal import Pins
from voicekit.resuming import Record, Resumed, begin
from voicekit.tasks import Task, Tasks
from voicekit.voices import Source

TEXT = "A very private sentence."
SETTINGS = CloneSettings(model="rehearsal-tiny")
# What each setting may be instead; all of them must be here.
OTHER: dict[str, Any] = {
    "model": "xtts_v2", "device": "cpu", "precision": "float32", "seed": 5, "temperature": 0.5, "top_k": 7,
    "top_p": 0.5, "repetition_penalty": 2.0, "speed": 1.5, "tempo": 1.5, "threads": 1, "batch_size": 3, "retries": 0,
    "gap_s": 0.5, "lexicon": "words.txt", "sample_rate": 48_000, "wav_format": "float",
    "offline": True, "accept_license": True, "overwrite": True, "subtitles": "srt", "metadata": False, "verify": True,
    "save_voice": "me", "consent": "Yes.",
}  # fmt: skip
SILENT = {"offline", "accept_license", "overwrite", "subtitles", "metadata", "verify", "save_voice", "consent"}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("me.wav").write_bytes(b"me")
    Path("more.wav").write_bytes(b"more")
    Path("words.txt").write_text("cat = ket")


def tasks(settings: CloneSettings = SETTINGS, count: int = 1, samples: tuple[str, ...] = ("me.wav",),
          preprocess: bool = True, **request: Any) -> list[Task]:  # fmt: skip
    wanted = [Request(**{"text": TEXT, "voice": samples, "output": f"{number}.wav", "language": "en",
                         "settings": settings, "preprocess": preprocess, **request})
              for number in range(count)]  # fmt: skip
    made = Tasks(wanted, Listener(), alone=True)
    made.each(lambda task: setattr(task, "source", Source(samples, preprocess)))
    return made.left


def begun(settings: CloneSettings = SETTINGS, *, listens: bool = False, **more: Any) -> Resumed:
    return begin(tasks(settings, **more), settings, listens=listens)


def keys() -> list[str]:
    return sorted(path.stem for path in journal.folder().glob("*.json"))


def key_of(settings: CloneSettings = SETTINGS, *, listens: bool = False, **more: Any) -> str:
    """Under which file a command's pins lie."""
    before = keys()
    begun(settings, listens=listens, **more).journal.pin(Pins(1, "x", 1))
    (new,) = set(keys()) - set(before) or {""}
    path = journal.folder() / f"{new}.json"
    if new:
        path.unlink()
    return new


def test_the_same_command_is_the_same_and_nothing_is_asked_of_the_clock() -> None:
    assert key_of() == key_of() != ""


def test_every_setting_that_sounds_makes_another_command_and_no_other_does() -> None:
    assert {*OTHER, "redo"} == {each.name for each in fields(CloneSettings)}
    assert set(resuming._SILENT) == SILENT | {"redo"}
    usual = key_of()
    found = {name: key_of(replace(SETTINGS, **{name: value})) for name, value in OTHER.items()}
    assert {name for name, key in found.items() if key == usual} == SILENT
    sounding = [key for name, key in found.items() if name not in SILENT]
    assert len(set(sounding)) == len(sounding)


def test_settings_of_one_request_count_as_well() -> None:
    """A line of a job file has its own; those of the run stay."""
    def with_own(**own: Any) -> str:
        made = tasks(count=2)
        made[1].request = replace(made[1].request, settings=replace(SETTINGS, **own))
        begin(made, SETTINGS, listens=False).journal.pin(Pins(1, "x", 1))
        (key,) = keys()
        journal.remove_old(days=0)
        return key

    assert with_own() != with_own(speed=1.5) != with_own(seed=1)
    assert with_own() == with_own(subtitles="vtt")


@pytest.mark.parametrize("change", [
    {"text": TEXT + "."}, {"language": "de"}, {"output": "other.wav"}, {"samples": ("more.wav",)},
    {"samples": ("me.wav", "more.wav")}, {"preprocess": False}, {"cues": (Cue(0.0, 1.0, TEXT),)}, {"count": 2},
    {"listens": True},
])  # fmt: skip
def test_another_wish_is_another_command(change: dict[str, Any]) -> None:
    assert key_of(**change) != key_of()


def test_a_sample_with_other_sound_is_another_command() -> None:
    before = key_of()
    Path("me.wav").write_bytes(b"other")
    assert key_of() != before


def test_other_times_of_cues_are_another_command() -> None:
    assert key_of(cues=(Cue(0.0, 1.0, TEXT),)) != key_of(cues=(Cue(0.5, 1.0, TEXT),))


def test_a_place_is_the_same_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_of(output="a.wav") == key_of(output="./a.wav") == key_of(output=str(Path("a.wav").resolve()))


def test_another_version_is_another_command(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of()
    monkeypatch.setattr(resuming, "__version__", "99")
    assert key_of() != before


def test_no_text_lies_in_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    resumed = begun(cues=(Cue(0.0, 1.0, TEXT),))
    resumed.journal.pin(replace(resumed.pins, redo={"0:1": 1}))
    for path in journal.folder().rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        for private in (TEXT, "private", "me.wav", "0.wav"):
            assert private.encode() not in held and private not in str(path.relative_to(journal.folder()))
    assert "private" not in caplog.text


# --- going on -------------------------------------------------------------------------------------------------


def interrupted(settings: CloneSettings = SETTINGS, **pinned: Any) -> Pins:
    """What the first run of a command left when it was stopped."""
    resumed = begun(settings)
    pins = replace(resumed.pins, precision="bfloat16", threads=2, **pinned)
    resumed.journal.pin(pins)
    return pins


def test_an_interrupted_command_goes_on_with_what_it_chose() -> None:
    assert not begun().again
    pins = interrupted()
    resumed = begun()
    assert resumed.again and resumed.pins == pins


def test_a_seed_is_drawn_once_or_is_the_one_that_was_asked_for() -> None:
    drawn: Sequence[int] = [begun().pins.seed for _ in range(4)]
    assert len(set(drawn)) == 4 and all(0 <= seed < 2**63 for seed in drawn)
    assert begun(replace(SETTINGS, seed=2**63 - 1)).pins == Pins(2**63 - 1, "auto", 0)


def test_what_was_asked_for_is_pinned_until_it_is_chosen() -> None:
    pins = begun(replace(SETTINGS, precision="float32", threads=3)).pins
    assert (pins.precision, pins.threads, pins.redo, pins.finished) == ("float32", 3, {}, False)


def test_a_finished_command_begins_anew() -> None:
    pins = interrupted(finished=True, redo={"0:1": 1})
    resumed = begun()
    assert not resumed.again
    assert resumed.pins.seed != pins.seed
    assert resumed.pins == Pins(resumed.pins.seed, "auto", 0)


def test_who_listens_is_told_on() -> None:
    assert begun(listens=True).listens and not begun().listens


# --- what is there ----------------------------------------------------------------------------------------------


def test_the_journal_knows_which_outputs_are_there_and_which_may_be() -> None:
    """A task's files are there for sure when the next one's turn comes."""
    resumed = begun(count=3)
    told = Tasks([task.request for task in tasks(count=3)], Listener(), alone=False)
    for task in told.left:
        task.request = replace(task.request, digest=str(task.number))
    told.left[0].delivered = True
    record = Record(resumed.journal, resumed.pins, told)

    def known() -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        pins = resumed.journal.pins()
        assert pins
        return pins.delivered, pins.appearing, pins.finished

    first, second, third = told.left
    assert known() == (("0",), (), False)
    record.about_to_deliver(second)
    assert known() == (("0",), ("1",), False)
    told.fail(second, OutputError("The disk is full."))
    record.about_to_deliver(third)
    assert known() == (("0",), ("1", "2"), False)
    record.finish()
    assert known() == (("0", "2"), ("1",), False)  # something failed: the command is not over
    assert (first, third) == tuple(told.left)


def test_what_may_be_there_may_be_there_until_it_is() -> None:
    """A run that goes on with another one may be stopped itself, before it comes to that output."""
    resumed = begun(count=2)
    told = Tasks([task.request for task in tasks(count=2)], Listener(), alone=True)
    for task in told.left:
        task.request = replace(task.request, digest=str(task.number))
    told.left[1].appearing = True
    record = Record(resumed.journal, resumed.pins, told)
    for task, expected in zip(told.left, [((), ("0", "1")), (("0",), ("1",))], strict=True):
        assert (pins := resumed.journal.pins()) and "1" in pins.appearing
        record.about_to_deliver(task)
        assert (pins := resumed.journal.pins()) and (pins.delivered, pins.appearing) == expected
    record.finish()
    assert (pins := resumed.journal.pins()) and (pins.delivered, pins.appearing) == (("0", "1"), ())


def test_a_run_of_which_nothing_failed_is_finished() -> None:
    resumed = begun()
    record = Record(resumed.journal, resumed.pins, Tasks([tasks()[0].request], Listener(), alone=True))
    assert not begun().pins.finished and begun().again
    record.finish()
    assert not begun().again


# --- again ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finished", [False, True])
def test_a_segment_asked_for_again_is_counted(finished: bool) -> None:
    first = interrupted(finished=finished)
    for number, expected in ((2, {"0:1": 1}), (2, {"0:1": 2}), (1, {"0:1": 2, "0:0": 1})):
        resumed = begun(replace(SETTINGS, redo=number))
        assert resumed.pins == replace(first, redo=expected, finished=False)
        assert resumed.again
        resumed.journal.pin(replace(resumed.pins, finished=True))


def test_asking_again_changes_nothing_until_it_is_pinned() -> None:
    interrupted()
    begun(replace(SETTINGS, redo=1))
    assert begun(replace(SETTINGS, redo=1)).pins.redo == {"0:0": 1}


def test_nothing_can_be_asked_for_again_that_was_never_spoken() -> None:
    interrupted()
    with pytest.raises(OutputError, match="No earlier run"):
        begun(replace(SETTINGS, redo=1), text="Another text.")
    with pytest.raises(OutputError, match="No earlier run"):
        begun(replace(SETTINGS, redo=1, speed=1.5))


def test_a_damaged_record_is_no_record() -> None:
    interrupted()
    (path,) = journal.folder().glob("*.json")
    path.write_text(json.dumps({"seed": "x"}))
    assert not begun().again
