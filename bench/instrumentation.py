"""What logging, timing and history cost, and what they lose: on against off, and against the field's own.

1. A run: ``improve_voice_sample.py``'s work on one recording, with the instrumentation and with spans, timed functions
   and logging switched off, alternating in one process; processor time, so that other users of the machine matter less.
2. A record: microseconds that one ``logger.info`` takes its caller, one writer, beside the standard library's handlers
   and, where they are installed (``pip install --group bench``), concurrent-log-handler, loguru and structlog.
3. A span's own bookkeeping: entering and leaving one whose lines are below the level; one with a stage; a timed call.
4. The start: what a process pays for setting everything up and for ending its run, beside ``import logging`` alone.
5. Two processes, 5,000 records each, into one file that is rotated every 100 kB: how many lines are there afterwards.

The last line is one JSON object. Run from the project's folder: ``python bench/instrumentation.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import logging.handlers
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import improve_voice_sample  # noqa: E402
import logger_config  # noqa: E402
from voicekit.log_files import DatedFileHandler  # noqa: E402
from voicekit.planning import ImproveSettings  # noqa: E402

REFERENCE = ROOT / "samples" / "reference.wav"
MESSAGE = "Preprocessing step: %s - Duration: %.3fs, rate: %d -> %d Hz, length: %.2fs -> %.2fs"
VALUES = ("Sample rate optimization", 0.130, 48_000, 22_050, 12.5, 10.58)
PROCESSES, RECORDS_EACH = 2, 5_000
ROTATE_BYTES = 100_000


# --- 1: a run ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nothing_measured() -> Iterator[None]:
    """Spans, timed functions and logging do nothing: what the program would be without them."""
    kept: dict[tuple[Any, str], Any] = {}

    def replace(owner: Any, name: str, value: Any) -> None:
        kept[owner, name] = getattr(owner, name)
        setattr(owner, name, value)

    replace(logger_config.span, "__enter__", lambda self: self)
    replace(logger_config.span, "__exit__", lambda self, *_: None)
    replace(logger_config.span, "note", lambda self, **_: None)
    replace(logger_config.span, "count", lambda self, **_: None)
    replace(logger_config._Call, "run", lambda self, *args, **kwargs: self._func(*args, **kwargs))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for (owner, name), value in kept.items():
            setattr(owner, name, value)


def a_run(folder: Path) -> float:
    """Seconds of processor time of one improvement without DNSMOS: the shortest run there is."""
    began = time.process_time()
    settings = ImproveSettings(opinion=False, overwrite=True)
    improve_voice_sample.optimize_voice_sample(REFERENCE, folder / "out.wav", settings=settings)
    return time.process_time() - began


def overhead_of_a_run(rounds: int) -> dict[str, float]:
    """Median of the rounds' ratios on / off, each round one of each, the order turned every round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logger_config.setup_logging(folder / "logs", console_level=logging.CRITICAL)
        a_run(folder)
        on, off = [], []
        for number in range(rounds):
            for measured in (True, False) if number % 2 else (False, True):
                with contextlib.nullcontext() if measured else nothing_measured():
                    (on if measured else off).append(a_run(folder))
        handler = next(each for each in logging.getLogger().handlers if isinstance(each, DatedFileHandler))
        records, seconds = handler.records / (rounds + 1), handler.seconds / (rounds + 1)
    ratios = [with_it / without for with_it, without in zip(on, off, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "off_s": statistics.median(off), "on_s": statistics.median(on),
        "overhead_percent": 100 * (statistics.median(ratios) - 1),
        "quartiles_percent": [100 * (low - 1), 100 * (high - 1)],
        "records": records, "writing_s": seconds, "writing_percent": 100 * seconds / statistics.median(on),
    }  # fmt: skip


# --- 2: a record ---------------------------------------------------------------------------------------------


def microseconds(action: Callable[[], object], times: int, repeats: int = 7) -> float:
    """The best of several rounds."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(times):
            action()
        best = min(best, (time.perf_counter() - began) / times)
    return best * 1e6


def record_costs(times: int) -> dict[str, float]:
    """Microseconds a record, by handler."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = 2**40
        handlers: dict[str, Callable[[], logging.Handler]] = {
            "ours": lambda: DatedFileHandler(folder),
            "FileHandler": lambda: logging.FileHandler(folder / "plain.log"),
            "RotatingFileHandler": lambda: logging.handlers.RotatingFileHandler(folder / "r.log", maxBytes=large),
        }
        if find_spec("concurrent_log_handler"):
            from concurrent_log_handler import ConcurrentRotatingFileHandler

            handlers["concurrent-log-handler"] = lambda: ConcurrentRotatingFileHandler(folder / "c.log", maxBytes=large)
        costs = {who: _logger_cost(make(), times) for who, make in handlers.items()}
        if find_spec("loguru"):
            costs["loguru"] = _loguru_cost(folder, times)
        if find_spec("structlog"):
            costs["structlog"] = _structlog_cost(folder, times)
    return costs


def _logger_cost(handler: logging.Handler, times: int) -> float:
    logger = logging.Logger("simple_voice_clone", logging.INFO)
    if not isinstance(handler, DatedFileHandler):
        handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(name)s - %(message)s"))
    logger.addHandler(handler)
    cost = microseconds(lambda: logger.info(MESSAGE, *VALUES), times)
    handler.close()
    return cost


def _loguru_cost(folder: Path, times: int) -> float:
    import loguru

    loguru.logger.remove()
    sink = loguru.logger.add(folder / "loguru.log", rotation="1 GB")
    cost = microseconds(lambda: loguru.logger.info(MESSAGE % VALUES), times)
    loguru.logger.remove(sink)
    return cost


def _structlog_cost(folder: Path, times: int) -> float:
    import structlog

    with open(folder / "structlog.log", "w", encoding="utf-8") as stream:
        logger = structlog.wrap_logger(structlog.WriteLogger(stream), processors=[
            structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer()])  # fmt: skip
        return microseconds(lambda: logger.info("step", name=VALUES[0], seconds=VALUES[1]), times)


# --- 3: a span -----------------------------------------------------------------------------------------------


def span_costs(times: int) -> dict[str, float]:
    """Microseconds of a span and of a timed call whose lines nobody wants."""
    quiet = logging.getLogger("quiet")
    quiet.setLevel(logging.CRITICAL)
    span = logger_config.span

    def nested() -> None:
        with span("outer", logger=quiet):
            pass

    def staged() -> None:
        with span("outer", logger=quiet, stage="generate"):
            pass

    empty = microseconds(lambda: None, times)
    with logger_config.StageClock():
        costs = {"span": microseconds(nested, times), "span with a stage": microseconds(staged, times // 10)}
    return {what: cost - empty for what, cost in costs.items()}


# --- 4: the start --------------------------------------------------------------------------------------------

_START = """
import sys, time
began = time.perf_counter()
{body}
print(time.perf_counter() - began)
"""
_SET_UP = """
import logger_config
folder = logger_config.setup_logging(sys.argv[1])
frame = logger_config.run("simple_voice_clone", [], log_dir=folder)
frame.__enter__()
"""
_WHOLE = _SET_UP + "frame.__exit__(None, None, None)"


def start_cost(rounds: int) -> dict[str, float]:
    """Milliseconds from an interpreter that has started to a run that is framed and over."""
    bodies = {"import logging": "import logging", "ours, until the work begins": _SET_UP, "and to the end": _WHOLE}
    seconds: dict[str, list[float]] = {what: [] for what in bodies}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for what, body in bodies.items():
                command = [sys.executable, "-c", _START.format(body=body), folder]
                done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
                seconds[what].append(float(done.stdout))
    return {what: 1000 * statistics.median(each) for what, each in seconds.items()}


# --- 5: two processes ----------------------------------------------------------------------------------------

_WRITERS = {  # module that is needed, how the handler is made; loguru's logger needs none
    "ours": ("sys", "from voicekit.log_files import DatedFileHandler\n"
             "h = DatedFileHandler(folder, max_bytes=size, keep_files=999)"),
    "RotatingFileHandler": ("sys", "import logging.handlers\n"
                            "h = logging.handlers.RotatingFileHandler(name, maxBytes=size, backupCount=999)"),
    "concurrent-log-handler": ("concurrent_log_handler", "from concurrent_log_handler import *\n"
                               "h = ConcurrentRotatingFileHandler(name, maxBytes=size, backupCount=999)"),
    "loguru": ("loguru", "import loguru; loguru.logger.remove(); h = None\n"
               "loguru.logger.add(name, rotation=size, format='{message}')"),
}  # fmt: skip
_WRITER = """
import logging, sys, time
folder, size, who, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
name = folder + "/x.log"
logging.raiseExceptions = False
{handler}
logger = logging.Logger("simple_voice_clone", logging.INFO)
if h: logger.addHandler(h)
else:
    logger = loguru.logger
while time.time() < float(sys.argv[5]): pass
for number in range(count):
    logger.info(f"record {{who}} {{number}} of a run that two processes write at the same time")
"""


def lines_kept(who: str, rounds: int = 5) -> tuple[int, int]:
    """How many records of two processes are in the files, the worst of several rounds; and how many twice."""
    return min(_lines_kept(who) for _ in range(rounds))


def _lines_kept(who: str) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        code = _WRITER.format(handler=_WRITERS[who][1])
        start = str(time.time() + 2.0)
        arguments = [[folder, str(ROTATE_BYTES), str(number), str(RECORDS_EACH), start] for number in range(PROCESSES)]
        writers = [subprocess.Popen([sys.executable, "-c", code, *each], cwd=ROOT) for each in arguments]
        for writer in writers:
            writer.wait()
        lines = [line for path in Path(folder).iterdir() if ".log" in path.name and "lock" not in path.name
                 for line in path.read_text("utf-8", errors="replace").splitlines() if "record " in line]  # fmt: skip
    named = {line[line.index("record ") :] for line in lines}
    whole = {line for line in named if line.endswith("at the same time") and line.count("record ") == 1}
    return len(whole), len(lines) - len(named)


def main(argv: list[str] | None = None) -> int:
    """Measures all five, prints tables and the JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=16, help="pairs of runs, on and off")
    parser.add_argument("--records", type=int, default=5000)
    options = parser.parse_args(argv)
    whole = overhead_of_a_run(options.rounds)
    logger_config.setup_logging(tempfile.mkdtemp(), console_level=logging.CRITICAL)
    records, spans, start = record_costs(options.records), span_costs(20_000), start_cost(9)
    kept = {who: lines_kept(who) for who, (module, _) in _WRITERS.items() if find_spec(module)}
    print(textwrap.dedent(f"""\
        a run of {whole["off_s"]:.2f} s: {whole["overhead_percent"]:+.2f} % with everything on (quartiles of the pairs
        {whole["quartiles_percent"][0]:+.2f} to {whole["quartiles_percent"][1]:+.2f} %); {whole["records"]:.0f} records,
        whose writing took {whole["writing_s"] * 1000:.1f} ms, {whole["writing_percent"]:.2f} % of it"""))
    for title, costs, unit in (("a record", records, "us"), ("bookkeeping", spans, "us"), ("the start", start, "ms")):
        print(f"\n{title}")
        for what, cost in costs.items():
            print(f"  {what:<28}{cost:>9.1f} {unit}")
    print(f"\n{PROCESSES} processes x {RECORDS_EACH:,} records, rotated every {ROTATE_BYTES // 1000} kB:"
          " whole lines kept, worst of five")
    for who, (lines, twice) in kept.items():
        print(f"  {who:<28}{lines:>9,} of {PROCESSES * RECORDS_EACH:,}{f', {twice} twice' if twice else ''}")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result = {"bench": "instrumentation", "machine": machine, "run": whole, "record_us": records, "span_us": spans,
              "start_ms": start, "lines_kept": {who: each[0] for who, each in kept.items()}}  # fmt: skip
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
