"""An analysed recording -> its picture: the waveform over the spectrogram, speech and pauses marked.

Drawn with matplotlib's Figure objects on Agg (no window, no pyplot, no style of the user's), the spectrogram by
librosa. Measures nothing: what is marked was found by the analysis.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voicekit.audio import Audio, PathLike, resample
from voicekit.improvement import Analysis
from voicekit.measurement import HEARD_S
from voicekit.publishing import check_target, write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

RATE_HZ = 24_000  # what is drawn ends at half of it
HEARD_HZ = 8_000  # XTTS's mel spectrum of a voice ends here (TTS/tts/models/xtts.py: mel_fmax)
BANDS = 112  # mel bands, about two pixels each
COLUMNS = 700  # of the spectrogram and the waveform, at most: about one a pixel
WINDOW, HOP = 1_024, 512  # samples: 43 ms every 21 ms, so that harmonics and syllables both show
DEPTH_DB = 72.0  # what lies that far under the loudest moment is paper
TICKS_HZ = (500, 1_000, 2_000, 4_000, 8_000)
RAMP_COLOURS = 48  # of the spectrogram in a PNG file: more cannot be told apart, and each costs bytes

PLOT_SUFFIXES = (".png",)


@dataclass(frozen=True)
class Theme:
    """The colours of a picture, as HTML writes them; `ramp` is the spectrogram's, from silent to loud."""

    paper: str
    ink: str
    muted: str
    voice: str
    pause: str
    limit: str
    ramp: tuple[str, ...]


LIGHT = Theme("#ffffff", "#1b2430", "#5a6675", "#0b7a75", "#b4bec9", "#a34a00",
              ("#ffffff", "#dff0ee", "#8fcbc4", "#2f948d", "#0c5a5c", "#06262f"))
DARK = Theme("#182029", "#e8edf2", "#a3b0be", "#4fc3b8", "#5b6977", "#f0a860",
             ("#182029", "#173a42", "#1b6a6c", "#2fa39a", "#8fe0d0", "#f4fff8"))


LEFT, RIGHT, BELOW, STRIP, GAP = 0.68, 0.18, 0.36, 0.11, 0.08  # inches around and between the panels


@dataclass(frozen=True)
class Format:
    """The size of a picture, all in inches but the resolution and the letters."""

    width: float = 4.7
    waveform: float = 0.85
    spectrogram: float = 1.75
    dpi: int = 168
    letters_pt: float = 10.5
    title: float = 0.1  # what is kept free above

    @property
    def height(self) -> float:
        """Of the whole picture, in the units of its parts."""
        return self.title + self.waveform + self.spectrogram + BELOW + STRIP + 2 * GAP

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of the picture of one recording."""
        return int(self.width * self.dpi), int(self.height * self.dpi)


PAGE = Format()  # for the report: its letters can be read on a telephone and beside a second one on a desk
PLOT = Format(width=10.0, waveform=1.15, spectrogram=2.3, dpi=144, letters_pt=10.0, title=0.5)


def sample_picture(
    analysis: Analysis,
    audio: Audio,
    *,
    title: str = "",
    theme: Theme = LIGHT,
    form: Format = PAGE,
    peak: float | None = None,
) -> Figure:
    """The picture of one recording.

    Args:
        analysis: where in the file it was examined, and where somebody speaks, in seconds of the examined part.
        audio: the examined part, one channel of any rate.
        title: written above; `form` must have room for it.
        peak: the sample magnitude that fills the waveform's panel; None: this recording's own.
    """
    return _stack([(analysis, audio, title)], theme, form, peak)


def shown_peak(analysis: Analysis, audio: Audio) -> float:
    """The highest sample magnitude in the part that is drawn; two pictures with the larger one can be compared."""
    return float(np.abs(_samples(analysis, audio)).max(initial=0.0))


def png_bytes(figure: Figure, *, theme: Theme = LIGHT) -> bytes:
    """The PNG file of a figure in this theme, in the theme's own colours (a third of the size), without metadata."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)  # untyped where it draws
    with _own_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a name in a script that the font lacks: boxes
        canvas.draw()
    palette = _palette(theme)
    image = Image.fromarray(_in_palette(np.asarray(canvas.buffer_rgba())[:, :, :3], palette))
    image.putpalette(palette.ravel().tolist())
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _in_palette(pixels: Bytes, palette: Bytes) -> Bytes:
    """For each pixel the index of the palette's nearest colour (Pillow's own search rounds: white would turn grey)."""
    packed = pixels.astype(np.int32) @ np.array([65_536, 256, 1], dtype=np.int32)
    found, inverse = np.unique(packed, return_inverse=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.float32)
    wanted = palette.astype(np.float32)
    distance = np.square(wanted).sum(axis=1) - 2 * colours @ wanted.T  # less the colour's own square
    return np.asarray(distance.argmin(axis=1)[inverse].reshape(pixels.shape[:2]), dtype=np.uint8)


def _palette(theme: Theme) -> Bytes:
    """All colours that a picture needs ``[colours, 3]``: the ramp, open and veiled, and the soft edges of lines."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    def blend(colours: Sequence[Any], count: int) -> Floats:
        return np.asarray(LinearSegmentedColormap.from_list("", list(colours))(np.linspace(0, 1, count))[:, :3])

    ramp = blend(theme.ramp, RAMP_COLOURS)
    veiled = (blend(theme.ramp, RAMP_COLOURS // 3) + np.array(to_rgb(theme.paper))) / 2
    lines = (theme.ink, theme.muted, theme.voice, theme.pause, theme.limit)
    edges = [blend((theme.paper, line), 8) for line in lines]
    return np.asarray(np.rint(np.concatenate([ramp, veiled, *edges]) * 255), dtype=np.uint8)


def write_plot(
    path: PathLike,
    before: tuple[Analysis, Audio],
    after: tuple[Analysis, Audio] | None = None,
    *,
    overwrite: bool = False,
) -> Path:
    """Writes the picture of a sample, with what it became under it, as a PNG file; whole, or not at all.

    Raises:
        OutputError: the name does not end in .png, the file exists and ``overwrite`` is false, or it cannot be written.
    """
    target = check_target(path, PLOT_SUFFIXES, overwrite=overwrite)
    shown = [before] if after is None else [before, after]
    words = ("Before: ", "After: ") if after is not None else ("",)
    rows = [(*pair, word + _title(pair[0])) for word, pair in zip(words, shown, strict=True)]
    figure = _stack(rows, LIGHT, PLOT, max(shown_peak(*pair) for pair in shown))
    return write_whole(target, png_bytes(figure), overwrite=overwrite)


def _title(analysis: Analysis) -> str:
    """Name, verdict and score, in one line that fits."""
    name = "".join(letter if letter.isprintable() else "\ufffd" for letter in Path(analysis.path).name)
    if len(name) > 60:
        name = f"{name[:34]}\u2026{name[-24:]}"
    assessment = analysis.assessment
    return f"{name}  \u00b7  {assessment.verdict}, {assessment.score:.0f} of 100"


# --- drawing -----------------------------------------------------------------------------------------


@contextmanager
def _own_style() -> Iterator[None]:
    """matplotlib's own defaults, whatever the user's matplotlibrc says; put back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.family": "DejaVu Sans", "text.parse_math": False})
        yield


def _stack(
    rows: Sequence[tuple[Analysis, Audio, str]], theme: Theme, form: Format, peak: float | None
) -> Figure:
    """One figure with the pictures of all `rows` (analysis, audio, title), the first on top."""
    from matplotlib.figure import Figure

    with _own_style():
        figure = Figure(figsize=(form.width, form.height * len(rows)), dpi=form.dpi, facecolor=theme.paper)
        for number, (analysis, audio, title) in enumerate(rows, start=1):
            _draw(_Panels(figure, form, form.height * (len(rows) - number)), analysis, audio, title, theme, peak)
    return figure


@dataclass(frozen=True)
class _Panels:
    """The places of one picture's panels in a figure; `bottom`: where it starts, in inches."""

    figure: Figure
    form: Format
    bottom: float

    def axes(self, offset: float, height: float) -> Axes:
        """A panel over the whole width, `offset` inches above the picture's bottom."""
        whole = float(self.figure.get_figheight())
        width = 1 - (LEFT + RIGHT) / self.form.width
        return self.figure.add_axes((LEFT / self.form.width, (self.bottom + offset) / whole, width, height / whole))


def _draw(
    panels: _Panels, analysis: Analysis, audio: Audio, title: str, theme: Theme, peak: float | None
) -> None:
    """The three panels of one recording: spectrogram, strip and waveform, from below."""
    form, start, samples = panels.form, analysis.examined[0], _samples(analysis, audio)
    end = start + max(len(samples) / audio.sample_rate, 1e-3)
    speech = [(start + first, min(start + last, end)) for first, last in analysis.speech if start + first < end]
    spectrogram = panels.axes(BELOW, form.spectrogram)
    strip = panels.axes(BELOW + form.spectrogram + GAP, STRIP)
    waveform = panels.axes(BELOW + form.spectrogram + STRIP + 2 * GAP, form.waveform)
    for axes in (spectrogram, strip, waveform):
        axes.set_xlim(start, end)
        _plain(axes, theme, form.letters_pt)
    _draw_spectrogram(spectrogram, Audio(samples, audio.sample_rate), (start, end), theme, form)
    _draw_strip(strip, speech, (start, end), theme, form)
    _draw_waveform(waveform, samples, (start, end), speech, theme, peak or shown_peak(analysis, audio))
    if end > HEARD_S + 0.5 and start < HEARD_S:
        _draw_end_of_hearing(waveform, (spectrogram, waveform), (start, end), theme, form)
    if title:
        waveform.set_title(title, loc="left", color=theme.ink, fontsize=form.letters_pt + 2, fontweight="bold", pad=8)


def _samples(analysis: Analysis, audio: Audio) -> Floats:
    """The samples of the part that was examined."""
    start, end = analysis.examined
    return audio.samples[: max(0, round((end - start) * audio.sample_rate))]


def _plain(axes: Axes, theme: Theme, letters_pt: float) -> None:
    """No frame, small quiet labels."""
    axes.set_facecolor(theme.paper)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=theme.muted, labelsize=letters_pt - 1, pad=4)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_waveform(
    axes: Axes,
    samples: Floats,
    span: tuple[float, float],
    speech: Sequence[tuple[float, float]],
    theme: Theme,
    peak: float,
) -> None:
    """The lowest and the highest sample of each column; speech in the voice's colour, the rest in the pauses'."""
    low, high = _envelope(samples)
    times = span[0] + (np.arange(len(low)) + 0.5) / max(len(low), 1) * (span[1] - span[0])
    spoken = np.zeros(len(times), dtype=bool)
    for start, end in speech:
        spoken |= (times >= start) & (times <= end)
    hair = max(peak, 1e-4) / 80  # silence is a thin line, not nothing
    low, high = np.minimum(low, -hair), np.maximum(high, hair)
    axes.fill_between(times, low, high, color=theme.pause, linewidth=0)
    axes.fill_between(times, low, high, where=spoken, color=theme.voice, linewidth=0)
    limit = 1.06 * max(peak, 1e-4)
    axes.set_ylim(-limit, limit)
    axes.set_yticks([0], ["level"])


def _envelope(samples: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest sample of each of up to `COLUMNS` columns."""
    if not len(samples):
        return np.zeros(1, np.float32), np.zeros(1, np.float32)
    edges = np.linspace(0, len(samples), min(COLUMNS, len(samples)), endpoint=False).astype(int)
    return np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)


def _draw_strip(
    axes: Axes,
    speech: Sequence[tuple[float, float]],
    span: tuple[float, float],
    theme: Theme,
    form: Format,
) -> None:
    """A strip that says where somebody speaks, and where nobody does and the noise is heard alone."""
    axes.set_ylim(0, 1)
    axes.broken_barh([(span[0], span[1] - span[0])], (0, 1), facecolors=theme.pause, alpha=0.55, linewidth=0)
    axes.broken_barh([(a, b - a) for a, b in speech], (0, 1), facecolors=theme.voice, linewidth=0)
    axes.set_yticks([0.5], ["speech"])
    axes.tick_params(axis="y", colors=theme.voice, labelsize=form.letters_pt - 1)


def _draw_spectrogram(
    axes: Axes, audio: Audio, span: tuple[float, float], theme: Theme, form: Format
) -> None:
    """Mel bands over time in dB under the loudest, with a line where XTTS stops listening."""
    import librosa
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def height(frequency_hz: float) -> float:
        return float(librosa.hz_to_mel(frequency_hz) / librosa.hz_to_mel(RATE_HZ / 2))

    ramp = LinearSegmentedColormap.from_list("voice", list(theme.ramp))
    axes.imshow(_mel_db(audio), origin="lower", aspect="auto", extent=(*span, 0, 1), cmap=ramp,
                vmin=-DEPTH_DB, vmax=0, interpolation="bilinear")
    axes.set_ylim(0, 1)
    axes.set_yticks([height(tick) for tick in TICKS_HZ],
                    [f"{tick / 1000:g} kHz" if tick >= 1000 else f"{tick} Hz" for tick in TICKS_HZ])
    limit = height(HEARD_HZ)
    axes.axhspan(limit, 1, color=theme.paper, alpha=0.5, linewidth=0)
    axes.axhline(limit, color=theme.limit, linewidth=1, linestyle=(0, (4, 3)))
    _note(axes, 0.006, limit + 0.012, "XTTS hears up to here", "left", theme, form)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _clock(at, span[1])))


def _mel_db(audio: Audio) -> Floats:
    """The mel spectrogram, dB under its loudest moment ``[BANDS, up to COLUMNS]``; columns are mean powers."""
    import librosa

    samples = resample(audio, RATE_HZ).samples
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    power = librosa.feature.melspectrogram(
        y=samples, sr=RATE_HZ, n_fft=WINDOW, hop_length=HOP, n_mels=BANDS, fmax=RATE_HZ / 2,
        pad_mode="reflect",  # silence before the first sample would look like a click
    )
    edges = np.linspace(0, power.shape[1], min(COLUMNS, power.shape[1]), endpoint=False).astype(int)
    power = np.add.reduceat(power, edges, axis=1) / np.diff(np.append(edges, power.shape[1]))
    loudest = max(float(np.percentile(power, 99.9)), 1e-9)
    return np.asarray(librosa.power_to_db(power, ref=loudest, amin=1e-12, top_db=None), dtype=np.float32)


def _draw_end_of_hearing(
    noted: Axes, crossed: Sequence[Axes], span: tuple[float, float], theme: Theme, form: Format
) -> None:
    """A line where XTTS stops listening, and a veil over what comes after it."""
    low, high = noted.get_ylim()
    noted.set_ylim(low, high + 0.3 * (high - low))  # the words stand above the waveform
    for axes in crossed:
        axes.axvspan(HEARD_S, span[1], color=theme.paper, alpha=0.5, linewidth=0)
        axes.axvline(HEARD_S, color=theme.limit, linewidth=1, linestyle=(0, (4, 3)))
    place = (HEARD_S - span[0]) / (span[1] - span[0])
    words = f"XTTS hears the first {HEARD_S:.0f} s"
    if place > 0.5:
        _note(noted, place - 0.008, 0.99, words, "right", theme, form, va="top")
    else:
        _note(noted, place + 0.008, 0.99, words, "left", theme, form, va="top")


def _note(
    axes: Axes, x: float, y: float, words: str, side: str, theme: Theme, form: Format, *, va: str = "bottom"
) -> None:
    """A word at a line, in the line's colour; x and y as shares of the panel."""
    style: dict[str, Any] = {"ha": side, "va": va, "color": theme.limit, "fontsize": form.letters_pt - 1.5}
    axes.text(x, y, words, transform=axes.transAxes, **style)


def _clock(seconds: float, last: float) -> str:
    """``12 s``, or ``1:30`` where the last moment is over a hundred seconds."""
    return f"{seconds:g} s" if last <= 100 else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
