"""A checkpoint on disk -> XTTS in memory (`voicekit.xtts_modules`), without a second copy of the weights.

coqui's own loader initialises half a billion random parameters, reads the whole file beside them
and rewrites it. Here the parameters are created without memory, the file is mapped, and the mapped
tensors become the parameters: pages are read when they are first used, and nothing is ever written
into the checkpoint's folder. All loading tricks of the project stay in this module.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import mmap
import os
import pickle
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicekit import kept_weights
from voicekit.checkpoint import Checkpoint
from voicekit.complexity import complexity
from voicekit.conditioning_cache import identity
from voicekit.convolutions import arithmetic_for
from voicekit.errors import ModelError, ModelUnavailable
from voicekit.foreign_files import (
    Refused,
    as_float32,
    check_settings,
    check_sizes,
    check_tensors,
    check_weights_file,
    is_zip,
    named_class,
)
from voicekit.gpt import LeanGPT
from voicekit.hifigan import Generator
from voicekit.kept_weights import NOTHING_KEPT, KeptWeights
from voicekit.native import kernels
from voicekit.xtts_config import ModelArguments, XTTSConfig, checked, parse
from voicekit.xtts_modules import build, import_classes

if TYPE_CHECKING:
    import torch

# Keys that coqui's trainer writes beside the model (Xtts.get_compatible_checkpoint_state_dict), and
# the inference wrapper, whose entries are second names of tensors that are in the file already.
_TRAINER_KEYS = ("torch_mel_spectrogram_style_encoder", "torch_mel_spectrogram_dvae", "dvae")
_ALIASES = ("gpt.gpt_inference.", "gpt.gpt.wte.")

# The only classes that a checkpoint may name. They become inert boxes: nothing of theirs runs. The
# released file pickles its configuration under the modules in which coqui kept these classes then.
_INERT_CLASSES = (
    "TTS.tts.models.xtts.XttsArgs",
    "TTS.tts.models.xtts.XttsAudioConfig",
    "TTS.tts.configs.xtts_config.XttsArgs",
    "TTS.tts.configs.xtts_config.XttsAudioConfig",
    "TTS.tts.configs.xtts_config.XttsConfig",
    "TTS.config.shared_configs.BaseDatasetConfig",
)


class InertConfig:
    """Takes the place of a pickled configuration: accepts its state, keeps nothing, does nothing."""

    def __setstate__(self, state: object) -> None:
        pass


def import_model() -> None:
    """Import torch and what is used of coqui's (1.5 s).

    Raises:
        ModelUnavailable: coqui-tts or one of its packages is missing or does not fit. It asks espeak-ng for its
            version, where that is installed; one that cannot even say this counts, too.
    """
    try:
        import_classes()
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        raise _unavailable(error) from error


def import_xtts() -> Any:
    """Import coqui's own model (4 s: transformers, and its trainer), which nothing that speaks needs; the class `Xtts`.

    Raises:
        ModelUnavailable: as `import_model`.
    """
    # transformers warns of GPT-2's token ids, which XTTS does not use; its other errors still show.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        from TTS.tts.models.xtts import Xtts
    except ImportError as error:
        raise _unavailable(error) from error
    return Xtts


def _unavailable(error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        f"XTTS cannot be imported ({error}).",
        "Install the packages: python -m pip install -r requirements.txt"
        " (the old package named TTS must not be installed; coqui-tts provides it).",
    )


@complexity(size="model_mb", time="O(1)", space="O(1)", stage="load_model")
def load_xtts(checkpoint: Checkpoint) -> Any:
    """Build XTTS over the checkpoint's mapped weights: float32, CPU, evaluation mode.

    Float32 weights are neither read nor copied here, whatever their size: a page is read when it is first used,
    and then it is the file's, once. Other precisions are copied: O(bytes).

    Returns:
        The module of `xtts_modules.build`, with the checkpoint's `config` (`XTTSConfig`) and coqui's `tokenizer`.

    Raises:
        ModelError: the folder is broken: unreadable or foreign files, missing or misshapen tensors.
        ModelUnavailable: packages are missing.
    """
    import_model()
    config = read_config(checkpoint.config)
    tokenizer = _read_tokenizer(checkpoint.vocab)
    args = _with_text_tokens(config.model_args, tokenizer, checkpoint.vocab)
    xtts = _build(args, tokenizer.get_number_tokens(), checkpoint)
    xtts.config, xtts.tokenizer = config, tokenizer
    _assign(xtts, read_state(checkpoint.weights), checkpoint.weights)
    xtts.eval()
    _fold_weight_norm(xtts.hifigan_decoder.waveform_decoder)
    return xtts


def read_config(path: Path) -> XTTSConfig:
    """A checkpoint's settings from its config.json.

    Raises:
        ModelError: not the configuration of an XTTS v2 model.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        kind = content.get("model")
        if kind != "xtts":
            named = repr(kind)[:40]
            raise ModelError(f"{path} is the configuration of another model ({named}, not 'xtts').", _REPLACE)
        config = parse(content)
        check_settings(config)
    except ModelError:
        raise
    except Exception as error:  # no JSON, no object, values of other types; a deep nesting is a RecursionError
        raise ModelError(f"{path} is no usable XTTS configuration ({_first_line(error)}).", _REPLACE) from error
    if not config.model_args.gpt_use_perceiver_resampler:
        raise ModelError(f"{path} describes XTTS v1; only XTTS v2 is spoken here.", _REPLACE)
    return config


def _read_tokenizer(path: Path) -> Any:
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    try:
        return VoiceBpeTokenizer(vocab_file=str(path))
    except Exception as error:  # the tokenizers library raises bare Exception for every kind of bad file
        raise ModelError(f"{path} is no usable tokenizer ({error}).", _REPLACE) from error


def _with_text_tokens(args: ModelArguments, tokenizer: Any, vocab: Path) -> ModelArguments:
    """Take the text tokens from the tokenizer, as coqui does; the release's config holds null for them."""
    found: dict[str, Any] = {}
    for field, token in (("gpt_start_text_token", "[START]"), ("gpt_stop_text_token", "[STOP]")):
        token_id = tokenizer.tokenizer.token_to_id(token)
        if token_id is None and getattr(args, field) is None:
            raise ModelError(f"{vocab} has no token {token}, and config.json does not say which one it is.", _REPLACE)
        if token_id is not None:
            found[field] = token_id
    return dataclasses.replace(args, **found)


def _build(args: ModelArguments, text_tokens: int, checkpoint: Checkpoint) -> Any:
    path = checkpoint.config
    try:
        check_sizes(checked(args), text_tokens, checkpoint.weights.stat().st_size)
        return build(args, text_tokens)
    except Exception as error:  # sizes that are no sizes: each layer of torch has its own error
        raise ModelError(
            f"{path} describes no XTTS that can be built ({type(error).__name__}: {_first_line(error)}).", _REPLACE
        ) from error


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Map the state of a `model.pth` into memory; no code of the file runs.

    Takes the release (which pickles configuration objects), coqui's trainer's files (keys with
    `xtts.` before them, keys that only training needs) and plain state files.

    Raises:
        ModelError: not a checkpoint, damaged, or one that names classes outside the allow-list.
    """
    import torch

    inert: list[Any] = [(InertConfig, name) for name in _INERT_CLASSES]
    try:
        check_weights_file(path)
        with torch.serialization.safe_globals(inert):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip(path))
    except (pickle.UnpicklingError, Refused) as error:
        # torch's own sentence recommends to open it with code and all.
        reason = _first_line(error) if isinstance(error, Refused) else named_class(error) or "it is no plain pickle"
        raise ModelError(
            f"{path} is damaged, or holds more than weights: it was not opened ({reason}).", _REPLACE
        ) from error
    except Exception as error:  # damaged bytes: struct.error, IndexError, AssertionError, whatever the unpickler met
        raise ModelError(f"{path} cannot be read as a checkpoint ({_first_line(error)}).", _REPLACE) from error
    state = content.get("model", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise ModelError(f"{path} holds no model.", _REPLACE)
    named = {str(key).removeprefix("xtts."): tensor for key, tensor in state.items()}
    return {
        key: tensor
        for key, tensor in named.items()
        if key.split(".")[0] not in _TRAINER_KEYS and not key.startswith(_ALIASES)
    }


def _assign(xtts: Any, state: dict[str, torch.Tensor], path: Path) -> None:
    wanted = xtts.state_dict()
    try:
        check_tensors(state, wanted)
        state = as_float32(state, wanted)
        xtts.load_state_dict(state, strict=True, assign=True)
    except (Refused, RuntimeError, AttributeError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelError(
            f"{path} does not fit its config.json: {' '.join(lines[1:3])[:300] or lines[0]}", _REPLACE
        ) from error


def _fold_weight_norm(decoder: Any) -> None:
    """Compute the vocoder's normalised weights once instead of at each call; the same numbers."""
    from torch.nn.utils import parametrize

    for module in decoder.modules():
        if parametrize.is_parametrized(module, "weight"):
            # Not under no_grad: torch would make buffers of them, which nobody counts as parameters.
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)


def kept(checkpoint: Checkpoint, precision: str) -> KeptWeights:
    """What an earlier run laid out for the native kernels of this processor; nothing where there are none."""
    compiled = kernels()
    if compiled is None:
        return NOTHING_KEPT
    return KeptWeights(kept_weights.place(identity(checkpoint), precision, compiled.lanes))


def lean_gpt(xtts: Any, precision: str, kept: KeptWeights = NOTHING_KEPT) -> LeanGPT:
    """Take the GPT's layers out of the model, in `float32`, `bfloat16` or `float16`.

    Where they are copied to a faster layout or a narrower type, the mapped pages are given back matrix by matrix, so
    that the peak is not the sum of both. Embeddings, norms and heads stay float32.
    """
    import torch

    lean = LeanGPT(xtts.gpt, getattr(torch, precision), kernels(), _page_releaser(), kept)
    xtts.gpt.gpt = torch.nn.Identity()
    return lean


def generator(xtts: Any, kept: KeptWeights = NOTHING_KEPT) -> Generator:
    """Take the vocoder's network out of the model."""
    import torch

    decoder = xtts.hifigan_decoder
    arithmetic = arithmetic_for(decoder.waveform_decoder.conv_pre.weight, kept)
    taken = Generator(decoder, arithmetic=arithmetic, given_back=_page_releaser())
    xtts.hifigan_decoder.waveform_decoder = torch.nn.Identity()
    return taken


# --- pages ---------------------------------------------------------------------------------------------------


def read_ahead(checkpoint: Checkpoint) -> None:
    """Ask the kernel to read the weights into its cache while something else is done (the imports take seconds).

    Of a checkpoint whose matrices were kept by an earlier run, these: they are nearly all that is needed.
    """
    if not hasattr(os, "posix_fadvise"):
        return  # not Linux: the pages are read when they are touched
    with contextlib.suppress(OSError):  # removed meanwhile, or somebody else's: whoever needs it says so
        path = kept_weights.latest(identity(checkpoint)) or checkpoint.weights
        with path.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def release_pages(tensors: Iterable[torch.Tensor]) -> None:
    """Give back the memory of mapped weights that are not needed for a while; touched again, they are read again.

    Only whole pages that the kernel lists as mapped from a file are given back (Linux; elsewhere nothing
    happens): of a tensor that is the checkpoint. Weights are never written to, so nothing can be lost.
    """
    _page_releaser()(tensors)


def _page_releaser() -> Callable[[Iterable[torch.Tensor]], None]:
    """`release_pages` for the mappings that there are now: to look them up takes longer than to give pages back."""
    mapped = _file_mappings()
    return lambda tensors: _release(tensors, mapped) if mapped else None


def _release(tensors: Iterable[torch.Tensor], mapped: list[tuple[int, int]]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for tensor in tensors:
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if start < end and any(low <= start and end <= high for low, high in mapped):
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _file_mappings() -> list[tuple[int, int]]:
    """Address ranges that are mapped from files, whatever their names: the hub's cache names them by hash."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines)  # addresses, permissions, offset, device, inode, path
    ranges = (field[0].split("-") for field in fields if len(field) > 5 and field[4] != "0")
    return [(int(low, 16), int(high, 16)) for low, high in ranges]


def _first_line(error: Exception) -> str:
    """Whoever reads it has no use for the rest; the log has the whole error, as the cause."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


_REPLACE = "Copy the model's files anew, or give another folder with --model DIR."
