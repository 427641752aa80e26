from __future__ import annotations

import html
import re
import socket

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.data_centers import DATA_CENTERS
from airflow_provider_bigin.get_provider_info import CONNECTION_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_bigin.hooks.bigin import BiginHook

ADA = "5000000000000000101"


def test_the_constructor_asks_nobody(monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_BIGIN_DEFAULT", raising=False)
    assert BiginHook().bigin_conn_id == "bigin_default"


def test_the_old_form_has_the_fields_of_the_new_one():
    pytest.importorskip("wtforms")
    widgets = BiginHook.get_connection_form_widgets()
    assert list(widgets) == list(CONNECTION_FIELDS)
    for name, field in CONNECTION_FIELDS.items():
        is_secret = field["schema"].get("format") == "password"
        assert widgets[name].field_class.__name__ == ("PasswordField" if is_secret else "StringField")
        assert widgets[name].args == (field["label"],)


@pytest.fixture
def drawn_secret():
    """Return the rendered field of a refresh token, for a stored connection or a submitted form."""
    pytest.importorskip("airflow.www.views", reason="Airflow 3 draws its form in the browser")
    from werkzeug.datastructures import MultiDict
    from wtforms import Form

    class ConnectionForm(Form):
        refresh_token = BiginHook.get_connection_form_widgets()["refresh_token"]

    def draw(stored="", sent=None):
        form = ConnectionForm(sent and MultiDict({"refresh_token": sent}), data={"refresh_token": stored})
        return str(form.refresh_token(id="x"))

    return draw


def test_the_old_form_draws_a_stored_secret_as_what_airflow_keeps_it_for(drawn_secret):
    assert drawn_secret(stored="1000.secret") == (
        '<input class="form-control" id="x" name="refresh_token" type="password"'
        ' value="RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER">'
    )
    assert 'value=""' in drawn_secret(stored="")


def test_the_old_form_loses_no_secret_that_was_typed_beside_an_error(drawn_secret):
    assert 'value="1000.new"' in drawn_secret(stored="1000.secret", sent="1000.new")


@pytest.mark.parametrize("stored", ["", "zoho.eu", "eu", '"><script>'])
def test_the_old_form_draws_a_drop_down_that_keeps_what_is_stored(stored):
    wtforms = pytest.importorskip("wtforms")

    class ConnectionForm(wtforms.Form):
        region = BiginHook.get_connection_form_widgets()["region"]

    drawn = str(ConnectionForm(data={"region": stored}).region())
    assert drawn.startswith('<select class="form-control" id="region" name="region">')
    (chosen,) = re.findall("<option selected value=.*?>(.*?)</option>", drawn)
    assert html.unescape(chosen) == stored
    assert all(f'value="{region}"' in drawn for region in DATA_CENTERS)
    assert "<script>" not in drawn


def test_the_old_form_relabels_as_the_new_one():
    behavior = {key.replace("_", "-"): value for key, value in BiginHook.get_ui_field_behaviour().items()}
    assert behavior["relabeling"].pop("extra") == "The fields below, as JSON"
    assert behavior == UI_FIELD_BEHAVIOUR


def test_every_secret_of_the_connection_is_a_password_field():
    secrets = {
        name for name, field in CONNECTION_FIELDS.items() if field["schema"].get("format") == "password"
    }
    assert secrets == {"refresh_token", "access_token"}


def test_send_mail_from_a_task(hook, sandbox):
    message_id = hook.send_mail(
        record_id=ADA, to="ada.lovelace@example.org", subject="Thanks", content="For all."
    )
    (mail,) = sandbox.mails()
    assert mail["message_id"] == message_id
    assert mail["from"] == {"user_name": "Ada Airflow", "email": "ada@example.com"}


def test_the_connection_names_the_sender(sandbox, connect, clock):
    hook = BiginHook(connect(sandbox, from_email="Team <team@example.com>"))
    hook.send_mail(record_id=ADA, to="ada.lovelace@example.org")
    assert sandbox.mails()[0]["from"] == {"user_name": "Team", "email": "team@example.com"}
    assert sandbox.counts()["from_addresses"] == 0


def test_connection_test_says_who_we_are_and_sends_nothing(hook, sandbox):
    works, text = hook.test_connection()
    assert works
    assert text == (
        f"Connected to Bigin ({sandbox.url}) as Ada Airflow of Airflow Sandbox."
        " Mails come from Ada Airflow <ada@example.com>."
    )
    assert sandbox.counts()["send_mail"] == 0


def test_connection_test_tells_what_mails_are_sent_with(sandbox, connect, clock):
    connect(
        sandbox, from_email="Team <team@example.com>", redirect_to="me@example.com", module="Contacts",
        record_id=ADA, host="smtp.example.com",
    )  # fmt: skip
    works, text = BiginHook().test_connection()
    assert works
    assert "Mails come from Team <team@example.com>." in text
    assert f"Their default record is Contacts {ADA}." in text
    assert "ALL MAIL GOES TO me@example.com instead of its recipients." in text
    assert "The connection's host 'smtp.example.com' is not used" in text


def test_connection_test_looks_for_the_default_record(sandbox, connect, clock):
    works, text = BiginHook(connect(sandbox, module="Companies", record_id=ADA)).test_connection()
    assert not works
    assert text == f"No Accounts record {ADA}; is the module right?"


def test_connection_test_needs_not_know_the_organization(hook, sandbox):
    sandbox.settings(scopes=["ZohoBigin.users.READ", "ZohoBigin.settings.emails.READ"])
    works, text = hook.test_connection()
    assert works
    assert "as Ada Airflow. Mails" in text


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize(
    ("changes", "code", "advice"),
    [
        pytest.param(
            {"login": "1000.OTHER"},
            "invalid_client",
            "check the connection's region and Client ID",
            id="client",
        ),
        pytest.param(
            {"password": "wrong"},
            "invalid_client_secret",
            "has a separate secret in each data center",
            id="secret",
        ),
        pytest.param({"refresh_token": "1000.dead"}, "invalid_code", "authorize again", id="refresh token"),
        pytest.param({"refresh_token": None}, "Refresh token", "fill in all three", id="half"),
        pytest.param(
            {"accounts_server": f"http://127.0.0.1:{closed_port()}"},
            "no response",
            "Check the network",
            id="network",
        ),
        pytest.param(
            {"api_domain": f"http://127.0.0.1:{closed_port()}"},
            "no response",
            "can reach http://127.0.0.1",
            id="API",
        ),
        pytest.param(
            {"access_token": "1000.old"},
            "refuses the connection's access token",
            "An access token is valid for one hour",
            id="access token",
        ),
    ],
)
def test_connection_test_tells_what_is_wrong_and_what_to_do(
    sandbox, connect, clock, monkeypatch, changes, code, advice
):
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "none")
    is_fine, text = BiginHook(connect(sandbox, **changes)).test_connection()
    assert not is_fine
    assert code in text
    assert advice in text


@pytest.mark.parametrize("field", ["login", "password", "refresh_token", "access_token"])
@pytest.mark.parametrize("value", ["1000.kept\r\nX-Evil: 1", "1000.kept 1", "1000.kept\u00fc"])
def test_connection_test_quotes_no_secret(sandbox, connect, clock, field, value):
    works, message = BiginHook(connect(sandbox, **{field: value})).test_connection()
    assert not works
    assert "kept" not in message
    assert "copy it again" in message


def test_connection_test_does_not_name_the_connection(sandbox, connect, clock):
    """The Test button gives it a random id."""
    works, text = BiginHook(connect(sandbox, timeout="soon")).test_connection()
    assert not works
    assert text.startswith("timeout 'soon'")


def test_connection_test_tells_a_missing_scope(hook, sandbox):
    sandbox.settings(scopes=["ZohoBigin.send_mail.all.CREATE"])
    is_fine, text = hook.test_connection()
    assert not is_fine
    assert "The credentials are right" in text
    assert "ZohoBigin.users.READ" in text


def test_connection_test_tells_another_data_center(hook, sandbox):
    sandbox.fault("users", "invalid_token", times=None)
    is_fine, text = hook.test_connection()
    assert not is_fine
    assert "the account is in another data center" in text


def test_connection_test_of_an_unknown_connection():
    is_fine, text = BiginHook("nowhere").test_connection()
    assert not is_fine
    assert "nowhere" in text


def test_a_foreign_api_domain_in_the_token_answer_gets_no_token(sandbox, connect, clock):
    sandbox.settings(token_api_domain="https://evil.example")
    hook = BiginHook(connect(sandbox))
    hook.send_mail(record_id=ADA, to="ada.lovelace@example.org", from_email="ada@example.com")
    assert len(sandbox.mails()) == 1


def test_without_a_from_address_the_account_cannot_send(hook, sandbox, monkeypatch):
    monkeypatch.setattr(type(hook.get_conn()), "get_from_addresses", lambda self: [])
    with pytest.raises(errors.BiginConfigurationError, match="no address to send from"):
        hook.send_mail(record_id=ADA, to="ada.lovelace@example.org")


@pytest.mark.parametrize("fault", ["429_concurrency", "500_before"])
def test_the_hook_repeats_only_what_was_surely_not_sent(hook, sandbox, fault):
    sandbox.fault("send_mail", fault)
    mail = {"record_id": ADA, "to": "ada.lovelace@example.org", "from_email": "ada@example.com"}
    if fault == "429_concurrency":
        hook.send_mail(**mail)
    else:
        with pytest.raises(errors.BiginOutcomeUnknownError):
            hook.send_mail(**mail)
    assert sandbox.counts()["send_mail"] == (2 if fault == "429_concurrency" else 1)
