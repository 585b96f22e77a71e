"""JSONPath (RFC 9535 without functions): parse, and take the records of a document apart without building objects."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Final

import msgspec

# --- the path ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A member of an object."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """An element of an array; negative counts from the end."""

    number: int


@dataclass(frozen=True, slots=True)
class Wild:
    """All members or elements."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some elements of an array."""

    start: int | None
    stop: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Union:
    """Several selectors at once."""

    steps: tuple[Key | Index | Slice | Wild, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Elements for which a path exists, or compares with a constant."""

    path: tuple[Step, ...]
    operator: str | None = None
    value: str | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Descend:
    """The value itself and all values inside it."""


Step = Key | Index | Wild | Slice | Union | Filter | Descend
Path = tuple[Step, ...]

_DOTTED: Final = re.compile(r"[^.\[\]\s][^.\[\]]*")
_QUOTED: Final = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_SLICE: Final = re.compile(r"(-?[0-9]+)?\s*:\s*(-?[0-9]+)?\s*(?::\s*(-?[0-9]+)?)?")
_FILTER: Final = re.compile(r"""\?\s*\(?\s*(@[^=!<>~&|()]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)?""", re.DOTALL)


@cache
def parse(text: str) -> Path:
    """
    Parse a path; `$` or `@` may be left out, as RML mappings often do.

    >>> parse("$.data[*].name")
    (Key(name='data'), Wild(), Key(name='name'))
    """
    if not text.strip():
        raise ValueError("empty path")
    if not text.startswith(("$", "@", ".", "[")):
        text = "." + text
    position = 1 if text[0] in "$@" else 0
    steps: list[Step] = []
    while position < len(text):
        if text.startswith("..", position):
            steps.append(Descend())
            position += 2
            if position < len(text) and text[position] != "[":
                position = _after_dot(text, position, steps)
        elif text[position] == ".":
            position += 1
            if text[position : position + 1] != "[":  # `.['name']` is seen in the wild
                position = _after_dot(text, position, steps)
        elif text[position] == "[":
            end = _closing(text, position)
            steps.append(_bracket(text[position + 1 : end].strip(), text))
            position = end + 1
        else:
            raise ValueError(text[position:])
    if steps and isinstance(steps[-1], Descend):
        raise ValueError(text)
    return tuple(steps)


def _after_dot(text: str, position: int, steps: list[Step]) -> int:
    if text.startswith("*", position):
        steps.append(Wild())
        return position + 1
    found = _DOTTED.match(text, position)
    if not found:
        raise ValueError(text[position:] or text)
    name = found[0].rstrip()
    if any(character in name for character in "()=?\"'"):
        raise ValueError(name)
    steps.append(Key(name))
    return found.end()


def _closing(text: str, start: int) -> int:
    depth, quote, position = 0, "", start
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise ValueError(text[start:])


def _bracket(content: str, text: str) -> Step:
    if content.startswith("?"):
        found = _FILTER.fullmatch(content)
        if not found:
            raise ValueError(content)
        return Filter(parse(found[1].strip()), found[2], msgspec.json.decode(_json(found[3])) if found[3] else None)
    parts = [_selector(part.strip(), text) for part in _split(content)]
    return parts[0] if len(parts) == 1 else Union(tuple(parts))


def _json(constant: str) -> str:
    quoted = _QUOTED.fullmatch(constant.strip())
    return msgspec.json.encode(_unescape(quoted)).decode() if quoted else constant.strip()


def _split(content: str) -> Iterator[str]:
    position = 0
    while position <= len(content):
        rest = content[position:]
        found = _QUOTED.match(rest.lstrip())
        end = position + (len(rest) - len(rest.lstrip()) + found.end() if found else 0)
        comma = content.find(",", end)
        end = comma if comma >= 0 else len(content)
        yield content[position:end]
        position = end + 1


def _unescape(found: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", found[1] if found[1] is not None else found[2])


def _selector(part: str, text: str) -> Key | Index | Slice | Wild:
    if part == "*":
        return Wild()
    quoted = _QUOTED.fullmatch(part)
    if quoted:
        return Key(_unescape(quoted))
    if _INTEGER.fullmatch(part):
        return Index(int(part))
    found = _SLICE.fullmatch(part)
    if found:
        return Slice(*(int(number) if number else None for number in found.groups()))
    raise ValueError(text)


def is_plain(path: Path) -> bool:
    """Tell whether the path has only members, elements and wildcards, which SQL can follow."""
    return all(isinstance(step, Key | Index | Wild) for step in path)


# --- the document -----------------------------------------------------------------------------------------------------------

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder()
_ABSENT: Final = msgspec.Raw(b"")
Found = tuple[tuple[str | int, ...], msgspec.Raw]  # where it is, and its bytes


@lru_cache(maxsize=256)
def _member(name: str) -> msgspec.json.Decoder[msgspec.Struct]:
    """Return a decoder that looks at one member of an object and skips the others; an absent one is empty."""
    kind = msgspec.defstruct("Member", [("value", msgspec.Raw, _ABSENT)], rename={"value": name})
    return msgspec.json.Decoder(kind)


def _first(raw: msgspec.Raw) -> str:
    return chr(memoryview(raw)[0]) if memoryview(raw) else ""


def _children(place: tuple[str | int, ...], raw: msgspec.Raw) -> Iterator[Found]:
    kind = _first(raw)
    if kind == "{":
        for key, value in _OBJECT.decode(raw).items():
            yield (*place, key), value
    elif kind == "[":
        for number, value in enumerate(_ARRAY.decode(raw)):
            yield (*place, number), value


def _descend(place: tuple[str | int, ...], raw: msgspec.Raw) -> Iterator[Found]:
    waiting = [(place, raw)]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(reversed(list(_children(*here))))


def _step(place: tuple[str | int, ...], raw: msgspec.Raw, step: Step) -> Iterator[Found]:
    kind = _first(raw)
    if isinstance(step, Key):
        if kind == "{":
            value = _member(step.name).decode(raw).value  # type: ignore[attr-defined]
            if value != _ABSENT:
                yield (*place, step.name), value
    elif isinstance(step, Wild):
        yield from _children(place, raw)
    elif isinstance(step, Descend):
        yield from _descend(place, raw)
    elif isinstance(step, Union):
        for part in step.steps:
            yield from _step(place, raw, part)
    elif isinstance(step, Filter):
        yield from (child for child in _children(place, raw) if _holds(step, child[1]))
    elif kind == "[":
        yield from _elements(place, raw, step)


def _elements(place: tuple[str | int, ...], raw: msgspec.Raw, step: Index | Slice) -> Iterator[Found]:
    elements = _ARRAY.decode(raw)
    numbers = range(len(elements))
    if isinstance(step, Slice):
        chosen = numbers[step.start : step.stop : step.step]
    else:
        chosen = numbers[step.number : step.number + 1 or None] if -len(elements) <= step.number else numbers[:0]
    yield from (((*place, number), elements[number]) for number in chosen)


def _holds(step: Filter, raw: msgspec.Raw) -> bool:
    values = [_ANY.decode(found) for _, found in _walk((), raw, step.path)]
    if step.operator is None:
        return bool(values)
    return any(_compare(value, step.operator, step.value) for value in values)


def _compare(left: object, operator: str, right: object) -> bool:
    if operator in ("==", "!="):
        same = left == right and isinstance(left, bool) == isinstance(right, bool)
        return same if operator == "==" else not same
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    order = (left > right) - (left < right)  # type: ignore[operator]
    return bool({"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator])


def _walk(place: tuple[str | int, ...], raw: msgspec.Raw, path: Path) -> Iterator[Found]:
    if not path:
        yield place, raw
        return
    for here, value in _step(place, raw, path[0]):
        yield from _walk(here, value, path[1:])


def find(document: bytes, path: Path) -> Iterator[Found]:
    """Yield each value that the path selects, with its place, in document order; raise msgspec.DecodeError for no JSON."""
    whole = msgspec.json.decode(document, type=msgspec.Raw)
    yield from _walk((), whole, path)


def values(document: bytes, path: Path) -> Iterable[msgspec.Raw]:
    """Return what `find` does without the places, in one pass when the path and the document are regular."""
    if all(isinstance(step, Key | Wild) for step in path):
        try:
            return _together(document, path)
        except msgspec.ValidationError:
            pass  # an object where an array is usual, or the other way round
    return (raw for _, raw in find(document, path))


def _together(document: bytes, path: Path) -> list[msgspec.Raw]:
    collecting = gc.isenabled()
    gc.disable()  # a decoded document has no cycles, and looking for some takes longer than decoding
    try:
        level: list[Any] = [_regular(path).decode(document)]
    finally:
        if collecting:
            gc.enable()
    for step in path:
        if isinstance(step, Key):
            level = [one.value for one in level if one is not None]
        else:
            level = list(chain.from_iterable(filter(None, level)))
    return [raw for raw in level if raw != _ABSENT] if path and isinstance(path[-1], Key) else level


@lru_cache(maxsize=256)
def _regular(path: Path) -> msgspec.json.Decoder[Any]:
    """Return a decoder of documents in which each key of a path is one of an object, and each wildcard stands for an array."""
    kind: Any = msgspec.Raw
    for step in reversed(path):
        if isinstance(step, Key):
            default = _ABSENT if kind is msgspec.Raw else None
            kind = msgspec.defstruct("Member", [("value", kind, default)], rename={"value": step.name}) | None
        else:
            kind = list[kind] | None
    return msgspec.json.Decoder(kind)


def pointer(place: tuple[str | int, ...]) -> str:
    """
    Write a place as a JSON Pointer (RFC 6901).

    >>> pointer(("data", 3, "a/b"))
    '/data/3/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
