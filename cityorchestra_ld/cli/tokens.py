"""The commands about tokens of stewards and of those who may read what is not public."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cityorchestra_ld.cli import show
from cityorchestra_ld.cli.app import JsonOption, TerritoryOption, app, territory
from cityorchestra_ld.errors import Text, UsageError

tokens_app = typer.Typer(help="Les jetons d'accès. / Access tokens.", no_args_is_help=True)
app.add_typer(tokens_app, name="token")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Qui le porte. / Who bears it.")]


@tokens_app.command("new")
def new(
    name: Name,
    write: Annotated[
        list[str] | None, typer.Option("--write", help="Jeu P/D, ou graphe ; * possible. / Dataset P/D, or graph; * allowed.")
    ] = None,
    read: Annotated[
        list[str] | None, typer.Option("--read", help="Jeu P/D qui n'est pas public. / Dataset P/D that is not public.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Durée en jours. / Lifetime in days.")] = None,
    folder: TerritoryOption = None,
    json: JsonOption = False,
) -> int:
    """Faire un jeton ; il n'est montré qu'une fois. / Make a token; it is shown only once."""
    from cityorchestra_ld.governance.tokens import Tokens

    where = territory(folder)
    if not write and not read:
        raise UsageError(Text("Donnez --write ou --read.", "Give --write or --read."))
    for pattern in [*(write or []), *(read or [])]:
        if ":" not in pattern and "*" not in pattern:
            where.dataset(pattern)
    expires = datetime.now(UTC) + timedelta(days=days) if days else None
    secret = Tokens.of(where).new(name, read=read or (), write=write or (), expires=expires)
    if json:
        show.as_json({"name": name, "token": secret})
    else:
        show.say(Text(f"Jeton de {name}, à garder : {secret}", f"Token of {name}, to be kept: {secret}"))
    return 0


@tokens_app.command("list")
def list_(folder: TerritoryOption = None, json: JsonOption = False) -> int:
    """Lister les jetons, sans leur secret. / List tokens, without their secret."""
    from cityorchestra_ld.governance.tokens import Tokens

    found = Tokens.of(territory(folder)).list()
    if json:
        show.as_json(
            [{"name": t.name, "read": t.read, "write": t.write, "created": t.created, "expires": t.expires} for t in found]
        )
        return 0
    for token in found:
        until = f"{token.expires:%Y-%m-%d}" if token.expires else "-"
        rights = " ".join([*(f"--write {w}" for w in token.write), *(f"--read {r}" for r in token.read)])
        show.say(Text(f"{token.name}  {rights}  fin {until}", f"{token.name}  {rights}  until {until}"))
    return 0


@tokens_app.command("revoke")
def revoke(name: Name, folder: TerritoryOption = None, json: JsonOption = False) -> int:
    """Retirer un jeton. / Revoke a token."""
    from cityorchestra_ld.governance.tokens import Tokens

    Tokens.of(territory(folder)).revoke(name)
    if json:
        show.as_json({"revoked": name})
    else:
        show.say(Text(f"Le jeton {name} n'est plus valable.", f"The token {name} is no longer valid."))
    return 0
