from __future__ import annotations

import pytest

from airflow_provider_bigin.delivery.task_try import first_try_number


@pytest.mark.parametrize(
    ("number", "max_tries", "retries", "was_cleared", "first"),
    [
        pytest.param(1, 3, 3, False, 1, id="first try"),
        pytest.param(2, 3, 3, False, 1, id="retry"),
        pytest.param(3, 5, 3, True, 3, id="first try after a clear"),
        pytest.param(4, 5, 3, True, 3, id="retry after a clear"),
        pytest.param(2, 3, 3, True, 1, id="another task of the run was cleared"),
        pytest.param(2, 3, 2, False, 1, id="retries lowered, never cleared"),
        pytest.param(2, 1, 3, True, 1, id="retries raised"),
        pytest.param(2, 5, 1, True, 1, id="retries lowered: the formula points to the future"),
        pytest.param(1, 0, 0, False, 1, id="no retries"),
    ],
)
def test_first_try_since_the_clear(number, max_tries, retries, was_cleared, first):
    assert (
        first_try_number(number=number, max_tries=max_tries, retries=retries, was_cleared=was_cleared)
        == first
    )
