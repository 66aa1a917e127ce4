"""Sound out of the loudspeaker while the next piece is still being made. Needs the optional package sounddevice.

Knows nothing of speech or files. A thread waits for the device, so that the caller does not.
"""

from __future__ import annotations

import queue
import sys
import threading
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicekit.errors import ModelUnavailable, OutputError
from voicekit.wav_format import to_pcm16

INSTALL = "pip install sounddevice"
PIECE_S = 0.1  # how long an interrupt may have to wait for the device


class Player:
    """Plays pieces of one channel in order; leaving the context waits for the last, an error in it stops at once.

    What was not played yet is held in 16 bits: 170 MB for each hour, at 24 kHz, that the caller is ahead.

    Args:
        sample_rate: of the pieces, Hz.
        sounddevice: the module, or one that behaves as it; None: imported here.

    Raises:
        ModelUnavailable: the package is missing.
        OutputError: its library is missing, or there is no sound device.
    """

    def __init__(self, sample_rate: int, sounddevice: Any = None) -> None:
        self._step = max(1, round(PIECE_S * sample_rate))
        self._pieces: queue.SimpleQueue[NDArray[np.int16] | None] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._stopped = threading.Event()
        self._stream = _open(sounddevice or _sounddevice(), sample_rate)
        self._thread = threading.Thread(target=self._work, name="playback", daemon=True)

    def __enter__(self) -> Player:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._stopped.set()
        self._pieces.put(None)
        try:
            while self._thread.is_alive():
                self._thread.join(PIECE_S)  # a join without an end would not hear Ctrl-C on every system
        except BaseException:
            self._stopped.set()
            self._thread.join(1)
            raise
        if kind is None:
            self._tell()

    def play(self, samples: NDArray[np.float32]) -> None:
        """Queues float32 [n] and returns; raises OutputError if the device failed meanwhile."""
        self._tell()
        self._pieces.put(to_pcm16(np.asarray(samples, dtype=np.float32)))

    def _tell(self) -> None:
        if self._failure is not None:
            raise _no_sound(self._failure) from self._failure

    def _work(self) -> None:
        try:
            while (samples := self._pieces.get()) is not None and not self._stopped.is_set():
                for start in range(0, len(samples), self._step):
                    if self._stopped.is_set():
                        break
                    self._stream.write(samples[start : start + self._step])
            self._stream.abort() if self._stopped.is_set() else self._stream.stop()  # stop() plays what it holds
        except Exception as error:  # of any backend; it is told in the caller's thread
            self._failure = error
        finally:
            self._stream.close()


def _sounddevice() -> Any:
    """The module; its import fails as OSError where the PortAudio library is missing."""
    try:
        import sounddevice
    except ImportError as error:
        raise ModelUnavailable("Playing needs the package sounddevice, which is not installed.",
                               f"{_install()}.") from error  # fmt: skip
    except OSError as error:
        raise OutputError(f"Playing needs the PortAudio library: {error}.", f"{_install()}.") from error
    return sounddevice


def _install() -> str:
    """What to run; the wheels for macOS and Windows bring PortAudio with them."""
    return f"{INSTALL} and apt install libportaudio2" if sys.platform == "linux" else INSTALL


def _open(sounddevice: Any, sample_rate: int) -> Any:
    try:
        stream = sounddevice.OutputStream(samplerate=sample_rate, channels=1, dtype="int16")
        stream.start()
    except (sounddevice.PortAudioError, OSError, ValueError) as error:  # ValueError: no default device
        raise _no_sound(error) from error
    return stream


def _no_sound(error: Exception) -> OutputError:
    return OutputError(f"The sound cannot be played: {error}.", "Connect a sound device, or write a file instead.")
