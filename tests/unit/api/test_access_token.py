from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.access_token import FixedToken, SharedToken
from airflow_provider_bigin.api.client import new_session
from airflow_provider_bigin.api.oauth import (
    AccessToken,
    Credentials,
    exchange_grant_code,
    refresh_access_token,
)
from airflow_provider_bigin.api.token_cache import FileTokenCache, MemoryTokenCache

HOUR = 3600


class Registry:
    """A cache that machines share, like an Airflow Variable."""

    def __init__(self):
        self.texts = {}
        self.read = self.texts.get
        self.write = self.texts.__setitem__

    def lock(self, name, *, despite=None):
        return nullcontext()


class Unlocked(FileTokenCache):
    """The files of this machine as another machine sees them."""

    def lock(self, name, *, despite=None):
        return nullcontext()


@pytest.fixture
def credentials(sandbox):
    connection = sandbox.connection()
    return Credentials(
        sandbox.url, connection["login"], connection["password"], connection["extra"]["refresh_token"]
    )


@pytest.fixture
def cache(tmp_path):
    return FileTokenCache(tmp_path / "bigin")


@pytest.fixture
def process(credentials, cache, clock):
    """Return a function that makes an access token as in a new process."""
    sessions = []

    def start(**others):
        sessions.append(new_session())
        arguments = {"credentials": credentials, "cache": cache, "clock": clock, "timeout": 5, **others}
        return SharedToken(session=sessions[-1], **arguments)

    yield start
    for session in sessions:
        session.close()


def kept_file(cache):
    (path,) = (path for path in cache.directory.iterdir() if path.suffix != ".lock")
    return path


# ---- sharing ----


def test_processes_with_the_same_credentials_share_a_token(process, sandbox):
    assert process().get() == process().get() == process().get()
    assert sandbox.counts()["token"] == 1


def test_other_credentials_have_another_token(process, sandbox, credentials):
    with new_session() as session:
        grant = exchange_grant_code(
            session,
            accounts_server=credentials.accounts_server,
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            code=sandbox.new_grant(),
            now=sandbox.now(),
            timeout=5,
        )
    others = replace(credentials, refresh_token=grant.refresh_token)
    assert process().get() != process(credentials=others).get()


def test_a_token_is_used_until_shortly_before_its_end(process, sandbox):
    first = process()
    token = first.get()
    sandbox.advance(HOUR - 190)
    assert first.get() == process().get() == token
    sandbox.advance(135)  # 55 s before the end
    assert process().get() == first.get() != token
    assert sandbox.counts()["token"] == 2


def test_a_long_lived_process_takes_the_token_that_another_one_got(process, sandbox):
    first = process()
    first.get()
    sandbox.advance(HOUR)
    assert process().get() == first.get()
    assert sandbox.counts()["token"] == 2


def test_a_refused_token_is_replaced_once(process, sandbox):
    processes = [process() for _ in range(3)]
    (token,) = {one.get() for one in processes}
    sandbox.expire_tokens()
    (new,) = {one.renew(token) for one in processes}
    assert new != token
    assert sandbox.counts()["token"] == 2


def test_threads_of_a_process_share_too(process, sandbox):
    one = process(cache=MemoryTokenCache())
    with ThreadPoolExecutor(8) as threads:
        (token,) = set(threads.map(lambda _: one.get(), range(8)))
        sandbox.expire_tokens()
        assert len(set(threads.map(lambda _: one.renew(token), range(8)))) == 1
    assert sandbox.counts()["token"] == 2


def test_a_token_is_masked_in_every_process(process):
    masked = []
    token = process(mask=masked.append).get()
    process(mask=masked.append).get()
    assert masked == [token.value] * 2


def test_nothing_secret_is_on_the_disk(process, cache, credentials):
    token = process().get()
    kept = b"".join(path.read_bytes() for path in cache.directory.iterdir())
    for secret in (token.value, credentials.refresh_token, credentials.client_secret, credentials.client_id):
        assert secret.encode() not in kept
    assert token.api_domain.encode() not in kept


def test_a_kept_token_leads_nowhere_that_is_not_trusted_any_more(process, sandbox, credentials):
    elsewhere = "http://sandbox.internal:8480"
    sandbox.settings(token_api_domain=elsewhere)
    trusting = replace(credentials, sandbox_hosts=frozenset({elsewhere}))
    assert process(credentials=trusting).get().api_domain == elsewhere
    assert process(credentials=trusting).get().api_domain == elsewhere
    assert process().get().api_domain is None
    assert sandbox.counts()["token"] == 1


# ---- throttle ----


def test_a_throttle_is_waited_out(process, sandbox):
    sandbox.throttle_tokens(20)
    assert process().get().value
    assert sandbox.counts()["token"] == 2


def test_ten_tokens_in_ten_minutes_are_waited_out(process, sandbox, credentials, clock):
    sandbox.settings(throttle_needs_silence=True)
    with new_session() as session:
        for _ in range(10):
            refresh_access_token(session, credentials, now=clock.time(), timeout=5)
    assert process().get().value
    assert sandbox.counts()["token"] <= 10 + 3


def test_who_waits_takes_the_token_of_another_machine(process, sandbox, clock):
    here, elsewhere = Registry(), Registry()
    token = process(cache=elsewhere).get()

    class MeanwhileElsewhere:
        time = clock.time
        monotonic = clock.monotonic

        def sleep(self, seconds):
            clock.sleep(seconds)
            if len(clock.waited) == 4:
                here.texts.update(elsewhere.texts)

    sandbox.throttle_tokens(24 * HOUR)
    assert process(cache=here, clock=MeanwhileElsewhere()).get() == token
    assert sandbox.counts()["token"] == 2
    assert sum(clock.waited) < 60


def test_a_throttle_that_does_not_end_fails_with_an_error_that_may_be_retried(process, sandbox, clock):
    sandbox.throttle_tokens(24 * HOUR)
    begun = clock.time()
    with pytest.raises(errors.BiginTokenLimitError, match="is not issuing access tokens") as error:
        process().get()
    assert error.value.retryable
    assert 600 < clock.time() - begun < 1000
    assert sandbox.counts()["token"] == 3


def test_a_throttled_server_is_left_in_peace_by_those_who_come_later(process, sandbox):
    sandbox.throttle_tokens(24 * HOUR)
    for _ in range(3):
        with pytest.raises(errors.BiginTokenLimitError):
            process().get()
    # In three times fifteen minutes: at once, after one minute, after ten more, and after thirty more.
    assert sandbox.counts()["token"] <= 4


def test_a_cache_that_forgets_costs_a_throttled_server_nothing(process, sandbox):
    class Forgetful(Registry):
        def __init__(self):
            self.read = self.write = lambda *args: None

    sandbox.throttle_tokens(24 * HOUR)
    with pytest.raises(errors.BiginTokenLimitError):
        process(cache=Forgetful()).get()
    assert sandbox.counts()["token"] == 3


def test_a_throttle_that_is_over_is_forgotten(process, sandbox, clock):
    for _ in range(3):
        sandbox.throttle_tokens(20)
        begun = clock.time()
        process().get()
        assert clock.time() - begun < 70
        sandbox.advance(HOUR)


# ---- refusals ----


def test_wrong_credentials_fail_at_once_and_once_for_all(process, sandbox, clock):
    sandbox.revoke_refresh_token()
    for _ in range(5):
        with pytest.raises(errors.BiginAuthenticationError, match="authorize again") as error:
            process().get()
        assert error.value.code == "invalid_code"
    assert sandbox.counts()["token"] == 1
    assert clock.waited == []
    sandbox.advance(61)
    with pytest.raises(errors.BiginAuthenticationError):
        process().get()
    assert sandbox.counts()["token"] == 2


def test_trouble_of_the_accounts_server_is_not_held_against_those_who_come_later(process, sandbox):
    sandbox.fault("token", "500_before")
    with pytest.raises(errors.BiginServerError):
        process().get()
    assert process().get().value


def test_who_waited_for_the_answer_takes_it(process, sandbox):
    sandbox.fault("token", "500_before", seconds=1)
    barrier = threading.Barrier(5)

    def fail(one):
        barrier.wait()
        with pytest.raises(errors.BiginServerError) as error:
            one.get()
        return str(error.value)

    with ThreadPoolExecutor(5) as threads:
        assert len(set(threads.map(fail, [process() for _ in range(5)]))) == 1
    assert sandbox.counts()["token"] == 1


def test_when_bigin_refuses_all_tokens_no_more_are_asked_for(process, sandbox):
    token = process().get()
    for _ in range(5):
        token = process().renew(token)
    for _ in range(20):
        with pytest.raises(errors.BiginTokenLimitError, match="region"):
            process().renew(token)
    assert sandbox.counts()["token"] == 6
    sandbox.advance(601)
    assert process().renew(token) != token


def test_a_wrong_client_secret_does_not_disturb_others(process, sandbox, credentials):
    token = process().get()
    wrong = replace(credentials, client_secret="mistyped")
    for _ in range(3):
        with pytest.raises(errors.BiginAuthenticationError):
            process(credentials=wrong).get()
    assert process().get() == token
    assert sandbox.counts()["token"] == 2


# ---- a holder of the lock that is frozen ----


@pytest.fixture
def frozen_holder(cache):
    """Hold the lock, as a frozen process would."""
    with ThreadPoolExecutor(1) as another_thread:
        for file in cache.directory.glob("*.lock"):
            holder = cache.lock(file.name.removesuffix(".lock"))
            another_thread.submit(holder.__enter__).result()
            yield
            another_thread.submit(holder.__exit__, None, None, None).result()


@pytest.fixture
def used_cache(process, sandbox):
    process().get()
    sandbox.advance(HOUR)


@pytest.fixture(autouse=True)
def brief_looks(monkeypatch):
    monkeypatch.setattr("airflow_provider_bigin.api.token_cache.LOCK_TIMEOUT", 0.05)


def test_who_waits_behind_a_frozen_process_takes_the_token_that_comes(
    process, sandbox, cache, credentials, used_cache, frozen_holder
):
    waiting = process(timeout=60)
    with ThreadPoolExecutor(1) as thread:
        token = thread.submit(waiting.get)
        time.sleep(0.2)
        assert not token.done()
        elsewhere = process(cache=Unlocked(cache.directory)).get()
        assert token.result(timeout=5) == elsewhere
    assert sandbox.counts()["token"] == 2


def test_nobody_waits_behind_a_frozen_process_for_longer_than_a_request_takes(
    process, sandbox, used_cache, frozen_holder, monkeypatch, caplog
):
    monkeypatch.setattr("airflow_provider_bigin.api.access_token.LOCK_OVERHEAD", 0.1)
    monkeypatch.setattr("airflow_provider_bigin.api.access_token.SPREAD", 0.1)
    begun = time.monotonic()
    assert process(timeout=0.3).get().value
    assert time.monotonic() - begun < 10  # and not the usual 15 s
    assert caplog.text.count("No longer waiting") == 1
    assert sandbox.counts()["token"] == 2


def test_nobody_waits_for_ever_for_a_lock_that_others_take_in_turns(process, sandbox, clock, caplog):
    class AlwaysTaken(Registry):
        def lock(self, name, *, despite=None):
            clock.sleep(60)
            raise TimeoutError(f"holder {len(clock.waited)}")

    assert process(cache=AlwaysTaken()).get().value
    assert sum(clock.waited) == 900
    assert "could not be locked (other processes have not released it)" in caplog.text


def test_a_throttled_server_is_left_in_peace_without_the_lock(
    process, sandbox, cache, clock, used_cache, frozen_holder
):
    sandbox.throttle_tokens(24 * HOUR)
    for one in (process(cache=Unlocked(cache.directory), patience=0.0), process(patience=0.0)):
        with pytest.raises(errors.BiginTokenLimitError) as refusal:
            one.get()
        assert 0 < refusal.value.retry_after <= 60
    assert clock.waited == []
    assert sandbox.counts()["token"] == 2


def test_nobody_has_the_lock_while_a_throttle_lasts(process, sandbox, cache, clock):
    tried = []

    class TryingTheLock:
        time = clock.time
        monotonic = clock.monotonic

        def sleep(self, seconds):
            with cache.lock(one._name):
                tried.append(seconds)
            clock.sleep(seconds)

    sandbox.throttle_tokens(20)
    one = process(clock=TryingTheLock())
    assert one.get().value
    assert sum(tried) >= 20


# ---- a cache that does not work ----


KEPT = {"value": "1000.kept", "expires_at": 9e9, "api_domain": None}
REFUSED = {"at": 9e9, "error": "BiginServerError", "told": {}, "throttled": 0}


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        *(("_name", content) for content in ([], "text", 7, {"token": []}, {"token": {}}, {"renewals": 1})),
        *(
            ("_name", {"token": {**KEPT, "value": value}})
            for value in (None, 7, "", "1000.a\nX-Evil: 1", "ü")
        ),
        *(("_name", {"token": {**KEPT, "expires_at": value}}) for value in (None, "9e9", [])),
        ("_name", {"token": {**KEPT, "api_domain": ["https://evil.example"], "expires_at": 0}}),
        ("_name", {"token": None, "renewals": [None, "x"]}),
        *(("_refusal_name", content) for content in ([], {"at": 1}, REFUSED)),
        *(("_refusal_name", {**REFUSED, "at": value}) for value in (None, "now")),
        *(("_refusal_name", {**REFUSED, "throttled": value}) for value in (-9, 1.0, "x", None)),
    ],
)
def test_any_other_content_of_the_cache_is_as_none(process, sandbox, entry, content):
    one = process()
    one._write(getattr(one, entry), content)
    token = one.get()
    assert token.value != "1000.kept"
    sandbox.expire_tokens()
    assert one.renew(token) != token
    assert sandbox.counts()["token"] == 2


def test_who_asks_a_server_that_trickles_lets_go_of_the_lock_in_time(process, sandbox, cache):
    sandbox.fault("token", "trickle", seconds=0.1)
    begun = time.monotonic()
    one = process(timeout=0.5)
    with pytest.raises(errors.BiginConnectionError):
        one.get()
    with cache.lock(one._name):
        assert time.monotonic() - begun < 10  # to the last byte, it takes longer


def make_unreadable(cache):
    kept_file(cache).chmod(0o644)


def put_a_pipe_there(cache):
    path = kept_file(cache)
    path.unlink()
    os.mkfifo(path, 0o600)


def make_corrupt(cache):
    kept_file(cache).write_bytes(b"\xff\x00 not what was written")


def cut_in_two(cache):
    path = kept_file(cache)
    path.write_text(path.read_text()[:50])


@pytest.mark.parametrize("damage", [make_unreadable, make_corrupt, cut_in_two, put_a_pipe_there])
def test_a_damaged_cache_costs_one_warning_and_is_repaired(process, sandbox, cache, caplog, damage):
    process().get()
    damage(cache)
    token = process().get()
    assert len(caplog.records) == 1
    assert "token cache could not be read" in caplog.text
    assert process().get() == token
    assert len(caplog.records) == 1
    assert sandbox.counts()["token"] == 2


def occupy(cache):
    cache.directory.write_text("This is no directory.")


def open_to_all(cache):
    cache.directory.mkdir()
    cache.directory.chmod(0o777)


def make_read_only(cache):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    cache.directory.mkdir()
    cache.directory.chmod(0o500)


@pytest.mark.parametrize("obstruct", [occupy, open_to_all, make_read_only])
def test_a_cache_that_cannot_be_written_costs_one_warning_and_a_request(
    process, sandbox, cache, caplog, obstruct
):
    obstruct(cache)
    one = process()
    token = one.get()
    assert one.get() == token
    assert one.renew(token) != token
    assert len(caplog.records) == 1
    assert sandbox.counts()["token"] == 2


def test_a_token_that_could_not_be_kept_is_not_replaced_by_an_older_one(process, sandbox, cache):
    one = process()
    old = one.get()
    cache.directory.chmod(0o777)
    sandbox.expire_tokens()
    new = one.renew(old)
    sandbox.expire_tokens()
    assert one.renew(new) not in (old, new)


# ---- a token that is all there is ----


def test_a_token_by_itself_cannot_be_replaced():
    with pytest.raises(errors.BiginAuthenticationError, match="refresh token instead"):
        FixedToken("1000.only").renew(AccessToken("1000.only", expires_at=0))
