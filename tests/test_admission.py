"""voicekit.admission: what cannot be done is refused before anything slow starts, of a run and of its rehearsal."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from voicekit import resuming
from voicekit.admission import LOW_TEMPERATURE, admit
from voicekit.cloning import CloneSettings, Listener, Request
from voicekit.errors import AudioError, OutputError, TextError, VoiceError
from voicekit.resuming import Record, Resumed
from voicekit.tasks import Tasks

SETTINGS = CloneSettings(model="rehearsal-tiny")
FORCED = replace(SETTINGS, overwrite=True)


class Told(Listener):
    """Keeps what it is told."""

    def __init__(self, delivered: Collection[str] = ()) -> None:
        self._delivered = delivered
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.failures: list[tuple[str, VoiceError]] = []

    def earlier(self) -> Collection[str]:
        return self._delivered

    def note(self, line: str) -> None:
        self.notes.append(line)

    def warn(self, line: str) -> None:
        self.warnings.append(line)

    def failed(self, request: Request, error: VoiceError) -> None:
        self.failures.append((request.output, error))


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def request_(voice_file: Path) -> Request:
    return Request("A short sentence.", (str(voice_file),), "out.wav", "en", SETTINGS)


def admitted(
    *requests: Request, told: Listener | None = None, alone: bool = True, settings: CloneSettings = SETTINGS,
    listens: bool = False,
) -> tuple[Tasks, Resumed]:  # fmt: skip
    return admit(requests, settings, told or Told(), alone=alone, listens=listens)


CHANGES: Sequence[tuple[Callable[[Request], Request], type[VoiceError]]] = [
    (lambda request: replace(request, text="..."), TextError),
    (lambda request: replace(request, language="xx"), TextError),
    (lambda request: replace(request, voice=("none.wav",)), AudioError),
    (lambda request: replace(request, output="no/out.wav"), OutputError),
    (lambda request: replace(request, output=request.voice[0], settings=FORCED), OutputError),
    (lambda request: replace(request, settings=replace(SETTINGS, lexicon="none.txt")), TextError),
]


@pytest.mark.parametrize(("change", "error"), CHANGES)
def test_what_cannot_be_done_is_refused_now(
    change: Callable[[Request], Request], error: type[VoiceError], request_: Request
) -> None:
    with pytest.raises(error):
        admitted(request_, replace(change(request_), output=change(request_).output.replace("out.", "other.")))
    told = Told()
    tasks, _ = admitted(change(request_), replace(request_, output="b.wav"), told=told, alone=False)
    assert [task.request.output for task in tasks.left] == ["b.wav"]
    ((_, met),) = told.failures
    assert isinstance(met, error) and met.hint
    assert os.listdir() == []


def test_what_is_admitted_has_all_that_the_run_goes_by_and_nothing_is_written(request_: Request) -> None:
    tasks, resumed = admitted(request_, replace(request_, output="b.wav", settings=replace(SETTINGS, seed=7)))
    first, second = tasks.left
    assert (first.seed, second.seed) == (resumed.pins.seed, 7)
    assert first.request.digest != second.request.digest != ""
    assert len(first.cut.segments) == 1 and first.source.samples == request_.voice
    assert not (first.delivered or first.appearing or resumed.again or resumed.listens)
    assert os.listdir() == []


@pytest.mark.parametrize(("output", "listens", "wanted"), [("a.wav", False, False), ("a.wav", True, True),
                                                           ("-", False, True)])  # fmt: skip
def test_who_takes_the_stream_listens(request_: Request, output: str, listens: bool, wanted: bool) -> None:
    assert admitted(replace(request_, output=output), listens=listens)[1].listens == wanted


def test_what_looks_wrong_is_warned_of(request_: Request) -> None:
    told = Told()
    cold = replace(SETTINGS, temperature=LOW_TEMPERATURE / 2)
    german = "Der Hund und die Katze sind in dem Haus, und sie schlafen nicht, weil es noch hell ist."
    admitted(replace(request_, text=german, settings=cold), told=told)
    assert [("temperature" in line, "de" in line) for line in told.warnings] == [(True, True), (False, True)]


# --- again ----------------------------------------------------------------------------------------------------


def interrupted(*requests: Request, settings: CloneSettings = SETTINGS) -> None:
    """A run that delivered the first of them, and was killed."""
    tasks, resumed = admitted(*requests, settings=settings)
    record = Record(resumed.journal, resumed.pins, tasks)
    record.about_to_deliver(tasks.left[0])
    Path(tasks.left[0].request.output).write_bytes(b"whole")
    record.about_to_deliver(tasks.left[1])


def test_what_an_interrupted_run_delivered_is_known(request_: Request) -> None:
    both = request_, replace(request_, output="b.wav")
    interrupted(*both)
    told = Told()
    tasks, resumed = admitted(*both, told=told)
    assert [(task.delivered, task.appearing) for task in tasks.left] == [(True, False), (False, True)]
    assert resumed.again and "has not finished" in told.notes[0]
    Path("out.wav").unlink()
    assert not any(task.delivered for task in admitted(*both)[0].left)


@pytest.mark.parametrize(("alone", "force", "anew"), [(False, False, False), (False, True, True), (True, False, True)])
def test_where_nothing_is_left_to_do_force_begins_anew_and_so_does_one_text(
    alone: bool, force: bool, anew: bool, request_: Request
) -> None:
    settings = FORCED if force else SETTINGS
    both = [replace(request_, output=name, settings=settings) for name in ("a.wav", "b.wav")]
    told = Told({resuming.digest(task) for task in admitted(*both, settings=settings)[0].left})
    if alone:  # the files that are there would be refused
        both = [replace(each, settings=FORCED) for each in both]
    Path("a.wav").write_bytes(b"whole")
    left = [task.delivered for task in admitted(*both, told=told, settings=settings, alone=alone)[0].left]
    assert left == [True, False]
    Path("b.wav").write_bytes(b"whole")
    left = [task.delivered for task in admitted(*both, told=told, settings=settings, alone=alone)[0].left]
    assert left == [not anew] * 2


def test_what_force_begins_anew_goes_on_with_no_earlier_run(request_: Request) -> None:
    """A line of the list failed, so that its run was not over; that line is gone."""
    forced = replace(request_, settings=FORCED)
    tasks, resumed = admitted(forced, settings=FORCED, alone=False)
    resumed.journal.pin(replace(resumed.pins, delivered=(tasks.left[0].request.digest,)))
    Path("out.wav").write_bytes(b"whole")
    told = Told()
    (task,), again = (found := admitted(forced, told=told, settings=FORCED, alone=False))[0].left, found[1]
    assert (task.delivered, again.again, told.notes) == (False, False, [])
    assert task.seed == again.pins.seed != resumed.pins.seed  # one of 2**31


def test_a_run_with_nothing_left_to_do_is_over(request_: Request) -> None:
    tasks, resumed = admitted(request_, alone=False)
    resumed.journal.pin(replace(resumed.pins, delivered=(tasks.left[0].request.digest,)))
    Path("out.wav").write_bytes(b"whole")
    told = Told()
    tasks, resumed = admitted(request_, told=told, alone=False)
    assert (tasks.left[0].delivered, resumed.again, told.notes) == (True, True, [])
    resuming.over(tasks, resumed)
    found = resumed.journal.pins()
    assert found is not None and found.finished


def test_a_title_is_part_of_an_output_and_not_of_the_command(request_: Request) -> None:
    both = request_, replace(request_, output="b.wav")
    interrupted(*both)
    retitled = replace(request_, title="Another", settings=FORCED), both[1]
    tasks, resumed = admitted(*retitled)
    assert resumed.again  # what was spoken is taken
    assert not tasks.left[0].delivered


def test_an_edited_lexicon_makes_another_command(request_: Request) -> None:
    words = Path("words.txt")
    with_words = replace(request_, text="A cat.", settings=replace(SETTINGS, lexicon=str(words)))
    found = []
    for line in ("cat = ket", "cat = kit", "# said so\ncat = kit\nzebra = seebra"):
        words.write_text(line)
        found.append(resuming.digest(admitted(with_words)[0].left[0]))
    assert found[0] != found[1] == found[2]
