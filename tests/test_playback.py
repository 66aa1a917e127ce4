"""voicekit.playback: in order, while the next is made, and honest where there is no sound.

Truth: a device of our own that keeps what it was given, and what this machine really has.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

from voicekit.errors import ModelUnavailable, OutputError
from voicekit.playback import Player

RATE = 24_000
WAIT_S = 30.0  # only a hung test takes as long


class PortAudioError(Exception):
    """As sounddevice has it."""


class Device:
    """Stands for the module sounddevice and for its OutputStream."""

    PortAudioError = PortAudioError

    def __init__(self, *, missing: bool = False, fails_after: int | None = None) -> None:
        self.missing, self.fails_after = missing, fails_after
        self.heard: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self.calls: list[str] = []
        self.may_play = threading.Event()
        self.may_play.set()
        self.playing = threading.Event()

    def OutputStream(self, **settings: Any) -> Device:
        if self.missing:
            raise PortAudioError("Error querying device -1")
        self.settings = settings
        return self

    def write(self, samples: Any) -> None:
        self.playing.set()
        assert self.may_play.wait(WAIT_S)
        if self.fails_after is not None and len(self.heard) >= self.fails_after:
            raise PortAudioError("Unanticipated host error")
        assert samples.dtype == np.int16 and samples.flags.c_contiguous
        self.heard.append(samples.copy())

    def __getattr__(self, name: str) -> Any:
        if name not in ("start", "stop", "abort", "close"):
            raise AttributeError(name)
        return lambda: self.calls.append(name)


def piece(value: float, seconds: float = 0.25) -> Any:
    return np.full(round(seconds * RATE), value, np.float32)


def test_pieces_are_played_in_order_and_whole() -> None:
    device = Device()
    with Player(RATE, device) as player:
        for value in (0.1, -0.2, 0.3):
            player.play(piece(value))
    expected = np.concatenate([np.rint(32768 * piece(value)) for value in (0.1, -0.2, 0.3)])
    np.testing.assert_array_equal(np.concatenate(device.heard), expected)
    assert device.calls == ["start", "stop", "close"]
    assert device.settings == {"samplerate": RATE, "channels": 1, "dtype": "int16"}


def test_the_caller_goes_on_while_the_device_plays() -> None:
    device = Device()
    device.may_play.clear()
    with Player(RATE, device) as player:
        player.play(piece(0.1))
        assert device.playing.wait(WAIT_S), "the first sounds before the next is there"
        for _ in range(100):
            player.play(piece(0.2))
        assert not device.heard, "all are queued although the device is still busy"
        device.may_play.set()
    assert sum(map(len, device.heard)) == 101 * len(piece(0.1))


def test_an_error_stops_at_once() -> None:
    device = Device()
    device.may_play.clear()
    with pytest.raises(KeyboardInterrupt):
        with Player(RATE, device) as player:
            for _ in range(100):
                player.play(piece(0.1, 1.0))
            assert device.playing.wait(WAIT_S)
            threading.Timer(0.05, device.may_play.set).start()
            raise KeyboardInterrupt
    assert sum(map(len, device.heard)) < 2 * RATE
    assert device.calls == ["start", "abort", "close"]


def test_a_device_that_fails_is_told_to_the_caller() -> None:
    device = Device(fails_after=1)
    with pytest.raises(OutputError, match="Unanticipated host error") as caught:
        with Player(RATE, device) as player:
            player.play(piece(0.1, 1.0))
    assert "Connect a sound device" in caught.value.hint and device.calls[-1] == "close"
    device = Device(fails_after=0)
    with pytest.raises(OutputError):
        with Player(RATE, device) as player:
            player.play(piece(0.1))
            player._thread.join(WAIT_S)
            player.play(piece(0.1))


def test_no_device_is_said_before_anything_is_made() -> None:
    with pytest.raises(OutputError, match="cannot be played: Error querying device") as caught:
        Player(RATE, Device(missing=True))
    assert "Connect a sound device" in caught.value.hint


def test_what_this_machine_lacks_is_named_with_the_command() -> None:
    try:
        import sounddevice
    except ImportError:
        with pytest.raises(ModelUnavailable, match="package sounddevice") as caught:
            Player(RATE)
        assert "pip install sounddevice" in caught.value.hint
        assert ("apt install libportaudio2" in caught.value.hint) == (sys.platform == "linux")
    except OSError:
        with pytest.raises(OutputError, match="PortAudio") as caught:
            Player(RATE)
        assert "libportaudio2" in caught.value.hint
    else:
        if sounddevice.query_devices():
            pytest.skip("this machine has a sound device")
        with pytest.raises(OutputError, match="cannot be played"):
            Player(RATE)
