from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.processes.killed_writers import NEW, OLD


def test_a_killed_writer_leaves_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.processes.killed_writers", str(tmp_path / "bigin")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    *of_killed, of_finished = run.stdout.splitlines()
    assert len(of_killed) > 20
    assert set(of_killed) <= {OLD, NEW}
    assert of_finished == NEW
