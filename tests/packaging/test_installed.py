"""The wheel, installed without the rest of this repository."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from airflow_provider_bigin import __version__
from airflow_provider_bigin.get_provider_info import CONNECTION_FIELDS, UI_FIELD_BEHAVIOUR


@pytest.fixture(scope="module")
def installed(install) -> Callable[[str], Any]:
    return install()


def test_airflow_discovers_the_provider(installed):
    assert installed("discover.py") == {
        "version": __version__,
        "label": "Bigin by Zoho CRM",
        "token_cache": "file",
    }


@pytest.mark.skipif(
    version("apache-airflow").startswith("3.0."),
    reason="its form needs Flask AppBuilder, which it does not install",
)
def test_airflow_shows_the_connection_form(installed):
    form = installed("form.py")
    form["relabeled"].pop("extra", None)  # before Airflow 3.2, the extra has an editor of its own
    assert form == {
        "label": "Bigin by Zoho CRM",
        "relabeled": UI_FIELD_BEHAVIOUR["relabeling"],
        "fields": sorted(CONNECTION_FIELDS),
        "secret": ["access_token", "refresh_token"],
    }


def test_discovery_imports_nothing(installed):
    assert installed("import_provider_info.py") == ["airflow_provider_bigin"]


def test_every_module_can_be_imported_without_a_deprecation_warning(install):
    names = install("[sandbox]")("import_all.py")
    assert "airflow_provider_bigin.operators.bigin" in names
    assert "airflow_provider_bigin.sandbox.app" in names
