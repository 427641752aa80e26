"""What became of the mails that Airflow was asked to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Outcome:
    """
    Counts of mails.

    :param asked: that a task was to send.
    :param doubled: that arrived more than once.
    :param lost: that did not arrive, although their task has succeeded.
    :param failed: whose task has failed.
    """

    asked: int = 0
    doubled: int = 0
    lost: int = 0
    failed: int = 0

    @classmethod
    def of(cls, states: Mapping[str, str], arrived: Mapping[str, int]) -> Outcome:
        """
        Count what became of mails to different records.

        :param states: by record, the state of the task that was to send the mail.
        :param arrived: by record, the number of mails that arrived.
        """
        return cls(
            asked=len(states),
            doubled=sum(arrived.get(record_id, 0) > 1 for record_id in states),
            lost=sum(
                state == "success" and not arrived.get(record_id) for record_id, state in states.items()
            ),
            failed=sum(state != "success" for state in states.values()),
        )

    @property
    def is_flawless(self) -> bool:
        """Whether each mail arrived once and each task has succeeded."""
        return not (self.doubled or self.lost or self.failed)

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return f"{self.asked} mails: {self.doubled} doubled, {self.lost} lost, {self.failed} failed"
