"""What a stranger's model files may not do, beyond what torch and the tokenizer refuse themselves.

torch's restricted unpickler runs no code of a file, but a file can still ask for more memory than the machine has:
by a compressed archive, by a number in a call that makes so many bytes, by one value said to be a billion of them, by
a configuration of a billion layers. Here a file is looked at before that is done. A model is never larger than the
file that its weights are in, which is all that needs to be known.

Knows files, numbers and tensors' shapes; builds nothing, reads no weight.
"""

from __future__ import annotations

import math
import mmap
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicekit.xtts_config import ModelArguments, XTTSConfig

if TYPE_CHECKING:
    import torch

LONGEST_S = 3_600  # of a voice's samples, which are a minute
_RATES_HZ = range(8_000, 192_001)
_MOST_LAYERS = 1_000  # as released 30
_ALWAYS = 2 * 10**9  # weights that may be planned whatever the file has: they take no memory before they are read
_MOST_STRETCH = 64  # steps of the vocoder for a code; XTTS has 4
# Allowed by torch, needed by no tensor, and made to turn a number into memory.
_GROWING = re.compile(rb"bytearray|_codecs")
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


class Refused(ValueError):
    """A file asks for what it may not have."""


def check_weights_file(path: Path) -> None:
    """Look at what is unpickled of a weights file; not at its numbers. O(tensors), of torch 1.5's format O(bytes).

    Raises:
        Refused: it is compressed, or makes memory of numbers.
        OSError, zipfile.BadZipFile: it cannot be read.
    """
    if not is_zip(path):
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check_pickle(content)
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size
               for entry in entries):  # fmt: skip
            raise Refused("it is a compressed archive, which torch never writes")
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                _check_pickle(archive.read(entry))


def is_zip(path: Path) -> bool:
    """Whether a weights file has the format of torch 1.6 and later."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _check_pickle(content: bytes | mmap.mmap) -> None:
    if found := _GROWING.search(content):
        raise Refused(f"it calls {found[0].decode()}, which weights do not need")


def named_class(error: Exception) -> str:
    """The class or function for which torch refused a file; "" where it was for something else."""
    found = _GLOBAL.search(str(error))
    return found[1] if found else ""


def check_sizes(args: ModelArguments, text_tokens: int, weights_bytes: int) -> None:
    """Refuse what no file of this length can be, and tokens and rates with which nothing can be spoken.

    Args:
        args: with the start and the stop of a text.
        text_tokens: ids of the vocabulary.
        weights_bytes: of the file with the weights; each of them takes a byte or more.
    """
    width, layers = args.gpt_n_model_channels, args.gpt_layers
    _require(1 <= layers <= _MOST_LAYERS, "gpt_layers", layers)
    _require(1 <= args.gpt_n_heads <= width, "gpt_n_heads", args.gpt_n_heads)
    positions = args.gpt_max_audio_tokens + args.gpt_max_text_tokens + args.gpt_num_audio_tokens + text_tokens
    needed = max(12 * layers * width**2, positions * width, 512 * (args.decoder_input_dim + args.d_vector_dim))
    if needed > max(weights_bytes, _ALWAYS):
        raise Refused(f"its sizes make {float(min(needed, 10**99)):.2g} weights, more than model.pth has bytes")
    for name, token, tokens in (
        ("gpt_start_text_token", args.gpt_start_text_token, text_tokens),
        ("gpt_stop_text_token", args.gpt_stop_text_token, text_tokens),
        ("gpt_start_audio_token", args.gpt_start_audio_token, args.gpt_num_audio_tokens),
        ("gpt_stop_audio_token", args.gpt_stop_audio_token, args.gpt_num_audio_tokens),
    ):
        _require(token is not None and 0 <= token < tokens, name, token)
    for name in ("input_sample_rate", "output_sample_rate"):
        _require(getattr(args, name) in _RATES_HZ, name, getattr(args, name))
    _require(args.output_hop_length > 0, "output_hop_length", args.output_hop_length)
    stretch = args.gpt_code_stride_len / args.output_hop_length
    _require(0 < stretch <= _MOST_STRETCH, "gpt_code_stride_len", args.gpt_code_stride_len)


def check_settings(config: XTTSConfig) -> None:
    """Refuse sampling and hearing of which nothing comes."""
    _require(math.isfinite(config.temperature) and config.temperature >= 0, "temperature", config.temperature)
    _require(config.top_k >= 0, "top_k", config.top_k)
    _require(0 < config.top_p <= 1, "top_p", config.top_p)
    penalty = config.repetition_penalty
    _require(math.isfinite(penalty) and penalty > 0, "repetition_penalty", penalty)
    for name in ("gpt_cond_chunk_len", "max_ref_len"):
        _require(1 <= getattr(config, name) <= LONGEST_S, name, getattr(config, name))
    _require(config.gpt_cond_len <= LONGEST_S, "gpt_cond_len", config.gpt_cond_len)


def _require(holds: bool, name: str, value: object) -> None:
    if not holds:
        raise Refused(f"{name} cannot be {str(value)[:40]}")


def check_tensors(state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors of the right name that hold no plain numbers; shapes are compared by whoever takes them."""
    for key, tensor in _tensors(state, wanted):
        whole = tensor.is_floating_point() == wanted[key].is_floating_point() and not tensor.is_complex()
        if str(tensor.layout) != "torch.strided" or tensor.device.type != "cpu" or tensor.is_quantized or not whole:
            raise Refused(f"{key} holds no plain numbers ({tensor.dtype}, {tensor.layout}, {tensor.device})")
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.itemsize:
            raise Refused(f"{key} says to hold more numbers than it has")


def as_float32(state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The same, with those that fit made float32; one that is so already and lies in order is itself, not a copy."""
    fitting = {
        key: tensor.float().contiguous()
        for key, tensor in _tensors(state, wanted)
        if tensor.is_floating_point() and tensor.shape == wanted[key].shape
    }
    return {**state, **fitting}


def _tensors(state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor]) -> Iterable[tuple[str, torch.Tensor]]:
    import torch

    return ((key, value) for key, value in state.items() if key in wanted and isinstance(value, torch.Tensor))
