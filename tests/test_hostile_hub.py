"""What the rarer faults of a hub come to: wrong bytes never load, what was received stays, messages say what to do.

The hub of failing_hub.py, mostly with the download in this process: small files, and no waiting. test_download.py has
the everyday faults, each in a process of its own.
"""

from __future__ import annotations

import hashlib
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import failing_hub
from tests.failing_hub import FIRST, PINNED, SECOND, Fault, Hub, other_range, serving, stalled, status
from tests.test_download import FIGURES, RIGHT, Machine, contents
from tests.test_download import FILES as LARGE_FILES
from voicekit import checkpoint, receiving
from voicekit.checkpoint import ReleasedFile, find_released, resolve
from voicekit.errors import ModelError, ModelUnavailable

FILES = {
    "config.json": b'{"model": "xtts"}\n',
    "vocab.json": b"{}" * 500,
    "model.pth": random.Random(7).randbytes(300_000),
}
WEIGHTS = FILES["model.pth"]
FIGURES_HERE = tuple(ReleasedFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in FILES.items())
INCOMPLETE = f"{FIGURES_HERE[2].sha256}.incomplete"
CUT_AT = 100_000


@dataclass
class Client:
    """This process as a user's machine: its cache, and how long it waited."""

    cache: Path
    waits: list[float] = field(default_factory=list)

    def fetch(self) -> list[bytes]:
        found = resolve("xtts_v2", offline=False, licence_accepted=lambda: True)
        return [path.read_bytes() for path in (found.config, found.vocab, found.weights)]

    def refused(self, kind: type[ModelError] = ModelUnavailable) -> ModelError:
        """The download must fail with a sentence and with advice; no wrong byte has a final name."""
        with pytest.raises(kind) as caught:
            self.fetch()
        error = caught.value
        assert type(error) is kind
        assert error.message and error.hint and "\n" not in error.message
        self.check_cache()
        return error

    def check_cache(self) -> None:
        """Whatever has a final name is whole and right."""
        right = {file.sha256: file for file in FIGURES_HERE}
        for blob in self.cache.glob("models--*/blobs/*"):
            if blob.suffix != ".incomplete":
                assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name and blob.name in right
        for pointer in self.cache.glob("models--*/snapshots/*/*"):
            assert pointer.read_bytes() == FILES[pointer.name]

    def put_incomplete(self, data: bytes) -> Path:
        """What an earlier run received of the weights."""
        path = self.cache / "models--coqui--XTTS-v2" / "blobs" / INCOMPLETE
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        return path

    def received(self) -> bytes:
        left = list(self.cache.glob("models--*/blobs/*.incomplete"))
        return left[0].read_bytes() if left else b""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session  # type: ignore[attr-defined]

    made = Client(tmp_path / "hub")
    monkeypatch.setattr(checkpoint, "RELEASED_FILES", FIGURES_HERE)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.cache))
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 20)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 20)
    monkeypatch.setattr(receiving.time, "sleep", made.waits.append)
    for variable, folder in (("XDG_CACHE_HOME", "cache"), ("XDG_DATA_HOME", "data")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    close_session()
    yield made
    close_session()


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does when huggingface_hub is imported."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def hub(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub({FIRST: dict(FILES)})) as running:
        use(running.url, monkeypatch)
        yield running


def test_the_control_everything_is_fetched_once(hub: Hub, client: Client) -> None:
    assert client.fetch() == RIGHT_HERE
    assert [len(hub.gets(name)) for name in FILES] == [1, 1, 1]
    assert client.waits == []


RIGHT_HERE = list(FILES.values())


# --- faults that pass: the bytes are right at the end ---------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "code"), [("HEAD", 429), ("HEAD", 503), ("GET", 408), ("GET", 500), ("GET", 502), ("GET", 504)]
)
def test_trouble_that_passes_is_waited_out(hub: Hub, client: Client, method: str, code: int) -> None:
    hub.faults[f"{method} model.pth"] = [status(code), status(code)]
    assert client.fetch() == RIGHT_HERE
    assert client.waits == [1.0, 2.0]
    assert not [path for _, path, _ in hub.asked if SECOND in path]


def test_a_hub_that_asks_to_wait_is_given_as_long_as_it_asks(hub: Hub, client: Client) -> None:
    hub.faults["HEAD model.pth"] = [status(429, Retry_After="7")]
    hub.faults["GET model.pth"] = [status(429, Retry_After="11"), status(503, Retry_After="0")]
    assert client.fetch() == RIGHT_HERE
    assert client.waits == [7.0, 11.0, 0.0]


def test_a_moment_may_be_named_instead_of_seconds(hub: Hub, client: Client) -> None:
    hub.faults["GET model.pth"] = [status(429, Retry_After=formatdate(time.time() + 30, usegmt=True)),
                                   status(429, Retry_After=formatdate(0, usegmt=True)),
                                   status(429, Retry_After="some day")]  # fmt: skip
    assert client.fetch() == RIGHT_HERE
    first, past, unreadable = client.waits
    assert 0 < first <= 30 and past == 0 and unreadable == 1.0


@pytest.mark.parametrize("after", ["Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 2029 00:00:00 +9999"])
def test_a_moment_that_no_calendar_has_is_none(hub: Hub, client: Client, after: str) -> None:
    hub.faults["GET model.pth"] = [status(429, Retry_After=after)]
    assert client.fetch() == RIGHT_HERE
    assert client.waits == [1.0]


@pytest.mark.parametrize("asked_s", [0, 60])
def test_a_wait_that_was_asked_for_is_not_slowness(
    hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch, asked_s: int
) -> None:
    """By a clock on which the waits pass; the file is smaller than what a minute must bring."""
    monkeypatch.setattr(receiving, "SLOWEST_BYTES_S", len(WEIGHTS))
    now = time.monotonic
    monkeypatch.setattr(receiving.time, "monotonic", lambda: now() + sum(client.waits))
    hub.faults["GET model.pth"] = [status(429, Retry_After=str(asked_s))]
    assert client.fetch() == RIGHT_HERE
    assert client.waits == [asked_s]


@pytest.mark.parametrize("after", ["3600", "99999999999999999999", "9" * 500])
def test_a_hub_that_asks_for_an_hour_is_left_for_later(hub: Hub, client: Client, after: str) -> None:
    hub.always["GET model.pth"] = status(429, Retry_After=after)
    error = client.refused()
    assert client.waits == []
    assert "429" in error.message and "later" in error.hint


@pytest.mark.parametrize("after", ["0", "1", "5"])
def test_a_hub_that_never_stops_asking_to_wait_is_given_up(hub: Hub, client: Client, after: str) -> None:
    hub.always["GET model.pth"] = status(503, Retry_After=after)
    assert "later" in client.refused().hint
    assert sum(client.waits) <= receiving.MOST_WAITING_S
    assert len(hub.gets("model.pth")) <= receiving.MOST_WAITING_S + 1


def cut_here(client: Client, hub: Hub) -> None:
    """The first run comes as far as `CUT_AT`."""
    hub.cut_after, hub.then_status = [CUT_AT], 404
    client.refused()
    assert client.received() == WEIGHTS[:CUT_AT]
    hub.then_status = 0
    hub.asked.clear()


def test_the_last_byte_that_came_is_where_the_next_run_goes_on(hub: Hub, client: Client) -> None:
    cut_here(client, hub)
    assert client.fetch() == RIGHT_HERE
    assert hub.gets("model.pth") == [f"bytes={CUT_AT}-"]


def test_a_range_that_is_answered_by_the_whole_file_is_no_harm(hub: Hub, client: Client) -> None:
    cut_here(client, hub)
    hub.faults["GET model.pth"] = [failing_hub.whole]
    assert client.fetch() == RIGHT_HERE
    assert hub.gets("model.pth") == [f"bytes={CUT_AT}-"]


@pytest.mark.parametrize("start", [0, CUT_AT - 1, CUT_AT + 1])
def test_another_range_than_was_asked_for_is_not_appended(hub: Hub, client: Client, start: int) -> None:
    cut_here(client, hub)
    hub.faults["GET model.pth"] = [other_range(start, said=True)]
    assert client.fetch() == RIGHT_HERE
    assert hub.gets("model.pth") == [f"bytes={CUT_AT}-", None]


def test_a_range_that_lies_is_found_by_the_hash(hub: Hub, client: Client) -> None:
    cut_here(client, hub)
    hub.faults["GET model.pth"] = [other_range(0, said=False)]
    assert client.refused(ModelError).exit_code == 1
    assert client.received() == b""
    assert client.fetch() == RIGHT_HERE


def test_ranges_that_are_never_right_are_given_up(hub: Hub, client: Client) -> None:
    def liar(handler: Any, content: bytes) -> None:
        if handler.headers.get("Range"):
            other_range(1, said=True)(handler, content)
        else:
            handler.head(200, {"Content-Length": str(len(content))})
            handler.send_quietly(content[:CUT_AT])
            handler.close_connection = True

    cut_here(client, hub)
    hub.always["GET model.pth"] = liar
    assert "another part" in client.refused().message
    assert len(hub.gets("model.pth")) == 3  # what was left, anew, and what was left of that


def test_a_416_begins_anew_and_only_once(hub: Hub, client: Client) -> None:
    cut_here(client, hub)
    hub.faults["GET model.pth"] = [status(416)]
    assert client.fetch() == RIGHT_HERE
    assert hub.gets("model.pth") == [f"bytes={CUT_AT}-", None]


def test_a_hub_that_answers_416_to_everything_is_given_up(hub: Hub, client: Client) -> None:
    hub.always["GET model.pth"] = status(416)
    assert client.refused().exit_code == 3
    assert len(hub.gets("model.pth")) == 2


@pytest.mark.parametrize("name", list(FILES))
def test_content_that_was_compressed_on_the_way_is_unpacked(hub: Hub, client: Client, name: str) -> None:
    hub.always[f"GET {name}"] = failing_hub.gzipped
    assert client.fetch() == RIGHT_HERE


def test_a_compressed_rest_is_not_believed_to_be_a_range(hub: Hub, client: Client) -> None:
    cut_here(client, hub)

    def compressed_rest(handler: Any, content: bytes) -> None:
        handler.head(206, {"Content-Range": f"bytes {CUT_AT}-{len(content) - 1}/{len(content)}",
                           "Content-Encoding": "gzip", "Content-Length": "50"})  # fmt: skip
        handler.send_quietly(bytes(50))

    hub.faults["GET model.pth"] = [compressed_rest]
    assert client.fetch() == RIGHT_HERE


def test_many_cuts_in_a_row_do_not_end_the_run(hub: Hub, client: Client) -> None:
    hub.cut_after = [20_000] * 12
    assert client.fetch() == RIGHT_HERE
    assert len(hub.gets("model.pth")) == 13


def test_cuts_that_never_come_farther_are_given_up(hub: Hub, client: Client) -> None:
    """Each try brings more than the one before it or less, but none more than the first."""
    ends = [50_000, *([20_000, 30_000] * 50)]
    hub.faults["GET model.pth"] = [failing_hub.whole_and_cut(end) for end in ends]
    client.refused()
    assert len(hub.gets("model.pth")) <= 2 * (receiving.TRIES + 1)  # of each repository


# --- faults that stay: a sentence, advice, and nothing wrong is kept -----------------------------------------------


@pytest.mark.parametrize("keeps", [False, True], ids=["from nothing", "after a cut"])
@pytest.mark.parametrize(
    ("method", "fault", "told"),
    [
        ("HEAD", status(401), "HF_ENDPOINT"),
        ("HEAD", status(403), "HF_ENDPOINT"),
        ("HEAD", status(404), "--model DIR"),
        ("HEAD", status(410), "--model DIR"),
        ("HEAD", status(503), "later"),
        ("HEAD", failing_hub.circle, "circle"),
        ("HEAD", failing_hub.page, "login"),
        ("GET", status(401), "HF_ENDPOINT"),
        ("GET", status(404), "--model DIR"),
        ("GET", status(500), "later"),
        ("GET", status(204), "HF_ENDPOINT"),
        ("GET", failing_hub.circle, "circle"),
        ("GET", failing_hub.page, "login"),
        ("GET", failing_hub.closed, "network"),
    ],
    ids=["head 401", "head 403", "head 404", "head 410", "head 503", "head circle", "head page",
         "401", "404", "500", "204", "circle", "page", "closed after its headers"],
)  # fmt: skip
def test_what_was_received_outlives_every_fault(
    hub: Hub, client: Client, method: str, fault: Fault, told: str, keeps: bool
) -> None:
    if keeps:
        cut_here(client, hub)
    hub.always[f"{method} model.pth"] = fault
    error = client.refused()
    assert error.exit_code == 3
    assert FIRST in error.message and SECOND in error.message  # both were asked
    assert told in error.hint
    assert client.received() == (WEIGHTS[:CUT_AT] if keeps else b"")
    hub.always.clear()
    assert client.fetch() == RIGHT_HERE
    assert hub.gets("model.pth")[-1] == (f"bytes={CUT_AT}-" if keeps else None)


@pytest.mark.parametrize(
    ("fault", "most"),
    [(failing_hub.endless, 0), (failing_hub.bomb, 0)],
    ids=["without an end", "a bomb"],
)
def test_never_more_is_written_than_the_file_has(
    hub: Hub, client: Client, fault: Fault, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = [0]
    check = receiving._end

    def watched(stream: Any) -> int:
        largest[0] = max(largest[0], check(stream))
        return check(stream)

    monkeypatch.setattr(receiving, "_end", watched)
    hub.always["GET model.pth"] = fault
    assert "--model DIR" in client.refused(ModelError).hint
    assert largest[0] <= len(WEIGHTS)
    assert len(client.received()) == most


def test_a_length_that_lies_costs_nothing_that_is_here(hub: Hub, client: Client) -> None:
    def longer(handler: Any, content: bytes) -> None:
        handler.head(200, {"Content-Length": str(len(content) + 1)})
        handler.send_quietly(content + b"x")

    cut_here(client, hub)
    hub.always["GET model.pth"] = longer
    assert str(len(WEIGHTS) + 1) in client.refused(ModelError).message
    assert client.received() == WEIGHTS[:CUT_AT]


@pytest.mark.parametrize("headers", [{"ETag": '"0000"'}, {"ETag": "W/\"../../../etc\""}, {"X-Linked-Size": "-1"},
                                     {"X-Linked-Size": "many"}, {"X-Repo-Commit": "../../../../tmp/evil"},
                                     {"X-Repo-Commit": ""}])  # fmt: skip
def test_headers_that_lie_name_no_file(hub: Hub, client: Client, headers: dict[str, str]) -> None:
    """Names are those of the published hashes; the pinned commit is ours. The fork's commit is the hub's word."""

    def lying(handler: Any, content: bytes) -> None:
        handler.head(200, {"X-Repo-Commit": PINNED, "Content-Length": str(len(content)), **headers})

    hub.files[SECOND] = hub.files.pop(FIRST)
    hub.always["HEAD model.pth"] = lying
    before = {path for path in client.cache.parent.rglob("*") if client.cache not in path.parents}
    try:
        assert client.fetch() == RIGHT_HERE
    except ModelError as error:
        assert error.hint
    client.check_cache()
    outside = {path for path in client.cache.parent.rglob("*") if client.cache not in path.parents} - before
    assert {path.name for path in outside} <= {"hub", "cache", "data", "voice-cloning", "verified.json"}
    assert "evil" not in " ".join(map(str, client.cache.parent.rglob("*")))


def test_a_trickle_is_given_up_and_kept(hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "WATCHED_S", 0.3)
    monkeypatch.setattr(receiving, "SLOWEST_BYTES_S", 10**6)
    hub.always["GET model.pth"] = failing_hub.dripping(100, 0.02)
    error = client.refused()
    assert "too slow" in error.message and "another time" in error.hint
    kept = client.received()
    assert kept and WEIGHTS.startswith(kept)
    hub.always.clear()
    assert client.fetch() == RIGHT_HERE


def test_a_slow_hub_that_comes_to_an_end_is_not(hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "WATCHED_S", 0.05)
    hub.always["GET model.pth"] = failing_hub.dripping(30_000, 0.03)
    assert client.fetch() == RIGHT_HERE


# --- TLS, and addresses that are none -------------------------------------------------------------------------------


def test_a_connection_that_is_not_encrypted_where_it_should_be(
    hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(hub.url.replace("http:", "https:"), monkeypatch)
    assert "Check the network" in client.refused().hint
    assert hub.asked == []


def test_a_certificate_that_nobody_vouches_for(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(Hub({FIRST: dict(FILES)}), context) as encrypted:
        use(encrypted.url, monkeypatch)
        assert "SSL_CERT_FILE" in client.refused().hint
        assert encrypted.asked == []

        from huggingface_hub.utils import close_session  # type: ignore[attr-defined]

        close_session()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # and the advice is good
        assert client.fetch() == RIGHT_HERE


@pytest.mark.parametrize("url", ["", "no address", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999",
                                 "http://[::1", "http://nobody.invalid"])  # fmt: skip
def test_an_address_that_is_none(client: Client, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    use(url, monkeypatch)
    assert client.refused().exit_code == 3


# --- no space ----------------------------------------------------------------------------------------------------


def test_no_space_in_the_middle_of_a_file_keeps_what_is_there(
    hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's own refusal, in this process: no file may be larger than half of the weights."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(WEIGHTS) // 2, before[1]))
        error = client.refused()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert error.exit_code == 3 and "Make room" in error.hint and "HF_HOME" in error.hint
    assert not [path for _, path, _ in hub.asked if SECOND in path]  # no other hub makes room
    assert client.received() == WEIGHTS[: len(WEIGHTS) // 2]
    assert client.fetch() == RIGHT_HERE
    assert hub.gets("model.pth") == [None, f"bytes={len(WEIGHTS) // 2}-"]


ON_A_SMALL_DISK = """
import ctypes, json, os, shutil, sys
from pathlib import Path
from types import SimpleNamespace

hub, free = sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, NEW_USERS, PRIVATE = 0x00020000, 0x10000000, 0x44000
if libc.unshare(NEW_MOUNTS | (NEW_USERS if os.geteuid() else 0)) or libc.mount(None, b"/", None, PRIVATE, None):
    raise SystemExit("no mounts: " + os.strerror(ctypes.get_errno()))
if libc.mount(b"none", hub.encode(), b"tmpfs", 0, b"size=%d" % free):
    raise SystemExit("no tmpfs: " + os.strerror(ctypes.get_errno()))
from voicekit import checkpoint
from voicekit.errors import ModelError

checkpoint.RELEASED_FILES = tuple(checkpoint.ReleasedFile(*figures) for figures in json.loads(sys.argv[1]))
if "unsuspecting" in sys.argv:  # somebody else fills the disk after it was looked at
    shutil.disk_usage = lambda folder: SimpleNamespace(free=10**12)
try:
    checkpoint.resolve("xtts_v2", offline=False, licence_accepted=lambda: True)
except ModelError as error:
    left = {path.name: path.stat().st_size for path in Path(hub).glob("hub/models--*/blobs/*")}
    print(json.dumps([type(error).__name__, error.message, error.hint, left]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's mounts")
@pytest.mark.parametrize("seen", [True, False], ids=["seen before", "met in the middle"])
def test_a_disk_that_is_full(hub: Hub, tmp_path: Path, seen: bool) -> None:
    import json
    import os

    disk = tmp_path / "disk"
    disk.mkdir()
    figures = json.dumps([(file.name, file.size_bytes, file.sha256) for file in FIGURES_HERE])
    own = {"HF_HOME": str(disk), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ON_A_SMALL_DISK, figures, str(disk), "131072", *(() if seen else ("unsuspecting",))],
        cwd=Path(__file__).parents[1], env={**os.environ, **own}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if done.stderr.startswith(("no mounts", "no tmpfs")):
        pytest.skip(f"this user may not mount a small disk: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    kind, message, hint, left = json.loads(done.stdout)
    assert kind == "ModelUnavailable" and "HF_HOME" in hint
    if seen:
        assert hub.asked == [] and left == {} and "free" in message
    else:
        assert "No space left" in message
        assert 0 < left[INCOMPLETE] < len(WEIGHTS)


# --- processes ------------------------------------------------------------------------------------------------------


LARGE_WEIGHTS = LARGE_FILES["model.pth"]
HALF = len(LARGE_WEIGHTS) // 2


def wait_for(event: Any) -> None:
    for _ in range(1200):
        if event():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen within a minute")


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "while another waits"])
def test_a_process_that_is_killed_leaves_what_it_had_to_the_next(tmp_path: Path, others: int) -> None:
    machine, go_on = Machine(tmp_path), threading.Event()
    with serving(Hub({FIRST: dict(LARGE_FILES)})) as hub:
        hub.faults["GET model.pth"] = [stalled(HALF, go_on)]
        victim = machine.start(hub.url, name="victim")
        incomplete = machine.cache / "models--coqui--XTTS-v2" / "blobs" / f"{FIGURES[2][2]}.incomplete"
        try:
            wait_for(lambda: incomplete.exists() and incomplete.stat().st_size == HALF)
            waiting = [machine.start(hub.url, name=f"other{number}") for number in range(others)]
            for number in range(others):  # it waits behind the lock: all that it needs of the hub it has asked
                log = tmp_path / f"logs-other{number}" / "voice_cloning.log"
                wait_for(lambda log=log: log.exists() and "Model download started" in log.read_text("utf-8"))
        finally:
            victim.kill()
            victim.communicate()
            go_on.set()
        assert victim.returncode == -signal.SIGKILL
        outcomes = [machine.finish(process, f"other{number}") for number, process in enumerate(waiting)]
        outcomes = outcomes or [machine.run(hub.url)]
        for outcome in outcomes:
            assert contents(outcome.answer) == RIGHT
            assert "Traceback" not in outcome.stderr
        assert hub.gets("model.pth") == [None, f"bytes={HALF}-"]
        assert machine.left_over() == []


def test_find_released_never_takes_what_is_incomplete(client: Client) -> None:
    client.put_incomplete(WEIGHTS)  # whole and right, but nobody has compared it yet
    assert find_released() is None


# --- the whole command ------------------------------------------------------------------------------------------------


@pytest.fixture
def command(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`simple_voice_clone.py` in a folder of its own."""
    import simple_voice_clone

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("VOICE_CLONING_LOG_DIR", str(tmp_path / "logs"))

    def run(voice: Path, *more: str) -> int:
        return simple_voice_clone.main(["--text", "Hello there.", "--voice", str(voice), "--accept-license",
                                        "--no-preprocess", "-o", "spoken.wav", *more])  # fmt: skip

    return SimpleNamespace(run=run, work=work)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (status(404), 3),
        (status(416), 3),
        (status(429, Retry_After="3600"), 3),
        (status(500), 3),
        (status(503), 3),
        (failing_hub.circle, 3),
        (failing_hub.page, 3),
        (failing_hub.closed, 3),
        (failing_hub.endless, 1),
        (failing_hub.bomb, 1),
        (lambda handler, content: failing_hub.whole(handler, content[::-1]), 1),
    ],
    ids=["404", "416", "429", "500", "503", "circle", "page", "closed", "endless", "bomb", "wrong bytes"],
)
def test_the_command_ends_with_a_sentence_and_advice(
    hub: Hub,
    client: Client,
    command: SimpleNamespace,
    voice_file: Path,
    capsys: pytest.CaptureFixture[str],
    fault: Fault,
    code: int,
) -> None:
    hub.always["GET model.pth"] = fault
    assert command.run(voice_file) == code
    out, err = capsys.readouterr()
    assert out == ""
    error, hint, log = err[err.index("\nError: ") + 1 :].splitlines()
    assert "XTTS v2 could not be downloaded" in error or "is not the released" in error
    assert len(hint.strip()) > 20 and log.strip().startswith("Log: ")
    assert "Traceback" not in err and "Internal error" not in err
    assert list(command.work.iterdir()) == []
    client.check_cache()


def test_no_hub_at_all(
    client: Client, command: SimpleNamespace, voice_file: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    use("http://127.0.0.1:9", monkeypatch)
    assert command.run(voice_file) == 3
    assert "Check the network" in capsys.readouterr().err
    assert list(command.work.iterdir()) == []
