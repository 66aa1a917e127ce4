"""voicekit.devices: where a model runs, and the threads that it runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from voicekit.devices import SPINS, Device, choose_device, import_packages
from voicekit.errors import ModelUnavailable

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_that_wait_let_others_work(own: dict[str, str], expected: str) -> None:
    """OpenMP reads it once, when torch is imported: it must be set before; what somebody set himself stays."""
    code = (
        "import builtins, os, sys\n"
        "real = builtins.__import__\n"
        "def noting(name, *rest):\n"
        "    if name == 'torch' and 'torch' not in sys.modules:\n"
        "        print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "        raise SystemExit\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = noting\n"
        "from voicekit.devices import import_packages\n"
        "import_packages()\n"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    ran = subprocess.run([sys.executable, "-c", code], env=environment | own, capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.split() == [expected]


def test_threads_are_never_more_than_the_cores() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        import_packages(threads=100_000)
        assert torch.get_num_threads() == os.cpu_count()
        import_packages(threads=1)
        assert torch.get_num_threads() == 1
        import_packages()
        assert torch.get_num_threads() == 1  # nobody asked
    finally:
        torch.set_num_threads(before)


def machine_with(
    monkeypatch: pytest.MonkeyPatch, *, gpus: int = 0, apple: bool = False, built: str | None = "12.8"
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU number {index}")
    monkeypatch.setattr(torch.backends, "mps", SimpleNamespace(is_available=lambda: apple))
    monkeypatch.setattr(torch.version, "cuda", built)


@pytest.mark.parametrize(("machine", "name", "says"), [
    ({"gpus": 2, "apple": True}, "cuda:0", "GPU number 0"),
    ({"apple": True}, "mps", "Apple"),
    ({}, "cpu", "finds no CUDA GPU"),
    ({"built": None}, "cpu", "built for the CPU only"),
])  # fmt: skip
def test_the_best_device_is_chosen_and_why(
    machine: dict[str, Any], name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_with(monkeypatch, **machine)
    chosen = choose_device("auto")
    assert chosen.name == name and says in chosen.reason


def test_what_is_asked_for_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, gpus=2, apple=True)
    assert choose_device("cuda").name == "cuda:0"
    assert choose_device("cuda:1") == Device("cuda:1", "asked for: GPU number 1")
    assert choose_device("cpu") == Device("cpu", "asked for")
    assert choose_device("mps").name == "mps"
    with pytest.raises(ModelUnavailable, match="CUDA device 2"):
        choose_device("cuda:2")
    machine_with(monkeypatch)
    for wanted in ("cuda", "cuda:0", "mps"):
        with pytest.raises(ModelUnavailable) as refused:
            choose_device(wanted)
        assert refused.value.exit_code == 3 and "--device auto" in refused.value.hint


def test_this_machine() -> None:
    import torch

    chosen = choose_device("auto")
    assert chosen.reason
    if not torch.cuda.is_available():
        assert chosen.name in ("cpu", "mps")
        with pytest.raises(ModelUnavailable, match="CUDA device 3"):
            choose_device("cuda:3")
