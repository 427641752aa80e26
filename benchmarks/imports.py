"""
CPU time to import the operator over Airflow's bare ``BaseOperator``, beside other providers'.

Each import happens in a new process, the modules in turn, so that all meet the same machine; the best of the
rounds counts.
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
    bare = best["BaseOperator alone"]
    print(f"{'import':20} {'seconds':>8} {'over bare':>10}  (best of {rounds})")
    for name, seconds in best.items():
        print(f"{name:20} {seconds:8.3f} {seconds - bare:10.3f}")


if __name__ == "__main__":
    main()
