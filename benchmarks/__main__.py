"""The benchmarks that do not need a running Airflow, one after the other."""

from __future__ import annotations

from benchmarks import bulk, imports, send_mail


def main() -> None:
    """Run the benchmarks."""
    for benchmark in (imports, send_mail, bulk):
        print(f"\n== {benchmark.__name__}", flush=True)
        benchmark.main()


if __name__ == "__main__":
    main()
