"""
One access token for all processes that use the same credentials.

Zoho issues ten access tokens per refresh token in ten minutes, then none until requests have stopped for a
while, and the sixteenth live token invalidates the oldest
(https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html). So a token is refreshed by one process
at a time, cached where the others find it, and requested again only if the one that was refused is still the
newest. Refusals by the accounts server are cached too: a process that waited for the response takes it as its
own, and no process bothers a throttled server. The lock is held for one request, not while a throttle lasts.
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
from airflow_provider_bigin.api.token_cache import MemoryTokenCache, TokenCache

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
#: Seconds between checks for a token that another process may have obtained in the meantime.
WATCH_INTERVAL = 5.0
#: Maximum seconds by which each process delays what all of them would otherwise do at the same moment.
SPREAD = 5.0
#: Seconds, in addition to the request's timeout, for which a lock is held at most.
LOCK_OVERHEAD = 10.0
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
        self._refusal: Refusal | None = None
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
            return self._use(self._refreshed_by_one(None, since))

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
        self._token, self._refusal = token, None
        return token

    def _is_usable(self, token: AccessToken) -> bool:
        return self._clock.time() < token.expires_at - self._margin

    # ---- one refresh for all ----

    def _refreshed_by_one(self, rejected: AccessToken | None, since: float) -> AccessToken:
        """Return the token that one process requests for all; wait as long as the server throttles."""
        patient_until = since + self._patience
        while True:
            answer = self._answer(rejected, since)
            if isinstance(answer, AccessToken):
                return answer
            if not answer.throttled or self._clock.time() >= patient_until:
                raise answer.as_error(now=self._clock.time())
            if token := self._watched_token(rejected, until=min(answer.until, patient_until)):
                return token

    def _answer(self, rejected: AccessToken | None, since: float) -> AccessToken | Refusal:
        """Return the accounts server's answer: from the cache, or else from a request that serves all."""
        with ExitStack() as stack:
            return (
                self._kept_answer(rejected, since)
                or self._locked(stack, rejected, since)
                or self._kept_answer(rejected, since)
                or self._requested(rejected)
            )

    def _locked(
        self, stack: ExitStack, rejected: AccessToken | None, since: float
    ) -> AccessToken | Refusal | None:
        """
        Let one process through at a time, or return an answer that has arrived meanwhile.

        Whoever holds the lock for longer than a request takes is frozen or dead, and is not waited for. Every
        process passes without a working lock: a second refresh is the lesser evil.
        """
        patience = self._timeout + LOCK_OVERHEAD + random.uniform(0, SPREAD)  # noqa: S311 - no secret
        begun = self._clock.monotonic()
        first_seen: dict[str, float] = {}
        frozen = None
        while (now := self._clock.monotonic()) - begun < PATIENCE:
            try:
                stack.enter_context(self._cache.lock(self._name, despite=frozen))
                return None
            except TimeoutError as held:
                if answer := self._kept_answer(rejected, since):
                    return answer
                holder = str(held)
                if now - first_seen.setdefault(holder, self._clock.monotonic()) > patience:
                    log.warning("No longer waiting for a process that was to refresh the access token.")
                    frozen = holder
            except Exception as error:
                self._warn("locked", error)
                return None
        self._warn("locked", TimeoutError("other processes have not released it"))
        return None

    def _requested(self, rejected: AccessToken | None) -> AccessToken | Refusal:
        """Request a token, and cache the answer."""
        now, renewals, before = self._clock.time(), self._recent_renewals(), self._kept_refusal()
        if rejected and len(renewals) >= MAX_RENEWALS:
            raise BiginTokenLimitError(
                f"Bigin has refused {MAX_RENEWALS} new access tokens within ten minutes, so no more are"
                " requested for now",
                hint="Check the connection's region, that the user may still use Bigin, and that nothing else"
                " makes tokens from the same refresh token: Zoho invalidates the oldest of more than fifteen",
                retry_after=RENEWAL_WINDOW,
            )
        self._on_request()
        try:
            token = refresh_access_token(self._session, self._credentials, now=now, timeout=self._timeout)
        except BiginError as error:
            self._refusal = Refusal.of(error, at=self._clock.time(), before=before)
            self._write(self._refusal_name, asdict(self._refusal))
            return self._refusal
        if rejected:
            renewals.append(now)
        self._write(self._name, {"token": asdict(token), "renewals": renewals})
        if before:
            self._write(self._refusal_name, {})
        return token

    def _recent_renewals(self) -> list[float]:
        now = self._clock.time()
        kept = self._read(self._name).get("renewals")
        times = [at for at in kept if isinstance(at, (int, float))] if isinstance(kept, list) else []
        return [at for at in times if 0 <= now - at < RENEWAL_WINDOW]

    def _watched_token(self, rejected: AccessToken | None, *, until: float) -> AccessToken | None:
        """Wait, but only until another process has obtained a token."""
        until += random.uniform(0, SPREAD)  # noqa: S311 - no secret
        log.warning(
            "The accounts server is not issuing access tokens for now; waiting for %d s, or until another"
            " process has one.",
            until - self._clock.time(),
        )
        while (left := until - self._clock.time()) > 0:
            self._clock.sleep(min(WATCH_INTERVAL, left))
            token = self._kept_token(rejected)
            if token:
                return token
        return None

    # ---- the cache ----

    def _kept_answer(self, rejected: AccessToken | None, since: float) -> AccessToken | Refusal | None:
        """Return the accounts server's last answer, if it is one for this process too."""
        if token := self._kept_token(rejected):
            return token
        refusal = self._kept_refusal()
        return refusal if refusal and refusal.answers(now=self._clock.time(), since=since) else None

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
            return self._refusal  # nothing is cached, or another version wrote it

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
