"""An XTTS checkpoint's `config.json` -> the values of it that are used here, under the file's own names.

What a file lacks gets the value that coqui's configuration classes give it, which is not the release's: files that
people fine-tuned name some values only. Everything else in the file (training, datasets, paths) is not read.
Knows JSON values and their types; no model, no tokenizer.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class ModelArguments:
    """The sizes of a model (`model_args`): text and audio tokens, layers, sample rates in Hz.

    gpt_start_text_token, gpt_stop_text_token: ids; None where the vocabulary is to say which they are.
    gpt_use_perceiver_resampler: true in XTTS v2, false in v1.
    """

    gpt_max_audio_tokens: int = 605
    gpt_max_text_tokens: int = 402
    gpt_layers: int = 30
    gpt_n_model_channels: int = 1024
    gpt_n_heads: int = 16
    gpt_start_text_token: int | None = None
    gpt_stop_text_token: int | None = None
    gpt_num_audio_tokens: int = 8194
    gpt_start_audio_token: int = 8192
    gpt_stop_audio_token: int = 8193
    gpt_code_stride_len: int = 1024
    gpt_use_perceiver_resampler: bool = False
    input_sample_rate: int = 22_050
    output_sample_rate: int = 24_000
    output_hop_length: int = 256
    decoder_input_dim: int = 1024
    d_vector_dim: int = 512
    cond_d_vector_in_each_upsampling_layer: bool = True


@dataclass(frozen=True)
class XTTSConfig:
    """The settings of a checkpoint: what it speaks, how it samples, and how it hears a voice (lengths in seconds)."""

    model_args: ModelArguments = ModelArguments()
    languages: tuple[str, ...] = (
        "en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "zh-cn", "hu", "ko", "ja", "hi",
    )  # fmt: skip
    temperature: float = 0.85
    repetition_penalty: float = 2.0
    top_k: int = 50
    top_p: float = 0.85
    gpt_cond_len: int = 12
    gpt_cond_chunk_len: int = 4
    max_ref_len: int = 10
    sound_norm_refs: bool = False


Record = TypeVar("Record", ModelArguments, XTTSConfig)


def parse(content: Mapping[str, Any]) -> XTTSConfig:
    """The settings of a file, checked, over its sizes, which are checked when a model is built of them.

    Raises:
        TypeError: a setting is of another type than it must be, or `model_args` is no object.
    """
    sizes = content.get("model_args", {})
    if not isinstance(sizes, dict):
        raise TypeError(f"model_args is {_shown(sizes)}, not an object")
    arguments = ModelArguments(**_known(ModelArguments, sizes))
    return checked(XTTSConfig(**{**_known(XTTSConfig, content), "model_args": arguments}))


def checked(record: Record) -> Record:
    """The same values, each of its field's type: a whole number may be written as 4.0, and 1.0 as 1.

    Raises:
        TypeError: for the first that is of another type; null is one.
    """
    kinds = typing.get_type_hints(type(record))
    return dataclasses.replace(record, **{name: _fitting(name, getattr(record, name), kinds[name]) for name in kinds})


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: content[field.name] for field in dataclasses.fields(kind) if field.name in content}


def _fitting(name: str, value: Any, kind: Any) -> Any:
    if typing.get_origin(kind) is tuple:
        if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
            return tuple(value)
    elif type(value) in (kind, *typing.get_args(kind)):  # exactly: true is no number
        return value
    elif kind is float and type(value) is int:
        return float(value)
    elif kind is not bool and type(value) is float and value.is_integer():
        return int(value)
    raise TypeError(f"{name} is {_shown(value)}, not {_NAMES.get(kind, 'a whole number or null')}")


_NAMES = {int: "a whole number", float: "a number", bool: "true or false", tuple[str, ...]: "a list of names"}


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)[:40]
