from __future__ import annotations

from datetime import datetime

import pytest

from airflow_provider_bigin.sandbox import criteria
from tests.sandbox.conftest import ADA, COMPANY, DEAL, GRACE, Client


def search(bigin: Client, module: str = "Contacts", **query: str) -> list[str]:
    answer = bigin.get(f"/{module}/search", params=query)
    return [] if answer.status_code == 204 else [record["id"] for record in answer.json()["data"]]


def test_one_record(bigin: Client):
    [contact] = bigin.get(f"/Contacts/{ADA}").json()["data"]
    assert contact["id"] == ADA
    assert contact["Full_Name"] == "Ada Lovelace"
    assert contact["Email"] == "ada.lovelace@example.org"
    assert contact["Email_Opt_Out"] is False
    assert contact["Account_Name"] == {"name": "Analytical Engines", "id": COMPANY}
    assert {"Secondary_Email", "Owner", "Created_Time", "Unsubscribed_Mode"} <= contact.keys()


def test_some_fields(bigin: Client):
    answer = bigin.get(f"/Contacts/{ADA}", params={"fields": "Email,Nonsense"})
    assert answer.json()["data"] == [{"id": ADA, "Email": "ada.lovelace@example.org"}]


@pytest.mark.parametrize("record_id", ["5000000000000009999", "abc", COMPANY])
def test_a_missing_record_is_no_content(bigin: Client, record_id):
    answer = bigin.get(f"/Contacts/{record_id}")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["/Companies", f"/Companies/{COMPANY}", "/Companies/search?word=ab"])
def test_unknown_module(bigin: Client, path):
    assert bigin.get(path).json()["code"] == "INVALID_MODULE"


def test_a_list_needs_fields(bigin: Client):
    answer = bigin.get("/Contacts")
    assert (answer.status_code, answer.json()["code"]) == (400, "REQUIRED_PARAM_MISSING")
    assert answer.json()["details"] == {"param_name": "fields"}
    too_many = ",".join(f"F{n}" for n in range(51))
    assert bigin.get("/Contacts", params={"fields": too_many}).json()["code"] == "LIMIT_EXCEEDED"


def test_pages(bigin: Client, sandbox):
    sandbox.add_contacts(7)
    seen = []
    for page, (count, more) in enumerate([(4, True), (4, True), (3, False)], start=1):
        body = bigin.get("/Contacts", params={"fields": "Email", "page": page, "per_page": 4}).json()
        seen += [record["id"] for record in body["data"]]
        assert (body["info"]["count"], body["info"]["more_records"]) == (count, more)
        assert (body["info"]["page"], body["info"]["per_page"]) == (page, 4)
    assert len(set(seen)) == 11
    assert seen == sorted(seen, reverse=True)
    assert bigin.get("/Contacts", params={"fields": "Email", "page": 4, "per_page": 4}).status_code == 204
    ascending = bigin.get("/Contacts", params={"fields": "Email", "sort_order": "asc"}).json()["data"]
    assert [record["id"] for record in ascending] == seen[::-1]


@pytest.mark.parametrize(
    "query", [{"per_page": 201}, {"per_page": 0}, {"page": "x"}, {"page_token": "x"}, {"sort_order": "up"}]
)
def test_impossible_pages(bigin: Client, query):
    answer = bigin.get("/Contacts", params={"fields": "Email", **query})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")


def test_beyond_two_thousand_only_by_token(bigin: Client, sandbox):
    sandbox.add_contacts(2100)
    answer = bigin.get("/Contacts", params={"fields": "Email", "page": 11})
    assert (answer.status_code, answer.json()["code"]) == (400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED")
    seen, query = set(), {}
    while query is not None:
        body = bigin.get("/Contacts", params={"fields": "Email", **query}).json()
        seen |= {record["id"] for record in body["data"]}
        token = body["info"]["next_page_token"]
        query = {"page_token": token} if token else None
    assert len(seen) == 2104


def test_a_page_token_lives_a_day_and_keeps_to_its_page_size(bigin: Client, sandbox):
    query = {"fields": "Email", "per_page": 2}
    info = bigin.get("/Contacts", params=query).json()["info"]
    lifetime = datetime.fromisoformat(info["page_token_expiry"]).timestamp() - sandbox.now()
    assert 86340 < lifetime <= 86400
    token = {"page_token": info["next_page_token"]}
    last = bigin.get("/Contacts", params={**query, **token})
    assert len(last.json()["data"]) == 2
    assert last.json()["info"]["page_token_expiry"] is None
    answer = bigin.get("/Contacts", params={**query, **token, "per_page": 3})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")
    sandbox.advance(86401)
    bigin.log_in()
    answer = bigin.get("/Contacts", params={**query, **token})
    assert (answer.status_code, answer.json()["code"]) == (400, "EXPIRED_VALUE")


@pytest.mark.parametrize("email", ["grace.hopper@example.org", "GRACE@navy.example.org"])
def test_search_by_any_email_field(bigin: Client, email):
    assert search(bigin, email=email) == [GRACE]


def test_search_finds_nobody(bigin: Client):
    answer = bigin.get("/Contacts/search", params={"email": "nobody@example.org"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_address_with_a_plus(bigin: Client, sandbox):
    [record_id] = sandbox.add_records("Contacts", [{"Last_Name": "Plus", "Email": "a+b@example.org"}])
    assert search(bigin, email="a+b@example.org") == [record_id]
    assert search(bigin, criteria="(Email:equals:a+b@example.org)") == [record_id]


def test_search_by_phone_and_word(bigin: Client):
    assert search(bigin, phone="+1 (202) 555-0102") == [GRACE]
    assert search(bigin, word="lovel") == [ADA]
    assert search(bigin, "Pipelines", word="difference") == [DEAL]
    assert bigin.get("/Contacts/search?word=a").status_code == 400


def test_search_takes_exactly_one_condition(bigin: Client):
    assert bigin.get("/Contacts/search").json()["code"] == "REQUIRED_PARAM_MISSING"
    answer = bigin.get("/Contacts/search", params={"word": "ada", "email": "a@example.org"})
    assert (answer.status_code, answer.json()["code"]) == (400, "AMBIGUITY_DURING_PROCESSING")


def test_pages_of_a_search(bigin: Client, sandbox):
    sandbox.add_contacts(5)
    query = {"word": "contact", "per_page": 3, "fields": "Last_Name"}
    first = bigin.get("/Contacts/search", params=query).json()
    second = bigin.get("/Contacts/search", params={**query, "page": 2}).json()
    assert (len(first["data"]), first["info"]["more_records"]) == (3, True)
    assert (len(second["data"]), second["info"]["more_records"]) == (2, False)
    assert first["data"][0].keys() == {"id", "Last_Name"}


def test_the_index_of_the_search_lags(bigin: Client, sandbox):
    sandbox.settings(search_lag=15)
    [record_id] = sandbox.add_contacts(1)
    [contact] = bigin.get(f"/Contacts/{record_id}").json()["data"]
    assert search(bigin, email=contact["Email"]) == []
    sandbox.advance(16)
    assert search(bigin, email=contact["Email"]) == [record_id]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(Last_Name:equals:lovelace)", [ADA]),
        ("((Last_Name:equals:Lovelace)and(First_Name:equals:Grace))", []),
        ("((Last_Name:equals:Lovelace)or(First_Name:equals:Grace))", [GRACE, ADA]),
        ("(Last_Name:equals:Lovelace)or(First_Name:equals:Grace)", [GRACE, ADA]),
        ("(((Last_Name:equals:x)or(Email:starts_with:grace))and(Last_Name:not_equal:Lovelace))", [GRACE]),
        ("(Last_Name:in:Hopper,Lovelace)", [GRACE, ADA]),
        ("(Account_Name:equals:5000000000000000201)", [ADA]),
        ("(Account_Name.name:starts_with:Analytical)", [ADA]),
    ],
)
def test_criteria(bigin: Client, text, found):
    assert search(bigin, criteria=text) == found


@pytest.mark.parametrize(
    "text", ["", "(", "()", "(Last_Name)", "(Last_Name:like:x)", "(A:equals:b))", "(A:equals:b)x"]
)
def test_criteria_that_make_no_sense(bigin: Client, text):
    answer = bigin.get("/Contacts/search", params={"criteria": text})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        (r"(Name:equals:Burns \(Jr.\)\, B)", True),
        (r"(Name:in:A\, B,Burns \(Jr.\)\, B)", True),
        ("(Amount:greater_than:9)", True),
        ("(Amount:less_equal:9)", False),
        ("(Amount:between:5,10)", True),
        ("(Time:greater_equal:2026-01-01T00:00:00+03:00)", True),
        ("(Flag:equals:true)", True),
        ("(Missing:less_than:5)", False),
        ("(Name:equals:black and white)", False),
    ],
)
def test_values_in_criteria(text, matches):
    record = {"Name": "Burns (Jr.), B", "Amount": 10, "Time": "2026-11-23T00:00:00+03:00", "Flag": True}
    assert criteria.parse(text)(record) is matches
