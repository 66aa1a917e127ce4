"""XTTS v2 as a tree of torch's modules: the release's names and shapes, and what of it hears a voice.

coqui's `Xtts` has the same parameters, but its GPT is Hugging Face's, whose transformers take longer to import than
everything else together. Here the GPT's layers are parameters only: `voicekit.gpt` runs them. The vocoder, the speaker
encoder and the perceiver are coqui's own classes, which need nothing of that.
Knows tensors and sizes; no files, no text, no settings. Nothing here imports torch before it is called.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.metadata
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from voicekit.xtts_config import ModelArguments, checked

if TYPE_CHECKING:
    import torch

CONDITIONING_RATE_HZ = 22_050  # of the audio from which a voice's mel spectrum is computed
SPEAKER_RATE_HZ = 16_000  # of the audio that the speaker encoder hears
MIN_CHUNK_S = 0.33  # shorter pieces of a sample are not heard
MEL_BANDS = 80
LISTENING_BLOCKS = 6  # of the conditioning encoder
SPARE_CODES = 3  # positions over the longest speech: of its start, its stop and one conditioning input
SPARE_TOKENS = 2  # positions over the longest text: of its start and its stop


def import_classes() -> None:
    """Import torch and those classes of coqui's that are used as they are (1.5 s).

    Raises:
        ImportError: one of the packages is missing, or does not fit.
    """
    if "TTS.tts.layers.xtts.hifigan_decoder" in sys.modules:
        return
    gc.collect()  # what is garbage now would else be kept
    with _distributions_looked_up():
        import TTS.tts.layers.xtts.hifigan_decoder
        import TTS.tts.layers.xtts.perceiver_encoder
        import TTS.tts.layers.xtts.tokenizer  # noqa: F401
    # Modules stay to the end: no collection of garbage is to look through them, least of all the one when the process
    # ends, which takes a third of a second.
    gc.freeze()


@contextlib.contextmanager
def _distributions_looked_up() -> Iterator[None]:
    """`import TTS` reads the file list of every installed package, twice, to ask for the two that are looked up here.

    It wants the name of torch's distribution, and to know whether the one that is called coqpit is installed.
    """

    def distributions() -> dict[str, list[str]]:
        return {name: [name] for name in ("torch", "coqpit") if any(importlib.metadata.distributions(name=name))}

    whole = importlib.metadata.packages_distributions
    importlib.metadata.packages_distributions = distributions
    try:
        yield
    finally:
        importlib.metadata.packages_distributions = whole


# --- the tree --------------------------------------------------------------------------------------------------


def build(args: ModelArguments, text_tokens: int) -> Any:
    """The model without its numbers: parameters have no memory, buffers that are computed (mel filters) are real.

    Args:
        args: its sizes; the start and the stop of a text must be known.
        text_tokens: ids of the vocabulary.

    Returns:
        A `torch.nn.Module` with `gpt`, `hifigan_decoder`, `mel_stats` (float32 [80]) and `args`.

    Raises:
        TypeError, ValueError, RuntimeError, ZeroDivisionError: of sizes of which nothing can be built.
    """
    import torch
    from TTS.tts.layers.xtts.hifigan_decoder import HifiDecoder

    args = checked(args)
    xtts: Any = torch.nn.Module()
    xtts.args = args
    xtts.register_buffer("mel_stats", torch.ones(MEL_BANDS))
    with _parameters_without_memory():
        xtts.gpt = _gpt(args, text_tokens)
        xtts.hifigan_decoder = HifiDecoder(
            input_sample_rate=args.input_sample_rate,
            output_sample_rate=args.output_sample_rate,
            output_hop_length=args.output_hop_length,
            ar_mel_length_compression=args.gpt_code_stride_len,
            decoder_input_dim=args.decoder_input_dim,
            d_vector_dim=args.d_vector_dim,
            cond_d_vector_in_each_upsampling_layer=args.cond_d_vector_in_each_upsampling_layer,
        )
    return xtts


@contextlib.contextmanager
def _parameters_without_memory() -> Iterator[None]:
    """Each parameter that a module is given meanwhile lies on the meta device: its shape, no numbers.

    Nor are numbers drawn or normalised: on that device it changes nothing, but the first time it imports torch's
    compiler, which takes half a second.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class ShapesOnly(TorchFunctionMode):
        def __torch_function__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
            given = kwargs or {}
            tensor: Any = args[0] if args else given.get("tensor")
            if function in (torch.nn.init.normal_, torch.Tensor.normal_, torch._weight_norm):
                return tensor
            if function is torch.norm_except_dim:
                return tensor.new_empty(tensor.shape[0], *[1] * (tensor.ndim - 1))
            return function(*args, **given)

    register = torch.nn.Module.register_parameter

    def register_shape(module: torch.nn.Module, name: str, given: torch.nn.Parameter | None) -> None:
        register(module, name, given if given is None else torch.nn.Parameter(given.data.to("meta")))

    torch.nn.Module.register_parameter = register_shape  # type: ignore[method-assign,assignment]
    try:
        with ShapesOnly():
            yield
    finally:
        torch.nn.Module.register_parameter = register  # type: ignore[method-assign]


def _gpt(args: ModelArguments, text_tokens: int) -> Any:
    """The GPT with its embeddings, heads and ears, in the release's order."""
    from torch.nn import Embedding, LayerNorm, Linear, Module
    from TTS.tts.layers.xtts.perceiver_encoder import PerceiverResampler

    width, heads = args.gpt_n_model_channels, args.gpt_n_heads
    if width % heads:
        raise ValueError(f"a width of {width} cannot be divided among {heads} heads")
    gpt: Any = Module()
    gpt.start_text_token, gpt.stop_text_token = args.gpt_start_text_token, args.gpt_stop_text_token
    gpt.start_audio_token, gpt.stop_audio_token = args.gpt_start_audio_token, args.gpt_stop_audio_token
    gpt.num_audio_tokens, gpt.max_gen_mel_tokens = args.gpt_num_audio_tokens, args.gpt_max_audio_tokens - SPARE_CODES
    gpt.model_dim, gpt.heads = width, heads
    gpt.conditioning_encoder = _conditioning_encoder(width)
    gpt.text_embedding = Embedding(text_tokens, width)
    gpt.mel_embedding = Embedding(args.gpt_num_audio_tokens, width)
    gpt.gpt = _layers(args.gpt_layers, width, heads)
    gpt.mel_pos_embedding = _positions(args.gpt_max_audio_tokens + SPARE_CODES, width)
    gpt.text_pos_embedding = _positions(args.gpt_max_text_tokens + SPARE_TOKENS, width)
    gpt.final_norm = LayerNorm(width)
    gpt.text_head = Linear(width, text_tokens)
    gpt.mel_head = Linear(width, args.gpt_num_audio_tokens)
    gpt.conditioning_perceiver = PerceiverResampler(dim=width)
    return gpt


def _layers(count: int, width: int, heads: int) -> Any:
    """GPT-2's layers: parameters under the names of its files, with nothing that runs them."""
    from torch.nn import LayerNorm, Module, ModuleList

    def layer() -> Module:
        made = Module()
        made.ln_1, made.attn, made.ln_2, made.mlp = LayerNorm(width), Module(), LayerNorm(width), Module()
        made.attn.c_attn, made.attn.c_proj = _matrix(width, 3 * width), _matrix(width, width)
        made.mlp.c_fc, made.mlp.c_proj = _matrix(width, 4 * width), _matrix(4 * width, width)
        return made

    layers: Any = Module()
    layers.h = ModuleList(layer() for _ in range(count))
    layers.ln_f = LayerNorm(width)
    return layers


def _matrix(fan_in: int, fan_out: int) -> torch.nn.Module:
    """x W + b with W as [in, out], which is how GPT-2's files hold it."""
    import torch

    made = torch.nn.Module()
    made.weight = torch.nn.Parameter(torch.empty(fan_in, fan_out))
    made.bias = torch.nn.Parameter(torch.empty(fan_out))
    return made


def _positions(count: int, width: int) -> torch.nn.Module:
    """An embedding of the places in a sequence: ids [1, n] -> [n, width], whatever the ids are."""
    import torch

    class Positions(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.emb = torch.nn.Embedding(count, width)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.emb.weight[: ids.shape[1]]

    return Positions()


def _conditioning_encoder(width: int) -> torch.nn.Module:
    """Widens each frame of a mel spectrum, then lets all frames hear each other, several times."""
    from torch.nn import Conv1d, GroupNorm, Module, ModuleList

    def block() -> Module:
        made = Module()
        made.norm = GroupNorm(_groups(width), width)
        made.qkv = Conv1d(width, 3 * width, kernel_size=1)
        made.proj_out = Conv1d(width, width, kernel_size=1)
        return made

    encoder = Module()
    encoder.init = Conv1d(MEL_BANDS, width, kernel_size=1)
    encoder.attn = ModuleList(block() for _ in range(LISTENING_BLOCKS))
    return encoder


def _groups(width: int) -> int:
    """Channels are normalised in 32 groups; narrow models have fewer."""
    most = 8 if width <= 16 else 16 if width <= 64 else 32
    for groups in (32, 16, 8, 4):
        if groups <= most and width % groups == 0:
            return groups
    raise ValueError(f"a width of {width} cannot be divided into groups of channels")


# --- hearing ---------------------------------------------------------------------------------------------------


def conditioning_latents(xtts: Any, audio: torch.Tensor, heard_s: int, chunk_s: int) -> torch.Tensor:
    """What the GPT is told of a voice: the mean of what it hears in each chunk.

    Args:
        xtts: of `build`, with its numbers.
        audio: float32 [1, samples] at 22,050 Hz, CPU.
        heard_s: seconds from the start that are heard; 0: all of them.
        chunk_s: the length of a chunk; a last one under `MIN_CHUNK_S` is not heard.

    Returns:
        float32 [1, 32, width], on the model's device.

    Raises:
        ValueError: there is no chunk to hear.
    """
    import torch

    if heard_s > 0:
        audio = audio[:, : heard_s * CONDITIONING_RATE_HZ]
    chunks = torch.split(audio, chunk_s * CONDITIONING_RATE_HZ, dim=1)
    heard = [_hear(xtts, chunk) for chunk in chunks if chunk.shape[1] >= MIN_CHUNK_S * CONDITIONING_RATE_HZ]
    if not heard:
        raise ValueError(f"{audio.shape[1]} samples are too few to hear a voice")
    return torch.stack(heard).mean(dim=0)


def _hear(xtts: Any, chunk: torch.Tensor) -> torch.Tensor:
    """[1, samples] -> [1, 32, width]."""
    gpt, spectrum = xtts.gpt, _mel_spectrum()(chunk)
    mel = spectrum.clamp(min=1e-5).log() / xtts.mel_stats.cpu()[:, None]
    frames = gpt.conditioning_encoder.init(mel.to(xtts.mel_stats.device))
    for block in gpt.conditioning_encoder.attn:
        frames = _listen(block, frames, gpt.heads)
    latents: torch.Tensor = gpt.conditioning_perceiver(frames.transpose(1, 2))
    return latents


@functools.cache
def _mel_spectrum() -> Any:
    """Power in 80 mel bands up to 8 kHz, each of the same area (Slaney's), every 11.6 ms."""
    from torchaudio.transforms import MelSpectrogram

    return MelSpectrogram(
        sample_rate=CONDITIONING_RATE_HZ, n_fft=2048, win_length=1024, hop_length=256, n_mels=MEL_BANDS,
        f_min=0, f_max=8000, power=2, norm="slaney",
    )  # fmt: skip


def _listen(block: Any, frames: torch.Tensor, heads: int) -> torch.Tensor:
    """Self-attention over frames [1, width, n]; what is added to is the normalised input, not the input.

    The channels of `qkv` lie head by head, each head's query, key and value together. Query and key are scaled
    one by one, before their product, which keeps every bit of coqui's sums.
    """
    normed = block.norm(frames)
    one, width, count = frames.shape
    size = width // heads
    query, key, value = block.qkv(normed).reshape(one * heads, 3 * size, count).split(size, dim=1)
    weights = ((query * size**-0.25).transpose(1, 2) @ (key * size**-0.25)).softmax(dim=-1)
    mixed: torch.Tensor = (value @ weights.transpose(1, 2)).reshape(one, width, count)
    return normed + block.proj_out(mixed)  # type: ignore[no-any-return]


def speaker_embedding(xtts: Any, audio: torch.Tensor) -> torch.Tensor:
    """What the vocoder is told of a voice.

    Args:
        xtts: of `build`, with its numbers.
        audio: float32 [1, samples] at 22,050 Hz, CPU.

    Returns:
        float32 [1, 512, 1] of length 1, where the speaker encoder lies.
    """
    from torchaudio.functional import resample

    encoder = xtts.hifigan_decoder.speaker_encoder
    audio = resample(audio, CONDITIONING_RATE_HZ, SPEAKER_RATE_HZ).to(next(encoder.parameters()).device)
    embedding: torch.Tensor = encoder(audio, l2_norm=True).unsqueeze(-1)
    return embedding
