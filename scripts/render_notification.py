"""Render a notification's default body as shown in the docs, with headless Chromium."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

from airflow_provider_bigin.notifications.default_mail import as_html, read_context

IMAGES = Path(__file__).parent.parent / "docs" / "images"
#: Width and height of the page, in CSS pixels.
SCREENS = {"phone": (390, 442), "desktop": (1000, 402)}

CONTEXT = {
    "ti": SimpleNamespace(
        dag_id="orders_daily",
        task_id="load_orders",
        run_id="scheduled__2026-11-23T06:00:00+00:00",
        map_index=-1,
        try_number=3,
        max_tries=2,
        state="failed",
        log_url="https://airflow.example.com/dags/orders_daily",
    ),
    "exception": ValueError(
        "could not load orders_2026-11-23.csv: row 1042: column 'amount' is '<unset>', expected a number"
    ),
}


def main() -> None:
    """Write an image for each screen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", default="chromium")
    browser = parser.parse_args().browser
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        mail = Path(folder, "mail.html")
        mail.write_text(as_html(read_context(CONTEXT)))
        for name, (width, height) in SCREENS.items():
            # Chromium's windows have a minimum width; frames in them do not.
            page = Path(folder, f"{name}.html")
            page.write_text(
                f'<body style="margin:0"><iframe src="{mail.name}" width="{width}" height="{height}"'
                ' style="border:0"></iframe>'
            )
            subprocess.run(
                [
                    browser,
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--hide-scrollbars",
                    "--force-device-scale-factor=2",
                    f"--user-data-dir={folder}/profile",
                    f"--window-size={width},{height}",
                    f"--screenshot={IMAGES / f'notification-{name}.png'}",
                    page.as_uri(),
                ],
                check=True,
                timeout=60,
            )


if __name__ == "__main__":
    main()
