"""Voices that were heard before: found by all that shaped them, by nothing less, and never needed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from voicekit import conditioning_cache
from voicekit.checkpoint import Checkpoint, from_folder
from voicekit.conditioning_cache import Cached, find, identity, keep, key, sample_hash
from voicekit.errors import AudioError, ModelError

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "voice-cloning" / "voices"


def a_voice(seed: int = 0) -> Cached:
    rng = np.random.default_rng(seed)
    return Cached(
        rng.standard_normal((1, 32, 16)).astype(np.float32), rng.standard_normal((1, 512, 1)).astype(np.float32),
        10.39, 11.5, ("Sample: ich.wav, 11.5 s prepared, good", "two"), ("It is short: 6 to 30 s are better.",),
    )  # fmt: skip


def same(first: Cached | None, second: Cached) -> bool:
    return (
        first is not None
        and first.conditioning.tobytes() == second.conditioning.tobytes()
        and first.speaker_embedding.tobytes() == second.speaker_embedding.tobytes()
        and (first.heard_s, first.sample_s, first.notes, first.warnings)
        == (second.heard_s, second.sample_s, second.notes, second.warnings)
    )


KEY, OTHER = "0f" * 32, "1e" * 32


def test_what_was_kept_is_found_bit_for_bit() -> None:
    assert find(KEY) is None
    keep(KEY, a_voice())
    assert same(find(KEY), a_voice())
    assert find(OTHER) is None


def test_a_voice_is_replaced() -> None:
    keep(KEY, a_voice(1))
    keep(KEY, a_voice(2))
    assert same(find(KEY), a_voice(2))


@posix
def test_nobody_else_can_look(home: Path) -> None:
    before = os.umask(0)
    try:
        keep(KEY, a_voice())
    finally:
        os.umask(before)
    (file,) = home.iterdir()
    assert (stat.S_IMODE(home.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "text"])
def test_a_damaged_one_is_absent_and_goes(home: Path, damage: str) -> None:
    keep(KEY, a_voice())
    (file,) = home.iterdir()
    data = bytearray(file.read_bytes())
    if damage == "bit":
        data[-100] ^= 1
    file.write_bytes({"cut": bytes(data[:-1]), "empty": b"", "bit": bytes(data), "text": b"hello" * 99}[damage])
    assert find(KEY) is None
    assert list(home.iterdir()) == []


def test_the_least_recently_used_go(home: Path) -> None:
    """64 stay: of 65 the first goes, unless it was used since."""
    keys = [f"{number:064x}" for number in range(conditioning_cache.MOST_FILES + 2)]
    for age, each in enumerate(keys[:-2]):
        keep(each, a_voice())
        when = 1_700_000_000 + age
        os.utime(home / f"{each}.safetensors", (when, when))
    assert find(keys[0]) is not None  # used now
    keep(keys[-2], a_voice())
    assert find(keys[0]) is not None
    assert not (home / f"{keys[1]}.safetensors").exists()
    keep(keys[-1], a_voice())
    assert not (home / f"{keys[2]}.safetensors").exists()
    assert len(list(home.iterdir())) == conditioning_cache.MOST_FILES == 64


def test_a_disk_that_is_full_or_not_ours_costs_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        keep(KEY, a_voice())
    assert find(KEY) is None
    assert list(home.iterdir()) == []
    home.rmdir()
    home.write_text("not a folder")
    keep(KEY, a_voice())
    assert find(KEY) is None
    assert home.read_text() == "not a folder"


def test_a_voice_that_cannot_be_marked_as_used_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(KEY, a_voice())

    def readonly(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", readonly)
    assert same(find(KEY), a_voice())
    assert same(find(KEY), a_voice())


def test_a_key_is_no_path() -> None:
    for wrong in ("", "../../x", "0f" * 31, "0F" * 32, f"{KEY}/"):
        with pytest.raises(ValueError):
            find(wrong)


def test_clearing(home: Path) -> None:
    keep(KEY, a_voice())
    keep(OTHER, a_voice())
    assert conditioning_cache.clear() == 2
    assert list(home.iterdir()) == []
    assert conditioning_cache.clear() == 0


# --- keys -----------------------------------------------------------------------------------------------------


def test_the_hash_of_a_sample_is_sha256(tmp_path: Path) -> None:
    """The vector of FIPS 180-2 for "abc"."""
    (tmp_path / "abc").write_bytes(b"abc")
    assert sample_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(AudioError):
        sample_hash(tmp_path / "none")
    with pytest.raises(AudioError):
        sample_hash(tmp_path)


def test_the_same_samples_have_the_same_key_wherever_they_lie(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "me.wav").write_bytes(b"sound")
    os.utime(tmp_path / "there" / "me.wav", (1, 1))
    keys = {key([tmp_path / folder / "me.wav"], preprocess=True, settings="s", model="m", device="cpu")
            for folder in ("here", "there")}  # fmt: skip
    assert len(keys) == 1
    assert len(keys.pop()) == 64


def test_everything_that_shapes_a_voice_shapes_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, other = tmp_path / "1.wav", tmp_path / "2.wav", tmp_path / "other" / "1.wav"
    other.parent.mkdir()
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    other.write_bytes(b"onE")

    def a_key(samples: tuple[Path, ...] = (first, second), preprocess: bool = True, settings: object = "30 s",
              model: str = "m", device: str = "cpu", threads: int | None = None) -> str:  # fmt: skip
        return key(samples, preprocess=preprocess, settings=settings, model=model, device=device, threads=threads)

    keys = [
        a_key(), a_key((second, first)), a_key((first,)), a_key((other, second)), a_key((first, second, second)),
        a_key(preprocess=False), a_key(settings="12 s"), a_key(model="n"), a_key(device="cuda:0"), a_key(threads=1),
    ]  # fmt: skip
    for name, value in (("PREPARATION_VERSION", 999), ("__version__", "999"), ("_torch_version", lambda: "999")):
        with monkeypatch.context() as changed:
            changed.setattr(conditioning_cache, name, value)
            keys.append(a_key())
    assert len(set(keys)) == len(keys)
    assert a_key() == keys[0]


# --- which model ----------------------------------------------------------------------------------------------

CONFIG = {"model_args": {"gpt_layers": 2}, "audio": {"sample_rate": 22050}, "temperature": 0.75}


def a_model(folder: Path, *, change: tuple[int, ...] = (), name: str = "model.pth", legacy: bool = False,
            config: object = CONFIG) -> Checkpoint:  # fmt: skip
    """4 MB of weights, with single values changed on request."""
    torch = pytest.importorskip("torch")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text("{}")
    weights = {f"layer.{n}": torch.arange(100_000, dtype=torch.float32) + n for n in range(10)}
    for place in change:
        weights[f"layer.{place // 100_000}"][place % 100_000] += 1
    torch.save({"model": weights}, folder / name, _use_new_zipfile_serialization=not legacy)
    if name != "model.pth":
        (folder / name).rename(folder / "model.pth")
    return from_folder(folder)


def test_a_single_changed_weight_is_another_model(tmp_path: Path) -> None:
    assert zipfile.is_zipfile(a_model(tmp_path / "a").weights)  # what today's torch writes
    unchanged = identity(a_model(tmp_path / "a"))
    changed = {identity(a_model(tmp_path / f"c{place}", change=(place,))) for place in (0, 123_457, 500_001, 999_999)}
    assert len(changed | {unchanged}) == 5


def test_the_same_weights_elsewhere_are_the_same_model(tmp_path: Path) -> None:
    here = a_model(tmp_path / "a")
    again = a_model(tmp_path / "b", name="checkpoint_1000.pth")  # names its archive's folder otherwise
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert identity(from_folder(tmp_path / "c")) == identity(here)
    linked = tmp_path / "d"
    linked.mkdir()
    for name in ("config.json", "vocab.json", "model.pth"):
        (linked / name).symlink_to(tmp_path / "a" / name)
    assert identity(replace(from_folder(linked), name="another")) == identity(here)
    assert identity(again) == identity(here)


def test_how_it_speaks_is_not_what_it_hears(tmp_path: Path) -> None:
    plain = identity(a_model(tmp_path / "a"))
    assert identity(a_model(tmp_path / "b", config={**CONFIG, "temperature": 0.1})) == plain
    assert identity(a_model(tmp_path / "c", config={**CONFIG, "model_args": {"gpt_layers": 3}})) != plain
    assert identity(a_model(tmp_path / "d", config={**CONFIG, "audio": {"sample_rate": 24000}})) != plain
    assert identity(a_model(tmp_path / "e", config=["odd"])) != plain


def test_weights_in_the_old_format_are_compared_by_blocks(tmp_path: Path) -> None:
    plain = a_model(tmp_path / "a", legacy=True)
    assert not zipfile.is_zipfile(plain.weights)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert identity(from_folder(tmp_path / "b")) == identity(plain)
    everywhere = tuple(range(0, 1_000_000, 500))  # as training would
    assert identity(a_model(tmp_path / "c", legacy=True, change=everywhere)) != identity(plain)


def test_weights_without_checksums_are_compared_by_blocks(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.serialization.set_crc32_options(False)
    try:
        plain = a_model(tmp_path / "a")
        everywhere = a_model(tmp_path / "b", change=tuple(range(0, 1_000_000, 500)))
    finally:
        torch.serialization.set_crc32_options(True)
    assert identity(plain) == identity(from_folder(tmp_path / "a"))
    assert identity(everywhere) != identity(plain)


def test_an_identity_is_cheap(tmp_path: Path) -> None:
    """A sparse file of 40 GB: reading it whole would take minutes."""
    model = a_model(tmp_path / "a")
    with open(model.weights, "r+b") as file:
        file.truncate(40 << 30)
    assert len(identity(model)) == 64


def test_a_model_that_is_gone(tmp_path: Path) -> None:
    model = a_model(tmp_path / "a")
    model.weights.unlink()
    with pytest.raises(ModelError):
        identity(model)
