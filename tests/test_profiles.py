"""Voices with a name: the same bits back, private, and nothing that is damaged or does not fit is spoken with."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as save_arrays

from tests.watched_reading import in_a_child
from voicekit import profiles, voice_files
from voicekit.errors import AudioError, ModelError, OutputError, VoiceError
from voicekit.profiles import Profile

ROOT = Path(__file__).resolve().parent.parent
posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, where nothing is yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "voice-cloning" / "voices"


def a_profile(name: str = "anna", *, seed: int = 0, consent: str | None = None) -> Profile:
    """Values of all kinds that float32 has: negative zero and subnormal ones included."""
    rng = np.random.default_rng(seed)
    conditioning = rng.standard_normal((1, 32, 24)).astype(np.float32)
    conditioning[0, 0, :4] = [-0.0, np.float32(1e-42), np.finfo(np.float32).max, np.nextafter(np.float32(1), 2)]
    return Profile(
        name, conditioning, rng.standard_normal((1, 512, 1)).astype(np.float32), 10.39, ("ab" * 32, "cd" * 32),
        "ef" * 32, "xtts_v2", "VoiceSettings(gpt_cond_len_s=30), preprocess=True, preparation=1", consent,
        sample_names=("me.wav", "zwei.flac"),
    )  # fmt: skip


def same(first: Profile, second: Profile) -> bool:
    texts = replace(first, conditioning=None, speaker_embedding=None).__dict__ == \
        replace(second, conditioning=None, speaker_embedding=None).__dict__  # fmt: skip
    return texts and all(
        getattr(first, name).tobytes() == getattr(second, name).tobytes()
        and getattr(first, name).shape == getattr(second, name).shape
        for name in ("conditioning", "speaker_embedding")
    )


def test_the_same_bits_come_back() -> None:
    kept = a_profile(consent="Anna said yes on 1 May.")
    profiles.save(kept)
    assert same(profiles.load("anna"), kept)


def test_any_reader_of_safetensors_finds_the_same() -> None:
    torch = pytest.importorskip("torch")
    kept = a_profile(consent="yes")
    with safe_open(profiles.save(kept), framework="pt") as file:
        assert torch.equal(file.get_tensor("conditioning"), torch.from_numpy(kept.conditioning))
        assert torch.equal(file.get_tensor("speaker_embedding"), torch.from_numpy(kept.speaker_embedding))
        about = file.metadata()
    assert all(isinstance(text, str) for text in about.values())
    assert (about["name"], about["consent"], about["model"]) == ("anna", "yes", "ef" * 32)


def test_arrays_in_another_order_of_memory_are_kept_by_value() -> None:
    kept = a_profile()
    turned = replace(kept, conditioning=np.asfortranarray(kept.conditioning))
    assert not turned.conditioning.flags.c_contiguous
    profiles.save(turned)
    assert np.array_equal(profiles.load("anna").conditioning, kept.conditioning)


def test_what_is_loaded_may_be_written_to() -> None:
    profiles.save(a_profile())
    profiles.load("anna").conditioning[0, 0, 0] = 1.0


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_user_can_look_at_voices(home: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = profiles.save(a_profile())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@posix
def test_a_folder_that_others_could_look_into_is_closed(home: Path) -> None:
    home.mkdir(parents=True)
    home.chmod(0o755)
    profiles.save(a_profile())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


# --- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["anna", "Anna.2", "a", "7", "my-voice_1", "Łukasz", "Ωμέγα", "声音", "हिन्दी",
                                  "목소리", "n" * 64, "CONrad", "voice.con"])  # fmt: skip
def test_names_of_every_script(name: str) -> None:
    path = profiles.save(a_profile(name))
    assert path.suffix == ".safetensors"
    assert profiles.load(name).name == name
    assert [each.name for each in profiles.listed()] == [name]


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "../up", "a b", "tab\t", "new\nline",
                                  "nul\0", "CON", "con", "Aux.wav", "COM1", "lpt9.x", "n" * 65, "声" * 64 + "x", "a:b",
                                  "-flag", "dot.", "a\u202eb", "a*", "\ud800", "\u0301a", "𠀀" * 64])  # fmt: skip
def test_names_that_a_file_system_or_a_reader_would_mistake(home: Path, name: str) -> None:
    with pytest.raises(OutputError):
        profiles.save(a_profile(name))
    assert not profiles.exists(name)
    assert not home.exists()


def test_case_and_composition_make_no_other_voice() -> None:
    profiles.save(a_profile("Zoë"))
    for other in ("zoë", "ZOË", "Zoe\u0308"):
        assert profiles.exists(other)
        with pytest.raises(OutputError, match="already"):
            profiles.save(a_profile(other))
    assert profiles.load("zoë").name == "Zoë"
    assert len(profiles.listed()) == 1


# --- the store ------------------------------------------------------------------------------------------------


def test_a_voice_is_replaced_only_if_asked() -> None:
    first, second = a_profile(seed=1), a_profile(seed=2)
    path = profiles.save(first)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="There is a voice 'anna' already"):
        profiles.save(second)
    with pytest.raises(OutputError, match="already"):
        profiles.check_free("ANNA")
    assert path.read_bytes() == before
    profiles.save(second, overwrite=True)
    assert same(profiles.load("anna"), second)
    assert sorted(each.name for each in path.parent.iterdir()) == ["anna.safetensors"]


def test_a_full_disk_leaves_the_old_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    first = a_profile(seed=1)
    path = profiles.save(first)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            profiles.save(a_profile(seed=2), overwrite=True)
    assert same(profiles.load("anna"), first)
    assert sorted(each.name for each in path.parent.iterdir()) == ["anna.safetensors"]


SAVE = """
import sys, time
from tests.test_profiles import a_profile
from voicekit import profiles
from voicekit.errors import OutputError
profile = a_profile("both", seed=int(sys.argv[1]))
profiles.check_free("both")
print("ready", flush=True)
sys.stdin.readline()
try:
    profiles.save(profile)
except OutputError as error:
    print(error.message)
    sys.exit(error.exit_code)
print("saved")
"""


def test_of_two_processes_one_wins_and_the_other_is_told() -> None:
    """Both were told that the name is free before either saved."""
    started = [subprocess.Popen([sys.executable, "-c", SAVE, str(seed)], cwd=ROOT, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True) for seed in (1, 2, 3)]  # fmt: skip
    for each in started:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate()[0] for each in started]
    codes = [each.returncode for each in started]
    assert sorted(codes) == [0, 1, 1]
    winner = codes.index(0)
    assert [text.strip() == "saved" for text in said] == [code == 0 for code in codes]
    assert all("There is a voice 'both' already" in said[each] for each in range(3) if each != winner)
    assert same(replace(profiles.load("both"), created=""), replace(a_profile("both", seed=winner + 1), created=""))


def test_an_unknown_voice_is_answered_with_those_like_it() -> None:
    for name in ("anna", "annette", "zoltan"):
        profiles.save(a_profile(name))
    with pytest.raises(AudioError) as told:
        profiles.load("Ana")
    assert "'Ana'" in told.value.message
    assert "anna" in told.value.hint and "zoltan" not in told.value.hint
    with pytest.raises(AudioError) as told:
        profiles.load("/etc/passwd")
    assert "There are: anna, annette, zoltan." in told.value.hint


def test_deleting() -> None:
    path = profiles.save(a_profile())
    profiles.save(a_profile("bert"))
    profiles.delete("ANNA")
    assert not path.exists()
    assert [each.name for each in profiles.listed()] == ["bert"]
    with pytest.raises(AudioError):
        profiles.delete("anna")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="users of POSIX")
def test_voices_of_somebody_else_are_not_said_to_be_none(home: Path) -> None:
    """As another user, to whom the folder is closed: an answer in a sentence, and no voice is called unknown."""
    profiles.save(a_profile())
    told = in_a_child(f"{__name__}.as_nobody")
    assert told[0] is False
    assert all("cannot be" in each and "Permission denied" in each for each in told[1:]), told


def as_nobody() -> list[Any]:
    """Whether a voice exists, and what each thing that can be done with voices is answered with."""
    profiles.folder().chmod(0)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    told: list[Any] = [profiles.exists("anna")]
    for ask in (profiles.listed, lambda: profiles.load("anna"), lambda: profiles.delete("anna"),
                lambda: profiles.save(a_profile())):  # fmt: skip
        with pytest.raises(VoiceError) as caught:
            ask()
        told.append(str(caught.value))
    return told


def test_no_voices_is_an_empty_list() -> None:
    assert profiles.listed() == ()


# --- consent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("consent", [None, "", "Ja, für Hörbücher.\nAnna, 1. Mai", "z" * profiles.MOST_CONSENT])
def test_consent_is_kept_word_for_word(consent: str | None) -> None:
    profiles.save(a_profile(consent=consent))
    assert profiles.load("anna").consent == consent
    assert profiles.listed()[0].consent == consent


def test_consent_in_a_broken_encoding_costs_its_broken_characters_only() -> None:
    profiles.save(a_profile(consent="yes \udcff yes"))
    assert profiles.load("anna").consent == "yes ? yes"


def test_a_book_is_no_consent() -> None:
    with pytest.raises(OutputError, match="consent"):
        profiles.save(a_profile(consent="z" * (profiles.MOST_CONSENT + 1)))
    assert not profiles.exists("anna")


# --- damage ---------------------------------------------------------------------------------------------------


def refused(name: str = "anna") -> str:
    with pytest.raises(AudioError) as told:
        profiles.load(name)
    assert "--save-voice anna" in told.value.hint
    (listed,) = profiles.listed()
    assert listed.name == name and listed.damaged
    return told.value.message


@pytest.mark.parametrize("left", [0, 1, 7, 8, 9, 200, 0.5, 0.99, -1])
def test_a_cut_file_is_refused(left: float) -> None:
    path = profiles.save(a_profile())
    data = path.read_bytes()
    path.write_bytes(data[: int(left * len(data)) if isinstance(left, float) else left])
    refused()


def test_a_changed_bit_is_noticed_wherever_it_is() -> None:
    path = profiles.save(a_profile(consent="yes"))
    data = path.read_bytes()
    kept = profiles.load("anna")
    (header,) = struct.unpack("<Q", data[:8])
    places = [0, 3, 8, *range(9, 8 + header, 7), *range(8 + header, len(data), 61), len(data) - 1]
    for place in places:
        wrong = bytearray(data)
        wrong[place] ^= 0x04
        path.write_bytes(wrong)
        try:
            found = profiles.load("anna")
        except AudioError:
            continue
        # Spaces and line feeds between the parts of the header mean nothing.
        assert same(found, kept), f"byte {place} was changed and nobody noticed"
        assert place < 8 + header


@pytest.mark.parametrize(("conditioning", "embedding"), [
    (np.zeros((1, 31, 8), np.float32), np.zeros((1, 512, 1), np.float32)),
    (np.zeros((32, 8), np.float32), np.zeros((1, 512, 1), np.float32)),
    (np.zeros((1, 32, 0), np.float32), np.zeros((1, 512, 1), np.float32)),
    (np.zeros((1, 32, 8), np.float32), np.zeros((1, 256, 1), np.float32)),
    (np.zeros((1, 32, 8), np.float16), np.zeros((1, 512, 1), np.float32)),
    (np.full((1, 32, 8), np.nan, np.float32), np.zeros((1, 512, 1), np.float32)),
    (np.zeros((1, 32, 8), np.float32), np.full((1, 512, 1), np.inf, np.float32)),
])  # fmt: skip
def test_what_is_no_voice_is_neither_saved_nor_loaded(conditioning: np.ndarray, embedding: np.ndarray) -> None:
    odd = replace(a_profile(), conditioning=conditioning, speaker_embedding=embedding)
    with pytest.raises(ValueError):
        profiles.save(odd)
    path = profiles.save(a_profile())
    texts = dict(voice_files.read(path).texts)
    path.write_bytes(save_arrays({"conditioning": conditioning, "speaker_embedding": embedding}, texts))
    assert "damaged" in refused()


def test_files_of_other_kinds_are_refused() -> None:
    path = profiles.save(a_profile())
    wrong = {
        "arrays": save_arrays({"weights": np.zeros(3, np.float32)}),
        "no texts": save_arrays({"conditioning": np.zeros((1, 32, 8), np.float32),
                                 "speaker_embedding": np.zeros((1, 512, 1), np.float32)}),
        "sound": b"RIFF" + bytes(9_000),
        "endless header": struct.pack("<Q", 2**63) + b"{}",
    }  # fmt: skip
    for data in wrong.values():
        path.write_bytes(data)
        assert "damaged" in refused()


def test_an_enormous_file_is_refused_unread() -> None:
    path = profiles.save(a_profile())
    with open(path, "r+b") as file:
        file.truncate(200 << 30)  # sparse: reading it all would end this machine
    assert "over 16 MB" in refused()


def test_a_damaged_voice_among_good_ones() -> None:
    profiles.save(a_profile("good"))
    bad = profiles.save(a_profile("bad"))
    bad.write_bytes(b"")
    listed = {each.name: each for each in profiles.listed()}
    assert listed["bad"].damaged and not listed["good"].damaged
    assert listed["good"].heard_s == 10.39 and listed["good"].sample_names == ("me.wav", "zwei.flac")
    profiles.delete("bad")
    assert [each.name for each in profiles.listed()] == ["good"]


def test_a_renamed_file_is_the_voice_of_its_name() -> None:
    path = profiles.save(a_profile())
    path.rename(path.with_name("bert.safetensors"))
    assert profiles.load("bert").name == "bert"


# --- whether it fits ------------------------------------------------------------------------------------------


def test_another_model_cannot_use_it_and_other_settings_are_told() -> None:
    kept = a_profile()
    assert profiles.staleness(kept, model=kept.model, settings=kept.settings) is None
    profiles.check_model(kept, model=kept.model)
    with pytest.raises(ModelError, match=r"another model \(xtts_v2\)") as told:
        profiles.check_model(kept, model="00" * 32)
    assert "--save-voice anna --force" in told.value.hint
    assert "another model" in (profiles.staleness(kept, model="00" * 32, settings="other") or "")
    assert "other settings" in (profiles.staleness(kept, model=kept.model, settings="other") or "")


def test_a_sample_that_changed_is_noticed_where_it_lies(tmp_path: Path) -> None:
    import hashlib

    samples = {"me.wav": b"one", "zwei.flac": b"two"}
    for name, data in samples.items():
        (tmp_path / name).write_bytes(data)
    digests = tuple(hashlib.sha256(data).hexdigest() for data in samples.values())
    kept = replace(a_profile(), samples=digests)
    assert profiles.changed_samples(kept, [tmp_path]) == ()
    (tmp_path / "zwei.flac").write_bytes(b"three")
    assert profiles.changed_samples(kept, [tmp_path]) == ("zwei.flac",)
    assert profiles.changed_samples(kept, [tmp_path / "elsewhere"]) == ()
