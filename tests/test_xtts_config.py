"""voicekit.xtts_config against coqui's own configuration classes, which are the truth for what a file lacks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from voicekit.xtts_config import ModelArguments, XTTSConfig, checked, parse


def as_plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_what_a_file_lacks_is_coquis_default() -> None:
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig

    theirs, their_sizes = XttsConfig(), XttsArgs()
    ours = parse({"model": "xtts"})
    for field in dataclasses.fields(ours):
        if field.name != "model_args":
            assert as_plain(getattr(ours, field.name)) == getattr(theirs, field.name), field.name
    for field in dataclasses.fields(ours.model_args):
        assert getattr(ours.model_args, field.name) == getattr(their_sizes, field.name), field.name


def test_a_file_is_read_as_coqui_reads_it(tiny_checkpoint: Path) -> None:
    from TTS.tts.configs.xtts_config import XttsConfig

    theirs = XttsConfig()
    theirs.load_json(str(tiny_checkpoint / "config.json"))
    ours = parse(json.loads((tiny_checkpoint / "config.json").read_text("utf-8")))
    assert ours != XTTSConfig() and ours.model_args != ModelArguments()  # it does not say the defaults
    for record, coquis in ((ours, theirs), (ours.model_args, theirs.model_args)):
        for field in dataclasses.fields(record):
            if field.name != "model_args":
                assert as_plain(getattr(record, field.name)) == getattr(coquis, field.name), field.name


def test_what_is_not_used_may_be_anything() -> None:
    assert parse({"audio": None, "lr": "fast", "model_args": {"num_chars": [], "a_new_one": 1}}) == XTTSConfig()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"temperature": "warm"}, "temperature is 'warm', not a number"),
        ({"temperature": None}, "temperature is null, not a number"),
        ({"temperature": True}, "temperature is True, not a number"),
        ({"top_k": 50.5}, "top_k is 50.5, not a whole number"),
        ({"top_k": False}, "top_k is False, not a whole number"),
        ({"gpt_cond_len": float("inf")}, "gpt_cond_len is inf, not a whole number"),
        ({"sound_norm_refs": 1}, "sound_norm_refs is 1, not true or false"),
        ({"sound_norm_refs": 0.0}, "sound_norm_refs is 0.0, not true or false"),
        ({"languages": "en"}, "languages is 'en', not a list of names"),
        ({"languages": ["en", 5]}, "not a list of names"),
        ({"model_args": None}, "model_args is null, not an object"),
        ({"model_args": [1]}, "model_args is [1], not an object"),
    ],
    ids=str,
)
def test_a_setting_of_another_type_is_refused_by_name(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError) as refused:
        parse(settings)
    assert told in str(refused.value)


@pytest.mark.parametrize("value", [None, "30", 30.5, True, [30]])
def test_a_size_of_another_type_is_refused_when_it_is_needed(value: Any) -> None:
    arguments = parse({"model_args": {"gpt_layers": value}}).model_args
    with pytest.raises(TypeError, match=r"gpt_layers is .*, not a whole number"):
        checked(arguments)


def test_json_knows_one_kind_of_number() -> None:
    config = parse({"temperature": 1, "top_k": 50.0, "model_args": {"gpt_layers": 4.0, "gpt_stop_text_token": 0.0}})
    assert (config.temperature, config.top_k) == (1.0, 50)
    assert (type(config.temperature), type(config.top_k)) == (float, int)
    sizes = checked(config.model_args)
    assert (sizes.gpt_layers, type(sizes.gpt_layers), sizes.gpt_start_text_token) == (4, int, None)
    assert sizes.gpt_stop_text_token == 0 and type(sizes.gpt_stop_text_token) is int
