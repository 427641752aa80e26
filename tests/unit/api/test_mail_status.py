from __future__ import annotations

import pytest

from airflow_provider_bigin.api.mail_status import BiginMailBouncedError, judge

SMTP = "550 no\r\n\x1b[31mINFO all is well\u2028\u202e\ud800" + "x" * 1_000_000


@pytest.mark.parametrize("field", ["bounced_reason", "category", "sub_category"])
def test_what_a_mail_server_says_is_one_short_line(field):
    with pytest.raises(BiginMailBouncedError, match="550 no") as error:
        judge({"message_id": "m", "status": [{"type": "bounced", field: SMTP}]}, ["opened"])
    text = str(error.value)
    assert len(text) < 1000
    assert text.isprintable()
    text.encode()


def test_nor_does_a_state_add_lines_to_the_log(caplog):
    caplog.set_level("INFO")
    assert judge({"status": [{"type": "sent"}, {"type": SMTP}]}, ["sent"]) == "sent"
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < 1000
