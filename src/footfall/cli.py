"""The command line: the table of the commands, which stand in `commands/`, and what becomes of their errors.

An error is one line on standard error and a non-zero status: 2 where the command line itself can't be understood, else 1.
Whatever a line says comes out as plain text: a control character or markup in a name is shown, not obeyed. A command is imported
when it is asked for, with what it needs, so that none waits for the others.
"""

from __future__ import annotations

import io
import os
import pkgutil
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, NamedTuple, NoReturn

import typer

from footfall.errors import FootfallError
from footfall.version import __version__


class Command(NamedTuple):
    """Where a command, or a group of them, stands, and what the list of commands says of it: the first line of its own help."""

    place: str
    help: str


#: In the order of the help.
COMMANDS: Mapping[str, Command] = {
    name: Command(f"footfall.commands.{place}", help)
    for name, place, help in (
        ("serve", "serve:serve", "Count and show views, until Ctrl-C or SIGTERM."),
        ("count", "count:count", "Count a view of a page, and show its numbers."),
        ("top", "count:top", "Show a site's most viewed pages."),
        ("watch", "watch:watch", "Show a site's past minute while it passes, until Ctrl-C."),
        ("import", "import_:import_", "Count the views in logs, or in other counters' exports."),
        ("export", "export:export", "Write a site's numbers as a table, while servers go on counting."),
        ("backup", "backup:back_up", "Write all that the store has to one file, while it counts."),
        ("restore", "backup:restore", "Load a backup into an empty store, and check it."),
        ("check", "check:check", "Check settings and store."),
        ("site", "sites_and_access:site_app", "Sites and their rules."),
        ("token", "sites_and_access:token_app", "Tokens, for programs."),
        ("share", "sites_and_access:share_app", "Links that show one site's dashboard."),
        ("admin", "sites_and_access:admin_app", "The password of the dashboard."),
    )
}

_VERSION = "--version"

#: Where the scripts that Typer gives to shells put the words that are to be completed.
_COMPLETED = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")


def main() -> NoReturn:
    """Run the command line; what the installed `footfall` calls."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever a page is called, and whatever the terminal can write
            stream.reconfigure(errors="backslashreplace")
    # asyncio's own handler would let a blocking read, as of standard input, go on until the second Ctrl-C.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        ended = command_line(_words())(prog_name="footfall", standalone_mode=False)
    except typer.TyperException as error:  # the command line can't be understood
        path = getattr(getattr(error, "ctx", None), "command_path", "footfall")
        message = error.format_message().rstrip(".?")
        _fail(f"{path}: {message[:1].lower()}{message[1:]}; see {path} --help", 2)
    except FootfallError as error:
        _fail(f"footfall: {error}")
    except (KeyboardInterrupt, typer.Abort):  # the latter at a prompt
        raise SystemExit(130) from None
    except OSError as error:  # a store's and a log's are ours by now: what is left is our own output, as on a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _fail(f"footfall: can't go on: {error.strerror or error}")
    except Exception as error:
        from footfall.settings import setting_name

        if os.environ.get(setting_name("log_level"), "").lower() == "debug":
            raise
        fault = f"{type(error).__name__}: {error}"
        _fail(f"footfall: a fault of its own, please report it ({fault}); with {setting_name('log_level')}=debug it says where")
    raise SystemExit(ended if isinstance(ended, int) else 0)


def command_line(words: Collection[str] | None = None) -> typer.Typer:
    """The command line. With the words that follow `footfall`, of its commands only those are imported that are among them; the
    others can be listed, and completed by a shell.
    """
    app = typer.Typer(
        name="footfall",
        help="Footfall counts page views: exact to the second, durable, live.",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    for name, (place, help) in COMMANDS.items():
        if words is not None and name not in words:
            app.command(name, help=help)(_not_imported)
            continue
        command = pkgutil.resolve_name(place)
        if isinstance(command, typer.Typer):
            command.callback(invoke_without_command=True)(_help_if_alone)
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _words() -> Sequence[str]:
    """The words after `footfall`: those of the command line, or of the one that a shell is to complete."""
    return sys.argv[1:] + " ".join(os.environ.get(name, "") for name in _COMPLETED).split()


def _not_imported() -> NoReturn:
    raise AssertionError("a command that is asked for is among the words")


def _fail(line: str, status: int = 1) -> NoReturn:
    from footfall.terminal import console, say

    name, colon, rest = line.partition(":")
    say(console(stderr=True), (name + colon, "bold red"), rest)
    raise SystemExit(status)


def _open_closed_streams() -> None:
    """Where a standard stream is closed, put /dev/null there: else the next file that is opened, as the store's, is taken for it.

    What is read from standard input looks at `sys.stdin`, which stays None: nobody can have answered there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115 - open as long as the process
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def _interrupt(_signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"footfall {__version__}")
        raise typer.Exit


def _options(
    ctx: typer.Context,
    _: Annotated[bool, typer.Option(_VERSION, callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    _help_if_alone(ctx)


def _help_if_alone(ctx: typer.Context) -> None:
    """Where a command was to follow and none does, show which there are, as an error that scripts notice."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(2)
