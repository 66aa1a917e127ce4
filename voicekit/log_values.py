"""What a value is called in the log, without giving away what is private.

A path is written as it stands, an array by type and shape, a text by its length, a secret not at all. Names
of arguments decide where the value alone cannot; a string that nothing vouches for is written by its length.
Standard library only; arrays and tensors are known by their attributes, nothing is imported for them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

_SECRET = re.compile(r"token$|password|secret|api_?key|credential|consent", re.IGNORECASE)
_SPOKEN = re.compile(
    r"text|sentence|segment|transcript|prompt|phrase|(?<!pass)words?$|lyrics|lexicon", re.IGNORECASE
)
_FILE = re.compile(r"(path|file|dir|folder)s?$", re.IGNORECASE)
_PLACE = re.compile(r"path|file|audio|sample|voice|speaker|output|folder|dir$|model", re.IGNORECASE)
_PLAIN = re.compile(r"[\w.:+-]{1,40}")  # en, cuda:0, float32, xtts_v2
_MOST_ITEMS = 4
_MOST_ENTRIES = 12


def summary(value: object, name: str = "") -> str:
    """One short line for a value of any type; never fails.

    Args:
        name: of the argument or field; says whether a string is a path, a text or a secret. Without a name a
            string is shown only if a file of that name exists.
    """
    try:
        return _summary(value, name, 0)
    except Exception:  # noqa: BLE001 - an odd object must not break the function that is logged
        return f"<{type(value).__name__}>"


def listing(values: Mapping[str, object]) -> str:
    """``key=value, ...``; a spoken text is ``key_length=150``."""
    return _listing(values, 0)


def mask_argv(argv: Sequence[str], private_flags: Sequence[str]) -> list[str]:
    """Command-line arguments, the values of private flags (abbreviated ones too) as ``<12 characters>``."""
    masked: list[str] = []
    hide = False
    for argument in argv:
        flag, equals, value = argument.partition("=")
        private = len(flag) > 2 and any(known.startswith(flag) for known in private_flags)
        if hide:
            masked.append(_length(argument))
        elif private and equals:
            masked.append(f"{flag}={_length(value)}")
        else:
            masked.append(argument)
        hide = private and not equals
    return masked


def duration(seconds: float) -> str:
    """0.375s, 3.7s."""
    return f"{seconds:.3f}s" if seconds < 1 else f"{seconds:.1f}s"


def size(mb: float) -> str:
    """45.2 MB, 1.2 GB, from MB of 2**20 bytes."""
    if mb >= 1024:
        return f"{mb / 1024:.1f} GB"
    return f"{mb:.1f} MB" if mb >= 0.1 or mb == 0 else f"{mb * 1024:.1f} KB"


def _summary(value: object, name: str, depth: int) -> str:
    if _SECRET.search(name) and value is not None:
        return "***"
    if isinstance(value, str):
        return value if _may_show(value, name) else _length(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        device = str(getattr(value, "device", "cpu"))
        place = "" if device == "cpu" else f" on {device}"
        return f"{str(dtype).removeprefix('torch.')}{list(shape)}{place}"
    return _container(value, name, depth)


def _container(value: object, name: str, depth: int) -> str:
    kind = type(value).__name__
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        most = _MOST_ENTRIES if isinstance(value, Mapping) else _MOST_ITEMS
        if len(value) > most or depth > 1 or _is_spoken(name):
            return f"<{len(value)} items>"
        if isinstance(value, Mapping):
            return f"{{{_listing(value, depth + 1)}}}"
        return f"[{', '.join(_summary(item, name, depth + 1) for item in value)}]"
    if is_dataclass(value) and not isinstance(value, type) and depth <= 1:
        parts = {each.name: getattr(value, each.name) for each in fields(value)}
        return f"{kind}({_listing(parts, depth + 1)})"
    return f"<{kind}>"


def _listing(values: Mapping[str, object], depth: int) -> str:
    return ", ".join(
        f"{name}_length={len(value)}"
        if isinstance(value, str) and _is_spoken(str(name))
        else f"{name}={_summary(value, str(name), depth)}"
        for name, value in values.items()
    )


def _is_spoken(name: str) -> bool:
    return bool(_SPOKEN.search(name)) and not _FILE.search(name)


def _may_show(text: str, name: str) -> bool:
    if _is_spoken(name):
        return False
    if _PLACE.search(name):
        return True
    return (bool(name) and _PLAIN.fullmatch(text) is not None) or os.path.exists(text)


def _length(text: str) -> str:
    return f"<{len(text)} characters>"
