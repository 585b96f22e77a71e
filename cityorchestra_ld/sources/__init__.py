"""Bring a partner's file home: fetch or read it, unpack, detect, check its contract, and write it in one plain form."""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import Limits, SourceSpec, Table
from cityorchestra_ld.sources.aside import leave_out
from cityorchestra_ld.sources.checks import Checks
from cityorchestra_ld.sources.detect import Received, encoding_of, receive, to_utf8
from cityorchestra_ld.sources.unpack import opened, packed

__all__ = ["Checks", "describe", "leave_out", "open_loose", "stage"]

_BESIDE: Final = 256_000_000  # bytes; a larger JSON text is checked before it is mapped, so that memory holds one copy of it


def stage(
    spec: SourceSpec, folder: Path, limits: Limits, *, cache: Path | None = None, allow_private: bool = False,
    checks: Checks | None = None,
) -> Table:  # fmt: skip
    """
    Bring a source into `folder` as a table that mappings can scan, and check what the partner promised.

    SourceError names file, row, column and what to try; `cache` keeps downloads for conditional requests. `allow_private` lets
    a url lead to a private network. What takes long to check in a JSON text is left to `checks`, when they are given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _disk(spec):
        path, label, notes = _obtain(spec, folder, limits, cache, allow_private)
        most = min(spec.max_bytes or limits.source_bytes, limits.source_bytes)
        name = _file_name(spec.name)
        for suffix in ("staged.json", "staged.csv"):  # of an earlier staging: it may be a second name of the original
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
        with opened(packed(path, label, spec.compression, spec.member, most, limits)) as (chunks, inner):
            received = receive(chunks, inner, folder / f"{name}.original")
        if spec.format == "json":
            table = _stage_json(received, spec, folder / f"{name}.staged.json", checks)
        else:
            table = _stage_table(received, spec, folder / name, (most, limits.compression_ratio))
    return replace(table, notes=notes + table.notes)


def _stage_table(received: Received, spec: SourceSpec, base: Path, bounds: tuple[int, int]) -> Table:
    """Stage a CSV file, or a workbook or Parquet file by way of CSV; rows and bytes stay those of the partner's file."""
    from cityorchestra_ld.sources.tables import stage_csv
    from cityorchestra_ld.sources.workbooks import PLAIN, as_csv, kind_of

    target = base.with_name(base.name + ".staged.csv")
    kind = kind_of(received.path)
    if kind is None:
        return stage_csv(received, spec, target)
    chunks = as_csv(received.path, kind, spec, received.label, *bounds)
    plain = receive(chunks, received.label, base.with_name(base.name + ".plain.csv"))
    table = stage_csv(plain, replace(spec, **PLAIN), target)
    plain.path.unlink()
    note = Text(f"Format reconnu : {kind}.", f"Format recognised: {kind}.")
    return replace(
        table, original=received.path, sha256=received.sha256, size=received.size, notes=(note, *table.notes[2:])
    )  # fmt: skip


def open_loose(spec: SourceSpec, folder: Path, limits: Limits, *, checks: Checks | None = None) -> Table:
    """Bring a source home without a contract: no promised columns, no key; how it is written is still checked."""
    return stage(replace(spec, columns=(), key=(), forbidden=()), folder, limits, checks=checks)


def describe(table: Table) -> tuple[Text, ...]:
    """Say what a source is: its size, what was detected, and how many records it has."""
    lines = [Text(f"{table.label} : {table.size} octets.", f"{table.label}: {table.size} bytes."), *table.notes]
    if table.records is not None:
        count, width = table.records, len(table.columns)
        lines.append(Text(f"{count} enregistrements, {width} colonnes.", f"{count} records, {width} columns."))
    return tuple(lines)


def _obtain(
    spec: SourceSpec, folder: Path, limits: Limits, cache: Path | None, allow_private: bool
) -> tuple[Path, str, tuple[Text, ...]]:
    if spec.url is not None:
        from cityorchestra_ld.sources.fetch import Policy, fetch

        got = fetch(spec.url, folder, limits, max_bytes=spec.max_bytes, cache=cache, policy=Policy(allow_private=allow_private))
        parts = urlsplit(spec.url)
        return got.path, parts.path.rpartition("/")[2] or parts.hostname or spec.name, got.notes
    if spec.path is None:
        raise SourceError(
            Text(
                f"La source « {spec.name} » n’a ni fichier ni adresse.",
                f"The source '{spec.name}' has neither a path nor a url.",
            ),
            place=Place(file=spec.name),
        )
    if not spec.path.is_file():
        raise SourceError(
            Text("Le fichier n’existe pas.", "The file does not exist."),
            place=Place(file=str(spec.path)),
            hint=_neighbours(spec.path),
        )
    most = min(spec.max_bytes or limits.source_bytes, limits.source_bytes)
    if spec.path.stat().st_size > most:
        raise SourceError(
            Text(f"Le fichier dépasse la limite de {most} octets.", f"The file exceeds the limit of {most} bytes."),
            place=Place(file=spec.path.name),
            hint=Text(
                "Relevez max_bytes pour cette source si c’est voulu.", "Raise max_bytes for this source if that is intended."
            ),
        )
    return spec.path, spec.path.name, ()


def _neighbours(path: Path) -> Text | None:
    from cityorchestra_ld.sources.contract import nearest

    if not path.parent.is_dir():
        return None
    near = nearest(path.name, [other.name for other in path.parent.iterdir() if other.is_file()])
    return Text(f"Le plus proche est « {near} ».", f"The nearest is '{near}'.") if near else None


def _file_name(name: str) -> str:
    """Make a file name of our own: what a mapping or an archive writes is never a path."""
    safe = re.sub(r"[^A-Za-z0-9.-]", "_", name)[-60:].lstrip(".") or "source"
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _stage_json(received: Received, spec: SourceSpec, target: Path, checks: Checks | None) -> Table:
    codec, note = encoding_of(received, spec.encoding)
    if codec in ("utf-8", "ascii") and not received.start.startswith(codecs.BOM_UTF8):
        target.hardlink_to(received.path)
    else:
        to_utf8(received, codec, target)
    check = partial(_check_json, spec, target, received.label)
    if checks is not None and target.stat().st_size <= _BESIDE:
        checks.add(check)
    else:
        check()
    return Table(
        name=spec.name, format="json", path=target, original=received.path, label=received.label, sha256=received.sha256,
        size=received.size, nulls=spec.nulls, encoding=codec, notes=(note,),
    )  # fmt: skip


def _check_json(spec: SourceSpec, path: Path, label: str) -> None:
    from cityorchestra_ld.sources.json_ import check_json

    with _disk(spec):
        check_json(path, label)


@contextlib.contextmanager
def _disk(spec: SourceSpec) -> Iterator[None]:
    """Explain what the operating system refuses."""
    try:
        yield
    except OSError as error:
        file = str(error.filename or spec.path or spec.url or spec.name)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SourceError(
                Text("Le disque est plein.", "The disk is full."),
                place=Place(file=file),
                hint=Text("Libérez de la place, puis relancez.", "Free some space, then run again."),
            ) from error
        raise SourceError(
            Text(f"Lecture ou écriture impossible : {error.strerror}.", f"Cannot read or write: {error.strerror}."),
            place=Place(file=file),
        ) from error
