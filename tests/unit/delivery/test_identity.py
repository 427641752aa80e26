from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.api.images import image_address, with_addresses
from airflow_provider_bigin.api.mail import MAX_CONTENT_LENGTH, Mail
from airflow_provider_bigin.api.records import RecordRef, RecordSearch
from airflow_provider_bigin.delivery.identity import (
    Digests,
    Item,
    Marker,
    find_markers,
    first_try_since_clear,
    match_rows,
    send_half,
    task_half,
    was_cleared,
    with_marker,
    without_markers,
)
from airflow_provider_bigin.delivery.message import Draft

# ---- which go is this? ----


class Numbers:
    """Airflow's counters of a task instance, as in section 2 of the protocol, and the last stored ones."""

    def __init__(self, retries):
        self.retries = self.max_tries = retries
        self.number, self.clear_number = 1, 0
        self.store()

    def store(self):
        self.stored = {
            "stored_max_tries": self.max_tries,
            "stored_clear_number": self.clear_number,
            "stored_try": self.number,
        }

    def retry(self):
        self.number += 1

    def clear(self):
        self.max_tries = self.number + self.retries
        self.number += 1
        self.clear_number += 1

    def clear_of_the_task_only(self):  # reset_dag_runs=false
        self.clear()
        self.clear_number -= 1

    def clear_while_it_runs(self):  # the executor's report is lost: max_tries stays
        self.number += 1
        self.clear_number += 1

    def clear_of_another_task(self):
        self.clear_number += 1

    def lower_retries(self):
        self.retries -= 1

    def raise_retries(self):
        self.retries += 1

    @property
    def is_cleared(self):
        told = {"max_tries": self.max_tries, "clear_number": self.clear_number, "retries": self.retries}
        return was_cleared(**told, **self.stored)


@pytest.mark.parametrize("retries", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("events", "is_cleared"),
    [
        ("", False),
        ("retry", False),
        ("retry retry", False),
        ("clear", True),
        ("retry clear", True),
        ("clear clear", True),
        ("clear retry", True),
        ("clear_of_the_task_only", True),
        ("clear_of_another_task", False),
        ("clear_of_another_task retry", False),
        ("retry clear_of_another_task retry", False),
        ("lower_retries retry", False),
        ("raise_retries retry", False),
        ("retry raise_retries retry", False),
        ("lower_retries clear", True),
        ("raise_retries clear", True),
        ("clear lower_retries", True),
        ("clear raise_retries", True),
        ("lower_retries clear raise_retries clear", True),
        ("clear_of_another_task clear", True),
        ("clear_of_another_task raise_retries retry", False),
        # Either is safe (section 2): max_tries alone tells.
        ("clear_while_it_runs", False),
        # T1 and T2: the counters are those of a retry, and it is taken for one.
        ("lower_retries clear_of_the_task_only", False),
        ("lower_retries clear raise_retries", False),
        ("lower_retries clear_of_the_task_only clear", True),
    ],
)
def test_whether_a_person_has_cleared_the_task(retries, events, is_cleared):
    numbers = Numbers(retries)
    for event in events.split():
        getattr(numbers, event)()
    assert numbers.is_cleared == is_cleared


def test_retries_lowered_by_as_many_as_were_made_leave_max_tries_as_it_was():
    numbers = Numbers(retries=3)
    numbers.retry()
    numbers.store()
    numbers.retries -= 2
    numbers.clear()
    assert numbers.max_tries == numbers.stored["stored_max_tries"]
    assert numbers.is_cleared


@given(st.integers(0, 5), st.integers(1, 9))
def test_airflows_formula_finds_the_first_try_since_a_clear(retries, number):
    numbers = Numbers(retries)
    numbers.number = number
    numbers.clear()
    assert first_try_since_clear(max_tries=numbers.max_tries, retries=retries) == number + 1


# ---- digests ----

ADA = RecordRef("Contacts", "1")
MAIL = Mail.compose(
    to="Ada <ada@example.org>, grace@example.org", cc="c@example.org", subject="Hello", content="Hi"
)
DRAFT = Draft(ADA, MAIL)
DIGESTS = Digests("salt")


def draft(record=ADA, files=(), **changes):
    told = {"to": "ada@example.org, grace@example.org", "cc": "c@example.org", "subject": "Hello"}
    mail = Mail.compose(**{**told, "content": "Hi", **changes})
    return Draft(record, mail, tuple(SimpleNamespace(name=name) for name in files))


@pytest.mark.parametrize(
    "same",
    [
        draft(to="Grace <GRACE@example.org>, ADA@example.org"),
        draft(from_email="team@example.org"),
    ],
)
def test_names_order_case_and_the_sender_do_not_make_another_mail(same):
    assert DIGESTS.mail(same) == DIGESTS.mail(DRAFT)
    assert DIGESTS.who(same) == DIGESTS.who(DRAFT)


@pytest.mark.parametrize(
    ("other", "is_for_others"),
    [
        (draft(subject="Other"), False),
        (draft(content="Other"), False),
        (draft(mail_format="text"), False),
        (draft(scheduled_time="2030-01-01T00:00:00Z"), False),
        (draft(files=("a.pdf",)), False),
        (draft(attachments=["file-id"]), False),
        (draft(to="ada@example.org", cc="grace@example.org, c@example.org"), False),
        (draft(record=RecordRef("Contacts", "2")), True),
        (draft(record=RecordRef("Accounts", "1")), True),
        (draft(bcc="audit@example.org"), True),
        (draft(to="ada@example.org"), True),
    ],
)
def test_what_makes_another_mail(other, is_for_others):
    assert DIGESTS.mail(other) != DIGESTS.mail(DRAFT)
    assert (DIGESTS.who(other) != DIGESTS.who(DRAFT)) == is_for_others


def test_a_record_that_is_searched_for_counts_only_once_it_is_named():
    searches = [draft(record=RecordSearch("Contacts", email)) for email in ("a@b.c", "d@e.f")]
    assert len({DIGESTS.mail(search) for search in searches}) == 1
    assert DIGESTS.who(searches[0]) != DIGESTS.who(DRAFT)


def test_another_salt_makes_other_digests():
    other = Digests("other")
    assert {other.mail(DRAFT), other.who(DRAFT), other.row("r")}.isdisjoint(
        {DIGESTS.mail(DRAFT), DIGESTS.who(DRAFT), DIGESTS.row("r")}
    )
    assert DIGESTS.subject("x") != DIGESTS.content("x")


def test_what_lists_change_of_a_text_does_not_matter():
    assert DIGESTS.subject(" Your\n  invoice ") == DIGESTS.subject("Your invoice")
    marked = '<p>Hi</p> <span class="m-0123456789abcdef-0123456789abcdef"></span>'
    assert DIGESTS.content(marked) == DIGESTS.content("<p>Hi</p>\n")
    assert DIGESTS.people(["B@x.y", " a@x.y"]) == DIGESTS.people(["a@x.y", "b@x.y", "b@x.y"])


def test_uploading_images_again_makes_no_other_content():
    shown = draft(content='<img src="cid:chart">').mail
    contents = {
        shown.content,
        *(with_addresses(shown.content, {"chart": image_address("", x)}) for x in "ab"),
    }
    assert len(contents) == 3
    assert len({DIGESTS.content(content) for content in contents}) == 1


def test_another_file_is_another_image():
    images = [{"chart": SimpleNamespace(name=name)} for name in ("a.png", "b.png")]
    assert len({DIGESTS.mail(replace(DRAFT, images=each)) for each in (*images, {})}) == 3


SCRIPT = """
from airflow_provider_bigin.compose.rows import canonical
from airflow_provider_bigin.delivery.identity import Digests, task_half
from tests.unit.delivery.test_identity import DRAFT
row = {"to": {"a@x.y", "b@x.y", "c@x.y"}, "tags": frozenset("xyz"), "who": {1: {2.5, None}}, "o": object()}
digests = Digests("salt")
print(digests.mail(DRAFT), digests.who(DRAFT), digests.row(canonical(row)), task_half(("dag", -1)))
"""


def test_digests_are_the_same_in_all_processes():
    def run(seed):
        return subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert run("1") == run("2") != ""


# ---- the marker ----

MARKER = Marker(task_half(("dag", "run", "task", -1)), send_half("go", "row", 0))


def html_mail(content):
    return Mail.compose(to="a@b.c", content=content)


@pytest.mark.parametrize(
    "other",
    [
        MARKER._replace(task=task_half(("dag", "run", "task", 0))),
        MARKER._replace(task=task_half(("dag", "runtask", "", -1))),
        MARKER._replace(send=send_half("another go", "row", 0)),
        MARKER._replace(send=send_half("go", "row", 1)),
        MARKER._replace(send=send_half("go", "row0", 0)),
    ],
)
def test_each_send_has_a_marker_of_its_own(other):
    assert other != MARKER
    assert find_markers(f'<span class="{other}">', MARKER.task) == {other}


@pytest.mark.parametrize(
    "content", ["", "Hi", "<p>Hi</p>", "<html><BODY>Hi</BODY ></html>", "<body>a</body><body>b</body>"]
)
def test_an_html_mail_bears_it_in_an_empty_element(content):
    marked = with_marker(html_mail(content), MARKER).content
    assert find_markers(marked, MARKER.task) == {MARKER}
    assert without_markers(marked) == content != marked


@pytest.mark.parametrize("letters", ["Hi", "İyi günler İİİ"])
def test_it_stays_inside_the_body_whatever_letters_are_before_it(letters):
    marked = with_marker(html_mail(f"<html><body>{letters}</BODY></html>"), MARKER).content
    assert marked == f'<html><body>{letters}<span class="{MARKER}"></span></BODY></html>'


def test_a_text_mail_bears_it_only_if_asked_for():
    mail = replace(html_mail("Hi"), mail_format="text")
    assert with_marker(mail, MARKER) == mail
    marked = with_marker(mail, MARKER, in_text=True).content
    assert marked == f"Hi\n\n[{MARKER}]"
    assert find_markers(marked, MARKER.task) == {MARKER}


@pytest.mark.parametrize("mail_format", ["html", "text"])
def test_a_mail_that_is_full_stays_as_it_is(mail_format):
    mail = replace(html_mail("x" * MAX_CONTENT_LENGTH), mail_format=mail_format)
    assert with_marker(mail, MARKER, in_text=True) == mail


@pytest.mark.parametrize(
    "content",
    [
        str(MARKER),
        f"<p>{MARKER}</p>",
        f"<p title='{MARKER}'>Hi</p>",
        f"[m-{'0' * 16}-{'1' * 16}]",
        f'<span class="m-{"0" * 32}"></span>',
        '<span class="m-"></span>',
    ],
)
def test_a_text_that_merely_looks_like_a_marker_is_none(content):
    assert find_markers(content, MARKER.task) == frozenset()


@pytest.mark.parametrize(
    "element",
    [
        f"<SPAN CLASS={MARKER}></SPAN>",
        f"<span id='x' class='y {MARKER} z' style='a'> </span >",
        f'<span class="x_{MARKER}"></span>',
        f'<span data-class="x" class="{str(MARKER).replace("m-", "n-")} {MARKER}"></span>',
    ],
)
def test_what_a_mail_server_makes_of_the_element_is_still_it(element):
    assert find_markers(f"<p>Hi</p>{element}", MARKER.task) == {MARKER}
    assert without_markers(f"<p>Hi</p>{element}") == "<p>Hi</p>"


@pytest.mark.parametrize("unit", ["class=", "class=m-", "<span class=", "<span>", " ", "</span "])
def test_the_work_grows_with_the_length_of_the_content_and_no_faster(unit):
    def work(length):
        content, times = "<span class" + unit * (length // len(unit)), []
        for _ in range(3):
            begun_at = time.thread_time()
            find_markers(content, MARKER.task)
            without_markers(content)
            times.append(time.thread_time() - begun_at)
        return min(times)

    assert work(40_000) < 10 * work(10_000) + 0.01  # its square: 16


# ---- which item is this? ----


def match(rows, stored, mails=None, who=None):
    """Match rows, each named by a letter; its mail and people have the same name unless given."""

    def describe(position):
        row = rows[position]
        return (mails or {}).get(row, f"mail {row}"), (who or {}).get(row, f"who {row}")

    entries = {entry(*key): kept for key, kept in stored.items()}
    return match_rows(rows, entries, describe)


def entry(row, number=0):
    return Item(row, number, f"mail {row}", f"who {row}")


ALL_DONE = {("a", 0): "done", ("b", 0): "done", ("c", 0): "open"}


class TestSectionThree:
    """The table of the protocol, row by row."""

    def test_no_rows_and_nothing_stored(self):
        assert match([], {}).items == []

    @pytest.mark.parametrize("rows", ["abc", "cab", "cba"])
    def test_in_another_order_each_keeps_its_state(self, rows):
        matched = match(list(rows), ALL_DONE)
        assert matched.entries == {position: (row, 0) for position, row in enumerate(rows)}
        assert matched.left == {}

    def test_a_row_that_is_added_matches_nothing(self):
        matched = match(list("abxc"), ALL_DONE)
        assert 2 not in matched.entries
        assert matched.items[2].name == ("x", 0)

    def test_the_entry_of_a_row_that_is_removed_is_left(self):
        assert match(list("ac"), ALL_DONE).left == {"who b": [("b", 0)]}

    def test_a_duplicate_that_is_added_has_the_next_number(self):
        matched = match(list("aa"), {("a", 0): "done"})
        assert matched.entries == {0: ("a", 0)}
        assert [item.name for item in matched.items] == [("a", 0), ("a", 1)]

    def test_of_duplicates_the_done_ones_count_first(self):
        stored = {("a", 0): "open", ("a", 1): "done", ("a", 2): "refused", ("a", 3): "done"}
        assert match(list("aaa"), stored).entries == {0: ("a", 1), 1: ("a", 3), 2: ("a", 0)}
        assert match(list("aaaa"), stored).entries[3] == ("a", 2)
        assert match(list("a"), stored).left == {"who a": [("a", 3), ("a", 0)]}

    def test_an_edited_template_is_matched_by_the_row(self):
        matched = match(list("ab"), ALL_DONE, mails={"a": "edited", "b": "edited"})
        assert matched.entries == {0: ("a", 0), 1: ("b", 0)}

    def test_an_edited_row_with_the_same_mail_is_matched_by_the_mail(self):
        matched = match(["a'", "b"], ALL_DONE, mails={"a'": "mail a"})
        assert matched.entries == {0: ("a", 0), 1: ("b", 0)}
        assert matched.items[0].name == ("a'", 0)

    def test_an_edited_row_for_the_same_people_finds_what_is_left_of_them(self):
        matched = match(["a'", "b", "c"], ALL_DONE, who={"a'": "who a"})
        assert 0 not in matched.entries
        assert matched.left[matched.items[0].who] == [("a", 0)]

    def test_a_row_for_other_people_is_new(self):
        matched = match(["x", "b", "c"], ALL_DONE)
        assert matched.items[0].who not in matched.left

    def test_a_refused_mail_to_the_same_people_is_no_doubt(self):
        assert match(["a'"], {("a", 0): "refused"}, who={"a'": "who a"}).left == {}

    def test_a_refused_entry_is_taken_only_when_nothing_else_matches(self):
        stored = {("a", 0): "refused", ("b", 0): "done"}
        assert match(["a"], stored, mails={"a": "mail b"}).entries == {0: ("b", 0)}

    def test_two_mails_to_one_person_are_two(self):
        who = {"a": "who ada", "b": "who ada"}
        matched = match(list("ab"), {("a", 0): "done"}, who=who)
        assert matched.entries == {0: ("a", 0)}
        assert matched.left == {}

    def test_a_row_that_cannot_be_composed_is_matched_by_itself(self):
        matched = match_rows(["a", "bad"], {entry("a"): "done", entry("b"): "open"}, lambda position: None)
        assert matched.entries == {0: ("a", 0)}

    def test_what_is_done_by_its_row_is_not_composed(self):
        composed = []
        match_rows(list("abx"), {entry("a"): "done", entry("b"): "open", entry("c"): "done"}, composed.append)
        assert composed == [2]

    def test_without_entries_nothing_is_composed(self):
        composed = []
        match_rows(list("abc"), {}, composed.append)
        assert composed == []


ROWS = st.lists(st.sampled_from("abcd"), max_size=8)
STORED = st.dictionaries(
    st.tuples(st.sampled_from("abcde"), st.integers(0, 3)),
    st.sampled_from(["done", "open", "refused"]),
    max_size=10,
)


@given(ROWS, STORED)
def test_no_entry_is_taken_twice_and_no_name_given_twice(rows, stored):
    matched = match(rows, stored)
    taken = list(matched.entries.values())
    assert len(taken) == len(set(taken))
    names = [item.name for item in matched.items]
    assert len(names) == len(set(names)) == len(rows)
    fresh = [name for position, name in enumerate(names) if position not in matched.entries]
    assert not set(fresh) & set(stored)
    left = [name for some in matched.left.values() for name in some]
    assert set(left).isdisjoint(taken)
    assert {*taken, *left} >= {name for name, kept in stored.items() if kept != "refused"}


@given(ROWS, STORED, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_what_is_stored_does_not_matter(rows, stored, shuffler: random.Random):
    def states(of_rows, of_stored):
        matched = match(of_rows, of_stored)
        return Counter(
            (row, of_stored.get(matched.entries.get(position))) for position, row in enumerate(of_rows)
        )

    shuffled, entries = list(rows), list(stored.items())
    shuffler.shuffle(shuffled)
    shuffler.shuffle(entries)
    assert states(rows, stored) == states(shuffled, dict(entries))


@given(ROWS)
def test_all_rows_are_found_again(rows):
    first = match(rows, {})
    again = match(rows, {item.name: "done" for item in first.items})
    assert again.items == [Item(*item.name, *again.items[i][2:]) for i, item in enumerate(first.items)]
    assert len(again.entries) == len(rows)
