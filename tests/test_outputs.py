"""Segments into files: whole or absent, subtitles where the sound is, stdout that somebody closes."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from voicekit import outputs
from voicekit.audio import Audio
from voicekit.chapters import Cue
from voicekit.cloning import Cloned, CloneSettings, Request, SpokenSegment
from voicekit.cutting import Cut
from voicekit.errors import OutputError
from voicekit.journal import Spoken
from voicekit.outputs import Output, check, playing
from voicekit.text import Segment

ROOT = Path(__file__).resolve().parent.parent
RATE = 24_000
LENGTHS_S = (0.5, 0.31, 0.77771)
TEXTS = ("The first.", "The second & third.", "The last.")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def request(output: str = "out.wav", voice: str = "voice.wav", **settings: Any) -> Request:
    return Request("ignored", (voice,), output, "en", CloneSettings(**settings))


def a_cut(begins_s: tuple[float, ...] = (0.0, 0.0, 0.0), lead_s: float = 0.0) -> Cut:
    first = Segment("the first.", 0.25, source=TEXTS[0], lead_s=lead_s)
    second = Segment("the second and third.", 0.6, source=TEXTS[1])
    return Cut((first, second, Segment(TEXTS[2], 0.6)), begins_s)


def spoken(seconds: float, **facts: object) -> Spoken:
    """A constant: every sample of it can be told from silence."""
    return Spoken(Audio(np.full(round(seconds * RATE), 0.5, np.float32), RATE), 20, True, **facts)  # type: ignore[arg-type]


def made(wanted: Request, cut: Cut | None = None) -> Cloned:
    with Output(wanted, cut or a_cut(), None, None) as output:
        for seconds in LENGTHS_S:
            assert not output.complete
            output.add(spoken(seconds))
        assert output.complete
        return finished(output)


def finished(output: Output) -> Cloned:
    return output.finish(device="cpu", precision="float32", seed=3, model="tiny", similarity=0.5)


def sounding(path: str) -> list[tuple[float, float]]:
    """Where a file is not silent, seconds; silences under 50 ms count as sound."""
    samples, rate = soundfile.read(path)
    loud = np.flatnonzero(np.abs(samples) > 0.002)
    breaks = np.flatnonzero(np.diff(loud) > 0.05 * rate)
    starts, ends = [loud[0], *loud[breaks + 1]], [*loud[breaks], loud[-1]]
    return [(start / rate, (end + 1) / rate) for start, end in zip(starts, ends, strict=True)]


def captions(path: str) -> list[tuple[float, float, str]]:
    time = r"(\d+):(\d+):(\d+)[,.](\d+)"
    blocks = re.findall(rf"{time} --> {time}\n(.*)\n", Path(path).read_text("utf-8"))
    return [(seconds(*block[:4]), seconds(*block[4:8]), block[8]) for block in blocks]


def seconds(*parts: str) -> float:
    hours, minutes, whole, thousandths = map(int, parts)
    return hours * 3600 + minutes * 60 + whole + thousandths / 1000


# --- what is written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"sample_rate": 48_000}, {"sample_rate": 16_000, "wav_format": "pcm24"}])
def test_the_sound_lies_where_the_result_says(settings: dict[str, Any]) -> None:
    cloned = made(request(**settings))
    info = soundfile.info("out.wav")
    assert cloned.sample_rate == info.samplerate == settings.get("sample_rate", RATE)
    assert cloned.duration_s == pytest.approx(info.frames / info.samplerate, abs=1e-4)
    assert [segment.index for segment in cloned.segments] == [0, 1, 2]
    for segment, (start_s, end_s) in zip(cloned.segments, sounding("out.wav"), strict=True):
        assert segment.start_s == pytest.approx(start_s, abs=1e-3)
        assert segment.end_s == pytest.approx(end_s, abs=1e-3)
    gaps = [after.start_s - before.end_s for before, after in zip(cloned.segments, cloned.segments[1:], strict=False)]
    assert gaps == pytest.approx([0.25, 0.6], abs=2e-3)
    assert (cloned.output, cloned.language, cloned.seed, cloned.model, cloned.similarity, cloned.subtitles) == (
        "out.wav", "en", 3, "tiny", 0.5, None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_lie_where_the_sound_really_is(kind: str) -> None:
    cloned = made(request("a.b.wav", subtitles=kind), a_cut((0.0, 2.0, 0.0), lead_s=0.7))
    assert cloned.subtitles == f"a.b.{kind}"
    said, heard = captions(f"a.b.{kind}"), sounding("a.b.wav")
    assert len(said) == len(heard) == 3
    for (start_s, end_s, _), sound in zip(said, heard, strict=True):
        assert start_s == pytest.approx(sound[0], abs=1e-3)
        assert end_s == pytest.approx(sound[1], abs=1e-3)
    assert said[0][0] == 0.7 and said[1][0] == 2.0
    assert [text.replace("&amp;", "&") for *_, text in said] == list(TEXTS)  # as the author wrote them


@pytest.mark.parametrize("settings", [{}, {"sample_rate": 48_000}])
def test_silence_at_the_end_is_in_the_file_and_in_no_caption(settings: dict[str, Any]) -> None:
    heard: list[NDArray[np.float32]] = []
    plain = made(request("plain.wav", subtitles="srt", **settings))
    cut = a_cut()
    longer = Cut((*cut.segments[:-1], replace(cut.segments[-1], tail_s=2.0)), cut.begins_s)
    with Output(request("tail.wav", subtitles="srt", **settings), longer, None, heard.append) as output:
        for length in LENGTHS_S:
            output.add(spoken(length))
        cloned = finished(output)
    assert cloned.duration_s == pytest.approx(plain.duration_s + 2.0)
    assert cloned.duration_s == pytest.approx(soundfile.info("tail.wav").duration, abs=1e-4)
    assert sounding("tail.wav") == sounding("plain.wav")
    assert cloned.segments == plain.segments
    assert Path("tail.srt").read_bytes() == Path("plain.srt").read_bytes()
    assert sum(each.size for each in heard) == round(cloned.duration_s * RATE)


def test_what_is_told_of_a_segment() -> None:
    facts = {"tries": 3, "faults": ("loop",), "rejected": ("it is short", "it loops"), "gain_db": -2.3456}
    with Output(request(), a_cut(), None, None) as output:
        output.add(spoken(0.5))
        told = output.add(spoken(0.25, **facts), missing=("third",))
    assert told == SpokenSegment(1, 0.75, 1.0, 20, 3, ("loop",), ("it is short", "it loops"), -2.3,
                                 missing=("third",))  # fmt: skip


def test_a_listener_hears_what_is_written() -> None:
    heard: list[NDArray[np.float32]] = []
    with Output(request(wav_format="float"), a_cut(), None, heard.append) as output:
        for number, length in enumerate(LENGTHS_S, 1):
            output.add(spoken(length))
            assert len(heard) == number  # at once
        finished(output)
    assert np.array_equal(np.concatenate(heard), soundfile.read("out.wav", dtype="float32")[0])


def test_the_beginning_is_long_enough_for_a_comparison_and_no_longer() -> None:
    whole = Cut((Segment("x", 1.0),) * 5, (0.0,) * 5)
    with Output(request(), whole, None, None) as output:
        for _ in range(5):
            output.add(spoken(5.0))
        assert output.beginning.duration_s == 15.0  # 12 s are heard; gaps are none of it
        assert output.beginning.samples.all()


# --- whole or absent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("a defect"), KeyboardInterrupt(), OutputError("full")])
@pytest.mark.parametrize("there", [False, True])
def test_a_file_is_whole_or_absent(error: BaseException, there: bool) -> None:
    if there:
        Path("out.wav").write_bytes(b"mine")
    with pytest.raises(type(error)):
        with Output(request(subtitles="srt", overwrite=there), a_cut(), None, None) as output:
            output.add(spoken(0.5))
            output.add(spoken(0.5))
            assert not there or Path("out.wav").read_bytes() == b"mine"
            raise error
    assert os.listdir() == (["out.wav"] if there else [])
    assert not there or Path("out.wav").read_bytes() == b"mine"


def test_a_file_has_its_name_only_when_all_of_it_is_there() -> None:
    with Output(request(), a_cut(), None, None) as output:
        for length in LENGTHS_S:
            output.add(spoken(length))
            assert not Path("out.wav").exists()
        finished(output)
        assert soundfile.info("out.wav").duration == pytest.approx(sum(LENGTHS_S) + 0.85, abs=1e-3)


def test_a_name_taken_meanwhile_is_never_replaced() -> None:
    with pytest.raises(OutputError, match="exists already"):
        with Output(request(subtitles="srt"), a_cut(), None, None) as output:
            for length in LENGTHS_S:
                output.add(spoken(length))
            Path("out.wav").write_bytes(b"theirs")
            finished(output)
    assert Path("out.wav").read_bytes() == b"theirs"
    assert os.listdir() == ["out.wav"]


def test_nothing_is_opened_before_there_is_something_to_write() -> None:
    with Output(request(), a_cut(), None, None):
        assert os.listdir() == []
    assert os.listdir() == []


# --- stdout ---------------------------------------------------------------------------------------------------


def test_stdout_gets_a_wav_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=pipe))
    with Output(request("-"), a_cut(), None, None) as output:
        output.add(spoken(LENGTHS_S[0]))
        first = pipe.getvalue()
        assert len(first) == 44 + 2 * round(LENGTHS_S[0] * RATE)
        assert first[4:8] == first[40:44] == b"\xff" * 4
        for length in LENGTHS_S[1:]:
            output.add(spoken(length))
        assert finished(output).output == "-"
    assert pipe.getvalue().startswith(first)
    made(request("file.wav"))
    assert pipe.getvalue()[44:] == Path("file.wav").read_bytes()[44:]
    assert os.listdir() == ["file.wav"]


def test_a_pipe_that_nobody_reads_is_an_output_error_and_a_quiet_end() -> None:
    code = (
        "import sys\n"
        "from tests.test_outputs import *\n"
        "try:\n"
        "    with Output(request('-'), a_cut(), None, None) as output:\n"
        "        for length in LENGTHS_S * 20:\n"
        "            output.add(spoken(length))\n"
        "except OutputError as error:\n"
        "    print(error.message, file=sys.stderr)\n"
        "    print('what is left of the result')\n"
    )
    ran = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           cwd=ROOT)  # fmt: skip
    assert ran.stdout and ran.stderr
    ran.stdout.close()
    told = ran.stderr.read()
    assert ran.wait() == 0
    assert told.splitlines()[-1] == "The audio cannot be written to stdout: Broken pipe."
    assert "Traceback" not in told and "Exception ignored" not in told  # of Python's own last flush


# --- what is refused beforehand -------------------------------------------------------------------------------


def test_a_sample_is_never_the_output() -> None:
    Path("voice.wav").write_bytes(b"sound")
    os.link("voice.wav", "same.wav")
    Path("link.wav").symlink_to("voice.wav")
    for name in ("voice.wav", "./voice.wav", "same.wav", "link.wav"):
        with pytest.raises(OutputError, match="is an input itself"):
            check(request(name, "voice.wav", overwrite=True))
    Path("other.wav").write_bytes(b"sound")
    check(request("other.wav", "voice.wav", overwrite=True))


def test_what_exists_is_refused_unless_it_may_go() -> None:
    Path("out.wav").touch()
    with pytest.raises(OutputError, match="exists already"):
        check(request())
    check(request(overwrite=True))
    check(request(redo=2))  # the file is what is made again
    Path("new.srt").touch()
    with pytest.raises(OutputError, match=r"new\.srt.*exists already"):
        check(request("new.wav", subtitles="srt"))
    check(request("new.wav", subtitles="vtt"))
    check(request("new.wav", subtitles="srt", redo=1))


@pytest.mark.parametrize(("output", "settings", "says"), [
    ("out.txt", {}, "known audio format"),
    ("no/out.wav", {}, "no folder"),
    ("out.ogg", {"wav_format": "pcm24"}, "cannot hold"),
    ("x" * 300 + ".wav", {}, "no usable name"),
])  # fmt: skip
def test_what_cannot_be_written_is_refused_beforehand(output: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(OutputError, match=says):
        check(request(output, **settings))


def test_stdout_can_always_be_written() -> None:
    check(request("-"))


def test_who_does_not_want_to_hear_needs_no_sound_device() -> None:
    with playing(wanted=False) as hears:
        assert hears is None


def test_speakers_get_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[NDArray[np.float32]] = []

    class Speakers:
        def __init__(self, rate: int) -> None:
            assert rate == RATE

        def __enter__(self) -> SimpleNamespace:
            return SimpleNamespace(play=played.append)

        def __exit__(self, *_: object) -> None:
            played.append(np.zeros(0, np.float32))

    monkeypatch.setattr(outputs, "Player", Speakers)
    with playing(wanted=True) as hears:
        assert hears is not None
        hears(np.ones(3, np.float32))
        assert len(played) == 1
    assert len(played) == 2  # left


def test_a_cue_begins_at_its_time_in_the_file() -> None:
    cues = (Cue(1.0, 1.5, TEXTS[0]), Cue(3.0, 3.5, TEXTS[1]), Cue(3.1, 5.0, TEXTS[2]))
    cloned = made(Request("", ("voice.wav",), "out.wav", "en", cues=cues), a_cut((1.0, 3.0, 3.1)))
    heard = [start for start, _ in sounding("out.wav")]
    assert heard == pytest.approx([1.0, 3.0, 3.0 + LENGTHS_S[1] + 0.6], abs=1e-3)  # the last one overlapped
    assert [segment.start_s for segment in cloned.segments] == pytest.approx(heard, abs=1e-3)
