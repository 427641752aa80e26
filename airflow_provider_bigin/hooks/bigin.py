"""The hook, which makes a client of Bigin's API from an Airflow connection of type ``bigin``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.clock import SYSTEM_CLOCK, Clock
from airflow_provider_bigin.api.errors import (
    BiginAuthenticationError,
    BiginConfigurationError,
    BiginError,
    BiginNotFoundError,
    BiginScopeError,
)
from airflow_provider_bigin.api.mail import Address, Mail
from airflow_provider_bigin.api.records import RecordRef, read_record
from airflow_provider_bigin.api.text import excerpt
from airflow_provider_bigin.get_provider_info import CONNECTION_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_bigin.hooks.paths import to_paths
from airflow_provider_bigin.version_compat import BaseHook, count, mask_secret

if TYPE_CHECKING:
    from airflow_provider_bigin.api.access_token import TokenSource
    from airflow_provider_bigin.api.client import BiginClient, SentMail
    from airflow_provider_bigin.hooks.connection import ConnectionSettings


def _secret_input(field: Any, **attributes: Any) -> Any:
    """
    Render a secret in the form of Airflow 2.11, which deletes a secret that comes back empty.

    A stored secret is rendered as the placeholder that Airflow replaces with it. A secret that was typed into
    a form that is shown again, because of an error in another field, is rendered as it was typed.
    """
    from airflow.www.views import SENSITIVE_FIELD_PLACEHOLDER
    from wtforms.widgets import PasswordInput

    is_stored = field.data and field.raw_data is None
    value = SENSITIVE_FIELD_PLACEHOLDER if is_stored else field.data or ""
    return PasswordInput(hide_value=False)(field, value=value, **attributes)


def _scope_of(error: BiginScopeError) -> str:
    """Return the scope that a request of the Test button lacked."""
    path = (error.request or "").partition("/bigin/v2/")[2]
    scopes = {"users": "ZohoBigin.users.READ", "settings": "ZohoBigin.settings.emails.READ"}
    return scopes.get(path.partition("/")[0], "ZohoBigin.modules.READ")


def _drop_down(field: Any, choices: Iterable[str], **attributes: Any) -> str:
    """
    Render a drop-down in the form of Airflow 2.11, which does not accept select fields.

    The stored value is kept, even if it is not one of the choices, or is empty.
    """
    from html import escape

    from wtforms.widgets import html_params

    chosen = field.data or ""
    options = (
        f"<option {html_params(value=value, selected=value == chosen)}>{escape(value)}</option>"
        for value in dict.fromkeys(["", *choices, chosen])
    )
    return f"<select {html_params(id=field.id, name=field.name, **attributes)}>{''.join(options)}</select>"


class BiginHook(BaseHook):
    """
    Talk to Bigin by Zoho CRM through an Airflow connection.

    .. seealso::
        - https://www.bigin.com/developer/docs/apis/v2/
        - :class:`~airflow_provider_bigin.operators.bigin.BiginSendMailOperator`, which also keeps a retry
          from mailing twice

    .. code-block:: python

        @task
        def thank(record_id: str) -> str:
            return BiginHook().send_mail(record_id=record_id, to="ada@example.org", subject="Thanks")

    The methods raise :class:`~airflow_provider_bigin.api.errors.BiginError`.

    :param bigin_conn_id: id of a connection of type ``bigin``.
    """

    conn_name_attr = "bigin_conn_id"
    default_conn_name = "bigin_default"
    conn_type = "bigin"
    hook_name = "Bigin by Zoho CRM"

    #: The only source of time and the only thing that waits.
    clock: Clock = SYSTEM_CLOCK
    #: Whether to wait up to a quarter of an hour while the accounts server is not issuing tokens.
    is_patient = True

    def __init__(self, bigin_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bigin_conn_id = bigin_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's fields for Airflow before 3.2, from the declaration that later versions read."""
        from wtforms import PasswordField, StringField
        from wtforms.validators import Optional

        def new_field(label: str, description: str, schema: dict[str, Any]) -> Any:
            is_secret, choices = schema.get("format") == "password", schema.get("enum")
            return (PasswordField if is_secret else StringField)(
                label,
                description=description,
                default=schema.get("default"),
                validators=[Optional()],
                render_kw={"class": "form-control"},
                widget=_secret_input if is_secret else choices and partial(_drop_down, choices=choices),
            )

        return {name: new_field(**field) for name, field in CONNECTION_FIELDS.items()}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """
        Return the appearance of the standard fields, for Airflow before 3.2.

        There the extra has its own editor, without which the Test button of 2.11 does nothing.
        """
        behaviour = {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}
        return {**behaviour, "relabeling": {**behaviour["relabeling"], "extra": "The fields below, as JSON"}}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """
        The validated content of the connection.

        :raises BiginConfigurationError: if it is not valid.
        """
        from airflow_provider_bigin.hooks.connection import read_connection

        return read_connection(self.get_connection(self.bigin_conn_id))

    def get_conn(self) -> BiginClient:
        """
        Return the client, the same one at every call.

        :raises BiginConfigurationError: if the connection is not valid.
        """
        return self._client

    @cached_property
    def _client(self) -> BiginClient:
        from airflow_provider_bigin.api.client import BiginClient, new_session

        settings = self.settings
        session = new_session()
        return BiginClient(
            self._token_source(session),
            session=session,
            api_domain=settings.api_domain,
            pinned=settings.api_domain_pinned,
            timeout=settings.timeout,
            redirect_to=settings.redirect_to,
            clock=self.clock,
        )

    def _token_source(self, session: Any) -> TokenSource:
        from airflow_provider_bigin.api.access_token import PATIENCE, FixedToken, SharedToken
        from airflow_provider_bigin.hooks.token_cache import configured_token_cache

        settings = self.settings
        if settings.credentials is None:
            return FixedToken(settings.access_token or "")
        return SharedToken(
            settings.credentials,
            configured_token_cache(self.clock),
            session=session,
            timeout=settings.timeout,
            clock=self.clock,
            patience=PATIENCE if self.is_patient else 0.0,
            mask=mask_secret,
            on_request=partial(count, "bigin.token_requests"),
        )

    # ---- mail ----

    def send_mail(self, record_id: str, module: str = "Contacts", **mail: Any) -> str:
        """
        Send a mail from a record; the request is repeated only while it definitely did not run.

        See https://www.bigin.com/developer/docs/apis/v2/send-mail.html

        :param record_id: id of the record that the mail is filed under.
        :param module: ``Contacts``, ``Companies`` or ``Deals``, or their names in the API.
        :param mail: the arguments of :meth:`~airflow_provider_bigin.api.mail.Mail.compose`; without
            ``from_email`` the mail comes from the connection's, or else from the account's default address.
        :return: the ``message_id``.
        :raises BiginOutcomeUnknownError: if it is not known whether the mail was sent.
        """
        return self.post_mail(read_record(module, record_id), self.compose_mail(**mail)).message_id

    def post_mail(self, record: RecordRef, mail: Mail) -> SentMail:
        """Send a mail that is already composed; otherwise like :meth:`send_mail`."""
        from airflow_provider_bigin.api.repeat import send_repeatedly

        client = self.get_conn()
        sent = send_repeatedly(lambda: client.send_mail(record.module, record.id, mail), clock=self.clock)
        client.log_sent(record, mail, sent)
        return sent

    def compose_mail(self, **mail: Any) -> Mail:
        """
        Check a mail and give it a sender.

        :param mail: the arguments of :meth:`~airflow_provider_bigin.api.mail.Mail.compose`.
        :raises BiginValidationError: naming the field and the offending part.
        """
        return self.with_sender(Mail.compose(**mail))

    def with_sender(self, mail: Mail) -> Mail:
        """Return the mail, with the default sender if it has none."""
        return mail if mail.sender else replace(mail, sender=self.default_sender)

    @cached_property
    def default_sender(self) -> Address:
        """The connection's ``from_email``, or the address that the Bigin account sends from by default."""
        if self.settings.from_email:
            return self.settings.from_email
        addresses = [address for address in self.get_from_addresses() if address.get("email")]
        if not addresses:
            raise BiginConfigurationError(
                f"connection {self.bigin_conn_id!r}: the Bigin account has no address to send from;"
                " confirm one in Bigin's e-mail settings, or set From in the connection"
            )
        chosen = next((address for address in addresses if address.get("default") is True), addresses[0])
        return Address(chosen["email"], chosen.get("user_name") or chosen.get("display_value") or "")

    def get_from_addresses(self) -> list[dict[str, Any]]:
        """List the addresses that mails may be sent from."""
        return self.get_conn().get_from_addresses()

    def upload_files(self, files: Any) -> list[str]:
        """
        Upload files and return their ids, for ``attachments``.

        :param files: one path or several: local ones, or URLs of Airflow's object storage such as
            ``s3://conn@bucket/report.pdf``.
        """
        return self.get_conn().upload_files(to_paths(files, "files"))

    def get_emails(self, module: str, record_id: str, *, type: str | None = None) -> Iterator[dict[str, Any]]:
        """Iterate over the e-mails of a record."""
        return self.get_conn().get_emails(module, record_id, type=type)

    def get_email(self, module: str, record_id: str, message_id: str) -> dict[str, Any] | None:
        """Read one e-mail of a record with its content; None if there is no such mail."""
        return self.get_conn().get_email(module, record_id, message_id)

    # ---- records ----

    def get_record(
        self, module: str, record_id: str, *, fields: Iterable[str] | None = None
    ) -> dict[str, Any] | None:
        """Read a record; None if there is none."""
        return self.get_conn().get_record(module, record_id, fields=fields)

    def get_records(self, module: str, *, fields: Iterable[str], **params: Any) -> Iterator[dict[str, Any]]:
        """Iterate over all records of a module."""
        return self.get_conn().get_records(module, fields=fields, **params)

    def search_records(self, module: str, **search: Any) -> Iterator[dict[str, Any]]:
        """Iterate over the records that a search by ``criteria``, ``email``, ``phone`` or ``word`` finds."""
        return self.get_conn().search_records(module, **search)

    def run(self, method: str, path: str, *, params: dict[str, Any] | None = None, json: Any = None) -> Any:
        """Call any endpoint under ``/bigin/v2``, once, and return the decoded response."""
        return self.get_conn().run(method, path, params=params, json=json)

    # ---- Test button ----

    def test_connection(self) -> tuple[bool, str]:
        """
        Return whether the connection works, and who it connects as and what it sends with, or what is wrong.

        It does not send mail.
        """
        try:
            user = self.get_conn().get_current_user()
            return True, " ".join([self._describe_user(user), *self._describe_settings()])
        except BiginScopeError as error:
            return False, (
                f"The credentials are right, but they were granted without the scope {_scope_of(error)}, so"
                " nothing else can be tested. Authorize again with all scopes that the documentation lists."
            )
        except BiginAuthenticationError as error:
            return False, self._explain_refusal(error)
        except BiginError as error:
            # The Test button gives the connection a random id, which would only confuse.
            return False, str(error).removeprefix(f"connection {self.bigin_conn_id!r}: ")
        except Exception as error:
            return False, f"{type(error).__name__}: {error}"

    def _describe_user(self, user: Mapping[str, Any]) -> str:
        name = excerpt(str(user.get("full_name") or user.get("email") or "an unnamed user"))
        with suppress(BiginScopeError):  # a token that may send mail need not be able to read this
            name += f" of {excerpt(str(self.get_conn().get_organization().get('company_name')))}"
        where = self.settings.api_domain if self.settings.api_domain_pinned else self.settings.region
        return f"Connected to Bigin ({where}) as {name}."

    def _describe_settings(self) -> Iterator[str]:
        """
        Say what the connection adds to mails.

        :raises BiginError: if its default record does not exist, or cannot be read.
        """
        settings = self.settings
        yield f"Mails come from {self.default_sender}."
        if record := settings.default_record:
            if not self.get_record(record.module, record.id, fields=["id"]):
                raise BiginNotFoundError(f"No {record.module} record {record.id}; is the module right?")
            yield f"Their default record is {record}."
        if settings.redirect_to:
            yield f"ALL MAIL GOES TO {settings.redirect_to} instead of its recipients."
        if settings.unused_host:
            yield (
                f"The connection's host {excerpt(settings.unused_host)!r} is not used: its region determines"
                " where Bigin is."
            )

    def _explain_refusal(self, error: BiginAuthenticationError) -> str:
        if self.settings.credentials is None or (error.request or "").startswith("POST http"):
            # the error already says whether the client, the secret or the refresh token is wrong
            return str(error)
        return (
            f"The accounts server accepts the credentials, but {self.settings.api_domain} refuses the"
            " token made from them"
            f" ({error.code}): the account is in another data center. Check the connection's region."
        )
