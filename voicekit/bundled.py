"""Files of networks that lie inside installed packages: found and run, without importing the packages.

Importing them would cost seconds, load torch, or change its threads. Nothing is downloaded.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from voicekit.errors import ModelUnavailable

HINT = "Install what requirements.txt lists: pip install -r requirements.txt"


def bundled_file(package: str, place: str) -> Path | None:
    """The path of a file inside an installed package; None where the package or the file is not there."""
    spec = find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    return next((found for folder in folders if place and (found := Path(folder) / place).is_file()), None)


@cache
def bundled_network(package: str, place: str) -> Any:
    """An onnxruntime session (one thread) of a network that lies in an installed package.

    Raises:
        ModelUnavailable: the package, the file in it or onnxruntime is missing.
    """
    path = bundled_file(package, place)
    if path is None:
        raise ModelUnavailable(f"The network {place!r} of the package {package!r} is not installed.", HINT)
    return session(str(path), threads=1)


def session(network: str | bytes, *, threads: int) -> Any:
    """An onnxruntime session of a network, given by its path or its bytes; threads: 0 for one a core.

    Raises:
        ModelUnavailable: onnxruntime cannot be loaded.
    """
    try:
        from onnxruntime import InferenceSession, SessionOptions
    except ImportError as error:
        raise ModelUnavailable(f"onnxruntime cannot be loaded: {error}.", HINT) from error
    options = SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting leaves the core to others
    return InferenceSession(network, options, providers=["CPUExecutionProvider"])
