from __future__ import annotations

import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_bigin.api.token_cache import FileTokenCache

NAME = "access_token_0123"


@pytest.fixture
def cache(tmp_path):
    return FileTokenCache(tmp_path / "home" / "bigin")


@pytest.fixture
def file(cache):
    cache.write(NAME, "text")
    return cache.directory / NAME


def test_nothing_is_kept_at_first(cache):
    assert cache.read(NAME) is None
    assert not cache.directory.exists()


def test_the_last_text_is_kept(cache):
    cache.write(NAME, "one")
    cache.write(NAME, "two")
    assert FileTokenCache(cache.directory).read(NAME) == "two"
    assert os.listdir(cache.directory) == [NAME]


def test_only_the_owner_may_read(cache):
    before = os.umask(0)
    try:
        cache.write(NAME, "text")
        with cache.lock(NAME):
            pass
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in cache.directory.iterdir()}
    assert modes == {NAME: 0o600, f"{NAME}.lock": 0o600}
    assert stat.S_IMODE(cache.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o602, 0o660])
def test_a_file_that_is_open_to_others_is_refused(cache, file, mode):
    file.chmod(mode)
    with pytest.raises(PermissionError, match="open to others"):
        cache.read(NAME)


def test_a_file_of_another_user_is_refused(cache, file, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="another user"):
        cache.read(NAME)


def test_a_link_is_not_followed(cache, file, tmp_path):
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        cache.read(NAME)
    cache.write(NAME, "new")
    assert (tmp_path / "elsewhere").read_text() == "text"
    assert cache.read(NAME) == "new"


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: socket.socket(socket.AF_UNIX).bind(str(path))]
)
def test_what_is_not_a_file_is_refused_at_once(cache, file, monkeypatch, make):
    file.unlink()
    monkeypatch.chdir(cache.directory)  # the name of a socket must be short
    make(NAME)
    os.chmod(NAME, 0o600)
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(cache.read, NAME)
        try:
            with pytest.raises(OSError, match=r"regular file|directory|No such device"):
                reading.result(timeout=2)
        finally:
            if not reading.done():  # nobody else writes to it
                os.close(os.open(NAME, os.O_WRONLY | os.O_NONBLOCK))


def test_no_more_is_read_than_an_entry_can_have(cache):
    cache.write(NAME, "x" * 10_000_000)
    with pytest.raises(OSError, match="too large"):
        cache.read(NAME)


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_nothing_is_put_into_a_directory_that_others_may_write_to(cache, file, mode):
    cache.directory.chmod(mode)
    with pytest.raises(PermissionError, match="open to others"):
        cache.write(NAME, "new")
    with pytest.raises(PermissionError, match="open to others"):
        cache.lock(NAME)
    assert file.read_text() == "text"


def test_a_text_that_cannot_be_kept_leaves_no_rubbish(cache):
    (cache.directory / NAME).mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        cache.write(NAME, "text")
    assert os.listdir(cache.directory) == [NAME]
