"""Voices that were conditioned before, by a key of all that shaped them: the second run need not hear again.

Kept in the user's cache folder, private, at most `MOST_FILES`. What is here is never needed: a file that is missing
or damaged, and a disk that is full or read-only, cost the work of hearing again and nothing else. Voices that people
name are in profiles.py. Knows no torch; arrays are NumPy's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicekit import __version__, machine, voice_files
from voicekit.audio_reading import open_recording
from voicekit.checkpoint import APP_NAME, Checkpoint
from voicekit.download import sha256_in
from voicekit.errors import AudioError, ModelError, OutputError
from voicekit.voice_files import Damaged, Heard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

logger = logging.getLogger(__name__)

PREPARATION_VERSION = 2  # of how samples are decoded, preprocessed and heard: one more whenever its result changes
MOST_FILES = 64  # 8 MB of the released model's voices
PathLike = str | os.PathLike[str]

_KEY = re.compile(r"[0-9a-f]{64}")
_BLOCKS, _BLOCK_BYTES = 64, 4096


@dataclass(frozen=True, eq=False)
class Cached:
    """A voice, and what people were told of its samples.

    conditioning: float32 [1, 32, width]; speaker_embedding: float32 [1, 512, 1]; heard_s: see `tts_model.Voice`.
    sample_s: seconds of the prepared samples.
    notes, warnings: sentences about the samples, in their order.
    """

    conditioning: Floats
    speaker_embedding: Floats
    heard_s: float
    sample_s: float = 0.0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


# --- what shapes a voice -----------------------------------------------------------------------------------


def sample_hash(path: PathLike) -> str:
    """SHA-256 of a sample file's bytes, hexadecimal.

    Raises:
        AudioError: it cannot be read.
    """
    try:
        with open_recording(path) as stream:  # never waits for a pipe, never reads a device
            return sha256_in(stream)
    except OSError as error:
        raise AudioError(f"{os.fspath(path)!r} cannot be read: {error.strerror}.", "Check its name.") from error


def settings_text(settings: object, *, preprocess: bool) -> str:
    """All but samples and model that shapes a voice, as a text that is the same for the same (`VoiceSettings`)."""
    return f"{settings!r}, preprocess={preprocess}, preparation={PREPARATION_VERSION}"


def identity(checkpoint: Checkpoint) -> str:
    """What tells a checkpoint from every other: a hash of its weights and of the shape of its networks, hexadecimal.

    Reads some kB, not the whole weights. A file of today's `torch.save` is a ZIP archive, whose directory
    has the size and the CRC-32 of each tensor, so that a change in any of them shows. Of another file the size and
    64 blocks are compared. Sampling settings in config.json are not part of it: one may change them and keep one's
    voices.

    Raises:
        ModelError: a file cannot be read.
    """
    try:
        digest = hashlib.sha256(_networks(checkpoint.config.read_bytes()))
        for part in _directory(checkpoint.weights) or _sampled(checkpoint.weights):
            digest.update(part)
    except OSError as error:
        raise ModelError(f"The model {checkpoint.name} cannot be read ({error}).", "Mend its permissions.") from error
    return digest.hexdigest()


def _networks(config: bytes) -> bytes:
    """What config.json says of the networks and the audio; all of it where it says that in another way."""
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        found = json.loads(config)
        parts = {name: found.get(name) for name in ("model_args", "audio")}
        if all(isinstance(part, dict) for part in parts.values()):
            return json.dumps(parts, sort_keys=True).encode()
    return config


def _directory(weights: Path) -> list[bytes]:
    """Names, sizes and CRC-32s of a ZIP archive's members; empty for another file, and where these say nothing.

    torch writes no CRCs where somebody switched them off (`torch.serialization.set_crc32_options`).
    """
    with contextlib.suppress(zipfile.BadZipFile, ValueError, NotImplementedError):
        with zipfile.ZipFile(weights) as archive:
            members = archive.infolist()
        if all(each.CRC for each in members if each.file_size):
            # Without the first folder, which is named after the file that the archive was written as.
            about = [(each.filename.partition("/")[2], each.file_size, each.CRC) for each in members]
            return [json.dumps(about).encode()]
    return []


def _sampled(weights: Path) -> Iterable[bytes]:
    """The size, then blocks at even distances, the first and the last ones among them."""
    with open(weights, "rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        yield str(size).encode()
        for block in range(_BLOCKS):
            stream.seek(max(0, size - _BLOCK_BYTES) * block // (_BLOCKS - 1))
            yield stream.read(_BLOCK_BYTES)


def key(
    samples: Sequence[PathLike],
    *,
    preprocess: bool,
    settings: object,
    model: str,
    device: str,
    threads: int | None = None,
) -> str:
    """A name for the voice that these samples will make, hexadecimal.

    Part of it are the samples' bytes in their order, their base names (people were told of them by these), and all
    that may change a bit of the result: this package, torch, the machine, the device and its threads.

    Args:
        settings: `VoiceSettings`, by its repr.
        model: of `identity`.
        device: as the run was asked for or as it was chosen, but always the same of the two.

    Raises:
        AudioError: a sample cannot be read.
    """
    about = {
        "samples": [(Path(path).name, sample_hash(path)) for path in samples],
        "settings": settings_text(settings, preprocess=preprocess),
        "model": model,
        "device": [device, threads, machine.about()["id"], machine.has_nvidia_gpu()],
        "versions": [__version__, _torch_version()],
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _torch_version() -> str:
    from importlib import metadata

    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


# --- the cache ---------------------------------------------------------------------------------------------


def folder() -> Path:
    """Where the voices lie."""
    import platformdirs

    return Path(platformdirs.user_cache_dir(APP_NAME)) / "voices"


def find(wanted: str) -> Cached | None:
    """The voice of this key, or None; a damaged file is removed."""
    path = _path(wanted)
    try:
        cached = _cached(voice_files.read(path))
    except OSError:
        return None
    except Damaged as reason:
        logger.info("A cached voice is left out: %s", reason)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    with contextlib.suppress(OSError):  # somebody else's disk
        os.utime(path)  # used now: the least recently used go first
    return cached


def keep(wanted: str, cached: Cached) -> None:
    """Keep a voice under its key; where that fails, the next run hears again."""
    told = {"sample_s": cached.sample_s, "notes": cached.notes, "warnings": cached.warnings}
    texts = {"heard_s": repr(float(cached.heard_s)), "told": json.dumps(told)}
    try:
        voice_files.private_folder(folder())
        voice_files.write(_path(wanted), Heard(cached.conditioning, cached.speaker_embedding, texts), overwrite=True)
        _remove_all_but(MOST_FILES)
    except (OutputError, OSError, ValueError) as error:
        logger.info("The voice is not cached: %s", type(error).__name__)


def clear() -> int:
    """Remove all voices; how many there were."""
    return _remove_all_but(0)


def _path(wanted: str) -> Path:
    if not _KEY.fullmatch(wanted):
        raise ValueError("not a key of this cache")
    return folder() / f"{wanted}{voice_files.SUFFIX}"


def _cached(heard: Heard) -> Cached:
    """Raises: Damaged."""
    try:
        told: dict[str, Any] = json.loads(heard.texts["told"])
        return Cached(
            heard.conditioning, heard.speaker_embedding, float(heard.texts["heard_s"]), float(told["sample_s"]),
            tuple(map(str, told["notes"])), tuple(map(str, told["warnings"])),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("its texts are not a cached voice's") from error


def _remove_all_but(most: int) -> int:
    """The least recently used go; how many went."""
    used: list[tuple[int, Path]] = []
    for path in folder().glob(f"*{voice_files.SUFFIX}"):
        with contextlib.suppress(OSError):  # another process may remove it meanwhile
            used.append((path.stat().st_mtime_ns, path))
    old = sorted(used)[: max(0, len(used) - most)]
    for _, path in old:
        with contextlib.suppress(OSError):
            path.unlink()
    return len(old)
