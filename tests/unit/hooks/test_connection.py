from __future__ import annotations

import json

import pytest

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.api.mail import Address
from airflow_provider_bigin.hooks.bigin import BiginHook
from airflow_provider_bigin.hooks.connection import read_connection
from airflow_provider_bigin.version_compat import _first, redact

COMPLETE = {
    "conn_type": "bigin",
    "login": "1000.CLIENT",
    "password": "the-secret",
    "extra": {"refresh_token": "1000.refresh", "region": "eu"},
}


@pytest.fixture
def settings_of(monkeypatch):
    def read(connection):
        text = connection if isinstance(connection, str) else json.dumps(connection)
        monkeypatch.setenv("AIRFLOW_CONN_CRM", text)
        return BiginHook("crm").settings

    return read


def with_extra(**extra):
    return {**COMPLETE, "extra": {**COMPLETE["extra"], **extra}}


def test_hosts_follow_from_the_region(settings_of):
    settings = settings_of(COMPLETE)
    assert settings.api_domain == "https://www.zohoapis.eu"
    assert settings.credentials.accounts_server == "https://accounts.zoho.eu"
    assert (settings.timeout, settings.from_email, settings.default_record) == (30, None, None)


def test_everything_that_can_be_set(settings_of):
    settings = settings_of(
        with_extra(
            region="CA",
            from_email="Reports <reports@example.com>",
            module="companies",
            record_id=5000000000000000201,
            timeout="2.5",
            api_domain="http://127.0.0.1:8480/",
        )
    )
    assert settings.credentials.accounts_server == "https://accounts.zohocloud.ca"
    assert (settings.api_domain, settings.api_domain_pinned) == ("http://127.0.0.1:8480", True)
    assert settings.from_email == Address("reports@example.com", "Reports")
    assert settings.default_record == ("Accounts", "5000000000000000201")
    assert settings.timeout == 2.5


def test_a_uri_says_the_same(settings_of):
    uri = "bigin://1000.CLIENT:the-secret@/?refresh_token=1000.refresh&region=jp&timeout=10&from_email=&api_domain="
    settings = settings_of(uri)
    assert settings.api_domain == "https://www.zohoapis.jp"
    assert settings.credentials.refresh_token == "1000.refresh"
    assert (settings.timeout, settings.from_email) == (10, None)


def test_an_access_token_needs_nothing_else(settings_of):
    settings = settings_of({"conn_type": "bigin", "extra": {"access_token": "1000.access"}})
    assert (settings.credentials, settings.access_token) == (None, "1000.access")


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ({"conn_type": "bigin"}, "Client ID (login) and Client secret (password) and Refresh token"),
        ({**COMPLETE, "password": ""}, "Client secret (password) missing"),
        (with_extra(refresh_token=""), "Refresh token (extra refresh_token) missing"),
        (with_extra(region="uk"), "unknown region 'uk': use one of zoho.com, zoho.eu"),
        (with_extra(timeout="soon"), "timeout 'soon'"),
        (with_extra(timeout="0"), "timeout '0'"),
        (with_extra(timeout="nan"), "timeout 'nan'"),
        (with_extra(from_email="reports"), "from_email: 'reports' is not a valid e-mail address"),
        (with_extra(record_id="../x"), "record_id: '../x'"),
        (with_extra(record_id="1", module="Products"), "module: 'Products'"),
        (with_extra(api_domain="https://evil.example"), "api_domain 'https://evil.example' is not trusted"),
        (
            with_extra(accounts_server="http://accounts.zoho.com"),
            "accounts_server 'http://accounts.zoho.com' is not trusted",
        ),
    ],
)
def test_half_a_connection_is_refused_with_the_field_that_is_wrong(settings_of, connection, message):
    with pytest.raises(BiginConfigurationError) as error:
        settings_of(connection)
    assert str(error.value).startswith("connection 'crm': ")
    assert message in str(error.value)
    assert not any(secret in str(error.value) for secret in ("the-secret", "1000.refresh"))


def test_no_secret_in_the_repr(settings_of):
    settings = settings_of(with_extra(access_token=""))
    assert "the-secret" not in repr(settings)
    assert "1000.refresh" not in repr(settings)
    assert "1000.access" not in repr(
        settings_of({"conn_type": "bigin", "extra": {"access_token": "1000.access"}})
    )


def connection_of(**changes):
    connection = {**COMPLETE, "conn_id": "crm", **changes}
    return _first("Connection", "airflow.sdk", "airflow.models")(**connection)


@pytest.mark.filterwarnings("ignore:Encountered")
@pytest.mark.parametrize("extra", ["region: eu", '["eu"]'])
def test_an_extra_that_is_no_json_object(extra):
    with pytest.raises(BiginConfigurationError, match="connection 'crm': the extra is not a JSON object"):
        read_connection(connection_of(extra=extra))


def test_only_secrets_are_masked(monkeypatch, caplog):
    """Airflow 3 warns, once per process, of a value that is too short to be masked."""
    masker = _first(
        "SecretsMasker",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    )
    monkeypatch.setattr(masker, "_has_warned_short_secret", False, raising=False)
    extra = json.dumps({"refresh_token": "1000.to.be.masked", "region": "eu", "timeout": "45"})
    read_connection(connection_of(extra=extra))
    assert redact("1000.to.be.masked") == "***"
    assert "too short" not in caplog.text


@pytest.mark.parametrize("placeholder", ["RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER", "***"])
@pytest.mark.parametrize("field", ["refresh_token", "access_token"])
def test_a_secret_that_airflows_form_withholds(settings_of, field, placeholder):
    with pytest.raises(BiginConfigurationError, match="Enter the client secret and the tokens again"):
        settings_of({**with_extra(**{field: placeholder}), "password": ""})


def test_a_connection_of_another_type_is_refused(settings_of):
    with pytest.raises(BiginConfigurationError, match="connection 'crm' is of type http"):
        settings_of({**COMPLETE, "conn_type": "http"})
