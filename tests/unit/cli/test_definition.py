from __future__ import annotations

import subprocess
import sys

import pytest
from airflow.providers_manager import ProvidersManager

from airflow_provider_bigin.cli.definition import COMMANDS, get_parser


def test_airflow_starts_without_importing_anything_for_the_commands():
    code = "import sys, airflow_provider_bigin.cli.definition; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    modules = run.stdout.split()
    assert not [name for name in modules if name.split(".")[0] in ("airflow", "requests", "cryptography")]
    assert not [name for name in modules if name.startswith("airflow_provider_bigin.api")]


def test_airflow_has_the_same_commands():
    if not hasattr(ProvidersManager, "cli_command_functions"):
        pytest.skip("Airflow before 3.2 takes no commands from providers")
    from airflow.cli import cli_parser

    airflow, own = cli_parser.get_parser(), get_parser()
    for command in COMMANDS:
        given = ["some_id"] * any(argument.flags == ("conn_id",) for argument in command.arguments)
        required = (argument.flags[0] for argument in command.arguments if argument.settings.get("required"))
        given += [word for flag in required for word in (flag, "a value")]
        of_airflow = vars(airflow.parse_args(["bigin", command.name, *given]))
        of_own = vars(own.parse_args([command.name, *given]))
        function = of_own.pop("function")
        assert of_airflow.pop("func").__name__ == function.rpartition(".")[2]
        assert {name: of_airflow[name] for name in of_own} == of_own


@pytest.mark.parametrize("secret", ["--client-secret=x", "--code=x", "--refresh-token=x"])
def test_no_secret_can_be_given_as_an_argument(secret, capsys):
    with pytest.raises(SystemExit):
        get_parser().parse_args(["authorize", secret])
