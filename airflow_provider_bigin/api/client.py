"""
The HTTP client: one method for each endpoint of Bigin's API v2 that the package uses.

See https://www.bigin.com/developer/docs/apis/v2/
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_bigin.api.answers import id_or_none, parse_json
from airflow_provider_bigin.api.clock import SYSTEM_CLOCK, Clock
from airflow_provider_bigin.api.data_centers import is_loopback
from airflow_provider_bigin.api.emails import VIEWS, email_pages, single_email
from airflow_provider_bigin.api.errors import (
    TOKEN_CODES,
    BiginAuthenticationError,
    BiginConnectionError,
    BiginCreditLimitError,
    BiginError,
    BiginFileRefusedError,
    BiginInvalidRequestError,
    BiginNotFoundError,
    BiginOptedOutError,
    BiginOutcomeUnknownError,
    BiginPermissionError,
    BiginServerError,
    BiginTokenLimitError,
    BiginTokenRefusedError,
    BiginValidationError,
    error_from_answer,
    seconds_or_none,
)
from airflow_provider_bigin.api.files import File, checked_size
from airflow_provider_bigin.api.images import image_address
from airflow_provider_bigin.api.mail import Address, Mail
from airflow_provider_bigin.api.oauth import without_auth
from airflow_provider_bigin.api.records import RecordRef, parse_module, parse_record_id
from airflow_provider_bigin.api.text import excerpt

if TYPE_CHECKING:
    import requests

    from airflow_provider_bigin.api.access_token import TokenSource
    from airflow_provider_bigin.api.oauth import AccessToken

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 30.0
PAGE_SIZE = 200
#: Keys of the list of from-addresses: clients of live Bigin read the first, the CRM documents the second.
FROM_ADDRESSES_KEYS = ("from_address", "from_addresses")
#: Maximum pages read of one list of records: a million records.
MAX_PAGES = 5000
#: Maximum recipients that Bigin may report as left out: as many as a mail can have.
MAX_BLOCKED = 150
#: Whether a contact has opted out of mail.
OPT_OUT_FIELD = "Email_Opt_Out"
#: How often a call that may be repeated is made, and the seconds before the second attempt.
READ_ATTEMPTS = 3
READ_PAUSE = 1.0
#: Maximum seconds that a response may take for its ``Date`` to be trusted, and that the date may differ from
#: our own clock.
MAX_DATE_AGE = 5.0
MAX_DATE_DIFFERENCE = 86400.0


@dataclass(frozen=True)
class SentMail:
    """
    What Bigin says about a mail that it accepted.

    ``blocked`` are the recipients that it left out, each with the reason.
    """

    message_id: str
    blocked: tuple[tuple[str, str], ...] = ()


class BiginClient:
    """
    Talk to Bigin on behalf of one connection; safe to use from several threads.

    :param tokens: where the access token comes from.
    :param session: the HTTP session; :func:`new_session` makes one.
    :param api_domain: host of the API, unless the access token came with one.
    :param pinned: use ``api_domain`` regardless of the host that the access token came with.
    :param timeout: seconds for a whole request, from the connection to the response's last byte.
    :param redirect_to: the address that gets all mails instead of their recipients.
    :param clock: tells the time and waits.
    """

    def __init__(
        self,
        tokens: TokenSource,
        *,
        session: requests.Session,
        api_domain: str,
        pinned: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        redirect_to: Address | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.timeout = timeout
        self.clock = clock
        self._tokens = tokens
        self._session = session
        self._api_domain = api_domain
        self._pinned = pinned
        self._redirect_to = redirect_to
        self._is_redirect_told = False
        #: Whether requests for a record's e-mails must name the fields to return; not known at first.
        self.emails_need_fields = False
        #: Bigin's time minus the monotonic clock's.
        self._server_ahead: float | None = None
        self._is_server_asked = False

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    # ---- mail ----

    def send_mail(
        self, module: str, record_id: str, mail: Mail, *, before_post: Callable[[], None] | None = None
    ) -> SentMail:
        """
        Send a mail from a record, as :meth:`outgoing` returns it.

        This makes one request, which is never repeated here once Bigin may have accepted it.

        See https://www.bigin.com/developer/docs/apis/v2/send-mail.html

        :param module: ``Contacts``, ``Accounts`` (Companies) or ``Pipelines`` (Deals).
        :param record_id: id of the record that the mail is filed under.
        :param mail: the mail.
        :param before_post: called twice right before the request, where only the second call counts toward
            the request's time; and again before the request that follows a refused token.
        :raises BiginOutcomeUnknownError: if it is not known whether the mail was sent.
        :raises BiginValidationError: if Bigin refuses the mail.
        :raises BiginFileRefusedError: if it refuses an id of ``attachments``; uploading again may help.
        :raises BiginOptedOutError: if the contact has opted out of mail.
        :raises BiginError: for anything else, see :mod:`airflow_provider_bigin.api.errors`; the mail was
            definitely not sent.
        """
        module = parse_module(module)
        path = f"{module}/{parse_record_id(record_id)}/actions/send_mail"
        request = f"POST /bigin/v2/{path}"
        self._tell_of_redirect()
        mail = self.outgoing(mail)
        try:
            answer = self._call("POST", path, json={"data": [mail.as_json()]}, before=before_post)
        except BiginInvalidRequestError as error:
            raise _mail_refused(error) from error
        except BiginPermissionError as error:
            if error.code == "NO_PERMISSION" and self._has_opted_out(module, record_id):
                raise _opted_out(error) from error
            raise
        except (BiginServerError, BiginConnectionError) as error:
            if error.request != request or was_never_sent(error.__cause__):
                raise  # the accounts server failed, or no connection was made: the mail was not sent
            raise _outcome_unknown(error, request) from error
        return _sent_mail(answer, mail, request)

    def outgoing(self, mail: Mail) -> Mail:
        """Return a mail as it is sent: to its recipients, or to the one address that gets all mails."""
        return mail.redirected(self._redirect_to) if self._redirect_to else mail

    def log_sent(self, record: RecordRef, mail: Mail, sent: SentMail) -> None:
        """Log what was sent, and where it is filed."""
        redirected = f", redirected to {self._redirect_to}" if self._redirect_to else ""
        log.info(
            "Sent %s%s. Its id is %s, and it is filed under %s.",
            mail.summary,
            redirected,
            sent.message_id,
            record,
        )

    def _tell_of_redirect(self) -> None:
        if self._redirect_to and not self._is_redirect_told:
            self._is_redirect_told = True  # once, not for each of thousands of mails
            log.warning(
                "The connection sends all mail to %s instead of its recipients (redirect_to).",
                self._redirect_to,
            )

    def get_from_addresses(self) -> list[dict[str, Any]]:
        """
        List the addresses that mails may be sent from.

        See https://www.bigin.com/developer/docs/apis/v2/get-from-addresses.html. Each has ``email`` and may
        have ``user_name``, ``type``, ``id`` and ``default``.
        """
        answer = self.read("settings/emails/actions/from_addresses")
        return _items(answer, *FROM_ADDRESSES_KEYS)

    def upload_files(self, files: Sequence[File]) -> list[str]:
        """
        Upload files to attach to mails; all sizes are checked before anything is read.

        See https://www.bigin.com/developer/docs/apis/v2/upload-files.html

        :param files: ``pathlib.Path`` or Airflow's ``ObjectStoragePath``, at most 20 MB each.
        :return: their ids, in the same order.
        :raises BiginValidationError: if a file is missing, empty or too large.
        """
        for file in files:
            checked_size(file)
        # One request for each: a file that is too large would fail all the others in its request. An orphan
        # left by a repeated upload does no harm.
        return [self._repeated(partial(self._upload_file, file)) for file in files]

    def upload_image(self, file: File) -> str:
        """
        Upload an image to show in the text of mails.

        See https://www.bigin.com/developer/docs/apis/v2/upload-files.html

        :param file: as for :meth:`upload_files`.
        :return: its URL, for the ``src`` of an ``img``.
        :raises BiginValidationError: if it is missing, empty or too large.
        """
        checked_size(file, "images")
        file_id = self._repeated(partial(self._upload_file, file, params={"type": "inline"}))
        return image_address(self._origin(self._tokens.get()), file_id)

    def get_emails(self, module: str, record_id: str, *, type: str | None = None) -> Iterator[dict[str, Any]]:
        """
        Iterate over the e-mails of a record.

        :func:`~airflow_provider_bigin.api.emails.list_emails` also reports whether the list is complete.

        See https://www.bigin.com/developer/docs/apis/v2/get-related-records.html and, for the entries,
        https://www.zoho.com/crm/developer/docs/api/v8/get-email-rel-list.html

        :param module: as in :meth:`send_mail`.
        :param record_id: as in :meth:`send_mail`.
        :param type: one view of the list, such as ``scheduled_in_crm``; not every edition accepts it.
        """
        pages = email_pages(self, RecordRef(module, record_id), views=(type,) if type else VIEWS)
        return (email.raw for page in pages for email in page.emails)

    def get_email(self, module: str, record_id: str, message_id: str) -> dict[str, Any] | None:
        """
        Read one e-mail of a record with its content; None if there is no such mail.

        See https://www.zoho.com/crm/developer/docs/api/v8/get-email-rel-list.html
        """
        path = f"{parse_module(module)}/{parse_record_id(record_id)}/Emails/{quote(message_id, safe='')}"
        try:
            return single_email(self.read(path), message_id)
        except BiginNotFoundError as error:
            if error.code == "INVALID_URL_PATTERN":
                raise  # this account's API has no endpoint for a single mail
            return None

    # ---- records ----

    def get_record(
        self, module: str, record_id: str, *, fields: Iterable[str] | None = None
    ) -> dict[str, Any] | None:
        """
        Read a record; None if there is none.

        See https://www.bigin.com/developer/docs/apis/v2/get-records.html

        :param module: API name of any module.
        :param record_id: id of the record.
        :param fields: API names of the fields to read; all if not given.
        """
        params = {"fields": ",".join(fields)} if fields else {}
        path = f"{_module_path(module)}/{parse_record_id(record_id)}"
        return next(iter(_items(self.read(path, params=params), "data")), None)

    def get_records(self, module: str, *, fields: Iterable[str], **params: Any) -> Iterator[dict[str, Any]]:
        """
        Iterate over all records of a module.

        See https://www.bigin.com/developer/docs/apis/v2/get-records.html

        :param module: API name of any module.
        :param fields: API names of the fields to read, at most 50; Bigin requires them.
        :param params: further parameters of the endpoint, such as ``sort_by``.
        """
        return self._pages(_module_path(module), {"fields": ",".join(fields), **params})

    def search_records(
        self,
        module: str,
        *,
        criteria: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        word: str | None = None,
        **params: Any,
    ) -> Iterator[dict[str, Any]]:
        """
        Iterate over the records that a search finds, of which Bigin returns the first 2,000.

        Its search index lags a few seconds behind changes.

        See https://www.bigin.com/developer/docs/apis/v2/search-records.html

        :param module: API name of any module.
        :param criteria: such as ``(City:equals:Chennai)``.
        :param email: an address to look for in all e-mail fields.
        :param phone: a number to look for in all phone fields.
        :param word: a word to look for everywhere.
        :param params: further parameters of the endpoint, such as ``fields``.
        :raises BiginInvalidRequestError: unless there is exactly one search term, or past 2,000 records.
        """
        searches = {"criteria": criteria, "email": email, "phone": phone, "word": word}
        given = {name: value for name, value in searches.items() if value}
        if len(given) != 1:
            raise BiginInvalidRequestError(
                f"search for exactly one of criteria, email, phone and word, not {sorted(given) or 'none'}"
            )
        return self._pages(f"{_module_path(module)}/search", {**given, **params})

    def get_current_user(self) -> dict[str, Any]:
        """
        Read the user that the token acts for: the cheapest call that proves a connection works.

        See https://www.bigin.com/developer/docs/apis/v2/get-users.html
        """
        return next(iter(_items(self.read("users", params={"type": "CurrentUser"}), "users")), {})

    def get_organization(self) -> dict[str, Any]:
        """
        Read the organization, with its ``company_name`` and its ``time_zone``, such as ``Asia/Riyadh``.

        See https://www.zoho.com/crm/developer/docs/api/v8/get-org-data.html; Bigin's call is similar.
        """
        return next(iter(_items(self.read("org"), "org")), {})

    # ---- any endpoint ----

    def run(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> Any:
        """
        Call any endpoint under ``/bigin/v2``, once.

        :param method: HTTP method.
        :param path: path below ``/bigin/v2/``, such as ``Contacts/5000000000000000101``.
        :param params: query parameters.
        :param json: body, as an object that can be serialized to JSON.
        :return: the decoded response; None if it is empty.
        :raises BiginError: see :mod:`airflow_provider_bigin.api.errors`.
        """
        path = _checked_path(path)
        if self._redirect_to and path.endswith("/actions/send_mail") and _mapping(json).get("data") != []:
            raise BiginInvalidRequestError(
                f"path: the connection sends all mail to {self._redirect_to} (redirect_to), but a mail"
                " posted here would go to its own recipients; use send_mail"
            )
        return self._call(method.upper(), path, params=params, json=json)

    def read(self, path: str, *, params: Mapping[str, Any] | None = None) -> Any:
        """Read from an endpoint under ``/bigin/v2``; retry after a transient failure."""
        return self._repeated(lambda: self._call("GET", path, params=params))

    def server_time(self) -> float | None:
        """
        Return the time by Bigin's clock in epoch seconds, or None if it is not available.

        It is the ``Date`` of the last response that came promptly, plus the time that has passed since. If
        there is none yet, a single request without a token asks for it; the mail that follows uses the same
        connection.
        """
        if self._server_ahead is None and not self._is_server_asked:
            from requests.exceptions import RequestException

            origin = self._origin(self._tokens.get())
            self._is_server_asked = True
            begun = self.clock.monotonic()
            with suppress(RequestException):
                response = self._session.head(
                    origin, auth=without_auth, timeout=self.timeout, allow_redirects=False
                )
                self._note_server_time(response, begun)
        return None if self._server_ahead is None else self.clock.monotonic() + self._server_ahead

    def _call(
        self, method: str, path: str, *, before: Callable[[], None] | None = None, **content: Any
    ) -> Any:
        """Make a request; if the access token is refused, the request did not run: renew and repeat once."""
        token = self._tokens.get()
        try:
            return self._request(method, path, token, before=before, **content)
        except BiginAuthenticationError as error:
            if error.code not in TOKEN_CODES:
                raise
            token = self._tokens.renew(token)
        try:
            return self._request(method, path, token, before=before, **content)
        except BiginAuthenticationError as error:
            if error.code not in TOKEN_CODES:
                raise
            hint = (
                "The access token was new, so the credentials are right: check the connection's region, and"
                " that nothing else keeps making tokens from the same refresh token"
            )
            raise _recast(error, BiginTokenRefusedError, hint=hint) from error

    def _request(
        self, method: str, path: str, token: AccessToken, *, before: Callable[[], None] | None, **content: Any
    ) -> Any:
        from requests.exceptions import RequestException

        from airflow_provider_bigin.api.deadline import AnswerTooLargeError, time_limit

        request = f"{method} /bigin/v2/{path}"
        origin = self._origin(token)
        if before:
            before()
        begun = self.clock.monotonic()
        try:
            with time_limit(self.timeout):
                if before:
                    before()  # now it is quick, and a process frozen after it has no time left to send a byte
                response = self._session.request(
                    method,
                    f"{origin}/bigin/v2/{path}",
                    # As `auth`, so that no ~/.netrc entry replaces it.
                    auth=lambda prepared: _authorized(prepared, token),
                    timeout=self.timeout,
                    allow_redirects=False,
                    **content,
                )
        except AnswerTooLargeError as error:
            raise BiginServerError(str(error), request=request) from None
        except RequestException as error:
            raise BiginConnectionError(
                f"no response ({_reason(error)})",
                request=request,
                hint=f"Check that this machine can reach {origin}; the timeout is {self.timeout:g} s",
            ) from _innermost(error)  # what wraps it quotes the URL, with the address searched for
        self._note_server_time(response, begun)
        return _read_answer(request, response)

    def _origin(self, token: AccessToken) -> str:
        return self._api_domain if self._pinned or not token.api_domain else token.api_domain

    def _note_server_time(self, response: requests.Response, begun: float) -> None:
        """
        Take the time from a response.

        One that came late may have waited for this process to wake up; an implausible date is ignored.
        """
        now = self.clock.monotonic()
        try:
            date = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except Exception:  # no header may break the parser here: the mail may have been accepted
            return
        if now - begun <= MAX_DATE_AGE and abs(date - self.clock.time()) <= MAX_DATE_DIFFERENCE:
            self._server_ahead = date - now

    def _repeated(self, call: Any) -> Any:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

        retrying = Retrying(
            retry=retry_if_exception(_may_be_read_again),
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_random_exponential(multiplier=READ_PAUSE),
            sleep=self.clock.sleep,
            reraise=True,
        )
        return retrying(call)

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Follow ``page``, and ``page_token`` beyond the 2,000 records that page numbers can reach."""
        position: dict[str, Any] = {"page": 1}
        tokens: set[str] = set()
        before: list[dict[str, Any]] = []
        for number in range(1, MAX_PAGES + 1):
            answer = self.read(path, params={"per_page": PAGE_SIZE, **params, **position})
            items, info = _items(answer, "data"), _mapping(_mapping(answer).get("info"))
            if items and items == before:
                raise _endless(path, f"page {number} was already read")
            yield from items
            if info.get("more_records") is not True:
                return
            if not items:
                raise _endless(path, f"page {number} is empty")
            before, token = items, info.get("next_page_token")
            if not isinstance(token, str) or not token:
                position = {"page": number + 1}
                continue
            if token in tokens:
                raise _endless(path, f"the page after page {number} was already read")
            tokens.add(token)
            position = {"page_token": token}
        raise _endless(path, f"more than {MAX_PAGES} pages")

    def _has_opted_out(self, module: str, record_id: str) -> bool:
        """Return whether a contact has opted out of mail; False if that cannot be read."""
        if module != "Contacts":
            return False
        try:
            contact = self.get_record(module, record_id, fields=[OPT_OUT_FIELD])
        except BiginError:
            return False
        return contact is not None and contact.get(OPT_OUT_FIELD) is True

    def _upload_file(self, file: File, **how: Any) -> str:
        # Read here: from Python 3.12 on, requests does not recognize a file in object storage as readable.
        with file.open("rb") as opened:
            content = opened.read()
        answer = self._call("POST", "files", files={"file": (file.name, content)}, **how)
        details = _mapping(next(iter(_items(answer, "data")), {}).get("details"))
        file_id = id_or_none(details.get("id"))
        if file_id is None:
            raise BiginServerError(
                f"the response has no file id for {file.name!r}", request="POST /bigin/v2/files"
            )
        return file_id


def new_session() -> requests.Session:
    """
    Create the session that a client keeps.

    It has pooled connections, verified TLS, no retries of its own, and the environment's proxies except from
    this machine to itself. The ``timeout`` of its requests covers the whole request.
    """
    import requests

    from airflow_provider_bigin import __version__
    from airflow_provider_bigin.api.deadline import DeadlineAdapter

    class Session(requests.Session):
        def merge_environment_settings(self, url: Any, *args: Any) -> Any:
            settings = super().merge_environment_settings(url, *args)
            return {**settings, "proxies": {}} if is_loopback(url) else settings

        def get_redirect_target(self, resp: Any) -> None:
            """Return None: no redirect is followed, so its target is not even read."""

    session = Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, DeadlineAdapter())
    session.headers["User-Agent"] = f"airflow-provider-bigin/{__version__}"
    return session


def was_never_sent(error: BaseException | None) -> bool:
    """
    Return whether a request failed before its first byte could be sent.

    The host has no address, does not accept the connection, or has a certificate that is not trusted.
    """
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    return isinstance(
        _innermost(error), (ConnectTimeoutError, NewConnectionError, ssl.SSLCertVerificationError)
    )


def _read_answer(request: str, response: requests.Response) -> Any:
    """Return the decoded body, None if it is empty, or raise the error that the response reports."""
    if response.status_code == 200 and not response.content and request.startswith("GET "):
        # Bigin's response for "nothing found" is a 204.
        raise BiginServerError("the response is empty", status=200, request=request)
    try:
        body = parse_json(response.content) if response.content else None
    except ValueError:
        body = None
        if 200 <= response.status_code < 300:
            raise BiginServerError(
                "the response is not JSON, or is nested too deeply",
                status=response.status_code,
                request=request,
            ) from None
    error = error_from_answer(
        request,
        response.status_code,
        body,
        retry_after=seconds_or_none(response.headers.get("Retry-After")),
        no_credits_left=response.headers.get("X-API-CREDITS-REMAINING") == "0",
    )
    if error:
        raise error
    return body


def _sent_mail(answer: Any, mail: Mail, request: str) -> SentMail:
    details = _mapping(next(iter(_items(answer, "data")), {}).get("details"))
    message_id = id_or_none(details.get("message_id"))
    if message_id is None:
        error = BiginServerError("the response has no message_id", request=request)
        raise _outcome_unknown(error, request) from error
    reported = details.get("blocked_email_addresses")
    blocked = tuple(
        (excerpt(str(item.get("email"))), excerpt(str(item.get("reason") or "no reason given")))
        for item in (reported[:MAX_BLOCKED] if isinstance(reported, list) else ())
        if isinstance(item, Mapping)
    )
    if {address.email.casefold() for address in mail.to} <= {email.casefold() for email, _ in blocked}:
        raise BiginValidationError(
            "Bigin blocks everyone in `to`, so none of them got the mail:"
            f" {'; '.join(f'{email} ({why})' for email, why in blocked)}",
            details=details,
            request=request,
        )
    for email, why in blocked:
        log.warning("The mail was sent, but Bigin left out %s: %s", email, why)
    return SentMail(message_id, blocked)


def _mail_refused(error: BiginError) -> BiginError:
    """Distinguish the refusal of a file's id, which another upload fixes, from all others."""
    place = str(error.details.get("json_path") or error.details.get("api_name"))
    is_about_file = "attachments" in place or "no file exists" in error.message.lower()
    if error.code != "INVALID_DATA" or not is_about_file:
        return _recast(error, BiginValidationError, hint=error.hint)
    hint = "An uploaded file may be valid for only one mail, or only for some time: upload it again"
    return _recast(error, BiginFileRefusedError, hint=hint)


def _opted_out(error: BiginError) -> BiginError:
    """Explain what a refused permission means for a contact who has opted out."""
    return BiginOptedOutError(
        "the contact has opted out of e-mail",
        status=error.status,
        code=error.code,
        details={"api_name": OPT_OUT_FIELD},
        request=error.request,
        hint=f"Mail only contacts who have not opted out; with criteria ({OPT_OUT_FIELD}:equals:false)"
        " BiginRecordsOperator reads only those",
    )


def _outcome_unknown(error: BiginError, request: str) -> BiginOutcomeUnknownError:
    return BiginOutcomeUnknownError(
        f"the mail may or may not have been sent: {error.message}",
        status=error.status,
        code=error.code,
        request=request,
    )


def _recast(error: BiginError, error_class: type[BiginError], *, hint: str | None) -> BiginError:
    """Return the same error as an instance of another class."""
    return error_class(
        error.message,
        status=error.status,
        code=error.code,
        details=error.details,
        request=error.request,
        retry_after=error.retry_after,
        hint=hint,
    )


def _may_be_read_again(error: BaseException) -> bool:
    """Return whether the call may succeed some seconds later."""
    return (
        isinstance(error, BiginError)
        and error.retryable
        and not isinstance(error, (BiginCreditLimitError, BiginTokenLimitError, BiginTokenRefusedError))
    )


def _items(answer: Any, *keys: str) -> list[dict[str, Any]]:
    """Return the list under the first key that is present; Zoho's products name the same list differently."""
    found = (
        next((answer[key] for key in keys if key in answer), None) if isinstance(answer, Mapping) else None
    )
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _endless(path: str, why: str) -> BiginServerError:
    return BiginServerError(f"the list of records does not end: {why}", request=f"GET /bigin/v2/{path}")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _module_path(module: str) -> str:
    if not isinstance(module, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", module):
        raise BiginInvalidRequestError(
            f"module: {module!r} is not a valid API name of a module, such as Contacts"
        )
    return module


def _checked_path(path: str) -> str:
    path = path.strip("/")
    parts = path.split("/")
    if (
        not re.fullmatch(r"[A-Za-z0-9_/.~%-]+", path)
        or "." in parts
        or ".." in parts
        or "" in parts
        or "%" in path
    ):
        raise BiginInvalidRequestError(
            f"path: {path!r} is not a valid path below /bigin/v2/, such as Contacts/5000000000000000101"
        )
    return path


def _authorized(prepared: requests.PreparedRequest, token: AccessToken) -> requests.PreparedRequest:
    prepared.headers["Authorization"] = f"Zoho-oauthtoken {token.value}"
    return prepared


def _reason(error: BaseException) -> str:
    """Describe the innermost cause; the messages around it repeat the whole URL."""
    cause = _innermost(error)
    return (
        f"{type(cause).__name__}: {cause.strerror}"
        if isinstance(cause, OSError) and cause.strerror
        else type(cause).__name__
    )


def _innermost(error: BaseException | None) -> BaseException | None:
    """
    Return the exception that requests and urllib3 have wrapped.

    They put it in MaxRetryError.reason, ProxyError.original_error and first arguments.
    """
    while error is not None:
        wrapped = (
            getattr(error, "reason", None)
            or getattr(error, "original_error", None)
            or next(iter(error.args), None)
        )
        if not isinstance(wrapped, BaseException):
            return error
        error = wrapped
    return None
