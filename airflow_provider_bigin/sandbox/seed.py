"""The account's initial data: identities, addresses, and records."""

from __future__ import annotations

import json
import secrets
from typing import Any

from airflow_provider_bigin.sandbox.clock import ORG_TIME_ZONE_NAME
from airflow_provider_bigin.sandbox.store import Store

CLIENT_ID = "1000.SANDBOXCLIENT"

SCOPES = (
    "ZohoBigin.send_mail.all.CREATE",
    "ZohoBigin.settings.emails.READ",
    "ZohoBigin.Files.CREATE",
    "ZohoBigin.modules.READ",
    "ZohoSearch.securesearch.READ",
    "ZohoBigin.users.READ",
    "ZohoBigin.org.READ",
)

# Keys that the real API may omit or set to null are missing or null in one of the two.
FROM_ADDRESSES: tuple[dict[str, Any], ...] = (
    {"email": "ada@example.com", "type": "user", "id": None, "user_name": "Ada Airflow", "default": True},
    {"email": "team@example.com", "type": "org_email", "user_name": "Team"},
)

ORG: dict[str, Any] = {
    "id": "5000000000000000002",
    "company_name": "Airflow Sandbox",
    "primary_email": "ada@example.com",
    "time_zone": ORG_TIME_ZONE_NAME,
    "zgid": "500000002",
    "license_details": {"paid": True, "paid_type": "biginpremier", "trial_type": None},
}

USER: dict[str, Any] = {
    "id": "5000000000000000001",
    "full_name": "Ada Airflow",
    "first_name": "Ada",
    "last_name": "Airflow",
    "email": "ada@example.com",
    "status": "active",
    "confirm": True,
    "role": {"name": "CEO", "id": "5000000000000000011"},
    "profile": {"name": "Administrator", "id": "5000000000000000012"},
    "time_zone": ORG_TIME_ZONE_NAME,
    "zuid": "500000001",
}

OWNER = {"name": USER["full_name"], "id": USER["id"], "email": USER["email"]}

MODULES = ("Contacts", "Accounts", "Pipelines")

_ACCOUNT = {"name": "Analytical Engines", "id": "5000000000000000201"}

RECORDS: dict[str, list[dict[str, Any]]] = {
    "Accounts": [
        {"id": _ACCOUNT["id"], "Account_Name": _ACCOUNT["name"], "Website": "engines.example.org"},
        {"id": "5000000000000000202", "Account_Name": "Harbor & Sons", "Website": "harbor.example.org"},
    ],
    "Contacts": [
        {
            "id": "5000000000000000101",
            "First_Name": "Ada",
            "Last_Name": "Lovelace",
            "Email": "ada.lovelace@example.org",
            "Phone": "+44 20 7946 0101",
            "Account_Name": _ACCOUNT,
        },
        {
            "id": "5000000000000000102",
            "First_Name": "Grace",
            "Last_Name": "Hopper",
            "Email": "grace.hopper@example.org",
            "Secondary_Email": "grace@navy.example.org",
            "Phone": "+1 202 555 0102",
        },
        {
            "id": "5000000000000000103",
            "First_Name": "Opted",
            "Last_Name": "Out",
            "Email": "opted.out@example.org",
            "Email_Opt_Out": True,
        },
        {"id": "5000000000000000104", "First_Name": "No", "Last_Name": "Address"},
    ],
    "Pipelines": [
        {
            "id": "5000000000000000301",
            "Deal_Name": "Difference engine",
            "Stage": "Proposal",
            "Amount": 18320,
            "Contact_Name": {"name": "Ada Lovelace", "id": "5000000000000000101"},
            "Account_Name": _ACCOUNT,
        },
        {
            "id": "5000000000000000302",
            "Deal_Name": "Nobody to write to",
            "Stage": "Qualification",
            "Amount": 100,
            "Contact_Name": {"name": "No Address", "id": "5000000000000000104"},
        },
    ],
}

_OF_EVERY_RECORD = {"Owner": "ownerlookup", "Created_Time": "datetime", "Modified_Time": "datetime"}

#: The data type of each field, as in ``settings/fields``.
FIELDS: dict[str, dict[str, str]] = {
    "Contacts": {
        "First_Name": "text",
        "Last_Name": "text",
        "Full_Name": "text",
        "Email": "email",
        "Secondary_Email": "email",
        "Phone": "phone",
        "Email_Opt_Out": "boolean",
        "Unsubscribed_Mode": "picklist",
        "Unsubscribed_Time": "datetime",
        "Account_Name": "lookup",
        **_OF_EVERY_RECORD,
    },
    "Accounts": {"Account_Name": "text", "Phone": "phone", "Website": "website", **_OF_EVERY_RECORD},
    "Pipelines": {
        "Deal_Name": "text",
        "Stage": "picklist",
        "Amount": "currency",
        "Contact_Name": "lookup",
        "Account_Name": "lookup",
        **_OF_EVERY_RECORD,
    },
}


def complete(module: str, record: dict[str, Any], created_time: str) -> dict[str, Any]:
    """
    Return a record with the fields that Bigin adds.

    :param module: API name of the module.
    :param record: the given fields, including ``id``.
    :param created_time: when it was created, in Bigin's time format.
    """
    full = {
        **{name: False if kind == "boolean" else None for name, kind in FIELDS[module].items()},
        "Owner": OWNER,
        "Created_Time": created_time,
        "Modified_Time": created_time,
        **record,
    }
    if module == "Contacts" and "Full_Name" not in record:
        full["Full_Name"] = " ".join(filter(None, (full["First_Name"], full["Last_Name"])))
    return full


def new_token() -> str:
    """Return a random token in Zoho's format."""
    return f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"


def new_credentials() -> dict[str, str]:
    """Return random secrets for a connection, so that no two sandboxes share them."""
    return {"client_secret": secrets.token_hex(21), "refresh_token": new_token()}


def plant(store: Store, refresh_token: str, now: float, created_time: str) -> None:
    """Put the account's first refresh token and records into an empty store."""
    store.execute("INSERT OR REPLACE INTO refresh_token VALUES (?, ?)", refresh_token, now)
    for module, records in RECORDS.items():
        insert_records(store, module, [complete(module, record, created_time) for record in records], now)


def insert_records(store: Store, module: str, records: list[dict[str, Any]], now: float) -> None:
    """Store complete records, replacing any with the same id."""
    store.insert_many(
        "INSERT OR REPLACE INTO record VALUES (?, ?, lower(?), lower(?), ?, ?)",
        [
            (
                r["id"],
                module,
                r.get("Email"),
                r.get("Secondary_Email"),
                now,
                json.dumps(r, ensure_ascii=False),
            )
            for r in records
        ],
    )


def made_up(module: str, record_id: str) -> dict[str, Any]:
    """Return the fields of a made-up record; each contact has its own address."""
    number = record_id.lstrip("50")
    if module == "Contacts":
        return {
            "First_Name": "Contact",
            "Last_Name": f"No. {number}",
            "Email": f"contact{number}@example.org",
        }
    if module == "Accounts":
        return {"Account_Name": f"Company {number}"}
    return {
        "Deal_Name": f"Deal {number}",
        "Stage": "Qualification",
        "Contact_Name": RECORDS["Pipelines"][0]["Contact_Name"],
    }
