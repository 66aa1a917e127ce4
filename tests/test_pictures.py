"""The pictures are made whatever is in the sound, show what they say, and look the same for everybody."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tests import records
from tests.voices import talking
from voicekit import pictures
from voicekit.audio import Audio
from voicekit.errors import OutputError


def pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def words(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def colour(html: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(html[1:])
    return red, green, blue


@pytest.mark.parametrize("theme", [pictures.LIGHT, pictures.DARK])
def test_a_picture_is_small_and_as_large_as_announced(theme: pictures.Theme) -> None:
    voice = talking(8.0)
    png = pictures.png_bytes(pictures.sample_picture(records.analysis(voice), voice, theme=theme), theme=theme)
    assert len(png) < 150_000
    drawn = pixels(png)
    assert drawn.shape[1::-1] == pictures.PAGE.pixels
    assert tuple(drawn[0, 0]) == colour(theme.paper)
    assert (drawn == colour(theme.voice)).all(axis=2).sum() > 5_000
    assert (drawn == colour(theme.limit)).all(axis=2).sum() > 300  # the line at 8 kHz


def test_thirty_seconds_of_noise_stay_small() -> None:
    """Noise is what PNG compresses least."""
    noise = Audio(np.random.default_rng(1).uniform(-0.5, 0.5, 30 * 24_000).astype(np.float32), 24_000)
    assert len(pictures.png_bytes(pictures.sample_picture(records.analysis(noise), noise))) < 150_000


def test_the_same_input_gives_the_same_bytes() -> None:
    voice = talking(4.0)
    first, second = (pictures.png_bytes(pictures.sample_picture(records.analysis(voice), voice)) for _ in range(2))
    assert first == second


def test_styles_of_the_user_do_not_matter_and_stay_as_they_are() -> None:
    voice = talking(4.0)
    plain = pictures.png_bytes(pictures.sample_picture(records.analysis(voice), voice))
    wild = {"axes.grid": True, "font.size": 30.0, "axes.facecolor": "red", "lines.linewidth": 9.0,
            "xtick.labelsize": 30.0, "image.cmap": "gray", "axes.spines.top": True, "savefig.dpi": 10.0}
    with matplotlib.rc_context(wild):
        assert pictures.png_bytes(pictures.sample_picture(records.analysis(voice), voice)) == plain
        assert matplotlib.rcParams["font.size"] == 30.0


def test_pyplot_is_not_used() -> None:
    source = Path(pictures.__file__).read_text("utf-8")
    assert "import matplotlib.pyplot" not in source
    assert "from matplotlib import pyplot" not in source


def test_a_tone_is_drawn_at_its_frequency() -> None:
    """Low sounds below, high ones above: the darkest row of a 2 kHz tone is where the label 2 kHz is."""
    time = np.arange(4 * 24_000) / 24_000
    for tone_hz in (1_000, 2_000, 4_000):
        tone = Audio((0.3 * np.sin(2 * np.pi * tone_hz * time)).astype(np.float32), 24_000)
        figure = pictures.sample_picture(records.analysis(tone), tone)
        spectrogram = figure.axes[0]
        image = np.asarray(spectrogram.images[0].get_array())
        loudest = (image.mean(axis=1).argmax() + 0.5) / len(image)
        places = dict(zip(pictures.TICKS_HZ, spectrogram.get_yticks(), strict=True))
        assert loudest == pytest.approx(places[tone_hz], abs=1.5 / len(image))


def test_nothing_is_drawn_above_half_the_sample_rate() -> None:
    voice = talking(4.0, 8_000)
    image = np.asarray(pictures.sample_picture(records.analysis(voice), voice).axes[0].images[0].get_array())
    assert image[-20:].max() < -pictures.DEPTH_DB
    assert image[:40].max() > -6


def test_where_xtts_stops_listening_is_marked() -> None:
    short, long = talking(8.0), talking(40.0)
    assert words(pictures.sample_picture(records.analysis(short), short)) == ["XTTS hears up to here"]
    assert "XTTS hears the first 30 s" in words(pictures.sample_picture(records.analysis(long), long))
    late = records.analysis(long, start_s=600.0)  # a part from far behind the first 30 s of its file
    assert words(pictures.sample_picture(late, long)) == ["XTTS hears up to here"]


def test_speech_is_marked_where_it_is() -> None:
    voice = talking(10.0)
    found = replace(records.analysis(voice, start_s=100.0), speech=((0.0, 2.0), (5.0, 9.0)))
    strip = pictures.sample_picture(found, voice).axes[1]
    spans = [path.get_extents() for path in strip.collections[1].get_paths()]
    assert [(span.x0, span.x1) for span in spans] == [(100.0, 102.0), (105.0, 109.0)]
    assert strip.get_xlim() == pytest.approx((100.0, 110.0), abs=1e-3)


@pytest.mark.parametrize("samples", [0, 1, 50, 3_000])
@pytest.mark.parametrize("level", [0.0, 1e-7, 1.0])
def test_any_sound_has_a_picture(samples: int, level: float) -> None:
    sound = Audio(np.full(samples, level, dtype=np.float32), 16_000)
    found = replace(records.analysis(talking(1.0)), speech=(), examined=(0.0, samples / 16_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pictures.png_bytes(pictures.sample_picture(found, sound)).startswith(b"\x89PNG")


def test_two_pictures_share_a_scale() -> None:
    soft, loud = talking(4.0), talking(4.0)
    soft = Audio(soft.samples / 4, soft.sample_rate)
    peak = pictures.shown_peak(records.analysis(loud), loud)
    limits = [pictures.sample_picture(records.analysis(voice), voice, peak=peak).axes[2].get_ylim()
              for voice in (soft, loud)]
    assert limits[0] == limits[1]
    assert pictures.shown_peak(records.analysis(soft), soft) == pytest.approx(peak / 4)


# --- the file of --plot ------------------------------------------------------------------------------


def test_the_plot_holds_before_and_after(tmp_path: Path) -> None:
    before_audio, after_audio = records.pair()
    before = records.analysis(before_audio)
    after = records.improvement(before, after_audio).after
    one = pictures.write_plot(tmp_path / "one.png", (before, before_audio))
    two = pictures.write_plot(tmp_path / "two.PNG", (before, before_audio), (after, after_audio))
    heights = [Image.open(path).height for path in (one, two)]
    assert heights[1] == pytest.approx(2 * heights[0], abs=1)
    assert sorted(os.listdir(tmp_path)) == ["one.png", "two.PNG"]


@pytest.mark.parametrize(
    "name", ["$a_b$ \\alpha.wav", "\u58f0\u97f3.wav", "\udcff\udcfe.wav", "a\nb\tc\x00.wav", "x" * 200 + ".wav"]
)
def test_any_name_can_be_a_title(tmp_path: Path, name: str) -> None:
    voice = talking(2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures.write_plot(tmp_path / "plot.png", (records.analysis(voice, path=f"/a/{name}"), voice))


def test_the_title_says_the_verdict() -> None:
    title = pictures._title(records.analysis(talking(1.0), path="/a/$x$.wav", issues=()))
    assert title == "$x$.wav  \u00b7  poor, 38 of 100"


def test_a_plot_is_never_overwritten_unasked(tmp_path: Path) -> None:
    voice = talking(2.0)
    shown = (records.analysis(voice), voice)
    (tmp_path / "plot.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        pictures.write_plot(tmp_path / "plot.png", shown)
    assert (tmp_path / "plot.png").read_bytes() == b"mine"
    pictures.write_plot(tmp_path / "plot.png", shown, overwrite=True)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match=r"does not end in \.png"):
        pictures.write_plot(tmp_path / "plot.pdf", shown)
