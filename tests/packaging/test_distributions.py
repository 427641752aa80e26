"""The contents of the wheel and the source distribution."""

from __future__ import annotations

import re
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from airflow_provider_bigin import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(distributions):
    with zipfile.ZipFile(distributions.wheel) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel) -> Message:
    return Parser().parsestr(wheel.read(f"airflow_provider_bigin-{__version__}.dist-info/METADATA").decode())


def package_files() -> set[str]:
    """Return the package's files in the work tree, without tool artifacts."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "airflow_provider_bigin").rglob("*")
        if path.is_file() and not any(part == "__pycache__" or part[0] == "." for part in path.parts)
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == package_files()
    assert "airflow_provider_bigin/py.typed" in files


def test_the_wheel_contains_the_license(wheel):
    text = wheel.read(f"airflow_provider_bigin-{__version__}.dist-info/licenses/LICENSE").decode()
    assert text == (ROOT / "LICENSE").read_text()


def test_the_metadata_is_what_an_index_accepts(wheel):
    name = f"airflow_provider_bigin-{__version__}.dist-info/METADATA"
    metadata = Metadata.from_email(wheel.read(name), validate=True)
    assert metadata.description.startswith("# airflow-provider-bigin\n")
    assert metadata.description_content_type == "text/markdown"


def test_the_text_on_an_index_links_to_no_file_of_the_repository(metadata):
    text = metadata.get_payload()
    targets = re.findall(r"\]\(([^)]*)\)|(?:src|href)=\"([^\"]*)", text)
    assert targets
    assert all(target.startswith("https://") for pair in targets for target in pair if target)
    assert "Changelog, how to contribute" in text


def test_no_requirement_has_an_upper_cap(metadata):
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
    operators = {clause.operator for requirement in requirements for clause in requirement.specifier}
    assert operators == {">="}
    assert "<" not in metadata["Requires-Python"]


def test_the_sdist_can_be_tested(distributions):
    with tarfile.open(distributions.sdist) as archive:
        folder, *_ = Path(archive.getnames()[0]).parts
        files = {name.removeprefix(f"{folder}/") for name in archive.getnames()}
    assert files >= package_files()
    assert files >= {"LICENSE", "Makefile", "README.md", "pyproject.toml", "tests/conftest.py"}
    assert any(name.startswith("docs/") for name in files)
    assert any(name.startswith("example_dags/") for name in files)
