"""A job file, JSONL or CSV -> its lines as fields by name. Knows neither which names there are nor what they mean."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from voicekit.errors import TextError

_DELIMITERS = ",;\t"
_MAX_FIELD_CHARACTERS = 20 << 20


@dataclass(frozen=True)
class RawJob:
    """A line as it was read: `line` counts from 1, `fields` holds what stood there (text only, in CSV)."""

    line: int
    fields: dict[str, object]


@dataclass(frozen=True)
class BadLine:
    """A line that gives no job: what is wrong with it, and what to do."""

    line: int
    message: str
    hint: str


def json_lines(text: str) -> Iterator[RawJob | BadLine]:
    """One object a line; blank lines and those that begin with # are skipped."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _json_line(line, number)


def _json_line(line: str, number: int) -> RawJob | BadLine:
    try:
        value = json.loads(line, parse_constant=_refuse_constant, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        return BadLine(number, f"The line is not JSON: {error.msg} at column {error.colno}.",
                       'Write an object, as {"text": "Hello", "voice": "me.wav", "output": "hello.wav"}.')
    except TextError as error:
        return BadLine(number, error.message, error.hint)
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets in brackets in brackets
        return BadLine(number, "The line is JSON that nobody can use.", "Write it anew.")
    if not isinstance(value, dict):
        return BadLine(number, "The line is JSON, and no object.", "Put it in braces, with names.")
    return RawJob(number, value)


def _refuse_constant(name: str) -> object:
    raise TextError(f"{name} is no number.", "Give a number, or leave the field out.")


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if (repeated := _repeated(name for name, _ in pairs)) is not None:
        raise TextError(f"The field {repeated[:40]!r} is there twice.", "Leave one of them out.")
    return dict(pairs)


def _repeated(names: Iterable[str]) -> str | None:
    """The first name that was there before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def csv_lines(text: str, known: Collection[str]) -> Iterator[RawJob | BadLine]:
    """A header of known names, then a job a row; an empty cell is a field that is not there.

    Raises:
        TextError: no header with known names.
    """
    delimiter = _delimiter(text, known)
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD_CHARACTERS))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(line, f"The row is no CSV: {error}.", "Check its quotation marks.")
            continue
        if not any(cell.strip() for cell in row) or _is_comment(row, header):
            continue
        if header is None:
            header = [name.strip().lower() for name in row]
        else:
            yield _row(header, row, line)


def _is_comment(row: list[str], header: list[str] | None) -> bool:
    """Whether a row begins with # and is no job: behind the header, one with other cells is a text like "#1"."""
    return row[0].lstrip().startswith("#") and (header is None or not any(cell.strip() for cell in row[1:]))


def _row(header: list[str], row: list[str], line: int) -> RawJob | BadLine:
    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        return BadLine(line, f"The row has {len(row)} cells, and the header {len(header)}.",
                       "Put a text that holds the delimiter in quotation marks.")
    return RawJob(line, {name: cell for name, cell in zip(header, row, strict=False) if cell.strip()})


def _delimiter(text: str, known: Collection[str]) -> str:
    """The one that cuts the header into the most known names."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    first = next(lines, "")
    counts = {each: len(_names(first, each) & set(known)) for each in _DELIMITERS}
    best = max(counts, key=lambda each: counts[each])
    if not counts[best]:
        raise TextError("The CSV file has no header with the fields' names.",
                        "Begin it with a line such as: text,voice,output")
    if (twice := _repeated(_all_names(first, best))) is not None:
        raise TextError(f"The column {twice[:40]!r} is there twice.", "Leave one of them out.")
    return best


def _names(line: str, delimiter: str) -> set[str]:
    return set(_all_names(line, delimiter))


def _all_names(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []
