"""Fetch a file over HTTP: conditional, bounded in size and time, with retries, and only from public addresses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter

from cityorchestra_ld import __version__
from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import Limits
from cityorchestra_ld.outbound import GuardedHTTPPool, GuardedHTTPSPool, check_url, public_addresses, shown

_CHUNK: Final = 1 << 16
_REDIRECTS: Final = 5
_RATIO_FLOOR: Final = 10_000_000
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_TEMPORARY: Final = (
    requests.ConnectionError,
    requests.Timeout,
    urllib3.exceptions.HTTPError,
    requests.exceptions.ChunkedEncodingError,
)


class _Known(msgspec.Struct, frozen=True):
    """What the cache knows of a body; the file beside it has the same name."""

    url: str
    sha256: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body on disk, and what is to be said about it."""

    path: Path
    sha256: str
    size: int
    url: str
    unchanged: bool  # the server said that our copy is still right
    notes: tuple[Text, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient a fetch is, and whether it may reach private networks (for tests and for trusted intranets)."""

    attempts: int = 3
    pause: float = 0.5
    allow_private: bool = False


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        pools = cast(Any, self).poolmanager
        pools.pool_classes_by_scheme = {"http": GuardedHTTPPool, "https": GuardedHTTPSPool}


def _session(*, allow_private: bool) -> requests.Session:
    """Make a session without stored credentials; unless told otherwise it connects to public addresses only."""
    made = requests.Session()
    made.trust_env = False  # no .netrc; proxies and certificates are given by the caller
    if not allow_private:
        for scheme in ("http://", "https://"):
            made.mount(scheme, _Adapter(max_retries=0))
    return made


@dataclass(slots=True)
class _Fetch:
    url: str
    target: Path
    limits: Limits
    most: int
    policy: Policy
    session: requests.Session
    deadline: float
    known: _Known | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def run(self) -> Fetched:
        last: Exception | None = None
        for attempt in range(self.policy.attempts):
            if attempt:
                time.sleep(min(self.policy.pause * 2 ** (attempt - 1), max(0.0, self.deadline - time.monotonic())))
            if time.monotonic() > self.deadline:
                break
            try:
                return self._once()
            except _Again as again:
                last = again
                time.sleep(min(again.wait, max(0.0, self.deadline - time.monotonic())))
            except _TEMPORARY as error:
                last = error
            except requests.RequestException as error:
                raise self._error(f"Adresse refusée : {error}.", f"Address refused: {error}.") from error
        raise self._error(
            f"Le téléchargement a échoué ({_why(last)}).", f"The download failed ({_why(last)}).",
            Text("Vérifiez l’adresse dans un navigateur, ou donnez une copie du fichier (path).",
                 "Check the address in a browser, or give a copy of the file (path)."),
        )  # fmt: skip

    def _once(self) -> Fetched:
        url = self.url
        for _ in range(_REDIRECTS + 1):
            with self._get(url) as response:
                if response.is_redirect or response.is_permanent_redirect:
                    url = self._redirect(url, response.headers.get("Location", ""))
                    continue
                return self._receive(url, response)
        raise self._error(f"Plus de {_REDIRECTS} redirections.", f"More than {_REDIRECTS} redirections.")

    def _get(self, url: str) -> requests.Response:
        parts = check_url(url)
        left = max(0.1, self.deadline - time.monotonic())
        proxies = _proxies(parts.scheme, parts.hostname or "")
        if proxies and not self.policy.allow_private:  # the proxy connects; without one, the session itself checks
            with contextlib.suppress(OSError):
                public_addresses(parts.hostname or "", parts.port or 80)
        return self.session.get(
            url, headers=self.headers, stream=True, allow_redirects=False, timeout=(min(10.0, left), min(30.0, left)),
            proxies=proxies, verify=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True,
        )  # fmt: skip

    def _redirect(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
            raise self._error("Une redirection quitte https : refusé.", "A redirection leaves https: refused.")
        return target

    def _receive(self, url: str, response: requests.Response) -> Fetched:
        if response.status_code == 304 and self.known is not None:
            size = self.target.stat().st_size
            note = Text("Inchangé depuis le dernier téléchargement.", "Unchanged since the last download.")
            return Fetched(self.target, self.known.sha256, size, url, True, (note,))
        if response.status_code in _AGAIN:
            raise _Again(response.status_code, response.headers.get("Retry-After", ""))
        if response.status_code != 200:
            raise self._error(
                f"Le serveur répond {response.status_code}.", f"The server answers {response.status_code}.",
                Text("L’adresse a peut-être changé : voyez la page du jeu de données.",
                     "The address may have changed: see the page of the dataset."),
            )  # fmt: skip
        declared = response.headers.get("Content-Length", "")
        if declared.isdigit() and int(declared) > self.most:
            raise self._too_large()
        part = self.target.with_name(self.target.name + ".part")
        digest, size = hashlib.sha256(), 0
        with part.open("wb") as out:
            for chunk in self._body(response):
                size += len(chunk)
                digest.update(chunk)
                out.write(chunk)
        known = _Known(url=self.url, sha256=digest.hexdigest(), etag=response.headers.get("ETag"),
                       last_modified=response.headers.get("Last-Modified"))  # fmt: skip
        part.replace(self.target)
        _write_known(self.target, known)
        note = Text(
            f"Téléchargé : {size} octets de {shown(urlsplit(url))}.", f"Downloaded: {size} bytes from {shown(urlsplit(url))}."
        )
        return Fetched(self.target, known.sha256, size, url, False, (note,))

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        """Yield the decoded body; stop at the size limit, at an absurd compression ratio and at the deadline."""
        size = 0
        while chunk := response.raw.read(_CHUNK, decode_content=True):
            size += len(chunk)
            wire = response.raw.tell()
            if size > self.most or (size > _RATIO_FLOOR and size > wire * self.limits.compression_ratio):
                raise self._too_large()
            if time.monotonic() > self.deadline:
                raise requests.Timeout(f"{self.limits.fetch_seconds:.0f} s")
            yield chunk

    def _too_large(self) -> SourceError:
        return self._error(
            f"Le fichier dépasse la limite de {self.most} octets.", f"The file exceeds the limit of {self.most} bytes.",
            Text("Relevez max_bytes pour cette source si c’est voulu.", "Raise max_bytes for this source if that is intended."),
        )  # fmt: skip

    def _error(self, fr: str, en: str, hint: Text | None = None) -> SourceError:
        return SourceError(Text(fr, en), place=Place(file=shown(urlsplit(self.url))), hint=hint)


class _Again(Exception):
    def __init__(self, status: int, retry_after: str) -> None:
        super().__init__(str(status))
        self.wait = min(30.0, float(retry_after)) if retry_after.isdigit() else 0.0


def _why(error: Exception | None) -> str:
    if isinstance(error, _Again):
        return f"HTTP {error}"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "délai dépassé, timeout"
    inner: object = error or "délai dépassé, timeout"
    while isinstance(inner, BaseException):  # libraries wrap the reason several times
        inner = getattr(inner, "reason", None) or next((part for part in reversed(inner.args) if part), type(inner).__name__)
    return str(inner).rpartition(": ")[2].strip(" )'\"")[:120]


def _proxies(scheme: str, host: str) -> dict[str, str]:
    proxies = getproxies()
    if requests.utils.should_bypass_proxies(f"{scheme}://{host}", no_proxy=proxies.get("no")):
        return {}
    return {name: proxies[name] for name in ("http", "https") if name == scheme and name in proxies}


def _read_known(target: Path, url: str) -> _Known | None:
    try:
        known = msgspec.json.decode(target.with_suffix(".json").read_bytes(), type=_Known)
    except (OSError, msgspec.MsgspecError):
        return None
    return known if known.url == url and target.exists() and _sha256(target) == known.sha256 else None


def _write_known(target: Path, known: _Known) -> None:
    part = target.with_suffix(".json.part")
    part.write_bytes(msgspec.json.encode(known))
    part.replace(target.with_suffix(".json"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept_at(cache: Path, url: str) -> Path:
    """Return where the body of a URL is kept, whether it is there or not."""
    return cache / (hashlib.sha256(url.encode()).hexdigest()[:32] + ".body")


def fetch(
    url: str,
    folder: Path,
    limits: Limits,
    *,
    max_bytes: int | None = None,
    cache: Path | None = None,
    policy: Policy | None = None,
) -> Fetched:
    """
    Fetch a URL into the cache (or `folder`), asking whether our copy is still right (RFC 9110, section 13).

    SourceError says what went wrong; nothing half-fetched is left under the final name.
    """
    parts = check_url(url)
    policy = policy or Policy()
    place = cache or folder
    place.mkdir(parents=True, exist_ok=True)
    target = kept_at(place, url)
    known = _read_known(target, url) if cache else None
    headers = {"User-Agent": f"cityorchestra-ld/{__version__}", "Accept-Encoding": "gzip, identity", "Accept": "*/*"}
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    if known and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    with _session(allow_private=policy.allow_private) as made:
        job = _Fetch(
            url, target, limits, min(max_bytes or limits.source_bytes, limits.source_bytes), policy, made,
            time.monotonic() + limits.fetch_seconds, known, headers,
        )  # fmt: skip
        try:
            return job.run()
        except SourceError as error:
            error.place = error.place or Place(file=shown(parts))
            raise
