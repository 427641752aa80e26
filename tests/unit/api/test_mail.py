from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email.utils import formataddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.mail import (
    Address,
    Mail,
    parse_address,
    parse_addresses,
    parse_bool,
    parse_scheduled_time,
)

ADA = Address("ada@example.org", "Ada Lovelace")
GRACE = Address("grace@example.org")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param(None, (), id="none"),
        pytest.param("", (), id="empty"),
        pytest.param(" , ;", (), id="separators"),
        pytest.param("grace@example.org", (GRACE,), id="bare"),
        pytest.param("<grace@example.org>", (GRACE,), id="brackets"),
        pytest.param("Ada Lovelace <ada@example.org>", (ADA,), id="named"),
        pytest.param('"Ada Lovelace" < ada@example.org >', (ADA,), id="quoted"),
        pytest.param("Ada Lovelace <ada@example.org>, grace@example.org", (ADA, GRACE), id="comma"),
        pytest.param("Ada Lovelace <ada@example.org>;grace@example.org;", (ADA, GRACE), id="semicolon"),
        pytest.param(
            '"Lovelace, Ada; Countess" <ada@example.org>',
            (Address("ada@example.org", "Lovelace, Ada; Countess"),),
            id="comma in quotes",
        ),
        pytest.param(
            r'"Ada \"the\\first\"" <ada@example.org>',
            (Address("ada@example.org", r'Ada "the\first"'),),
            id="escapes",
        ),
        pytest.param(
            "Łucja Müller 李 <lucja@exämple.org>",
            (Address("lucja@exämple.org", "Łucja Müller 李"),),
            id="international",
        ),
        pytest.param({"user_name": "Ada Lovelace", "email": "ada@example.org"}, (ADA,), id="object"),
        pytest.param({"email": "grace@example.org", "user_name": None}, (GRACE,), id="object without name"),
        pytest.param(
            [ADA, "grace@example.org", {"email": "x@y.z"}], (ADA, GRACE, Address("x@y.z")), id="list"
        ),
        pytest.param((address for address in (ADA, GRACE)), (ADA, GRACE), id="iterator"),
    ],
)
def test_addresses(written, meant):
    assert parse_addresses(written, "to") == meant


@pytest.mark.parametrize(
    ("written", "offence"),
    [
        ("ada", "'ada'"),
        ("grace@example.org, ada@", "'ada@'"),
        ("Ada <ada@example.org", "'Ada <ada@example.org'"),
        ("Ada ada@example.org", "'Ada ada@example.org'"),
        ("a@b@c", "'a@b@c'"),
        ("Ada <>", "'Ada <>'"),
        ("ada@example.org\nx", "not a valid e-mail address"),
        ("ada@example.org\u202e", "not a valid e-mail address"),
        ("ada\x9b@example.org", "not a valid e-mail address"),
        (f"{'x' * 1_000_000} <ada@example.org>", "1,000,018 characters"),
        ({"email": "a@b.c, d@e.f"}, "'a@b.c, d@e.f'"),
        (7, "7 is not a valid e-mail address"),
        ({"mail": "ada@example.org"}, '"user_name"'),
        ({"email": "ada@example.org", "user_name": 7}, "not text"),
        (["grace@example.org", None, 1.5], "1.5"),
        ("['a@b.c', 'd@e.f']", "render_template_as_native_obj"),
        ("a" * 250 + "@example.org", "262 characters, but Bigin allows 255"),
    ],
)
def test_no_address(written, offence):
    with pytest.raises(BiginValidationError) as error:
        parse_addresses(written, "cc")
    assert str(error.value).startswith("cc: ")
    assert offence in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["Ada\nLovelace", "Ada\0Lovelace", "Ada\x85\u2028Lovelace", "\u202eAda\u2066 \u202cLovelace\u2069"],
)
def test_a_name_is_one_line_in_the_order_in_which_it_reads(name):
    assert parse_addresses({"user_name": name, "email": ADA.email}, "to") == (ADA,)
    assert parse_addresses(f'"{name}" <{ADA.email}>', "to") == (ADA,)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "written",
    [
        lambda n: f"x{' ' * n}y",
        lambda n: f"<{' ' * n}",
        lambda n: f"x{' ' * n}<{' ' * n}a@b.c{' ' * n}",
        lambda n: '"' + '\\"' * n,
        lambda n: "<" * n,
        lambda n: "@" * n,
        lambda n: f"[{'] ' * n}x",
        lambda n: "," * n,
        lambda n: "a@b.c," * n,
    ],
    ids=range(9),
)
def test_the_work_grows_with_the_length_of_a_text_and_no_faster(written):
    def work(length):
        text, times = written(length), []
        for _ in range(3):
            begun_at = time.thread_time()
            with suppress(BiginValidationError):
                Mail.compose(to=text)
            times.append(time.thread_time() - begun_at)
        return min(times)

    work(100)
    assert work(80_000) < 10 * work(20_000) + 0.01  # its square: 16


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["C"]), max_size=20).map(str.strip),
            st.from_regex(r"[a-z0-9.+-]{1,10}@[a-z0-9.-]{1,10}", fullmatch=True),
        ),
        max_size=4,
    )
)
def test_addresses_that_the_standard_library_writes_are_read(people):
    written = ", ".join(_quoted(name, email) for name, email in people)
    assert [(address.name, address.email) for address in parse_addresses(written, "to")] == people


def _quoted(name: str, email: str) -> str:
    return formataddr((name, email), charset="utf-8") if name.isascii() else f'"{_escaped(name)}" <{email}>'


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("email"), inner),
    max_leaves=8,
)


@given(ANYTHING)
@pytest.mark.parametrize(
    "parse",
    [
        lambda value: parse_addresses(value, "to"),
        lambda value: parse_address(value, "from_email"),
        parse_scheduled_time,
        lambda value: parse_bool(value, "org_email"),
        lambda value: Mail.compose(to="a@b.c", attachments=value),
        lambda value: Mail.compose(to="a@b.c", subject=value, content=value, mail_format=value),
    ],
    ids=["addresses", "address", "time", "bool", "attachments", "texts"],
)
def test_any_input_gives_a_value_or_our_error(parse, value):
    try:
        parse(value)
    except BiginValidationError:
        return


@given(st.text())
def test_any_text_gives_addresses_or_our_error(text):
    try:
        addresses = parse_addresses(text, "to")
    except BiginValidationError:
        return
    assert all("@" in address.email and "\n" not in address.email + address.name for address in addresses)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (None, None),
        ("", None),
        ("2026-12-24T18:00:00+01:00", "2026-12-24T18:00:00+01:00"),
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00+00:00"),
        ("2026-12-24 18:00:00.123456+05:30", "2026-12-24T18:00:00+05:30"),
        (
            datetime(2026, 12, 24, 18, 0, 0, 999, tzinfo=timezone(timedelta(hours=-3))),
            "2026-12-24T18:00:00-03:00",
        ),
    ],
)
def test_scheduled_time(written, sent):
    assert parse_scheduled_time(written) == sent


@pytest.mark.parametrize(
    "written",
    ["tomorrow", "2026-12-24T18:00:00", "2026-13-01T00:00:00Z", datetime(2026, 12, 24), 1766599200, "0"],
)
def test_a_time_that_cannot_be_read_is_an_error(written):
    with pytest.raises(BiginValidationError, match="scheduled_time"):
        parse_scheduled_time(written)


@given(st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.timezones()))
def test_any_aware_time_keeps_its_second(time):
    sent = datetime.fromisoformat(parse_scheduled_time(time) or "")
    assert sent.timestamp() == time.replace(microsecond=0).timestamp()


def test_json_has_every_field_of_the_api():
    mail = Mail.compose(
        from_email="Team <team@example.com>",
        to=["Ada Lovelace <ada@example.org>"],
        cc="grace@example.org",
        bcc={"email": "audit@example.com"},
        reply_to="help@example.com",
        subject="Hello",
        content="<p>Hi</p>",
        mail_format="html",
        org_email=True,
        scheduled_time="2026-12-24T18:00:00+01:00",
        attachments=["f1", {"id": "f2"}],
    )
    assert mail.as_json() == {
        "from": {"user_name": "Team", "email": "team@example.com"},
        "to": [{"user_name": "Ada Lovelace", "email": "ada@example.org"}],
        "cc": [{"email": "grace@example.org"}],
        "bcc": [{"email": "audit@example.com"}],
        "reply_to": {"email": "help@example.com"},
        "subject": "Hello",
        "content": "<p>Hi</p>",
        "mail_format": "html",
        "org_email": True,
        "scheduled_time": "2026-12-24T18:00:00+01:00",
        "attachments": [{"id": "f1"}, {"id": "f2"}],
    }


def test_json_leaves_out_what_is_not_set():
    mail = Mail.compose(
        from_email="a@b.c", to="d@e.f", cc=[], bcc=None, reply_to="", scheduled_time="", attachments=None
    )
    assert mail.as_json() == {"from": {"email": "a@b.c"}, "to": [{"email": "d@e.f"}], "mail_format": "html"}


def test_a_person_named_twice_gets_one_mail():
    assert Mail.compose(to="Ada <ada@example.org>, ADA@example.org").to == (
        Address("ada@example.org", "Ada"),
    )


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\0", "\x85", "\u2028", "\u2029", "\x1b", "\t"])
def test_a_subject_is_one_line(break_):
    subject = f"Hello{break_}Bcc: x@y.z{break_}"
    assert Mail.compose(to="a@b.c", subject=subject).subject == "Hello Bcc: x@y.z"


def test_nothing_reorders_a_subject():
    assert Mail.compose(to="a@b.c", subject="\u202egpj.exe\u202c").subject == "gpj.exe"


class Unprintable:
    def __str__(self):
        raise RuntimeError("cannot be printed")

    __repr__ = __str__


DEEP: list = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("value", [10**5000, Unprintable(), DEEP, "x" * 1_000_000, "\ud800"], ids=range(5))
@pytest.mark.parametrize(
    "field",
    [
        "to",
        "cc",
        "from_email",
        "subject",
        "content",
        "mail_format",
        "org_email",
        "scheduled_time",
        "attachments",
    ],
)
def test_whatever_a_field_holds_the_error_names_the_field_and_is_short(field, value):
    with pytest.raises(BiginValidationError, match=f"^{field}: ") as error:
        Mail.compose(**{"to": "a@b.c", field: value})
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"to": None}, "to: a mail needs at least one recipient"),
        ({"cc": [f"p{n}@example.org" for n in range(51)]}, "cc: 51 addresses, but Bigin allows 50"),
        ({"from_email": "a@b.c, d@e.f"}, "from_email: 'a@b.c, d@e.f' must be one address, not 2"),
        ({"reply_to": ["a@b.c", "d@e.f"]}, "must be one address, not 2"),
        ({"subject": "x" * 1001}, "subject: 1,001 characters, but Bigin allows 1,000"),
        ({"content": "x" * 100_001}, "content: 100,001 characters, but Bigin allows 100,000"),
        ({"mail_format": "rtf"}, "mail_format: 'rtf' must be one of html, text"),
        ({"org_email": "perhaps"}, "org_email: 'perhaps' is neither true nor false"),
        ({"attachments": [f"f{n}" for n in range(11)]}, "attachments: 11 files, but Bigin allows 10"),
        ({"attachments": ["x" * 256]}, "at most 255 characters"),
        ({"attachments": 7}, "attachments: 7"),
    ],
)
def test_limits(fields, message):
    with pytest.raises(BiginValidationError) as error:
        Mail.compose(**{"from_email": "a@b.c", "to": "d@e.f", **fields})
    assert message in str(error.value)


def test_a_redirected_mail_names_whom_it_was_for_within_the_limits():
    staging = Address("staging@example.com", "Staging")
    crowd = [f"{'x' * 100}{number}@example.org" for number in range(50)]
    mail = Mail.compose(to=crowd, cc="cc@example.org", subject="s" * 1000).redirected(staging)
    assert (mail.to, mail.cc, mail.bcc) == ((staging,), (), ())
    assert mail.subject.startswith(f"[for {crowd[0]}, {crowd[1]}, ")
    assert " and 47 more] sss" in mail.subject
    assert len(mail.subject) == 1000


def test_a_mail_that_was_for_that_address_alone_is_left_as_it_is():
    mail = Mail.compose(to="Staging@example.com", subject="s")
    assert mail.redirected(Address("staging@example.com")).subject == "s"
