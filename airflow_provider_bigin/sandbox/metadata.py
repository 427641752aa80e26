"""The account's metadata: its modules and their fields."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_bigin.sandbox.answers import BiginResponse, invalid_module, missing_parameter
from airflow_provider_bigin.sandbox.auth import authorize
from airflow_provider_bigin.sandbox.seed import FIELDS, MODULES
from airflow_provider_bigin.sandbox.state import SandboxOfRequest

router = APIRouter(prefix="/bigin/v2/settings")

# By API name: the singular and the plural on Bigin's pages.
_LABELS = {
    "Contacts": ("Contact", "Contacts"),
    "Accounts": ("Company", "Companies"),
    "Pipelines": ("Deal", "Pipelines"),
}
_JSON_TYPES = {
    "boolean": "boolean",
    "currency": "double",
    "lookup": "jsonobject",
    "ownerlookup": "jsonobject",
}
_MANDATORY = {"Contacts": "Last_Name", "Accounts": "Account_Name", "Pipelines": "Deal_Name"}
_LOOKUPS = {"Account_Name": "Accounts", "Contact_Name": "Contacts"}


@router.get("/modules")
async def modules(request: Request, sandbox: SandboxOfRequest) -> Response:
    """List the modules."""
    authorize(request, sandbox, "ZohoBigin.settings.modules.READ")
    return BiginResponse({"modules": [_module(name) for name in MODULES]})


@router.get("/fields")
async def fields(request: Request, sandbox: SandboxOfRequest) -> Response:
    """List the fields of the module that ``module`` names."""
    authorize(request, sandbox, "ZohoBigin.settings.fields.READ")
    module = request.query_params.get("module")
    if not module:
        raise missing_parameter("module")
    if module not in MODULES:
        raise invalid_module()
    return BiginResponse({"fields": [_field(module, name) for name in FIELDS[module]]})


def _module(name: str) -> dict[str, Any]:
    singular, plural = _LABELS[name]
    return {
        **_minified(name),
        "module_name": plural,
        "singular_label": singular,
        "plural_label": plural,
        "generated_type": "default",
        "api_supported": True,
        "creatable": True,
        "editable": True,
        "deletable": True,
        "viewable": True,
    }


def _field(module: str, name: str) -> dict[str, Any]:
    data_type = FIELDS[module][name]
    lookup = {"module": _minified(_LOOKUPS[name])} if data_type == "lookup" else {}
    return {
        "id": f"{_minified(module)['id']}{[*FIELDS[module]].index(name):02}",
        "api_name": name,
        "field_label": name.replace("_", " "),
        "data_type": data_type,
        "json_type": _JSON_TYPES.get(data_type, "string"),
        "lookup": lookup,
        "system_mandatory": name == _MANDATORY[module],
        "custom_field": False,
        "visible": True,
    }


def _minified(module: str) -> dict[str, str]:
    return {"api_name": module, "id": f"500000000000004{MODULES.index(module):02}"}
