"""What was named on the command line -> the recordings to read, and the place of each result. Reads folders' lists."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from voicekit.errors import OutputError

SUFFIX = "_improved"
ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".m4a", ".aac", ".mp4", ".webm", ".mka",
           ".3gp", ".amr", ".wma", ".caf")


def recordings(names: Sequence[str]) -> list[str]:
    """The files named, and those in the folders named, in order, without results of an earlier run."""
    found: list[str] = []
    for name in names:
        if not os.path.isdir(name):
            found.append(name)
            continue
        inside: list[str] = []
        with contextlib.suppress(OSError):  # a folder that may not be read is told of as one without recordings
            inside = sorted(entry.path for entry in os.scandir(name) if _is_recording(entry))
        found += inside or [name]
    return list(dict.fromkeys(found))


def _is_recording(entry: os.DirEntry[str]) -> bool:
    stem, ending = os.path.splitext(entry.name)
    is_ours = stem.rstrip("_0123456789").endswith(SUFFIX)
    return ending.lower() in ENDINGS and not entry.name.startswith(".") and not is_ours and entry.is_file()


def beside(source: Path) -> Path:
    """The name of a result beside its recording: `me.mp3` -> `me_improved.wav`."""
    return source.with_name(f"{source.stem}{SUFFIX}.wav")


def targets(names: Sequence[str], found: Sequence[str], output: str | None, *, make: bool) -> list[Path | None]:
    """Where each result goes; None: beside the recording, the next free name.

    Args:
        names: as they were given; found: the recordings among them (`recordings`).
        output: a file, or a folder: that is what several results need, and what one that exists is.
        make: the folder is made where it is missing; otherwise it is only seen whether it can be.

    Raises:
        OutputError: a file stands where the folder would be, or it cannot be made.
    """
    if output is None:
        return [None] * len(found)
    place = Path(output)
    is_folder = len(found) > 1 or place.is_dir() or os.path.isdir(names[0]) or output.endswith(os.sep)
    if not is_folder:
        return [place]
    if place.exists() and not place.is_dir():
        raise OutputError(f"{str(place)!r} is a file; several results need a folder.", "Choose another name.")
    if not all(map(os.path.isdir, found)):  # a folder among them has no recordings
        _make_folder(place, really=make)
    taken: list[Path | None] = []
    for source in found:
        taken.append(_free(place, Path(source).stem, taken, found))
    return taken


def _free(place: Path, stem: str, taken: Sequence[Path | None], inputs: Sequence[str]) -> Path:
    """A name that no other result has (a.wav and a.mp3), and no recording."""
    number = 1
    while (target := place / f"{stem}{SUFFIX}{'' if number == 1 else f'_{number}'}.wav") in taken or (
        any(target.exists() and os.path.exists(each) and target.samefile(each) for each in inputs)
    ):
        number += 1
    return target


def _make_folder(place: Path, *, really: bool) -> None:
    try:
        if really:
            place.mkdir(exist_ok=True)
        elif not place.is_dir():
            os.stat(place.parent)
    except OSError as error:
        reason = f"The folder {str(place)!r} cannot be made: {error.strerror}."
        raise OutputError(reason, "Make it yourself, or choose another one.") from error
