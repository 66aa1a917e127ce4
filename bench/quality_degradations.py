"""Clean speech -> the same speech as bad recordings hold it, with what it should sound like beside it.

Each degradation is a function ``(clean, level, rng) -> Degraded``; ``GRID`` lists the cells of the benchmark: one
degradation at one level. Nothing is random but what ``rng`` gives, and ``generator`` seeds it from the names of file
and kind, so that a file has the same noise, only louder, at every level.

The clean file's level and rate stay what they are, except where a level names dBFS, and where a sum would pass full
scale: then speech and reference are turned down together (a sum that names dBFS keeps its disturbance, only the
speech is turned down). What "level" means: noise kinds: signal-to-noise ratio in dB, mean powers of the whole file;
hum: RMS of fundamental and five harmonics (amplitudes 1/k) in dBFS; clip: the share of the peak at which the tops are
flat, with the flat tops at full scale, as a converter leaves them; clip_down: the same, turned down by 12 dB; reverb:
RT60 in seconds of a Gaussian tail that carries the same energy as the direct path; level: RMS in dBFS; mp3: kbit/s;
dc: of full scale; silence: the share of the result that was inserted; telephone, phase and clean have none.

The reference has the time axis of the degraded file: the clean speech, for silence with the same silences in it (so the
input is its own reference there: the cell asks whether speech is lost), and None for two speakers, where no alignment
is right. In that cell the clean file's speaker is the voice that should remain.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, correlate, fftconvolve, sosfiltfilt

Samples = NDArray[np.float64]

FULL_SCALE = 0.999
DECISIVE_HZ = 5500.0  # under this the project calls a recording narrow
HUM_COMPONENTS = 6
PAUSE_S, PAUSE_DB = 0.1, 25.0  # a pause: so long, so far under the loud frames
PIECE_GAP_S = 0.2
BABBLERS = 5


class Impossible(Exception):
    """This degradation cannot be made here; says why."""


@dataclass(frozen=True)
class Clean:
    """``samples`` ``[n]`` at ``rate`` Hz; ``others``: other speakers at this rate; ``noises``: recorded noise."""

    samples: Samples
    rate: int
    others: tuple[Samples, ...] = ()
    noises: tuple[Samples, ...] = ()


@dataclass(frozen=True)
class Degraded:
    """``samples`` ``[channels, n]``; ``reference`` ``[n]``: what it should sound like, None without alignment."""

    samples: Samples
    reference: Samples | None


Level = float | str | None
Degradation = Callable[[Clean, Level, np.random.Generator], Degraded]


@dataclass(frozen=True)
class Cell:
    """One degradation at one level. severity: 1 is the mildest of its kind. expects: codes to be raised."""

    kind: str
    level: Level
    degrade: Degradation
    severity: int = 1
    expects: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Kind and level in words."""
        return self.kind if self.level is None else f"{self.kind} {self.level}"


def generator(file_name: str, kind: str) -> np.random.Generator:
    """The same for every level of one kind on one file, on every machine."""
    return np.random.default_rng([zlib.crc32(file_name.encode()), zlib.crc32(kind.encode())])


def write_wav(degraded: Degraded, rate: int, path: Path) -> Path:
    """Writes 16 bits without dither; what passes full scale is cut."""
    whole = np.clip(np.rint(degraded.samples.T * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(path, whole, rate, subtype="PCM_16")
    return path


# --- noise -------------------------------------------------------------------------------------------


def white(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """White Gaussian noise."""
    return _mixed(clean.samples, rng.standard_normal(len(clean.samples)), _number(level))


def pink(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Gaussian noise whose power falls by 3 dB an octave from 20 Hz on."""
    count = len(clean.samples)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / clean.rate), 20.0)
    return _mixed(clean.samples, np.fft.irfft(spectrum / np.sqrt(hertz), count), _number(level))


def babble(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Up to five other speakers at once, equally loud."""
    if not clean.others:
        raise Impossible("no other speaker among the files")
    talk = sum(_looped(voice / _rms(voice), len(clean.samples), rng) for voice in clean.others[:BABBLERS])
    return _mixed(clean.samples, np.asarray(talk), _number(level))


def recorded(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Recorded noise from a random place, repeated where it is short."""
    if not clean.noises:
        raise Impossible("no recorded noise (--noise or --pairs)")
    noise = clean.noises[int(rng.integers(len(clean.noises)))]
    return _mixed(clean.samples, _looped(noise, len(clean.samples), rng), _number(level))


def hum50(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Mains hum of 50 Hz."""
    return _hum(clean, 50.0, _number(level), rng)


def hum60(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Mains hum of 60 Hz."""
    return _hum(clean, 60.0, _number(level), rng)


def _hum(clean: Clean, mains_hz: float, level_dbfs: float, rng: np.random.Generator) -> Degraded:
    at = np.arange(len(clean.samples)) / clean.rate
    phases = rng.uniform(0, 2 * np.pi, HUM_COMPONENTS)
    hum = sum(np.sin(2 * np.pi * mains_hz * k * at + phases[k - 1]) / k for k in range(1, HUM_COMPONENTS + 1))
    return _added(clean.samples, np.asarray(hum) / _rms(np.asarray(hum)) * 10 ** (level_dbfs / 20))


def _mixed(speech: Samples, noise: Samples, snr_db: float) -> Degraded:
    noise = noise - noise.mean()
    mixture = speech + noise * (_rms(speech) / _rms(noise) * 10 ** (-snr_db / 20))
    scale = _within_full_scale(mixture)
    return Degraded((mixture * scale)[None], speech * scale)


def _added(speech: Samples, disturbance: Samples) -> Degraded:
    """Speech is turned down until the sum fits; the disturbance keeps its level."""
    room = FULL_SCALE - float(np.abs(disturbance).max())
    speech = speech * min(1.0, room / float(np.abs(speech).max()))
    return Degraded((speech + disturbance)[None], speech)


def _looped(noise: Samples, count: int, rng: np.random.Generator) -> Samples:
    start = int(rng.integers(len(noise)))
    return np.resize(np.roll(noise, -start), count)


# --- gear and room -----------------------------------------------------------------------------------


def clip(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Overdriven: flat tops at full scale."""
    driven = clean.samples / (np.abs(clean.samples).max() * _number(level))
    return Degraded(np.clip(driven, -1.0, 1.0)[None], clean.samples)


def clip_down(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Overdriven, written with 16 bits, and turned down by 12 dB after that."""
    flat = np.rint(clip(clean, level, rng).samples * 32767) / 32767
    return Degraded(flat * 10 ** (-12 / 20), clean.samples)


def reverb(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """A room: the direct path and its tail; the reference is the direct path."""
    heard = fftconvolve(clean.samples, impulse_response(_number(level), clean.rate, rng))[: len(clean.samples)]
    scale = _within_full_scale(heard)
    return Degraded((heard * scale)[None], clean.samples * scale)


def impulse_response(rt60_s: float, rate: int, rng: np.random.Generator) -> Samples:
    """1 at time 0, then from 1 ms on Gaussian noise that falls by 60 dB in ``rt60_s``, of energy 1."""
    at = np.arange(round(1.2 * rt60_s * rate)) / rate
    tail = rng.standard_normal(len(at)) * 10 ** (-3 * at / rt60_s) * (at >= 0.001)
    tail /= np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    return tail


def quiet(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Recorded far too low."""
    return Degraded((clean.samples / _rms(clean.samples) * 10 ** (_number(level) / 20))[None], clean.samples)


def mp3(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Through LAME inside libsndfile, constant rate, and back; the codec's delay is taken out."""
    top, bottom = (320, 32) if clean.rate >= 32_000 else (160, 8)  # MPEG-1, MPEG-2: libsndfile's 0 to 1
    strength = min((top - _number(level)) / (top - bottom), 0.999)
    stream = io.BytesIO()
    options = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
    try:
        soundfile.write(stream, clean.samples, clean.rate, compression_level=strength, **options)
        stream.seek(0)
        decoded, _ = soundfile.read(stream)
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        raise Impossible(f"this libsndfile writes no MP3 at this rate ({error})") from error
    late = int(np.argmax(correlate(decoded, clean.samples, "full"))) - (len(clean.samples) - 1)
    back = np.pad(decoded, (max(0, -late), len(clean.samples)))[max(0, late) :][: len(clean.samples)]
    scale = _within_full_scale(back)
    return Degraded((back * scale)[None], clean.samples * scale)


def telephone(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """300 to 3,400 Hz at 8 kHz, brought back to the file's rate."""
    narrow = soxr.resample(clean.samples, clean.rate, 8000)
    narrow = sosfiltfilt(butter(4, (300, 3400), "bandpass", fs=8000, output="sos"), narrow)
    back = np.pad(soxr.resample(narrow, 8000, clean.rate), (0, 64))[: len(clean.samples)]
    return Degraded(back[None], clean.samples)


def dc(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """A constant added."""
    return _added(clean.samples, np.full(len(clean.samples), _number(level)))


def phase(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Two channels of opposite polarity, each with its own noise of -70 dBFS: their mean holds no voice."""
    noise = rng.standard_normal((2, len(clean.samples))) * 10 ** (-70 / 20)
    return Degraded(np.stack([clean.samples, -clean.samples]) + noise, clean.samples)


def unchanged(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """As it is: what must not be harmed."""
    return Degraded(clean.samples[None], clean.samples)


# --- what is spoken, and by whom -----------------------------------------------------------------------


def silence(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """Equal silences (noise as low as the file's quietest frames) at both ends and in up to five pauses."""
    places = [0, *_spread(pauses(clean.samples, clean.rate), 5), len(clean.samples)]
    total = len(clean.samples) * _number(level) / (1 - _number(level))
    lengths = np.diff(np.rint(np.linspace(0, total, len(places) + 1)).astype(int))
    pieces = [clean.samples[: places[0]]]
    for place, following, length in zip(places, [*places[1:], len(clean.samples)], lengths, strict=True):
        pieces += [rng.standard_normal(length) * floor_rms(clean.samples, clean.rate), clean.samples[place:following]]
    longer = np.concatenate(pieces)
    return Degraded(longer[None], longer)


def two(clean: Clean, level: Level, rng: np.random.Generator) -> Degraded:
    """The least similar other speaker, equally loud: "appended", or "alternating" in thirds cut at pauses."""
    if not clean.others:
        raise Impossible("no other speaker among the files")
    second = clean.others[0] / _rms(clean.others[0]) * _rms(clean.samples)
    gap = np.zeros(round(PIECE_GAP_S * clean.rate)) + floor_rms(clean.samples, clean.rate)
    gap = gap * rng.standard_normal(len(gap))
    parts = 1 if level == "appended" else 3
    turns = zip(_cut(clean.samples, clean.rate, parts), _cut(second, clean.rate, parts), strict=True)
    whole = np.concatenate([piece for mine, other in turns for piece in (mine, gap, other, gap)])
    return Degraded((whole * _within_full_scale(whole))[None], None)


def pauses(samples: Samples, rate: int) -> list[int]:
    """The middles of the pauses inside, in samples."""
    frame = round(0.02 * rate)
    power = _frame_power(samples, frame)
    low = power < np.percentile(power, 95) * 10 ** (-PAUSE_DB / 10)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], low.astype(int), [0]])))
    runs = [(start, end) for start, end in edges.reshape(-1, 2) if (end - start) * 0.02 >= PAUSE_S]
    return [int((start + end) * frame // 2) for start, end in runs if start > 0 and end < len(power)]


def floor_rms(samples: Samples, rate: int) -> float:
    """RMS of the quietest twentieth of the frames; at least -90 dBFS."""
    return float(max(np.sqrt(np.percentile(_frame_power(samples, round(0.02 * rate)), 5)), 10 ** (-90 / 20)))


def bandwidth_hz(samples: Samples, rate: int) -> float:
    """The highest frequency within 50 dB of the mean spectrum's peak (NeMo's rule, at the file's own rate)."""
    from scipy.signal import stft

    _, _, spectrum = stft(samples, rate, "blackmanharris", 512)
    mean_db = 10 * np.log10(np.mean(np.abs(spectrum) ** 2, axis=1) + 1e-20)
    return float(np.flatnonzero(mean_db > mean_db.max() - 50)[-1] * rate / 512)


def _cut(samples: Samples, rate: int, parts: int) -> list[Samples]:
    """So many parts, cut at the pauses nearest to equal lengths."""
    places = pauses(samples, rate)
    even = [len(samples) * k // parts for k in range(1, parts)]
    cuts = sorted({places[int(np.argmin(np.abs(np.array(places) - at)))] if places else at for at in even})
    found = np.split(samples, cuts)
    return found + [np.zeros(0)] * (parts - len(found))


def _spread(places: list[int], most: int) -> list[int]:
    if len(places) <= most:
        return places
    return [places[k] for k in np.linspace(0, len(places) - 1, most).round().astype(int)]


def _frame_power(samples: Samples, frame: int) -> Samples:
    count = len(samples) // frame
    return np.asarray(np.square(samples[: count * frame]).reshape(count, frame).mean(axis=1))


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def _within_full_scale(samples: Samples) -> float:
    return min(1.0, FULL_SCALE / max(float(np.abs(samples).max()), 1e-9))


def _number(level: Level) -> float:
    if level is None or isinstance(level, str):
        raise TypeError(f"a number is needed, not {level!r}")
    return level


# --- the grid ----------------------------------------------------------------------------------------


def _kind(name: str, degrade: Degradation, levels: tuple[Level, ...], code: str = "", severe: int = 1) -> list[Cell]:
    """Cells of one kind, the mildest level first; from ``severe`` on the code is expected."""
    expected = (code,) if code else ()
    cells = enumerate(levels, 1)
    return [Cell(name, level, degrade, rank, expected if rank >= severe else ()) for rank, level in cells]


SNRS_DB = (20, 15, 10, 5, 0)
GRID: tuple[Cell, ...] = (
    *_kind("clean", unchanged, (None,)),
    *_kind("white", white, SNRS_DB, "noisy", severe=4),
    *_kind("pink", pink, SNRS_DB, "noisy", severe=4),
    *_kind("babble", babble, SNRS_DB, "noisy", severe=4),
    *_kind("recorded", recorded, SNRS_DB, "noisy", severe=4),
    *_kind("hum50", hum50, (-30, -20), "hum"),
    *_kind("hum60", hum60, (-30, -20), "hum"),
    *_kind("clip", clip, (0.5, 0.25, 0.1), "clipped", severe=2),
    *_kind("clip_down", clip_down, (0.5, 0.25, 0.1), "clipped", severe=2),
    *_kind("reverb", reverb, (0.3, 0.6, 1.0), "reverberant", severe=3),
    *_kind("level", quiet, (-45,), "too_quiet"),
    *_kind("mp3", mp3, (32,), "narrow_band"),  # expected of a file whose cut-off is under DECISIVE_HZ
    *_kind("telephone", telephone, (None,), "narrow_band"),
    *_kind("dc", dc, (0.05,), "dc_offset"),
    *_kind("silence", silence, (0.4,), "mostly_silence"),
    *_kind("phase", phase, (None,), "out_of_phase"),
    *_kind("two", two, ("appended", "alternating"), "several_speakers"),
)
QUICK = ("clean", "white 10", "recorded 5", "hum50 -30", "clip 0.25", "reverb 0.6", "silence 0.4", "two alternating")


def expected_codes(cell: Cell, samples: Samples, rate: int) -> tuple[str, ...]:
    """What should be raised of this file; an MP3 is narrow only if its encoder made it so."""
    if cell.kind == "mp3" and bandwidth_hz(samples.mean(axis=0), rate) >= DECISIVE_HZ:
        return ()
    return cell.expects
