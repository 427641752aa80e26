"""A path below ``files_root`` never leads to any other file."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.compose.attachments import files_below


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.txt").write_text("a")
    (tmp_path / "secret.txt").write_text("s")
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "b.txt").write_text("b")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "inner.txt").symlink_to(root / "sub" / "a.txt")
    (root / "loop").symlink_to(root / "loop")
    return root


@pytest.mark.parametrize(
    "path", ["sub/a.txt", "{root}/sub/a.txt", "file://{root}/sub/a.txt", "sub/../sub/a.txt", "inner.txt"]
)
def test_local_files_below_the_root(root, path):
    (file,) = files_below(path.format(root=root), root)
    assert file == root / "sub" / "a.txt"
    assert files_below(path.format(root=root), f"file://{root}") == [file]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "sub/../../secret.txt",
        "{root}/../secret.txt",
        "{root}2/b.txt",
        "/etc/passwd",
        "file:///etc/passwd",
        "local:///etc/passwd",
        "file://{root}/../secret.txt",
        "file://../secret.txt",
        "link.txt",
        "up/secret.txt",
        ".",
        "",
        "s3://bucket/a.txt",
        "memory://{root}/sub/a.txt",
        "simplecache::file:///etc/passwd",
        "a\0b",
    ],
)
def test_local_files_elsewhere(root, path):
    with pytest.raises(BiginValidationError, match="files"):
        files_below([path.format(root=root)], root)


def test_links_in_a_circle_are_no_file(root):
    with pytest.raises((BiginValidationError, OSError)):  # Python 3.13 finds out when the file is read
        files_below("loop", root)[0].stat()


def test_the_file_stays_the_one_that_was_checked(root, tmp_path):
    (file,) = files_below("inner.txt", root)
    (root / "inner.txt").unlink()
    (root / "inner.txt").symlink_to(tmp_path / "secret.txt")
    assert file.read_text() == "a"


@pytest.mark.parametrize("root", ["s3://conn@bucket/reports", "s3://conn@bucket/reports/"])
@pytest.mark.parametrize("path", ["2026/a.pdf", "s3://conn@bucket/reports/2026/a.pdf"])
def test_objects_below_the_root(root, path):
    assert list(map(str, files_below(path, root))) == ["s3://conn@bucket/reports/2026/a.pdf"]


@pytest.mark.parametrize(
    "path",
    [
        "../a.pdf",
        "x/../../a.pdf",
        "x/%2e%2e/%2E%2E/a.pdf",
        "x\\..\\a.pdf",
        "/a.pdf",
        "/etc/passwd",
        "//etc/passwd",
        "s3://conn@bucket/a.pdf",
        "s3://conn@bucket/reports2/a.pdf",
        "s3://conn@bucket/reports",
        "s3://conn@bucket/reports/../a.pdf",
        "s3://conn@bucket/reports//a.pdf",
        "s3://conn@other/reports/a.pdf",
        "s3://other@bucket/reports/a.pdf",
        "s3://bucket/reports/a.pdf",
        "s3a://conn@bucket/reports/a.pdf",
        "gs://conn@bucket/reports/a.pdf",
        "file:///etc/passwd",
        "s3://conn@bucket/reports/zip://a::file:///etc/passwd",
        # Airflow's ObjectStoragePath parses URLs with urlsplit, which drops these characters.
        ".\t./a.pdf",
        "x/.\n./.\r./a.pdf",
        "s3://conn@bucket/reports/.\t./a.pdf",
        "s3://conn@bucket//reports/a.pdf",
        "S3://conn@bucket/reports/a.pdf",
        "s3://conn@BUCKET/reports/a.pdf",
        "s3://conn@bucket/Reports/a.pdf",
    ],
)
def test_objects_elsewhere(path):
    with pytest.raises(BiginValidationError, match="files"):
        files_below([path], "s3://conn@bucket/reports")


def test_without_a_root_there_is_no_file():
    assert files_below(None, None) == files_below([], None) == []
    with pytest.raises(BiginValidationError, match="files_root"):
        files_below("a.txt", None)
