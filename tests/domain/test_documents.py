"""A partner learns from the page and the Table Schema of a dataset what to send, and our own examples are such files."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from cityorchestra_ld.documents import page, table_schemas
from cityorchestra_ld.territory import load_territory

ROOT = Path(__file__).resolve().parents[2]
TERRITORY = load_territory(ROOT)
PLAIN = [
    (key, spec.name)
    for key, dataset in TERRITORY.datasets.items()
    for spec in dataset.sources
    if spec.name in table_schemas(dataset) and spec.path and spec.path.suffix == ".csv" and not spec.skip_until and spec.header
]


@pytest.mark.parametrize(("key", "name"), PLAIN)
def test_an_example_file_is_valid_by_its_table_schema(key: str, name: str) -> None:
    """Table Schema: a missing value is exempt; integer and number have lexical forms; pattern matches the whole value."""
    dataset = TERRITORY.datasets[key]
    schema = table_schemas(dataset)[name]
    spec = next(spec for spec in dataset.sources if spec.name == name)
    optional = {column.name for column in spec.columns if not column.required}
    assert spec.path is not None
    with spec.path.open(encoding=spec.encoding or "utf-8-sig", newline="") as file:
        text = file.read().removeprefix("\ufeff")
    delimiter = spec.delimiter or max(",;\t", key=text.splitlines()[0].count)
    rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    assert rows and schema["fields"]
    columns = {header.casefold(): header for header in rows[0]}
    keys = [tuple(row.get(name) for name in key) for key in schema.get("uniqueKeys", []) for row in rows]
    assert len(keys) == len(set(keys)) or set(schema["uniqueKeys"][0]) - rows[0].keys()
    for field in schema["fields"]:
        names = [field["name"], *field.get("description", "").removeprefix("Aussi admis : ").split(", ")]
        header = next((columns[name.casefold()] for name in names if name.casefold() in columns), None)
        assert header or field["name"] in optional, field["name"]
        given = [row[header] for row in rows if row[header] not in schema["missingValues"]] if header else []
        decimal = re.escape(field.get("decimalChar", "."))
        forms = {"integer": r"[+-]?\d+", "number": rf"[+-]?\d+({decimal}\d+)?([eE][+-]?\d+)?"}
        pattern = field.get("constraints", {}).get("pattern") or forms.get(field["type"], r"(?s).*")
        assert [value for value in given if not re.fullmatch(pattern, value.strip())][:3] == [], field["name"]


@pytest.mark.parametrize("key", sorted(TERRITORY.datasets))
def test_a_page_names_files_columns_and_rules(key: str) -> None:
    text, dataset = page(TERRITORY, key), TERRITORY.datasets[key]
    assert dataset.title.fr in text and "## Ce qui bloque la publication" in text
    assert all(f"`{spec.name}`" in text and all(f"`{c.name}`" in text for c in spec.columns) for spec in dataset.sources)
