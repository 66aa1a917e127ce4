"""What has been spoken: kept on the disk for a week, some 350 MB an hour, so that nothing is spoken twice.

Two kinds of files lie in the user's private cache folder. A group's file holds the finished sound of its segments
under the digest of all that it depends on: a group that is found is what would be spoken. A command's file pins, under
the digest of what was asked for, what that did not say: the seed that was drawn, the precision, the threads; a command
that is given again goes on with them. Texts are in neither. What nobody has touched for a week is removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from voicekit.audio import Audio
from voicekit.errors import OutputError
from voicekit.publishing import published, write_whole
from voicekit.scratch_folders import remove_left

logger = logging.getLogger(__name__)

KEPT_DAYS = 7


@dataclass(frozen=True, eq=False)
class Spoken:
    """One segment, finished: trimmed, at its tempo and level.

    codes: of the take that was kept; stopped: whether it ended by itself.
    tries: takes that were spoken.
    faults: what the kept take was found to have, as codes of `voicekit.takes.Fault`; empty where it passed.
    rejected: why each of the other takes was not kept, one clause each.
    gain_db: by which its level was changed; trimmed_s: what was taken from its ends, seconds.
    reused: it comes from the journal.
    """

    audio: Audio
    codes: int
    stopped: bool
    tries: int = 1
    faults: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    gain_db: float = 0.0
    trimmed_s: float = 0.0
    reused: bool = False


@dataclass(frozen=True)
class Pins:
    """What a command did not say and its first run chose.

    redo: how often a segment was asked for again, by "reading:index".
    delivered: digests of the requests whose outputs are written, all their files.
    appearing: those of requests whose files were about to get their names: all, some or none of them did.
    finished: all of them are, so the same command begins anew.
    """

    seed: int
    precision: str
    threads: int
    redo: dict[str, int] = field(default_factory=dict)
    delivered: tuple[str, ...] = ()
    appearing: tuple[str, ...] = ()
    finished: bool = False


def folder() -> Path:
    """Where journals lie."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("voice-cloning")) / "journal"


class Journal:
    """The journal of one command."""

    def __init__(self, key: str) -> None:
        """`key`: digest of what was asked for."""
        self._pins = folder() / f"{key}.json"
        self._groups = folder() / "groups"

    def pins(self) -> Pins | None:
        """What an earlier run of this command chose; None where there was none, or its record is damaged."""
        try:
            found = json.loads(self._pins.read_text("utf-8"))
            pins = Pins(int(found["seed"]), str(found["precision"]), int(found["threads"]),
                        {str(line): int(count) for line, count in found["redo"].items()},
                        tuple(map(str, found["delivered"])), tuple(map(str, found["appearing"])),
                        bool(found["finished"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._pins)
        return pins

    def pin(self, pins: Pins) -> None:
        """Keep what was chosen; a disk that takes nothing costs the resume, not the run."""
        self._write(lambda: write_whole(self._pins, json.dumps(asdict(pins)).encode(), overwrite=True))

    def keep(self, digest: str, spoken: Sequence[Spoken]) -> None:
        """Keep a group that has been spoken."""
        from safetensors.numpy import save_file

        about = [{**_facts(each), "crc": _checksum(each)} for each in spoken]
        arrays = {str(number): each.audio.samples for number, each in enumerate(spoken)}

        def write() -> None:
            with published(self._place(digest), overwrite=True) as part:
                save_file(arrays, part, {"segments": json.dumps(about)})

        self._write(write)

    def find(self, digest: str) -> Iterator[Spoken] | None:
        """A group that was spoken before, segment by segment; None where there is none, or it is damaged."""
        path = self._place(digest)
        try:
            file = _opened(path)
            if not all(_checksum(each) == crc for each, crc in _segments(file)):
                raise ValueError("its sound is not what was written")
        except MemoryError:
            raise  # it says nothing of the file
        except OSError as error:  # nor does a disk that does not answer
            if not isinstance(error, FileNotFoundError):
                logger.warning("A group of the journal cannot be read (%s) and is spoken again", error.strerror)
            return None
        except Exception as error:  # noqa: BLE001 - safetensors has errors of its own; spoken again, it is whole again
            logger.warning("A group of the journal is damaged (%s) and is spoken again", type(error).__name__)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):  # a disk that takes nothing any more
            os.utime(path)
        return (replace(each, reused=True) for each, _ in _segments(file))  # even if it is removed meanwhile

    def _place(self, digest: str) -> Path:
        return self._groups / f"{digest}.safetensors"

    def _write(self, write: Callable[[], object]) -> None:
        from safetensors import SafetensorError  # what it makes of a full disk is no OSError

        try:
            self._groups.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder().chmod(0o700)
            write()
        except (OSError, OutputError, SafetensorError) as error:
            logger.warning("The journal cannot be written (%s): this run could not be resumed", error)


def _facts(spoken: Spoken) -> dict[str, Any]:
    return {name: value for name, value in vars(spoken).items() if name not in ("audio", "reused")} | {
        "sample_rate": spoken.audio.sample_rate
    }


def _checksum(spoken: Spoken) -> int:
    """Of the sound and of what is said about it."""
    about = json.dumps(_facts(spoken), sort_keys=True).encode()
    return zlib.crc32(spoken.audio.samples.tobytes(), zlib.crc32(about))


def _opened(path: Path) -> Any:
    """A group's file, open as long as somebody refers to it."""
    if not path.exists():
        raise FileNotFoundError(path)
    from safetensors import safe_open

    return safe_open(path, framework="numpy")


def _segments(file: Any) -> Iterator[tuple[Spoken, int]]:
    """The segments of a group's file with their checksums; one at a time in memory."""
    for number, about in enumerate(json.loads(file.metadata()["segments"])):
        crc, rate = about.pop("crc"), about.pop("sample_rate")
        about |= {name: tuple(about[name]) for name in ("faults", "rejected")}
        yield Spoken(Audio(file.get_tensor(str(number)), rate), **about), crc


def remove_old(days: float = KEPT_DAYS) -> int:
    """Remove what nobody has touched for so many days; 0 removes all. Gives the bytes that were freed."""
    limit, freed = time.time() - days * 86_400, 0
    for place in (folder(), folder() / "groups"):
        remove_left(place)
    for path in [*folder().glob("*.json"), *folder().glob("groups/*")]:
        with contextlib.suppress(OSError):
            found = path.stat()
            if path.is_file() and found.st_mtime <= limit:
                path.unlink()
                freed += found.st_size
    return freed
