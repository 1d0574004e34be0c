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
from collections.abc import Mapping, Sequence
from typing import Annotated, NoReturn

import typer

from footfall.errors import FootfallError
from footfall.version import __version__

#: Where each command stands, in the order of the help; a group stands there with its commands.
COMMANDS: Mapping[str, str] = {
    "serve": "footfall.commands.serve:serve",
    "count": "footfall.commands.count:count",
    "top": "footfall.commands.count:top",
    "watch": "footfall.commands.watch:watch",
    "import": "footfall.commands.import_:import_",
    "export": "footfall.commands.export:export",
    "backup": "footfall.commands.backup:back_up",
    "restore": "footfall.commands.backup:restore",
    "check": "footfall.commands.check:check",
    "site": "footfall.commands.sites_and_access:site_app",
    "token": "footfall.commands.sites_and_access:token_app",
    "share": "footfall.commands.sites_and_access:share_app",
    "admin": "footfall.commands.sites_and_access:admin_app",
}

_VERSION = "--version"


def main() -> NoReturn:
    """Run the command line; what the installed `footfall` calls."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever a page is called, and whatever the terminal can write
            stream.reconfigure(errors="backslashreplace")
    # asyncio's own handler would let a blocking read, as of standard input, go on until the second Ctrl-C.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        ended = command_line(sys.argv[1:2])(prog_name="footfall", standalone_mode=False)
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


def command_line(begins: Sequence[str] = ()) -> typer.Typer:
    """The command line: the one command of it that the first word names, where `begins` has that word, else the whole."""
    app = typer.Typer(
        name="footfall",
        help="Footfall counts page views: exact to the second, durable, live.",
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_options)
    asked = COMMANDS.keys() & begins
    for name in COMMANDS:
        if name in asked or not (asked or _VERSION in begins):
            command = pkgutil.resolve_name(COMMANDS[name])
            if isinstance(command, typer.Typer):
                command.callback(invoke_without_command=True)(_help_if_alone)
                app.add_typer(command, name=name)
            else:
                app.command(name)(command)
    return app


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
