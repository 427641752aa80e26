"""The sandbox's settings, which ``PATCH /sandbox/settings`` changes while it runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_bigin.sandbox import seed


class Settings(BaseModel):
    """A field for everything that varies by account, is undocumented in Bigin, or can fail for long."""

    model_config = ConfigDict(extra="forbid")

    # OAuth
    token_limits: bool = True
    throttle_status: Literal[400, 200] = 400
    throttle_language: Literal["en", "zh"] = "en"
    throttle_needs_silence: bool = False
    expires_in_ms: bool = False
    token_api_domain: str | None = None
    token_answer_scope: bool = True
    scopes: list[str] = Field(default_factory=lambda: list(seed.SCOPES))

    # Every call of the API
    latency: float = Field(default=0.0, ge=0)
    credits_remaining: int | None = None
    concurrency_limit: int | None = None
    error_status: bool = True
    date: Literal["right", "missing", "nonsense"] = "right"
    date_skew: float = 0.0

    # Sending
    from_addresses: list[dict[str, Any]] = Field(
        default_factory=lambda: [dict(a) for a in seed.FROM_ADDRESSES]
    )
    from_addresses_key: Literal["from_address", "from_addresses"] = "from_address"
    blocked_addresses: list[str] = []
    daily_mail_limit: int | None = None
    scheduling: bool = True
    single_use_files: bool = False

    # The Emails related list
    emails_key: Literal["Emails", "email_related_list", "data", "unknown"] = "Emails"
    emails_info: bool = True
    emails_entries: Literal["objects", "texts"] = "objects"
    emails_missing: list[str] = []
    emails_empty: Literal["null", "array", "object"] = "null"
    emails_fields_required: bool = False
    emails_paging: Literal["next_index", "page_token", "page", "none"] = "next_index"
    emails_utc_offset: float | None = Field(default=3.0, ge=-23, le=23)
    emails_skew: float = 0.0
    emails_rounding: int = Field(default=1, ge=1)
    emails_subject_length: int | None = Field(default=None, ge=0)
    emails_lag: float = Field(default=0.0, ge=0)
    emails_default_empty: bool = False
    emails_type: bool = True
    single_mail: bool = True
    strip_markup: bool = False
    content_footer: str = ""
    rewrite_sender: bool = False
    reorder_recipients: bool = False
    emails_outage: Literal["500", "CANNOT_PROCESS", "timeout", "429", "scope", "plan"] | None = None

    # Search
    search_lag: float = Field(default=0.0, ge=0)

    def patched(self, changes: dict[str, Any]) -> Settings:
        """
        Return these settings with some of them changed.

        :param changes: new values by name.
        :raises pydantic.ValidationError: if a name is unknown or a value is invalid.
        """
        return Settings.model_validate({**self.model_dump(), **changes})
