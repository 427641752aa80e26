from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.delivery.intent import Intent, SendState, read_state

MAIL = Mail.compose(
    to="Ada <ada@example.org>, grace@example.org",
    cc="team@example.org",
    bcc="audit@example.org",
    subject="Your invoice",
    scheduled_time="2026-12-24T18:00:00+01:00",
)
INTENT = Intent.of(
    "Contacts", "5000000000000000101", MAIL, since=1000.0, until=1090.0, marker="m-" + "0" * 32
)
STATE = SendState("open", max_tries=3, epoch=1, intent=INTENT, claimed=("id of an earlier mail",))


@pytest.mark.parametrize("state", [STATE, STATE.not_sent(), STATE.sent("id"), SendState("open", 3, 1)])
def test_a_state_is_read_as_it_was_written(state):
    assert read_state(json.loads(json.dumps(state.as_json()))) == state


def test_what_is_stored_tells_no_address_and_no_subject():
    stored = json.dumps(STATE.as_json())
    assert not any(secret in stored for secret in ("example.org", "Ada", "invoice", "2026-12-24"))


def test_the_same_mail_has_other_digests_in_another_intent():
    other = Intent.of("Contacts", "5000000000000000101", MAIL, since=1000.0, until=1090.0, marker=None)
    assert other.subject != INTENT.subject
    assert set(other.recipients).isdisjoint(INTENT.recipients)


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"status": "lost"},
        {"status": "sent", "message_id": None},
        {"max_tries": "3"},
        {"intent": {}},
        {"intent": "text"},
        {"claimed": None},
        {"surprise": 1},
    ],
)
def test_what_is_damaged_or_of_another_version_is_not_understood(damage):
    assert read_state({**STATE.as_json(), **damage}) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*STATE.as_json()]), inner),
    max_leaves=10,
)


@given(JSON)
def test_anything_stored_is_a_state_or_nothing(stored):
    assert read_state(stored) is None


@given(st.sampled_from([*INTENT.__dict__]), JSON)
def test_an_intent_with_any_damage_is_an_intent_or_nothing(name, value):
    stored = STATE.as_json()
    stored["intent"] = {**stored["intent"], name: value}
    state = read_state(stored)
    assert state is None or isinstance(state.intent, Intent) or state.intent is None
