"""The checks of an installation that concern Python and its packages: there, in the tested version, and at work.

Each check is a generator of findings and changes nothing. What concerns the machine and the model is in
doctor_machine.py, the order of all checks in doctor.py.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

State = Literal["ok", "warning", "broken"]

INSTALL = "python -m pip install -r requirements.txt"
SUPPORTED = (3, 11), (3, 15)  # pyproject.toml: requires-python
DISTRIBUTION = "voice-cloning"
_TORCH_TIMEOUT_S = 180.0
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*==\s*(?P<version>[^\s;#]+)\s*(?:;(?P<marker>[^#]*))?")


@dataclass(frozen=True)
class Finding:
    """One piece of the installation.

    name: what was looked at. state: `ok`, `warning` (it works, but less well), `broken` (something will fail).
    detail: what was found. fix: what to do; "" where nothing need be done.
    """

    name: str
    state: State
    detail: str
    fix: str = ""


Findings = Iterator[Finding]


def python_version() -> Findings:
    """Python and the system."""
    about = f"Python {platform.python_version()} on {platform.system()} {platform.release()} {platform.machine()}"
    least, below = SUPPORTED
    if not least <= sys.version_info[:2] < below:
        versions = f"{least[0]}.{least[1]} to {below[0]}.{below[1] - 1}"
        yield Finding("Python", "broken", about, f"Install a Python from {versions}, and a new environment with it.")
    elif sys.maxsize < 2**32:
        yield Finding("Python", "broken", f"{about}, of 32 bits", "Install a 64-bit Python: torch needs one.")
    else:
        yield Finding("Python", "ok", about)


# --- versions ----------------------------------------------------------------------------------------------


def pinned_lines() -> Sequence[str]:
    """The requirements beside the scripts, or those of the installed package."""
    beside = Path(__file__).resolve().parent.parent / "requirements.txt"
    if beside.is_file():
        return beside.read_text("utf-8").splitlines()
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.requires(DISTRIBUTION) or []
    return []


def requirements(lines: Sequence[str]) -> Findings:
    """Each pinned package that is missing or of another version, then how many are as tested."""
    pinned = [found for line in lines if (found := _PINNED.match(line.strip())) and _applies(found["marker"])]
    if not pinned:
        yield Finding("Packages", "warning", "requirements.txt is not found", "Take the whole project, not a part.")
        return
    right = 0
    for each in pinned:
        installed = installed_version(each["name"])
        if installed is None:
            yield Finding(each["name"], "broken", f"{each['name']} is not installed", INSTALL)
        elif installed.partition("+")[0] != each["version"].partition("+")[0]:
            detail = f"{each['name']} is {installed}; {each['version']} is what was tested"
            yield Finding(each["name"], "warning", detail, INSTALL)
        else:
            right += 1
    state: State = "ok" if right == len(pinned) else "warning"
    yield Finding("Packages", state, f"{right} of {len(pinned)} packages are as tested", INSTALL * (state != "ok"))


def _applies(marker: str | None) -> bool:
    """Whether the requirement is one of this system's; where that cannot be told, it is."""
    if not marker or not marker.strip():
        return True
    try:
        from packaging.markers import InvalidMarker, Marker
    except ImportError:
        return False  # nothing to judge by: say nothing wrong
    try:
        return Marker(marker.strip()).evaluate()
    except InvalidMarker:
        return True


def installed_version(name: str) -> str | None:
    """Of a distribution; None where there is none, or one without a version (a half-removed one)."""
    try:
        return metadata.version(name) or None
    except (metadata.PackageNotFoundError, KeyError, TypeError):
        return None


def old_tts() -> Findings:
    """The abandoned package `TTS`, whose modules lie where coqui-tts puts its own."""
    old = installed_version("TTS")
    if old is None:
        return
    yield Finding(
        "Old TTS package", "broken",
        f"TTS {old}, which nobody maintains, shares its folder with coqui-tts: whose modules are found is chance",
        f"python -m pip uninstall -y TTS coqui-tts, then {INSTALL}",
    )  # fmt: skip


def torch_family() -> Findings:
    """torch, torchaudio and torchcodec are built for each other."""
    names = ("torch", "torchaudio", "torchcodec")
    found = {name: installed_version(name) for name in names}
    said = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    minor = {name: ".".join((version or "").split(".")[:2]) for name, version in found.items()}
    fits = all(found.values()) and minor["torch"] == minor["torchaudio"]
    if fits:
        yield Finding("torch family", "ok", said)
    else:
        yield Finding("torch family", "broken", f"{said}: they do not belong together", INSTALL)


# --- at work -----------------------------------------------------------------------------------------------


def torch_works() -> Findings:
    """torch multiplies, in a process of its own: one that is built for another processor ends its process."""
    program = "import torch; a = torch.tensor([[1., 2.], [3., 4.]]); print((a @ a).flatten().tolist())"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=_TORCH_TIMEOUT_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        yield Finding("torch", "broken", "torch does not answer", "Restart the machine, then run the check again.")
        return
    if done.returncode == 0 and done.stdout.strip() == "[7.0, 10.0, 15.0, 22.0]":
        yield Finding("torch", "ok", f"torch {installed_version('torch')} is imported and multiplies")
        return
    reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    fix = f"python -m pip uninstall -y torch torchaudio torchcodec, then {INSTALL}"
    if done.returncode < 0:  # a signal
        reason = f"it was ended by signal {-done.returncode}: it may be built for another processor"
    yield Finding("torch", "broken", f"torch cannot be used ({reason[:200]})", fix)


_USED = {
    "numpy": "arrays", "scipy.signal": "filters", "soundfile": "WAV, FLAC, MP3", "soxr": "resampling",
    "av": "m4a and mp4", "librosa": "effects", "pyloudnorm": "loudness", "onnxruntime": "speech detection",
    "safetensors.numpy": "kept voices", "tokenizers": "the text", "huggingface_hub": "the download",
    "platformdirs": "folders", "psutil": "memory", "rich.progress": "progress", "pydub": "m4a output",
    "matplotlib": "plots",
}  # fmt: skip


def imports(used: dict[str, str] | None = None) -> Findings:
    """Each package that is there but cannot be imported, and what for it is needed."""
    names = _USED if used is None else used
    wrong = 0
    for name, purpose in names.items():
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - a broken package raises what it likes
            wrong += 1
            yield Finding(name, "broken", f"{name} ({purpose}) cannot be imported: {_short(error)}", INSTALL)
    if not wrong:
        yield Finding("Imports", "ok", f"{len(names)} packages are imported")


def coqui_classes() -> Findings:
    """The classes of coqui-tts that the model is made of."""
    from voicekit.loading import import_model

    import_model()
    yield Finding("coqui-tts", "ok", f"coqui-tts {installed_version('coqui-tts')} has the model's classes")


def _chinese() -> str:
    import pypinyin

    syllables = pypinyin.pinyin("你好", style=pypinyin.Style.TONE3, neutral_tone_with_five=True)
    return "".join(each[0] for each in syllables)


def _japanese() -> str:
    import cutlet

    return str(cutlet.Cutlet().romaji("音声")).lower()


def _korean() -> str:
    from ko_speech_tools import hangul_romanize

    return str(hangul_romanize("음성"))


def _number() -> str:
    from num2words import num2words

    return str(num2words(42))


# A word of each, and what it must become.
_WORDS: dict[str, tuple[Callable[[], str], str]] = {
    "Chinese": (_chinese, "ni3hao3"), "Japanese": (_japanese, "onsei"), "Korean": (_korean, "eumseong"),
    "Numbers": (_number, "forty-two"),
}  # fmt: skip


def text_packages() -> Findings:
    """The packages that read Chinese, Japanese, Korean and numbers, on a word of each."""
    for language, (spelt, wanted) in _WORDS.items():
        name = f"Text: {language}"
        try:
            got = spelt()
        except Exception as error:  # noqa: BLE001 - each fails in its own way where its dictionary is missing
            yield Finding(name, "broken", f"{language} cannot be read out: {_short(error)}", INSTALL)
            continue
        if got == wanted:
            yield Finding(name, "ok", f"a word is read out as {got}")
        else:
            yield Finding(name, "warning", f"a word is read out as {got[:40]!r} instead of {wanted!r}", INSTALL)


_EXTRAS = {
    "faster_whisper": ("faster-whisper", "--verify listens to what was spoken"),
    "sounddevice": ("sounddevice", "--play plays while it speaks"),
}


def extras(known: dict[str, tuple[str, str]] | None = None) -> Findings:
    """Packages that only some flags need: a missing one is no fault."""
    for module, (package, purpose) in (_EXTRAS if known is None else known).items():
        if importlib.util.find_spec(module) is None:
            fix = f"For that: python -m pip install {package}"
            yield Finding(f"Extra: {package}", "ok", f"not installed; with it, {purpose}", fix)
            continue
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - sounddevice raises OSError without PortAudio
            fix = f"python -m pip install --force-reinstall {package}, and the system library that it names"
            yield Finding(f"Extra: {package}", "warning", f"cannot be imported: {_short(error)}", fix)
        else:
            yield Finding(f"Extra: {package}", "ok", f"installed: {purpose}")


def _short(error: BaseException) -> str:
    """One line for an error of somebody else's."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
