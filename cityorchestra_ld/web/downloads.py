"""Files of datasets under lasting addresses: streamed, in parts when asked, validated by their hash."""

from __future__ import annotations

import base64
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from cityorchestra_ld.catalog.authority import codes
from cityorchestra_ld.catalog.downloads import open_file
from cityorchestra_ld.catalog.publications import versions_of
from cityorchestra_ld.web.http_ import Ask, ask_from, is_fresh
from cityorchestra_ld.web.problems import not_found
from cityorchestra_ld.web.service import Service
from cityorchestra_ld.web.site_ import Site

_LASTING: Final = "public, max-age=31536000, immutable"
_CHANGING: Final = "public, no-cache"


class Downloads:
    """The route `/download`; only versions that were published of datasets that the public sees."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def answer(self, request: Request) -> Response:
        """Send a file of a version, or send to the current version's (RFC 9110, sections 13 and 14)."""
        ask = ask_from(request.scope)
        parts = ask.path.removeprefix("/download/").split("/")
        site, snapshot = self._service.site, self._service.snapshot
        key = "/".join(parts[:2])
        info = snapshot.graph_of(key) if len(parts) in (3, 4) else None
        if info is None or not info.version:
            raise not_found(ask)
        if len(parts) == 3:
            if open_file(site.territory.state, key, info.version, parts[2]) is None:
                raise not_found(ask)
            location = f"{ask.root}/download/{key}/{info.version}/{parts[2]}"
            return Response(status_code=307, headers={"Location": location, "Cache-Control": _CHANGING})
        if parts[2] != info.version and parts[2] not in versions_of(snapshot.generation.meta, key):
            raise not_found(ask)
        return _file(ask, site, key, parts[2], parts[3])


def _file(ask: Ask, site: Site, key: str, version: str, name: str) -> Response:
    found = open_file(site.territory.state, key, version, name)
    if found is None:
        raise not_found(ask)
    path, file = found
    tag = f'"{file.sha256}"'
    headers = {
        "ETag": tag,
        "Cache-Control": _LASTING,
        "Link": f'<{_licence(site, key)}>; rel="license"',
        "Repr-Digest": f"sha-256=:{_base64(file.sha256)}:",
    }
    if is_fresh(ask, tag):
        return Response(status_code=304, headers=headers)
    media = "application/gzip" if name.endswith(".gz") else codes().forms[file.form][3]
    attached = f"{key.replace('/', '-')}-{version}-{name}"
    charset = "; charset=utf-8" if file.form == "csv" else ""
    response = FileResponse(path, headers=headers, media_type=media, filename=attached)
    response.headers["content-type"] = media + charset
    return response


def _licence(site: Site, key: str) -> str:
    licence = site.territory.datasets[key].licence
    return licence if licence.startswith("http") else f"http://spdx.org/licenses/{licence}"


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
