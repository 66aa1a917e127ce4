"""The settings that a line of a job file may give, and what values they take: the flags' own, one table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from voicekit.errors import TextError


@dataclass(frozen=True)
class NumberRange:
    """A number from `low` to `high`, both included; or `besides`, which lies outside."""

    low: float
    high: float
    whole: bool = False
    besides: float | None = None


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class FreeText:
    """Any text of at most so many characters."""

    max_characters: int = 500


Rule = NumberRange | Choice | FreeText
Value = float | int | bool | str

ALLOWED: dict[str, Rule] = {
    "seed": NumberRange(0, 2**63 - 1, whole=True),
    "temperature": NumberRange(0.001, 10, besides=0),  # 0 is greedy; what is nearer to it overflows
    "top_k": NumberRange(1, 2**31 - 1, whole=True),
    "top_p": NumberRange(0.01, 1),
    "repetition_penalty": NumberRange(0.1, 100),
    "speed": NumberRange(0.5, 2),
    "tempo": NumberRange(0.5, 2),
    "subtitles": Choice(("srt", "vtt")),
    "sample_rate": NumberRange(8000, 192_000, whole=True),
    "wav_format": Choice(("pcm16", "pcm24", "float")),
    "title": FreeText(),
}


def checked(name: str, value: object) -> Value:
    """The value, as the number or the word that it is.

    Args:
        name: one of ALLOWED.
        value: of JSON, or a CSV cell's text, which may spell a number.

    Raises:
        TextError: another type, or outside what the setting takes.
    """
    rule = ALLOWED[name]
    if isinstance(rule, NumberRange):
        return _number(name, value, rule)
    if not isinstance(value, str):
        raise TextError(f"The setting {name!r} is no text.", "Put it in quotation marks.")
    if isinstance(rule, Choice) and value not in rule.words:
        raise TextError(f"The setting {name!r} is {value[:40]!r}.", f"It can be {' or '.join(rule.words)}.")
    if isinstance(rule, FreeText) and len(value) > rule.max_characters:
        raise TextError(f"The setting {name!r} has {len(value)} characters.",
                        f"It can have {rule.max_characters} at most.")
    return value


def _number(name: str, value: object, rule: NumberRange) -> float | int:
    kind = "a whole number" if rule.whole else "a number"
    number = _as_number(value)
    if number is None or not math.isfinite(number) or (rule.whole and number != int(number)):
        raise TextError(f"The setting {name!r} is not {kind}.", _range_words(rule))
    if not rule.low <= number <= rule.high and number != rule.besides:
        raise TextError(f"The setting {name!r} is {number:g}.", _range_words(rule))
    return int(number) if rule.whole else float(number)


def _as_number(value: object) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value if abs(value) < 2**1000 else math.inf
    if not isinstance(value, str) or len(value) > 40:
        return None
    for read in (int, float):  # a float would round a large seed
        try:
            return read(value)
        except ValueError:
            continue
    return None


def _range_words(rule: NumberRange) -> str:
    low, high = (f"{limit:g}" if limit < 1e6 else str(int(limit)) for limit in (rule.low, rule.high))
    besides = "" if rule.besides is None else f"{rule.besides:g}, or "
    return f"It can be {besides}from {low} to {high}."
