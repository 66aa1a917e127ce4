"""Bytes -> a file: whole or not at all, and never over another one unasked. Knows nothing of what is in them."""

from __future__ import annotations

import contextlib
import filecmp
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from voicekit.errors import OutputError
from voicekit.scratch_folders import scratch_folder

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
def published(target: Path, *, overwrite: bool, or_same: bool = False) -> Iterator[Path]:
    """Gives the path of an empty file on the same disk; what is in it afterwards gets the target's name.

    It lies in a hidden folder beside the target, which may hold its writer's other files too. Nothing is left of that
    after an error or an interrupt; what a killed process left goes with the next file that is published beside it.
    The content is flushed to the disk first. Without ``overwrite`` the name is given by a link, which fails if another
    program took it in the meantime. A symbolic link is followed. The mode follows the umask.

    Args:
        target: the file.
        overwrite: whether one of that name may go.
        or_same: whether one of that name and with these very bytes will do: a run that was killed may have left it.

    Raises:
        OutputError: the file exists and ``overwrite`` is false, or it cannot be written (any OSError of the body).
    """
    final = Path(os.path.realpath(target))
    try:
        with scratch_folder(final.parent) as folder:
            part = folder / "part"
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            yield part
            with open(part, "rb+") as stream:
                os.fsync(stream.fileno())
            _publish(part, final, overwrite, or_same)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise OutputError(f"{str(target)!r} cannot be written: {error}.", "Check the disk.") from error


def write_whole(path: PathLike, data: bytes, *, overwrite: bool = False, or_same: bool = False) -> Path:
    """Writes a file whole or not at all; raises as :func:`published`."""
    target = Path(path)
    with published(target, overwrite=overwrite, or_same=or_same) as part:
        part.write_bytes(data)
    return target


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A scratch folder where the system keeps what is temporary.

    Raises:
        OutputError: nothing can be written there.
    """
    import tempfile

    with contextlib.ExitStack() as held:
        try:
            folder = held.enter_context(scratch_folder(tempfile.gettempdir()))
        except OSError as error:
            reason = f"Temporary files cannot be written: {error}."
            raise OutputError(reason, "Free some space, or name another folder with TMPDIR.") from error
        yield folder


def _exists(target: Path) -> OutputError:
    return OutputError(f"The file {str(target)!r} exists already.", "Use --force, or another name.")


def _publish(part: Path, final: Path, overwrite: bool, or_same: bool) -> None:
    """Gives the finished file its name in one step; FileExistsError if that name was taken."""
    if overwrite:
        os.replace(part, final)
        return
    try:
        _name_new(part, final)
    except FileExistsError:
        if not (or_same and final.is_file() and filecmp.cmp(part, final, shallow=False)):
            raise


def _name_new(part: Path, final: Path) -> None:
    try:
        os.link(part, final)
    except FileExistsError:
        raise
    except OSError:  # FAT and some network disks know no links: claim the name, then replace the claim
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            os.replace(part, final)
        except BaseException:
            if os.path.lexists(part):  # else an interrupt came behind it, and the name is the finished file's
                final.unlink(missing_ok=True)
            raise
