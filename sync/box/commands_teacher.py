"""`teachpoint box teacher …`: who may sign in at this box. Imported for its effect."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sync.box.command_group import box
from sync.box.journal import Journal
from sync.box.state import open_box
from sync.box.teachers import Teachers, checked_login
from sync.clock import iso
from sync.command_line import data_option, json_option, show

_PASSWORD_STDIN = click.option("--password-stdin", is_flag=True,
                               help="Read the password from standard input, one line; else one is made up "
                                    "and printed, once.")
#: Longest line read as a password, in bytes.
MOST_LINE_BYTES = 1024


@box.group("teacher")
def teacher() -> None:
    """Teachers who may sign in. A class needs no sign-in; sending files does once there is a teacher."""


@teacher.command("add")
@click.argument("name")
@click.option("--login", required=True, metavar="LOGIN",
              help="What is typed to sign in: letters, digits, . _ -")
@_PASSWORD_STDIN
@data_option
@json_option
def add(name: str, login: str, password_stdin: bool, data: Path, as_json: bool) -> None:
    """Make an account for the teacher NAME.

    \b
    Examples:
      teachpoint box teacher add 王老师 --login wang --data /var/lib/teachpoint
      teachpoint box teacher add 李老师 --login li --password-stdin < li.txt

    \b
    Exit statuses: 0 done; 3 the login is taken or can't be one, the password is too easy to guess.
    """
    login = checked_login(login)
    password, hashed = _password(login, password_stdin)
    made = _teachers(data).add(login, name, hashed)
    facts = {"login": made.login, "name": made.name, **({} if password_stdin else {"password": password})}
    _tell(facts, as_json, f"{made.name} may sign in as {made.login}.")


@teacher.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> None:
    """Who may sign in, and when they last did.

    \b
    Example:
      teachpoint box teacher list --data /var/lib/teachpoint
    """
    found = _teachers(data).listed()

    def people(console: Console) -> None:
        table = Table("Login", "Name", "Signed in last", "Devices")
        for one in found:
            last = one["signed_in"]
            table.add_row(Text(str(one["login"])), Text(str(one["name"])),
                          iso(last) if isinstance(last, float) else "never", str(one["sessions"]))
        console.print(table)

    show(found, as_json, people)


@teacher.command("password")
@click.argument("login")
@_PASSWORD_STDIN
@data_option
@json_option
def password_(login: str, password_stdin: bool, data: Path, as_json: bool) -> None:
    """Give a teacher another password: who forgot theirs, or must wait because somebody guesses.

    It ends all their sessions, and nobody waits any more.

    \b
    Examples:
      teachpoint box teacher password wang --data /var/lib/teachpoint
      teachpoint box teacher password wang --password-stdin < wang.txt

    \b
    Exit statuses: 0 done; 3 there is no such teacher, the password is too easy to guess.
    """
    teachers = _teachers(data)
    known = teachers.known(login)
    password, hashed = _password(known.login, password_stdin)
    teachers.set_password(known, hashed)
    facts = {"login": known.login, "name": known.name, **({} if password_stdin else {"password": password})}
    _tell(facts, as_json, f"{known.name} ({known.login}) has another password and is signed out everywhere.")


@teacher.command("remove")
@click.argument("login")
@data_option
@json_option
def remove(login: str, data: Path, as_json: bool) -> None:
    """Take an account away; it is signed out everywhere. Files that were sent go on to the hub.

    \b
    Example:
      teachpoint box teacher remove wang --data /var/lib/teachpoint

    \b
    Exit statuses: 0 done; 3 there is no such teacher.
    """
    teachers = _teachers(data)
    known = teachers.known(login)
    teachers.remove(known)
    _tell({"login": known.login, "name": known.name}, as_json,
          f"{known.name} ({known.login}) can't sign in any more.")


def _teachers(data: Path) -> Teachers:
    opened = open_box(data)
    return Teachers(Journal(opened.database, opened.clock))


def _password(login: str, from_stdin: bool) -> tuple[str, str]:
    """The password and its hash."""
    from sync.box.passwords import hashed, made_up  # loaded only where a password is needed

    if not from_stdin:
        password = made_up()
    else:
        password = sys.stdin.buffer.readline(MOST_LINE_BYTES).decode("utf-8", "replace").rstrip("\r\n")
    return password, hashed(password, login)


def _tell(facts: dict[str, str], as_json: bool, words: str) -> None:
    more = f"\nPassword: {facts['password']} (it is shown this once)" if "password" in facts else ""
    show(facts, as_json, lambda console: console.print(words + more, markup=False, soft_wrap=True))
