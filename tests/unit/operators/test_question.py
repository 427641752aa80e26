from __future__ import annotations

from airflow_provider_bigin.operators.question import as_code


def test_texts_of_strangers_are_code():
    assert as_code("a `b` <i> https://x.example\n# c") == "`a 'b' <i> https://x.example # c`"
    assert len(as_code("x" * 5000)) < 600
