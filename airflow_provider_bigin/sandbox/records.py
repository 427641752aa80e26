"""Records: getting one, listing all, and searching."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_bigin.sandbox import criteria
from airflow_provider_bigin.sandbox.answers import (
    ApiError,
    BiginResponse,
    invalid_module,
    missing_parameter,
    no_content,
    page_token_expired,
)
from airflow_provider_bigin.sandbox.auth import authorize
from airflow_provider_bigin.sandbox.clock import iso
from airflow_provider_bigin.sandbox.cursors import PAGE_TOKEN_LIFETIME, seal, unseal
from airflow_provider_bigin.sandbox.seed import MODULES
from airflow_provider_bigin.sandbox.state import Sandbox, SandboxOfRequest
from airflow_provider_bigin.sandbox.store import Store

router = APIRouter(prefix="/bigin/v2/{module}")

PER_PAGE = 200
FIELDS = 50
WITHOUT_TOKEN = 2000

Record = dict[str, Any]

_PAGE = {
    "asc": "SELECT rowid, fields FROM record WHERE module = :module AND (:last = 0 OR rowid > :last)"
    " ORDER BY rowid LIMIT :limit OFFSET :offset",
    "desc": "SELECT rowid, fields FROM record WHERE module = :module AND (:last = 0 OR rowid < :last)"
    " ORDER BY rowid DESC LIMIT :limit OFFSET :offset",
}


@router.get("")
async def list_records(module: str, request: Request, sandbox: SandboxOfRequest) -> Response:
    """List records by page; beyond the first 2,000, only with ``page_token``."""
    _check_module(module, request, sandbox)
    fields = _fields(request)
    if fields is None:
        raise missing_parameter("fields")
    order = request.query_params.get("sort_order", "desc")
    if order not in _PAGE:
        raise _invalid_parameter("sort_order")
    per_page = _number(request, "per_page", PER_PAGE, PER_PAGE)
    list_name = f"{module}/{order}/{per_page}"
    now = sandbox.clock.now()
    page, last = _position(request, list_name, per_page, now)
    rows = sandbox.store.rows(
        _PAGE[order],
        module=module,
        last=last,
        limit=per_page + 1,
        offset=0 if last else (page - 1) * per_page,
    )
    if not rows:
        return no_content()
    shown, more = rows[:per_page], len(rows) > per_page
    info = _info(len(shown), page, per_page, order, more)
    info["next_page_token"] = seal(list_name, page + 1, shown[-1]["rowid"], int(now)) if more else None
    info["previous_page_token"] = None
    info["page_token_expiry"] = iso(now + PAGE_TOKEN_LIFETIME) if more else None
    return BiginResponse(
        {"data": [_selected(json.loads(row["fields"]), fields) for row in shown], "info": info}
    )


@router.get("/search")
async def search_records(module: str, request: Request, sandbox: SandboxOfRequest) -> Response:
    """Find records by exactly one of ``criteria``, ``email``, ``phone``, and ``word``."""
    _check_module(module, request, sandbox, "ZohoSearch.securesearch.READ")
    per_page = _number(request, "per_page", PER_PAGE, PER_PAGE)
    page = _number(request, "page", 1, WITHOUT_TOKEN // per_page)
    found = _found(module, request, sandbox)
    shown = found[(page - 1) * per_page : page * per_page]
    if not shown:
        return no_content()
    fields = _fields(request)
    more = len(found) > page * per_page
    return BiginResponse(
        {
            "data": [_selected(record, fields) for record in shown],
            "info": _info(len(shown), page, per_page, "desc", more),
        }
    )


@router.get("/{record_id}")
async def get_record(module: str, record_id: str, request: Request, sandbox: SandboxOfRequest) -> Response:
    """Return one record; for a missing one, return 204 instead of an error."""
    _check_module(module, request, sandbox)
    record = find_record(sandbox.store, module, record_id)
    return no_content() if record is None else BiginResponse({"data": [_selected(record, _fields(request))]})


def find_record(store: Store, module: str, record_id: str) -> Record | None:
    """Return a record, or None."""
    fields = store.value("SELECT fields FROM record WHERE id = ? AND module = ?", record_id, module)
    return None if fields is None else json.loads(fields)


def contacts_of(store: Store, account_id: str) -> list[str]:
    """Return the ids of a company's contacts."""
    rows = store.rows(
        "SELECT id FROM record WHERE module = 'Contacts' AND json_extract(fields, '$.Account_Name.id') = ?",
        account_id,
    )
    return [row["id"] for row in rows]


def _check_module(module: str, request: Request, sandbox: Sandbox, *more_scopes: str) -> None:
    authorize(request, sandbox, f"ZohoBigin.modules.{module}.READ", *more_scopes)
    if module not in MODULES:
        raise invalid_module()


def _found(module: str, request: Request, sandbox: Sandbox) -> list[Record]:
    """Return all records that match the request's search, newest first."""
    given = [(name, request.query_params[name]) for name in _SEARCHES if name in request.query_params]
    if not given:
        raise missing_parameter("criteria")
    if len(given) > 1:
        details = {"ambiguity_due_to": [{"param_name": name} for name, _ in given]}
        message = "Ambiguity while processing the request"
        raise ApiError(400, "AMBIGUITY_DURING_PROCESSING", message, details)
    name, value = given[0]
    indexed_before = sandbox.clock.now() - sandbox.settings.search_lag
    rows = sandbox.store.rows(
        "SELECT fields FROM record WHERE module = :module AND created_at <= :before"
        " AND (:email IS NULL OR lower(:email) IN (email, secondary_email)) ORDER BY rowid DESC",
        module=module,
        before=indexed_before,
        email=value if name == "email" else None,
    )
    matches = _SEARCHES[name](value)
    return [record for row in rows if matches(record := json.loads(row["fields"]))]


def _by_criteria(text: str) -> criteria.Predicate:
    try:
        return criteria.parse(text)
    except ValueError as error:
        raise ApiError(400, "INVALID_QUERY", "invalid query formed", {"reason": str(error)}) from None


def _by_email(text: str) -> criteria.Predicate:
    return lambda record: True  # the SQL query has already filtered


def _by_phone(text: str) -> criteria.Predicate:
    wanted = _digits(text)
    return lambda record: bool(wanted) and _digits(record.get("Phone") or "") == wanted


def _by_word(text: str) -> criteria.Predicate:
    if len(text) < 2:
        raise ApiError(400, "INVALID_DATA", "invalid data", {"param_name": "word", "minimum_length": 2})
    wanted = text.casefold()
    return lambda record: any(isinstance(v, str) and wanted in v.casefold() for v in record.values())


_SEARCHES: dict[str, Callable[[str], criteria.Predicate]] = {
    "criteria": _by_criteria,
    "email": _by_email,
    "phone": _by_phone,
    "word": _by_word,
}


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _fields(request: Request) -> list[str] | None:
    text = request.query_params.get("fields")
    if not text:
        return None
    fields = [name.strip() for name in text.split(",")]
    if len(fields) > FIELDS:
        details = {"param_name": "fields", "limit": FIELDS}
        raise ApiError(400, "LIMIT_EXCEEDED", "Fields limit exceeded.", details)
    return fields


def _selected(record: Record, fields: list[str] | None) -> Record:
    if fields is None:
        return record
    return {"id": record["id"], **{name: record[name] for name in fields if name in record}}


def _position(request: Request, list_name: str, per_page: int, now: float) -> tuple[int, int]:
    """Return the number of the requested page and the row it follows if a token names one."""
    token = request.query_params.get("page_token")
    if token is not None:
        position = unseal(list_name, token)
        if position is None:
            raise _invalid_parameter("page_token")
        number, last, made_at = position
        if now > made_at + PAGE_TOKEN_LIFETIME:
            raise page_token_expired()
        return number, last
    page = _number(request, "page", 1)
    if page * per_page > WITHOUT_TOKEN:
        message = "You can only get the first 2000 records without using page_token param."
        details = {"limit": WITHOUT_TOKEN}
        raise ApiError(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", message, details)
    return page, 0


def _number(request: Request, name: str, default: int, maximum: int | None = None) -> int:
    text = request.query_params.get(name, str(default))
    if (
        not (text.isascii() and text.isdigit())
        or int(text) < 1
        or (maximum is not None and int(text) > maximum)
    ):
        raise _invalid_parameter(name)
    return int(text)


def _invalid_parameter(name: str) -> ApiError:
    return ApiError(400, "INVALID_DATA", "invalid data", {"param_name": name})


def _info(count: int, page: int, per_page: int, order: str, more: bool) -> dict[str, Any]:
    return {
        "per_page": per_page,
        "count": count,
        "sort_by": "id",
        "page": page,
        "sort_order": order,
        "more_records": more,
    }
