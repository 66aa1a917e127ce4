"""Where the weights are: find, verify, and have downloaded what is missing.

A checkpoint is a folder with `config.json`, `vocab.json` and `model.pth`. This module knows the
Hugging Face cache, the released files' figures and their licence; it does not open a checkpoint
(tts_model.py does) and never writes into one. Whoever calls decides how the licence is shown,
asked for and how progress looks.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from logger_config import span
from voicekit import remembered
from voicekit.download import ReleasedFile, fetch, missing_bytes, sha256_of
from voicekit.errors import ModelError, ModelUnavailable
from voicekit.receiving import HubUnavailable

logger = logging.getLogger(__name__)

RELEASED = "xtts_v2"
LICENSE_NAME = "Coqui Public Model License 1.0.0 (CPML)"
LICENSE_URL = "https://coqui.ai/cpml.txt"
LICENSE_MIRROR_URL = "https://tts-hub.github.io/cpml"
APP_NAME = "voice-cloning"
VERIFIED = "verified"  # files by path: [size, mtime_ns, inode, sha256]

# The published figures; two independent lists agree on them.
RELEASED_FILES = (
    ReleasedFile("config.json", 4_368, "ef262b1454dd2a77e1461b0b2cd53e19b8a7624cc131b837d36df67356bc75e8"),
    ReleasedFile("vocab.json", 361_219, "928260878a59da8a72a2a5b7687fea29d5106137669d90945430fe17e415304a"),
    ReleasedFile("model.pth", 1_867_929_118, "c7ea20001c6a0a841c77e252d8409f6a74fb423e79b3206a0771ba5989776187"),
)
# Those of the release have 4 kB and 0.4 MB; both are read whole.
_MOST_BYTES = {"config.json": 16_000_000, "vocab.json": 64_000_000}
UNPINNED = "main"
# The pinned revision first; the fork's copy has no pin, so only the hashes decide there.
REPOSITORIES = (("coqui/XTTS-v2", "6c2b0d75eae4b7047358e3b6bd9325f857d43f77"), ("tts-hub/XTTS-v2", UNPINNED))


@dataclass(frozen=True)
class Checkpoint:
    """A folder's worth of XTTS v2, found and, for the release, verified.

    name: what the user asked for (`xtts_v2`, `rehearsal-tiny`, or the folder's name).
    config, vocab, weights: the three files; they need not lie in one folder.
    trained: False for the rehearsal models, whose output is noise.
    licence_url: the terms that go with the output, or "" where we know of none.
    """

    name: str
    config: Path
    vocab: Path
    weights: Path
    trained: bool = True
    licence_url: str = ""


def from_folder(folder: Path, *, name: str = "", trained: bool = True) -> Checkpoint:
    """Take any XTTS v2 folder, fine-tuned ones included; its files are not read here.

    Raises:
        ModelUnavailable: there is no such folder.
        ModelError: a file is missing or empty.
    """
    if not os.path.isdir(folder):
        raise ModelUnavailable(
            f"There is no model folder {folder}.",
            f"Give --model {RELEASED}, rehearsal, rehearsal-tiny, or the folder of an XTTS v2 model.",
        )
    files = {name: folder / name for name in ("config.json", "vocab.json", "model.pth")}
    missing = [name for name, path in files.items() if not os.path.isfile(path) or path.stat().st_size == 0]
    if missing:
        raise ModelError(
            f"The model folder {folder} has no usable {', '.join(missing)}.",
            "An XTTS v2 folder needs config.json, vocab.json and model.pth; copy the missing ones into it.",
        )
    large = [name for name, most in _MOST_BYTES.items() if files[name].stat().st_size > most]
    if large:
        raise ModelError(
            f"{files[large[0]]} is far too large to be what its name says.",
            "Copy the model's files anew, or give another folder with --model DIR.",
        )
    return Checkpoint(
        name or folder.resolve().name, files["config.json"], files["vocab.json"], files["model.pth"], trained
    )


def find_released() -> Checkpoint | None:
    """Find the released files in the Hugging Face cache, without the network; None if incomplete.

    Raises:
        ModelError: a file is there but is not the released one (wrong size or SHA-256).
        ModelUnavailable: the cache cannot be read.
    """
    found = [_cached(file) for file in RELEASED_FILES]
    complete = [path for path in found if path is not None]
    return _released(complete) if len(complete) == len(RELEASED_FILES) else None


def download_released(*, licence_accepted: bool, offline: bool) -> Checkpoint:
    """Download what is missing of the release (1.9 GB), verify it, and return it.

    A download that was cut goes on where it stopped (see `voicekit.download`).

    Raises:
        ModelUnavailable: offline, the licence not accepted, the hub not reached, or no room on disk.
        ModelError: the hub gave other bytes than the released ones.
    """
    forbidden_by = "--offline" if offline else _offline_by_environment()
    if forbidden_by:
        raise ModelUnavailable(
            f"XTTS v2 is not complete in the Hugging Face cache, and {forbidden_by} forbids to download it.",
            f"Run once without {forbidden_by}, or give the folder of a model with --model DIR.",
        )
    if not licence_accepted:
        raise licence_refused()
    _require_room()
    failures: list[ModelError] = []
    for repository, revision in REPOSITORIES:
        try:
            return _released(_download(repository, revision))
        except HubUnavailable as error:
            failures.append(error)
        except ModelUnavailable:
            raise  # the disk, not the hub: no other repository helps
        except ModelError as error:
            failures.insert(0, error)  # other bytes: what is worth to be told, if the next has no better
    if not isinstance(failures[0], HubUnavailable):
        raise failures[0]
    reasons = "; ".join(
        f"{repository}: {error.message}" for (repository, _), error in zip(REPOSITORIES, failures, strict=True)
    )
    raise ModelUnavailable(f"XTTS v2 could not be downloaded ({reasons}).", failures[0].hint) from failures[0]


def licence_refused() -> ModelUnavailable:
    """The error of a run that needs the release's licence and has no yes."""
    return ModelUnavailable(
        f"XTTS v2 comes under the {LICENSE_NAME}: non-commercial use of the model and of what it speaks.",
        f"Read {LICENSE_URL} (or {LICENSE_MIRROR_URL}), then give --accept-license or set COQUI_TOS_AGREED=1.",
    )


def _offline_by_environment() -> str:
    """The variable by which the user took huggingface_hub off the network, or ""."""
    from huggingface_hub.constants import is_offline_mode

    if not is_offline_mode():
        return ""
    return "HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "TRANSFORMERS_OFFLINE"


def _cached(file: ReleasedFile) -> Path | None:
    """One released file in the cache, from whichever repository has it; None if none has."""
    from huggingface_hub import try_to_load_from_cache

    refused = None
    for repository, revision in REPOSITORIES:
        try:
            path = try_to_load_from_cache(repository, file.name, revision=revision)
        except OSError as error:
            raise ModelUnavailable(
                f"The Hugging Face cache cannot be read ({error}).", "Set HF_HOME to a folder that you can use."
            ) from error
        if not isinstance(path, str):
            continue
        try:
            _verify(Path(path), file)
        except ModelError as error:
            if revision == UNPINNED:  # not bound to be the release: other programs may want it as it is
                logger.warning("%s It is left alone.", error.message)
            else:
                refused = error
        else:
            return Path(path)
    if refused:
        raise refused
    return None


def _download(repository: str, revision: str) -> list[Path]:
    """Fetch from one repository of the hub what the cache lacks; the paths in the cache, in our order."""
    paths, received, began = [], 0, time.perf_counter()
    with span("Model download", started=f"Model download started: {repository}", done="Model downloaded") as progress:
        for file in RELEASED_FILES:
            path = _cached(file)
            if path is None:
                fetched = fetch(repository, revision, file)
                path, received = fetched.path, received + fetched.received_bytes
                _remember(path, file)
            paths.append(path)
        rate = received / 2**20 / max(time.perf_counter() - began, 1e-3)
        progress.note(bytes=received, rate=f"{rate:.1f} MB/s")
    return paths


def _require_room() -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    needed = sum(missing_bytes(file) for file in RELEASED_FILES if _cached(file) is None)
    folder = Path(HF_HUB_CACHE).absolute()
    while not os.path.exists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # it will be seen when it is written
    if free < needed * 1.05:
        raise ModelUnavailable(
            f"{needed / 1e9:.1f} GB of XTTS v2 are to be downloaded, and the disk of {folder} has"
            f" {free / 1e9:.1f} GB free.",
            "Make room, or set HF_HOME to a folder on another disk.",
        )


def _released(paths: list[Path]) -> Checkpoint:
    config, vocab, weights = paths
    return Checkpoint(RELEASED, config, vocab, weights, trained=True, licence_url=LICENSE_URL)


def _verify(path: Path, file: ReleasedFile) -> None:
    """Compare size and SHA-256, once: afterwards a stat is enough."""
    real = path.resolve()
    try:
        if remembered.read(VERIFIED).get(str(real)) == _fingerprint(real, file):
            return
        size = real.stat().st_size
        actual = sha256_of(real) if size == file.size_bytes else f"another size, {size} bytes"
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}).", "Mend its permissions, or delete it.") from error
    if actual != file.sha256:
        raise ModelError(
            f"{path} is not the released {file.name} (it should have {file.size_bytes} bytes and the SHA-256"
            f" {file.sha256[:12]}..., it has {actual}).",
            f"Delete {real} and run again to download it anew, or give another model with --model DIR.",
        )
    _remember(path, file)


def _remember(path: Path, file: ReleasedFile) -> None:
    real = path.resolve()
    remembered.write(VERIFIED, {**remembered.read(VERIFIED), str(real): _fingerprint(real, file)})


def _fingerprint(real: Path, file: ReleasedFile) -> list[object]:
    """What changes when a file does, and the hash that it was found to have."""
    stat = real.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino, file.sha256]


@dataclass(frozen=True)
class LicenceRecord:
    """The user's acceptance of the release's licence, kept in their data folder."""

    path: Path

    @classmethod
    def of_user(cls) -> LicenceRecord:
        """The record in the data folder of the user who runs this."""
        import platformdirs

        return cls(Path(platformdirs.user_data_dir(APP_NAME)) / "cpml-accepted")

    def accepted(self) -> bool:
        """True when accepted before, or by COQUI_TOS_AGREED=1 as coqui's own tools take it."""
        return os.environ.get("COQUI_TOS_AGREED") == "1" or os.path.isfile(self.path)

    def accept(self) -> None:
        """Remember a yes; where that cannot be written it counts for this run only."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.write_text(f"{LICENSE_NAME}\n{LICENSE_URL}\n", "utf-8")
        except OSError:
            return


def licence_accepted(accept_now: bool, confirm: Callable[[str], bool]) -> bool:
    """Whether the release's licence is accepted: now, before, or by the answer to a question; a yes is kept."""
    record = LicenceRecord.of_user()
    question = (
        f"XTTS v2 comes under the {LICENSE_NAME}: non-commercial use of the model and of what it speaks.\n"
        f"The terms: {LICENSE_URL}\nDo you accept them?"
    )
    accepted = accept_now or record.accepted() or confirm(question)
    if accepted:
        record.accept()
    return accepted


def resolve(model: str, *, offline: bool, licence_accepted: Callable[[], bool]) -> Checkpoint:
    """Turn `--model` (the release or a folder) into a checkpoint, downloading the release if need be.

    Args:
        model: `xtts_v2` or a folder.
        offline: never touch the network.
        licence_accepted: asked only for the release, and only when it is about to be used.
    """
    if model != RELEASED:
        return from_folder(Path(model))
    found = find_released()
    if found is None and (offline or _offline_by_environment()):
        return download_released(licence_accepted=False, offline=offline)  # says so before the licence is asked
    if not licence_accepted():
        raise licence_refused()
    return found or download_released(licence_accepted=True, offline=offline)
