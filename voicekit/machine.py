"""What runs here and on what: versions, processor, memory, GPU, disk. Asks the system, measures nothing.

torch and other packages are described only where they are imported already. Standard library and psutil.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from voicekit import __version__
from voicekit.log_values import size
from voicekit.memory import MB, available_mb, psutil

LOW_DISK_MB = 200.0  # an hour of 24 kHz PCM_16 is 165 MB
_DESCRIBED = ("torch", "TTS", "transformers", "numpy", "onnxruntime")


def versions() -> dict[str, str]:
    """Of the scripts, of Python, and of those large packages that are imported."""
    found = {"app": __version__, "python": platform.python_version()}
    for name in _DESCRIBED:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version:
            found[name] = str(version)
    return found


def about() -> dict[str, Any]:
    """The machine: ``id`` (a hash that is the same for equal machines), system, cpu, cores, ram_mb, gpu."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    found = {"system": system, "cpu": cpu_name(), "cores": cores(), "ram_mb": round(ram_mb())}
    kind = f"{platform.system()}|{platform.machine()}|{cpu_name()}|{cores()}|{round(ram_mb() / 1024)}"
    return {"id": hashlib.sha256(kind.encode()).hexdigest()[:10], **found, "gpu": gpu_name()}


def load() -> dict[str, float | None]:
    """How busy the machine is: load average of a minute (None where there is none), MB that it can still give."""
    average = None
    with contextlib.suppress(OSError, AttributeError):
        average = round(os.getloadavg()[0], 2)
    return {"average_1min": average, "available_mb": round(available_mb())}


def sentence() -> str:
    """The system as one line of the log."""
    python = f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}"
    busy = load()["average_1min"]
    return f"{python}, CPUs: {cores()}, RAM: {size(ram_mb())}, CPU: {cpu_name()}, Load average: {busy}"


def torch_sentence() -> str | None:
    """PyTorch and the GPU as one line of the log; None where torch is absent or still being imported."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return None
    cuda, threads = torch.cuda.is_available(), torch.get_num_threads()
    return f"PyTorch: {torch.__version__}, CUDA available: {cuda}, GPU: {gpu_name() or 'none'}, Threads: {threads}"


def threads() -> int | None:
    """torch's, where it is imported."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None and hasattr(torch, "get_num_threads") else None


def gpu_name() -> str | None:
    """Of the first CUDA device that torch sees; None without one, or without torch."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return str(cuda.get_device_name()) if cuda and cuda.is_available() else None


def has_nvidia_gpu() -> bool:
    """Whether the system has an NVIDIA driver with a device, be torch able to use it or not (Linux; else False)."""
    return os.path.exists("/dev/nvidia0") and os.path.exists("/proc/driver/nvidia/version")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ram_mb() -> float:
    """Memory of the machine, MB."""
    return float(psutil().virtual_memory().total) / MB


@functools.cache
def cpu_name() -> str:
    """The processor's name as the system tells it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as about_cpu:
        for line in about_cpu:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def low_disk(folder: Path) -> str | None:
    """A sentence if a folder's disk is nearly full; the nearest folder that exists is asked."""
    folder = folder.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        free_mb = shutil.disk_usage(folder).free / MB
    except OSError:
        return None
    if free_mb >= LOW_DISK_MB:
        return None
    return f"The disk of {folder} has {size(free_mb)} left: an hour of speech needs 165 MB."


def low_memory(needed_mb: float) -> str | None:
    """A sentence if the machine can give less memory than is needed."""
    left_mb = available_mb()
    if left_mb >= needed_mb:
        return None
    return f"The machine has {size(left_mb)} of memory left and {size(needed_mb)} are needed: it may be slow, or stop."


def is_alive(pid: int, created: float) -> bool:
    """Whether the process that began at that time (seconds since 1970) still runs."""
    try:
        process = psutil().Process(pid)
        return bool(abs(process.create_time() - created) < 2 and process.status() != psutil().STATUS_ZOMBIE)
    except psutil().NoSuchProcess:
        return False
    except psutil().Error:  # somebody else's process
        return True


def process_created() -> float:
    """When this process began, seconds since 1970."""
    return float(psutil().Process().create_time())
