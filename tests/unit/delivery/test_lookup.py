"""What a list of e-mails proves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_bigin.api.emails import Email
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.identity import Digests, Marker
from airflow_provider_bigin.delivery.lookup import (
    Absent,
    Found,
    InDoubt,
    Scene,
    Sighting,
    Suspect,
    Unreadable,
    judge,
    look,
    new_window,
    settle,
)

ADA = RecordRef("Contacts", "5000000000000000101")
HOUR = 3600.0
TASK = "0" * 16
OWN, OF_THIS_TASK, FOREIGN = Marker(TASK, "a" * 16), Marker(TASK, "b" * 16), Marker("1" * 16, "a" * 16)
DIGESTS = Digests("salt")
PEOPLE = ("ada@example.org", "grace@example.org")
SUSPECT = Suspect(
    record=ADA,
    subject=DIGESTS.subject("Your invoice"),
    people=DIGESTS.people(PEOPLE),
    content=DIGESTS.content("<p>Hi</p>"),
    scheduled=None,
    window=(50 * HOUR + 30, 50 * HOUR + 135),
    markers=frozenset({OWN}),
)
UNMARKED = SUSPECT._replace(is_marked=False)
SCENE = Scene(DIGESTS, TASK)
SAME = Email("id", 50 * HOUR + 31, "Your invoice", PEOPLE, True, {})


def seen(content="<p>Hi</p>", markers=(), **changes):
    """Make a sighting of the same mail, with changes; content None means that it could not be read."""
    return Sighting(replace(SAME, **changes), content, frozenset(markers))


def unread(**changes):
    """Make a sighting of the same mail whose content cannot be read."""
    return seen(None, **changes)


BY_MARKER, BY_AGREEMENT = Found("id", by_marker=True), Found("id", by_marker=False)
OTHERS = {"subject": "Lunch?", "people": ("x@example.org",)}


@pytest.mark.parametrize("time", [None, 0.0, 50 * HOUR - 14 * HOUR, 50 * HOUR + 900, 4e9])
@pytest.mark.parametrize("content", ["<p>Hi</p>", "<p>Hi</p><p>Sent with Zoho</p>"])
def test_the_own_marker_is_proof_whatever_else_is_shown(time, content):
    sighting = seen(content, [OWN], time=time, **OTHERS)
    assert judge(SUSPECT, [unread(), sighting], SCENE, gap="anything") == BY_MARKER


@pytest.mark.parametrize(
    "sightings",
    [
        pytest.param([], id="empty list"),
        pytest.param([seen(markers=[OF_THIS_TASK])], id="another mail of this task"),
        pytest.param([seen("Lunch?", subject="Lunch?")], id="a mail to the same people"),
        pytest.param([seen("<p>Yours</p>", **OTHERS)], id="unrelated"),
        pytest.param([unread(**OTHERS)], id="unrelated, not to be read"),
        pytest.param([unread(time=50 * HOUR - 24 * HOUR)], id="the same of the day before"),
        pytest.param([seen(time=50 * HOUR - HOUR)], id="the same, unmarked, of an hour before"),
        pytest.param([seen("x", [FOREIGN], subject="Lunch?")], id="another task's, with another subject"),
    ],
)
def test_absent(sightings):
    assert judge(SUSPECT, sightings, SCENE, gap=None) == Absent()


@pytest.mark.parametrize("suspect", [SUSPECT, UNMARKED])
@pytest.mark.parametrize(
    "sighting",
    [
        pytest.param(unread(), id="content not to be read"),
        pytest.param(seen(), id="same content, the marker is stripped"),
        pytest.param(unread(people=("GRACE@example.org", "Ada@Example.org")), id="order and case"),
        pytest.param(unread(subject=" Your\n  invoice"), id="folded subject"),
        pytest.param(unread(time=50 * HOUR + 30 - 3), id="3 s early"),
        pytest.param(unread(time=50 * HOUR), id="cut to the minute, not to be read"),
        pytest.param(unread(time=50 * HOUR + 130), id="100 s late"),
    ],
)
def test_found_by_agreement(suspect, sighting):
    assert judge(suspect, [sighting], SCENE, gap=None) == BY_AGREEMENT


@pytest.mark.parametrize(
    "sightings",
    [
        pytest.param([unread(), unread(message_id="id 2")], id="two that agree"),
        pytest.param([unread(people=PEOPLE[:1])], id="one of the people"),
        pytest.param([unread(people=None)], id="people not shown"),
        pytest.param([unread(subject="Another")], id="another subject, not to be read"),
        pytest.param([unread(subject="Your inv", people=None)], id="subject cut, people not shown"),
        pytest.param([unread(subject=None, people=None, time=None)], id="nothing shown"),
        pytest.param([unread(people=("x@example.org",))], id="other people"),
        pytest.param([unread(time=None)], id="no time"),
        pytest.param([unread(message_id=None)], id="no id"),
        pytest.param([unread(time=50 * HOUR + 3 * HOUR)], id="in another zone"),
        pytest.param([seen("<p>Hi</p> Sent with Zoho")], id="content rewritten"),
        pytest.param([seen("Lunch?")], id="a colleague's with the same subject"),
        pytest.param([seen(markers=[FOREIGN])], id="the same but for its marker"),
        pytest.param([seen(subject="Re-written")], id="same content, other subject"),
        pytest.param([seen(time=50 * HOUR)], id="the same, unmarked, of the minute before"),
    ],
)
def test_in_doubt(sightings):
    assert isinstance(judge(SUSPECT, sightings, SCENE, gap=None), InDoubt)


def test_a_mail_without_a_marker_may_be_in_another_zone_even_if_it_can_be_read():
    assert isinstance(judge(UNMARKED, [seen(time=50 * HOUR - 3 * HOUR)], SCENE, gap=None), InDoubt)


def test_two_without_a_subject_have_nothing_in_common():
    suspect = SUSPECT._replace(subject=DIGESTS.subject(""))
    others = unread(subject="", people=("x@example.org",), time=50 * HOUR - 24 * HOUR)
    assert judge(suspect, [others], SCENE, gap=None) == Absent()


def test_a_gap_of_the_list_is_doubt_unless_the_marker_is_found():
    for sightings in ([], [unread()]):
        assert judge(SUSPECT, sightings, SCENE, gap="it is odd") == InDoubt("it is odd")


@pytest.mark.parametrize("sighting", [unread(), seen(markers=[OWN])])
def test_an_earlier_send_may_be_from_before_it_was_asked_for_again(sighting):
    suspect = SUSPECT._replace(markers=frozenset(), old_markers=frozenset({OWN}))
    verdict = judge(suspect, [sighting], SCENE, gap=None)
    assert isinstance(verdict, InDoubt) == bool(sighting.markers)


class TestUnknownPast:
    """No intent says that it was sent, because that state was lost."""

    SUSPECT = SUSPECT._replace(has_intent=False)

    def test_found_by_its_marker(self):
        assert judge(self.SUSPECT, [seen(markers=[OWN])], SCENE, gap=None) == BY_MARKER

    @pytest.mark.parametrize("subject", ["Your invoice", "Another"])
    def test_any_mail_of_this_task_to_these_people_is_a_doubt(self, subject):
        sighting = seen("other", [OF_THIS_TASK], subject=subject)
        assert isinstance(judge(self.SUSPECT, [sighting], SCENE, gap=None), InDoubt)

    def test_but_not_one_that_is_known_to_be_another(self):
        scene = replace(SCENE, own_markers=frozenset({OF_THIS_TASK}))
        assert judge(self.SUSPECT, [seen(markers=[OF_THIS_TASK])], scene, gap=None) == Absent()
        others = seen(markers=[OF_THIS_TASK], people=("x@example.org",))
        assert judge(self.SUSPECT, [others], SCENE, gap=None) == Absent()

    def test_an_agreement_is_a_doubt_unless_this_is_the_first_go(self):
        assert isinstance(judge(self.SUSPECT, [unread()], SCENE, gap=None), InDoubt)
        assert judge(self.SUSPECT, [unread()], replace(SCENE, is_first_go=True), gap=None) == BY_AGREEMENT


def test_if_claims_are_missing_an_agreement_is_a_doubt():
    scene = replace(SCENE, has_all_claims=False)
    assert isinstance(judge(SUSPECT, [unread()], scene, gap=None), InDoubt)
    assert judge(SUSPECT, [seen(markers=[OWN])], scene, gap=None) == BY_MARKER


class TestLook:
    """In the sandbox's lists."""

    @pytest.fixture
    def client(self, hook):
        client = hook.get_conn()
        client.server_time()
        return client

    @pytest.fixture
    def suspect(self, client):
        return SUSPECT._replace(window=new_window(client, lease=15))

    @staticmethod
    def add(sandbox, number=1, **changes):
        told = {"to": [*PEOPLE], "subject": "Your invoice", "content": "<p>Hi</p>"}
        return [sandbox.add_mail(*ADA, **{**told, **changes}) for _ in range(number)]

    def test_a_claimed_mail_is_another(self, client, sandbox, suspect):
        (message_id,) = self.add(sandbox)
        assert look(client, {"a": suspect}, Scene(DIGESTS, TASK)) == {"a": Found(message_id, by_marker=False)}
        claimed = Scene(DIGESTS, TASK, claims={message_id})
        assert look(client, {"a": suspect}, claimed) == {"a": Absent()}

    def test_a_received_mail_is_never_ours(self, client, sandbox, suspect):
        self.add(sandbox, content=f'<span class="{OWN}"></span>', received=True)
        assert look(client, {"a": suspect}, Scene(DIGESTS, TASK)) == {"a": Absent()}

    @pytest.mark.parametrize(
        "changes", [{"people": ("x@example.org",)}, {"subject": "Another"}, OTHERS], ids=str
    )
    @pytest.mark.parametrize("single_mail", [True, False])
    def test_a_mail_that_is_another_sends_is_not_ours_too(
        self, client, sandbox, suspect, changes, single_mail
    ):
        sandbox.settings(single_mail=single_mail)
        (message_id,) = self.add(sandbox)
        told = {"subject": DIGESTS.subject(changes.get("subject", "Your invoice"))}
        told["people"] = DIGESTS.people(changes.get("people", PEOPLE))
        verdicts = look(client, {"other": suspect._replace(**told), "own": suspect}, Scene(DIGESTS, TASK))
        assert verdicts == {"own": Found(message_id, by_marker=False), "other": Absent()}

    def test_two_sends_cannot_be_the_same_mail(self, client, sandbox, suspect):
        self.add(sandbox)
        verdicts = look(client, {"a": suspect, "b": suspect}, Scene(DIGESTS, TASK))
        assert {type(verdict) for verdict in verdicts.values()} == {InDoubt}

    def test_the_list_and_each_content_that_matters_are_read_once(self, client, sandbox, suspect):
        self.add(sandbox, 12)
        self.add(sandbox, 5, subject="Lunch?", to=["x@example.org"])
        before = sandbox.counts()["emails"]
        look(client, dict.fromkeys(range(30), suspect), Scene(DIGESTS, TASK))
        assert sandbox.counts()["emails"] - before <= 2 * 2 + 12

    def test_contents_that_cannot_be_read_are_asked_for_once(self, client, sandbox, suspect):
        self.add(sandbox, 9)
        sandbox.settings(single_mail=False)
        before = sandbox.counts()["emails"]
        look(client, {"a": suspect}, Scene(DIGESTS, TASK))
        assert sandbox.counts()["emails"] - before <= 2 + 1

    @pytest.mark.parametrize(("outage", "kind"), [("500", Unreadable), ("plan", InDoubt)])
    def test_a_list_that_cannot_be_read(self, client, sandbox, suspect, outage, kind):
        sandbox.settings(emails_outage=outage)
        assert isinstance(look(client, {"a": suspect}, Scene(DIGESTS, TASK))["a"], kind)

    def test_it_is_absent_only_after_the_window(self, client, sandbox, suspect, clock):
        assert settle(client, {"a": suspect}, Scene(DIGESTS, TASK)) == {"a": Absent()}
        assert sandbox.now() > suspect.window[1]
        assert len(clock.waited) <= 5

    @pytest.mark.parametrize(("until", "verdict"), [(4e9, InDoubt), (0.0, Absent)])
    def test_a_window_delays_a_look_by_a_timeout_at_most(
        self, client, sandbox, suspect, clock, until, verdict
    ):
        suspects = {"a": suspect._replace(window=(suspect.window[0], until)), "b": suspect}
        verdicts = settle(client, suspects, Scene(DIGESTS, TASK))
        assert [type(verdicts[name]) for name in "ab"] == [verdict, Absent]
        assert sum(clock.waited) <= 4700

    def test_who_comes_late_into_the_list_is_found(self, client, sandbox, suspect):
        sandbox.settings(emails_lag=80)
        (message_id,) = self.add(sandbox)
        found = settle(client, {"a": suspect}, Scene(DIGESTS, TASK))
        assert found == {"a": Found(message_id, by_marker=False)}
