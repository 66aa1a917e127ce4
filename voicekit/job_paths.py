"""Where the files of a job lie: names in a job file -> paths; what leads out of the output root is refused."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PureWindowsPath

from voicekit.errors import TextError

_BESIDE = (".srt", ".vtt")  # a flag, or the job, may ask for subtitles


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
    written = [path, *(path.with_suffix(ending) for ending in _BESIDE)]
    if given.is_absolute() or ".." in given.parts or _leaves_on_windows(name):
        raise _outside(name)
    # Not by the names as they are written: a folder on the way, or a file itself, may be a link that leads out.
    if not all(_real(each).is_relative_to(inside) for each in written):
        raise _outside(name)
    return str(path)


def _leaves_on_windows(name: str) -> bool:
    """Whether it would lead elsewhere there. It is refused on every system: a job file should mean the same on each."""
    path = PureWindowsPath(name)
    return bool(path.drive or path.root) or ".." in path.parts


def _outside(name: str) -> TextError:
    return TextError(f"The output {name[:80]!r} leads out of the output root.",
                     "Give a name inside it, without '..', drives or links that lead out.")


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
