"""Translate the sources of YARRRML to logical sources of RML-IO."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping.yaml_ import Value, nearest
from cityorchestra_ld.mapping.yarrrml_writer import Writer
from cityorchestra_ld.namespaces import DCAT, RDF, RML

CSVW: Final = "http://www.w3.org/ns/csvw#"

_KEYS: Final = {name: name for name in (
    "access", "referenceFormulation", "iterator", "delimiter", "encoding", "compression", "type", "query", "queryFormulation",
    "credentials", "contentType", "operationType", "security",
)}  # fmt: skip
_FORMULATIONS: Final = {"csv": "CSV", "jsonpath": "JSONPath", "xpath": "XPath"}
_COMPRESSIONS: Final = {"gzip", "zip", "tar", "targz", "tarxz"}
_DIALECT: Final = {"delimiter", "encoding"}
_FILES: Final = {"localfile", "remotefile"}


@dataclass(slots=True)
class Sources:
    """The named sources of a document, and the logical sources that they become."""

    writer: Writer
    named: dict[str, Value]
    _written: dict[str, ox.NamedNode] = field(default_factory=dict)

    def check(self) -> None:
        """Read every named source, so that one that nobody uses is still right."""
        for value in self.named.values():
            self._read(value)

    def of(self, mapping: Value, key: str, value: Value | None) -> list[ox.NamedNode]:
        """Return the logical sources of a mapping; raise MappingError when it has none or names an unknown one."""
        members = _members(value) if value is not None else []
        if not members:
            raise mapping.error(
                f"La correspondance « {key} » n’a pas de source.", f"The mapping '{key}' has no source.",
                hint=Text("Ajoutez « sources: - ['fichier.csv~csv'] ».", "Add \"sources: - ['file.csv~csv']\"."),
            )  # fmt: skip
        found = []
        for number, member in enumerate(members, 1):
            if member.text is not None and "~" not in member.text:
                found.append(self._named(member))
            else:
                found.append(self._write(self.writer.node(member, key, "source", number, kind="LogicalSource"), member))
        return found

    def _named(self, value: Value) -> ox.NamedNode:
        name = value.as_text("sources")
        if name not in self.named:
            raise value.error(
                f"La source « {name} » n’est pas déclarée.", f"The source '{name}' is not declared.",
                hint=nearest(name, self.named) if self.named else Text(f"Écrivez ['{name}~csv'].", f"Write ['{name}~csv']."),
            )  # fmt: skip
        if name not in self._written:
            declared = self.named[name]
            self._written[name] = self._write(self.writer.node(declared, "sources", name, kind="LogicalSource"), declared)
        return self._written[name]

    def _read(self, value: Value) -> dict[str, Value]:
        """Read the long or the short form to the keys of the long one."""
        if value.entries is not None:
            entries = value.known("sources", _KEYS)
        else:
            members = value.as_list()
            first = members[0].as_text("sources") if members else ""
            access, _, formulation = first.rpartition("~")
            if not access or len(members) > 2:
                raise value.error(
                    "Une source s’écrit ['fichier~csv'] ou ['fichier~jsonpath', 'itérateur'].",
                    "A source is written ['file~csv'] or ['file~jsonpath', 'iterator'].",
                )
            entries = {"access": _text(members[0], access), "referenceFormulation": _text(members[0], formulation)}
            if len(members) == 2:
                entries["iterator"] = members[1]
        _check(value, entries)
        return entries

    def _write(self, node: ox.NamedNode, value: Value) -> ox.NamedNode:
        entries = self._read(value)
        add = self.writer.add
        formulation = _FORMULATIONS[(entries["referenceFormulation"].text or "").lower()]
        add(node, "referenceFormulation", ox.NamedNode(RML + formulation))
        if "iterator" in entries:
            add(node, "iterator", entries["iterator"].as_text("iterator"))
        access = entries["access"]
        path = access.as_text("access")
        source = self.writer.below(node, access, "access")
        add(node, "source", source)
        dialect = {name: value for name, value in entries.items() if name in _DIALECT and formulation == "CSV"}
        if "://" in path:
            add(source, RDF + "type", ox.NamedNode(DCAT + "Distribution"))
            add(source, DCAT + "downloadURL", _url(path, access))
        elif dialect:
            add(source, RDF + "type", ox.NamedNode(CSVW + "Table"))
            add(source, CSVW + "url", path)
            add(source, "root", ox.NamedNode(RML + "MappingDirectory"))
        else:
            add(source, RDF + "type", ox.NamedNode(RML + "RelativePathSource"))
            add(source, "root", ox.NamedNode(RML + "MappingDirectory"))
            add(source, "path", path)
        if dialect:
            self._dialect(source, access, dialect)
        if formulation != "CSV" and "encoding" in entries:
            add(source, "encoding", ox.NamedNode(RML + entries["encoding"].as_text("encoding").upper()))
        if "compression" in entries:
            add(source, "compression", ox.NamedNode(RML + entries["compression"].as_text("compression")))
        return node

    def _dialect(self, source: ox.NamedNode, access: Value, dialect: dict[str, Value]) -> None:
        """Write a CSVW dialect (Metadata Vocabulary for Tabular Data, section 5.9)."""
        node = self.writer.below(source, access, "dialect")
        self.writer.add(source, CSVW + "dialect", node)
        self.writer.add(node, RDF + "type", ox.NamedNode(CSVW + "Dialect"))
        for name, value in dialect.items():
            text = value.as_text(name)
            self.writer.add(node, CSVW + name, "\t" if text in ("\\t", "tab") else text)


def _members(value: Value) -> list[Value]:
    """Return the sources of a mapping; `[file~jsonpath, iterator]` without inner list is one source."""
    members = value.as_list()
    if value.items is not None and members and members[0].text is not None and "~" in members[0].text:
        return [value]
    return list(members)


def _text(at: Value, text: str) -> Value:
    return Value(file=at.file, line=at.line, column=at.column, text=text)


def _check(value: Value, entries: dict[str, Value]) -> None:
    for name in ("query", "queryFormulation", "credentials", "operationType", "security"):
        if name in entries or entries.get("type", value).text not in _FILES | {None}:
            raise value.error(
                "Seuls les fichiers CSV et JSON sont pris en charge, pas les bases ni les services.",
                "Only CSV and JSON files are supported, not databases or services.",
            )
    for name in ("access", "referenceFormulation"):
        if name not in entries:
            raise value.error(f"Il manque « {name} » à cette source.", f"This source lacks '{name}'.")
    formulation = entries["referenceFormulation"].as_text("referenceFormulation")
    if formulation.lower() not in _FORMULATIONS:
        raise entries["referenceFormulation"].error(
            f"Format inconnu : « {formulation} ».", f"Unknown reference formulation: '{formulation}'.",
            hint=nearest(formulation.lower(), _FORMULATIONS),
        )  # fmt: skip
    if formulation.lower() == "jsonpath" and "iterator" not in entries:
        raise value.error(
            "Une source JSON a besoin d’un itérateur.", "A JSON source needs an iterator.",
            hint=Text("Par exemple ['fichier.json~jsonpath', '$[*]'].", "For example ['file.json~jsonpath', '$[*]']."),
        )  # fmt: skip
    _check_compression(entries)


def _check_compression(entries: dict[str, Value]) -> None:
    if "compression" in entries and entries["compression"].as_text("compression") not in _COMPRESSIONS:
        said = entries["compression"]
        raise said.error(
            f"Compression inconnue : « {said.text} ».", f"Unknown compression: '{said.text}'.",
            hint=nearest(said.text or "", _COMPRESSIONS),
        )  # fmt: skip


def _url(text: str, value: Value) -> ox.NamedNode:
    try:
        return ox.NamedNode(text)
    except ValueError as error:
        raise value.error(f"Adresse mal formée : « {text} ».", f"Not a well-formed address: '{text}'.") from error
