"""The name of stdout where a file is asked for, and how to leave it when nobody reads it any more."""

from __future__ import annotations

import contextlib
import os
import sys

STDOUT = "-"


def abandon_stdout() -> None:
    """After a failed write: what is still buffered goes nowhere, so that the end of the process is quiet."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
