"""Responses in Bigin's format."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

JSON_TYPE = "application/json;charset=UTF-8"


class BiginResponse(Response):
    """JSON as Zoho's servers write it."""

    media_type = JSON_TYPE

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return to_json(content)


def to_json(content: Any) -> bytes:
    """Return compact UTF-8 JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def no_content() -> Response:
    """Return the 204 that stands for "nothing found"."""
    return Response(status_code=204)


class ApiError(Exception):
    """
    An error in Bigin's format.

    :param status: the HTTP status.
    :param code: the error code.
    :param message: the error message.
    :param details: what is wrong and where; Bigin sometimes sends ``[]`` here.
    :param item: whether the error is wrapped in ``data[]``, like the errors of an item, instead of flat.
    """

    def __init__(
        self, status: int, code: str, message: str, details: Any = None, *, item: bool = False
    ) -> None:
        super().__init__(code)
        self.status = status
        error = {
            "code": code,
            "details": {} if details is None else details,
            "message": message,
            "status": "error",
        }
        self.body: dict[str, Any] = {"data": [error]} if item else error

    def response(self) -> BiginResponse:
        """Return the HTTP response."""
        return BiginResponse(self.body, self.status)


def without_status(body: bytes) -> bytes:
    """Return an error body without its ``status``, as Bigin sometimes sends it; keep other bodies."""
    try:
        error = json.loads(body)
        (error["data"][0] if "data" in error else error).pop("status", None)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):  # HTML, truncated, empty
        return body
    return to_json(error)


def authentication_failure() -> ApiError:
    """Return the error for a call without a usable ``Authorization`` header."""
    return ApiError(401, "AUTHENTICATION_FAILURE", "Authentication failed")


def invalid_token() -> ApiError:
    """Return the error for an access token that is unknown, expired, or evicted."""
    return ApiError(401, "INVALID_TOKEN", "invalid oauth token")


def scope_mismatch() -> ApiError:
    """Return the error for a token that does not cover the call; Bigin's ``details`` are a list here."""
    return ApiError(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL", [])


def page_token_expired() -> ApiError:
    """Return the error for a page token that has expired."""
    return ApiError(400, "EXPIRED_VALUE", "the page_token is expired", {"param_name": "page_token"})


def too_many_requests(message: str) -> ApiError:
    """Return a 429 with the given message."""
    return ApiError(429, "TOO_MANY_REQUESTS", message)


def sub_concurrency() -> ApiError:
    """Return the 429 for too many concurrent calls."""
    return too_many_requests(
        "You have exceeded the sub-concurrency limit of this API. Please try again after some time."
    )


def no_credits() -> ApiError:
    """Return the 429 for having used up the day's API credits."""
    return too_many_requests("You have exceeded the API credits of your organization for 24 hours.")


def daily_limit() -> ApiError:
    """Return the error for a mail that exceeds the daily limit."""
    return ApiError(400, "LIMIT_EXCEEDED", "You have reached the limit of mails per day.", item=True)


def invalid_id(path_index: int) -> ApiError:
    """
    Return the error for an invalid id in the path.

    :param path_index: its position in the path; 1 is the record, 3 a related item.
    """
    which = "id" if path_index == 1 else "related id"
    return ApiError(
        400, "INVALID_DATA", f"the {which} given seems to be invalid", {"resource_path_index": path_index}
    )


def invalid_module() -> ApiError:
    """Return the error for an invalid module."""
    message = "the module name given seems to be invalid"
    return ApiError(400, "INVALID_MODULE", message, {"resource_path_index": 0})


def unknown_url() -> ApiError:
    """Return the error for a URL that is not an endpoint."""
    return ApiError(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")


def unknown_file(index: int) -> ApiError:
    """
    Return the error for an attachment that was never uploaded or has been used up.

    :param index: its position in the list of attachments.
    """
    details = {"api_name": "id", "json_path": f"$.data[0].attachments[{index}].id"}
    message = "There is no file exists with the given id"
    return ApiError(400, "INVALID_DATA", message, details, item=True)


def missing_parameter(name: str) -> ApiError:
    """Return the error for a missing query parameter."""
    message = "One of the expected parameter is missing"
    return ApiError(400, "REQUIRED_PARAM_MISSING", message, {"param_name": name})
