"""Weights that were laid out once come back bit for bit, or are laid out again."""

from __future__ import annotations

import logging
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from voicekit import kept_weights
from voicekit.kept_weights import NOTHING_KEPT, KeptWeights, latest, place

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
IDENTITY = "ab" * 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voice-cloning" / "weights"


def weights() -> dict[str, torch.Tensor]:
    """Both types, odd sizes, under and over what is summed at once (64 kB)."""
    chance = torch.Generator().manual_seed(1)
    return {
        "gpt.h.0": torch.randn(3, 1024, 33, generator=chance),
        "gpt.h.1": torch.randn(5, 7, 9, generator=chance).half(),
        "hifigan": torch.randn(1, 1, 1, generator=chance),
    }


def written(path: Path) -> None:
    kept = KeptWeights(path)
    for name, tensor in weights().items():
        kept(name, tensor.clone)
    assert kept.keep() == path.stat().st_size > sum(each.nbytes for each in weights().values())


def is_found(path: Path) -> bool:
    """Whether all of it comes from the file, the same bits; nothing in between is taken."""
    kept, made = KeptWeights(path), []

    def make(name: str) -> torch.Tensor:
        made.append(name)
        return weights()[name]

    for name, tensor in weights().items():
        got = kept(name, lambda name=name: make(name))  # type: ignore[misc]
        assert (got.dtype, got.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(got, tensor)
    assert made in ([], list(weights()))
    return not made


def test_the_second_start_has_what_the_first_one_made(home: Path) -> None:
    path = home / "a.safetensors"
    assert not is_found(path)
    written(path)
    assert is_found(path)
    assert not KeptWeights(path).is_new and KeptWeights(path).keep() == 0
    assert [each.name for each in home.iterdir()] == ["a.safetensors"]


def test_the_safetensors_package_reads_it(home: Path) -> None:
    from safetensors.torch import load_file

    written(home / "a.safetensors")
    found = load_file(home / "a.safetensors")
    assert set(found) == set(weights())
    assert all(torch.equal(found[name], tensor) for name, tensor in weights().items())


def test_what_is_made_is_held_once_and_not_for_long() -> None:
    made = []
    kept = NOTHING_KEPT
    for _ in range(2):
        kept("a", lambda: made.append(1) or torch.ones(1))  # type: ignore[func-returns-value]
    assert (len(made), kept.keep(), kept._made) == (2, 0, {})


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def exchanged(data: bytes) -> bytes:
    """Two words within 64 kB, and two pages."""
    end = len(data) - 300_000
    return data[:end] + data[end + 8 : end + 16] + data[end : end + 8] + data[end + 16 :]


def pages_exchanged(data: bytes) -> bytes:
    at = 8192
    return (
        data[:at]
        + data[at + 131072 : at + 135168]
        + data[at + 4096 : at + 131072]
        + data[at : at + 4096]
        + data[at + 135168 :]
    )


def without_sums(data: bytes) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    header = data[8 : 8 + length].replace(b'"sums"', b'"none"')
    return data[:8] + header + data[8 + length :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "half a length": lambda data: data[:4],
    "the header alone": lambda data: data[:200],
    "a half": lambda data: data[: len(data) // 2],
    "a byte less": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    "a page of zeros": lambda data: data[:8192] + bytes(4096) + data[12288:],
    "words exchanged": exchanged,
    "pages exchanged": pages_exchanged,
    "no sums": without_sums,
    "a huge header": lambda data: b"\xff" * 8 + data[8:],
    "a pickle": lambda data: b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "a page": lambda data: b"<html></html>",
    **{f"a bit at {part:.0%}": lambda data, part=part: flipped(int(part * (len(data) - 1)))(data)  # type: ignore[misc]
       for part in (0.01, 0.3, 0.6, 0.97, 1)},
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again(home: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = home / "a.safetensors"
    written(path)
    data = path.read_bytes()
    changed = DAMAGES[damage](data)
    assert changed != data
    path.unlink()
    path.write_bytes(changed)
    with caplog.at_level(logging.INFO):
        assert not is_found(path)
    assert "Kept weights are made again" in caplog.text
    written(path)
    assert is_found(path)


def test_a_folder_in_its_place_is_no_failure(home: Path) -> None:
    (home / "a.safetensors").mkdir(parents=True)
    kept = KeptWeights(home / "a.safetensors")
    assert torch.equal(kept("x", lambda: torch.ones(2)), torch.ones(2))
    assert kept.keep() == 0


def test_a_file_belongs_to_one_checkpoint_precision_processor_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {place(IDENTITY, "float16", 16), place("cd" * 32, "float16", 16), place(IDENTITY, "float32", 16),
              place(IDENTITY, "float16", 8)}  # fmt: skip
    assert place(IDENTITY, "float16", 16) in places
    monkeypatch.setattr(kept_weights, "_code", lambda: "another way to lay out")
    places.add(place(IDENTITY, "float16", 16))
    assert len(places) == 5


def test_the_code_that_lays_out_is_all_there() -> None:
    """Whatever makes a tensor that is kept; a module that is renamed must not fall out of the hash."""
    folder = Path(kept_weights.__file__).parent
    assert all((folder / f"{name}.py").is_file() for name in kept_weights._LAID_OUT_BY)
    users = {path.stem for path in folder.glob("*.py") if "kept(" in path.read_text("utf-8")}
    assert users - {"loading", "tts_model"} <= set(kept_weights._LAID_OUT_BY)


def test_the_latest_of_a_checkpoint_is_the_one_used_last(home: Path) -> None:
    assert latest(IDENTITY) is None
    first, second = place(IDENTITY, "float16", 16), place(IDENTITY, "float32", 16)
    for path, used in ((first, 200), (second, 100)):
        written(path)
        os.utime(path, (used, used))
    assert latest(IDENTITY) == first
    assert is_found(second)
    assert latest(IDENTITY) == second
    assert latest("cd" * 32) is None


def test_the_least_recently_used_go_first(home: Path) -> None:
    for number in range(kept_weights.MOST_FILES):
        written(home / f"{number}.safetensors")
        os.utime(home / f"{number}.safetensors", (100 - number, 100 - number))
    written(home / "new.safetensors")
    left = {path.stem for path in home.iterdir()}
    assert left == {"new", *(str(number) for number in range(kept_weights.MOST_FILES - 1))}
    size = sum(path.stat().st_size for path in home.iterdir())
    assert kept_weights.clear() == size
    assert list(home.iterdir()) == []


@posix
def test_only_its_owner_may_read_it(home: Path) -> None:
    written(home / "a.safetensors")
    assert (home / "a.safetensors").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_disk_that_is_nearly_full_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    kept = KeptWeights(home / "a.safetensors")
    kept("a", lambda: torch.zeros(1000, 100))
    assert kept.keep() == 0
    assert not (home / "a.safetensors").exists()


def test_a_disk_that_gets_full_costs_only_the_copy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    kept = KeptWeights(home / "a.safetensors")
    made = kept("a", lambda: torch.ones(1000))
    monkeypatch.setattr(os, "fsync", full)
    assert kept.keep() == 0
    assert torch.equal(made, torch.ones(1000))
    assert list(home.iterdir()) == []


def test_a_folder_that_cannot_be_made_costs_only_the_copy(home: Path) -> None:
    home.parent.parent.mkdir(parents=True)
    home.parent.write_bytes(b"a file where the folder should be")
    kept = KeptWeights(home / "a.safetensors")
    kept("a", lambda: torch.ones(1))
    assert kept.keep() == 0
    assert kept_weights.clear() == 0
