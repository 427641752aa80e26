from __future__ import annotations

import asyncio
import json

import pytest

from airflow_provider_bigin.triggers.bigin import BiginMailStatusTrigger
from tests.asyncio_debug import MAX_BLOCK, run_and_find_blocking

ADA = "5000000000000000101"


@pytest.fixture
def mail(hook):
    """Return the id of a mail to Ada."""
    return hook.send_mail(record_id=ADA, to="ada.lovelace@example.org", subject="Hello", content="Hi")


@pytest.fixture
def make_trigger(mail):
    """Make the trigger for that mail, with changes."""

    def make(**changes):
        arguments = {
            "message_id": mail,
            "record_id": ADA,
            "module": "Contacts",
            "status": ["opened"],
            "bigin_conn_id": "bigin_default",
            "poke_interval": 0.01,
        }
        return BiginMailStatusTrigger(**{**arguments, **changes})

    return make


async def fired(trigger):
    """Return the one event that the trigger fires."""
    (payload,) = [event.payload async for event in trigger.run()]
    return payload


async def looks(sandbox, number):
    """Wait until the list has been requested this many times."""
    while await asyncio.to_thread(lambda: sandbox.counts()["emails"]) < number:
        await asyncio.sleep(0.01)


def test_it_fires_when_the_mail_is_opened(make_trigger, sandbox, mail):
    async def wait_and_open():
        waiting = asyncio.create_task(fired(make_trigger()))
        await looks(sandbox, 3)
        assert not waiting.done()
        await asyncio.to_thread(sandbox.set_status, mail, "opened")
        return await waiting

    assert asyncio.run(wait_and_open()) == {"status": "opened"}


def test_made_again_from_what_the_database_keeps_it_goes_on(make_trigger, sandbox, mail):
    path, arguments = make_trigger().serialize()
    assert path == f"{BiginMailStatusTrigger.__module__}.{BiginMailStatusTrigger.__qualname__}"
    sandbox.set_status(mail, "opened")
    again = BiginMailStatusTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert asyncio.run(fired(again)) == {"status": "opened"}


def test_a_bounce_fires_the_reason(make_trigger, sandbox, mail):
    sandbox.set_status(mail, "bounced", "550 no such user")
    assert "550 no such user" in asyncio.run(fired(make_trigger()))["error"]


def test_what_waiting_cannot_cure_fires_at_once(make_trigger):
    error = asyncio.run(fired(make_trigger(record_id="5000000000000000999", poke_interval=300)))["error"]
    assert "INVALID_DATA" in error


def test_an_outage_does_not_end_the_waiting(make_trigger, sandbox, mail):
    sandbox.settings(emails_outage="500")

    async def wait_through_the_outage():
        waiting = asyncio.create_task(fired(make_trigger(status=["sent"])))
        await looks(sandbox, 4)  # one check makes three requests
        assert not waiting.done()
        await asyncio.to_thread(lambda: sandbox.settings(emails_outage=None))
        return await waiting

    assert asyncio.run(wait_through_the_outage()) == {"status": "sent"}


def test_one_request_for_each_look(make_trigger, sandbox):
    asyncio.run(fired(make_trigger(status=["sent"])))
    assert sandbox.counts()["emails"] == 1


def test_it_leaves_the_loop_free(make_trigger, sandbox):
    sandbox.expire_tokens()
    sandbox.fault("any", "slow", seconds=2 * MAX_BLOCK, times=2)
    payload, complaints = run_and_find_blocking(fired(make_trigger(status=["sent"])))
    assert payload == {"status": "sent"}
    assert complaints == []


def test_a_cancelled_trigger_ends(make_trigger, sandbox):
    async def cancel():
        waiting = asyncio.create_task(fired(make_trigger(poke_interval=300)))
        await looks(sandbox, 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return waiting.cancelled()

    assert asyncio.run(cancel())
