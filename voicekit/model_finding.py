"""The name that `--model` gives -> a checkpoint on disk: one that is here, or one that is fetched or built first.

What of this is said to people goes to a listener; how a checkpoint is verified, downloaded, agreed to or built, the
modules know that do it.
"""

from __future__ import annotations

from pathlib import Path

from voicekit import checkpoint, rehearsal
from voicekit.checkpoint import Checkpoint
from voicekit.cloning import CloneSettings, Listener


def here(model: str) -> Checkpoint | None:
    """The model, where nothing need be fetched, built or agreed to first; None elsewhere.

    Raises:
        ModelError, ModelUnavailable: a folder that is no model (`checkpoint.from_folder`).
    """
    if model in rehearsal.NAMES:
        folder = rehearsal.folder_of(model)
        is_here = rehearsal.is_complete(folder, model)
        return checkpoint.from_folder(folder, name=model, trained=False) if is_here else None
    return checkpoint.find_released() if model == checkpoint.RELEASED else checkpoint.from_folder(Path(model))


def find(settings: CloneSettings, listener: Listener) -> Checkpoint:
    """The model, whatever it takes: a download, a yes to its licence, or minutes to build an untrained one.

    Raises:
        ModelError, ModelUnavailable: see `checkpoint.resolve` and `rehearsal.ensure`.
    """
    if settings.model in rehearsal.NAMES:
        return _rehearsal(settings.model, listener)
    found = checkpoint.resolve(
        settings.model, offline=settings.offline,
        licence_accepted=lambda: checkpoint.licence_accepted(settings.accept_license, listener.confirm),
    )  # fmt: skip
    if found.licence_url:
        listener.note(f"Licence: non-commercial, for what is spoken too; pass it on with the file: {found.licence_url}")
    return found


def _rehearsal(name: str, listener: Listener) -> Checkpoint:
    listener.note(f"Model: {name} is untrained: what it speaks is NOISE, only speed and memory are real.")
    if not rehearsal.is_complete(rehearsal.folder_of(name), name):
        listener.note("Model: it is built once, and verified: seconds for the tiny one, minutes for the full size.")
    return checkpoint.from_folder(rehearsal.ensure(name), name=name, trained=False)
