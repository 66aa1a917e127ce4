"""Untrained checkpoints of XTTS v2's own architecture, built here: to rehearse with, not to listen to.

The released weights may not be shipped and cannot be had everywhere. `build` makes a folder that every
loader of the real model loads too: `rehearsal` with exactly the released dimensions, to measure speed and
memory, and `rehearsal-tiny` with a small GPT, for tests and a demonstration. What they speak is noise.
The weights are in rehearsal_weights.py, the tokenizer in rehearsal_tokenizer.py, and what a finished
checkpoint must show in rehearsal_checks.py: `build` refuses what does not listen or does not end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from voicekit.errors import ModelError
from voicekit.rehearsal_checks import CoquiProbe, Ending, Listening, Probe, verify_ends, verify_listens
from voicekit.rehearsal_tokenizer import write_vocabulary
from voicekit.rehearsal_weights import DIMENSIONS, Dimensions, config, weights
from voicekit.scratch_folders import scratch_folder

NAMES = tuple(DIMENSIONS)
RECIPE_VERSION = 1  # part of the cached folder's name: a changed recipe is built anew beside the old one
RECORD_FILE = "rehearsal.json"  # written last: what has it is whole
NOTE = "Untrained weights, made by this project to rehearse with: what the model speaks is noise, not speech."


def build(folder: Path, name: str, *, seed: int = 0, load: Callable[[Path], Probe] = CoquiProbe) -> Path:
    """Make the named checkpoint, verify it and put it in place: the folder appears whole or not at all.

    `rehearsal` needs about 5 GB of memory, 1.9 GB of disk and some minutes on two cores; `rehearsal-tiny`
    0.1 GB of disk and some seconds. A folder that holds this model already, of whatever seed, is left as
    it is; so is one that another process puts there meanwhile.

    Args:
        load: how to load the finished folder for verification.

    Raises:
        ModelError: no such name, the folder holds something else, it cannot be written, or the
            checkpoint fails its verification.
    """
    if name not in DIMENSIONS:
        known = ", ".join(NAMES)
        raise ModelError(f"There is no rehearsal model named {name!r}.", f"Choose one of: {known}.")
    if is_complete(folder, name):
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise ModelError(f"{folder} already holds something else.", "Name a folder that does not exist yet.")
    import torch

    try:
        with _placed_whole(folder, name) as unfinished, torch.random.fork_rng(devices=[]):
            dimensions = DIMENSIONS[name]
            _write_checkpoint(unfinished, dimensions, seed)
            probe = load(unfinished)
            listening = verify_listens(probe)
            ending = verify_ends(probe, dimensions.verified_characters)
            _write_record(unfinished, name, seed, listening, ending)
    except OSError as error:
        raise ModelError(
            f"The rehearsal model cannot be written to {folder}: {error.strerror or error}.",
            "Free some disk space or choose another place.",
        ) from error
    return folder


def folder_of(name: str, cache_dir: Path | None = None) -> Path:
    """Where the named checkpoint lies, built or not: in the user's cache, or in `cache_dir`."""
    import platformdirs

    cache = cache_dir or Path(platformdirs.user_cache_dir("voice-cloning"))
    return cache / "rehearsal" / f"{name}-v{RECIPE_VERSION}"


def ensure(name: str, *, cache_dir: Path | None = None) -> Path:
    """The named checkpoint's folder in the user's cache (or `cache_dir`), built when absent or incomplete."""
    folder = folder_of(name, cache_dir)
    if is_complete(folder, name):
        return folder
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)  # ours, and damaged
    return build(folder, name)


def is_complete(folder: Path, name: str) -> bool:
    """Whether the folder holds all files of this model and recipe at their recorded sizes."""
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        sizes = all((folder / file).stat().st_size == size for file, size in record["bytes"].items())
        return sizes and (record["name"], record["recipe"]) == (name, RECIPE_VERSION)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextlib.contextmanager
def _placed_whole(folder: Path, name: str) -> Iterator[Path]:
    """A private scratch folder that takes the folder's name at the end, else is gone."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with scratch_folder(folder.parent) as scratch:
        unfinished = scratch / folder.name
        unfinished.mkdir(mode=0o700)
        yield unfinished
        try:
            unfinished.rename(folder)
        except OSError:
            if not is_complete(folder, name):  # else another process was faster: its model is the same
                raise


def _write_checkpoint(folder: Path, dimensions: Dimensions, seed: int) -> None:
    """The three files that a loader reads; the weights leave memory with this function."""
    import torch

    (folder / "config.json").write_text(json.dumps(config(dimensions), indent=2) + "\n", encoding="utf-8")
    vocabulary = write_vocabulary(folder / "vocab.json").get_vocab()
    torch.save({"model": weights(folder, dimensions, vocabulary, seed)}, folder / "model.pth")


def _write_record(folder: Path, name: str, seed: int, listening: Listening, ending: Ending) -> None:
    """What was built and measured, and the sizes by which `is_complete` knows it."""
    record = {
        "note": NOTE,
        "name": name,
        "recipe": RECIPE_VERSION,
        "seed": seed,
        "listening": dataclasses.asdict(listening),
        "ending": dataclasses.asdict(ending),
        "bytes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
    }
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
