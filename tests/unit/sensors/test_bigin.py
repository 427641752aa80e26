from __future__ import annotations

from datetime import timedelta

import jinja2
import pytest
from airflow.exceptions import AirflowException

from airflow_provider_bigin.sensors.bigin import BiginMailStatusSensor
from airflow_provider_bigin.triggers.bigin import BiginMailStatusTrigger
from airflow_provider_bigin.version_compat import AirflowFailException

try:  # Airflow 3.2 and later
    from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
except ImportError:
    from airflow.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

ADA = "5000000000000000101"


@pytest.fixture
def mail(hook):
    """Return the id of a mail to Ada."""
    return hook.send_mail(record_id=ADA, to="ada.lovelace@example.org", subject="Hello", content="Hi")


@pytest.fixture
def make_sensor(mail):
    """Make the sensor for that mail, with changes; it checks once and then times out."""

    def make(**changes):
        arguments = {
            "task_id": "wait",
            "message_id": mail,
            "record_id": ADA,
            "timeout": 0,
            "poke_interval": 0,
        }
        return BiginMailStatusSensor(**{**arguments, **changes})

    return make


def test_it_waits_until_the_mail_is_opened(make_sensor, sandbox, mail):
    with pytest.raises(AirflowSensorTimeout):
        make_sensor().execute({})
    sandbox.set_status(mail, "opened")
    assert make_sensor().execute({}) == "opened"


def test_an_account_that_takes_no_type_is_asked_again(make_sensor, sandbox):
    sandbox.settings(emails_type=False, emails_lag=30)
    with pytest.raises(AirflowSensorTimeout):
        make_sensor(status="sent").execute({})
    sandbox.advance(60)
    assert make_sensor(status="sent").execute({}) == "sent"


def test_timeout_with_soft_fail_skips(make_sensor):
    with pytest.raises(AirflowSkipException):
        make_sensor(soft_fail=True).execute({})


@pytest.mark.parametrize("status", ["sent", ["opened", "sent"], ("SENT",)])
def test_one_of_the_states_is_enough(make_sensor, status):
    assert make_sensor(status=status).execute({}) == "sent"


def test_an_opened_mail_was_sent(make_sensor, sandbox, mail):
    sandbox.set_status(mail, "opened")
    assert make_sensor(status="sent").execute({}) == "sent"


def test_a_bounce_fails_with_the_reason(make_sensor, sandbox, mail):
    sandbox.set_status(mail, "bounced", "550 no such user")
    with pytest.raises(AirflowFailException, match=r"550 no such user \(hardbounce, mailbox_unavailable\)"):
        make_sensor().execute({})
    with pytest.raises(AirflowFailException, match="550 no such user"):
        make_sensor(status="sent").execute({})
    with pytest.raises(AirflowSkipException):
        make_sensor(soft_fail=True).execute({})
    assert make_sensor(status=["opened", "bounced"]).execute({}) == "bounced"


def test_states_that_nobody_knows_yet(make_sensor, sandbox, mail):
    sandbox.set_status(mail, "forwarded_to_mars")
    with pytest.raises(AirflowSensorTimeout):
        make_sensor().execute({})
    assert make_sensor(status="forwarded_to_mars").execute({}) == "forwarded_to_mars"


@pytest.mark.parametrize("outage", ["500", "429", "CANNOT_PROCESS"])
def test_an_outage_costs_a_look_and_nothing_more(make_sensor, sandbox, outage):
    sandbox.settings(emails_outage=outage)
    with pytest.raises(AirflowSensorTimeout):
        make_sensor(status="sent").execute({})
    sandbox.settings(emails_outage=None)
    assert make_sensor(status="sent").execute({}) == "sent"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"record_id": "x"}, "record_id"),
        ({"message_id": "None"}, "message_id"),
        ({"status": []}, "status"),
        ({"module": "Products"}, "module"),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_what_waiting_cannot_cure_fails_at_once(make_sensor, changes, why, deferrable):
    with pytest.raises(AirflowFailException, match=f"{why}: .* is no"):
        make_sensor(deferrable=deferrable, timeout=600, poke_interval=300, **changes).execute({})


def test_a_record_that_is_not_there_fails_at_once(make_sensor):
    with pytest.raises(AirflowFailException, match="INVALID_DATA"):
        make_sensor(record_id="5000000000000000999", timeout=600, poke_interval=300).execute({})


def test_a_missing_scope_fails_at_once(make_sensor, sandbox):
    sandbox.settings(emails_outage="scope")
    with pytest.raises(AirflowFailException, match="OAUTH_SCOPE_MISMATCH"):
        make_sensor().execute({})


def test_one_request_for_each_look_among_the_ten_newest(make_sensor, sandbox, hook):
    for number in range(9):
        hook.send_mail(record_id=ADA, to="ada.lovelace@example.org", subject=f"No. {number}", content="")
    before = sandbox.counts()["emails"]
    make_sensor(status="sent").execute({})
    assert sandbox.counts()["emails"] == before + 1


def test_reading_goes_on_to_older_mails_and_no_further(make_sensor, sandbox, hook, mail):
    for number in range(15):
        hook.send_mail(record_id=ADA, to="ada.lovelace@example.org", subject=f"No. {number}", content="")
    *_, oldest = hook.get_emails("Contacts", ADA)
    assert oldest["message_id"] == mail
    newest = next(hook.get_emails("Contacts", ADA))["message_id"]
    before = sandbox.counts()["emails"]
    make_sensor(status="sent").execute({})
    assert sandbox.counts()["emails"] == before + 2
    make_sensor(status="sent", message_id=newest).execute({})
    assert sandbox.counts()["emails"] == before + 3


def test_accounts_whose_list_is_empty_by_default(make_sensor, sandbox):
    sandbox.settings(emails_default_empty=True)
    assert make_sensor(status="sent").execute({}) == "sent"


@pytest.mark.parametrize("key", ["Emails", "email_related_list", "data"])
def test_all_names_of_the_list(make_sensor, sandbox, key):
    sandbox.settings(emails_key=key)
    assert make_sensor(status="sent").execute({}) == "sent"


def test_templates(make_sensor, sandbox, mail):
    sensor = make_sensor(
        message_id="{{ mail }}",
        record_id="{{ record }}",
        module="{{ 'Contacts' }}",
        status=["{{ state }}"],
        bigin_conn_id="bigin_{{ 'default' }}",
    )
    context = {"mail": mail, "record": int(ADA), "state": "sent"}
    sensor.render_template_fields(context, jinja2.Environment(autoescape=False))  # noqa: S701 - as Airflow's
    assert sensor.execute({}) == "sent"


def test_deferred_it_hands_all_over_to_the_trigger(make_sensor, sandbox, mail):
    sensor = make_sensor(
        deferrable=True, status=["opened", "Sent"], timeout=3600, poke_interval=timedelta(minutes=2)
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    assert sandbox.counts()["emails"] == 0
    assert deferred.value.timeout == timedelta(hours=1)
    assert deferred.value.method_name == "execute_complete"
    assert isinstance(deferred.value.trigger, BiginMailStatusTrigger)
    assert deferred.value.trigger.serialize()[1] == {
        "message_id": mail,
        "record_id": ADA,
        "module": "Contacts",
        "status": ["opened", "sent"],
        "bigin_conn_id": "bigin_default",
        "poke_interval": 120,
    }


def test_resumed_it_returns_the_state_or_fails_with_the_reason(make_sensor):
    sensor = make_sensor(deferrable=True)
    assert sensor.execute_complete({}, {"status": "opened"}) == "opened"
    with pytest.raises(AirflowFailException, match="bounced"):
        sensor.execute_complete({}, {"error": "the mail bounced"})
    with pytest.raises(AirflowSkipException):
        make_sensor(deferrable=True, soft_fail=True).resume_execution(
            "execute_complete", {"event": {"error": "the mail bounced"}}, {}
        )


def test_what_fails_is_an_airflow_exception():
    # With soft_fail, Airflow turns only these into a skip.
    assert issubclass(AirflowFailException, AirflowException)
