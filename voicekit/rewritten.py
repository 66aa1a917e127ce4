"""A text that was changed, and for each of its characters the place where it stood before.

Plain forms and a pronunciation file change what is spoken; a subtitle shows what the author wrote. This knows
neither: it only keeps the two in step.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

Edit = tuple[int, int, str]  # from, to, and what comes in place of that
Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class Rewritten:
    """A text and where it comes from.

    source: as the author wrote it.
    text: as it is now.
    places: for each character of the text its place in the source, never falling; one more for the end.
    """

    source: str
    text: str
    places: Sequence[int]

    @classmethod
    def of(cls, source: str) -> Self:
        """Unchanged as yet."""
        return cls(source, source, range(len(source) + 1))

    def sub(self, pattern: re.Pattern[str], replacement: Replacement) -> Self:
        """Like ``pattern.sub``, the replacement taken as it is: no group references."""
        if isinstance(replacement, str):
            return self.replaced((*match.span(), replacement) for match in pattern.finditer(self.text))
        return self.replaced((*match.span(), replacement(match)) for match in pattern.finditer(self.text))

    def replaced(self, edits: Iterable[Edit]) -> Self:
        """With these stretches replaced, which follow each other; what is put in stands where the stretch began."""
        parts: list[str] = []
        places, end = array("I"), 0
        for start, stop, new in edits:
            parts += [self.text[end:start], new]
            places.extend(self.places[end:start])
            places.extend([self.places[start]] * len(new))
            end = stop
        if not parts:
            return self
        parts.append(self.text[end:])
        places.extend(self.places[end:])
        return type(self)(self.source, "".join(parts), places)

    def source_between(self, start: int, end: int) -> str:
        """What the author wrote for these characters of the text; white space is one space each."""
        first = self.places[start] if start else 0
        last = self.places[end] if end < len(self.text) else len(self.source)
        return " ".join(self.source[first:last].split())
