"""
One access token for all processes that use the same credentials.

Zoho issues ten access tokens per refresh token in ten minutes, then none until requests have stopped for a
while, and the sixteenth live token invalidates the oldest
(https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html). So a token is refreshed by one process
at a time, cached where the others find it, and requested again only if the one that was refused is still the
newest. Refusals by the accounts server are cached too: a process that waited for the response takes it as its
own, and no process bothers a throttled server.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_bigin.api.clock import SYSTEM_CLOCK, Clock
from airflow_provider_bigin.api.errors import (
    BiginAuthenticationError,
    BiginConnectionError,
    BiginError,
    BiginServerError,
    BiginTokenLimitError,
)
from airflow_provider_bigin.api.oauth import (
    AccessToken,
    Credentials,
    refresh_access_token,
    revoke_token,
    trusted_api_domain,
)
from airflow_provider_bigin.api.token_cache import LOCK_TIMEOUT, MemoryTokenCache, TokenCache

if TYPE_CHECKING:
    import requests
    from cryptography.fernet import Fernet

log = logging.getLogger(__name__)

#: Seconds before its expiry at which a token is no longer used; each process draws its own value, so that
#: they do not all refresh at once.
EXPIRY_MARGIN = (60.0, 180.0)
#: Seconds for which a throttled accounts server is left alone after its first, second and any later refusal:
#: the throttle may be brief, last for Zoho's ten minutes, or continue until nobody has asked for even longer.
THROTTLE_RESTS = (60.0, 610.0, 1810.0)
#: Seconds for which a process waits for a throttle to end if it has to: well beyond the first two rests.
PATIENCE = 900.0
#: Seconds between checks for a token that another machine may have obtained in the meantime.
WATCH_INTERVAL = 5.0
#: Maximum seconds before a machine checks again for another machine's token and then refreshes.
SETTLE_TIME = 5.0
#: Seconds for which no process tries wrong credentials again.
REFUSAL_LIFETIME = 60.0
#: Maximum number of tokens replaced in ten minutes because Bigin refuses them. If it refuses all of them,
#: each task would cost one more, until Zoho locks everyone out.
MAX_RENEWALS = 5
RENEWAL_WINDOW = 600.0


class TokenSource(Protocol):
    """Where the client gets its access token."""

    def get(self) -> AccessToken:
        """Return a token that should be valid."""

    def renew(self, rejected: AccessToken) -> AccessToken:
        """Return a token other than the one that Bigin refused."""


class FixedToken:
    """
    The access token of a connection that has no other credentials.

    :param value: the token; its lifetime is unknown.
    """

    def __init__(self, value: str) -> None:
        self._token = AccessToken(value, expires_at=float("inf"))

    def get(self) -> AccessToken:
        """Return the token."""
        return self._token

    def renew(self, rejected: AccessToken) -> AccessToken:
        """Raise an error, because there is no other token."""
        raise BiginAuthenticationError(
            "Bigin refuses the connection's access token",
            hint="An access token is valid for one hour and cannot be refreshed by itself: give the"
            " connection a client ID, a client secret and a refresh token instead. If it is new, check that"
            " the region is right",
        )


@dataclass(frozen=True)
class Refusal:
    """
    The accounts server's last response, if it was not a token.

    :param at: when, in epoch seconds.
    :param error: name of the error's class.
    :param told: the error's arguments.
    :param throttled: number of times in a row that the server throttled.
    """

    at: float
    error: str
    told: dict[str, Any]
    throttled: int

    def __post_init__(self) -> None:
        is_count = isinstance(self.throttled, int) and self.throttled >= 0
        if not isinstance(self.at, (int, float)) or not is_count:
            raise TypeError("not a valid refusal")
        self.as_error(now=self.at)

    @classmethod
    def of(cls, error: BiginError, *, at: float, before: Refusal | None) -> Refusal:
        """Describe an error, which may have followed another one."""
        told = {name: getattr(error, name) for name in ("message", "status", "code", "request", "hint")}
        throttled_before = before.throttled if before else 0
        throttled = throttled_before + 1 if isinstance(error, BiginTokenLimitError) else 0
        return cls(at, type(error).__name__, told, throttled)

    @property
    def until(self) -> float:
        """The time from which later processes may ask the accounts server again."""
        if self.throttled:
            return self.at + THROTTLE_RESTS[min(self.throttled, len(THROTTLE_RESTS)) - 1]
        return self.at + (REFUSAL_LIFETIME if self.error == BiginAuthenticationError.__name__ else 0)

    def answers(self, *, now: float, since: float) -> bool:
        """Return whether a process that has waited since the given time need not ask for itself."""
        if self.at > now + REFUSAL_LIFETIME:
            return False  # written by a machine with a wrong clock
        return now < self.until or (not self.throttled and self.at >= since)

    def as_error(self, *, now: float) -> BiginError:
        """Recreate the error; for a throttle, it says how long to leave the server alone."""
        retry_after = max(0.0, self.until - now) if self.throttled else None
        return _ERRORS.get(self.error, BiginServerError)(**self.told, retry_after=retry_after)


_ERRORS: dict[str, type[BiginError]] = {
    error.__name__: error for error in (BiginAuthenticationError, BiginConnectionError, BiginTokenLimitError)
}


class SharedToken:
    """
    The access token that all processes with the same credentials share.

    :param credentials: used to refresh the token.
    :param cache: where it is stored for other processes.
    :param session: used for the calls to the accounts server.
    :param timeout: seconds for a whole request to the accounts server.
    :param clock: tells the time and waits.
    :param patience: seconds to wait for a throttle to end.
    :param mask: called with each token, to keep it out of logs.
    :param on_request: called before each request for a token.
    """

    def __init__(
        self,
        credentials: Credentials,
        cache: TokenCache,
        *,
        session: requests.Session,
        timeout: float,
        clock: Clock = SYSTEM_CLOCK,
        patience: float = PATIENCE,
        mask: Callable[[str], None] = lambda token: None,
        on_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._credentials = credentials
        self._cache = cache
        self._session = session
        self._timeout = timeout
        self._clock = clock
        self._patience = patience
        self._mask = mask
        self._on_request = on_request
        self._name = f"access_token_{credentials.digest()[:32]}"
        self._refusal_name = f"{self._name}_refusal"
        self._margin = random.uniform(*EXPIRY_MARGIN)  # noqa: S311 - no secret
        self._thread_lock = threading.Lock()
        self._token: AccessToken | None = None
        self._warned = False

    def get(self) -> AccessToken:
        """
        Return the token, refreshed if it is about to expire.

        :raises BiginAuthenticationError: if the credentials are permanently refused.
        :raises BiginTokenLimitError: if the accounts server throttled for longer than we wait.
        :raises BiginServerError: if its response is not usable.
        :raises BiginConnectionError: if it cannot be reached.
        """
        since = self._clock.time()
        token = self._token
        if token and self._is_usable(token):
            return token
        with self._thread_lock:
            return self._use(self._kept_token(rejected=None) or self._refreshed_by_one(None, since))

    def renew(self, rejected: AccessToken) -> AccessToken:
        """
        Return a token other than the one that Bigin refused; refresh only if nobody has done so since.

        :param rejected: the refused token. Errors as in :meth:`get`.
        """
        since = self._clock.time()
        with self._thread_lock:
            if self._token and self._token.value != rejected.value:
                return self._token
            return self._use(self._refreshed_by_one(rejected, since))

    def revoke(self) -> bool:
        """
        Revoke the refresh token with all tokens made from it, and remove them from the cache.

        :return: False if it was no longer valid. Errors as in :meth:`get`.
        """
        server, token = self._credentials.accounts_server, self._credentials.refresh_token
        ended = revoke_token(self._session, accounts_server=server, token=token, timeout=self._timeout)
        for name in (self._name, self._refusal_name):
            self._write(name, {})
        return ended

    def _use(self, token: AccessToken) -> AccessToken:
        self._mask(token.value)
        self._token = token
        return token

    def _is_usable(self, token: AccessToken) -> bool:
        return self._clock.time() < token.expires_at - self._margin

    # ---- one refresh for all ----

    def _refreshed_by_one(self, rejected: AccessToken | None, since: float) -> AccessToken:
        with ExitStack() as stack:
            kept = self._locked(stack, rejected, since) or self._kept_token(rejected)
            if kept is None and self._cache.spans_machines:
                self._clock.sleep(random.uniform(0, SETTLE_TIME))  # noqa: S311 - no secret
                kept = self._kept_token(rejected)
            return kept or self._refreshed(rejected, since)

    def _locked(self, stack: ExitStack, rejected: AccessToken | None, since: float) -> AccessToken | None:
        """
        Let one process of this machine through at a time, or return a token that has arrived meanwhile.

        A process that waits for longer than a request takes, with no throttle to explain it, is waiting for
        a frozen process, and passes. So does every process without a working lock: a second refresh is the
        lesser evil.
        """
        patience = self._timeout + random.uniform(0, SETTLE_TIME)  # noqa: S311 - no secret
        while patience > 0:
            try:
                stack.enter_context(self._cache.lock(self._name))
                return None
            except TimeoutError:
                if token := self._kept_token(rejected):
                    return token
                if not self._is_throttled(since):
                    patience -= LOCK_TIMEOUT
                elif self._clock.time() >= since + self._patience:
                    return None
            except Exception as error:
                self._warn("locked", error)
                return None
        self._warn("locked", TimeoutError("another process has not released it"))
        return None

    def _is_throttled(self, since: float) -> bool:
        """Return whether the holder of the lock may still be waiting for a throttle to end."""
        now, refusal = self._clock.time(), self._kept_refusal()
        return (
            refusal is not None
            and refusal.throttled > 0
            and refusal.answers(now=now - SETTLE_TIME, since=since)
        )

    def _refreshed(self, rejected: AccessToken | None, since: float) -> AccessToken:
        """Refresh, unless there is a response already; wait as long as the response is a throttle."""
        if rejected and len(self._recent_renewals()) >= MAX_RENEWALS:
            raise BiginTokenLimitError(
                f"Bigin has refused {MAX_RENEWALS} new access tokens within ten minutes, so no more are"
                " requested for now",
                hint="Check the connection's region, that the user may still use Bigin, and that nothing else"
                " makes tokens from the same refresh token: Zoho invalidates the oldest of more than fifteen",
                retry_after=RENEWAL_WINDOW,
            )
        patient_until = since + self._patience
        refusal = self._kept_refusal()
        while True:
            if refusal is None or not refusal.answers(now=self._clock.time(), since=since):
                try:
                    token = self._requested(rejected)
                except BiginError as error:
                    refusal = self._kept_new_refusal(error, before=refusal)
                else:
                    if refusal:
                        self._write(self._refusal_name, {})
                    return token
            if not refusal.throttled or self._clock.time() >= patient_until:
                raise refusal.as_error(now=self._clock.time())
            other = self._watched_token(rejected, until=min(refusal.until, patient_until))
            if other:
                return other
            refusal = self._kept_refusal() or refusal

    def _requested(self, rejected: AccessToken | None) -> AccessToken:
        now, renewals = self._clock.time(), self._recent_renewals()
        self._on_request()
        token = refresh_access_token(self._session, self._credentials, now=now, timeout=self._timeout)
        if rejected:
            renewals.append(now)
        self._write(self._name, {"token": asdict(token), "renewals": renewals})
        return token

    def _recent_renewals(self) -> list[float]:
        now = self._clock.time()
        kept = self._read(self._name).get("renewals")
        times = [at for at in kept if isinstance(at, (int, float))] if isinstance(kept, list) else []
        return [at for at in times if 0 <= now - at < RENEWAL_WINDOW]

    def _watched_token(self, rejected: AccessToken | None, *, until: float) -> AccessToken | None:
        """Wait, but only until another machine has obtained a token."""
        # Several machines may wait for the same moment: let one of them be the first.
        until += random.uniform(0, SETTLE_TIME)  # noqa: S311 - no secret
        log.warning(
            "The accounts server is not issuing access tokens for now; waiting for %d s, or until another"
            " machine has one.",
            until - self._clock.time(),
        )
        while (left := until - self._clock.time()) > 0:
            self._clock.sleep(min(WATCH_INTERVAL, left))
            token = self._kept_token(rejected)
            if token:
                return token
        return None

    # ---- the cache ----

    def _kept_token(self, rejected: AccessToken | None) -> AccessToken | None:
        """Return the cached token, if it is usable."""
        try:
            token = AccessToken(**self._read(self._name)["token"])
        except (KeyError, TypeError, ValueError):
            return None  # nothing is cached, or another version wrote it
        if not self._is_usable(token) or token.value == (rejected and rejected.value):
            return None
        # The configuration may have trusted another host when the token was cached.
        return replace(
            token, api_domain=trusted_api_domain(token.api_domain, self._credentials.sandbox_hosts)
        )

    def _kept_refusal(self) -> Refusal | None:
        try:
            return Refusal(**self._read(self._refusal_name))
        except TypeError:
            return None  # nothing is cached, or another version wrote it

    def _kept_new_refusal(self, error: BiginError, *, before: Refusal | None) -> Refusal:
        refusal = Refusal.of(error, at=self._clock.time(), before=before)
        self._write(self._refusal_name, asdict(refusal))
        return refusal

    def _read(self, name: str) -> dict[str, Any]:
        try:
            text = self._cache.read(name)
            content = json.loads(self._cipher.decrypt(text.encode())) if text else {}
            return content if isinstance(content, dict) else {}  # else: another version wrote it
        except Exception as error:
            self._warn("read", error)
            return {}

    def _write(self, name: str, content: dict[str, Any]) -> None:
        text = self._cipher.encrypt(json.dumps(content).encode()).decode()
        try:
            self._cache.write(name, text)
        except Exception as error:
            self._warn("written", error)
            # What is stored there is older than what this process has, so it is no longer of use.
            self._cache = MemoryTokenCache()
            self._cache.write(name, text)

    @cached_property
    def _cipher(self) -> Fernet:
        """A cipher whose key every rightful reader can derive; Airflow's own may differ between workers."""
        from cryptography.fernet import Fernet
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        secret = f"{self._credentials.client_secret}\n{self._credentials.refresh_token}".encode()
        key = HKDF(SHA256(), length=32, salt=None, info=b"airflow-provider-bigin token cache").derive(secret)
        return Fernet(base64.urlsafe_b64encode(key))

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = error if isinstance(error, OSError) else type(error).__name__
            log.warning(
                "The token cache could not be %s (%s); continuing without it, which costs a token request.",
                what,
                reason,
            )
