"""How good a sample became: each number by a published model or formula, none by this project's own code.

Non-intrusive: DNSMOS P.835 SIG, BAK and OVRL (the network inside speechmos, run over all windows that speechmos takes).
Against the reference, at 16 kHz: STOI, PESQ wide-band, SI-SDR (Le Roux 2019, means kept: an offset counts as noise;
up to 7 kHz, because the filters of a rate conversion begin there and would decide the number for a 16 kHz file).
Before that a constant delay is found by cross-correlation, to a hundredth of a sample (half a sample wrong costs a
good result 10 dB of SI-SDR), and both are cut to their overlap; polarity does not count.

Against the clean original: cosine of Resemblyzer's speaker embeddings, both brought to one level first (its spectrum
is not logarithmic: 12 dB louder, a voice had 0.90 instead of 0.99). DNSMOS hears the level as it is; it likes full
scale less. By BS.1770 (pyloudnorm) and a fourfold oversampled peak: whether the level is what the project promises. A
number that cannot be told (no speech left, package missing, under a second in common) is None.

Files are heard as XTTS hears them: the mean of their channels.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RATE_HZ = 16_000
CONTEXT = 256  # samples beside a span, for shifting it by a fraction
SEARCH_S = 0.05  # the largest delay of a contestant that does not trim
EMBEDDED_DBFS = -22.0
COMMON_S = 1.0  # of the overlap at least
TARGET_LUFS, TARGET_DBTP = -20.0, -3.0
WINDOW_S = 9.01
NEEDS = {"sig": "speechmos", "stoi": "pystoi", "pesq": "pesq", "cosine": "resemblyzer", "level_ok": "pyloudnorm"}


@dataclass(frozen=True)
class Heard:
    """A file's mean channel: ``samples`` ``[n]`` at ``rate`` Hz."""

    samples: Samples
    rate: int

    @property
    def at_16k(self) -> Samples:
        """The same at 16 kHz."""
        return to_16k(self.samples, self.rate)


def hear(path: Path) -> Heard:
    """Reads a file and averages its channels."""
    samples, rate = soundfile.read(path, always_2d=True)
    return Heard(samples.mean(axis=1), rate)


def to_16k(samples: Samples, rate: int) -> Samples:
    """Resampled by soxr."""
    return samples if rate == RATE_HZ else np.asarray(soxr.resample(samples, rate, RATE_HZ, quality="VHQ"))


def missing_packages() -> dict[str, str]:
    """Metric -> the package that it lacks here."""
    return {metric: package for metric, package in NEEDS.items() if importlib.util.find_spec(package) is None}


# --- alignment ---------------------------------------------------------------------------------------


def lay(reference: Samples, rate: int, edits: Iterable[tuple[float, float]]) -> Samples:
    """Cuts the reference as the result was cut: its spans (start, end in seconds), in their order.

    Spans may lie between samples (they were cut at another rate): each is shifted by a fraction of a sample, so that
    all of them stand exactly where the seconds say.
    """
    pieces, at_s = [reference[:0]], 0.0
    for start_s, end_s in edits:
        first, ends_s = round(at_s * rate), at_s + end_s - start_s
        pieces.append(_taken(reference, first + (start_s - at_s) * rate, round(ends_s * rate) - first))
        at_s = ends_s
    return np.concatenate(pieces)


def _taken(samples: Samples, start: float, count: int) -> Samples:
    """``count`` samples from a place between samples on; silence where there are none."""
    whole = int(np.floor(start + 1e-6))
    fraction = start - whole if start - whole > 1e-6 else 0.0
    padded = np.pad(samples, CONTEXT)[max(0, whole) : max(0, whole + count + 2 * CONTEXT)]
    padded = np.pad(padded, (0, max(0, count + 2 * CONTEXT - len(padded))))
    return (_advanced(padded, fraction) if fraction else padded)[CONTEXT : CONTEXT + count]


def delay(reference: Samples, result: Samples, search: int | None = None) -> float:
    """By how many samples ``result`` is late: the largest correlation of either sign, within ``search``."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(reference) + len(result) + 64, real=True)
    first, second = rfft(reference - reference.mean(), size), rfft(result - result.mean(), size)
    correlation = irfft(first.conj() * second, size)
    lags = np.arange(-len(reference) + 1, len(result))
    if search is not None:
        lags = lags[np.abs(lags) <= search]
    best = int(lags[np.argmax(np.abs(correlation[lags]))])
    return best + _peak(correlation[(best + np.arange(-32, 33)) % size])


def _peak(around: Samples) -> float:
    """Where between the samples the middle one's peak lies, -0.6 to 0.6: windowed sinc interpolation."""
    offsets = np.linspace(-0.6, 0.6, 121)[:, None]
    places = np.arange(len(around)) - len(around) // 2
    kernel = np.sinc(offsets - places) * np.cos(np.pi * places / (len(around) + 1)) ** 2
    return float(offsets[np.argmax(np.abs(kernel @ around)), 0])


def align(reference: Samples, result: Samples, search: int | None = None) -> tuple[Samples, Samples]:
    """Takes the delay out and cuts both to what they have in common."""
    late = delay(reference, result, search)
    whole = round(late)
    result = _advanced(result, late - whole)
    reference, result = (reference, result[whole:]) if whole >= 0 else (reference[-whole:], result)
    common = min(len(reference), len(result))
    return reference[:common], result[:common]


def _advanced(samples: Samples, fraction: float) -> Samples:
    """Earlier by a fraction of a sample, band-limited."""
    padded = np.pad(samples, (0, CONTEXT))
    turn = np.exp(2j * np.pi * np.fft.rfftfreq(len(padded)) * fraction)
    return np.fft.irfft(np.fft.rfft(padded) * turn, len(padded))[: len(samples)]


# --- metrics -----------------------------------------------------------------------------------------


def intrusive(reference: Samples, result: Samples, search: int | None) -> dict[str, float | None]:
    """STOI, PESQ-wb, SI-SDR in dB, and seconds in common; both at 16 kHz."""
    nothing: dict[str, float | None] = {"stoi": None, "pesq": None, "si_sdr": None, "common_s": None}
    if min(len(reference), len(result)) < RATE_HZ * COMMON_S or not result.any():
        return nothing
    reference, result = align(reference, result, search)
    if len(reference) < RATE_HZ * COMMON_S:
        return nothing
    values = {"stoi": stoi(reference, result), "pesq": pesq(reference, result)}
    values["si_sdr"] = si_sdr(band_limited(reference), band_limited(result))
    return values | {"common_s": len(reference) / RATE_HZ}


def band_limited(samples: Samples) -> Samples:
    """Up to 7 kHz, silent from 7.4 on, no phase."""
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    gain = 0.5 + 0.5 * np.cos(np.pi * np.clip((hertz - 7000) / 400, 0, 1))
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def si_sdr(reference: Samples, result: Samples) -> float:
    """Scale-invariant signal-to-distortion ratio in dB; 60 at most, lest copies of the reference make up the means."""
    target = np.dot(result, reference) / max(np.dot(reference, reference), 1e-20) * reference
    rest = np.square(result - target).sum()
    return float(np.clip(10 * np.log10(max(np.square(target).sum(), 1e-20) / max(rest, 1e-20)), -60, 60))


def stoi(reference: Samples, result: Samples) -> float | None:
    """Short-time objective intelligibility, about 0 to 1 (Taal 2011)."""
    if importlib.util.find_spec("pystoi") is None:
        return None
    from pystoi import stoi as measure

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        value = float(measure(reference, result, RATE_HZ))
    return None if any("Not enough" in str(warning.message) for warning in said) else value


def pesq(reference: Samples, result: Samples) -> float | None:
    """ITU-T P.862.2, wide-band: 1 to 4.64. Both are given the same peak, so that nothing is clipped inside."""
    if importlib.util.find_spec("pesq") is None:
        return None
    from pesq import PesqError
    from pesq import pesq as measure

    scaled = [(0.5 * signal / max(np.abs(signal).max(), 1e-9)).astype(np.float32) for signal in (reference, result)]
    try:
        return float(measure(RATE_HZ, scaled[0], scaled[1], "wb"))
    except PesqError:
        return None


def dnsmos(samples: Samples, most_windows: int | None = None) -> dict[str, float | None]:
    """SIG, BAK, OVRL: means over the windows, one a second, of a signal looped to 9.01 s at least.

    most_windows: at most so many, spread evenly; None is every one that speechmos takes.
    """
    if importlib.util.find_spec("speechmos") is None or not samples.any():
        return dict.fromkeys(("sig", "bak", "ovrl"))
    length = int(WINDOW_S * RATE_HZ)
    signal = (samples / max(1.0, float(np.abs(samples).max()))).astype(np.float32)
    while len(signal) < length:
        signal = np.concatenate([signal, signal])
    count = int(len(signal) // RATE_HZ - WINDOW_S) + 1
    starts = [k for k in range(count) if int((k + WINDOW_S) * RATE_HZ) - k * RATE_HZ >= length]
    if most_windows is not None and len(starts) > most_windows:
        starts = [starts[k] for k in np.linspace(0, len(starts) - 1, most_windows).round().astype(int)]
    session = _network()
    raw = [session.run(None, {"input_1": signal[None, k * RATE_HZ :][:, :length]})[0][0] for k in starts]
    fits = ((-0.08397278, 1.22083953, 0.0052439), (-0.13166888, 1.60915514, -0.39604546),
            (-0.06766283, 1.11546468, 0.04602535))  # speechmos 0.0.1.1, get_polyfit_val()
    means = [float(np.mean(np.polyval(fit, np.array(raw)[:, k]))) for k, fit in enumerate(fits)]
    return dict(zip(("sig", "bak", "ovrl"), means, strict=True))


@lru_cache(maxsize=1)
def _network() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    spec = importlib.util.find_spec("speechmos")
    assert spec is not None and spec.origin is not None
    model = Path(spec.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def embedding(samples: Samples) -> NDArray[np.float32] | None:
    """Resemblyzer's 256 numbers of a voice at 16 kHz, of length 1; None under half a second of speech."""
    if importlib.util.find_spec("resemblyzer") is None or not samples.any():
        return None
    from resemblyzer import preprocess_wav

    speech = preprocess_wav(at_one_level(samples).astype(np.float32))
    return _encoder().embed_utterance(speech) if len(speech) >= RATE_HZ // 2 else None


def at_one_level(samples: Samples) -> Samples:
    """The louder frames (95th percentile of 20 ms, offset aside) at -22 dBFS; peaks at full scale at most."""
    frame = RATE_HZ // 50
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    if not len(frames):
        return samples
    power = max(float(np.percentile(frames.var(axis=1), 95)), 1e-14)
    louder = samples * np.sqrt(10 ** (EMBEDDED_DBFS / 10) / power)
    return np.asarray(louder / max(1.0, float(np.abs(louder).max())))


@lru_cache(maxsize=1)
def _encoder() -> Any:
    import torch
    from resemblyzer import VoiceEncoder

    torch.set_num_threads(1)
    return VoiceEncoder("cpu", verbose=False)


def cosine(first: NDArray[np.float32] | None, second: NDArray[np.float32] | None) -> float | None:
    """Of two embeddings."""
    return None if first is None or second is None else float(np.dot(first, second))


def loudness(heard: Heard) -> dict[str, float | None]:
    """Integrated loudness in LUFS, true peak in dBTP, and 1.0 where both are as promised, else 0.0.

    Promised: -20 LUFS within 1 LU, or less where the peak is at its bound (within 0.5 dB of -3 dBTP); and the
    peak at most 0.1 dB over -3 dBTP.
    """
    from scipy.signal import resample_poly

    peak = float(np.abs(resample_poly(heard.samples, 4, 1)).max()) if len(heard.samples) else 0.0
    true_peak = 20 * np.log10(max(peak, 1e-9))
    integrated = _integrated(heard)
    if integrated is None:
        return {"lufs": None, "dbtp": float(true_peak), "level_ok": None}
    loud_enough = abs(integrated - TARGET_LUFS) <= 1.0
    limited = integrated < TARGET_LUFS and true_peak >= TARGET_DBTP - 0.5
    fine = (loud_enough or limited) and true_peak <= TARGET_DBTP + 0.1
    return {"lufs": integrated, "dbtp": float(true_peak), "level_ok": float(fine)}


def _integrated(heard: Heard) -> float | None:
    if importlib.util.find_spec("pyloudnorm") is None or len(heard.samples) < 0.4 * heard.rate + 1:
        return None
    import pyloudnorm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = float(pyloudnorm.Meter(heard.rate).integrated_loudness(heard.samples))
    return value if np.isfinite(value) else None
