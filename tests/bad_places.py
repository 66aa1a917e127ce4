"""What stands where a recording should be, and what recordings may be called: the rest of the corpus of bad audio."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.bad_audio import KINDS, Kind, put, refused, whole

OPEN = "cannot be opened"
CONTENTS = tuple(KINDS)  # the kinds that are files of any content


@refused("is a folder")
def a_folder() -> str:
    os.mkdir("a.wav")
    return "a.wav"


@refused("is a folder")
def a_link_to_a_folder() -> str:
    os.symlink(".", "a.wav")
    return "a.wav"


@refused("no file")
def nothing() -> str:
    return "a.wav"


@refused("no file")
def a_link_to_nothing() -> str:
    os.symlink("gone.wav", "a.wav")
    return "a.wav"


@refused(OPEN)
def a_link_to_itself() -> str:
    os.symlink("a.wav", "a.wav")
    return "a.wav"


@refused("not a regular file")
def a_pipe_without_a_writer() -> str:
    os.mkfifo("a.wav")
    return "a.wav"


@refused("not a regular file")
def a_link_to_a_pipe() -> str:
    os.mkfifo("pipe")
    os.symlink("pipe", "a.wav")
    return "a.wav"


@refused("not a regular file")
def a_socket() -> str:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.wav")
    return "a.wav"


@refused("not a regular file")
def a_device_that_never_ends() -> str:
    return "/dev/zero"


@refused("not a regular file")
def a_link_to_a_device() -> str:
    os.symlink("/dev/zero", "a.wav")
    return "a.wav"


@refused(OPEN)
def a_file_taken_for_a_folder() -> str:
    return put(whole("wav")) + "/b.wav"


@refused(OPEN)
def a_name_of_5000_letters() -> str:
    return "x" * 5000


@refused(f"no file|{OPEN}")
def no_name() -> str:
    return ""


def _linked(link: Callable[[str, str], None]) -> str:
    link(put(whole("wav"), "whole.wav"), "a.wav")
    return "a.wav"


KINDS["a link to a recording"] = Kind(lambda: _linked(os.symlink), None, (48_000, 48_000))
KINDS["a second name of a recording"] = Kind(lambda: _linked(os.link), None, (48_000, 48_000))

NAMES: dict[str, str] = {
    "spaces": " a  b .wav", "quotes": "it's \"me\" `x`.wav", "a newline": "two\nlines.wav", "a tab": "a\tb.wav",
    "an emoji": "voice \U0001f399\ufe0f.wav", "a leading dash": "-o.wav", "two dashes": "--help", "one dash": "-",
    "a backslash": "a\\nb.wav", "wildcards": "*?[a].wav", "percent signs": "100%s %n %(message)s.wav",
    "braces": "{0} {name}.wav", "a dollar": "$HOME.wav", "a tilde": "~root.wav",
    "terminal codes": "\x1b[2J\x1b[31m.wav",
    "right to left": "\u202egpj.wav", "no ending": "voice", "only an ending": ".wav", "a raw one": "x.raw",
    "255 bytes": "x" * 251 + ".wav", "a scheme": "http:a.wav", "no UTF-8": os.fsdecode(b"\xff\xfe\xe4.wav"),
}  # fmt: skip


def _named(name: str) -> Callable[[], str]:
    return lambda: put(whole("wav"), name)


for _title, _name in NAMES.items():
    KINDS[f"a name with {_title}"] = Kind(_named(_name), None, (48_000, 48_000))


def in_a_folder_of_its_own(kind: str, place: Path) -> str:
    """Makes a kind under this place and goes there; the name to read it by."""
    folder = place / f"{list(KINDS).index(kind):03}"
    folder.mkdir(parents=True)
    os.chdir(folder)
    return str(KINDS[kind].make())
