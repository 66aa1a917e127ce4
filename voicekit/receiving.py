"""The bytes of one file over HTTP, behind those that are here already, from a server that need not be a good one.

It breaks off, asks to wait, answers a range with the whole file or with another range, compresses, sends a page of the
network's instead of the file, or more than there is. What was received before is given up only where the server
cannot go on from there, and never more is written than the file has. Whether the bytes are right their hash says,
which is not known here.

This module knows HTTP and a size; no cache, no hash, no model. The requests are huggingface_hub's: its session, its
headers, its errors.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, TypeVar

from voicekit.errors import ModelUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 5  # new ones after a cut, in a row that brings nothing that was not here before
PAUSE_S = 1.0  # before each of them
CROWDED = (408, 429, 500, 502, 503, 504)  # what passes by itself
PAUSES_S = (1.0, 2.0, 4.0)  # before a crowded server that says nothing else is asked again
MOST_WAITING_S = 60.0  # for one file; a server that wants more gets the next run
SLOWEST_BYTES_S = 1_000  # a modem of 1996 is seven times as fast
WATCHED_S = 60.0

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.ASCII)
_GOES_ON = "the download goes on where it stopped."


class HubUnavailable(ModelUnavailable):
    """The hub, or the way to it, did not give a file: another repository may have it."""


class OtherSize(Exception):
    """What the server has under this name is not of the file's size; nothing of it was kept."""


class _NoRange(Exception):
    """The server cannot go on in the middle of the file."""


class Patience:
    """Waits for a crowded server, as long as it asks for, but not for ever.

    waited_s: seconds that it has waited so far.
    """

    def __init__(self) -> None:
        self.waited_s = 0.0
        self._left_s, self._pauses = MOST_WAITING_S, iter(PAUSES_S)

    def ask(self, question: Callable[[], T]) -> T:
        """What the question gives; it is put again after a wait where the answer was one of `CROWDED`.

        Raises:
            HfHubHTTPError: it was refused otherwise, or the patience is at its end.
        """
        from huggingface_hub.errors import HfHubHTTPError

        while True:
            try:
                return question()
            except HfHubHTTPError as error:
                wait_s = self._wait(error.response)
                if wait_s is None:
                    raise
                logger.warning("The hub answers %d: it is asked again in %.0f s.", error.response.status_code, wait_s)
                time.sleep(wait_s)
                self.waited_s += wait_s

    def _wait(self, response: Any) -> float | None:
        if response.status_code not in CROWDED:
            return None
        wait_s = asked_wait_s(response.headers.get("Retry-After", ""))
        if wait_s is None:
            wait_s = next(self._pauses, None)
        if wait_s is None or max(wait_s, PAUSE_S) > self._left_s:
            return None
        self._left_s -= max(wait_s, PAUSE_S)  # one that always says "now" is not asked without end
        return wait_s


def asked_wait_s(retry_after: str) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None where it is neither."""
    value = retry_after.strip()
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value).astimezone(dt.UTC)
    except (ValueError, OverflowError):  # a date, or a zone, that no calendar has
        return None
    return max(0.0, (date - dt.datetime.now(dt.UTC)).total_seconds())


def receive(url: str, stream: BinaryIO, size_bytes: int, name: str, patience: Patience) -> None:
    """Append what is missing until the stream, open for appending, has the file's size.

    Time O(bytes), space O(1) beside the file.

    Raises:
        OtherSize: the server says that it has another size, or sends more.
        HubUnavailable: it is too slow, or sends what is no file.
        httpx2.HTTPError: it was not reached, refused, or broke off too often.
        OSError: the stream cannot be written.
    """
    import httpx2

    failures, began_anew, pace, farthest = 0, False, _Pace(patience), _end(stream)
    with _bar(name, size_bytes, farthest) as bar:
        while _end(stream) < size_bytes:
            try:
                patience.ask(lambda: _append(url, stream, size_bytes, pace, bar))
            except _NoRange as error:
                if began_anew:
                    raise HubUnavailable(f"{name} was not fetched: {error}", f"Run it again: {_GOES_ON}") from error
                began_anew = True
                stream.truncate(0)
            except (httpx2.NetworkError, httpx2.TimeoutException, httpx2.RemoteProtocolError) as error:
                failures = 1 if _end(stream) > farthest else failures + 1
                farthest = max(farthest, _end(stream))
                if failures > TRIES:
                    raise
                logger.warning("The connection broke off: %s goes on from byte %d.", name, _end(stream))
                logger.info("It broke off by %s", sentence(error))
                time.sleep(PAUSE_S)


def _append(url: str, stream: BinaryIO, size_bytes: int, pace: _Pace, bar: Any) -> None:
    """One request for what is missing, and its answer."""
    import httpx2
    from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

    at = _end(stream)
    # Bytes as they are: a range of a compressed answer would count other bytes.
    headers = {**build_hf_headers(), "accept-encoding": "identity", **({"range": f"bytes={at}-"} if at else {})}
    with get_session().stream("GET", url, headers=headers, timeout=HF_HUB_DOWNLOAD_TIMEOUT) as response:
        if response.status_code == 416:
            raise _NoRange(f"the server's file ends before byte {at}")
        hf_raise_for_status(response)
        _check(response, at, size_bytes)
        came = 0
        for block in response.iter_bytes():
            if not came and response.status_code == 200:  # all of it, whatever was asked for
                stream.truncate(0)
            if _end(stream) + len(block) > size_bytes:
                stream.truncate(0)
                raise OtherSize(f"more than {size_bytes} bytes")
            stream.write(block)
            came += len(block)
            bar.update(len(block))
            if _end(stream) < size_bytes:
                pace.add(len(block))
    if not came:
        raise httpx2.RemoteProtocolError("the answer was empty")


def _check(response: Any, at: int, size_bytes: int) -> None:
    """Refuse an answer that is not the file, or not its rest, before anything of it is written."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code not in (200, 206) or kind == "text/html":
        what = "a page" if kind == "text/html" else f"the status {response.status_code}"
        raise HubUnavailable(
            f"{response.url.host} answered with {what} instead of the file",
            "Check the network (does it want a login in a browser?), the proxy and HF_ENDPOINT.",
        )
    encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
    if response.status_code == 206:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if encoded or not found or int(found[1]) != at:
            raise _NoRange(f"the server gave another part of the file than was asked for (from byte {at})")
        told = found[2]
    else:
        told = "*" if encoded else response.headers.get("Content-Length", "*")
    if told != "*" and told != str(size_bytes):
        raise OtherSize(f"{told} bytes")


class _Pace:
    """Notices a server that sends just enough to seem alive; what it was patiently waited for does not count."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._since, self._bytes = patience, self._now(patience), 0

    @staticmethod
    def _now(patience: Patience) -> float:
        return time.monotonic() - patience.waited_s

    def add(self, count: int) -> None:
        self._bytes += count
        seconds = self._now(self._patience) - self._since
        if seconds < WATCHED_S:
            return
        if self._bytes < SLOWEST_BYTES_S * seconds:
            raise HubUnavailable(
                f"the hub sent {self._bytes} bytes in {seconds:.0f} s, too slow to come to an end",
                f"Run the same command again at another time or in another network: {_GOES_ON}",
            )
        self._since, self._bytes = self._now(self._patience), 0


def _end(stream: BinaryIO) -> int:
    return stream.seek(0, 2)


def _bar(name: str, size_bytes: int, at: int) -> AbstractContextManager[Any]:
    """huggingface_hub's progress bar: on a terminal only, and where its users have not switched it off."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    new_bar: Callable[..., AbstractContextManager[Any]] = tqdm
    return new_bar(
        desc=name, total=size_bytes, initial=at, unit="B", unit_scale=True, disable=None,
        name="huggingface_hub.http_get",
    )  # fmt: skip


def advice(error: Exception) -> str:
    """What to do about an error of the way to the hub."""
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status == 429:
        return f"The hub asks to wait: run the same command again later: {_GOES_ON}"
    if status in CROWDED:
        return f"The hub has trouble of its own: run the same command again later: {_GOES_ON}"
    if status:
        return "The hub does not give it: check HF_ENDPOINT, or give the folder of a model with --model DIR."
    if type(error).__name__ in ("UnsupportedProtocol", "InvalidURL"):
        return "Check HF_ENDPOINT: it is to be an address like https://huggingface.co."
    if type(error).__name__ == "TooManyRedirects":
        return "Check HF_ENDPOINT and the proxy: they send the request in a circle."
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "Check the clock; if your network signs connections itself, name its certificates with SSL_CERT_FILE."
    return f"Check the network and run the same command again: {_GOES_ON}"


def sentence(error: Exception) -> str:
    """An error in one line."""
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
