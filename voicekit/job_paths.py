"""Where the files of a job lie: names in a job file -> paths; what leads out of the output root is refused."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from voicekit.errors import TextError


def beside(folder: Path, name: str) -> str:
    """The path of a file that is read: a relative one is taken from the job file's folder."""
    return str(folder / _usable(name))


def voice(folder: Path, name: str) -> str:
    """The path of a recording; what is no file here stays as it is, since it may be a profile's name."""
    path = folder / _usable(name)
    return str(path) if os.path.isfile(path) else name  # Path.is_file() raises for a name that is too long


def output(folder: Path, name: str, root: Path | None) -> str:
    """The path of a result; with a root, relative to it and inside it, symbolic links followed.

    Raises:
        TextError: absolute or outside, where a root is set; or no name of a file.
    """
    given = Path(_usable(name))
    if name.endswith(("/", os.sep)) or given.name in ("", ".", ".."):
        raise TextError(f"The output {name[:80]!r} is no name of a file.", "Give a name such as part1.wav.")
    if root is None:
        return str(folder / given)
    inside = Path(os.path.realpath(root))
    path = inside / given
    # Not the name as it is written: a folder on the way, or the file itself, may be a link that leads out.
    if given.is_absolute() or given.drive or ".." in given.parts or not _real(path).is_relative_to(inside):
        raise TextError(f"The output {name[:80]!r} leads out of the output root.",
                        "Give a name inside it, without '..', drives or links that lead out.")
    return str(path)


def identity(path: str) -> str:
    """The same for all names of one file: links followed, and no case, since some disks know none."""
    return unicodedata.normalize("NFC", str(_real(Path(path)))).casefold()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _usable(name: str) -> str:
    if "\0" in name:
        raise TextError("A file name holds a NUL character.", "Take it out.")
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise TextError("A file name holds a character that no name can have.", "Choose another name.") from error
    return name
