"""voicekit.checkpoint: folders, the Hugging Face cache, what was verified, the licence, the network that stays shut.

The cache is made by hand in the documented layout. Only the release's figures are others than in the
product, because its files are small here; test_download.py has the network's side.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from voicekit import checkpoint
from voicekit.checkpoint import LicenceRecord, ReleasedFile, download_released, find_released, from_folder, resolve
from voicekit.errors import ModelError, ModelUnavailable

PUBLISHED = checkpoint.RELEASED_FILES
(FIRST, PINNED), (SECOND, BRANCH) = checkpoint.REPOSITORIES
SOME_COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"the configuration", "vocab.json": b"the vocabulary " * 9, "model.pth": b"the weights" * 999}


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache, cache and data folder of the test's own, small figures, and no network at all."""
    from huggingface_hub import constants

    figures = [ReleasedFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()]
    monkeypatch.setattr(checkpoint, "RELEASED_FILES", tuple(figures))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "COQUI_TOS_AGREED"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def no_socket(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, no_socket)
    return tmp_path / "hub"


def put(
    cache: Path, repository: str = FIRST, revision: str = PINNED, files: dict[str, bytes] = FILES, *, links: bool = True
) -> Path:
    """Lay files into the cache as huggingface_hub does: blobs, links to them by commit, refs by branch."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    commit = revision
    if revision == BRANCH:
        commit = SOME_COMMIT
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs" / BRANCH).write_text(commit)
    snapshot = folder / "snapshots" / commit
    for path in (folder / "blobs", snapshot):
        path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        blob = folder / "blobs" / hashlib.sha1(name.encode()).hexdigest() if links else snapshot / name
        blob.write_bytes(content)
        if links:
            (snapshot / name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read for their hash, in order; they are read all the same."""
    names: list[str] = []
    real = checkpoint.sha256_of

    def counted(path: Path) -> str:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(checkpoint, "sha256_of", counted)
    return names


# --- a folder -----------------------------------------------------------------------------------------------


def folder_with(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "my-voice", FILES)
    taken = from_folder(folder)
    assert (taken.name, taken.trained) == ("my-voice", True)
    assert [taken.config, taken.vocab, taken.weights] == [folder / name for name in FILES]
    assert from_folder(folder, name="rehearsal", trained=False).name == "rehearsal"


def test_a_folder_is_named_by_where_it_really_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_with(tmp_path / "my-voice", FILES)
    monkeypatch.chdir(folder)
    assert from_folder(Path(".")).name == "my-voice"


@pytest.mark.parametrize("kind", ["nothing", "a file", "a broken link"])
def test_no_folder_is_a_missing_model(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "no-such-model"
    if kind == "a file":
        path.write_text("x")
    elif kind == "a broken link":
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelUnavailable) as caught:
        from_folder(path)
    assert caught.value.exit_code == 3
    assert str(path) in caught.value.message
    assert "xtts_v2" in caught.value.hint


@pytest.mark.parametrize("how", ["missing", "empty", "a folder", "a broken link"])
@pytest.mark.parametrize("name", list(FILES))
def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path, name: str, how: str) -> None:
    folder = folder_with(tmp_path / "model", FILES)
    (folder / name).unlink()
    if how == "empty":
        (folder / name).touch()
    elif how == "a folder":
        (folder / name).mkdir()
    elif how == "a broken link":
        (folder / name).symlink_to("nowhere")
    with pytest.raises(ModelError) as caught:
        from_folder(folder)
    assert caught.value.exit_code == 1
    assert str(folder) in caught.value.message
    assert [other for other in FILES if other in caught.value.message] == [name]


# --- the cache ----------------------------------------------------------------------------------------------


def test_nothing_in_the_cache_is_nothing_found(hub_cache: Path) -> None:
    assert find_released() is None
    hub_cache.mkdir()
    assert find_released() is None


@pytest.mark.parametrize("links", [True, False], ids=["links", "files, as on Windows"])
@pytest.mark.parametrize(("repository", "revision"), checkpoint.REPOSITORIES)
def test_the_release_is_found_in_either_repository(
    hub_cache: Path, repository: str, revision: str, links: bool
) -> None:
    snapshot = put(hub_cache, repository, revision, links=links)
    found = find_released()
    assert found is not None
    assert [found.config, found.vocab, found.weights] == [snapshot / name for name in FILES]
    assert (found.name, found.trained, found.licence_url) == ("xtts_v2", True, "https://coqui.ai/cpml.txt")


def test_the_first_repository_goes_first_and_the_second_fills_its_gaps(hub_cache: Path) -> None:
    second = put(hub_cache, SECOND, BRANCH)
    first = put(hub_cache, files={"config.json": FILES["config.json"]})
    found = find_released()
    assert found is not None
    assert [path.parent for path in (found.config, found.vocab, found.weights)] == [first, second, second]


@pytest.mark.parametrize("lost", list(FILES))
def test_a_release_with_a_file_missing_is_not_found(hub_cache: Path, lost: str) -> None:
    put(hub_cache, files={name: content for name, content in FILES.items() if name != lost})
    assert find_released() is None


def test_another_commit_than_the_pinned_one_is_not_the_release(hub_cache: Path) -> None:
    put(hub_cache, FIRST, SOME_COMMIT)
    assert find_released() is None


def test_a_link_whose_blob_was_deleted_is_not_found(hub_cache: Path) -> None:
    snapshot = put(hub_cache)
    (snapshot / "model.pth").resolve().unlink()
    assert find_released() is None


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize("change", [lambda bytes_: bytes_ + b"x", lambda bytes_: bytes_[::-1]], ids=["size", "hash"])
def test_other_bytes_than_the_released_are_refused(hub_cache: Path, name: str, change: Any) -> None:
    snapshot = put(hub_cache, files={**FILES, name: change(FILES[name])})
    with pytest.raises(ModelError) as caught:
        find_released()
    assert caught.value.exit_code == 1
    assert str(snapshot / name) in caught.value.message
    assert str((snapshot / name).resolve()) in caught.value.hint  # what to delete: the blob, not the link


def test_right_bytes_elsewhere_serve_in_place_of_wrong_ones(hub_cache: Path) -> None:
    put(hub_cache, files={**FILES, "model.pth": b"damaged"})
    second = put(hub_cache, SECOND, BRANCH)
    found = find_released()
    assert found is not None and found.weights == second / "model.pth"


def test_a_fork_that_has_moved_on_is_left_alone(hub_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its branch is bound to nothing, and coqui-tts itself may want what is there: no error, no advice to delete."""
    put(hub_cache, SECOND, BRANCH, {**FILES, "config.json": b"a newer configuration"})
    with caplog.at_level(logging.WARNING):
        assert find_released() is None
    assert "config.json" in caplog.text and "left alone" in caplog.text
    put(hub_cache)
    assert find_released() is not None


def test_what_was_verified_is_not_read_again(hub_cache: Path, hashed: list[str]) -> None:
    put(hub_cache)
    assert find_released() is not None
    assert len(hashed) == len(FILES)
    assert find_released() is not None
    assert len(hashed) == len(FILES)


def test_a_stat_is_enough_the_second_time(hub_cache: Path) -> None:
    """Same size, time and inode with other bytes: only a second reading could tell, and there is none."""
    weights = (put(hub_cache) / "model.pth").resolve()
    assert find_released() is not None
    stat = weights.stat()
    with weights.open("r+b") as stream:
        stream.write(b"X")
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert find_released() is not None
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))  # and now it is read
    with pytest.raises(ModelError):
        find_released()


@pytest.mark.parametrize("change", ["time", "size", "inode"])
def test_a_changed_file_is_verified_again(hub_cache: Path, hashed: list[str], change: str) -> None:
    weights = (put(hub_cache) / "model.pth").resolve()
    assert find_released() is not None
    hashed.clear()
    if change == "time":
        os.utime(weights, ns=(1, 1))
        assert find_released() is not None
        assert hashed == [weights.name]
    elif change == "inode":
        copy = shutil.copy2(weights, weights.with_name("copy"))
        os.replace(copy, weights)
        assert find_released() is not None
        assert hashed == [weights.name]
    else:
        weights.write_bytes(FILES["model.pth"] + b"more")
        with pytest.raises(ModelError, match="another size"):
            find_released()


def test_what_was_verified_for_other_figures_does_not_count(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(hub_cache)
    assert find_released() is not None
    *others, weights = checkpoint.RELEASED_FILES
    other = ReleasedFile(weights.name, weights.size_bytes, "0" * 64)
    monkeypatch.setattr(checkpoint, "RELEASED_FILES", (*others, other))
    with pytest.raises(ModelError):
        find_released()


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe", b'{"x": 5}', b"null"])
def test_a_damaged_memory_costs_a_second_reading(
    hub_cache: Path, tmp_path: Path, hashed: list[str], content: bytes
) -> None:
    put(hub_cache)
    assert find_released() is not None
    memory = next((tmp_path / "cache").rglob("verified.json"))
    assert len(json.loads(memory.read_text("utf-8"))) == len(FILES)
    memory.write_bytes(content)
    assert find_released() is not None
    assert len(hashed) == 2 * len(FILES)
    assert find_released() is not None  # and it is whole again
    assert len(hashed) == 2 * len(FILES)


def test_a_memory_that_cannot_be_written_is_done_without(hub_cache: Path, tmp_path: Path) -> None:
    put(hub_cache)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert find_released() is not None
    assert find_released() is not None


def test_the_memory_is_private(hub_cache: Path, tmp_path: Path) -> None:
    put(hub_cache)
    find_released()
    memory = next((tmp_path / "cache").rglob("verified.json"))
    assert memory.parent.stat().st_mode & 0o077 == 0
    assert [path.name for path in memory.parent.iterdir()] == [memory.name]


def test_the_published_figures_are_the_products() -> None:
    """Two lists in public agree on them; a typing error here would refuse the real release."""
    assert [(file.name, file.size_bytes, file.sha256[:16]) for file in PUBLISHED] == [
        ("config.json", 4_368, "ef262b1454dd2a77"),
        ("vocab.json", 361_219, "928260878a59da8a"),
        ("model.pth", 1_867_929_118, "c7ea20001c6a0a84"),
    ]
    assert all(len(file.sha256) == 64 for file in PUBLISHED)


# --- the licence --------------------------------------------------------------------------------------------


def refuses() -> bool:
    return False


def test_without_a_yes_neither_a_cached_nor_a_missing_release_is_used(hub_cache: Path) -> None:
    for cached in (False, True):
        if cached:
            put(hub_cache)
        with pytest.raises(ModelUnavailable) as caught:
            resolve("xtts_v2", offline=False, licence_accepted=refuses)
        assert caught.value.exit_code == 3
        assert "non-commercial" in caught.value.message
        for way in ("https://coqui.ai/cpml.txt", "--accept-license", "COQUI_TOS_AGREED=1"):
            assert way in caught.value.hint
    with pytest.raises(ModelUnavailable, match="non-commercial"):
        download_released(licence_accepted=False, offline=False)


def test_with_a_yes_the_cached_release_is_used_without_the_network(hub_cache: Path) -> None:
    snapshot = put(hub_cache)
    for offline in (False, True):
        assert resolve("xtts_v2", offline=offline, licence_accepted=lambda: True).weights == snapshot / "model.pth"


def test_a_folder_is_used_without_asking(tmp_path: Path) -> None:
    def asked() -> bool:
        raise AssertionError("a folder's terms are between the user and its maker")

    folder = folder_with(tmp_path / "mine", FILES)
    assert resolve(str(folder), offline=True, licence_accepted=asked).weights == folder / "model.pth"


def test_a_yes_is_remembered_and_names_the_terms(tmp_path: Path) -> None:
    record = LicenceRecord.of_user()
    assert not record.accepted()
    assert tmp_path / "data" in record.path.parents
    record.accept()
    assert LicenceRecord.of_user().accepted()
    assert "https://coqui.ai/cpml.txt" in record.path.read_text("utf-8")
    record.path.unlink()
    assert not record.accepted()


@pytest.mark.parametrize(("value", "agreed"), [("1", True), ("0", False), ("", False), ("no", False)])
def test_coquis_own_variable_counts(monkeypatch: pytest.MonkeyPatch, value: str, agreed: bool) -> None:
    monkeypatch.setenv("COQUI_TOS_AGREED", value)
    assert LicenceRecord.of_user().accepted() is agreed


def test_a_record_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    record = LicenceRecord.of_user()
    record.accept()
    assert not record.accepted()


# --- offline, and the disk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("partly", [False, True], ids=["nothing there", "weights missing"])
@pytest.mark.parametrize("by", ["--offline", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_says_what_forbids_it_and_opens_no_socket(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch, by: str, partly: bool
) -> None:
    from huggingface_hub import constants

    def asked() -> bool:
        raise AssertionError("no licence is asked for what cannot be had")

    if partly:
        put(hub_cache, files={"config.json": FILES["config.json"], "vocab.json": FILES["vocab.json"]})
    if by != "--offline":
        monkeypatch.setenv(by, "1")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # read from the variable when it is imported
    with pytest.raises(ModelUnavailable) as caught:
        resolve("xtts_v2", offline=by == "--offline", licence_accepted=asked)
    assert caught.value.exit_code == 3
    assert by in caught.value.message
    assert "--model DIR" in caught.value.hint


def test_no_socket_is_the_control(hub_cache: Path) -> None:
    """Allowed to, it does try to reach the hub: the tests above would see it."""
    with pytest.raises(AssertionError, match="a socket was opened"):
        resolve("xtts_v2", offline=False, licence_accepted=lambda: True)


GB = 10**9


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk whose free space the test sets, and a release of 2 GB whose weights are missing."""
    state = SimpleNamespace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: state)
    *small, weights = checkpoint.RELEASED_FILES
    state.weights = ReleasedFile("model.pth", 2 * GB, weights.sha256)
    monkeypatch.setattr(checkpoint, "RELEASED_FILES", (*small, state.weights))
    return state


def test_no_room_is_said_before_anything_is_fetched(hub_cache: Path, disk: SimpleNamespace) -> None:
    disk.free = GB
    with pytest.raises(ModelUnavailable) as caught:
        download_released(licence_accepted=True, offline=False)
    assert caught.value.exit_code == 3
    assert "2.0 GB" in caught.value.message and "1.0 GB free" in caught.value.message
    assert "HF_HOME" in caught.value.hint
    assert not hub_cache.exists()
    disk.free = 3 * GB
    with pytest.raises(AssertionError, match="a socket was opened"):
        download_released(licence_accepted=True, offline=False)


def test_what_is_here_already_needs_no_room(hub_cache: Path, disk: SimpleNamespace) -> None:
    disk.free = GB
    blobs = put(hub_cache, files={"config.json": FILES["config.json"]}).parents[1] / "blobs"
    with (blobs / f"{disk.weights.sha256}.incomplete").open("wb") as stream:
        stream.truncate(3 * GB // 2)  # a hole: it takes no room here either
    with pytest.raises(AssertionError, match="a socket was opened"):
        download_released(licence_accepted=True, offline=False)
