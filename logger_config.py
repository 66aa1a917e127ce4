"""Logging, timing and memory for both scripts; ``python logger_config.py`` reports over past runs.

``setup_logging`` sends every event to ``logs/voice_cloning.log`` and warnings to the terminal; ``timed`` and
``span`` write the lines that say what ran, on what, for how long and with how much memory; ``run`` frames a
whole script and leaves its record in ``logs/runs.jsonl``.

It knows nothing of audio or speech, and imports neither torch nor NumPy: what it says of them it finds in
``sys.modules``. Spoken text is private: arguments are logged by what they are, a text by its length.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import functools
import inspect
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TextIO, TypeVar, overload

from voicekit import run_history
from voicekit.log_files import DatedFileHandler, EventFormatter, SentenceFormatter, module_name
from voicekit.log_values import describe, duration, listing, mask_argv, size, summary
from voicekit.stage_clock import StageClock, Stopwatch, stage_clock

__all__ = [
    "LOGGER_LEVELS",
    "MemorySnapshot",
    "StageClock",
    "log_torch_info",
    "main",
    "memory_snapshot",
    "run",
    "setup_logging",
    "span",
    "stage_clock",
    "timed",
]

P = ParamSpec("P")
R = TypeVar("R")

LOG_DIR = Path(__file__).resolve().parent / "logs"
MB = 2**20  # bytes; sizes and memory are in these everywhere

# Other people's loggers that say at INFO and DEBUG what only their authors want to read: numba alone writes
# thousands of lines under librosa.
_NOISY = (
    "PIL TTS absl asyncio av coqpit filelock fontTools fsspec h5py httpcore httpx huggingface_hub joblib "
    "matplotlib numba onnxruntime pydub.converter requests speechmos torch._dynamo torch._inductor "
    "torchaudio torchcodec torio trainer transformers urllib3"
)
# coqui's TTS says the spoken text at INFO, and these of its modules say it in a warning.
_INDISCREET = "TTS.tts.layers.xtts.tokenizer TTS.tts.layers.xtts.zh_num2words TTS.tts.utils.text.tokenizer"
LOGGER_LEVELS: Mapping[str, int] = {
    **dict.fromkeys(_NOISY.split(), logging.WARNING),
    **dict.fromkeys(_INDISCREET.split(), logging.ERROR),
}

_FOR_FILE = {"for_file": True}  # the script tells people of its failure itself, in its own words
_OURS = "_voice_cloning_handler"  # marks our handlers, also those of a second copy of this module
_logger = logging.getLogger("logger_config")


# --- setup -------------------------------------------------------------------------------------------------


def setup_logging(
    log_dir: str | os.PathLike[str] | None = None,
    *,
    console_level: int = logging.WARNING,
    file_level: int | None = None,
    stream: TextIO | None = None,
) -> Path | None:
    """Put our two handlers on the root logger, in place of earlier ones of ours; leave others alone.

    Args:
        log_dir: folder of the log; else ``VOICE_CLONING_LOG_DIR``, else ``logs/`` beside this file.
        console_level: DEBUG shows times and tracebacks, anything above it plain sentences.
        file_level: else ``VOICE_CLONING_LOG_LEVEL``, else INFO.
        stream: the console, by default stderr.

    Returns:
        The folder in use: the asked one, or the platform's log folder where that cannot be written (with one
        warning), or None if the console is all there is.
    """
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if hasattr(each, _OURS)]:
        root.removeHandler(earlier)
        earlier.close()
    for name, level in LOGGER_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    _add_handler(root, _Console(stream), console_level)
    root.setLevel(console_level)

    level, warnings = (file_level, []) if file_level is not None else _level_from_environment()
    handler, trouble = _open_log_file(log_dir)
    if handler:
        _add_handler(root, handler, level)
        root.setLevel(min(console_level, level))
    for sentence in warnings + trouble:
        _logger.warning(sentence)
    return handler.folder if handler else None


class _Console(logging.StreamHandler[TextIO]):
    """Warnings of libraries and failures that the script reports itself are shown in debug mode only.

    Without a stream of its own it writes to what is stderr at that moment: a progress bar may stand in.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._chosen = stream

    def setLevel(self, level: int | str) -> None:
        super().setLevel(level)
        self.setFormatter(EventFormatter() if self.level <= logging.DEBUG else SentenceFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        for_file = record.name == "py.warnings" or getattr(record, "for_file", False)
        if self.level <= logging.DEBUG or not for_file:
            self.stream = self._chosen or sys.stderr
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A closed terminal is no reason to stop, and there is nobody to tell."""


def _add_handler(root: logging.Logger, handler: logging.Handler, level: int) -> None:
    setattr(handler, _OURS, True)
    handler.setLevel(level)
    root.addHandler(handler)


def _level_from_environment() -> tuple[int, list[str]]:
    name = os.environ.get("VOICE_CLONING_LOG_LEVEL", "").strip().upper() or "INFO"
    level = logging.getLevelName(name)
    if isinstance(level, int):
        return level, []
    return logging.INFO, [f"VOICE_CLONING_LOG_LEVEL={name} is no level: use DEBUG, INFO, WARNING or ERROR."]


def _open_log_file(log_dir: str | os.PathLike[str] | None) -> tuple[DatedFileHandler | None, list[str]]:
    wanted, failures = _log_folder(log_dir), []
    for folder in (wanted, _platform_log_folder()):
        try:
            handler = DatedFileHandler(folder)
        except OSError as error:
            failures.append(f"{folder} ({error.strerror or error})")
            continue
        if not failures:
            return handler, []
        return handler, [f"The log cannot be written to {failures[0]}: it is in {folder}."]
    return None, [f"The log cannot be written to {' nor to '.join(failures)}: there is none of this run."]


def _log_folder(log_dir: str | os.PathLike[str] | None) -> Path:
    return Path(log_dir or os.environ.get("VOICE_CLONING_LOG_DIR") or LOG_DIR).expanduser()


def _platform_log_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_log_dir("voice-cloning", appauthor=False))


# --- memory ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MemorySnapshot:
    """Memory in MB (2**20 bytes); the CUDA fields are None without torch or without a GPU in use."""

    rss_mb: float
    peak_rss_mb: float
    available_mb: float
    cuda_allocated_mb: float | None = None
    cuda_peak_mb: float | None = None


def memory_snapshot() -> MemorySnapshot:
    """This process's resident memory and its peak, what the machine has left, tensors on the GPU."""
    psutil = _psutil()
    rss = psutil.Process().memory_info().rss / MB
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    used = (None, None)
    if cuda and cuda.is_available() and cuda.is_initialized():  # asking must not create a CUDA context
        used = (cuda.memory_allocated() / MB, cuda.max_memory_allocated() / MB)
    return MemorySnapshot(rss, max(rss, _peak_rss_mb()), psutil.virtual_memory().available / MB, *used)


def _peak_rss_mb() -> float:
    if sys.platform == "win32":
        return float(_psutil().Process().memory_info().peak_wset) / MB
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak / 1024  # bytes there, KiB elsewhere


def _psutil() -> Any:
    import psutil  # type: ignore[import-untyped, unused-ignore]  # 20 ms: not for --help

    return psutil


# --- stages, spans -----------------------------------------------------------------------------------------


class span(Stopwatch):
    """Times a block and says so: ``STARTED`` before it, ``DONE - Duration: 0.375s, ...`` after it.

    Args:
        name: what the block is called where it fails, and at DEBUG.
        started: the line before the block; None for none.
        done: the text before the duration; None leaves one line at DEBUG.
        logger: default: that of the calling module.
        stage: count the time for this stage of the current ``StageClock``. GPU work that is still queued when
            the block ends counts for the stage that waits for it.
        level: of the two lines.
        label: what the duration is called.
        memory: add the resident memory after the block and, last, that before it.
        details: notes for the done line, as ``note`` takes them.

    A failure is one line without a stack, which ``timed`` or ``run`` writes. Not around a ``yield``.
    """

    __slots__ = ("_done", "_label", "_level", "_logger", "_memory", "_notes", "_rss_before", "_started")

    def __init__(
        self,
        name: str,
        *,
        started: str | None = None,
        done: str | None = None,
        logger: logging.Logger | None = None,
        stage: str | None = None,
        level: int = logging.INFO,
        label: str = "Duration",
        memory: bool = False,
        **details: object,
    ) -> None:
        super().__init__(name, stage)
        caller = sys._getframe(1).f_globals.get("__name__", "root")
        self._logger = logger or logging.getLogger(module_name(caller))
        self._started, self._done, self._level, self._label = started, done, level, label
        self._memory, self._notes = memory, details
        self._rss_before = 0.0

    def note(self, **details: object) -> None:
        """Add ``key: value`` to the done line; an underscore in a key is written as a space."""
        self._notes.update(details)

    def __enter__(self) -> Self:
        self._rss_before = _rss_mb() if self._memory else 0.0
        if self._started:
            self._logger.log(self._level, self._started)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(error)
        if error is not None:
            level = logging.DEBUG if self.is_nested else logging.ERROR
            line = "%s - FAILED - %s - Duration: %s"
            self._logger.log(level, line, self.name, describe(error), duration(self.seconds), extra=_FOR_FILE)
            return
        level = self._level if self._done else logging.DEBUG
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s - %s", self._done or self.name, ", ".join(self._facts()))
        if self._inner_s:
            self._logger.debug("%s - Self time: %s", self.name, duration(self.self_seconds))

    def _facts(self) -> list[str]:
        facts = [f"{self._label}: {duration(self.seconds)}"]
        now = _rss_mb() if self._memory else 0.0
        if self._memory:
            facts.append(f"Memory: {size(now)}")
        for key, value in self._notes.items():
            facts.append(f"{key.replace('_', ' ')}: {f'{value:.6g}' if isinstance(value, float) else value}")
        if self._memory:
            sign = "-" if now < self._rss_before else "+"
            change = f"{sign}{size(abs(now - self._rss_before))}"
            facts.append(f"Memory before: {size(self._rss_before)} ({change})")
        return facts


def _rss_mb() -> float:
    return float(_psutil().Process().memory_info().rss) / MB


# --- timed functions ---------------------------------------------------------------------------------------


@overload
def timed(func: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def timed(
    *, inputs: Sequence[str] = (), stage: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def timed(
    func: Callable[P, R] | None = None, /, *, inputs: Sequence[str] = (), stage: str | None = None
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Log a function's START, Input, Output and END with its execution time, or FAILED with the stack.

    Args:
        inputs: the arguments on the Input line, in this order, the others on a Settings line; by default all
            on the Input line.
        stage: see ``span``.

    An exception's stack is written once, by the innermost timed function that it leaves. A generator or
    coroutine function is refused: its call only makes the generator, and that is what would be timed.
    """
    if func is None:
        return lambda function: _timed(function, inputs, stage)
    return _timed(func, inputs, stage)


_LAZY = (inspect.isgeneratorfunction, inspect.iscoroutinefunction, inspect.isasyncgenfunction)


def _timed(func: Callable[P, R], inputs: Sequence[str], stage: str | None) -> Callable[P, R]:
    if any(is_lazy(func) for is_lazy in _LAZY):
        raise TypeError(f"timed() cannot time {func.__qualname__}(), which runs after its call has returned")
    logger = logging.getLogger(module_name(func.__module__))
    name = func.__name__ if "<locals>" in func.__qualname__ else func.__qualname__
    signature = inspect.signature(func)

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        logger.info("%s() - START", name)
        if logger.isEnabledFor(logging.INFO):
            with contextlib.suppress(TypeError):  # wrong arguments: the call itself says so
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                _log_input(logger, bound.arguments, inputs)
        watch = Stopwatch(name, stage)
        watch.start()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            watch.stop(error)
            _log_failure(logger, f"{name}()", error, watch.seconds)
            raise
        watch.stop(None)
        if logger.isEnabledFor(logging.INFO):
            logger.info("Output: %s %s", type(result).__name__, summary(result))
            _log_files(logger, "Output file", [result])
        logger.info("%s() - END - Total execution time: %.3fs", name, watch.seconds)
        return result

    return wrapper


def _log_input(logger: logging.Logger, arguments: Mapping[str, object], inputs: Sequence[str]) -> None:
    given = {name: value for name, value in arguments.items() if name not in ("self", "cls")}
    first = {name: given.pop(name) for name in inputs if name in given} if inputs else given
    logger.info("Input: %s", listing(first) or "none")
    if inputs and given:
        logger.info("Settings: %s", listing(given))
    _log_files(logger, "Input file", list({**first, **given}.values()))


def _log_files(logger: logging.Logger, title: str, values: Sequence[object]) -> None:
    """Name and size of each value that is an existing file."""
    for value in values:
        if isinstance(value, (list, tuple)) and len(value) <= 16:
            _log_files(logger, title, value)
        elif isinstance(value, (str, os.PathLike)):
            with contextlib.suppress(OSError, ValueError):
                if os.path.isfile(value):
                    logger.info("%s: %s, Size: %s", title, value, size(os.path.getsize(value) / MB))


def _log_failure(logger: logging.Logger, what: str, error: BaseException, seconds: float) -> None:
    """One line; with the stack if this is the first to log it, and if it is an error at all."""
    if not isinstance(error, Exception):  # Ctrl-C, SystemExit: somebody's wish
        line = "%s - INTERRUPTED - %s - Total execution time: %.3fs"
        logger.warning(line, what, type(error).__name__, seconds, extra=_FOR_FILE)
        return
    stack = None if getattr(error, "_stack_is_logged", False) else error
    with contextlib.suppress(AttributeError):
        error._stack_is_logged = True  # type: ignore[attr-defined]
    line = "%s - FAILED - %s - Total execution time: %.3fs"
    logger.error(line, what, describe(error), seconds, exc_info=stack, extra=_FOR_FILE)


# --- a run -------------------------------------------------------------------------------------------------


class run:
    """Frames a script: its start, the system, its end in the log, one record in ``runs.jsonl``.

    Args:
        script: name without ``.py``; also the logger's.
        argv: the arguments, by default those of the process.
        log_dir: what ``setup_logging`` returned; None keeps no record.
        private_flags: the value of these is logged by its length.
        since_process_start: measure from there. False where ``main`` is called by another program (a test).

    Attributes:
        run_id: the name of the run.
        exit_code: set it before the block ends. An exception that leaves the block sets it itself (its own
            ``exit_code``, else 1; 130 for Ctrl-C) and goes on its way.
        clock: the run's ``StageClock``.
    """

    def __init__(
        self,
        script: str,
        argv: Sequence[str] | None = None,
        *,
        log_dir: Path | None = None,
        private_flags: Sequence[str] = ("--text", "--consent"),
        since_process_start: bool = True,
    ) -> None:
        self.script, self.run_id, self.exit_code = script, run_history.new_run_id(), 0
        self.clock = StageClock(since_process_start=since_process_start)
        self._argv = mask_argv(sys.argv[1:] if argv is None else argv, private_flags)
        self._log_dir, self._logger = log_dir, logging.getLogger(script)
        started = dt.datetime.now().astimezone().isoformat("T", "milliseconds")
        self._about = {"schema": 1, "run_id": self.run_id, "script": script, "started": started}
        self._marker: Path | None = None
        self._error_type: str | None = None
        self._details: dict[str, object] = {}

    def record(self, **details: object) -> None:
        """Put more into the run's record: sizes, settings, results; no text, no names of people."""
        self._details.update(details)

    def fail(self, error: BaseException) -> int:
        """Log an exception that the script caught at its border; set and return the exit code."""
        self._error_type, self.exit_code = type(error).__name__, _exit_code(error)
        if self.exit_code:
            _log_failure(self._logger, self.script, error, self.clock.total())
        return self.exit_code

    def __enter__(self) -> Self:
        self.clock.__enter__()
        arguments = shlex.join(self._argv) or "none"
        self._logger.info("%s started - Run: %s, Arguments: %s", self.script, self.run_id, arguments)
        self._logger.info("System: %s", _system())
        log_torch_info(self._logger)
        self._keep(self._begin_record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(error)
        self.clock.__exit__()
        stages = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in self.clock.seconds().items())
        self._logger.info("Stages: %s, Memory peak: %s", stages or "none", size(_peak_rss_mb()))
        line = "%s finished - exit code %d - Total execution time: %.3fs"
        self._logger.info(line, self.script, self.exit_code, self.clock.total())
        self._keep(self._end_record)

    def _keep(self, write: Callable[[Path], None]) -> None:
        """A history that cannot be written costs one warning, not the run."""
        if self._log_dir:
            try:
                write(self._log_dir)
            except OSError as error:
                reason = error.strerror or error
                self._logger.warning("No record of this run is kept in %s: %s", self._log_dir, reason)
                self._log_dir = None

    def _begin_record(self, log_dir: Path) -> None:
        for run_id in run_history.collect_killed(log_dir, _is_alive):
            self._logger.info("Run %s was killed: it never reached its end", run_id)
        created = float(_psutil().Process().create_time())
        self._marker = run_history.mark_running(log_dir, self._about, created)

    def _end_record(self, log_dir: Path) -> None:
        error = {"type": self._error_type, "stage": self.clock.failed_stage} if self._error_type else None
        status = "ok" if self.exit_code == 0 else "interrupted" if self.exit_code in (130, 143) else "error"
        timings = {**self.clock.seconds(), "total": self.clock.total()}
        run_history.append_run(
            log_dir,
            {
                **self._about,
                "status": status,
                "exit_code": self.exit_code,
                "error": error,
                "timings_s": {stage: round(seconds, 3) for stage, seconds in timings.items()},
                "memory_mb": {"peak_rss": round(_peak_rss_mb(), 1)},
                **self._details,
            },
        )
        if self._marker:
            self._marker.unlink(missing_ok=True)


def log_torch_info(logger: logging.Logger | None = None) -> None:
    """One line on PyTorch and the GPU, once torch is imported; before that, nothing."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):  # absent, or still being imported
        return
    cuda = torch.cuda.is_available()
    gpu = torch.cuda.get_device_name() if cuda else "none"
    line = "PyTorch: %s, CUDA available: %s, GPU: %s, Threads: %d"
    (logger or _logger).info(line, torch.__version__, cuda, gpu, torch.get_num_threads())


def _system() -> str:
    import platform

    ram = size(_psutil().virtual_memory().total / MB)
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"Python {platform.python_version()}, {system}, CPUs: {os.cpu_count()}, RAM: {ram}"


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 130 if isinstance(error, KeyboardInterrupt) else int(getattr(error, "exit_code", 1))


def _is_alive(pid: int, created: float) -> bool:
    psutil = _psutil()
    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - created) < 2 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # somebody else's process
        return True


# --- the report --------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Report over the runs of a log folder on stdout; returns the exit status."""
    parser = argparse.ArgumentParser(description="Report over past runs: how many, how long, what failed.")
    parser.add_argument("--log-dir", metavar="DIR", help="folder of the logs (default: the scripts' own)")
    parser.add_argument("--since", metavar="PERIOD", type=_period, help="runs of that time only: 12h, 7d, 2w")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")
    options = parser.parse_args(argv)
    try:
        runs = run_history.read_runs(_log_folder(options.log_dir))
    except OSError as error:
        print(f"error: cannot read the history: {error}", file=sys.stderr)
        return 1
    if options.since is not None:
        runs = run_history.since(runs, time.time() - options.since)
    report = run_history.summarise(runs)
    print(run_history.to_json({"schema": 1, **report}) if options.json else run_history.as_table(report))
    return 0


def _period(text: str) -> float:
    try:
        return run_history.seconds_in(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    raise SystemExit(main())
