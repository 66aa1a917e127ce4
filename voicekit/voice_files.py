"""A voice's conditioning and some texts about it -> one private safetensors file, and back, bit for bit.

A file is whole or is refused: beside the format's own checks it carries the SHA-256 of all that is in it, so that a
changed bit is noticed before it is heard. Arrays are NumPy's; this module knows no torch, no name of a voice, and
not why a file is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicekit.publishing import published

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SUFFIX = ".safetensors"
MOST_BYTES = 16 << 20  # the released model's voice has 133 kB
LATENTS, EMBEDDING_SHAPE = 32, (1, 512, 1)  # the perceiver's and the speaker encoder's outputs of every XTTS v2
_DIGEST = "sha256"
_ARRAYS = ("conditioning", "speaker_embedding")


class Damaged(Exception):
    """The file is not a voice, or no longer the one that was written; the text says how it shows."""


@dataclass(frozen=True, eq=False)
class Heard:
    """conditioning: float32 [1, 32, width]; speaker_embedding: float32 [1, 512, 1]; texts: about them."""

    conditioning: Floats
    speaker_embedding: Floats
    texts: Mapping[str, str] = field(default_factory=dict)


def write(path: Path, heard: Heard, *, overwrite: bool) -> None:
    """The file, mode 0600, whole or not at all; its folder is made, mode 0700.

    Raises:
        OutputError: see `publishing.published`.
        ValueError: the arrays are no voice.
    """
    from safetensors.numpy import save

    wrong = _wrong(heard)
    if wrong:
        raise ValueError(wrong)
    data = save(_arrays(heard), {**heard.texts, _DIGEST: _digest(heard)})
    with published(path, overwrite=overwrite) as part:
        os.chmod(part, 0o600)
        part.write_bytes(data)


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner can look into. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def read(path: Path) -> Heard:
    """What `write` wrote, the same bits.

    Raises:
        OSError: there is no such file, or it cannot be read.
        Damaged: it is something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with open(path, "rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Damaged(f"it has over {MOST_BYTES >> 20} MB")
    try:
        arrays, texts = load(data), _texts(data)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise Damaged(f"it is no whole safetensors file ({type(error).__name__})") from error
    if set(arrays) != set(_ARRAYS):
        raise Damaged("it holds other arrays than a voice's")
    digest = texts.pop(_DIGEST, "")
    heard = Heard(arrays["conditioning"], arrays["speaker_embedding"], texts)
    wrong = _wrong(heard)
    if wrong or digest != _digest(heard):
        raise Damaged(wrong or "its content is not what was written")
    return heard


def _texts(data: bytes) -> dict[str, str]:
    (length,) = struct.unpack("<Q", data[:8])
    found: dict[str, Any] = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return {str(name): str(text) for name, text in found.items()}


def _arrays(heard: Heard) -> dict[str, Floats]:
    import numpy as np

    # safetensors writes the memory as it lies, whatever the strides say
    return {name: np.ascontiguousarray(getattr(heard, name)) for name in _ARRAYS}


def _wrong(heard: Heard) -> str:
    """Why the arrays are no voice; "" if they are."""
    import numpy as np

    shape = heard.conditioning.shape
    if len(shape) != 3 or shape[:2] != (1, LATENTS) or shape[2] < 1:
        return f"its conditioning has the shape {list(shape)}"
    if heard.speaker_embedding.shape != EMBEDDING_SHAPE:
        return f"its speaker embedding has the shape {list(heard.speaker_embedding.shape)}"
    for array in (heard.conditioning, heard.speaker_embedding):
        if array.dtype != np.float32:
            return f"it holds {array.dtype} values"
        if not np.isfinite(array).all():
            return "it holds values that are no numbers"
    return ""


def _digest(heard: Heard) -> str:
    digest = hashlib.sha256(json.dumps(dict(heard.texts), sort_keys=True).encode())
    for array in _arrays(heard).values():
        digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.hexdigest()
