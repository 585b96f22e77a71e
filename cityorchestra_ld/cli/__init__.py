"""The command line: `cityorchestra COMMAND`; every command has `--json`, and exit codes tell what went wrong."""

from __future__ import annotations

import os
import sys
import traceback

from cityorchestra_ld.courtesy import stand_back
from cityorchestra_ld.errors import CityOrchestraError

__all__ = ["main"]

_LOADING = ("run", "publish")


def main() -> None:
    """Run the command line; errors of ours are explained, never shown as a stack trace."""
    import click

    from cityorchestra_ld.cli import show
    from cityorchestra_ld.cli.app import app

    if sys.argv[1:2] and sys.argv[1] in _LOADING:
        stand_back()  # who asks a service on the same machine goes first
    try:
        result = app(standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except CityOrchestraError as error:
        show.failure(error)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001  # the last door: say that it is our fault, and keep the details
        show.our_fault(error, traceback.format_exc())
        sys.exit(70)
