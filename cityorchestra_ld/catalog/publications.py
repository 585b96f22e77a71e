"""What is known of each dataset when a generation is made: its dates, its files, what it holds, and the versions before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

import zstandard

from cityorchestra_ld.catalog import downloads, ledger
from cityorchestra_ld.catalog.dcat import Published, described
from cityorchestra_ld.errors import StoreError, Text
from cityorchestra_ld.model import Access, Generation, GraphInfo
from cityorchestra_ld.namespaces import prefixes
from cityorchestra_ld.territory import Territory

_VERSIONS: Final = 50


def history(meta: Mapping[str, str], before: Mapping[str, GraphInfo], after: GraphInfo, now: datetime) -> dict[str, str]:
    """Note in a generation's memory when a dataset was first published, when its content last changed, and its versions."""
    key, old = after.dataset, before.get(after.graph)
    stamp = now.isoformat(timespec="seconds")
    same = old is not None and old.version == after.version and f"modified:{key}" in meta
    versions = [version for version in versions_of(meta, key or "") if version != after.version]
    return {
        f"first:{key}": meta.get(f"first:{key}", stamp),
        f"modified:{key}": meta[f"modified:{key}"] if same else stamp,
        f"versions:{key}": " ".join([*versions[1 - _VERSIONS :], after.version or ""]),
    }


def versions_of(meta: Mapping[str, str], key: str) -> list[str]:
    """List the versions of a dataset that were published, the current one last."""
    return meta.get(f"versions:{key}", "").split()


def publications(territory: Territory, graphs: Sequence[GraphInfo], meta: Mapping[str, str]) -> dict[str, Published]:
    """Make the files that are missing for what the public may see, and collect what is known of every dataset."""
    found = {}
    for key, info in described(graphs).items():
        public = info.access is Access.PUBLIC
        with _explained(Text("Les fichiers à télécharger ne s'écrivent pas", "The files to download cannot be written")):
            made = downloads.make(territory.state, info, prefixes(territory.base_iri)) if public else None
        before = [version for version in reversed(versions_of(meta, key)) if version != info.version] if public else []
        kept = (downloads.known(territory.state, key, version) for version in before)
        found[key] = Published(
            run=meta.get(f"run:{key}"),
            first=_moment(meta.get(f"first:{key}")),
            modified=_moment(meta.get(f"modified:{key}")),
            made=made,
            older=tuple(one for one in kept if one is not None),
        )
    return found


def follow(territory: Territory, generation: Generation) -> None:
    """
    Do what follows a publication: write the changes into the ledgers, delete files that are not kept any more.

    Raises StoreError when the disk refuses; what is published stays so, and the next publication makes the ledgers good.
    """
    public = {key: info for key, info in described(generation.graphs).items() if info.access is Access.PUBLIC}
    current = {key: info.version or "" for key, info in public.items()}
    with _explained(Text("Publié, mais le flux des changements ne s'écrit pas", "Published, but the feed cannot be written")):
        ledger.record(territory.state, public.values(), generation.created)
        downloads.retain(territory.state, current, territory.keep_downloads_mb * 1_000_000)


@contextmanager
def _explained(what: Text) -> Iterator[None]:
    """Turn what the system says into an error of ours."""
    import duckdb  # a server that never publishes does without

    try:
        yield
    except (OSError, duckdb.Error, zstandard.ZstdError) as error:
        raise StoreError(Text(f"{what.fr} : {error}", f"{what.en}: {error}")) from error


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
