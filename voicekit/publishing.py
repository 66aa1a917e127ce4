"""Bytes -> a file: whole or not at all, and never over another one unasked. Knows nothing of what is in them."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from voicekit.errors import OutputError

PathLike = str | os.PathLike[str]


def check_target(path: PathLike, suffixes: Sequence[str], *, overwrite: bool = False) -> Path:
    """Says now, before anything slow starts, what a write would refuse for its name; gives the path back.

    Args:
        path: where the file is to be.
        suffixes: the extensions that are taken, with the dot, lower case; any case is taken of the path's.
        overwrite: whether a file may be there already.

    Raises:
        OutputError: another extension, no such folder or not writable, the file exists and ``overwrite`` is false,
            or the name belongs to a folder or a device.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise OutputError(f"{str(target)!r} does not end in {' or '.join(suffixes)}.", "Choose another name.")
    return check_place(target, overwrite=overwrite)


def check_place(target: Path, *, overwrite: bool) -> Path:
    """The same for a name whose extension is nobody's business here."""
    folder = target.parent
    if not folder.is_dir():
        raise OutputError(f"There is no folder {str(folder)!r}.", "Create it first, or choose another one.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"The folder {str(folder)!r} cannot be written to.", "Choose another one.")
    if target.exists() and not target.is_file():
        raise OutputError(f"{str(target)!r} is a folder or a device, not a file.", "Choose a file name.")
    if os.path.lexists(target) and not overwrite:
        raise _exists(target)
    return target


@contextlib.contextmanager
def published(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Gives the path of a hidden, empty file in the same folder; what is in it afterwards gets the target's name.

    It is flushed to the disk first. Without ``overwrite`` the name is given by a link, which fails if another program
    took it in the meantime. A symbolic link is followed. The mode follows the umask. Nothing is left of it after an
    error or an interrupt.

    Raises:
        OutputError: the file exists and ``overwrite`` is false, or it cannot be written (any OSError of the body).
    """
    final = Path(os.path.realpath(target))
    part = final.with_name(f".{secrets.token_hex(8)}.part")  # short: a long stem must not grow longer
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield part
        with open(part, "rb+") as stream:
            os.fsync(stream.fileno())
        _publish(part, final, overwrite)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise OutputError(f"{str(target)!r} cannot be written: {error}.", "Check the disk.") from error
    finally:  # an interrupt included
        part.unlink(missing_ok=True)


def write_whole(path: PathLike, data: bytes, *, overwrite: bool = False) -> Path:
    """Writes a file whole or not at all; raises as :func:`published`."""
    target = Path(path)
    with published(target, overwrite=overwrite) as part:
        part.write_bytes(data)
    return target


def _exists(target: Path) -> OutputError:
    return OutputError(f"The file {str(target)!r} exists already.", "Use --force, or another name.")


def _publish(part: Path, final: Path, overwrite: bool) -> None:
    """Gives the finished file its name in one step; FileExistsError if that name was taken."""
    if overwrite:
        os.replace(part, final)
        return
    try:
        os.link(part, final)
    except FileExistsError:
        raise
    except OSError:  # FAT and some network disks know no links: claim the name, then replace the claim
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            os.replace(part, final)
        except BaseException:
            final.unlink(missing_ok=True)
            raise
