"""Weights in the layout that this machine runs, kept from one start to the next.

To cut and narrow half a billion weights takes a second or two of every start (bench/README.md), and always gives the
same. The first run writes what it made into the user's cache, one safetensors file for each checkpoint and precision;
later runs map it. What is here is never needed and never believed unseen: each start sums all of a file's bytes (0.1 s
for 0.9 GB), and one that is stale, cut or changed is made again. This module knows tensors and files; what they are
for, it does not know.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from voicekit.errors import OutputError
from voicekit.publishing import published
from voicekit.voice_files import SUFFIX, private_folder

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MOST_FILES = 2  # the released model in float16 has 0.9 GB
DISK_LEFT = 4  # a file is not written where the disk has less room than so many of it
_LAID_OUT_BY = ("convolutions", "gpt", "hifigan", "matrices", "native", "native_convolution", "native_kernels")
_BLOCK = 8192  # 64-bit words that are summed
_SUMS = "sums"
_TYPES = {"F32": "float32", "F16": "float16"}


class KeptWeights:
    """Tensors by name: those of the file, mapped, and those that are made now.

    Args:
        path: of `place`; None keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._found = _read(path) if path else {}
        self._made: dict[str, torch.Tensor] = {}

    def __call__(self, name: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The tensor of this name; `make` gives the one that the file does not have, float32 or float16."""
        if self.path is None:
            return make()
        if name not in self._found and name not in self._made:
            self._made[name] = make()
        return self._found[name] if name in self._found else self._made[name]

    @property
    def is_new(self) -> bool:
        """Whether there is anything that the file does not have."""
        return bool(self._made)

    def keep(self) -> int:
        """Write what was made beside what was found, for the next start; the bytes written.

        It is nothing where all was found, and where the disk is nearly full or cannot be written to.
        """
        made, self._made = self._made, {}
        if self.path is None or not made:
            return 0
        tensors = {**self._found, **made}
        try:
            private_folder(self.path.parent)
            if shutil.disk_usage(self.path.parent).free < DISK_LEFT * sum(each.nbytes for each in tensors.values()):
                return 0
            with published(self.path, overwrite=True) as part:
                os.chmod(part, 0o600)
                with part.open("wb") as stream:
                    _write(tensors, stream)
            _remove_all_but(MOST_FILES)
            return self.path.stat().st_size
        except (OutputError, OSError) as error:
            logger.info("The weights are not kept: %s", type(error).__name__)
            return 0


NOTHING_KEPT = KeptWeights()


def folder() -> Path:
    """Where the files lie."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("voice-cloning")) / "weights"


def place(identity: str, precision: str, lanes: int) -> Path:
    """The file for a checkpoint's weights as today's modules lay them out.

    Args:
        identity: of the checkpoint (`conditioning_cache.identity`).
        precision: of the GPT's layers.
        lanes: float32 values in a vector of the kernels.
    """
    about = (identity, precision, lanes, sys.byteorder, _code())
    return folder() / f"{identity[:16]}-{hashlib.sha256(repr(about).encode()).hexdigest()}{SUFFIX}"


def latest(identity: str) -> Path | None:
    """The file of a checkpoint that was used last, whatever its precision."""
    with contextlib.suppress(OSError):  # another run was quicker
        return max(folder().glob(f"{identity[:16]}-*{SUFFIX}"), key=lambda path: path.stat().st_mtime, default=None)
    return None


def clear() -> int:
    """Remove all files; how many bytes they had."""
    return _remove_all_but(0)


def _code() -> str:
    """The modules that make layouts, hashed: what others made is not theirs."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in _LAID_OUT_BY)).hexdigest()


def _remove_all_but(most: int) -> int:
    """Remove the least recently used; the bytes."""
    removed = 0
    with contextlib.suppress(OSError):  # somebody else's disk, or another run was quicker
        found = {path: path.stat() for path in folder().glob(f"*{SUFFIX}")}
        for path in sorted(found, key=lambda each: found[each].st_mtime, reverse=True)[most:]:
            path.unlink()
            removed += found[path].st_size
    return removed


# --- the file --------------------------------------------------------------------------------------------------


def _write(tensors: Mapping[str, torch.Tensor], stream: BinaryIO) -> None:
    """safetensors, tensor by tensor: its own writer would need all of them a second time."""
    header: dict[str, Any] = {"__metadata__": {_SUMS: _sums(tensors)}}
    end = 0
    for name, tensor in tensors.items():
        kind = next(kind for kind, dtype in _TYPES.items() if str(tensor.dtype) == f"torch.{dtype}")
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64)
    stream.write(struct.pack("<Q", len(text)) + text)
    for tensor in tensors.values():
        stream.write(tensor.detach().contiguous().numpy().data)


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, mapped; none where there is no file, and where it is not what was written."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as stored:
            written = (stored.metadata() or {}).get(_SUMS)
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # no mapping
        if written == _sums(tensors):
            os.utime(path)  # used now: the least recently used go first
            return tensors
        logger.info("Kept weights are made again: their content is not what was written")
    except FileNotFoundError:
        pass
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        logger.info("Kept weights are made again: %s", type(error).__name__)
    return {}


def _sums(tensors: Mapping[str, torch.Tensor]) -> str:
    """A hash of names, shapes and types, and of the sums of all 64-bit words along rows and columns of 64 kB.

    It is for damage, not against an attacker (the folder is private): a SHA-256 of 0.9 GB would take longer than what
    is saved. Any one wrong word, a block of zeros and two that are exchanged show.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        content = tensor.view(-1).view(torch.uint8)
        whole = len(content) // (8 * _BLOCK) * 8 * _BLOCK
        words = content[:whole].view(torch.int64).view(-1, _BLOCK)
        for axis in (0, 1):
            digest.update(words.sum(axis).numpy().tobytes())
        digest.update(content[whole:].numpy().tobytes())
    return digest.hexdigest()
