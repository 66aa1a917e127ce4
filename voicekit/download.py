"""One published file of the Hugging Face hub into its cache, going on where an earlier run stopped.

`hf_hub_download` (huggingface_hub 2.4) gives each try a temporary file of its own and deletes it when the
try fails, so a cut connection costs all of 1.9 GB. Here the incomplete file keeps its name between runs,
and a file takes its place in the cache only after its SHA-256 was compared. The cache's layout (blobs,
snapshots, refs) is the documented one, so whatever else reads it finds the file.

This module knows the hub and the cache; how bytes come over the network is in receiving.py. It knows no
model, no licence and no user.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from voicekit.complexity import complexity
from voicekit.errors import ModelError, ModelUnavailable
from voicekit.receiving import HubUnavailable, OtherSize, Patience, advice, receive, sentence

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ReleasedFile:
    """One file of a release and its published figures."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Fetched:
    """Where a verified file lies in the cache, and how many bytes came over the network for it."""

    path: Path
    received_bytes: int


@complexity(size="bytes", time="O(n)", space="O(1)")
def fetch(repository: str, revision: str, file: ReleasedFile) -> Fetched:
    """Bring one file into the cache; nothing is done twice, two processes at once take turns.

    Time O(bytes), space O(1) beside the file. It waits about a minute for a hub that stops answering in
    the middle of a file (5 new tries) or asks to wait, and 10 s for one that does not answer at all.

    Raises:
        HubUnavailable: the hub was not reached, refused, or broke off; the next call goes on there.
        ModelUnavailable: the cache cannot be written.
        ModelError: the hub has other bytes under this name; they are not kept.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # public, not in its __all__

    url, patience = hf_hub_url(repository, file.name, revision=revision), Patience()
    with _named_errors(file.name):
        commit = patience.ask(lambda: _commit(url, revision, file))
        cache = _cache_folder() / f"models--{repository.replace('/', '--')}"
        pointer = cache / "snapshots" / commit / file.name
        lock = cache.parent / ".locks" / "voice-cloning" / f"{file.sha256}.lock"
        for folder in (lock.parent, pointer.parent, cache / "blobs"):
            folder.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            blob = cache / "blobs" / file.sha256
            received = 0
            if not _is_right(blob, file):
                incomplete = _incomplete(file) or blob.with_name(f"{file.sha256}.incomplete")
                received = _receive(url, incomplete, file, patience)
                os.replace(incomplete, blob)
            _point(pointer, blob)
            if commit != revision:
                (cache / "refs").mkdir(exist_ok=True)
                (cache / "refs" / revision).write_text(commit, "utf-8")
    return Fetched(pointer, received)


def missing_bytes(file: ReleasedFile) -> int:
    """How many bytes of a file an earlier run has not left here yet."""
    try:
        incomplete = _incomplete(file)
        return file.size_bytes - min(incomplete.stat().st_size, file.size_bytes) if incomplete else file.size_bytes
    except OSError:
        return file.size_bytes


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; reads it once (O(bytes), about a second a gigabyte)."""
    with path.open("rb") as stream:
        return sha256_in(stream)


def sha256_in(stream: BinaryIO) -> str:
    """The same of what is left of an open file."""
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _cache_folder() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _incomplete(file: ReleasedFile) -> Path | None:
    """What was received of a file so far; whichever repository began it, another can go on."""
    # Named by the published hash, never by what a server says.
    return next(iter(sorted(_cache_folder().glob(f"models--*/blobs/{file.sha256}.incomplete"))), None)


def _commit(url: str, revision: str, file: ReleasedFile) -> str:
    """Ask the hub for the file's commit, and notice another file by its size before it is fetched."""
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT

    about = get_hf_file_metadata(url, timeout=HF_HUB_ETAG_TIMEOUT)
    commit = about.commit_hash or ""
    if about.size is not None and about.size != file.size_bytes and commit:
        raise _other_bytes(url, file, f"{about.size} bytes")
    if not _COMMIT.fullmatch(commit):  # a page of the network's, with a size of its own
        raise HubUnavailable(
            f"what answers at {url} is no Hugging Face hub",
            "Check the network (does it want a login in a browser?), the proxy and HF_ENDPOINT.",
        )
    return revision if _COMMIT.fullmatch(revision) else commit


def _receive(url: str, incomplete: Path, file: ReleasedFile, patience: Patience) -> int:
    """Append what is missing of the file and compare its hash; the bytes that were missing."""
    with incomplete.open("ab") as stream:
        if stream.tell() > file.size_bytes:
            stream.truncate(0)
        had = stream.seek(0, os.SEEK_END)
        try:
            receive(url, stream, file.size_bytes, file.name, patience)
        except OtherSize as error:
            raise _other_bytes(url, file, str(error)) from error
        stream.flush()
        os.fsync(stream.fileno())  # before it gets its name: a cut of power leaves all of it, or no file of that name
    if not _is_right(incomplete, file):
        actual = f"{incomplete.stat().st_size} bytes of SHA-256 {sha256_of(incomplete)}"
        incomplete.unlink()
        raise _other_bytes(url, file, actual)
    return file.size_bytes - had


def _is_right(path: Path, file: ReleasedFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256


def _point(pointer: Path, blob: Path) -> None:
    """Name the blob in the snapshot; where links are not allowed (Windows) the file itself goes there."""
    if pointer.is_file() and pointer.samefile(blob):
        return
    pointer.unlink(missing_ok=True)  # one that leads nowhere, because its blob was deleted
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:
        os.replace(blob, pointer)


def _other_bytes(url: str, file: ReleasedFile, actual: str) -> ModelError:
    return ModelError(
        f"{url} is not the released {file.name}: it has {actual} instead of {file.size_bytes} bytes of"
        f" SHA-256 {file.sha256}. It was not kept.",
        "Check HF_ENDPOINT and the proxy, or give another model with --model DIR.",
    )


@contextlib.contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """What huggingface_hub and its HTTP library raise, as the two kinds that we know.

    Not all of theirs are OSErrors (httpx2.ReadError: a connection that was reset), and some OSErrors of
    theirs are no matter of the disk (HfHubHTTPError, OfflineModeIsEnabled), so the order counts.
    """
    import httpx2
    from huggingface_hub.errors import EntryNotFoundError, FileMetadataError

    hub = (httpx2.HTTPError, httpx2.InvalidURL, EntryNotFoundError, FileMetadataError, ConnectionError, ValueError)
    try:
        yield
    except hub as error:
        raise HubUnavailable(f"{name} was not fetched: {sentence(error)}", advice(error)) from error
    except OSError as error:
        raise ModelUnavailable(
            f"{name} cannot be put into the Hugging Face cache ({sentence(error)}).",
            "Make room or mend the folder's permissions, or set HF_HOME to another folder.",
        ) from error
