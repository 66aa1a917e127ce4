"""A log folder as tests read it: every line is checked against the format."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - [A-Za-z0-9_.]+ - \S.*"
)


def text_of(folder: Path) -> str:
    return (folder / "voice_cloning.log").read_text(encoding="utf-8")


def messages(folder: Path) -> list[str]:
    """The messages of the file's events, every line checked against the format."""
    found = []
    for line in text_of(folder).split("\n")[:-1]:
        if not line.startswith("    "):
            assert HEAD.fullmatch(line), line
            found.append(line.split(" - ", 3)[3])
    return found
