"""A run of the DAG ``campaign``: many mails, in single tasks and in bulk tasks."""

from __future__ import annotations

from dataclasses import dataclass

from tests.distributed.outcome import Outcome
from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer, Run

BULK_TASKS = 2


@dataclass(frozen=True)
class Campaign:
    """
    A run that mails each of its records once.

    :param single: the records of the tasks that send one mail.
    :param bulk: the records of each task that sends many.
    """

    run: Run
    sandbox: SandboxControl
    single: list[str]
    bulk: list[list[str]]

    @classmethod
    def start(cls, airflow: AirflowServer, sandbox: SandboxControl, *, mails: int) -> Campaign:
        """
        Start a run.

        :param mails: number of mails in single tasks, and in each bulk task.
        """
        single, *bulk = (sandbox.add_contacts(mails) for _ in range(1 + BULK_TASKS))
        run = airflow.trigger("campaign", single=single, bulk=bulk)
        return cls(run, sandbox, single, bulk)

    def is_over(self) -> bool:
        """Return whether the run has ended."""
        return self.run.ask("run_state") in ("success", "failed")

    def outcome(self, timeout: float) -> Outcome:
        """Wait until the run has ended and count what became of the mails."""
        self.run.wait(timeout)
        instances = {
            (instance["task_id"], instance["map_index"]): instance["state"]
            for instance in self.run.ask("task_instances")
        }
        states = {record: instances.get(("send", index)) for index, record in enumerate(self.single)}
        for index, records in enumerate(self.bulk):
            states |= dict.fromkeys(records, instances.get(("send_many", index)))
        return Outcome.of(states, self.sandbox.mail_counts())

    def tries(self) -> int:
        """Return how many tries the sending tasks have had."""
        return sum(
            instance["try_number"]
            for task_id in ("send", "send_many")
            for instance in self.run.tasks(task_id)
        )
