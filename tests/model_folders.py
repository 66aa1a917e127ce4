"""Folders with a model whose files a test may replace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAMES = ("config.json", "vocab.json", "model.pth")


def linked(model: Path, made: Path) -> Path:
    """A folder whose files are links into the model's: replace them, never write them."""
    made.mkdir()
    for name in NAMES:
        (made / name).symlink_to(model / name)
    return made


def replace(path: Path, content: bytes | str) -> None:
    """Another file under the name, whatever the old one was a link to."""
    path.unlink()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def save(path: Path, content: Any, **options: Any) -> None:
    """`torch.save` as `replace`."""
    import torch

    path.unlink(missing_ok=True)
    torch.save(content, path, **options)
