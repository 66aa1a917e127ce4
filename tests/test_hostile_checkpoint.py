"""Model folders that somebody spoiled, by accident or by design: whole commands on each of them.

A broken folder is the input's fault: exit code 1, a sentence that says which file, advice. No code of a file runs, no
file makes the process larger than it is itself, and nothing in a model folder is ever written. test_loading.py has the
damage that everyday life does; the weights kept for the next start are test_kept_weights.py's.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import simple_voice_clone
from tests.model_folders import NAMES, linked, replace, save
from voicekit import conditioning_cache, journal

ROOT = Path(__file__).resolve().parents[1]
State = dict[str, Any]
MB = 2**20
MEL_HEAD = "gpt.mel_head.weight"

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")


def as_it_is(folder: Path) -> dict[str, tuple[int, ...]]:
    """Everything in a folder and the folder itself: kind and permissions, size, when written or changed, inode."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))] if folder.is_dir() else []:
        stat = path.lstat()
        found[str(path)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return found


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A model folder of the test's own."""
    return linked(tiny_checkpoint, tmp_path / "model")


class Command:
    """`simple_voice_clone.py --model FOLDER`, and that the folder is afterwards what it was."""

    def __init__(self, voice: Path, capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
        self._voice, self._capsys, self._tiny = voice, capsys, tiny

    def run(self, folder: Path, *more: str) -> tuple[int, str]:
        """Exit code and what was said; `folder` may be one of the names that --model knows."""
        before = as_it_is(folder), as_it_is(self._tiny)
        code = simple_voice_clone.main(["--text", "Hello there.", "--voice", str(self._voice), "--no-preprocess",
                                        "--model", str(folder), "--seed", "1", "--force", *more])  # fmt: skip
        assert (as_it_is(folder), as_it_is(self._tiny)) == before
        _, err = self._capsys.readouterr()
        assert "Traceback" not in err and "Internal error" not in err, err[-600:]
        return code, err

    def run_without_looking(self, folder: Path) -> tuple[int, str]:
        code = simple_voice_clone.main(["--text", "Hello there.", "--voice", str(self._voice), "--no-preprocess",
                                        "--model", str(folder)])  # fmt: skip
        err = self._capsys.readouterr().err
        assert "Traceback" not in err and "Internal error" not in err, err[-600:]
        return code, err

    def refused(self, folder: Path, name: str, code: int = 1) -> str:
        """It must end with a sentence that names the file, and advice; nothing was spoken."""
        got, err = self.run(folder)
        assert got == code, err[-600:]
        error, hint, _ = err[("\n" + err).index("\nError: ") :].splitlines()
        assert str(folder / name) in error
        assert len(error) < 600 and len(hint.strip()) > 20
        assert not Path("cloned_voice.wav").exists()
        return error


@pytest.fixture
def command(
    voice_file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    tiny_checkpoint: Path,
) -> Command:  # fmt: skip
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("VOICE_CLONING_LOG_DIR", str(tmp_path / "logs"))
    return Command(voice_file, capsys, tiny_checkpoint)


def test_the_control_an_honest_folder_speaks(folder: Path, command: Command) -> None:
    code, _ = command.run(folder)
    assert code == 0 and Path("cloned_voice.wav").stat().st_size > 10_000


# --- pickles ------------------------------------------------------------------------------------------------------


class Calls:
    """Unpickled the ordinary way it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def evil_in(where: Path) -> dict[str, Any]:
    """Objects that make a folder when they are unpickled, each by another way."""
    import builtins
    import runpy

    import torch

    make = f"__import__('os').mkdir({str(where)!r})"
    inner = pickle.dumps(Calls(os.mkdir, str(where)), 2)
    script = where.with_suffix(".py")
    script.write_text(make)
    return {
        "os.system": Calls(os.system, f"mkdir {where}"),
        "subprocess": Calls(subprocess.check_call, ["mkdir", str(where)]),
        "eval": Calls(builtins.eval, make),
        "exec": Calls(builtins.exec, make),
        "pickle.loads": Calls(pickle.loads, inner),
        "torch.storage": Calls(torch.storage._load_from_bytes, inner),
        "runpy": Calls(runpy.run_path, str(script)),
    }


WAYS = ("os.system", "subprocess", "eval", "exec", "pickle.loads", "torch.storage", "runpy")


@pytest.mark.parametrize("form", ["zip", "before 1.6"])
@pytest.mark.parametrize("way", WAYS)
def test_no_code_of_a_checkpoint_runs(folder: Path, command: Command, tmp_path: Path, way: str, form: str) -> None:
    import torch

    canary = tmp_path / "canary"
    save(folder / "model.pth", {"model": {"gpt.weight": evil_in(canary)[way]}},
         _use_new_zipfile_serialization=form == "zip")  # fmt: skip
    command.refused(folder, "model.pth")
    assert not canary.exists()
    with contextlib.suppress(pickle.UnpicklingError, EOFError, RuntimeError):  # after it ran, at what it gave
        torch.load(folder / "model.pth", weights_only=False)  # the control: it does run where nothing is in the way
    assert canary.exists()


def archive(path: Path, pickled: bytes, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """A file of torch's format, by hand."""
    path.unlink(missing_ok=True)
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("archive/data.pkl", pickled)
        made.writestr("archive/byteorder", "little")
        for key, content in storages.items():
            made.writestr(f"archive/data/{key}", content)
        made.writestr("archive/version", "3\n")


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def number(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def tensor(kind: str, declared: int, sizes: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """Opcodes of a tensor over storage 0, whatever that really holds."""
    storage = b"(" + text("storage") + named("torch", kind) + text("0") + text("cpu") + number(declared) + b"tQ"
    shape = b"".join(b"(" + b"".join(map(number, each)) + b"t" for each in (sizes, strides))
    return (named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + number(0) + shape + b"\x89"
            + named("collections", "OrderedDict") + b")RtR")  # fmt: skip


def pickled_state(**values: bytes) -> bytes:
    items = b"".join(text(key) + value for key, value in values.items())
    return b"\x80\x02}" + text("model") + b"}(" + items + b"us."


def called(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def doubled(times: int) -> bytes:
    """Bytes that are as many again with each of so many calls."""
    made = called("_codecs", "encode", text("x" * 64), text("latin1"))
    for _ in range(times):
        made = called("_codecs", "encode", made, text("hex"))
    return made


HUGE = 10**11
BOMBS: dict[str, Callable[[Path], None]] = {
    "a storage larger than the file": lambda path: archive(
        path, pickled_state(a=tensor("FloatStorage", HUGE, (HUGE,), (1,))), {"0": bytes(64)}
    ),
    "a tensor larger than its storage": lambda path: archive(
        path, pickled_state(a=tensor("FloatStorage", 16, (10**6, 10**6), (10**6, 1))), {"0": bytes(64)}
    ),
    "a number a million times": lambda path: archive(
        path, pickled_state(**{MEL_HEAD: tensor("HalfStorage", 32, (8194, 1024), (0, 0))}), {"0": bytes(64)}
    ),
    "one number a billion times": lambda path: archive(
        path, pickled_state(mel_stats=tensor("HalfStorage", 32, (10**9,), (0,))), {"0": bytes(64)}
    ),
    "a negative size": lambda path: archive(
        path, pickled_state(a=tensor("FloatStorage", 16, (-1,), (1,))), {"0": bytes(64)}
    ),
    "an offset far outside": lambda path: archive(
        path, pickled_state(a=tensor("FloatStorage", 16, (4,), (HUGE,))), {"0": bytes(64)}
    ),
    "a byte array": lambda path: archive(path, pickled_state(a=called("builtins", "bytearray", number(3 * 10**9))), {}),
    "bytes that double": lambda path: archive(path, pickled_state(a=doubled(25)), {}),
    "an empty tensor": lambda path: archive(path, pickled_state(a=called("torch", "Tensor", number(HUGE))), {}),
    "a tensor without numbers": lambda path: archive(path, pickled_state(a=called("torch", "FloatTensor",
                                                                                  number(HUGE))), {}),
    "a compressed pickle": lambda path: archive(
        path, b"\x80\x02" + b"N0" * 150_000_000 + b"}.", {}, zipfile.ZIP_DEFLATED
    ),
    "an archive in an archive": lambda path: nested(path),
    "before 1.6, a storage larger than the file": lambda path: legacy(path, HUGE),
}  # fmt: skip


def nested(path: Path) -> None:
    """Zeros that were compressed twice over."""
    data = bytes(32 * MB)
    for _ in range(2):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
            for name in range(4):
                made.writestr(f"archive/data/{name}", data)
            made.writestr("archive/data.pkl", data)
        data = packed.getvalue()
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def legacy(path: Path, declared: int) -> None:
    """The format of old, which says how large a storage is before it gives it."""
    import torch

    save(path, {"model": {"a": torch.zeros(16)}}, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    pickled = content.index(b"cpu")
    before, after = content[:pickled], content[pickled:]
    path.write_bytes(before + after.replace(b"K\x10", number(declared), 1))


UNDER_A_LIMIT = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (24 * 2**30, 24 * 2**30))
from tests.test_hostile_checkpoint import BOMBS
from voicekit.checkpoint import from_folder
from voicekit.errors import ModelError
from voicekit.loading import load_xtts

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024

folder = Path(sys.argv[1])
load_xtts(from_folder(folder))
for name in sys.argv[2:]:
    (folder / "model.pth").unlink()
    (folder / "bombs" / name).rename(folder / "model.pth")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()
    try:
        load_xtts(from_folder(folder))
        told = "loaded"
    except ModelError as error:
        told = "ModelError " + error.message
    except BaseException as error:
        told = f"{type(error).__name__}: {error}"
    print(json.dumps([name, told, peak() - before]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's account of a process")
def test_no_file_is_larger_in_memory_than_it_is_on_disk(folder: Path) -> None:
    """In a process of its own, which says how large it has been."""
    (folder / "bombs").mkdir()
    for name, make in BOMBS.items():
        make(folder / "bombs" / name)
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(folder), *BOMBS], cwd=ROOT, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    told = {name: (message, grown) for name, message, grown in map(json.loads, done.stdout.splitlines())}
    assert told.keys() == BOMBS.keys(), done.stderr[-2000:]
    assert [(name, *found) for name, found in told.items() if not found[0].startswith("ModelError ")] == []
    assert {name: grown for name, (_, grown) in told.items() if grown > 150} == {}


# --- archives ----------------------------------------------------------------------------------------------------


def test_an_archive_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """At each boundary of each record, of the directory and of its end, and a byte on either side of it."""
    import torch

    from voicekit.errors import ModelError
    from voicekit.loading import read_state

    path = tmp_path / "model.pth"
    save(path, {"model": {"a": torch.ones(40), "b": torch.zeros(3, 3)}})
    content, boundaries = path.read_bytes(), {0, 4}
    with zipfile.ZipFile(path) as opened:
        for entry in opened.infolist():
            begins = entry.header_offset + 30 + sum(struct.unpack_from("<HH", content, entry.header_offset + 26))
            boundaries |= {entry.header_offset, begins, begins + entry.compress_size}
        boundaries |= {opened.start_dir, content.rindex(b"PK\x05\x06"), len(content)}
    assert len(boundaries) > 20
    cuts = sorted({at + by for at in boundaries for by in (-1, 0, 1)} & set(range(len(content))))
    for cut in cuts:
        path.write_bytes(content[:cut])
        with pytest.raises(ModelError):
            read_state(path)


@pytest.mark.parametrize("way", ["swapped", "dropped", "doubled", "another name"])
def test_records_that_are_not_in_their_place(folder: Path, command: Command, way: str, tiny_checkpoint: Path) -> None:
    """What the directory says and what is there are two things."""
    with zipfile.ZipFile(tiny_checkpoint / "model.pth") as opened:
        records = {name.partition("/")[2]: opened.read(name) for name in opened.namelist()}
    pickled = records.pop("data.pkl")
    storages = {name.removeprefix("data/"): data for name, data in records.items() if name.startswith("data/")}
    small, large = sorted(storages, key=lambda key: len(storages[key]))[:: len(storages) - 1]
    if way == "swapped":
        storages[small], storages[large] = storages[large], storages[small]
    elif way == "dropped":
        del storages[large]
    elif way == "doubled":
        pickled += pickled
    else:
        pickled = pickled[: len(pickled) // 2]
    archive(folder / "model.pth", pickled, storages)
    if way == "doubled":  # what stands behind the end of a pickle is not read
        assert command.run(folder)[0] == 0
    else:
        command.refused(folder, "model.pth")


# --- tensors ---------------------------------------------------------------------------------------------------------


TENSORS: dict[str, Callable[[Any], Any]] = {
    "of no numbers": lambda tensor: tensor.to("meta"),
    "sparse": lambda tensor: tensor.to_sparse(),
    "complex": lambda tensor: tensor.to(__import__("torch").complex64),
    "whole numbers": lambda tensor: tensor.int(),
    "truth values": lambda tensor: tensor.bool(),
    "quantised": lambda tensor: __import__("torch").quantize_per_tensor(tensor, 0.1, 0, __import__("torch").qint8),
    "another shape": lambda tensor: tensor.t().contiguous(),
    "one dimension more": lambda tensor: tensor[None],
    "no dimension": lambda tensor: tensor.sum(),
    "empty": lambda tensor: tensor[:0],
    "one number again and again": lambda tensor: tensor.flatten()[:1].clone().expand(tensor.shape),
    "a list": lambda tensor: [1.0, 2.0],
    "nothing": lambda tensor: None,
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_that_are_none_of_the_model(folder: Path, command: Command, tiny_state: State, kind: str) -> None:
    with contextlib.suppress(UserWarning):
        save(folder / "model.pth", {"model": {**tiny_state, MEL_HEAD: TENSORS[kind](tiny_state[MEL_HEAD])}})
    assert MEL_HEAD in command.refused(folder, "model.pth")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: {key: state[key] for key in state if not key.startswith("gpt.gpt.h.0")}, "gpt.gpt.h.0"),
        (lambda state: {**state, "gpt.gpt.h.99.ln_1.weight": state["gpt.final_norm.weight"]}, "h.99"),
        (lambda state: dict(enumerate(state.values())), "Missing"),
        (lambda state: {}, "Missing"),
    ],
    ids=["a layer missing", "a layer too many", "other names", "nothing"],
)  # fmt: skip
def test_keys_that_do_not_fit(
    folder: Path, command: Command, tiny_state: State, change: Callable[[State], State], told: str
) -> None:
    save(folder / "model.pth", {"model": change(tiny_state)})
    assert told in command.refused(folder, "model.pth")


def test_weights_that_lie_across_are_the_same_weights(folder: Path, command: Command, tiny_state: State) -> None:
    """Every matrix transposed in memory, not in shape: kernels that take addresses must not be misled."""
    across = {key: value.t().contiguous().t() if value.ndim == 2 else value for key, value in tiny_state.items()}
    assert not across[MEL_HEAD].is_contiguous()
    assert command.run(folder)[0] == 0
    honest = Path("cloned_voice.wav").read_bytes()
    journal.remove_old(days=0)
    conditioning_cache.clear()
    save(folder / "model.pth", {"model": across})
    assert command.run(folder)[0] == 0
    assert Path("cloned_voice.wav").read_bytes() == honest


@pytest.mark.parametrize(
    ("key", "value"),
    [(MEL_HEAD, float("inf")), ("mel_stats", float("nan")),
     ("hifigan_decoder.waveform_decoder.conv_pre.bias", float("nan"))],
)  # fmt: skip
def test_weights_that_are_no_numbers_speak_nothing(
    folder: Path, command: Command, tiny_state: State, key: str, value: float
) -> None:
    import torch

    save(folder / "model.pth", {"model": {**tiny_state, key: torch.full_like(tiny_state[key], value)}})
    code, err = command.run(folder)
    assert code == 1 and "weights" in err
    assert not Path("cloned_voice.wav").exists()


# --- config.json -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("gpt_layers", 10**9), ("gpt_layers", 10**30), ("gpt_layers", -1),
        ("gpt_n_model_channels", 2**20), ("gpt_n_model_channels", 2**40),
        ("gpt_max_audio_tokens", 10**12), ("gpt_max_text_tokens", 10**9), ("gpt_num_audio_tokens", 10**10),
        ("decoder_input_dim", 10**9), ("d_vector_dim", 10**9),
        ("gpt_code_stride_len", 10**9), ("gpt_code_stride_len", 0), ("gpt_code_stride_len", -1024),
        ("output_hop_length", 0), ("output_hop_length", -256), ("output_hop_length", 1),
        ("input_sample_rate", 0), ("input_sample_rate", 1), ("output_sample_rate", 10**12),
        ("gpt_start_audio_token", 10**6), ("gpt_start_audio_token", -1), ("gpt_stop_audio_token", 10**6),
        ("gpt_n_heads", 0), ("gpt_n_heads", -4), ("gpt_n_heads", 10**9), ("gpt_n_heads", 1.5),
        ("gpt_layers", "3"), ("gpt_layers", True), ("gpt_layers", [3]), ("gpt_layers", {"a": 3}),
    ],
)  # fmt: skip
def test_sizes_that_no_model_has(
    folder: Path, command: Command, tiny_config: dict[str, Any], argument: str, value: Any
) -> None:
    config = copy.deepcopy(tiny_config)
    config["model_args"][argument] = value
    replace(folder / "config.json", json.dumps(config))
    command.refused(folder, "config.json")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("temperature", float("nan")), ("temperature", float("inf")), ("temperature", -1.0),
        ("top_k", -3), ("top_p", 0.0), ("top_p", float("nan")), ("top_p", 7.0),
        ("repetition_penalty", 0.0), ("repetition_penalty", -2.0), ("repetition_penalty", float("nan")),
        ("gpt_cond_len", 10**30), ("gpt_cond_chunk_len", 0), ("gpt_cond_chunk_len", -4), ("max_ref_len", 0),
        ("max_ref_len", 10**30), ("languages", "en"), ("languages", [1]), ("sound_norm_refs", 1),
    ],
)  # fmt: skip
def test_settings_with_which_nothing_is_spoken(
    folder: Path, command: Command, tiny_config: dict[str, Any], setting: str, value: Any
) -> None:
    replace(folder / "config.json", json.dumps({**tiny_config, setting: value}))
    assert setting in command.refused(folder, "config.json")


@pytest.mark.parametrize(
    "content",
    ["[]", "[" * 100_000, '{"a":' * 100_000, '{"model": "xtts"', "null", "1" * 5_000, '"xtts"', b"\xff\xfe\x00{",
     b"\x00" * 4_000, '{"model": {"model": "xtts"}}', '{"model": "' + "x" * 100_000 + '"}', '{"model": "xtts\\u0000"}'],
    ids=["list", "deep lists", "deep objects", "cut", "null", "a long number", "a string", "no UTF-8", "zeros",
         "an object for a name", "a long name", "a name with a zero"],
)  # fmt: skip
def test_a_config_that_is_none(folder: Path, command: Command, content: str | bytes) -> None:
    replace(folder / "config.json", content)
    command.refused(folder, "config.json")


@pytest.mark.parametrize("name", ["config.json", "vocab.json"])
def test_a_small_file_that_is_huge_is_not_read(folder: Path, command: Command, name: str) -> None:
    (folder / name).unlink()
    with (folder / name).open("wb") as stream:
        stream.truncate(2**40)  # a hole: it takes no room on disk, and would in memory
    assert "too large" in command.refused(folder, name)


# --- vocab.json, and files in each other's place ---------------------------------------------------------------------


def without(part: str) -> Callable[[dict[str, Any]], None]:
    return lambda vocabulary: vocabulary["model"].pop(part)


@pytest.mark.parametrize(
    "change",
    [without("merges"), without("vocab"), lambda vocabulary: vocabulary.pop("model"),
     lambda vocabulary: vocabulary["model"].update(merges=[["never", "seen"]]),
     lambda vocabulary: vocabulary["model"].update(merges=7),
     lambda vocabulary: vocabulary["model"].update(vocab={}),
     lambda vocabulary: vocabulary["model"].update(vocab=["a"]),
     lambda vocabulary: vocabulary["model"]["vocab"].update(a=-1),
     lambda vocabulary: vocabulary["model"]["vocab"].update(a=2**40)],
    ids=["no merges", "no vocabulary", "no model", "foreign merges", "merges a number", "empty",
         "a list", "a negative id", "an id too large"],
)  # fmt: skip
def test_a_vocabulary_without_what_it_needs(
    folder: Path, command: Command, change: Callable[[dict[str, Any]], None]
) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    change(vocabulary)
    replace(folder / "vocab.json", json.dumps(vocabulary))
    code, err = command.run(folder)
    assert code == 1 and str(folder) in err


def test_an_id_beyond_all_is_no_model_of_that_size(folder: Path, command: Command) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    vocabulary["model"]["vocab"]["zzzz"] = 4 * 10**9
    replace(folder / "vocab.json", json.dumps(vocabulary))
    assert "sizes" in command.refused(folder, "config.json")


@pytest.mark.parametrize(
    ("name", "other"), [(name, other) for name in NAMES for other in (*NAMES, "a recording") if name != other]
)
def test_files_in_each_others_place(
    folder: Path, command: Command, name: str, other: str, tiny_checkpoint: Path, voice_file: Path
) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(voice_file if other == "a recording" else tiny_checkpoint / other)
    code, err = command.run(folder)
    assert code == 1 and str(folder / name) in err
    assert max(map(len, err.splitlines())) < 600


# --- the folder ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["a loop", "a loop of two", "nowhere", "a device", "a long name", "a pipe"])
def test_a_folder_that_is_none(command: Command, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model"
    if kind == "a loop":
        path.symlink_to(path)
    elif kind == "a loop of two":
        path.symlink_to(tmp_path / "other")
        (tmp_path / "other").symlink_to(path)
    elif kind == "a device":
        path = Path("/dev/null")
    elif kind == "a long name":
        path = tmp_path / ("x" * 3_000)
    elif kind == "a pipe":
        os.mkfifo(path)
    code, err = command.run_without_looking(path)
    assert code == 3 and "no model folder" in err


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["a loop", "a pipe", "a device", "a folder"])
def test_a_file_that_is_none(folder: Path, command: Command, name: str, kind: str) -> None:
    path = folder / name
    path.unlink()
    if kind == "a loop":
        path.symlink_to(path)
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    code, err = command.run(folder)
    assert code == 1 and name in err and str(folder) in err


@pytest.mark.parametrize("hidden", [None, "model.pth"])
def test_a_folder_that_another_user_may_only_read(
    tiny_checkpoint: Path, voice_file: Path, tmp_path: Path, hidden: str | None
) -> None:
    """As a user who owns nothing of it: it speaks, or says which file it may not read."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(tiny_checkpoint / name, folder / name)
        (folder / name).chmod(0o444 if name != hidden else 0o000)
    folder.chmod(0o555)
    user: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("the tests run as root, and there is no setpriv to be somebody else")
        user = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
    before = as_it_is(folder)
    try:
        done = subprocess.run(
            [*user, sys.executable, ROOT / "simple_voice_clone.py", "--text", "Hello there.", "--voice", voice_file,
             "--no-preprocess", "--model", folder, "-o", tmp_path / "spoken.wav", "--seed", "1"],
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
    if "setpriv:" in done.stderr:
        pytest.skip(f"nobody else can be played here: {done.stderr.strip()}")
    assert "Internal error" not in done.stderr and "Traceback" not in done.stderr, done.stderr[-800:]
    assert done.returncode == (1 if hidden else 0), done.stderr[-800:]
    assert (tmp_path / "spoken.wav").exists() is (hidden is None)
    if hidden:
        assert "Permission denied" in done.stderr
    assert {name: (size, written, inode) for name, (_, size, written, _, inode) in before.items()} == {
        name: (size, written, inode) for name, (_, size, written, _, inode) in as_it_is(folder).items()
    }


# --- offline ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What of the network is asked for in this process; each of it is refused."""
    import socket

    asked: list[str] = []

    def refused(name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            asked.append(name)
            raise OSError(f"{name}: the network is denied")

        return refuse

    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refused(name))

    class Denied(socket.socket):
        connect = refused("connect")
        connect_ex = refused("connect_ex")
        sendto = refused("sendto")

    monkeypatch.setattr(socket, "socket", Denied)
    yield asked


@pytest.mark.parametrize("flag", [["--offline"], []], ids=["--offline", "not asked to be"])
def test_speaking_with_everything_here_needs_no_network(
    command: Command, sockets: list[str], tiny_checkpoint: Path, flag: list[str]
) -> None:
    code, _ = command.run(Path("rehearsal-tiny"), *flag)
    assert code == 0 and Path("cloned_voice.wav").stat().st_size > 10_000
    assert sockets == []


@pytest.mark.parametrize("flag", [["--offline"], []], ids=["--offline", "not asked to be"])
def test_the_release_in_the_cache_needs_no_network(
    command: Command, sockets: list[str], tiny_checkpoint: Path, flag: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The tiny model stands for the release: its files lie in the hub's cache under the release's names."""
    from huggingface_hub import constants

    from voicekit import checkpoint
    from voicekit.download import sha256_of

    (repository, revision), *_ = checkpoint.REPOSITORIES
    snapshot = tmp_path / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    for name in NAMES:
        (snapshot / name).symlink_to(tiny_checkpoint / name)
    figures = [checkpoint.ReleasedFile(name, (snapshot / name).stat().st_size, sha256_of(snapshot / name))
               for name in NAMES]  # fmt: skip
    monkeypatch.setattr(checkpoint, "RELEASED_FILES", tuple(figures))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    before = as_it_is(tmp_path / "hub")
    code, _ = command.run(Path("xtts_v2"), "--accept-license", *flag)
    assert code == 0 and Path("cloned_voice.wav").exists()
    assert sockets == []
    assert as_it_is(tmp_path / "hub") == before


@pytest.mark.parametrize("flag", [["--offline"], []], ids=["--offline", "the control"])
def test_a_release_that_is_not_here_is_asked_for_only_where_that_is_allowed(
    command: Command, sockets: list[str], flag: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session  # type: ignore[attr-defined]

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    close_session()
    code, err = command.run(Path("xtts_v2"), "--accept-license", *flag)
    assert code == 3 and (("--offline forbids" in err) is bool(flag))
    assert bool(sockets) is not bool(flag)
