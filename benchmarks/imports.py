"""
Measure the CPU time to import the operator on top of ``BaseOperator``, compared with other providers.

Each import runs in a new process, with the modules in turn so that all meet the same load; the best round
counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

MODULES = {
    "BaseOperator alone": "from airflow.sdk import BaseOperator",
    "bigin": "from airflow_provider_bigin.operators.bigin import BiginSendMailOperator",
    "smtp": "from airflow.providers.smtp.operators.smtp import EmailOperator",
    "http": "from airflow.providers.http.operators.http import HttpOperator",
    "slack": "from airflow.providers.slack.operators.slack_webhook import SlackWebhookOperator",
}
SCRIPT = "import time; start = time.process_time(); {statement}; print(time.process_time() - start)"


def seconds_to_import(statement: str) -> float:
    """Return the CPU time that an import takes in a new process."""
    script = SCRIPT.format(statement=statement)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Print the CPU time of each import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    seconds_to_import(MODULES["bigin"])  # compiles
    best = dict.fromkeys(MODULES, float("inf"))
    for _ in range(rounds):
        for name, statement in MODULES.items():
            best[name] = min(best[name], seconds_to_import(statement))
    bare = best["BaseOperator alone"]
    print(f"{'import':20} {'seconds':>8} {'over bare':>10}  (best of {rounds})")
    for name, seconds in best.items():
        print(f"{name:20} {seconds:8.3f} {seconds - bare:10.3f}")


if __name__ == "__main__":
    main()
