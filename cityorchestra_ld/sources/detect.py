"""Recognise how a file is written (encoding, delimiter, decimal mark); a declaration that the bytes contradict is an error."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cityorchestra_ld.errors import Place, SourceError, Text
from cityorchestra_ld.model import SourceSpec

DELIMITERS: Final = (",", ";", "\t", "|")
_SHOWN: Final = {",": "virgule, comma", ";": "point-virgule, semicolon", "\t": "tabulation, tab", "|": "barre, pipe"}
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_ALIASES: Final = {"win1252": "cp1252", "ansi": "cp1252", "utf8": "utf-8", "utf-8-sig": "utf-8", "latin-9": "iso8859-15"}
_ACCEPTED: Final = frozenset({
    "ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "cp1252", "iso8859-1",
    "iso8859-15", "cp850", "cp437", "mac-roman", "cp1250", "cp1254", "iso8859-2", "iso8859-9",
})  # fmt: skip
_FRENCH: Final = frozenset("àâäçéèêëîïôöùûüÿœæñÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸŒÆ«»’‘“”–—…°²³€·\u00a0ßáíóúãõ½¼×µ")
_SAMPLE: Final = 1 << 18
_CHUNK: Final = 1 << 20
_BEHIND: Final = 4  # chunks that wait to be written


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A partner's bytes on disk, and what one pass over them tells."""

    path: Path
    label: str
    size: int
    sha256: str
    start: bytes
    ascii: bool
    utf8: bool
    invalid: int | None  # offset of the first byte that is not UTF-8
    nul: int | None  # offset of the first NUL byte
    lone_cr: bool  # a carriage return without line feed
    quotes: int  # bytes that are a quotation mark

    def place(self, offset: int) -> Place:
        """Say on which line of the file an offset is."""
        line, left = 1, offset
        with self.path.open("rb") as file:
            while left > 0 and (chunk := file.read(min(left, _CHUNK))):
                line += chunk.count(b"\n")
                left -= len(chunk)
        return Place(file=self.label, row=line)


def receive(chunks: Iterable[bytes], label: str, target: Path) -> Received:
    """Copy bytes to `target` in one pass: digest, size, first byte that is not UTF-8, first NUL; SourceError when empty."""
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    size, start, is_ascii, lone_cr, quotes = 0, b"", True, False, 0
    invalid: int | None = None
    nul: int | None = None
    pending = b""
    with _keeping(target, digest) as keep:
        for chunk in chunks:
            keep(chunk)
            if len(start) < _SAMPLE:
                start += chunk[: _SAMPLE - len(start)]
            is_ascii = is_ascii and chunk.isascii()
            if nul is None and (found := chunk.find(b"\0")) >= 0:
                nul = size + found
            if invalid is None and not is_ascii:
                held = len(decoder.getstate()[0])
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    invalid = size - held + error.start
            if pending or b"\r" in chunk:
                joined = pending + chunk
                lone_cr = lone_cr or joined.count(b"\r") - joined.endswith(b"\r") > joined.count(b"\r\n")
                pending = b"\r" if joined.endswith(b"\r") else b""
            quotes += chunk.count(b'"')
            size += len(chunk)
    if invalid is None and decoder.getstate()[0]:
        invalid = size - len(decoder.getstate()[0])
    received = Received(
        path=target, label=label, size=size, sha256=digest.hexdigest(), start=start, ascii=is_ascii, utf8=invalid is None,
        invalid=invalid, nul=nul, lone_cr=lone_cr or bool(pending), quotes=quotes,
    )  # fmt: skip
    _refuse_other_things(received)
    return received


@contextmanager
def _keeping(target: Path, digest: hashlib._Hash) -> Iterator[Callable[[bytes], None]]:
    """Write and digest chunks in another thread, a few behind the caller."""
    with target.open("wb") as out, ThreadPoolExecutor(1) as beside:

        def work(chunk: bytes) -> None:
            digest.update(chunk)
            out.write(chunk)

        waiting: list[Future[None]] = []

        def keep(chunk: bytes) -> None:
            if len(waiting) == _BEHIND:
                waiting.pop(0).result()
            waiting.append(beside.submit(work, chunk))

        yield keep
        for last in waiting:
            last.result()


def _refuse_other_things(received: Received) -> None:
    if not received.start.strip(b" \t\r\n\xef\xbb\xbf"):
        raise SourceError(
            Text("Le fichier est vide.", "The file is empty."),
            place=Place(file=received.label),
            hint=Text("Demandez au partenaire de l’exporter à nouveau.", "Ask the partner to export it again."),
        )
    if received.start.lstrip(b" \t\r\n\xef\xbb\xbf")[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise SourceError(
            Text("C’est une page web, pas un fichier de données.", "This is a web page, not a data file."),
            place=Place(file=received.label),
            hint=Text("L’adresse mène sans doute à une page de connexion ou d’erreur.",
                      "The address probably leads to a login or error page."),
        )  # fmt: skip


# --- encoding -----------------------------------------------------------------------------------------------------------------


def encoding_of(received: Received, declared: str | None) -> tuple[str, Text]:
    """Return the codec and what to say: as declared if the bytes agree; else by BOM, UTF-8, or Windows-1252 if plausible."""
    bom = next((codec for mark, codec in _BOMS if received.start.startswith(mark)), None)
    codec = _declared(received, declared, bom) if declared else bom or ("utf-8" if received.utf8 else "cp1252")
    if received.nul is not None and not codec.startswith(("utf-16", "utf-32")):
        raise SourceError(
            Text("Le fichier contient un octet nul (NUL).", "The file has a NUL byte."),
            place=received.place(received.nul),
            hint=Text("Fichier abîmé, binaire, ou en UTF-16 sans marque : déclarez « encoding » si c’est le cas.",
                      "The file is damaged, binary, or UTF-16 without mark: declare 'encoding' in that case."),
        )  # fmt: skip
    if codec == "utf-8" and received.invalid is not None:
        raise _wrong(received, "utf-8", received.invalid, "cp1252" if _looks_french(received) else None)
    if not declared and codec == "cp1252" and not _looks_french(received):
        raise SourceError(
            Text("L’encodage n’est pas reconnu.", "The encoding is not recognised."),
            place=received.place(received.invalid or 0),
            hint=Text("Déclarez-le, par exemple encoding = \"cp850\".", 'Declare it, for example encoding = "cp850".'),
        )  # fmt: skip
    how = ("déclaré", "declared") if declared else ("reconnu", "recognised")
    mark = (", avec marque BOM", ", with BOM") if bom else ("", "")
    return codec, Text(f"Encodage {how[0]} : {codec}{mark[0]}.", f"Encoding {how[1]}: {codec}{mark[1]}.")


def _declared(received: Received, declared: str, bom: str | None) -> str:
    name = declared.strip().lower()
    try:
        codec = codecs.lookup(_ALIASES.get(name, name)).name
    except LookupError:
        codec = ""
    if codec not in _ACCEPTED:
        raise SourceError(
            Text(f"Encodage inconnu : « {declared} ».", f"Unknown encoding: '{declared}'."),
            place=Place(file=received.label),
            hint=Text("Par exemple utf-8, windows-1252, iso-8859-15.", "For example utf-8, windows-1252, iso-8859-15."),
        )
    if bom and not codec.startswith(bom):
        raise _wrong(received, codec, 0, bom)
    if codec == "ascii" and not received.ascii:
        raise _wrong(received, codec, 0, "utf-8" if received.utf8 else "cp1252")
    single_byte = not codec.startswith("utf-")
    if single_byte and received.utf8 and not received.ascii:  # text in these encodings is practically never valid UTF-8
        raise _wrong(received, codec, 0, "utf-8")
    return codec


def _wrong(received: Received, codec: str, offset: int, better: str | None) -> SourceError:
    hint = None
    if better:
        hint = Text(f"Le fichier semble être en {better} : écrivez encoding = \"{better}\".",
                    f'The file seems to be {better}: write encoding = "{better}".')  # fmt: skip
    return SourceError(
        Text(f"Ce fichier n’est pas en {codec}.", f"This file is not {codec}."), place=received.place(offset), hint=hint
    )


def _looks_french(received: Received) -> bool:
    """Tell whether the first bytes above ASCII, read as Windows-1252, are letters and signs of French text."""
    start = received.start
    if received.invalid is not None and received.invalid >= len(start):
        with received.path.open("rb") as file:
            file.seek(max(0, received.invalid - 1000))
            start = file.read(_SAMPLE)
    others = [character for character in start.decode("cp1252", errors="replace") if ord(character) > 127]
    return bool(others) and sum(character in _FRENCH for character in others) >= 0.8 * len(others)


def to_utf8(received: Received, codec: str, target: Path) -> Path:
    """Write the text as UTF-8 without BOM; SourceError at the first byte that the codec does not know."""
    decoder = codecs.getincrementaldecoder("utf-8-sig" if codec == "utf-8" else codec)()
    offset = 0
    with received.path.open("rb") as source, target.open("wb") as out:
        while True:
            chunk = source.read(_CHUNK)
            held = len(decoder.getstate()[0])
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise _wrong(received, codec, offset - held + error.start, None) from error
            if "\0" in text or (not codec.startswith("utf-") and re.search("[\x80-\x9f]", text)):
                raise _wrong(received, codec, offset, "windows-1252" if codec == "iso8859-1" else None)
            out.write(text.encode())
            if not chunk:
                return target
            offset += len(chunk)


# --- delimiter and decimal mark -----------------------------------------------------------------------------------------------


def sample_of(path: Path) -> str:
    """Read the first lines of a UTF-8 file, whole lines only when there is more."""
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
    text = start.decode("utf-8-sig", errors="ignore")
    return text[: text.rfind("\n") + 1] or text if len(start) == _SAMPLE else text


def delimiter_of(sample: str, spec: SourceSpec, label: str) -> tuple[str, Text]:
    """Return the delimiter and what to say; SourceError when the declared one gives one column and another gives many."""
    found = {delimiter: _columns(sample, delimiter, spec) for delimiter in DELIMITERS}
    best = max(found, key=lambda delimiter: found[delimiter])
    declared = spec.delimiter
    if declared is None:
        name = best if found[best] > (0, 1) else ","
        return name, Text(f"Séparateur reconnu : {_show(name)[0]}.", f"Delimiter recognised: {_show(name)[1]}.")
    if len(declared) != 1:
        raise SourceError(
            Text(f"Un séparateur a un seul caractère, pas « {declared} ».", f"A delimiter is one character, not '{declared}'."),
            place=Place(file=label),
        )
    if best != declared and _columns(sample, declared, spec)[1] == 1 and found[best][1] > 1 and len(spec.columns) != 1:
        raise SourceError(
            Text(f"Le séparateur déclaré ({_show(declared)[0]}) ne donne qu’une colonne.",
                 f"The declared delimiter ({_show(declared)[1]}) gives only one column."),
            place=Place(file=label, row=1),
            hint=Text(f"Le fichier semble séparé par {_show(best)[0]} ({found[best][1]} colonnes).",
                      f"The file seems separated by {_show(best)[1]} ({found[best][1]} columns)."),
        )  # fmt: skip
    return declared, Text(f"Séparateur déclaré : {_show(declared)[0]}.", f"Delimiter declared: {_show(declared)[1]}.")


def _show(delimiter: str) -> tuple[str, str]:
    fr, _, en = _SHOWN.get(delimiter, f"« {delimiter} », '{delimiter}'").partition(", ")
    return fr, en


def _columns(sample: str, delimiter: str, spec: SourceSpec) -> tuple[int, int]:
    """Score a delimiter: promised names in the header (or regular rows), then the number of columns."""
    rows: list[list[str]] = []
    try:
        quoting: Literal[0, 3] = 0 if spec.quote else 3  # QUOTE_MINIMAL, QUOTE_NONE
        lines = io.StringIO(sample, newline="")
        for row in csv.reader(lines, delimiter=delimiter, quotechar=spec.quote or None, quoting=quoting):
            if row and not (spec.comment and row[0].startswith(spec.comment)):
                rows.append(row)
            if len(rows) == 200:
                break
    except csv.Error:
        pass
    if spec.skip_until is not None:
        start = next((i for i, row in enumerate(rows) if row[0].strip() == spec.skip_until), None)
        rows = rows[start:] if start is not None else []
    if not rows:
        return (0, 1)
    width = len(rows[0])
    promised = {name for column in spec.columns for name in (column.name, *column.aliases)}
    if promised and width > 1 and (known := len(promised & {name.strip() for name in rows[0]})):
        return (1000 + known, width)
    widths = Counter(len(row) for row in rows)
    regular = widths[width] >= 0.9 * len(rows) and width > 1
    return (1 if regular else 0, width)


def decimal_of(rows: Sequence[Sequence[str]]) -> str | None:
    """Return the decimal mark of the numbers in some rows, when all of them use the same one."""
    commas = points = 0
    for row in rows:
        for cell in row:
            commas += bool(_COMMA.fullmatch(cell))
            points += bool(_POINT.fullmatch(cell))
    if commas and commas > 20 * points:
        return ","
    return "." if points and points > 20 * commas else None


_COMMA = re.compile("-?[0-9]{1,3}(?:[ \u00a0\u202f]?[0-9]{3})*,[0-9]+|-?[0-9]+,[0-9]+")
_POINT = re.compile(r"-?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?")
