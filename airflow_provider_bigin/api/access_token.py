"""
One access token for all processes that use the same credentials.

Zoho gives ten access tokens per refresh token in ten minutes, then none until there has been silence, and the
sixteenth live token ends the first (https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html). So a
token is refreshed by one process at a time, kept where the others find it, and asked for again only if the
one that was refused is still the newest.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_bigin.api.clock import Clock
from airflow_provider_bigin.api.errors import BiginAuthenticationError, BiginError, BiginTokenLimitError
from airflow_provider_bigin.api.oauth import AccessToken, Credentials, refresh_access_token
from airflow_provider_bigin.api.token_cache import TokenCache

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

#: Seconds before its end at which a token is no longer used; each process draws its own, so that they do not
#: all wake at once.
EXPIRY_MARGIN = (60.0, 180.0)
#: Seconds to rest before a throttled accounts server is asked again: every question prolongs the throttle.
THROTTLE_PAUSES = (30.0, 60.0, 120.0, 240.0)
#: Seconds between two looks for a token that another machine may have got meanwhile.
WATCH_INTERVAL = 5.0
#: Seconds for which a refusal is believed by the processes that waited for the one that was refused.
REFUSAL_LIFETIME = 60.0
#: Seconds, at most, before a machine looks again for another machine's token and then refreshes.
SETTLE_TIME = 1.0


class TokenSource(Protocol):
    """Where the client has its access token from."""

    def get(self) -> AccessToken:
        """Return a token that should be good."""

    def renew(self, rejected: AccessToken) -> AccessToken:
        """Return another one than that, which Bigin refused."""


class FixedToken:
    """
    The access token of a connection that has nothing else.

    :param value: the token; how long it lives is not known.
    """

    def __init__(self, value: str) -> None:
        self._token = AccessToken(value, expires_at=float("inf"))

    def get(self) -> AccessToken:
        """Return the token."""
        return self._token

    def renew(self, rejected: AccessToken) -> AccessToken:
        """Say that there is no other."""
        raise BiginAuthenticationError(
            "Bigin refuses the access token of the connection",
            hint="An access token lives one hour and cannot be refreshed by itself: give the connection a"
            " client id, a client secret"
            " and a refresh token instead. If it is new, check that the region is right",
        )


class SharedToken:
    """
    The access token that all processes with the same credentials share.

    :param credentials: what the token is refreshed with.
    :param cache: where it is kept for other processes; None keeps it in this one.
    :param session: for the calls to the accounts server.
    :param timeout: seconds to wait for the accounts server.
    :param clock: tells the time and waits.
    :param mask: is told each token, to keep it out of logs.
    """

    def __init__(
        self,
        credentials: Credentials,
        cache: TokenCache | None,
        *,
        session: requests.Session,
        timeout: float,
        clock: Clock = time,
        mask: Callable[[str], None] = lambda token: None,
    ) -> None:
        self._credentials = credentials
        self._cache = cache
        self._session = session
        self._timeout = timeout
        self._clock = clock
        self._mask = mask
        self._name = f"access_token_{credentials.digest()[:32]}"
        self._margin = random.uniform(*EXPIRY_MARGIN)  # noqa: S311
        self._thread_lock = threading.Lock()
        self._token: AccessToken | None = None
        self._warned = False

    def get(self) -> AccessToken:
        """
        Return the token, refreshed if it is about to end.

        :raises BiginAuthenticationError: if the credentials are refused for good.
        :raises BiginTokenLimitError: if the accounts server throttled for longer than we wait.
        """
        token = self._token
        if token and self._is_usable(token):
            return token
        with self._thread_lock:
            return self._use(self._kept_token(other_than=None) or self._refreshed_by_one(rejected=None))

    def renew(self, rejected: AccessToken) -> AccessToken:
        """
        Return another token than the one that Bigin refused; refresh only if nobody has since.

        :param rejected: the refused token. Errors as in :meth:`get`.
        """
        with self._thread_lock:
            if self._token and self._token.value != rejected.value:
                return self._token
            return self._use(self._refreshed_by_one(rejected))

    def _use(self, token: AccessToken) -> AccessToken:
        self._mask(token.value)
        self._token = token
        return token

    def _refreshed_by_one(self, rejected: AccessToken | None) -> AccessToken:
        with self._machine_lock():
            if self._cache and self._cache.spans_machines and not self._kept_token(rejected):
                self._clock.sleep(random.uniform(0, SETTLE_TIME))  # noqa: S311
            kept = self._kept_token(rejected)
            if kept:
                return kept
            self._raise_recent_refusal()
            return self._refreshed(rejected)

    def _refreshed(self, rejected: AccessToken | None) -> AccessToken:
        for pause in (*THROTTLE_PAUSES, None):
            try:
                token = refresh_access_token(
                    self._session, self._credentials, now=self._clock.time(), timeout=self._timeout
                )
            except BiginTokenLimitError as error:
                if pause is None:
                    self._keep_refusal(error)
                    raise
                log.warning(
                    "The accounts server gives out no access tokens for now; asking again in %d s.", pause
                )
                other = self._watched_token(pause, rejected)
                if other:
                    return other
            except BiginAuthenticationError as error:
                self._keep_refusal(error)
                raise
            else:
                self._keep({"token": asdict(token)})
                return token
        raise AssertionError("the last pause is None")

    def _watched_token(self, seconds: float, rejected: AccessToken | None) -> AccessToken | None:
        """Wait, but no longer than until another machine has got a token."""
        until = self._clock.time() + seconds
        while self._clock.time() < until:
            self._clock.sleep(min(WATCH_INTERVAL, seconds))
            token = self._kept_token(rejected)
            if token:
                return token
        return None

    def _is_usable(self, token: AccessToken) -> bool:
        return self._clock.time() < token.expires_at - self._margin

    # ---- what is kept ----

    @contextmanager
    def _machine_lock(self) -> Iterator[None]:
        """
        Let one process of this machine through at a time. Without a working lock all pass: a second refresh
        is the lesser evil.
        """
        with ExitStack() as stack:
            if self._cache:
                try:
                    stack.enter_context(self._cache.lock(self._name))
                except Exception as error:
                    self._warn("locked", error)
            yield

    def _kept_token(self, other_than: AccessToken | None) -> AccessToken | None:
        kept = self._kept().get("token")
        try:
            token = AccessToken(**kept) if kept else None
        except TypeError:
            return None  # written by a version that kept something else
        if token is None or not self._is_usable(token) or (other_than and token.value == other_than.value):
            return None
        return token

    def _raise_recent_refusal(self) -> None:
        refusal = self._kept().get("refusal")
        if not refusal or not 0 <= self._clock.time() - refusal["at"] < REFUSAL_LIFETIME:
            return
        error_class = BiginTokenLimitError if refusal["throttled"] else BiginAuthenticationError
        raise error_class(**refusal["error"])

    def _keep_refusal(self, error: BiginError) -> None:
        told = ("message", "status", "code", "request", "hint")
        self._keep(
            {
                "refusal": {
                    "at": self._clock.time(),
                    "throttled": isinstance(error, BiginTokenLimitError),
                    "error": {name: getattr(error, name) for name in told},
                }
            }
        )

    def _kept(self) -> dict[str, Any]:
        if not self._cache:
            return {}
        try:
            text = self._cache.read(self._name)
            return json.loads(self._cipher().decrypt(text.encode())) if text else {}
        except Exception as error:
            self._warn("read", error)
            return {}

    def _keep(self, content: dict[str, Any]) -> None:
        if not self._cache:
            return
        try:
            self._cache.write(self._name, self._cipher().encrypt(json.dumps(content).encode()).decode())
        except Exception as error:
            self._warn("written", error)

    def _cipher(self) -> Any:
        """
        Encrypt under what every rightful reader has; Airflow's own key may differ from worker to worker.
        """
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
                "The token cache could not be %s (%s); going on without it, at the cost of a token request.",
                what,
                reason,
            )
