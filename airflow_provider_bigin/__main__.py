"""``python -m airflow_provider_bigin``."""

from __future__ import annotations

from importlib import import_module

from airflow_provider_bigin.cli.definition import get_parser


def main(arguments: list[str] | None = None) -> None:
    """Run the command given by the arguments."""
    options = get_parser().parse_args(arguments)
    module, _, name = options.function.rpartition(".")
    getattr(import_module(module), name)(options)


if __name__ == "__main__":
    main()
