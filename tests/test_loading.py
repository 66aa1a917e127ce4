"""voicekit.loading against coqui's own loader: the same tensors, from every kind of file that people have.

And what is no checkpoint is refused by a message that names the file, without running any code of it.
Files are made by coqui's and torch's own means from the tiny untrained checkpoint.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import pickletools
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model_folders import linked, replace, save
from voicekit import loading
from voicekit.checkpoint import from_folder
from voicekit.errors import ModelError, ModelUnavailable
from voicekit.loading import import_xtts, load_xtts, read_state

ROOT = Path(__file__).resolve().parents[1]
State = dict[str, Any]


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A model folder of the test's own."""
    return linked(tiny_checkpoint, tmp_path / "model")


def load(folder: Path) -> Any:
    return load_xtts(from_folder(folder))


def refused(folder: Path, name: str) -> ModelError:
    """Loading must fail with an error that names the file, says one thing, and is the input's fault."""
    with pytest.raises(ModelError) as caught:
        load(folder)
    error = caught.value
    assert str(folder / name) in error.message
    assert error.exit_code == 1
    assert "\n" not in error.message
    assert error.hint
    return error


def coquis_config(folder: Path) -> Any:
    from TTS.tts.configs.xtts_config import XttsConfig

    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    return config


def save_as_released(folder: Path, state: State) -> None:
    """The released file's form: coqui's configuration objects, pickled under the modules of that time."""
    from TTS.config.shared_configs import BaseDatasetConfig
    from TTS.tts.models.xtts import _legacy_safe_globals

    config = coquis_config(folder)
    config.datasets = [BaseDatasetConfig()]
    with _legacy_safe_globals():  # rebinds the classes to their old module while it is open
        save(folder / "model.pth", {"config": config, "model": state})


def pickled_names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return {
            str(argument).replace(" ", ".")
            for opcode, argument, _ in pickletools.genops(archive.read(name))
            if opcode.name == "GLOBAL"
        }


def fingerprints(folder: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns, path.lstat().st_ino)
        for path in [folder, *sorted(folder.rglob("*"))]
    }


# --- what loads -------------------------------------------------------------------------------------------


def test_the_released_form_loads_here_and_not_as_plain_weights(folder: Path, tiny_state: State) -> None:
    import torch

    save_as_released(folder, tiny_state)
    assert {
        "TTS.tts.models.xtts.XttsArgs",
        "TTS.tts.models.xtts.XttsAudioConfig",
        "TTS.tts.configs.xtts_config.XttsConfig",
        "TTS.config.shared_configs.BaseDatasetConfig",
    } <= pickled_names(folder / "model.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(folder / "model.pth", weights_only=True)
    read = read_state(folder / "model.pth")
    assert read.keys() == tiny_state.keys()
    assert all(torch.equal(tensor, tiny_state[key]) for key, tensor in read.items())


def test_every_tensor_is_the_one_that_coquis_own_loader_gives(folder: Path, tiny_state: State, tmp_path: Path) -> None:
    import torch
    from torch.nn.utils import parametrize

    save_as_released(folder, tiny_state)
    coquis = Path(shutil.copytree(folder, tmp_path / "coquis"))
    before, before_coqui = fingerprints(folder), fingerprints(coquis)

    ours = load(folder)
    config = coquis_config(coquis)
    theirs = import_xtts()(config)
    theirs.load_checkpoint(config, checkpoint_dir=coquis, eval=False)

    assert fingerprints(folder) == before
    assert fingerprints(coquis) != before_coqui  # the control: coqui's loader rewrites the file that it reads
    assert theirs.args.gpt_start_text_token == ours.args.gpt_start_text_token is not None

    our_state, their_state = ours.state_dict(), theirs.state_dict()
    folded = {
        f"hifigan_decoder.waveform_decoder.{name}": module
        for name, module in theirs.hifigan_decoder.waveform_decoder.named_modules()
        if parametrize.is_parametrized(module, "weight")
    }
    assert len(folded) > 20
    plain = {key for key in their_state if ".parametrizations." not in key}
    assert our_state.keys() == plain | {f"{name}.weight" for name in folded}
    assert [key for key in sorted(plain) if not torch.equal(our_state[key], their_state[key])] == []
    for name, module in folded.items():
        weight = module.weight.detach()
        difference = (our_state[f"{name}.weight"] - weight).abs().max() / weight.abs().max()
        assert float(difference) <= 1e-6, name
    assert {f"{name}.weight" for name in folded} <= {name for name, _ in ours.named_parameters()}
    # And what is in no file: mel filters, windows, masks.
    buffers = dict(ours.named_buffers())
    assert buffers.keys() == dict(theirs.named_buffers()).keys()
    assert [key for key, value in theirs.named_buffers() if not torch.equal(buffers[key], value)] == []


def test_the_loaded_model_is_whole_mapped_float32_and_at_rest(folder: Path, tiny_state: State) -> None:
    import torch

    xtts = load(folder)
    tensors = [*xtts.named_parameters(), *xtts.named_buffers()]
    assert [name for name, tensor in tensors if tensor.is_meta] == []
    assert {tensor.dtype for _, tensor in tensors if tensor.is_floating_point()} == {torch.float32}
    assert {str(tensor.device) for _, tensor in tensors} == {"cpu"}
    assert not any(module.training for module in xtts.modules())
    assert all(bool(torch.isfinite(tensor).all()) for _, tensor in tensors if tensor.is_floating_point())
    if sys.platform == "linux":  # the pages are the file's, not a copy of it
        maps = Path("/proc/self/maps").read_text()
        assert str((folder / "model.pth").resolve()) in maps


def test_half_precision_is_spoken_in_float32(folder: Path, tiny_state: State) -> None:
    import torch

    halved = {key: value.half() if value.is_floating_point() else value for key, value in tiny_state.items()}
    key = "gpt.text_embedding.weight"
    halved["gpt.mel_embedding.weight"] = tiny_state["gpt.mel_embedding.weight"].bfloat16()
    save(folder / "model.pth", {"model": halved})
    xtts = load(folder)
    assert {parameter.dtype for parameter in xtts.parameters()} == {torch.float32}
    assert torch.equal(xtts.gpt.text_embedding.weight, tiny_state[key].half().float())
    assert not torch.equal(xtts.gpt.text_embedding.weight, tiny_state[key])
    assert torch.equal(xtts.gpt.mel_embedding.weight, tiny_state["gpt.mel_embedding.weight"].bfloat16().float())


@pytest.mark.parametrize("wrapped", [True, False], ids=["under model", "bare"])
def test_the_format_before_torch_1_6_loads(folder: Path, tiny_state: State, wrapped: bool) -> None:
    import torch

    content = {"model": tiny_state} if wrapped else tiny_state
    save(folder / "model.pth", content, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(folder / "model.pth")
    xtts = load(folder)
    assert torch.equal(xtts.gpt.text_embedding.weight, tiny_state["gpt.text_embedding.weight"])


@pytest.fixture
def fine_tuned(folder: Path, tiny_config: dict[str, Any]) -> Iterator[tuple[Path, State]]:
    """A model of another depth and width that coqui's own classes made, and its tensors."""
    config = copy.deepcopy(tiny_config)
    config["model_args"].update(gpt_layers=3, gpt_n_model_channels=96, gpt_n_heads=6, decoder_input_dim=96)
    replace(folder / "config.json", json.dumps(config))
    settings = coquis_config(folder)
    xtts_class = import_xtts()
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    tokenizer = VoiceBpeTokenizer(vocab_file=str(folder / "vocab.json"))
    settings.model_args.gpt_number_text_tokens = tokenizer.get_number_tokens()
    settings.model_args.gpt_start_text_token = tokenizer.tokenizer.token_to_id("[START]")
    settings.model_args.gpt_stop_text_token = tokenizer.tokenizer.token_to_id("[STOP]")
    model = xtts_class(settings)
    model.eval()  # builds the inference wrapper, whose tensors are then in the state twice
    yield folder, dict(model.state_dict())


@pytest.mark.parametrize("by_the_trainer", [False, True], ids=["plain", "by the trainer"])
def test_a_fine_tuned_model_of_other_dimensions_loads(fine_tuned: tuple[Path, State], by_the_trainer: bool) -> None:
    import torch

    folder, state = fine_tuned
    assert [key for key in state if key.startswith("gpt.gpt_inference.")]
    if by_the_trainer:
        state_in_file = {f"xtts.{key}": tensor for key, tensor in state.items()}
        state_in_file |= {
            "torch_mel_spectrogram_style_encoder.mel_stft.spectrogram.window": torch.ones(8),
            "torch_mel_spectrogram_dvae.mel_norms": torch.ones(80),
            "dvae.codebook.embed": torch.ones(4, 4),
        }
        save(folder / "model.pth", {
            "config": {"model": "xtts"}, "model": state_in_file, "optimizer": {"state": {}, "param_groups": [{}]},
            "scaler": None, "step": 1_000, "epoch": 3, "date": "January 15, 2026", "model_loss": {"train_loss": 2.5},
        })  # fmt: skip
    else:
        save(folder / "model.pth", state)
    xtts = load(folder)
    assert len(xtts.gpt.gpt.h) == 3
    ours = xtts.state_dict()
    kept = [key for key in state if key in ours]
    assert len(kept) > 300
    assert [key for key in kept if not torch.equal(ours[key], state[key])] == []
    assert "gpt.gpt.h.2.mlp.c_fc.weight" in kept and "gpt.mel_head.weight" in kept


@pytest.mark.parametrize("in_config", [None, 3], ids=["null", "set"])
def test_the_text_tokens_are_the_vocabularys(folder: Path, tiny_config: dict[str, Any], in_config: int | None) -> None:
    config = copy.deepcopy(tiny_config)
    config["model_args"].update(gpt_start_text_token=in_config, gpt_stop_text_token=in_config)
    replace(folder / "config.json", json.dumps(config))
    xtts = load(folder)
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    ids = {token["content"]: token["id"] for token in vocabulary["added_tokens"]} | vocabulary["model"]["vocab"]
    assert (xtts.gpt.start_text_token, xtts.gpt.stop_text_token) == (ids["[START]"], ids["[STOP]"])
    assert xtts.gpt.start_text_token != xtts.gpt.stop_text_token


@pytest.mark.parametrize("in_config", [None, 261], ids=["null", "set"])
def test_a_vocabulary_without_start_needs_it_in_the_config(
    folder: Path, tiny_config: dict[str, Any], in_config: int | None
) -> None:
    replace(folder / "vocab.json", (folder / "vocab.json").read_text("utf-8").replace("[START]", "[BEGIN]"))
    config = copy.deepcopy(tiny_config)
    config["model_args"]["gpt_start_text_token"] = in_config
    replace(folder / "config.json", json.dumps(config))
    if in_config is None:
        assert "[START]" in refused(folder, "vocab.json").message
    else:
        assert load(folder).gpt.start_text_token == in_config


WITHOUT_PERMISSION = """
import sys
from pathlib import Path
from voicekit.checkpoint import from_folder
from voicekit.loading import load_xtts

folder = Path(sys.argv[1])
try:
    (folder / "control").touch()
    print("writable")
except PermissionError:
    print(len(list(load_xtts(from_folder(folder)).parameters())))
"""


def test_a_folder_that_may_not_be_written_loads(folder: Path, tiny_state: State) -> None:
    save_as_released(folder, tiny_state)  # the form that coqui's loader rewrites in place
    command = [sys.executable, "-c", WITHOUT_PERMISSION, str(folder)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("the tests run as root, and there is no setpriv to make folders unwritable")
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search", *command]
    for path in (folder / "model.pth", folder):
        path.chmod(0o555)
    before = fingerprints(folder)
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    finally:
        folder.chmod(0o755)
    if "writable" in done.stdout or "setpriv" in done.stderr:
        pytest.skip("permissions do not bind this user")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 300
    assert fingerprints(folder).keys() == before.keys()
    assert {**fingerprints(folder), ".": before["."]} == before


# --- what is refused ----------------------------------------------------------------------------------------


class Evil:
    """Unpickled the ordinary way it creates a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["zip", "before 1.6", "bare pickle"])
@pytest.mark.parametrize("place", ["config", "model"])
def test_code_in_a_checkpoint_does_not_run(folder: Path, tmp_path: Path, form: str, place: str) -> None:
    import torch

    canary, path = tmp_path / "canary", folder / "model.pth"
    content = {"model": {"gpt.weight": torch.ones(2)}, "config": {}}
    content[place] = {"gpt.weight": Evil(canary)}  # type: ignore[assignment]
    if form == "bare pickle":
        replace(path, pickle.dumps({place: {"gpt.weight": Evil(canary)}}))
    else:
        save(path, content, _use_new_zipfile_serialization=form == "zip")
    error = refused(folder, "model.pth")
    assert "damaged, or holds more than weights" in error.message or form == "bare pickle"
    assert not canary.exists()

    if form == "bare pickle":  # the control: it does run where nothing is in the way
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert canary.exists()


def test_the_inert_classes_are_no_way_to_call_anything(folder: Path, tmp_path: Path) -> None:
    """An allowed name that is called with arguments, or given a state that names its fields."""
    import torch
    from TTS.tts.models.xtts import _legacy_safe_globals

    config = coquis_config(folder)
    config.model_args.__dict__["__class__"] = "os"
    with _legacy_safe_globals():
        save(folder / "model.pth", {"config": config, "model": {"a": torch.ones(1)}})
    assert list(read_state(folder / "model.pth")) == ["a"]  # the state went nowhere
    assert not hasattr(coquis_config(folder), "os")


def truncated(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: len(content) // 2]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "spoil",
    [
        truncated,
        lambda path: b"",
        lambda path: b"This is not a checkpoint.\n" * 100,
        lambda path: b"PK\x03\x04" + b"\0" * 1_000,
        lambda path: b'{"model": {}}',
        lambda path: pickle.dumps(["a", "list"]),
        lambda path: bytes(range(256)) * 50,
    ],
    ids=["truncated", "empty", "text", "zip magic", "json", "pickled list", "bytes"],
)
def test_weights_that_are_none_are_refused(folder: Path, spoil: Callable[[Path], bytes]) -> None:
    path = folder / "model.pth"
    replace(path, spoil(path))
    if not path.stat().st_size:
        with pytest.raises(ModelError, match=r"model\.pth") as caught:
            load(folder)
        assert str(folder) in caught.value.message and caught.value.exit_code == 1
    else:
        refused(folder, "model.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before 1.6"])
def test_any_damage_to_a_small_file_is_a_model_error_or_harmless(tmp_path: Path, legacy: bool) -> None:
    """torch's own unpickler raises struct.error, IndexError, AssertionError and more for damaged bytes."""
    import random

    import torch

    path = tmp_path / "model.pth"
    state = {"model": {"a": torch.ones(3), "b": torch.zeros(2, 2)}, "config": {"x": 1}}
    save(path, state, _use_new_zipfile_serialization=not legacy)
    whole, chance = path.read_bytes(), random.Random(1)
    refusals = 0
    for _ in range(300):
        damaged = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.choice([0, 1, 2, 5, 20])):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            read_state(path)
        except ModelError:
            refusals += 1
    assert refusals > 90


def without(state: State, key: str) -> State:
    return {other: tensor for other, tensor in state.items() if other != key}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: without(state, "gpt.mel_head.weight"), "gpt.mel_head.weight"),
        (lambda state: without(state, "mel_stats"), "mel_stats"),
        (lambda state: {**state, "gpt.a_head_too_many.weight": state["mel_stats"]}, "a_head_too_many"),
        (lambda state: {**state, "gpt.mel_head.weight": state["gpt.mel_head.weight"][:, 1:]}, "gpt.mel_head.weight"),
        (lambda state: {**state, "gpt.mel_head.weight": "a string"}, "gpt.mel_head.weight"),
        (lambda state: {**state, "gpt.mel_head.weight": state["gpt.mel_head.weight"].int()}, "gpt.mel_head.weight"),
        (lambda state: {}, "Missing"),
    ],
    ids=["a tensor missing", "the mel statistics missing", "one too many", "another shape", "no tensor", "integers",
         "nothing"],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused(
    folder: Path, tiny_state: State, change: Callable[[State], State], told: str
) -> None:
    save(folder / "model.pth", {"model": change(tiny_state)})
    message = refused(folder, "model.pth").message
    assert told in message
    assert "config.json" in message


@pytest.mark.parametrize("layers", [1, 4])
def test_a_config_of_another_depth_than_the_weights_is_refused(
    folder: Path, tiny_config: dict[str, Any], layers: int
) -> None:
    config = copy.deepcopy(tiny_config)
    config["model_args"]["gpt_layers"] = layers
    replace(folder / "config.json", json.dumps(config))
    assert "config.json" in refused(folder, "model.pth").message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "no usable XTTS configuration"),
        ("", "config.json"),
        ("[]", "no usable XTTS configuration"),
        ("null", "no usable XTTS configuration"),
        ("{}", "another model"),
        ('{"model": "vits"}', "'vits'"),
        ('{"model": "xtts", "model_args": null}', "no usable XTTS configuration"),
        ('{"model": "xtts", "model_args": 5}', "model_args is 5, not an object"),
        ('{"model": "xtts", "top_k": "many"}', "top_k is 'many', not a whole number"),
        ('{"model": "xtts"}', "XTTS v1"),  # coqui's default: no perceiver
        (b"\xff\xfe\x00", "no usable XTTS configuration"),
        ("[" * 100_000, "no usable XTTS configuration"),
    ],
    ids=["cut", "empty", "list", "null", "no model", "another model", "no arguments", "arguments a number",
         "a setting of another type", "v1 by default", "no UTF-8", "deep"],
)  # fmt: skip
def test_a_config_that_is_none_is_refused(folder: Path, content: str | bytes, told: str) -> None:
    replace(folder / "config.json", content)
    if not content:
        with pytest.raises(ModelError, match=told):
            load(folder)
    else:
        assert told in refused(folder, "config.json").message


@pytest.mark.parametrize(
    ("argument", "value", "told"),
    [
        ("gpt_use_perceiver_resampler", False, "XTTS v1"),
        ("gpt_layers", None, "can be built"),
        ("gpt_n_heads", 0, "can be built"),
        ("gpt_n_heads", 5, "can be built"),
        ("gpt_n_model_channels", -1, "can be built"),
        ("decoder_input_dim", None, "can be built"),
    ],
)
def test_a_config_with_impossible_sizes_is_refused(
    folder: Path, tiny_config: dict[str, Any], argument: str, value: Any, told: str
) -> None:
    config = copy.deepcopy(tiny_config)
    config["model_args"][argument] = value
    replace(folder / "config.json", json.dumps(config))
    assert told in refused(folder, "config.json").message


@pytest.mark.parametrize("content", ["{", "{}", '{"model": {"type": "none"}}', "no json", b"\xff\xfe\x00"])
def test_a_vocabulary_that_is_none_is_refused(folder: Path, content: str | bytes) -> None:
    replace(folder / "vocab.json", content)
    refused(folder, "vocab.json")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mappings")
def test_pages_of_a_file_with_any_name_are_given_back_and_read_again(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The hub's cache names the weights by their hash: the ending says nothing."""
    import torch

    from voicekit.loading import _file_mappings, release_pages

    blob = tmp_path / "c7ea20001c6a"
    os.link(tiny_checkpoint / "model.pth", blob) if os.stat(tmp_path).st_dev == os.stat(tiny_checkpoint).st_dev else (
        blob.write_bytes((tiny_checkpoint / "model.pth").read_bytes())
    )
    state = read_state(blob)
    tensor = max(state.values(), key=lambda value: value.nbytes)
    assert any(low <= tensor.data_ptr() < high for low, high in _file_mappings())
    before, heap = tensor.clone(), torch.ones(1 << 20)
    release_pages([tensor, heap])
    assert torch.equal(tensor, before)
    assert bool((heap == 1).all())  # memory that is no file's is left alone


def test_reading_ahead_stops_nobody(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept goes, or is somebody else's, between its being found and its being opened."""
    monkeypatch.setattr(loading.kept_weights, "latest", lambda _: tmp_path / "gone")
    loading.read_ahead(from_folder(tiny_checkpoint))


@pytest.mark.parametrize("trouble", [
    ImportError("no module"), OSError("libtorch.so: file too short"),
    subprocess.CalledProcessError(-25, ["espeak-ng", "--version"]),
])  # fmt: skip
def test_packages_that_do_not_work_are_told_of(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    def broken() -> None:
        raise trouble

    monkeypatch.setattr(loading, "import_classes", broken)
    with pytest.raises(ModelUnavailable, match="cannot be imported"):
        loading.import_model()
