"""Check that a JSON file is whole, has no duplicate names and is not absurdly deep, and say where it is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json import scanner
from pathlib import Path
from typing import Any, Final, NoReturn

from cityorchestra_ld.errors import Place, SourceError, Text

MAX_BYTES: Final = 1_000_000_000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PAIRED = re.compile(r"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")


class _DuplicateError(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def check_json(path: Path, label: str) -> None:
    """Read a UTF-8 JSON text (RFC 8259); SourceError with line and column when it is truncated, malformed or ambiguous."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SourceError(
            Text(f"Un fichier JSON a au plus {MAX_BYTES} octets.", f"A JSON file has at most {MAX_BYTES} bytes."),
            place=Place(file=label),
        )
    text = path.read_text(encoding="utf-8")
    try:  # only the form of numbers is checked: any short answer does, whatever their size
        json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=len, parse_int=len)
    except _DuplicateError as error:
        raise _duplicate(text, label, error.name) from error
    except json.JSONDecodeError as error:
        raise _malformed(error, label) from error
    except RecursionError as error:
        raise SourceError(
            Text("Le JSON est imbriqué trop profondément.", "The JSON is nested too deeply."), place=Place(file=label)
        ) from error
    except _ConstantError as error:
        raise SourceError(
            Text(f"« {error} » n’est pas du JSON.", f"'{error}' is not JSON."),
            place=_at(text, text.find(str(error)), label),
            hint=Text("Un nombre absent s’écrit null.", "An absent number is written null."),
        ) from error
    if _SURROGATE.search(text) and (lone := _lone_surrogate(text)) is not None:
        raise SourceError(
            Text("Une séquence \\uD800–\\uDFFF est seule : ce n’est pas un caractère.",
                 "A sequence \\uD800–\\uDFFF stands alone: it is not a character."),
            place=_at(text, lone, label),
        )  # fmt: skip


class _ConstantError(ValueError):
    pass


def _no_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object with a name twice; its content is not kept, so memory stays small."""
    if len(dict(pairs)) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _DuplicateError(name)
            seen.add(name)


def _at(text: str, position: int, label: str) -> Place:
    position = max(0, position)
    line = text.count("\n", 0, position) + 1
    return Place(file=label, line=line, column_number=position - text.rfind("\n", 0, position))


def _malformed(error: json.JSONDecodeError, label: str) -> SourceError:
    place = Place(file=label, line=error.lineno, column_number=error.colno)
    rest = error.doc[error.pos :].strip()
    if not rest or error.msg.startswith("Unterminated string"):
        return SourceError(
            Text("Le JSON est tronqué : la fin manque.", "The JSON is truncated: its end is missing."),
            place=place,
            hint=Text(
                "Téléchargez-le à nouveau, ou demandez un export complet.", "Download it again, or ask for a complete export."
            ),
        )
    hint = Text(
        "Vérifiez virgules, guillemets et accolades autour de ce point.", "Check commas, quotes and braces around this point."
    )
    if error.msg == "Extra data" and rest[0] in "{[":
        hint = Text(
            "Un objet par ligne (JSON Lines) : mettez-les dans une liste.",
            "One object a line (JSON Lines): put them in a list.",
        )
    return SourceError(
        Text(f"Le JSON est mal formé ({error.msg}).", f"The JSON is malformed ({error.msg})."), place=place, hint=hint
    )


def _duplicate(text: str, label: str, name: str) -> SourceError:
    """Find the object again, slowly, to say where it starts."""
    found: list[int] = []
    slow: Any = json.JSONDecoder(
        object_pairs_hook=_no_duplicates
    )  # its parts are documented in the standard library's source only
    read: Callable[..., Any] = slow.parse_object

    def parse(start: tuple[str, int], *rest: Any) -> Any:
        try:
            return read(start, *rest)
        except _DuplicateError:
            if not found:
                found.append(start[1] - 1)
            raise

    slow.parse_object = parse
    slow.scan_once = scanner.py_make_scanner(slow)  # type: ignore[attr-defined]
    try:
        slow.decode(text)
    except _DuplicateError:
        place = _at(text, found[0], label)
    else:
        place = Place(file=label)
    return SourceError(
        Text(f"Un objet a deux fois le nom « {name} » : une des deux valeurs se perdrait.",
             f"An object has the name '{name}' twice: one of the two values would be lost."),
        place=place,
    )  # fmt: skip


def _lone_surrogate(text: str) -> int | None:
    rest = _PAIRED.sub(lambda match: " " * len(match[0]), text)
    for match in _SURROGATE.finditer(rest):
        before = rest[: match.start()]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return match.start()
    return None
