"""The weights of the rehearsal models: untrained, yet they let text, voice and latents through, and they end.

Default initialisation hardly listens to its text or voice and never ends, so comparing two decoders on it
proves nothing. Here every tensor has a spread that lets signals through at their size, and one attention
head of the first layer counts characters, so that speech ends about when real speech would.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicekit.loading import import_xtts
from voicekit.rehearsal_tokenizer import VOCABULARY_SIZE
from voicekit.text import LANGUAGES

START_CODE, STOP_CODE, CODES = 1024, 1025, 1026


@dataclass(frozen=True)
class Dimensions:
    """The sizes that differ between the two; everything else is as released.

    Attributes:
        layers, width, heads: of the GPT; width / heads is one head's width.
        residual_gain: standard deviation of what each layer adds to the residual stream (token embeddings
            have about 1): the more layers, the less each, so that neither end of the stack is drowned.
        verified_characters: lengths of the texts that a build speaks to see them end, rising. 250 is the
            limit for English; at full size it would double the time of the build.
    """

    layers: int
    width: int
    heads: int
    residual_gain: float
    verified_characters: tuple[int, ...]


DIMENSIONS: Mapping[str, Dimensions] = {
    "rehearsal": Dimensions(
        layers=30, width=1024, heads=16, residual_gain=0.2, verified_characters=(3, 50, 120)
    ),
    "rehearsal-tiny": Dimensions(
        layers=2, width=64, heads=4, residual_gain=0.9, verified_characters=(3, 50, 250)
    ),
}


def config(dimensions: Dimensions) -> dict[str, Any]:
    """The content of `config.json`: the released values for conditioning and sampling, our dimensions."""
    return {
        "model": "xtts",
        "audio": {"sample_rate": 22050, "output_sample_rate": 24000, "dvae_sample_rate": 22050},
        "model_args": {
            "gpt_batch_size": 1,
            "kv_cache": True,
            "gpt_max_audio_tokens": 605,
            "gpt_max_text_tokens": 402,
            "gpt_max_prompt_tokens": 70,
            "gpt_layers": dimensions.layers,
            "gpt_n_model_channels": dimensions.width,
            "gpt_n_heads": dimensions.heads,
            "gpt_number_text_tokens": VOCABULARY_SIZE,
            "gpt_start_text_token": None,  # read from vocab.json by the loader, as with the released files
            "gpt_stop_text_token": None,
            "gpt_num_audio_tokens": CODES,
            "gpt_start_audio_token": START_CODE,
            "gpt_stop_audio_token": STOP_CODE,
            "gpt_code_stride_len": 1024,
            "gpt_use_perceiver_resampler": True,
            "input_sample_rate": 22050,
            "output_sample_rate": 24000,
            "output_hop_length": 256,
            "decoder_input_dim": dimensions.width,
            "d_vector_dim": 512,
            "cond_d_vector_in_each_upsampling_layer": True,
        },
        "languages": list(LANGUAGES),
        "temperature": 0.75,
        "length_penalty": 1.0,
        "repetition_penalty": 5.0,
        "top_k": 50,
        "top_p": 0.85,
        "gpt_cond_len": 30,
        "gpt_cond_chunk_len": 4,
        "max_ref_len": 30,
        "sound_norm_refs": False,
    }


# Reserved dimensions of the residual stream, in pairs (+x, -x): a layer norm subtracts the mean over all
# dimensions, and the difference of a pair does not see it. No other weight writes to them.
MARK = (0, 1)  # how much a position weighs for the counting head: logarithm of the token's characters
ANCHOR = (2, 3)  # what the counting head averages: 1 at the start-of-text token, 0 elsewhere
STOP = (4, 5)  # what the head found less what is due at this code position
RESERVED = 6

MARK_SCALE = 0.2  # marks are stored at this scale, so that they hardly move a position's norm
ANCHOR_CHARACTERS = 150.0  # the start token weighs as much as so many characters
CODE_MARK = -6.0  # a code position weighs exp(-6) characters: nearly none
FIRST_CODES, CODES_PER_CHARACTER = 8.0, 1.35  # 21.5 codes a second, about 15 characters a second
SHORTEST_CODES = 12  # before this code position the stop code is out of reach
STOP_SLOPE = 450.0  # stop logit per unit of STOP
STOP_BIAS = 6.5  # about the best code's logit: at the due length both are equally likely
NEVER = -60.0  # logit of the start code, which must not be spoken

# (pattern of the key, mean, gain, axes whose sizes divide the variance: the fan-in); the first match wins.
# The gains let signals through at their size, and attention scores spread over about +-2: sharp enough
# that single tokens matter.
SPREAD: Sequence[tuple[str, float, float, tuple[int, ...]]] = (
    (r"mel_stats", 1.0, 0.0, ()),  # set by _hear_spectra
    (r"gpt\.(text|mel)_embedding", 0.0, 0.9, ()),
    (r"gpt\.(text|mel)_pos_embedding", 0.0, 0.4, ()),
    (r"gpt\..*(ln_.|norm)\.(weight|gamma)", 1.0, 0.1, ()),
    (r"gpt\..*c_attn\.weight", 0.0, 1.8, (0,)),
    (r"gpt\..*c_fc\.weight", 0.0, 1.0, (0,)),
    # Both times residual_gain. Attention adds less: it averages, and what 30 layers of averages add up to
    # is the same at every position.
    (r"gpt\..*attn\.c_proj\.weight", 0.0, 1.0, (0,)),
    (r"gpt\..*mlp\.c_proj\.weight", 0.0, 2.0, (0,)),
    (r"gpt\.text_head\.weight", 0.0, 1.0, (1,)),
    (r"gpt\.mel_head\.weight", 0.0, 2.2, (1,)),
    (r"gpt\.conditioning_encoder\.init\.weight", 0.0, 1.0, (1,)),
    (r"gpt\.conditioning_encoder.*weight", 0.0, 1.3, (1,)),
    (r"gpt\.conditioning_perceiver\.latents", 0.0, 1.0, ()),
    (r"gpt\.conditioning_perceiver.*weight", 0.0, 1.3, (1,)),
    (r".*waveform_decoder\.conv_pre\.weight", 0.0, 1.0, (1, 2)),
    (r".*waveform_decoder\.conv_post\.weight", 0.0, 0.1, (1, 2)),
    (r".*waveform_decoder\.cond_layer\.weight", 0.0, 0.3, ()),  # an embedding's norm is 1, so no fan-in
    (r".*waveform_decoder\.conds\..*\.weight", 0.0, 0.15, ()),
    (r".*waveform_decoder\.ups\.[01]\..*original0", 2.83, 0.0, ()),  # root of the stride: keeps the level
    (r".*waveform_decoder\.ups\.[23]\..*original0", 1.41, 0.0, ()),
    (r".*waveform_decoder\..*original0", 1.0, 0.1, ()),
    (r".*waveform_decoder\..*original1", 0.0, 1.0, ()),
    (r".*running_mean", 0.0, 0.0, ()),
    (r".*running_var", 1.0, 0.0, ()),
    (r".*speaker_encoder\..*bn.\.weight|.*downsample\.1\.weight|.*attention\.2\.weight", 1.0, 0.05, ()),
    (r".*speaker_encoder\..*conv.*\.weight|.*downsample\.0\.weight", 0.0, 1.41, (1, 2, 3)),
    (r".*speaker_encoder\..*weight", 0.0, 1.0, (1,)),
    (r".*bias", 0.0, 0.05, ()),
)


def _noise(key: str, shape: Sequence[int], seed: int) -> Any:
    """Standard normal float32 of `shape`, drawn from a stream of the key's own: the order cannot matter."""
    import torch

    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(tuple(shape), generator=generator)


def _drawn(key: str, shape: Sequence[int], seed: int) -> Any:
    """One tensor by the first row of SPREAD that matches its key."""
    for pattern, mean, gain, axes in SPREAD:
        if re.match(pattern, key):
            fan_in = math.prod(shape[axis] for axis in axes)
            return _noise(key, shape, seed).mul_(gain / math.sqrt(fan_in)).add_(mean)
    raise AssertionError(f"no rule for {key}")


def _silence_reserved(state: dict[str, Any]) -> None:
    """No weight but the counting head's touches the reserved dimensions of the residual stream."""
    hidden = slice(0, RESERVED)
    for key, tensor in state.items():
        if re.fullmatch(r"gpt\..*embedding(\.emb)?\.weight|gpt\.gpt.*c_proj\.weight", key):
            tensor[:, hidden] = 0.0
        elif re.fullmatch(r"gpt\.gpt.*c_proj\.bias|gpt\.conditioning_perceiver\.norm\.gamma", key):
            tensor[hidden] = 0.0
        elif re.fullmatch(r"gpt\.(gpt\..*ln_.|final_norm)\.(weight|bias)", key):
            tensor[hidden] = 1.0 if key.endswith("weight") else 0.0
        elif re.fullmatch(r"gpt\.gpt.*(c_attn|c_fc)\.weight", key):
            tensor[hidden] = 0.0
        elif re.fullmatch(r"gpt\.(mel|text)_head\.weight", key):
            tensor[:, hidden] = 0.0


def _set_pair(rows: Any, pair: tuple[int, int], values: Any) -> None:
    """Write +values and -values into the two dimensions of `pair`, of rows [n, width] or one [width]."""
    rows[..., pair[0]] = values
    rows[..., pair[1]] = -values


def _characters(token: str) -> float:
    """How much time a token takes, in characters: marks and a romanised tone's digit next to none."""
    if token == "[SPACE]":
        return 1.0
    if token.startswith("[") and token.endswith("]"):
        return 0.1
    return max(0.1, sum(0.1 if c.isdigit() else 1.0 for c in token))


def _mark_texts(state: dict[str, Any], vocabulary: Mapping[str, int]) -> None:
    """Marks of the text tokens and code positions, and the anchor at the start-of-text token."""
    import torch

    marks = torch.zeros(len(vocabulary))
    for token, index in vocabulary.items():
        marks[index] = math.log(_characters(token))
    marks[vocabulary["[START]"]] = math.log(ANCHOR_CHARACTERS)
    embedding = state["gpt.text_embedding.weight"]
    _set_pair(embedding, MARK, marks * MARK_SCALE)
    _set_pair(embedding[vocabulary["[START]"]], ANCHOR, torch.tensor(1.0))
    _set_pair(state["gpt.mel_pos_embedding.emb.weight"], MARK, torch.tensor(CODE_MARK * MARK_SCALE))


def _set_counting_head(state: dict[str, Any], dimensions: Dimensions, start: int) -> float:
    """Make the first layer's last head average ANCHOR over all positions, weighted by MARK.

    Its query is the same everywhere, its key is the mark, so that the softmax gives the start-of-text
    token the share A / (A + characters of the text + what other positions weigh).

    Returns:
        A, the start token's exact weight in characters, its layer norm included.
    """
    width, head_width = dimensions.width, dimensions.width // dimensions.heads
    first = width - head_width  # of the last head
    weight, bias = (state[f"gpt.gpt.h.0.attn.c_attn.{part}"] for part in ("weight", "bias"))
    for offset in (first, width + first, 2 * width + first):
        weight[:, offset : offset + head_width] = 0.0
        bias[offset : offset + head_width] = 0.0
    query = math.sqrt(head_width) / (2.0 * MARK_SCALE)
    bias[first] = query
    weight[list(MARK), width + first] = weight.new_tensor([1.0, -1.0])
    weight[list(ANCHOR), 2 * width + first] = weight.new_tensor([1.0, -1.0])
    embedded = state["gpt.text_embedding.weight"][start] + state["gpt.text_pos_embedding.emb.weight"][0]
    deviation = math.sqrt(float(embedded.double().var(unbiased=False)) + 1e-5)
    output = state["gpt.gpt.h.0.attn.c_proj.weight"]
    output[first : first + head_width] = 0.0
    _set_pair(output[first], STOP, output.new_tensor(deviation / 2.0))
    return math.exp(math.log(ANCHOR_CHARACTERS) / deviation)


def _set_due_lengths(state: dict[str, Any], anchor: float) -> None:
    """Code positions subtract the share that the counting head finds in a text which is due to end there."""
    import torch

    positions = state["gpt.mel_pos_embedding.emb.weight"]
    place = torch.arange(positions.shape[0], dtype=torch.float64)
    characters = ((place - FIRST_CODES) / CODES_PER_CHARACTER).clamp(min=0.0)
    # 32 conditioning latents weigh 1 each (their mark is 0), language and stop token 0.1 each.
    others = 32.0 + 0.2 + math.exp(CODE_MARK) * (place + 1.0)
    due = anchor / (anchor + characters + others)
    due[:SHORTEST_CODES] += 0.5
    _set_pair(positions, STOP, -due.float())
    head, bias = state["gpt.mel_head.weight"], state["gpt.mel_head.bias"]
    head[[START_CODE, STOP_CODE]] = 0.0
    _set_pair(head[STOP_CODE], STOP, torch.tensor(STOP_SLOPE / 2.0))
    bias[START_CODE], bias[STOP_CODE] = NEVER, STOP_BIAS


def _shape_waveform(state: dict[str, Any]) -> None:
    """The vocoder's last kernels pass no constant, so that its rectified inputs leave no offset."""
    kernel = state["hifigan_decoder.waveform_decoder.conv_post.weight"]
    kernel -= kernel.mean(dim=2, keepdim=True)


def _hear_spectra(state: dict[str, Any]) -> None:
    """The conditioning encoder hears the shape of a spectrum more than its level.

    A log-mel spectrum divided by mel_stats is mostly one common level; most of it is taken out of the
    first weights, or every voice would look alike after the first group norm.
    """
    import torch

    state["mel_stats"] = 5.5 - 2.0 * torch.linspace(0.0, 1.0, 80)
    level = 1.0 / state["mel_stats"]
    weight = state["gpt.conditioning_encoder.init.weight"]
    along = (weight[:, :, 0] @ level) / (level @ level)
    weight -= 0.9 * (along[:, None] * level)[:, :, None]


def _centre_speakers(encoder: Any, state: dict[str, Any]) -> None:
    """Set the speaker encoder's normalisation from made-up voices, as training would.

    With running statistics of 0 and 1 every voice gives nearly the same embedding: what all voices have
    in common is far larger than what tells them apart.
    """
    import torch

    prefix = "hifigan_decoder.speaker_encoder."
    voices = (synthetic_voice(seed, seconds=3.0, rate_hz=16000) for seed in range(6))
    waves = torch.stack([torch.from_numpy(wave) for wave in voices])
    own = {key[len(prefix) :]: tensor for key, tensor in state.items() if key.startswith(prefix)}
    encoder.load_state_dict(own)
    for module in encoder.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # plain averages over what follows
    with torch.no_grad():
        encoder.train()(waves)
        middle = encoder.eval()(waves).mean(dim=0)
        encoder.fc.bias -= middle
    for key, tensor in encoder.state_dict().items():
        if "running" in key or key == "fc.bias":
            # Rounded, so that the last bits of a sum, which depend on the number of threads, do not show.
            state[prefix + key] = tensor.bfloat16().float()


def synthetic_voice(seed: int, *, seconds: float, rate_hz: int) -> Any:
    """A made-up voice: harmonics of a wavering pitch under formants that move, in syllables.

    Returns:
        float32 [samples], peak 0.5. Another seed has another pitch and other formants.
    """
    import numpy as np

    chance = np.random.default_rng(seed)
    turn = 2 * np.pi * np.arange(int(seconds * rate_hz)) / rate_hz
    pitch_hz = chance.uniform(85.0, 260.0) * (1.0 + 0.06 * np.sin(chance.uniform(0.3, 0.9) * turn))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    formants_hz = chance.uniform((250, 800, 2000, 3200), (850, 1900, 3000, 4500))
    swing = 1.0 + 0.2 * np.sin(chance.uniform(1.5, 4.0, (4, 1)) * turn + chance.uniform(0.0, 6.0, (4, 1)))
    tilt = chance.uniform(0.6, 1.4)
    wave = np.zeros_like(turn)
    for harmonic in range(1, int(0.45 * rate_hz / 280.0)):
        frequency = harmonic * pitch_hz
        near = np.exp(-(((frequency - formants_hz[:, None] * swing) / 180.0) ** 2)).sum(axis=0)
        wave += (0.05 + near) * harmonic**-tilt * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(chance.uniform(1.5, 2.5) * turn) + 0.7, 0.0, 1.0)
    wave = wave * syllables + chance.uniform(0.005, 0.05) * chance.standard_normal(len(turn))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def _blank_model(folder: Path) -> Any:
    """coqui's `Xtts` for the folder's config, its GPT on the meta device: names and shapes, no memory."""
    xtts_class = import_xtts()
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.layers.xtts.gpt import GPT

    settings = XttsConfig()
    settings.load_json(str(folder / "config.json"))
    args = settings.model_args
    args.gpt_number_text_tokens = None  # no GPT from the constructor
    model = xtts_class(settings)
    with torch.device("meta"):
        model.gpt = GPT(
            layers=args.gpt_layers,
            model_dim=args.gpt_n_model_channels,
            heads=args.gpt_n_heads,
            max_text_tokens=args.gpt_max_text_tokens,
            max_mel_tokens=args.gpt_max_audio_tokens,
            max_prompt_tokens=args.gpt_max_prompt_tokens,
            number_text_tokens=VOCABULARY_SIZE,
            num_audio_tokens=args.gpt_num_audio_tokens,
            start_audio_token=args.gpt_start_audio_token,
            stop_audio_token=args.gpt_stop_audio_token,
            use_perceiver_resampler=args.gpt_use_perceiver_resampler,
            code_stride_len=args.gpt_code_stride_len,
        )
    return model


def weights(folder: Path, dimensions: Dimensions, vocabulary: Mapping[str, int], seed: int) -> dict[str, Any]:
    """Every tensor of the checkpoint, by the released format's keys; the same for the same seed."""
    blank = _blank_model(folder)
    state: dict[str, Any] = {}
    for key, tensor in blank.state_dict().items():
        if "torch_spec" in key or not tensor.is_floating_point():
            state[key] = tensor.clone()  # filters of the front end and counters: not weights
        else:
            state[key] = _drawn(key, tensor.shape, seed)
            if re.fullmatch(r"gpt\.gpt.*c_proj\.weight", key):
                # Less its mean over the inputs: a rectifier's mean would else add the same to every position.
                state[key] = (state[key] - state[key].mean(dim=0)) * dimensions.residual_gain
    _silence_reserved(state)
    _mark_texts(state, vocabulary)
    _set_due_lengths(state, _set_counting_head(state, dimensions, vocabulary["[START]"]))
    _hear_spectra(state)
    _shape_waveform(state)
    _centre_speakers(blank.hifigan_decoder.speaker_encoder, state)
    return state
