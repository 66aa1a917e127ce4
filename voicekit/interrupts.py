"""Ctrl-C and SIGTERM where no command takes care of them: during the imports of its script, and after its end.

There is nothing to tidy up then, and a traceback would only look like a defect. What comes before the script's first
line is Python's own. Imports nothing that takes time.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


def leave_quietly() -> None:
    """From now on either signal ends the process at once, with 128 and its number. One that is ignored stays so."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) == usual:
            signal.signal(number, _leave)


def exit_code_of(main: Callable[[], int]) -> int:
    """Run a command that takes care of Ctrl-C, from its first line to its last; 130 if one comes where it does not."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            return main()
        finally:
            leave_quietly()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
