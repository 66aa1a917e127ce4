"""voicekit.command_line.Progress: a bar on a terminal, a line a piece elsewhere, and nothing for the quiet."""

from __future__ import annotations

import io
import re

import pytest

from voicekit.command_line import Messages, Progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    mine = Clock()
    monkeypatch.setattr("voicekit.command_line.time.monotonic", mine)
    return mine


def test_a_line_a_piece_where_there_is_no_terminal(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(Messages(stream=stream), "Segment")
    progress.begin(4, 100.0, None)
    for amount, seconds in ((50.0, 60.0), (25.0, 90.0), (20.0, 114.0), (5.0, 120.0)):
        clock.now = seconds
        progress.advance(amount, "2.0 s of speech")
    progress.close()
    assert stream.getvalue().splitlines() == [
        "Segment 1 of 4: 2.0 s of speech, 60 s left",  # as long as the first half took
        "Segment 2 of 4: 2.0 s of speech, 30 s left",
        "Segment 3 of 4: 2.0 s of speech, 6 s left",
        "Segment 4 of 4: 2.0 s of speech",
    ]


def test_long_times_are_said_as_people_say_them(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(Messages(stream=stream), "Segment")
    progress.begin(3, 100.0, None)
    clock.now = 60.0
    progress.advance(1.0, "a")
    clock.now = 3600.0
    progress.advance(89.0, "b")
    assert re.findall(r", (.*) left", stream.getvalue()) == ["1 h 39 min", "7 min"]


def test_a_forecast_tells_before_anything_is_done(clock: Clock) -> None:
    stream = Screen()
    progress = Progress(Messages(stream=stream), "Segment")
    progress.begin(2, 100.0, 50.0)
    progress.close()
    assert "50 s" in stream.getvalue() and "0/2" in stream.getvalue()


def test_a_terminal_gets_a_bar_that_goes(clock: Clock) -> None:
    stream = Screen()
    progress = Progress(Messages(stream=stream), "Segment")
    progress.begin(2, 100.0, None)
    progress.advance(50.0, "detail")
    progress.advance(50.0, "detail")
    progress.close()
    progress.close()
    assert "detail" not in stream.getvalue()  # no lines beside the bar
    assert "2/2" in stream.getvalue()
    assert stream.getvalue().rstrip("\r").endswith("\x1b[2K")  # it is taken away


@pytest.mark.parametrize("stream", [io.StringIO(), Screen()])
def test_the_quiet_see_nothing(stream: io.StringIO, clock: Clock) -> None:
    progress = Progress(Messages(quiet=True, stream=stream), "Segment")
    progress.begin(1, 100.0, 10.0)
    progress.advance(100.0, "detail")
    progress.close()
    assert stream.getvalue() == ""


def test_what_has_not_begun_can_be_closed() -> None:
    Progress(Messages(stream=io.StringIO()), "Segment").close()


def test_a_text_without_characters_is_no_division(clock: Clock) -> None:
    progress = Progress(Messages(stream=io.StringIO()), "Segment")
    progress.begin(1, 0.0, None)
    progress.advance(0.0, "detail")
