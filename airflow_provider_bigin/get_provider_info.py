"""Everything that Airflow discovers about the package; loaded at every start of Airflow, so it is light."""

from __future__ import annotations

from typing import Any

DOCUMENTATION = "https://www.bigin.com/developer/docs/apis/v2/"

#: The connection form beyond login and password. Airflow 3.2 and later render it from here, earlier versions
#: from the hook's widgets.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "region": {
        "label": "Region",
        "description": "The domain in the URL of your Bigin: zoho.eu for bigin.zoho.eu",
        "schema": {
            "type": ["string", "null"],
            "enum": [
                "zoho.com",
                "zoho.eu",
                "zoho.com.au",
                "zoho.in",
                "zoho.com.cn",
                "zoho.jp",
                "zoho.sa",
                "zohocloud.ca",
            ],
            "default": "zoho.com",
        },
    },
    "refresh_token": {
        "label": "Refresh token",
        "description": "From your Zoho self client; access tokens are made from it",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "access_token": {
        "label": "Access token",
        "description": "Used as is, instead of client ID, client secret and refresh token; it expires"
        " after an hour",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "from_email": {
        "label": "From",
        "description": "Default sender, such as: Reports <reports@example.com>. If empty, Bigin's default"
        " from-address",
        "schema": {"type": ["string", "null"]},
    },
    "redirect_to": {
        "label": "Send all mail to",
        "description": "For tests and staging: every mail goes only to this address, instead of its to, cc"
        " and bcc",
        "schema": {"type": ["string", "null"]},
    },
    "module": {
        "label": "Default record: module",
        "description": "Where notifications and failure mails are filed",
        "schema": {"type": ["string", "null"], "enum": ["Contacts", "Companies", "Deals"]},
    },
    "record_id": {
        "label": "Default record: id",
        "description": "The record's URL in Bigin, or the long number in it",
        "schema": {"type": ["string", "null"]},
    },
    "timeout": {
        "label": "Timeout",
        "description": "In seconds, for a whole request; 30 if empty",
        "schema": {"type": ["string", "null"]},
    },
    "api_domain": {
        "label": "API domain (advanced)",
        "description": "Only for a sandbox, such as http://127.0.0.1:8480",
        "schema": {"type": ["string", "null"]},
    },
    "accounts_server": {
        "label": "Accounts server (advanced)",
        "description": "Only for a sandbox, such as http://127.0.0.1:8480",
        "schema": {"type": ["string", "null"]},
    },
}

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["host", "port", "schema"],
    "relabeling": {"login": "Client ID", "password": "Client secret"},
    "placeholders": {"login": "1000.XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"},
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description in Airflow's schema."""
    return {
        "package-name": "airflow-provider-bigin",
        "name": "Bigin by Zoho CRM",
        "description": "Send mail through Bigin by Zoho CRM: once, and only once.",
        "integrations": [
            {
                "integration-name": "Bigin",
                "external-doc-url": DOCUMENTATION,
                "how-to-guide": ["/docs/how-to/index.md"],
                "logo": "/docs/images/logo.svg",
                "tags": ["service"],
            },
        ],
        "hooks": [{"integration-name": "Bigin", "python-modules": ["airflow_provider_bigin.hooks.bigin"]}],
        "operators": [
            {"integration-name": "Bigin", "python-modules": ["airflow_provider_bigin.operators.bigin"]}
        ],
        "sensors": [
            {"integration-name": "Bigin", "python-modules": ["airflow_provider_bigin.sensors.bigin"]}
        ],
        "triggers": [
            {"integration-name": "Bigin", "python-modules": ["airflow_provider_bigin.triggers.bigin"]}
        ],
        "notifications": ["airflow_provider_bigin.notifications.bigin.BiginNotifier"],
        "email-backends": ["airflow_provider_bigin.utils.emailer.send_email"],
        "connection-types": [
            {
                "connection-type": "bigin",
                "hook-class-name": "airflow_provider_bigin.hooks.bigin.BiginHook",
                "hook-name": "Bigin by Zoho CRM",
                "conn-fields": CONNECTION_FIELDS,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
            }
        ],
        "cli": ["airflow_provider_bigin.cli.definition.get_cli_commands"],
        "config": {
            "bigin": {
                "description": "Options of the Bigin provider.",
                "options": {
                    "token_cache": {
                        "description": (
                            "Where access tokens are stored, encrypted, for all tasks that use the same"
                            " credentials.\n"
                            "``file``: under AIRFLOW_HOME, for workers on one machine. ``variable``: in an"
                            " Airflow Variable,\n"
                            "for workers on many machines (Celery, Kubernetes). ``none``: separately in each"
                            " process."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "variable",
                        "default": "file",
                        "sensitive": False,
                    },
                    "sandbox_hosts": {
                        "description": (
                            "Sandboxes on other machines that connections may use as their servers:\n"
                            "origins, separated by commas. Client secrets and tokens are sent to them."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "http://sandbox.internal:8480",
                        "default": "",
                        "sensitive": False,
                    },
                    "state": {
                        "description": (
                            "Where a task records which of its mails were sent, so that a retry does not send"
                            " them again.\n"
                            "``auto``: in the task state store of Airflow 3.3; in earlier versions, in an"
                            " Airflow Variable for each\n"
                            "task instance, which is deleted when the task succeeds. ``none``: nowhere, for"
                            " tasks that cannot write\n"
                            "Variables; a retry then looks for each mail among the e-mails of its record."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "none",
                        "default": "auto",
                        "sensitive": False,
                    },
                },
            },
        },
    }
