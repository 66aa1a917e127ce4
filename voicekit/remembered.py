"""Small things that are found out once on a machine: JSON objects in the user's cache folder.

What is remembered is never needed: a file that is missing, damaged or cannot be written costs the work of finding out
again, and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voicekit.scratch_folders import scratch_folder


def path_of(name: str) -> Path:
    """Where `name` is kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("voice-cloning")) / f"{name}.json"


def read(name: str) -> dict[str, Any]:
    """What is remembered under a name; empty where there is nothing, or nothing that can be read."""
    try:
        content = json.loads(path_of(name).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(name: str, content: dict[str, Any]) -> None:
    """Remember this under a name, in place of what was there."""
    path = path_of(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with scratch_folder(path.parent) as scratch:
            unfinished = scratch / path.name
            unfinished.write_text(json.dumps(content), "utf-8")
            unfinished.replace(path)
    except OSError:
        return
