"""What people and programs are told of a clone."""

from __future__ import annotations

import io
import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.voices import talking
from voicekit.audio_writing import write_audio
from voicekit.clone_plans import Plan
from voicekit.clone_results import Terminal, jobs_outcome, outcome, planned, planned_jobs
from voicekit.cloning import Cloned, CloneSettings, Request, SpokenSegment
from voicekit.command_line import Messages
from voicekit.cutting import Cut
from voicekit.errors import AudioError
from voicekit.forecast import Forecast, Range
from voicekit.job_results import read_results, results_path
from voicekit.tasks import Tasks
from voicekit.text import Segment

SEGMENTS = (
    SpokenSegment(0, 0.0, 1.0, 20),
    SpokenSegment(1, 1.25, 3.75, 50, 3, ("loop",), ("it is short", "it loops"), -1.5, missing=("w",)),
)
CLONED = Cloned(
    output="a.wav", duration_s=3.7512345, sample_rate=24_000, language="de", device="cpu", precision="float32", seed=7,
    batch_size=12, model="xtts_v2", segments=SEGMENTS, similarity=0.75, subtitles="a.srt",
)  # fmt: skip
CUT = Cut((Segment("Hello there.", 0.25), Segment("And bye.", 0.6)), (0.0, 0.0))
SPENT = {"generate": 3.0, "vocode": 4.5, "write": 100.0}


def terminal(**more: Any) -> tuple[Terminal, io.StringIO]:
    stream = io.StringIO()
    return Terminal(Messages(stream=stream), **more), stream


# --- while it runs --------------------------------------------------------------------------------------------


def test_a_person_sees_each_segment() -> None:
    told, stream = terminal()
    with told:
        told.planned([CUT])
        for segment in SEGMENTS:
            told.spoken(segment, 10)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("Segment 1 of 2: 1.0 s of speech")
    assert lines[1] == "Segment 2 of 2: 2.5 s of speech, take 3"


def test_the_forecast_is_of_what_is_about_to_be_spoken() -> None:
    asked: list[Any] = []

    def expect(cuts: Any) -> Forecast:
        asked.append(cuts)
        around = Range(1000.0, 900.0, 1100.0)
        return Forecast(around, 1, around, {"generate": 700.0, "vocode": 300.0}, 3)

    told, stream = terminal(expect=expect)
    told.planned([CUT])
    told.spoken(SEGMENTS[0], 2)
    assert asked == [[CUT]]
    assert "min left" in stream.getvalue()


def test_warnings_are_logged_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    told, stream = terminal()
    with caplog.at_level(logging.WARNING):
        told.warn("The sample is short.")
    told.note("A note.")
    assert told.warnings == ["The sample is short."] and "The sample is short." in caplog.text
    assert stream.getvalue() == "A note.\n"


# --- one text -------------------------------------------------------------------------------------------------


def test_one_output_as_json_and_as_a_line() -> None:
    told, stream = terminal()
    told.warn("W.")
    code, result, line = outcome([CLONED], told, SPENT)
    assert (code, line) == (0, "a.wav")
    again = json.loads(json.dumps(result, allow_nan=False))
    assert (again["output"], again["duration_s"]) == ("a.wav", 3.751)
    assert (again["sample_rate"], again["language"]) == (24_000, "de")
    assert (again["device"], again["precision"], again["seed"], again["model"]) == ("cpu", "float32", 7, "xtts_v2")
    assert again["segments"][1] == {
        "index": 1, "start_s": 1.25, "end_s": 3.75, "codes": 50, "tries": 3, "faults": ["loop"],
        "rejected": ["it is short", "it loops"], "gain_db": -1.5, "reused": False, "missing": ["w"],
    }  # fmt: skip
    assert (again["similarity"], again["subtitles"], again["warnings"]) == (0.75, "a.srt", ["W."])
    assert again["rtf"] == pytest.approx(7.5 / 3.7512345, abs=1e-3)  # writing is not speaking
    said = stream.getvalue().splitlines()[-1]
    for part in ("3.8 s", "2 segments", "1 of them in more than one take", "2.00 s of work", "seed 7", "0.75 alike"):
        assert part in said


def test_what_was_spoken_before_is_told_and_is_no_speed() -> None:
    told, stream = terminal()
    half = replace(CLONED, segments=(replace(SEGMENTS[0], reused=True), SEGMENTS[1]))
    result = outcome([half], told, SPENT)[1]
    assert (result["reused"], result["segments"][0]["reused"]) == (1, True)
    assert result["rtf"] == pytest.approx(7.5 / 2.5, abs=1e-3)  # of the one that was spoken
    assert "1 of them spoken before" in stream.getvalue()
    told, stream = terminal()
    whole = replace(CLONED, segments=tuple(replace(each, reused=True) for each in SEGMENTS))
    assert outcome([whole], told, {})[1]["rtf"] is None
    assert "2 of them spoken before" in stream.getvalue() and "of work" not in stream.getvalue()


def test_stdout_is_no_path() -> None:
    assert outcome([replace(CLONED, output="-")], terminal()[0], SPENT)[2] == ""


def test_several_outputs() -> None:
    other = replace(CLONED, output="b.wav", duration_s=1.0)
    code, result, line = outcome([CLONED, other], terminal()[0], SPENT)
    assert (code, line) == (0, "a.wav\nb.wav")
    assert [each["output"] for each in result["outputs"]] == ["a.wav", "b.wav"]
    assert result["duration_s"] == 4.751 and "output" not in result
    assert (result["seed"], result["model"]) == (7, "xtts_v2")
    assert result["rtf"] == pytest.approx(7.5 / 4.7512345, abs=1e-3)


def test_no_sound_is_no_division() -> None:
    result = outcome([replace(CLONED, duration_s=0.0, segments=())], terminal()[0], SPENT)[1]
    assert result["rtf"] is None


# --- jobs -----------------------------------------------------------------------------------------------------

REQUEST = Request("Hello.", ("me.wav",), "a.wav", "en", line=3)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """The path of a job file; what stands in it does not matter here."""
    return tmp_path / "jobs.jsonl"


def records(jobs: Path) -> list[dict[str, Any]]:
    return read_results(results_path(jobs))


def test_every_line_gets_its_result_as_it_ends(jobs: Path) -> None:
    told, stream = terminal(jobs=str(jobs))
    with told:
        told.fail(2, "No JSON.", "")
        assert not results_path(jobs).exists()  # a dry run gets no further
        told.begun([], [REQUEST])
        assert [each["line"] for each in records(jobs)] == [2]
        told.done(REQUEST, CLONED)
        assert [each["line"] for each in records(jobs)] == [2, 3]
        told.failed(replace(REQUEST, line=1, output="b.wav"), AudioError("It is silent.", "Record it again."))
        code, result, line = jobs_outcome([CLONED], told, SPENT)
    bad, ok, silent = records(jobs)
    assert (ok["line"], ok["status"], ok["output"], ok["duration_s"]) == (3, "ok", "a.wav", 3.751)
    assert silent == {"line": 1, "status": "error", "output": "b.wav",
                      "error": {"message": "It is silent.", "hint": "Record it again."}}  # fmt: skip
    assert (bad["line"], bad["output"]) == (2, None)
    assert "Hello" not in results_path(jobs).read_text()
    assert (code, line, result["results"], result["done"]) == (1, str(results_path(jobs)), line, 1)
    assert [failure["line"] for failure in result["failed"]] == [1, 2]
    said = stream.getvalue().splitlines()
    assert "Line 1: It is silent. Record it again." in said and "Line 2: No JSON." in said
    assert said[-1] == "2 of 3 jobs failed: lines 1, 2"


def test_jobs_that_all_went_well_or_all_failed(jobs: Path) -> None:
    told, stream = terminal(jobs=str(jobs))
    code, result, _ = jobs_outcome([CLONED], told, SPENT)
    assert (code, result["done"], result["failed"]) == (0, 1, []) and "failed" not in stream.getvalue()
    assert (result["seed"], result["model"]) == (7, "xtts_v2")
    told, stream = terminal(jobs=str(jobs))
    told.fail(1, "No JSON.", "")
    code, result, _ = jobs_outcome([], told, {})
    assert (code, result["done"], result["rtf"], result["duration_s"]) == (1, 0, None, 0)
    assert "1 of 1 jobs failed" in stream.getvalue()


def test_a_list_that_goes_on_keeps_its_results_and_repeats_none(jobs: Path, tmp_path: Path) -> None:
    (there := tmp_path / "a.wav").write_bytes(b"whole")
    third, fourth = (replace(REQUEST, line=line, digest=f"d{line}", output=str(tmp_path / name))
                     for line, name in ((3, "a.wav"), (4, "b.wav")))  # fmt: skip
    for earlier, request in (([], third), ([third], fourth)):
        told, stream = terminal(jobs=str(jobs))
        with told:
            told.fail(2, "No JSON.", "")
            assert set(told.earlier()) == {each.digest for each in earlier}
            told.begun(earlier, [request])
            told.done(request, replace(CLONED, output=str(there)))
    assert [each["line"] for each in records(jobs)] == [2, 3, 4]
    code, result, _ = jobs_outcome([CLONED], told, SPENT)
    assert (code, result["done"]) == (1, 2)  # what the first run delivered counts
    assert stream.getvalue().splitlines()[-1] == "1 of 3 jobs failed: lines 2"


def test_results_of_outputs_that_stay_are_kept_though_none_is_known_any_more(jobs: Path, tmp_path: Path) -> None:
    """An edited lexicon: the outputs are there, and refused; put back, they are done."""
    (there := tmp_path / "a.wav").write_bytes(b"whole")
    request = replace(REQUEST, output=str(there), digest="d")
    with terminal(jobs=str(jobs))[0] as told:
        told.begun([], [request])
        told.done(request, replace(CLONED, output=str(there)))
    for making, lines in (([], [3, 3]), ([request], [3])):
        with terminal(jobs=str(jobs))[0] as told:
            told.fail(3, "It exists.", "")
            told.begun([], making)
        assert [each["line"] for each in records(jobs)] == lines
        assert (told.earlier() == {"d"}) == (not making)


def test_what_all_jobs_are_warned_of_is_said_once() -> None:
    told, _ = terminal()
    told.warn("It is cold.")
    told.warn("It is cold.")
    assert told.warnings == ["It is cold."]


def test_a_list_that_is_given_anew_begins_its_results_anew(jobs: Path) -> None:
    for number in (3, 4):
        with terminal(jobs=str(jobs))[0] as told:
            told.begun([], [replace(REQUEST, line=number)])
            told.done(replace(REQUEST, line=number), CLONED)
    assert [each["line"] for each in records(jobs)] == [4]


def test_one_text_has_no_file_of_results(tmp_path: Path) -> None:
    told, _ = terminal()
    with told:
        told.begun([], [REQUEST])
        told.done(REQUEST, CLONED)
    assert (told.results, list(told.earlier()), list(tmp_path.iterdir())) == (None, [], [])



@pytest.fixture
def _sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_audio(talking(7.0), "me.wav")


@pytest.mark.usefixtures("_sample", "tiny_checkpoint")
def test_the_plan_of_jobs_tells_the_bad_lines_and_plans_the_others(jobs: Path, tmp_path: Path) -> None:
    settings = CloneSettings(model="rehearsal-tiny")
    good = replace(REQUEST, settings=settings)
    silent = replace(good, line=5, text="...", output="b.wav")
    told, stream = terminal(jobs=str(jobs))
    code, result, line = planned_jobs(Tasks([good, silent], told, alone=False), settings, told, tmp_path / "logs")
    assert (code, line, result["outputs"]) == (1, "a.wav", ["a.wav"])
    assert [(failure["line"], failure["output"]) for failure in result["failed"]] == [(5, "b.wav")]
    assert "Line 5: The text holds nothing that can be spoken." in stream.getvalue()
    told, _ = terminal(jobs=str(jobs))
    assert planned_jobs(Tasks([good], told, alone=False), settings, told, tmp_path / "logs")[0] == 0
    assert planned_jobs(Tasks([silent], told, alone=False), settings, told, tmp_path / "logs")[0::2] == (1, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["me.wav"]


# --- a dry run ------------------------------------------------------------------------------------------------


def a_plan(expected: Forecast | None, advice: str | None = None) -> Plan:
    request = Request("Hello there. And bye.", ("me.wav",), "a.wav", "de", CloneSettings())
    return Plan((request, replace(request, output="-")), (CUT, CUT), (("me.wav", 8.04),), "here", expected, advice)


def test_a_plan_is_told() -> None:
    stream = io.StringIO()
    around = Range(10.0, 8.0, 12.0)
    made = a_plan(Forecast(around, 2, Range(5.0, 4.0, 6.0), {}, 2), "Use the GPU.")
    code, result, line = planned(made, Messages(stream=stream))
    assert (code, line) == (0, "a.wav")
    assert stream.getvalue().splitlines() == [
        "Sample: me.wav, 8.0 s",
        "Model: xtts_v2 (here)",
        "Text: 40 characters, about 4 segments, language de",
        "Expected: 10 s of speech (8 to 12), in 5 s of time (4 to 6), by 2 runs",
        "Use the GPU.",
        "Output: a.wav, - (nothing was written)",
    ]
    assert result["expected"] == {"speech_s": 10.0, "total_s": 5.0, "runs": 2}
    assert (result["dry_run"], result["segment_count"], result["outputs"]) == (True, 4, ["a.wav", "-"])


def test_what_nobody_knows_is_not_told() -> None:
    stream = io.StringIO()
    result = planned(a_plan(Forecast(Range(10.0, 8.0, 12.0), 0)), Messages(stream=stream))[1]
    assert result["expected"] == {"speech_s": 10.0, "total_s": None, "runs": 0}
    (said,) = [line for line in stream.getvalue().splitlines() if line.startswith("Expected: 10 s of speech (8 to 12)")]
    assert " s of time" not in said
    assert planned(a_plan(None), Messages(stream=stream))[1]["expected"] is None


def test_no_number_is_not_a_number() -> None:
    result = outcome([CLONED], terminal()[0], {})[1]
    assert not any(isinstance(value, float) and math.isnan(value) for value in result.values())
    assert result["rtf"] == 0
