"""voicekit.xtts_modules against coqui's own classes: the same names and shapes, and what they hear of a voice.

The comparisons have controls that must fail: latents of another voice, of one chunk more, of silent attention.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.voices import talking
from voicekit.checkpoint import from_folder
from voicekit.loading import import_xtts, load_xtts, read_state
from voicekit.rehearsal_weights import DIMENSIONS, config
from voicekit.xtts_config import parse
from voicekit.xtts_modules import (
    CONDITIONING_RATE_HZ,
    _conditioning_encoder,
    _listen,
    build,
    conditioning_latents,
    speaker_embedding,
)

ROOT = Path(__file__).resolve().parents[1]
TEXT_TOKENS = 6681
SIZES = ("rehearsal-tiny", "rehearsal")  # the second has the released sizes


def relative_error(a: Any, b: Any) -> float:
    return float((a - b).norm() / b.norm())


def built(name: str, **other: Any) -> Any:
    content = config(DIMENSIONS[name])
    content["model_args"].update(gpt_start_text_token=261, gpt_stop_text_token=0, **other)
    return build(parse(content).model_args, TEXT_TOKENS)


def coquis(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """coqui's `Xtts` of these sizes; its GPT has no memory, the rest is real."""
    import torch

    xtts_class = import_xtts()
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models import xtts as module

    gpt_class = module.GPT

    def without_memory(**sizes: Any) -> Any:
        with torch.device("meta"):
            return gpt_class(**sizes)

    monkeypatch.setattr(module, "GPT", without_memory)
    content = config(DIMENSIONS[name])
    content["model_args"]["gpt_number_text_tokens"] = TEXT_TOKENS
    (folder / "config.json").write_text(json.dumps(content), "utf-8")
    settings = XttsConfig()
    settings.load_json(str(folder / "config.json"))
    return xtts_class(settings)


def signature(model: Any) -> list[tuple[str, tuple[int, ...], Any]]:
    """Names, shapes and types in the order in which messages name them."""
    return [(name, tuple(tensor.shape), tensor.dtype) for name, tensor in model.state_dict().items()]


# --- the tree ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_names_shapes_and_order_are_coquis(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    theirs, ours = coquis(name, tmp_path, monkeypatch), built(name)
    assert signature(ours) == signature(theirs)
    assert [each for each, _ in ours.named_parameters()] == [each for each, _ in theirs.named_parameters()]
    assert signature(built(name, gpt_layers=DIMENSIONS[name].layers - 1)) != signature(theirs)
    assert {parameter.device.type for parameter in ours.parameters()} == {"meta"}
    buffers = dict(ours.named_buffers())  # what is in no file, or need not be: filters, windows
    assert buffers.keys() == dict(theirs.named_buffers()).keys()
    assert [key for key, value in theirs.named_buffers() if not torch.equal(buffers[key], value)] == []


@pytest.mark.parametrize("name", SIZES)
def test_tokens_and_sizes_that_the_decode_reads_are_coquis(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = coquis(name, tmp_path, monkeypatch).gpt, built(name).gpt
    read = ("start_audio_token", "stop_audio_token", "num_audio_tokens", "max_gen_mel_tokens", "model_dim", "heads")
    assert {each: getattr(ours, each) for each in read} == {each: getattr(theirs, each) for each in read}
    assert ours.heads == theirs.gpt.config.n_head


def test_what_does_not_fit_is_told_in_the_same_words(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = read_state(tiny_checkpoint / "model.pth")
    state["gpt.mel_head.weight"] = state["gpt.mel_head.weight"][:, 1:]
    state["gpt.another"] = state["mel_stats"]
    for key in ("mel_stats", "gpt.gpt.h.1.ln_1.bias", "hifigan_decoder.waveform_decoder.conv_pre.weight"):
        del state[key]
    told = []
    for model in (built("rehearsal-tiny"), coquis("rehearsal-tiny", tmp_path, monkeypatch)):
        with pytest.raises(RuntimeError) as refused:
            model.load_state_dict(state, strict=True, assign=True)
        told.append(str(refused.value).splitlines()[1:])
    assert told[0] == told[1]
    assert len(told[0]) == 3  # missing, unexpected, misshapen


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ({"gpt_n_heads": 0}, ZeroDivisionError),
        ({"gpt_n_heads": 5}, ValueError),
        ({"gpt_n_model_channels": -4}, RuntimeError),
        ({"gpt_n_model_channels": 4, "gpt_n_heads": 2}, None),
        ({"gpt_n_model_channels": 6, "gpt_n_heads": 2}, ValueError),  # in two groups of channels nothing is normalised
        ({"decoder_input_dim": None}, TypeError),
    ],
    ids=str,
)
def test_sizes_of_which_nothing_can_be_built(sizes: dict[str, Any], error: type[Exception] | None) -> None:
    import torch

    if error is None:
        built("rehearsal-tiny", **sizes)
    else:
        with pytest.raises(error):
            built("rehearsal-tiny", **sizes)
    assert not torch.nn.Linear(2, 2).weight.is_meta  # modules of others are as they were


# --- hearing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "heads"), [(16, 2), (64, 4), (96, 6), (100, 4), (1024, 16)])
def test_the_conditioning_encoder_is_tortoises(width: int, heads: int) -> None:
    """Any numbers will do, so they are drawn; but the last matrix of a fresh block is zero, which hides attention."""
    import torch
    from TTS.tts.layers.tortoise.autoregressive import ConditioningEncoder

    torch.manual_seed(width)
    theirs, ours = ConditioningEncoder(80, width, num_attn_heads=heads), _conditioning_encoder(width)
    mel = torch.randn(1, 80, 77)

    def heard() -> Any:
        frames = ours.init(mel)
        for block in ours.attn:
            frames = _listen(block, frames, heads)
        return frames

    with torch.no_grad():
        deaf = theirs(mel)
        for block in theirs.attn:
            torch.nn.init.normal_(block.proj_out.weight, std=width**-0.5)
            torch.nn.init.normal_(block.qkv.weight, std=2 * width**-0.5)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        assert relative_error(heard(), theirs(mel)) < 1e-5
        assert relative_error(heard(), deaf) > 0.1


@pytest.fixture(scope="module")
def ours(tiny_checkpoint: Path) -> Any:
    return load_xtts(from_folder(tiny_checkpoint))


Hear = Callable[..., tuple[Any, Any]]


@pytest.fixture(scope="module")
def coqui_hears(tiny_checkpoint: Path) -> Hear:
    """`Xtts.get_conditioning_latents` of coqui's own model; only its file decoder is replaced."""
    import torch

    xtts_class = import_xtts()
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models import xtts as module

    settings = XttsConfig()
    settings.load_json(str(tiny_checkpoint / "config.json"))
    model = xtts_class(settings)
    model.load_checkpoint(settings, checkpoint_dir=str(tiny_checkpoint), eval=True)

    def hear(samples: np.ndarray, heard_s: int, chunk_s: int) -> tuple[Any, Any]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(module, "load_audio", lambda path, rate: torch.from_numpy(samples)[None].clone())
            found: tuple[Any, Any] = model.get_conditioning_latents(
                "a file", max_ref_length=60, gpt_cond_len=heard_s, gpt_cond_chunk_len=chunk_s
            )
        return found

    return hear


def we_hear(xtts: Any, samples: np.ndarray, heard_s: int, chunk_s: int) -> tuple[Any, Any]:
    import torch

    audio = torch.from_numpy(samples)[None]
    with torch.inference_mode():
        return conditioning_latents(xtts, audio, heard_s, chunk_s), speaker_embedding(xtts, audio)


@pytest.mark.parametrize(
    ("seconds", "heard_s", "chunk_s"),
    [
        (2.0, 30, 4),  # under a chunk
        (4.0, 30, 4),
        (8.0, 30, 4),
        (8.2, 30, 4),  # with a rest that is not heard
        (8.329, 30, 4),
        (8.4, 30, 4),  # with a rest that is
        (11.0, 30, 4),
        (9.0, 6, 4),  # more than is heard
        (9.0, 6, 6),
        (5.0, 0, 2),  # all of it
        (0.34, 30, 4),
    ],
)
def test_latents_and_embedding_are_coquis(
    ours: Any, coqui_hears: Hear, seconds: float, heard_s: int, chunk_s: int
) -> None:
    samples = talking(seconds).samples
    mine, theirs = we_hear(ours, samples, heard_s, chunk_s), coqui_hears(samples, heard_s, chunk_s)
    assert mine[0].shape == (1, 32, 64) and mine[1].shape == (1, 512, 1)
    for one, other in zip(mine, theirs, strict=True):
        assert one.shape == other.shape
        assert relative_error(one, other) < 1e-5


def test_control_another_voice_and_another_cut_are_told_apart(ours: Any, coqui_hears: Hear) -> None:
    voice, other = talking(8.4).samples, talking(8.4, pitch_hz=210.0, seed=5).samples
    mine, theirs = we_hear(ours, voice, 30, 4), coqui_hears(other, 30, 4)
    assert relative_error(mine[0], theirs[0]) > 1e-3
    assert relative_error(mine[1], theirs[1]) > 1e-3
    without_the_rest = coqui_hears(voice[: 8 * CONDITIONING_RATE_HZ], 30, 4)
    assert relative_error(mine[0], without_the_rest[0]) > 1e-3
    other_chunks = coqui_hears(voice, 30, 6)
    assert relative_error(mine[0], other_chunks[0]) > 1e-3


def test_too_little_to_hear_is_refused_as_by_coqui(ours: Any, coqui_hears: Hear) -> None:
    samples = talking(0.32).samples
    with pytest.raises(RuntimeError, match="too short"):
        coqui_hears(samples, 30, 4)
    with pytest.raises(ValueError, match="too few"):
        we_hear(ours, samples, 30, 4)


def test_text_positions_do_not_depend_on_the_text(ours: Any) -> None:
    import torch

    table = ours.gpt.text_pos_embedding.emb.weight
    assert torch.equal(ours.gpt.text_pos_embedding(torch.tensor([[9, 9, 2, 0]])), table[:4])


# --- imports ----------------------------------------------------------------------------------------------

HEAVY = ("transformers", "accelerate", "TTS.tts.models.xtts", "TTS.tts.layers.xtts.gpt", "torch._dynamo", "sympy")

LOAD_AND_HEAR = """
import importlib.metadata, sys
from pathlib import Path

standard = importlib.metadata.packages_distributions
from tests.voices import talking
from voicekit import loading
from voicekit.checkpoint import from_folder
from voicekit.xtts_modules import conditioning_latents, speaker_embedding

if sys.argv[2:]:
    loading.import_xtts()
xtts = loading.load_xtts(from_folder(Path(sys.argv[1])))
import torch

with torch.inference_mode():
    audio = torch.from_numpy(talking(5.0).samples)[None]
    conditioning_latents(xtts, audio, 30, 4), speaker_embedding(xtts, audio)
assert importlib.metadata.packages_distributions is standard
print(*[name for name in {heavy} if name in sys.modules])
"""


def in_a_new_process(code: str, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    import os

    search = os.pathsep.join(filter(None, [path, str(ROOT)]))
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": search},
    )  # fmt: skip


@pytest.mark.parametrize("with_coquis_model", [False, True])
def test_loading_and_hearing_import_no_transformers(tiny_checkpoint: Path, with_coquis_model: bool) -> None:
    code = LOAD_AND_HEAR.replace("{heavy}", repr(HEAVY))
    done = in_a_new_process(code, str(tiny_checkpoint), *(["coqui's too"] if with_coquis_model else []))
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split("\n")[-2].split())
    if with_coquis_model:  # the control
        assert found | {"accelerate"} == set(HEAVY)  # which transformers imports where it is installed
    else:
        assert found == set()


TTS_MODEL = """
import sys
from pathlib import Path
from tests.voices import talking
from voicekit.checkpoint import from_folder
from voicekit.devices import import_packages
from voicekit.tts_model import TTSModel

import_packages()
model = TTSModel.load(from_folder(Path(sys.argv[1])), device="cpu")
model.condition([talking(5.0)], model.voice_settings())
print(*[name for name in ("transformers", "accelerate", "TTS.tts.models.xtts") if name in sys.modules])
"""


def test_nor_does_the_model_that_the_commands_use(tiny_checkpoint: Path) -> None:
    done = in_a_new_process(TTS_MODEL, str(tiny_checkpoint))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


IMPORT = """
from voicekit.errors import ModelUnavailable
from voicekit.loading import import_model

try:
    import_model()
    print("imported")
except ModelUnavailable as error:
    print(error.message)
"""


@pytest.mark.parametrize(("distribution", "told"), [("coqpit", "coqpit"), ("coqpit-other", "imported")])
def test_coqui_still_refuses_the_old_coqpit(tmp_path: Path, distribution: str, told: str) -> None:
    """It asks importlib.metadata what is installed; its question is answered here without reading everything."""
    record = tmp_path / f"{distribution.replace('-', '_')}-0.0.17.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.0.17\n")
    (record / "RECORD").write_text("coqpit/__init__.py,,\n" if distribution == "coqpit" else "other.py,,\n")
    done = in_a_new_process(IMPORT, path=str(tmp_path))
    assert told in done.stdout, done.stderr
    assert ("XTTS cannot be imported" in done.stdout) == (distribution == "coqpit")
