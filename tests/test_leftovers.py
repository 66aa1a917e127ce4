"""What killed runs left in the user's folders goes with the next run, though it writes nothing there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voicekit import conditioning_cache, journal, kept_weights, leftovers, profiles, rehearsal, remembered
from voicekit.scratch_folders import scratch_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))


def places() -> list[Path]:
    return [remembered.path_of("precision").parent, conditioning_cache.folder(), kept_weights.folder(),
            profiles.folder(), rehearsal.folder_of("rehearsal").parent, journal.folder(),
            journal.folder() / "groups"]  # fmt: skip


def left_by_a_killed_run(place: Path) -> Path:
    """A scratch folder whose maker is gone, and a file in it."""
    place.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if not child:
        with scratch_folder(place) as folder:
            (folder / "part").write_bytes(b"half")
            os._exit(0)
    os.waitpid(child, 0)
    (folder,) = place.glob(".voice-cloning-*.part")
    return folder


@pytest.mark.skipif(os.name != "posix", reason="processes and locks of POSIX")
def test_it_is_removed_wherever_it_is() -> None:
    left = [left_by_a_killed_run(place) for place in places()]
    assert all((folder / "part").exists() for folder in left)
    leftovers.remove()
    assert not [folder for folder in left if folder.exists()]


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_what_is_being_written_stays() -> None:
    for place in places():
        place.mkdir(parents=True, exist_ok=True)
        with scratch_folder(place) as folder:
            (folder / "part").write_bytes(b"half")
            leftovers.remove()
            assert (folder / "part").read_bytes() == b"half"


def test_where_nothing_is_there_is_nothing_to_do() -> None:
    leftovers.remove()
    assert not any(place.exists() for place in places())
