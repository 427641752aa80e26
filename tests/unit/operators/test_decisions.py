"""The decision table of the protocol, through the operator: policies, evidence, a retry or a clear."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.version_compat import AirflowFailException

#: What the first try leaves: whether its mail was sent, and the settings of the list that the next try sees.
EVIDENCE = {
    "found": (True, {}),
    "absent": (False, {}),
    "in doubt": (False, {"emails_key": "unknown"}),
    "never readable": (False, {"emails_outage": "scope"}),
    "unreadable": (True, {"emails_outage": "500"}),
}
#: What the next try does with them: find, send, give up, or leave it to a later one.
TABLE = {
    ("fail", "retry"): ("find", "give up", "give up", "give up", "later"),
    ("fail", "clear"): ("find", "send", "give up", "give up", "later"),
    ("check", "retry"): ("find", "send", "give up", "give up", "later"),
    ("check", "clear"): ("find", "send", "give up", "give up", "later"),
    ("resend", "retry"): ("find", "send", "send", "send", "later"),
    ("resend", "clear"): ("find", "send", "send", "send", "later"),
}
CELLS = [
    pytest.param(policy, event, *EVIDENCE[name], decision, id=f"{policy}, {event}, {name}: {decision}")
    for (policy, event), decisions in TABLE.items()
    for name, decision in zip(EVIDENCE, decisions, strict=True)
]


def go_on(instance, event, now):
    """Start the next try after a kill: as a retry, or after the failed task was cleared."""
    if event == "clear":
        instance.try_number -= 1
        instance.clear(now)


@pytest.mark.parametrize(("policy", "event", "is_sent", "settings", "decision"), CELLS)
@pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
def test_an_open_mail(make_instance, sandbox, kill_after, clock, policy, event, is_sent, settings, decision):
    sandbox.add_mail("Contacts", "5000000000000000101", to=["x@example.net"], ago=90)
    instance = make_instance(on_unknown_outcome=policy)
    kill_after(instance, 1, sent=is_sent)
    sandbox.settings(**settings)
    go_on(instance, event, sandbox.now())
    if decision in ("find", "send"):
        assert instance.run() == sandbox.mails()[0]["message_id"]
        assert sandbox.mail_count() == 2
        return
    error = AirflowFailException if decision == "give up" else errors.BiginOutcomePendingError
    with pytest.raises(error):
        instance.run()
    assert sandbox.mail_count() == 1 + is_sent
    # Mails that were given up on are looked up again once the list can be read.
    sandbox.settings(emails_outage=None, emails_key="Emails")
    instance.clear(sandbox.now())
    assert instance.run() == sandbox.mails()[0]["message_id"]
    assert sandbox.mail_count() == 2


@pytest.mark.parametrize("policy", ["fail", "check", "resend"])
@pytest.mark.parametrize(("event", "is_sent_again"), [("retry", False), ("clear", True)])
@pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
def test_a_mail_that_was_refused(make_instance, sandbox, clock, policy, event, is_sent_again):
    sandbox.fault("send_mail", "item_error")
    instance = make_instance(on_unknown_outcome=policy)
    with pytest.raises(AirflowFailException, match="stopped e-mail"):
        instance.run()
    instance.retry()
    go_on(instance, event, sandbox.now())
    if is_sent_again:
        instance.run()
    else:
        with pytest.raises(AirflowFailException, match="refused this mail in try 1"):
            instance.run()
    assert sandbox.mail_count() == is_sent_again


@pytest.mark.parametrize("policy", ["fail", "check", "resend"])
@pytest.mark.parametrize("settings", [{}, {"emails_key": "unknown"}], ids=["absent", "in doubt"])
@pytest.mark.parametrize("store", ["store"], indirect=True)
def test_one_post_for_each_mail_and_try(make_instance, sandbox, clock, policy, settings):
    sandbox.add_mail("Contacts", "5000000000000000101", to=["x@example.net"], ago=90)
    sandbox.settings(**settings)
    sandbox.fault("send_mail", "dropped", times=None)
    with pytest.raises((errors.BiginOutcomePendingError, AirflowFailException)):
        make_instance(on_unknown_outcome=policy).run()
    assert sandbox.counts()["send_mail"] == 1


@pytest.mark.parametrize("policy", ["check", "resend"])
@pytest.mark.parametrize("store", ["store"], indirect=True)
def test_a_scheduled_mail_that_is_absent_is_in_doubt(make_instance, sandbox, kill_after, clock, policy):
    instance = make_instance(on_unknown_outcome=policy, scheduled_time="2036-12-24T18:00:00+01:00")
    kill_after(instance, 1, sent=False)
    if policy == "resend":
        instance.run()
    else:
        with pytest.raises(AirflowFailException):
            instance.run()
    assert sandbox.counts()["send_mail"] == (policy == "resend")
