"""Read YAML into plain values that remember their line, and refuse what only an attacker would write."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from cityorchestra_ld.errors import MappingError, Place, Text

MAX_BYTES = 2_000_000
MAX_ALIASES = 100
MAX_DEPTH = 60
MAX_VALUES = 200_000
_STANDARD = "tag:yaml.org,2002:"
_QUESTION = re.compile(r"\?(?=\S)")
_STAND_IN = "\ue000"  # for question marks that YAML 1.2 takes as text, where the reader, of YAML 1.1, does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One YAML value: text as written (never a number or a date), a list, a mapping or nothing."""

    file: Path
    line: int
    column: int
    text: str | None = None
    items: tuple[Value, ...] | None = None
    entries: dict[str, Value] | None = None
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_null(self) -> bool:
        """Tell whether nothing is written."""
        return self.text is None and self.items is None and self.entries is None

    def place(self, key: str | None = None) -> Place:
        """Say where this value is, or where one of its keys is."""
        line, column = self.keys.get(key, (self.line, self.column)) if key else (self.line, self.column)
        return Place(file=str(self.file), line=line, column_number=column)

    def error(self, fr: str, en: str, *, hint: Text | None = None, key: str | None = None) -> MappingError:
        """Make the error that says what is wrong here."""
        return MappingError(Text(fr, en), place=self.place(key), hint=hint)

    def as_text(self, what: str) -> str:
        """Return the text; raise MappingError when this is a list, a mapping or nothing."""
        if self.text is None:
            raise self.error(f"« {what} » doit être un texte.", f"'{what}' must be a text.")
        return self.text

    def as_list(self) -> tuple[Value, ...]:
        """Return the members of a list; anything else is a list of one, nothing is empty."""
        if self.items is not None:
            return self.items
        return () if self.is_null else (self,)

    def as_mapping(self, what: str) -> dict[str, Value]:
        """Return keys and values; raise MappingError when this is something else (nothing counts as empty)."""
        if self.is_null:
            return {}
        if self.entries is None:
            raise self.error(
                f"« {what} » doit être une suite de « clé: valeur ».", f"'{what}' must be a mapping of keys to values."
            )
        return self.entries

    def known(self, what: str, names: dict[str, str]) -> dict[str, Value]:
        """Return entries under the full names of their keys; raise MappingError with the nearest name for an unknown key."""
        found: dict[str, Value] = {}
        for key, value in self.as_mapping(what).items():
            if key not in names:
                raise self.error(
                    f"Clé inconnue « {key} » dans « {what} ».",
                    f"Unknown key '{key}' in '{what}'.",
                    hint=nearest(key, names),
                    key=key,
                )
            if names[key] in found:
                raise self.error(
                    f"« {names[key]} » est donné deux fois (avec un raccourci).",
                    f"'{names[key]}' is given twice (once as a shortcut).",
                    key=key,
                )
            found[names[key]] = value
        return found


def nearest(name: str, names: Collection[str]) -> Text:
    """Suggest the nearest known name, or all of them."""
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    if near:
        return Text(f"Le plus proche est « {near[0]} ».", f"The nearest is '{near[0]}'.")
    shown = ", ".join(sorted(names)[:20])
    return Text(f"Sont connus : {shown}.", f"Known are: {shown}.")


def read_yaml(text: str, file: Path) -> Value:
    """
    Read one YAML document (YAML 1.1 with the question marks of 1.2, safe tags only); raise MappingError with line and column.

    Aliases are allowed within bounds, merge keys and tags of languages are not.
    """
    try:
        if _STAND_IN not in text:
            text = _QUESTION.sub(_STAND_IN, text)
        _guard(text, file)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, file) from error
    except (yaml.YAMLError, ValueError) as error:
        raise MappingError(
            Text("Ce fichier n’est pas du YAML.", "This file is not YAML."),
            place=Place(file=str(file)),
            hint=Text(str(error).splitlines()[0], str(error).splitlines()[0]),
        ) from error
    if node is None:
        return Value(file=file, line=1, column=1)
    return _Reader(file).value(node, ())


def _syntax(error: yaml.MarkedYAMLError, file: Path) -> MappingError:
    mark = error.problem_mark or error.context_mark
    place = Place(file=str(file), line=mark.line + 1, column_number=mark.column + 1) if mark else Place(file=str(file))
    said = (error.problem or error.context or "").replace(_STAND_IN, "?")
    hint = Text("Vérifiez les guillemets, les crochets et le retrait autour de cette ligne.",
                "Check quotes, brackets and indentation around this line.")  # fmt: skip
    if "escape" in said:  # YAML knows few escapes in double quotes
        hint = Text("Mettez ce texte entre guillemets simples.", "Put this text in single quotes.")
    return MappingError(
        Text(f"Ce YAML ne se lit pas : {said}.", f"This YAML cannot be read: {said}."),
        place=place,
        hint=hint,
    )


def _guard(text: str, file: Path) -> None:
    """Count aliases and depth on the flat stream of events, before anything is built."""
    if len(text) > MAX_BYTES:
        raise MappingError(
            Text(f"Ce fichier dépasse {MAX_BYTES} caractères.", f"This file is longer than {MAX_BYTES} characters."),
            place=Place(file=str(file)),
        )
    aliases = depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        aliases += isinstance(event, yaml.AliasEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if aliases > MAX_ALIASES or depth > MAX_DEPTH or documents > 1:
            line, column = _position(event)
            raise MappingError(
                Text(
                    f"Ce YAML dépasse {MAX_ALIASES} alias, {MAX_DEPTH} niveaux ou un document.",
                    f"This YAML exceeds {MAX_ALIASES} aliases, {MAX_DEPTH} levels or one document.",
                ),
                place=Place(file=str(file), line=line, column_number=column),
            )


def _position(node: yaml.Node | yaml.Event) -> tuple[int, int]:
    mark = node.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


class _Reader:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.count = 0

    def value(self, node: yaml.Node, above: tuple[int, ...]) -> Value:
        line, column = _position(node)
        here = Value(file=self.file, line=line, column=column)
        self.count += 1
        if self.count > MAX_VALUES:
            raise here.error(
                f"Une fois les alias développés, ce YAML dépasse {MAX_VALUES} valeurs.",
                f"With its aliases expanded, this YAML exceeds {MAX_VALUES} values.",
            )
        if id(node) in above:
            raise here.error("Un alias se contient lui-même.", "An alias contains itself.")
        if not node.tag.startswith(_STANDARD) and node.tag != "!":
            raise here.error(f"Étiquette YAML refusée : {node.tag}.", f"YAML tag refused: {node.tag}.")
        if isinstance(node, yaml.ScalarNode):
            if node.tag == _STANDARD + "null" and not node.style:
                return here
            return Value(file=self.file, line=line, column=column, text=node.value.replace(_STAND_IN, "?"))
        above = (*above, id(node))
        if isinstance(node, yaml.SequenceNode):
            members = tuple(self.value(member, above) for member in node.value)
            return Value(file=self.file, line=line, column=column, items=members)
        return self._mapping(node, here, above)

    def _mapping(self, node: yaml.Node, here: Value, above: tuple[int, ...]) -> Value:
        entries: dict[str, Value] = {}
        keys: dict[str, tuple[int, int]] = {}
        for key_node, value_node in node.value:
            at_line, at_column = _position(key_node)
            at = Value(file=self.file, line=at_line, column=at_column)
            if key_node.tag == _STANDARD + "merge":
                raise at.error(
                    "La fusion « << » n’est pas acceptée.",
                    "The merge key '<<' is not accepted.",
                    hint=Text("Écrivez les clés, ou partagez une valeur entière par un alias.",
                              "Write the keys, or share a whole value with an alias."),
                )  # fmt: skip
            if not isinstance(key_node, yaml.ScalarNode):
                raise at.error("Une clé doit être un texte.", "A key must be a text.")
            key = key_node.value.replace(_STAND_IN, "?")
            if key in entries:
                raise at.error(f"La clé « {key} » est écrite deux fois.", f"The key '{key}' is written twice.")
            entries[key] = self.value(value_node, above)
            keys[key] = (at.line, at.column)
        return Value(file=self.file, line=here.line, column=here.column, entries=entries, keys=keys)
