"""What is said of the machine, against the system's own files and psutil."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from voicekit import __version__, machine

psutil = pytest.importorskip("psutil")
Usage = namedtuple("Usage", "total used free")


def test_versions_name_what_is_imported_and_import_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", type(sys)("torch"))
    sys.modules["torch"].__version__ = "9.9"  # type: ignore[attr-defined]
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    found = machine.versions()
    assert found["app"] == __version__ and found["python"] == platform.python_version() and found["torch"] == "9.9"
    assert "transformers" not in found and "transformers" not in sys.modules


def test_the_machine_is_described_and_named_the_same_every_time() -> None:
    about = machine.about()
    assert about["cores"] == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert about["ram_mb"] == pytest.approx(psutil.virtual_memory().total / 2**20, rel=0.01)
    assert about["id"] == machine.about()["id"] and len(about["id"]) == 10
    if os.path.exists("/proc/cpuinfo"):
        assert about["cpu"] in Path("/proc/cpuinfo").read_text() or about["cpu"] == platform.processor()


def test_another_number_of_cores_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine.about()["id"]
    monkeypatch.setattr(machine, "cores", lambda: 64)
    assert machine.about()["id"] != here


def test_a_nearly_full_disk_is_told_of_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(folder: Path) -> Usage:
        asked.append(folder)
        return Usage(10**12, 10**12, 50 * 2**20)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    sentence = machine.low_disk(tmp_path / "not" / "there")
    assert sentence and "50.0 MB left" in sentence and str(tmp_path) in sentence
    assert asked == [tmp_path]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 10**12))
    assert machine.low_disk(tmp_path) is None


def test_low_memory_is_what_the_machine_cannot_give() -> None:
    available = psutil.virtual_memory().available / 2**20
    assert machine.low_memory(available / 2) is None
    assert "needed" in (machine.low_memory(available * 2) or "")


def test_a_process_is_known_by_its_time_of_creation_too() -> None:
    created = psutil.Process().create_time()
    assert machine.is_alive(os.getpid(), created)
    assert not machine.is_alive(os.getpid(), created - 3600)  # the pid was another's
    assert not machine.is_alive(2**22 + 1, time.time())
    assert machine.process_created() == pytest.approx(created)
