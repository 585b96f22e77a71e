"""Take one file out of an archive as a stream of bytes, with caps on size and ratio; names inside are never paths."""

from __future__ import annotations

import contextlib
import difflib
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, cast

from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import Limits
from cityorchestra_ld.sources.workbooks import kind_of

Compression = Literal["gzip", "zip", "tar", "targz", "tarxz"]

_CHUNK: Final = 1 << 20
_RATIO_FLOOR: Final = 10_000_000
_DAMAGED: Final = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive, or a plain file, and what may come out of it."""

    path: Path
    label: str
    compression: Compression | None
    member: str | None
    most: int
    ratio: int

    def error(self, fr: str, en: str, hint: Text | None = None) -> SourceError:
        """Make the error that names this file."""
        return SourceError(Text(fr, en), place=Place(file=self.label), hint=hint)


def packed(path: Path, label: str, compression: Compression | None, member: str | None, most: int, limits: Limits) -> Packed:
    """Recognise a zip or gzip file by its first bytes when nothing is declared."""
    if compression is None:
        with path.open("rb") as file:
            start = file.read(4)
        if member is not None or (start[:4] in (b"PK\x03\x04", b"PK\x05\x06") and kind_of(path) is None):
            compression = "zip"
        elif start[:2] == b"\x1f\x8b":
            compression = "gzip"
    return Packed(path, label, compression, member, most, limits.compression_ratio)


@contextlib.contextmanager
def opened(source: Packed) -> Iterator[tuple[Iterator[bytes], str]]:
    """Open the file inside; give its bytes in chunks and the name for messages. SourceError when it is damaged or too large."""
    try:
        with contextlib.ExitStack() as stack:
            stream, name, received = _open(source, stack)
            yield _bounded(source, stream, received), name
    except _DAMAGED as error:
        raise source.error(
            f"L’archive est abîmée ou tronquée ({error}).", f"The archive is damaged or truncated ({error}).",
            Text("Téléchargez-la à nouveau.", "Download it again."),
        ) from error  # fmt: skip


def _open(source: Packed, stack: contextlib.ExitStack) -> tuple[IO[bytes], str, int]:
    size = source.path.stat().st_size
    if source.compression is None:
        return stack.enter_context(source.path.open("rb")), source.label, 0
    if source.compression == "gzip":
        return cast(IO[bytes], stack.enter_context(gzip.open(source.path))), source.label, size
    if source.compression == "zip":
        return _open_zip(source, stack)
    mode: Literal["r:", "r:gz", "r:xz"] = (
        "r:" if source.compression == "tar" else "r:gz" if source.compression == "targz" else "r:xz"
    )
    return _open_tar(source, stack.enter_context(tarfile.open(source.path, mode)), stack, size)


def _open_zip(source: Packed, stack: contextlib.ExitStack) -> tuple[IO[bytes], str, int]:
    archive = stack.enter_context(zipfile.ZipFile(source.path))
    files = [info for info in archive.infolist() if not info.is_dir()]
    info = files[_choose(source, [i.filename for i in files])]
    if info.flag_bits & 0x1:
        raise source.error("L’archive est chiffrée.", "The archive is encrypted.")
    if info.file_size > source.most:
        raise _too_large(source)
    try:
        return stack.enter_context(archive.open(info)), f"{source.label}/{info.filename}", info.compress_size
    except NotImplementedError as error:
        raise source.error(f"Compression inconnue : {error}.", f"Unknown compression: {error}.") from error


def _open_tar(source: Packed, archive: tarfile.TarFile, stack: contextlib.ExitStack, size: int) -> tuple[IO[bytes], str, int]:
    files: list[tarfile.TarInfo] = []
    total = 0
    for member in archive:  # reading on skips over a member, so the sum of sizes bounds the work
        total += member.size
        if total > source.most:
            raise _too_large(source)
        if member.isreg():
            files.append(member)
    chosen = files[_choose(source, [member.name for member in files])]
    stream = archive.extractfile(chosen)
    if stream is None:
        raise source.error("Ce membre n’est pas un fichier.", "This member is not a file.")
    return stack.enter_context(stream), f"{source.label}/{chosen.name}", size


def _choose(source: Packed, names: Sequence[str]) -> int:
    """Return which member is meant: the named one, or the only one."""
    if source.member in names:
        return names.index(source.member or "")
    wanted = source.member or ""
    ends = [i for i, name in enumerate(names) if name.rpartition("/")[2] == wanted]
    if len(ends) == 1:
        return ends[0]
    if source.member is None and len(names) == 1:
        return 0
    near = difflib.get_close_matches(wanted, names, n=3)
    listed = ", ".join([*near, *(name for name in names if name not in near)][:12]) or "–"
    raise source.error(
        f"L’archive n’a pas de fichier « {wanted} »." if wanted else "L’archive a plusieurs fichiers : lequel lire ?",
        f"The archive has no file '{wanted}'." if wanted else "The archive has several files: which one to read?",
        Text(f"Donnez « member » parmi : {listed}.", f"Give 'member' among: {listed}."),
    )


def _bounded(source: Packed, stream: IO[bytes], received: int) -> Iterator[bytes]:
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > source.most or (received and size > _RATIO_FLOOR and size > received * source.ratio):
            raise _too_large(source)
        yield chunk


def _too_large(source: Packed) -> SourceError:
    return source.error(
        f"Une fois décompressé, le fichier dépasse {source.most} octets ou {source.ratio} fois sa taille.",
        f"Decompressed, the file exceeds {source.most} bytes or {source.ratio} times its size.",
        Text("C’est le signe d’une bombe de décompression ; sinon relevez max_bytes.",
             "This is the mark of a decompression bomb; if not, raise max_bytes."),
    )  # fmt: skip
