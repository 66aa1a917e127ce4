"""What keeps files open while it works, and closes them however it ends."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self


class HoldsFiles:
    """A context that ends all contexts that were entered into `_files`, the last one first.

    They are told of the error by which it is left, so that half a file does not get its name.
    """

    def __init__(self) -> None:
        self._files = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)
