"""The checks of an installation that concern the machine and the model: GPU, kernels, memory, folders, weights.

Each check is a generator of findings. They write a file into each folder and take it away again; the last one speaks
with the tiny rehearsal model. Nothing is downloaded.
"""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from voicekit import checkpoint, machine, native, precision, rehearsal
from voicekit.audio import Audio, is_silent, read_recording, to_mono
from voicekit.audio_writing import write_audio
from voicekit.doctor_checks import INSTALL, Finding, Findings
from voicekit.log_lines import shorten_home
from voicekit.log_values import size
from voicekit.memory import MB, available_mb
from voicekit.publishing import temporary_folder
from voicekit.scratch_folders import scratch_folder

# Gets a sample and the name of the output; writes speech there.
Speak = Callable[[Path, Path], object]

NEEDED_MB = {"rehearsal-tiny": 900.0}
WEIGHTS_AND_WORK_MB = 2_600.0  # the released weights are mapped, and 0.8 GB beside them
DOWNLOAD_MB = 1_900.0
GET_TORCH = "Install the torch for your GPU as https://pytorch.org/get-started/locally says, of the tested version."
_SAMPLE_S, _SAMPLE_HZ = 7.0, 22_050


def gpu() -> Findings:
    """The GPU that torch sees, or why it sees none."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        about = f"{torch.cuda.get_device_name()}, {size(free / MB)} of {size(total / MB)} free"
        yield Finding("GPU", "ok", about)
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "ok", "Apple's GPU (mps)")
    elif machine.has_nvidia_gpu() and not torch.version.cuda:
        yield Finding("GPU", "warning", f"there is an NVIDIA GPU, and torch {torch.__version__} is built for the CPU"
                      " only", GET_TORCH)  # fmt: skip
    elif machine.has_nvidia_gpu():
        about = f"there is an NVIDIA GPU, and torch (built for CUDA {torch.version.cuda}) cannot use it"
        yield Finding("GPU", "warning", about, "Update the NVIDIA driver; CUDA_VISIBLE_DEVICES must not hide the GPU.")
    else:
        yield Finding("GPU", "ok", f"none: the CPU is used ({machine.cpu_name()}, {machine.cores()} cores)")


def native_kernels() -> Findings:
    """The kernels that are compiled for this processor."""
    try:
        kernels = native.Kernels()
    except native.Unavailable as reason:
        yield Finding("Native kernels", "warning", f"none ({reason}): torch's operators do the work, more slowly",
                      f"On an x86-64 Linux: {INSTALL}")  # fmt: skip
        return
    yield Finding("Native kernels", "ok", f"compiled, {kernels.lanes} values at a time")


def fastest_precision() -> Findings:
    """What `--precision auto` takes on the CPU; measured once a machine, a second or two."""
    chosen = precision.choose("auto", "cpu")
    yield Finding("Precision", "ok", f"{chosen.name} on the CPU: {chosen.reason}")


def ffmpeg() -> Findings:
    """The FFmpeg program. (espeak is not needed by XTTS.)"""
    if shutil.which("ffmpeg"):
        yield Finding("FFmpeg", "ok", "found: m4a can be written")
    else:
        yield Finding("FFmpeg", "warning", "not found: everything works, but m4a cannot be written",
                      "For m4a output: apt install ffmpeg, brew install ffmpeg, or winget install ffmpeg")  # fmt: skip


def memory(model: str) -> Findings:
    """What the machine can give now, and what the model needs."""
    shortage = machine.low_memory(NEEDED_MB.get(model, WEIGHTS_AND_WORK_MB))
    about = f"{size(available_mb())} of {size(machine.ram_mb())} are free"
    if shortage:
        yield Finding("Memory", "warning", shortage, "Close other programs, or add memory.")
    else:
        yield Finding("Memory", "ok", about)


def disk(folder: Path) -> Findings:
    """Room for what is written."""
    shortage = machine.low_disk(folder)
    if shortage:
        yield Finding("Disk", "warning", shortage, "Free some space.")
    else:
        yield Finding("Disk", "ok", f"{size(_free_mb(folder))} are free where the files go")


def folders(log_dir: Path) -> Findings:
    """Where logs, remembered things and voices are kept, by writing a file into each."""
    import platformdirs

    places = {
        "logs": (log_dir, "--log-dir DIR, or VOICE_CLONING_LOG_DIR"),
        "cache": (Path(platformdirs.user_cache_dir(checkpoint.APP_NAME)), "XDG_CACHE_HOME"),
        "data": (Path(platformdirs.user_data_dir(checkpoint.APP_NAME)), "XDG_DATA_HOME"),
    }
    for name, (folder, otherwise) in places.items():
        shown = shorten_home(str(folder))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with scratch_folder(folder) as scratch:
                (scratch / "check").write_bytes(b"x" * 4096)
        except OSError as error:
            fix = f"Mend its permissions or free space; or name another place with {otherwise}."
            yield Finding(f"Folder: {name}", "warning", f"{shown} cannot be written to: {error.strerror}", fix)
        else:
            yield Finding(f"Folder: {name}", "ok", f"{shown} can be written to")


# --- the model ---------------------------------------------------------------------------------------------


def licence(model: str) -> Findings:
    """Whether the release's terms are accepted."""
    if model != checkpoint.RELEASED:
        return
    if checkpoint.LicenceRecord.of_user().accepted():
        yield Finding("Licence", "ok", f"{checkpoint.LICENSE_NAME}: accepted (non-commercial)")
    else:
        yield Finding("Licence", "warning", f"the {checkpoint.LICENSE_NAME} is not accepted yet (non-commercial)",
                      f"Read {checkpoint.LICENSE_URL}, then give --accept-license once.")  # fmt: skip


def model_state(model: str, *, offline: bool) -> Findings:
    """Whether the weights are here and whole."""
    if model in rehearsal.NAMES:
        here = rehearsal.is_complete(rehearsal.folder_of(model), model)
        yield Finding("Model", "ok", f"{model} is {'here' if here else 'built at its first use'}")
    elif model == checkpoint.RELEASED:
        yield from _released(offline=offline)
    else:
        found = checkpoint.from_folder(Path(model))
        wrong = _damage(found.weights)
        if wrong:
            yield Finding("Model", "broken", f"{found.name}: model.pth {wrong}", "Copy the model's files again.")
        else:
            yield Finding("Model", "ok", f"{found.name} is here, {size(found.weights.stat().st_size / MB)}")


def _released(*, offline: bool) -> Findings:
    if checkpoint.find_released() is not None:
        yield Finding("Model", "ok", "XTTS v2 is here and is the released one")
        return
    from huggingface_hub.constants import HF_HUB_CACHE

    free_mb = _free_mb(Path(HF_HUB_CACHE))
    if free_mb < DOWNLOAD_MB + machine.LOW_DISK_MB:
        yield Finding("Model", "broken", f"XTTS v2 is not here, and its cache's disk has {size(free_mb)} left",
                      "Free 2 GB, or set HF_HOME to a folder on another disk.")  # fmt: skip
        return
    yield Finding("Model", "warning", "XTTS v2 is not here: the first run downloads 1.9 GB",
                  "Run once with a network; or copy a model's folder here and give --model DIR.")  # fmt: skip
    if not offline:
        yield from _hub()


def _hub() -> Findings:
    """Whether the hub answers; only asked where a download would follow."""
    from huggingface_hub import HfApi

    repository, revision = checkpoint.REPOSITORIES[0]
    try:
        HfApi().model_info(repository, revision=revision, timeout=10)
    except Exception as error:  # noqa: BLE001 - proxies, certificates, firewalls: each has its own error
        yield Finding("Hub", "broken", f"the Hugging Face hub is not reached ({type(error).__name__})",
                      "Check the network and HTTPS_PROXY; or bring the model by another way: --model DIR.")  # fmt: skip
    else:
        yield Finding("Hub", "ok", "the Hugging Face hub answers")


def _damage(weights: Path) -> str:
    """What is wrong with a file of torch.save, as far as its ends tell; "" for nothing."""
    with open(weights, "rb") as stream:
        start = stream.read(4)
    if start[:2] == b"PK" and not zipfile.is_zipfile(weights):
        return "is cut: its end is missing"
    if start[:2] != b"PK" and start[:1] != b"\x80":  # the archive of today, the pickle of before
        return "is no file of torch"
    return ""


def _free_mb(folder: Path) -> float:
    """Of the nearest folder that exists."""
    folder = folder.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free / MB


# --- all of it together ------------------------------------------------------------------------------------


def small_clone(speak: Speak) -> Findings:
    """Speak with the tiny rehearsal model and look at the file: all stages at once, in noise instead of words."""
    with temporary_folder() as scratch:
        sample, output = scratch / "sample.wav", scratch / "spoken.wav"
        write_audio(sample_sound(), sample)
        speak(sample, output)
        if not output.is_file():
            yield Finding("Small clone", "broken", "it ended without a file", "Look into the log.")
            return
        recording = read_recording(output)
        spoken = to_mono(recording)
    about = f"{spoken.duration_s:.1f} s of {spoken.sample_rate:,} Hz"
    if spoken.duration_s < 0.1 or is_silent(spoken):
        yield Finding("Small clone", "broken", f"nothing is heard in {about}", "Look into the log.")
    else:
        yield Finding("Small clone", "ok", f"the tiny rehearsal model spoke {about}: all stages work")


def sample_sound() -> Audio:
    """Seven seconds that are like a voice: a buzz of 120 Hz in syllables, with pauses. Float32, peak 0.3."""
    import numpy as np

    time_s = np.arange(round(_SAMPLE_S * _SAMPLE_HZ)) / _SAMPLE_HZ
    phase = 2 * math.pi * np.cumsum(120 + 9 * np.sin(2 * math.pi * 0.7 * time_s)) / _SAMPLE_HZ
    buzz = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 30))
    syllables = np.clip(np.sin(2 * math.pi * 2.1 * time_s) + 0.5, 0, 1) * (np.mod(time_s, 3.0) < 2.4)
    signal = buzz * syllables
    return Audio((0.3 * signal / np.abs(signal).max()).astype(np.float32), _SAMPLE_HZ)
