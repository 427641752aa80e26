"""
The definitions of the commands.

They run as ``airflow bigin`` in Airflow 3.2 and later, and as ``python -m airflow_provider_bigin`` anywhere.
Airflow imports this module each time it starts, so it imports next to nothing.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_bigin import __version__

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


class Argument(NamedTuple):
    """The arguments for ``ArgumentParser.add_argument``."""

    flags: tuple[str, ...]
    settings: dict[str, Any]


class Command(NamedTuple):
    """A command; ``function`` is the dotted path of what runs it."""

    name: str
    help: str
    function: str
    arguments: tuple[Argument, ...]


HELP = "authorize, check, try, probe and revoke connections to Bigin; clean up after failed tasks"

_CONN_ID = Argument(
    ("conn_id",),
    {"nargs": "?", "default": "bigin_default", "help": "id of the connection (default: %(default)s)"},
)

_YES = Argument(("-y", "--yes"), {"action": "store_true", "help": "do not ask for confirmation"})

COMMANDS = (
    Command(
        "authorize",
        "make a connection from the grant code of a Zoho self client; asks for what it needs, or reads it"
        " from BIGIN_REGION, BIGIN_CLIENT_ID, BIGIN_CLIENT_SECRET and BIGIN_GRANT_CODE",
        "airflow_provider_bigin.cli.authorize.authorize",
        (
            _CONN_ID,
            Argument(
                ("--save",), {"action": "store_true", "help": "add it to Airflow instead of printing it"}
            ),
            Argument(
                ("--overwrite",),
                {
                    "action": "store_true",
                    "help": "with --save: give an existing connection new credentials",
                },
            ),
        ),
    ),
    Command(
        "check",
        "test a connection and show which scopes it has; does not send or change anything",
        "airflow_provider_bigin.cli.check.check",
        (_CONN_ID,),
    ),
    Command(
        "send-test",
        "send a test mail through a connection, filed under --record-id, the connection's default record or"
        " the record that has the address",
        "airflow_provider_bigin.cli.send_test.send_test",
        (
            _CONN_ID,
            Argument(("--to",), {"required": True, "help": "address of the recipient"}),
            Argument(("--record-id",), {"help": "id of a record, or its URL in Bigin"}),
            Argument(
                ("--module",), {"default": "Contacts", "help": "module of the record (default: %(default)s)"}
            ),
        ),
    ),
    Command(
        "probe",
        "find out from an account what Bigin's documentation leaves open, and print a report without personal"
        " data that can be pasted into an issue; does not send anything without --send-to",
        "airflow_provider_bigin.cli.probe.probe",
        (
            _CONN_ID,
            Argument(
                ("--send-to",),
                {
                    "metavar": "ADDRESS",
                    "help": "send one mail to this address, your own, and check how Bigin shows it; it is"
                    " filed under the connection's default record, or else the contact with this address",
                },
            ),
        ),
    ),
    Command(
        "revoke",
        "revoke the refresh token of a connection, and all access tokens made from it",
        "airflow_provider_bigin.cli.revoke.revoke",
        (_CONN_ID, _YES),
    ),
    Command(
        "clean",
        "remove the Variables in which failed tasks keep track of which mails were sent (before Airflow 3.3;"
        " those of successful tasks are removed automatically)",
        "airflow_provider_bigin.cli.clean.clean",
        (
            Argument(
                ("--older-than",),
                {
                    "type": int,
                    "metavar": "DAYS",
                    "default": 30,
                    "help": "for runs that began more than this many days ago (default: %(default)s)",
                },
            ),
            _YES,
        ),
    ),
)


def get_cli_commands() -> list[CLICommand]:
    """Return the commands in the form that Airflow expects."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

    actions = [
        ActionCommand(
            name=command.name,
            help=command.help,
            func=lazy_load_command(command.function),
            args=[
                Arg(flags, **settings)  # type: ignore[no-untyped-call]
                for flags, settings in command.arguments
            ],
        )
        for command in COMMANDS
    ]
    return [GroupCommand(name="bigin", help=HELP, subcommands=actions)]


def get_parser() -> argparse.ArgumentParser:
    """Return a parser for the same commands; its result includes the ``function``."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_bigin", description=HELP)
    parser.add_argument("--version", action="version", version=f"airflow-provider-bigin {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command_parser = commands.add_parser(command.name, help=command.help, description=command.help)
        command_parser.set_defaults(function=command.function)
        for flags, settings in command.arguments:
            command_parser.add_argument(*flags, **settings)
    return parser
