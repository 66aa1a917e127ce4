"""An event as lines: the format is a contract, no text forges it, and what is spoken is in none of them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import logger_config
from logger_config import setup_logging
from tests.canaries import SENTENCES, pieces, traces
from tests.reading_logs import HEAD, text_of
from voicekit import log_lines, private_text
from voicekit.errors import TextError
from voicekit.log_lines import EventFormatter, SentenceFormatter, describe_error

ROOT = Path(logger_config.__file__).resolve().parent
SPOKEN = "The quokka saw two lemurs at the fjord, and the voice of the file was not found."


def record(message: str, name: str = "test", error: BaseException | None = None) -> logging.LogRecord:
    about = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.INFO, __file__, 1, message, (), about)


def message_of(message: str, name: str) -> str:
    return EventFormatter().format(record(message, name)).split(" - ", 3)[3]


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """The same error with a traceback."""
    try:
        if cause:
            raise error from cause
        raise error
    except BaseException as caught:
        return caught


def traceback_of(error: BaseException) -> list[str]:
    head, *lines = EventFormatter().format(record("it failed", error=raised(error))).split("\n")
    assert HEAD.fullmatch(head) and all(line.startswith("    ") for line in lines)
    return [line[4:] for line in lines]


# --- the format ----------------------------------------------------------------------------------------


def test_control_characters_cannot_forge_a_line_or_turn_it(logs: Path) -> None:
    forged = "2026-01-15 10:30:45,123 - ERROR - a - forged"
    logging.getLogger("a").info("hi\n%s\r%s\x1b[2J\x85\u2028\u2029\u202e\u2066\x7f\t.", forged, forged)
    (line,) = text_of(logs).splitlines()
    assert line.endswith(f"hi\\n{forged}\\r{forged}\\x1b[2J\\x85\\u2028\\u2029\\u202e\\u2066\\x7f\\t.")


def test_an_exceptions_text_cannot_forge_a_line_either(logs: Path) -> None:
    try:
        raise ValueError("bad\n2026-01-15 10:30:45,123 - INFO - a - all fine\x1b[0m")
    except ValueError:
        logging.getLogger("a").exception("failed", stack_info=True)
    lines = text_of(logs).split("\n")[:-1]
    assert HEAD.fullmatch(lines[0])
    assert lines[1] == "    Traceback (most recent call last):"
    assert "    2026-01-15 10:30:45,123 - INFO - a - all fine\\x1b[0m" in lines
    assert "    Stack (most recent call last):" in lines
    assert all(line.startswith("    ") for line in lines[1:])


def test_arguments_that_do_not_fit_cost_the_arguments_only() -> None:
    wrong = logging.LogRecord("a", logging.INFO, __file__, 1, "%d %d", ("one",), None)
    line = EventFormatter().format(wrong)  # pytest's own handler would raise
    assert HEAD.fullmatch(line) and "%d %d" in line and "one" not in line


def test_an_argument_that_cannot_be_shown_costs_the_arguments_only() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no words for it")

    line = EventFormatter().format(logging.LogRecord("a", logging.INFO, __file__, 1, "it is %s", (Broken(),), None))
    assert HEAD.fullmatch(line) and "it is %s" in line


def test_odd_names_and_empty_messages_keep_the_format(logs: Path) -> None:
    logging.getLogger("my-app/π x").info("")
    logging.getLogger("__main__").info("  \n ")
    logging.getLogger("a").info("lone surrogate \udce9")
    lines = text_of(logs).splitlines()
    assert all(HEAD.fullmatch(line) for line in lines)
    found = [line.split(" - ", 3)[3] for line in lines]
    assert found == ["(no message)", "(no message)", "lone surrogate \\udce9"]
    assert " - my_app___x - " in text_of(logs) and "__main__" not in text_of(logs)


def test_the_script_that_runs_is_named_by_its_file(tmp_path: Path) -> None:
    script = tmp_path / "my_script.py"
    script.write_text(
        "import sys, logger_config as c\n"
        "c.setup_logging(sys.argv[1])\n"
        "@c.timed\n"
        "def work(): pass\n"
        "work()\n"
        "with c.span('x', done='Saved'): pass\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(script), str(tmp_path)], env=environment, check=True)
    names = {line.split(" - ")[2] for line in text_of(tmp_path).splitlines()}
    assert names == {"my_script"}


def test_home_is_written_as_a_tilde_in_message_and_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home" / "ann"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    private_text.register("Ann is at home")
    message = f"{home}/a.wav\n{home}, {home}-marie/b, {home}."
    assert message_of(message, "voicekit") == f"~/a.wav\\n~, {home}-marie/b, ~."
    assert traceback_of(OSError(f"no {home}/voice.wav"))[-1] == "OSError: no ~/voice.wav"
    monkeypatch.setenv("HOME", "/")  # as in many containers
    monkeypatch.setenv("USERPROFILE", "/")
    assert log_lines.shorten_home("/etc/x") == "/etc/x"


def test_the_record_is_left_as_it_was() -> None:
    one = record("it failed", error=raised(ValueError("x")))
    before = dict(vars(one))
    EventFormatter().format(one)
    assert vars(one) == before and one.exc_text is None


# --- what is private -----------------------------------------------------------------------------------


def test_other_peoples_messages_lose_each_word_and_ours_only_phrases() -> None:
    private_text.register(SPOKEN)
    assert message_of("file not found: quokka, 3 s", "TTS.utils") == "***, 3 s"
    assert message_of("file not found: quokka, 3 s", "voicekit.text") == "file not found: quokka, 3 s"
    assert message_of("Input: quokka saw two lemurs", "voicekit.text") == "Input: ***"
    assert message_of("Input: quokka saw two lemurs", "root") == "Input: ***"


def test_a_terminal_shows_the_whole_sentence() -> None:
    private_text.register(SPOKEN)
    assert SentenceFormatter().format(record(" The file was not found.\n")) == "The file was not found."


def test_of_an_exception_the_name_and_the_source_lines_stay() -> None:
    private_text.register(SPOKEN + " KeyError, raise, error, line, in, test")
    first, *frames, last = traceback_of(KeyError("quokka"))
    assert first == "Traceback (most recent call last):"
    assert any(line.strip() == "raise error" for line in frames)
    assert any(__file__.rpartition("/")[2] in line and "in raised" in line for line in frames)
    assert last == "KeyError: '***'"


def test_a_source_line_that_quotes_the_text_is_masked() -> None:
    private_text.register(SPOKEN)
    try:
        raise ValueError("The quokka saw two lemurs at the fjord")
    except ValueError as error:
        shown = EventFormatter().formatException((ValueError, error, error.__traceback__))
    assert 'raise ValueError("***")' in shown and "quokka" not in shown


def test_the_name_of_a_class_is_no_hiding_place() -> None:
    private_text.register("quokka")
    assert traceback_of(json.JSONDecodeError("quokka", "x", 0))[-1] == (
        "json.decoder.JSONDecodeError: ***: line 1 column 1 (char 0)"
    )
    assert traceback_of(ValueError("\nquokka ValueError: quokka"))[-1] == "*** ValueError: ***"


def test_our_own_errors_say_what_they_say() -> None:
    private_text.register(SPOKEN)
    error = TextError("The voice file was found, the lemurs not.")
    assert traceback_of(error)[-1] == "voicekit.errors.TextError: The voice file was found, the lemurs not."
    error = TextError("The voice of the file was not found.")  # as the text has it
    assert traceback_of(error)[-1] == "voicekit.errors.TextError: ***."


def test_every_exception_of_a_chain_is_scrubbed_by_its_own_class() -> None:
    private_text.register(SPOKEN)
    inner = raised(KeyError("quokka lemurs"))
    inner.add_note("at the fjord\nof lemurs")
    middle = raised(TextError("The quokka file cannot be read."), inner)
    group = raised(ExceptionGroup("two lemurs", [raised(ValueError("fjord")), raised(OSError("a quokka"), middle)]))
    shown = "\n".join(traceback_of(group))
    assert "TextError: The quokka file cannot be read." in shown
    assert shown.count("quokka") == 1 and "lemurs" not in shown and "fjord" not in shown
    for kept in ("ExceptionGroup: *** (2 sub-exceptions)", "ValueError: ***", "OSError: a ***", "KeyError: '***"):
        assert kept in shown
    assert shown.count("direct cause") == 2 and "+---------------- 2 ----------------" in shown


def test_a_context_is_scrubbed_and_a_circle_ends() -> None:
    private_text.register(SPOKEN)
    one, two = ValueError("quokka"), OSError("fjord")
    one.__context__, two.__context__ = two, one
    shown = "\n".join(traceback_of(one))
    assert "ValueError: ***" in shown and "OSError: ***" in shown and "During handling" in shown


def test_what_another_handler_has_formatted_is_scrubbed_too() -> None:
    private_text.register(SPOKEN)
    pickled = record("it failed")
    pickled.exc_text = "Traceback (most recent call last):\nKeyError: 'quokka'"
    assert EventFormatter().format(pickled).split("\n")[2] == "    KeyError: '***'"


def test_a_stack_is_scrubbed_of_phrases() -> None:
    private_text.register(SPOKEN)
    one = record("here")
    one.stack_info = 'Stack (most recent call last):\n  File "a.py", line 1, in <module>\n    say("saw two lemurs at")'
    assert EventFormatter().format(one).split("\n")[2:] == [
        '      File "a.py", line 1, in <module>', '        say("***")'
    ]  # fmt: skip


def test_without_a_text_a_traceback_is_pythons_own() -> None:
    group = raised(ExceptionGroup("two", [raised(ValueError("one\ntwo"), KeyError("k")), raised(SyntaxError("s"))]))
    with_note = raised(RuntimeError("last"), group)
    with_note.add_note("a note\nof two lines")
    plain = logging.Formatter().formatException((RuntimeError, with_note, with_note.__traceback__))
    assert EventFormatter().formatException((RuntimeError, with_note, with_note.__traceback__)) == plain


def test_an_error_is_described_on_one_line() -> None:
    private_text.register(SPOKEN)
    assert describe_error(ValueError("a quokka\nor x\x1b")) == "ValueError: a ***\\nor x\\x1b"
    assert describe_error(KeyError("fjord")) == "KeyError: '***'"
    assert describe_error(TextError("No fjord.")) == "TextError: No fjord."
    assert describe_error(ValueError()) == "ValueError"

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert describe_error(Mute()).startswith("Mute")


# --- a whole run of canaries ---------------------------------------------------------------------------


def sing(text: str) -> None:
    """Put a text into the log in every way in which other people's code may do so."""
    logger = logging.getLogger("somebody.else")
    logger.setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logger.log(level, text)
        logger.log(level, "Input: %s", text)
        logger.log(level, "Input: %r, %a, %s", text, text, json.dumps({"text": text}))
        logging.log(level, "tokens: %s", [text.split(), text.encode()])
    misfit = logging.LogRecord("a", logging.INFO, __file__, 1, f"wrong %d arguments: {text}", ("x",), None)
    for handler in logging.getLogger().handlers:
        if hasattr(handler, logger_config._OURS):  # pytest's own would raise
            handler.handle(misfit)
    warnings.warn(f"Cannot say {text!r}", UserWarning, stacklevel=1)
    for piece in (text, *pieces(text)):
        cause = raised(KeyError(piece))
        cause.add_note(f"while reading {piece}")
        error = raised(RuntimeError(f"cannot say {piece}\n{text}"), cause)
        logger.error("failed", exc_info=error)
        logger.error("failed", exc_info=raised(ExceptionGroup(text, [error, ValueError(json.dumps(piece))])))
        try:
            try:
                {}[piece]
            except KeyError:
                text.encode("ascii").decode("utf-16")
                int(text)
        except Exception as second:  # UnicodeEncodeError holds the text, ValueError quotes it
            logging.getLogger("voicekit.text").error("%s", describe_error(second), exc_info=second, stack_info=True)


def test_no_canary_sings_in_the_log(tmp_path: Path) -> None:
    """The same is logged twice: before the text is registered it is there, after that it is not."""
    for folder, is_known in ((tmp_path / "open", False), (tmp_path / "private", True)):
        setup_logging(folder, file_level=logging.DEBUG)
        for text in SENTENCES.values():
            if is_known:
                private_text.register(text)
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                sing(text)
        shown = "".join(path.read_text("utf-8") for path in folder.rglob("*") if path.is_file())
        for script, text in SENTENCES.items():
            found = traces(text, shown)
            assert found == [] if is_known else found == list(pieces(text)), script
        assert "KeyError: '" in shown and "Cannot say '" in shown and "ExceptionGroup: " in shown
