"""The frame around a script: its start and end in the log, what it used by stage, its record in ``runs.jsonl``.

A run that ends badly is told of too: by an exception that nobody caught, in whatever thread, by a signal, or, if it
was killed, by the next run. Knows nothing of audio or speech, and of the command line only its arguments.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from voicekit import complexity, crash_reports, machine, private_text, run_history
from voicekit.log_files import DatedFileHandler
from voicekit.log_lines import describe_error
from voicekit.log_values import duration, mask_argv, size
from voicekit.memory import METER, rss_mb
from voicekit.stage_clock import Stage, StageClock

SCHEMA = 2  # of the records
COMPARED_RUNS = 200  # the latest ones, with which a run is compared at its end
FOR_FILE = {"for_file": True}  # the script tells people of its failure itself, in its own words
_FLAG = re.compile(r"--[a-z][a-z-]*|-[a-z]")

_logger = logging.getLogger("logger_config")


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
        self.clock = StageClock(since_process_start=since_process_start, entered=self._entered)
        self._argv = mask_argv(sys.argv[1:] if argv is None else argv, private_flags)
        self._log_dir, self._logger = log_dir, logging.getLogger(script)
        self._marker: run_history.Marker | None = None
        self._crashes = crash_reports.CrashReports(log_dir, self.run_id, self._uncaught)
        self._error: dict[str, str | None] | None = None
        self._details: dict[str, object] = {}
        self._about: dict[str, Any] = {}

    def record(self, **details: object) -> None:
        """Put more into the run's record: settings, results; no text, no names of people or files."""
        self._details.update(details)

    def fail(self, error: BaseException) -> int:
        """Log an exception that the script caught at its border; set and return the exit code."""
        self.exit_code = exit_code(error)
        self._error = {"type": type(error).__name__, "stage": self.clock.failed_stage, "place": place_of(error)}
        if self.exit_code:
            # A defect is critical: an error that does not say what the user can do about it.
            level = logging.ERROR if hasattr(error, "exit_code") else logging.CRITICAL
            log_failure(self._logger, self.script, error, self.clock.total(), level)
        return self.exit_code

    def __enter__(self) -> Self:
        self.clock.__enter__()
        self._about = self._beginning()
        arguments = shlex.join(self._argv) or "none"
        self._logger.info("%s started - Run: %s, Arguments: %s", self.script, self.run_id, arguments)
        self._logger.info("System: %s", machine.sentence())
        log_torch_info(self._logger)
        self._keep(self._begin_record)
        self._crashes.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(error)
        self._crashes.__exit__(None, None, None)
        self.clock.__exit__()
        total_s = self.clock.total()
        record = self._ended(total_s)
        self._tell_stages(total_s)
        self._keep(lambda log_dir: self._compare(record, log_dir))
        line = "%s finished - exit code %d - Total execution time: %.3fs"
        self._logger.info(line, self.script, self.exit_code, total_s)
        self._keep(lambda log_dir: self._end_record({**record, "log": _log_cost()}, log_dir))

    # --- what is told ------------------------------------------------------------------------------------

    def _tell_stages(self, total_s: float) -> None:
        stages = self.clock.stages()
        for name, stage in stages.items():
            self._logger.info("Stage: %s - %s", name, ", ".join(_stage_facts(stage, total_s)))
        for name, stage in stages.items():
            if (declared := complexity.of_stage(name)) and (line := _growth(declared, stage)):
                self._logger.info("Complexity: %s - %s", name, line)
        parts = ", ".join(f"{name} {duration(stage.seconds)}" for name, stage in stages.items())
        self._logger.info("Stages: %s, Memory peak: %s", parts or "none", size(METER.run_peak_mb()))

    def _compare(self, record: dict[str, Any], log_dir: Path) -> None:
        """Why this run was slow, or that it was not, for a run that came to its end."""
        from voicekit import run_reasons

        if record["status"] == "ok":
            for sentence in run_reasons.explain(record, run_history.read_runs(log_dir, latest=COMPARED_RUNS)):
                self._logger.info("Time: %s", sentence)

    def _uncaught(self, where: str, error: BaseException) -> None:
        """An exception that nobody caught, in a thread or where Python cannot raise it."""
        self._error = self._error or {"type": type(error).__name__, "stage": None, "place": place_of(error)}
        self._logger.critical("Uncaught in %s - %s", where, describe_error(error), exc_info=error, extra=FOR_FILE)

    # --- what is kept ------------------------------------------------------------------------------------

    def _keep(self, write: Callable[[Path], None]) -> None:
        """A history that cannot be written costs one warning, not the run."""
        if self._log_dir:
            try:
                write(self._log_dir)
            except OSError as error:
                reason = error.strerror or error
                _logger.warning("No record of this run is kept in %s: %s", self._log_dir, reason)
                self._log_dir = None

    def _begin_record(self, log_dir: Path) -> None:
        for killed in run_history.collect_killed(
            log_dir, machine.is_alive, lambda run_id: crash_reports.collect(log_dir, run_id)
        ):
            what = f"crashed: {killed['crash']}" if killed.get("crash") else "was killed"
            stage, run_id = killed.get("last_stage") or "its start", killed.get("run_id")
            self._logger.warning("Run %s %s; it was in %s and never came to its end.", run_id, what, stage,
                                 extra=FOR_FILE)  # fmt: skip
        crash_reports.retire(log_dir)
        if sentence := machine.low_disk(log_dir):
            _logger.warning(sentence)
        self._marker = run_history.Marker(log_dir, self._about, machine.process_created())

    def _entered(self, stage: str) -> None:
        """Leave word of the stage, should the run be killed in it. What cannot be written is not worth a stop."""
        if self._marker:
            timings = {name: round(seconds, 3) for name, seconds in self.clock.seconds().items()}
            with contextlib.suppress(OSError):
                self._marker.write(
                    {**self._about, **self._details, "last_stage": stage, "timings_s": timings, "error": None,
                     "memory_mb": {"peak_rss": round(METER.run_peak_mb(), 1)}}
                )  # fmt: skip

    def _beginning(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA, "run_id": self.run_id, "script": self.script,
            "started": dt.datetime.now().astimezone().isoformat("T", "milliseconds"),
            "versions": machine.versions(), "machine": machine.about(), "load": machine.load(),
            "flags": [flag for word in self._argv if _FLAG.fullmatch(flag := word.partition("=")[0])],
            "memory_mb": {"start_rss": round(METER.run_peak_mb(), 3)},
        }  # fmt: skip

    def _ended(self, total_s: float) -> dict[str, Any]:
        stages = self.clock.stages()
        sizes: dict[str, float] = {}
        for stage in stages.values():
            sizes = {**stage.sizes, **sizes}  # what two stages work on is counted once
        timings = {**self.clock.seconds(), "total": total_s}
        return {
            **self._about, "status": _STATUS.get(self.exit_code, "error"), "exit_code": self.exit_code,
            "error": self._error, "warnings": sum(each.warnings for each in _log_files()), **self._details,
            "versions": machine.versions(), "threads": machine.threads(),
            "machine": {**self._about["machine"], "gpu": machine.gpu_name()},
            "load": {**self._about["load"], "average_1min_end": machine.load()["average_1min"]},
            "sizes": _rounded(sizes), "timings_s": _rounded(timings), "cpu_s": round(time.process_time(), 3),
            "stages": {name: _kept_stage(name, stage) for name, stage in stages.items()},
            "memory_mb": {
                **self._about["memory_mb"],
                **_rounded({"end_rss": rss_mb(), "peak_rss": METER.run_peak_mb(),
                            "cuda_peak": METER.run_cuda_peak_mb()}),
            },
        }  # fmt: skip

    def _end_record(self, record: dict[str, Any], log_dir: Path) -> None:
        try:
            run_history.append_run(log_dir, record)
        finally:  # a record that cannot be written is missing; without this, the next run would call this one killed
            if self._marker:
                self._marker.remove()


_STATUS = {0: "ok", 130: "interrupted", 143: "interrupted", 129: "interrupted"}


def log_torch_info(logger: logging.Logger | None = None) -> None:
    """One line on PyTorch and the GPU, once torch is imported; before that, nothing."""
    if line := machine.torch_sentence():
        (logger or _logger).info(line)


def log_failure(
    logger: logging.Logger, what: str, error: BaseException, seconds: float, level: int = logging.ERROR
) -> None:
    """One line; with the stack if this is the first to log it, and if it is an error at all."""
    if not isinstance(error, Exception):  # Ctrl-C, SystemExit: somebody's wish
        line = "%s - INTERRUPTED - %s - Total execution time: %.3fs"
        logger.warning(line, what, type(error).__name__, seconds, extra=FOR_FILE)
        return
    stack = None if getattr(error, "_stack_is_logged", False) else error
    with contextlib.suppress(AttributeError):
        error._stack_is_logged = True  # type: ignore[attr-defined]
    line = "%s - FAILED - %s - Total execution time: %.3fs"
    logger.log(level, line, what, describe_error(error), seconds, exc_info=stack, extra=FOR_FILE)


def exit_code(error: BaseException) -> int:
    """Of the process that ends with this exception: its own, 130 for Ctrl-C, else 1."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 130 if isinstance(error, KeyboardInterrupt) else int(getattr(error, "exit_code", 1))


def place_of(error: BaseException) -> str | None:
    """Module and function of ours in which it arose, as ``voicekit.text:segments``; the same over many runs."""
    place, trace = None, error.__traceback__
    while trace:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        if module == "__main__":
            module = Path(trace.tb_frame.f_code.co_filename).stem
        hidden = "__tracebackhide__" in trace.tb_frame.f_locals  # pytest's mark: a signal's handler is not where it was
        if private_text.is_ours(module) and module not in ("logger_config", __name__) and not hidden:
            place = f"{module}:{trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return place


def _stage_facts(stage: Stage, total_s: float) -> list[str]:
    facts = [f"Duration: {duration(stage.seconds)} ({stage.seconds / max(total_s, 1e-9):.0%} of the run)"]
    if stage.seconds > 0.05:  # the processor's time is counted in hundredths of a second
        facts.append(f"CPU: {stage.cpu_s / stage.seconds:.0%}")
    if stage.rss_before_mb is not None and stage.rss_after_mb is not None:
        memory = f"Memory: {size(stage.rss_before_mb)} -> {size(stage.rss_after_mb)}"
        facts.append(f"{memory}, Peak: {size(stage.rss_peak_mb or 0.0)}")
    if stage.cuda_peak_mb is not None:
        facts.append(f"CUDA peak: {size(stage.cuda_peak_mb)}")
    if stage.major_faults:
        facts.append(f"Pages read from disk: {stage.major_faults}")
    if stage.calls:
        facts.append(f"Calls: {stage.calls}")
    return facts + [f"{name.replace('_', ' ')}: {amount:.6g}" for name, amount in stage.sizes.items()]


def _growth(declared: complexity.Complexity, stage: Stage) -> str | None:
    """What was declared, beside what was measured."""
    amount = stage.sizes.get(declared.size)
    if not amount:
        return None
    unit = declared.size.replace("_", " ")
    line = f"declared: time {declared.time}, space {declared.space} in {unit}; measured: {amount:.6g} {unit}"
    line += f" in {duration(stage.seconds)}, {stage.seconds / amount:.3g}s each"
    if stage.rss_peak_mb is not None and stage.rss_before_mb is not None:
        line += f", {size(stage.rss_peak_mb - stage.rss_before_mb)} more memory at the peak"
    return line


def _kept_stage(name: str, stage: Stage) -> dict[str, Any]:
    declared = complexity.of_stage(name)
    law = {key: getattr(declared, key) for key in ("size", "time", "space")} if declared else None
    return {**_rounded(asdict(stage)), "sizes": _rounded(stage.sizes), "declared": law}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}


def _log_cost() -> dict[str, float]:
    """What the log itself took: records, those that could not be written, seconds."""
    files = _log_files()
    return {
        "records": sum(each.records for each in files),
        "dropped": sum(each.dropped for each in files),
        "seconds": round(sum(each.seconds for each in files), 4),
    }


def _log_files() -> list[DatedFileHandler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, DatedFileHandler)]
