"""``send-test``: send one real mail, to see that it arrives."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from airflow_provider_bigin.api.records import RecordSearch
from airflow_provider_bigin.api.repeat import send_repeatedly
from airflow_provider_bigin.cli.connections import get_hook
from airflow_provider_bigin.compose.arguments import MAIL_FIELDS, compose_draft
from airflow_provider_bigin.compose.messages import Completion

SUBJECT = "Test mail from Airflow"
CONTENT = "This mail was sent by airflow bigin send-test. The connection can send mail."


def send_test(options: Namespace) -> None:
    """Send a mail through a connection, and print what was sent."""
    hook = get_hook(options.conn_id)
    fields = {
        **dict.fromkeys(MAIL_FIELDS),
        "to": options.to,
        "record_id": options.record_id,
        "module": options.module,
        "subject": SUBJECT,
        "content": CONTENT,
        "mail_format": "text",
    }
    try:
        draft = compose_draft(fields, (), {})
        if isinstance(draft.record, RecordSearch) and hook.settings.default_record:
            draft = replace(draft, record=hook.settings.default_record)
        message = Completion(hook)(draft)
        client, record = hook.get_conn(), message.record
        # Not hook.post_mail, which logs what is printed below.
        sent = send_repeatedly(
            lambda: client.send_mail(record.module, record.id, message.mail), clock=hook.clock
        )
    except Exception as error:  # Bigin's, or Airflow's, such as for a connection that does not exist
        raise SystemExit(str(error)) from None
    mail = client.outgoing(message.mail)
    print(f"Sent {mail.summary}: {', '.join(map(str, mail.to))}.")
    print(f"Its id is {sent.message_id}, and it is filed under {record}.")
