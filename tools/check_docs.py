"""Keep documentation and code together: generated pages, links, the size of modules and the sentence that opens each.

`python tools/check_docs.py --write` makes the generated pages anew.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cityorchestra_ld import documents
from cityorchestra_ld.check.pages import pages
from cityorchestra_ld.territory import load_territory

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cityorchestra_ld"
MOST_LINES = 400
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def modules() -> list[Path]:
    """List the package's modules in reading order."""
    return sorted(PACKAGE.rglob("*.py"), key=lambda p: (len(p.relative_to(PACKAGE).parts) > 1, str(p)))


def first_sentence(path: Path) -> str:
    """Return the first line of a module's docstring, or nothing."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return doc.strip().splitlines()[0] if doc else ""


def module_table() -> str:
    """Make the table of modules of docs/architecture.md."""
    rows = ["| module | what it does |", "| --- | --- |"]
    for path in modules():
        name = str(path.relative_to(ROOT)).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        rows.append(f"| `{name}` | {first_sentence(path)} |")
    return "\n".join(rows) + "\n"


def cli_reference() -> str:
    """Make docs/reference/cli.md from the commands themselves."""
    import click
    import typer

    from cityorchestra_ld.cli.app import app

    group = typer.main.get_command(app)
    lines = ["# The command line", "", "Made from the commands by `tools/check_docs.py --write`.", ""]

    def add(command: click.Command, name: str) -> None:
        context = click.Context(command, info_name=name)
        if isinstance(command, click.Group) or hasattr(command, "commands"):
            for sub in sorted(command.commands):  # type: ignore[attr-defined]
                add(command.commands[sub], f"{name} {sub}")  # type: ignore[attr-defined]
            return
        usage = " ".join(command.collect_usage_pieces(context))
        lines.extend([f"## `{name}`", "", (command.help or "").strip(), "", f"    {name} {usage}", ""])
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record and "--help" not in record[0]:
                lines.append(f"- `{record[0]}` {record[1]}".rstrip())
        lines.append("")

    add(group, "cityorchestra")
    return "\n".join(lines).rstrip() + "\n"


GENERATED = {
    ROOT / "docs" / "reference" / "modules.md": lambda: (
        "# Modules\n\nMade from each module's first sentence by `tools/check_docs.py --write`.\n\n" + module_table()
    ),
    ROOT / "docs" / "reference" / "cli.md": cli_reference,
}


def check_page(name: str) -> str:
    """Make one page of docs/check/ from the catalogue of the static check."""
    return pages()[name]


def dataset_page(key: str) -> str:
    """Make docs/datasets/<partner>-<dataset>.md from the dataset's contract and shapes."""
    return documents.page(load_territory(ROOT), key)


GENERATED |= {
    ROOT / "docs" / "datasets" / f"{key.replace('/', '-')}.md": partial(dataset_page, key)
    for key in load_territory(ROOT).datasets
}
GENERATED |= {ROOT / "docs" / "check" / name: partial(check_page, name) for name in pages()}


def problems(*, write: bool) -> Iterator[str]:
    """Yield one sentence for each thing that is not as it should be."""
    for path in modules():
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > MOST_LINES:
            yield f"{path.relative_to(ROOT)}: {count} lines, {MOST_LINES} at most"
        if not first_sentence(path):
            yield f"{path.relative_to(ROOT)}: no sentence says what the module does"
    for path, make in GENERATED.items():
        text = make()
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            yield f"{path.relative_to(ROOT)} is out of date: run `python tools/check_docs.py --write`"
    for page in (ROOT / "docs" / "check").glob("*.md"):
        if page not in GENERATED:
            yield f"{page.relative_to(ROOT)}: no such code of the static check"
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)}: link to {target} leads nowhere"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in re.findall(r"^\s+make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        if name not in targets:
            yield f"README.md: there is no `make {name}`"


def main() -> int:
    """Print what is wrong; exit 1 when anything is."""
    found = list(problems(write="--write" in sys.argv))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
