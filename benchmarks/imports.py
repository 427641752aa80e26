"""
CPU time to import the operator once Airflow's ``BaseOperator`` is there, beside operators of other providers.

Each import happens in a new process, in turn, so that all see the same machine; the best round counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

MODULES = {
    "bigin": "from airflow_provider_bigin.operators.bigin import BiginSendMailOperator",
    "smtp": "from airflow.providers.smtp.operators.smtp import EmailOperator",
    "http": "from airflow.providers.http.operators.http import HttpOperator",
    "slack": "from airflow.providers.slack.operators.slack_webhook import SlackWebhookOperator",
}
SCRIPT = """\
import time
from airflow.sdk import BaseOperator
start = time.process_time()
{statement}
print(time.process_time() - start)
"""


def seconds_to_import(statement: str) -> float:
    script = SCRIPT.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds_to_import(MODULES["bigin"])  # compiles
    best = dict.fromkeys(MODULES, float("inf"))
    for _ in range(rounds):
        for name, statement in MODULES.items():
            best[name] = min(best[name], seconds_to_import(statement))
    print(f"{'import':8} {'CPU seconds':>11}  (best of {rounds})")
    for name, seconds in best.items():
        print(f"{name:8} {seconds:11.3f}")


if __name__ == "__main__":
    main()
