"""What all commands share: --data, --json, output, progress, errors into words and exit statuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sync.errors import Refused, TeachpointError
from sync.layout import data_folder

# What prints for people is loaded where something is printed: it takes longer than all of a small command.
if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])


def data_option(function: F) -> F:
    """`--data DIR`: passes a Path `data`."""
    return click.option("--data", callback=lambda _c, _p, value: data_folder(value), metavar="DIR",
                        help="Where this role's state lives [env: TEACHPOINT_DATA; "
                             "default: /var/lib/teachpoint].")(function)


def json_option(function: F) -> F:
    """`--json`: passes a bool `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print facts as JSON.")(function)


def host_and_port(_context: click.Context, parameter: click.Parameter,
                  value: str | None) -> tuple[str, int] | None:
    """A click callback: `HOST:PORT` as a pair; IPv6 addresses in brackets. None stays None."""
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter(f"{value!r} is not HOST:PORT, like 127.0.0.1:8100", param=parameter)
    return host.strip("[]"), int(port)


def show(value: Any, as_json: bool, people: Callable[[Console], None]) -> None:
    """Print `value` as JSON, or let `people` print it for a person."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, indent=None))
    else:
        from rich.console import Console

        people(Console(highlight=False))


def tell_people(text: str, style: str) -> None:
    """Print a message in one of rich's styles on standard error, so that standard output stays for facts."""
    _people().print(text, style=style, markup=False, soft_wrap=True)


def _people() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def transfer_progress(what: str, total_bytes: int | None = None,
                      shown: bool | None = None) -> Iterator[Callable[[int], None]]:
    """A progress line on standard error with bytes, rate and time left; only where one looks on.

    Yields a function that takes the bytes done so far.
    """
    if not (sys.stderr.isatty() if shown is None else shown):
        yield lambda _done: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
               TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_people(), transient=True) as progress:
        task = progress.add_task(what, total=total_bytes)
        yield lambda done: progress.update(task, completed=done)


def run(command: click.Command, arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status; no traceback reaches a user.

    With `--json` among the arguments an error is one JSON object on standard error.
    """
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    try:
        result = command.main(args=words, prog_name="teachpoint", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except TeachpointError as error:
        return _fail(error, as_json)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        usage = {"error": {"code": "usage", "message": error.format_message(), "advice": "",
                           "facts": {}}}
        if as_json:
            _tell(usage, "", True)
        else:
            error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except PermissionError as error:  # another user's data folder, met while reading
        return _fail(Refused("file-unreadable", path=error.filename, reason=error.strerror), as_json)
    except BrokenPipeError:
        return 1


def _fail(error: TeachpointError, as_json: bool) -> int:
    _tell(error.as_json(), f"{error.message()}\n{error.advice()} [{error.code}]", as_json)
    return error.exit_code


def _tell(value: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False), err=True)
    else:
        tell_people(text, "red")
