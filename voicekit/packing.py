"""Joins sentences, and parts of those that are too long, into pieces that a model speaks at once.

What a piece comes to is asked of a function; this knows neither languages nor models. Of all ways to cut a paragraph
it takes the one with the least cost: pieces near the size that is aimed at, no fragments, cuts where a reader stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from voicekit import sentences

AIM = 0.75  # of the limit: the middle of the 60 to 90 % that are asked for
MOST = 0.9
FRAGMENT_WORDS = 6  # fewer are spoken badly
TINY_SHARE = 16  # of the limit: shorter neighbours are taken together before anything is weighed
FRAGMENT_SHARE = 6  # of the limit: shorter is a fragment where words are not parted


class Cut(IntEnum):
    """What a cut goes through: nothing, a sentence, a clause, a word that a mark parts."""

    SENTENCE = 0
    CLAUSE = 1
    WORD = 2
    INSIDE = 3


_PRICE = {Cut.SENTENCE: 0.0, Cut.CLAUSE: 0.3, Cut.WORD: 2.0, Cut.INSIDE: 8.0}
_FRAGMENT_PRICE = 4.0
_OVERFULL_PRICE = 4.0  # of a whole limit more than `MOST`
Ends = Callable[[str], Iterator[int]]
Levels = Sequence[tuple[Cut, Ends]]  # what a stretch that does not fit is cut at, the better cuts first


@dataclass(frozen=True)
class Room:
    """What a piece may come to.

    language: that of the text.
    fill: the share of what the model takes at once that a piece of text makes, 1.0 being all of it.
    limit: characters at once.
    parts_words: whether the script puts spaces between words.
    """

    language: str
    fill: Callable[[str], float]
    limit: int
    parts_words: bool


@dataclass(frozen=True)
class Atom:
    """A stretch that is not cut again: from, to, its share of the limit, its words, and what a cut after it costs."""

    start: int
    end: int
    fill: float
    words: int
    cut: Cut


class TooLongError(Exception):
    """A word that cannot be parted is longer than the model takes. `length`: its characters."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


def pieces(text: str, room: Room, aim: float = AIM) -> list[tuple[int, int]]:
    """Where the pieces of a paragraph begin and end, in order. O(characters) time; each part is measured once or twice.

    Args:
        aim: the share of the limit that pieces should come to; less for more pieces.

    Raises:
        TooLongError: a word fits nowhere.
    """
    atoms = list(_atoms(text, room))
    return [(atoms[first].start, atoms[last - 1].end) for first, last in _packed(text, atoms, room, aim, 1.0)]


def _atoms(text: str, room: Room) -> Iterator[Atom]:
    """Sentences; of those that do not fit the clauses; of those that do not fit the words."""
    levels: Levels = [
        (Cut.CLAUSE, lambda piece: sentences.clause_ends(piece, room.language)),
        (Cut.WORD, sentences.word_ends),
        (Cut.INSIDE, sentences.inner_ends),
        (Cut.INSIDE, sentences.digit_ends),
    ]
    parts = _parts(text, 0, len(text), lambda piece: sentences.sentence_ends(piece, room.language))
    for start, end in _grouped(parts, room.limit // TINY_SHARE):
        yield from _fitting(text, start, end, room, levels, Cut.SENTENCE)


def _fitting(text: str, start: int, end: int, room: Room, levels: Levels, after: Cut) -> Iterator[Atom]:
    piece = text[start:end].strip()
    fill = room.fill(piece)
    if fill <= 1:
        yield Atom(start, end, fill, len(piece.split()), after)
        return
    if not levels:
        raise TooLongError(len(piece))
    cut, ends = levels[0]
    parts = _grouped(_parts(text, start, end, ends), room.limit // TINY_SHARE)
    for number, (first, last) in enumerate(parts, start=1):
        yield from _fitting(text, first, last, room, levels[1:], after if number == len(parts) else cut)


def _parts(text: str, start: int, end: int, ends: Ends) -> list[tuple[int, int]]:
    """The stretches between the ends; one without a letter or digit goes with the one before it."""
    parts: list[tuple[int, int]] = []
    first = last = start
    for place in (*(start + inner for inner in ends(text[start:end])), end):
        if place <= last:
            continue
        if any(character.isalnum() for character in text[last:place]):
            parts.append((first, place))
            first = place
        elif parts:
            parts[-1] = (parts[-1][0], place)
            first = place
        last = place  # what comes before any part goes with the first
    return parts or [(start, end)]


def _grouped(parts: Sequence[tuple[int, int]], characters: int) -> list[tuple[int, int]]:
    """Neighbours together while they have no more than so many characters: fewer to measure, and as even."""
    groups: list[tuple[int, int]] = []
    for start, end in parts:
        if groups and end - groups[-1][0] <= characters:
            groups[-1] = (groups[-1][0], end)
        else:
            groups.append((start, end))
    return groups


def _packed(
    text: str, atoms: Sequence[Atom], room: Room, aim: float, grown: float, first: int = 0
) -> Iterator[tuple[int, int]]:
    """From which atom to which each piece goes; each is measured whole, for a number may lie across a joint."""
    for start, end in _cheapest(atoms, room, aim, grown):
        piece = text[atoms[start].start : atoms[end - 1].end].strip()
        fill = room.fill(piece) if end - start > 1 else 0.0
        if fill <= 1:
            yield first + start, first + end
            continue
        total = sum(atom.fill for atom in atoms[start:end])
        yield from _packed(text, atoms[start:end], room, aim, 1.01 * max(fill, 1.0) / min(total, 1.0), first + start)


def _cheapest(atoms: Sequence[Atom], room: Room, aim: float, grown: float) -> list[tuple[int, int]]:
    """The pieces of least cost, found from the end of each back to where it may begin."""
    cost, begins = [0.0], [0]
    for end in range(1, len(atoms) + 1):
        best, begin = float("inf"), end - 1
        fill, words = 0.0, 0
        for start in range(end - 1, -1, -1):
            fill += grown * atoms[start].fill + (1 / room.limit if start < end - 1 and room.parts_words else 0.0)
            words += atoms[start].words
            if fill > 1 and start < end - 1:
                break
            price = cost[start] + _price(fill, words, room, aim) + _PRICE[atoms[end - 1].cut]
            if price < best:
                best, begin = price, start
        cost.append(best)
        begins.append(begin)
    found, end = [], len(atoms)
    while end:
        found.append((begins[end], end))
        end = begins[end]
    return found[::-1]


def _price(fill: float, words: int, room: Room, aim: float) -> float:
    is_fragment = words < FRAGMENT_WORDS if room.parts_words else fill < 1 / FRAGMENT_SHARE
    return ((fill - aim) / AIM) ** 2 + _FRAGMENT_PRICE * is_fragment + _OVERFULL_PRICE * max(fill - MOST, 0.0)
