"""
Many machines need an access token at the same moment, in virtual time.

Each machine is a thread, and one thread runs at a time: whenever it reads or writes a Variable, asks the
accounts server or sleeps, it waits until the world has reached that moment. Machines freeze and die there.
"""

from __future__ import annotations

import heapq
import math
import random
import threading
from collections import Counter
from itertools import count
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.api import access_token
from airflow_provider_bigin.api.access_token import LOCK_OVERHEAD, SPREAD, SharedToken
from airflow_provider_bigin.api.errors import BiginAuthenticationError, BiginTokenLimitError
from airflow_provider_bigin.api.oauth import AccessToken, Credentials
from airflow_provider_bigin.hooks import token_cache
from airflow_provider_bigin.hooks.token_cache import CONFIRM_TIME, VariableTokenCache

CREDENTIALS = Credentials("https://accounts.zoho.eu", "id", "secret", "refresh token")
TIMEOUT = 30.0
#: Seconds of a request to the accounts server.
REQUEST = 1.0
#: Seconds for which a machine may freeze and not lose the lock: all else that it does takes less than 5 s.
TOLERATED = TIMEOUT + LOCK_OVERHEAD - CONFIRM_TIME - 5


class DeathError(BaseException):
    """The machine is no more."""


class World:
    """
    Airflow's Variables, Zoho's accounts server, and the time.

    :param refuses_overlaps: whether Airflow refuses one of two writes at the same moment, as before 3.1.
    :param slowness: maximum seconds of half a call to Airflow.
    :param answer: called with the time for each request; may raise an error.
    """

    def __init__(self, *, seed=0, refuses_overlaps=False, slowness=0.05, answer=lambda now: None):
        self.now = 0.0
        self.variables = {}
        self.calls = Counter()
        self.requests = []
        self._random = random.Random(seed)
        self._refuses_overlaps = refuses_overlaps
        self._slowness = slowness
        self._answer = answer
        self._writes = Counter()
        self._agenda = []
        self._order = count()
        self._baton = threading.Semaphore(0)

    # ---- for the machines ----

    def time(self):
        return self.now

    monotonic = time

    def sleep(self, seconds, step="sleep"):
        machine = threading.current_thread()
        machine.live()
        self.wake(machine, self.now + seconds + machine.frozen_for(step))
        self._baton.release()
        machine.turn.acquire()
        machine.live()

    def read(self, key):
        return self._call("read", lambda: self.variables.get(key))

    def write(self, key, value, *, description):
        writes_before = self._writes[key]

        def act():
            if self._refuses_overlaps and self._writes[key] != writes_before:
                raise RuntimeError("UNIQUE constraint failed: variable.key")
            self._writes[key] += 1
            self.variables[key] = value

        self._call("write", act)

    def delete(self, key):
        self._call("delete", lambda: self.variables.pop(key, None))

    def request(self, *args, now, **kwargs):
        self.requests.append(self.now)
        number = len(self.requests)
        self.sleep(REQUEST, "request")
        self._answer(self.now)
        return AccessToken(f"1000.{number}", expires_at=now + 3600)

    def _call(self, step, act):
        """Act some time after it was asked for, and some time before the answer arrives."""
        self.calls[step] += 1
        self.sleep(self._random.uniform(0, self._slowness), step)
        answer = act()
        self.sleep(self._random.uniform(0, self._slowness))
        return answer

    # ---- the course of events ----

    def wake(self, machine, at):
        heapq.heappush(self._agenda, (at, next(self._order), machine))

    def hand_over(self):
        self._baton.release()

    def run(self, machines):
        random.seed(0)
        with (
            mock.patch.multiple(
                token_cache,
                get_variable=self.read,
                get_database_variable=self.read,
                set_variable=self.write,
                set_database_variable=self.write,
                delete_database_variable=self.delete,
            ),
            mock.patch.object(access_token, "refresh_access_token", self.request),
        ):
            for machine in machines:
                machine.start()
            while self._agenda:
                at, _, machine = heapq.heappop(self._agenda)
                self.now = at if at < math.inf else self.now
                machine.turn.release()
                self._baton.acquire()
        for machine in machines:
            machine.join()

    @property
    def claims(self):
        return [value for key, value in self.variables.items() if "claim" in key]


class Machine(threading.Thread):
    """
    A machine that needs an access token.

    :param start: when.
    :param frozen: for how many seconds it freezes at which step: a number, or the first of a kind.
    """

    def __init__(self, world, start=0.0, frozen=None):
        super().__init__(daemon=True)
        self.world = world
        self.frozen = dict(frozen or {})
        self.turn = threading.Semaphore(0)
        self.is_dead = False
        self.token = None
        self.error = None
        self.done_at = None
        self._steps = count()
        world.wake(self, start)

    def live(self):
        if self.is_dead:
            raise DeathError

    def frozen_for(self, step):
        seconds = self.frozen.pop(next(self._steps), 0.0) + self.frozen.pop(step, 0.0)
        self.is_dead = seconds == math.inf
        return seconds

    def run(self):
        self.turn.acquire()
        cache = VariableTokenCache(self.world)
        tokens = SharedToken(CREDENTIALS, cache, session=None, timeout=TIMEOUT, clock=self.world)
        try:
            self.token = tokens.get().value
        except DeathError:
            pass
        except Exception as error:
            self.error = error
        finally:
            self.done_at = self.world.now
            self.world.hand_over()


def run(world, plan):
    machines = [Machine(world, start, frozen) for start, frozen in plan]
    world.run(machines)
    return machines


# ---- many ----


def test_sixty_machines_that_start_together_make_one_request():
    world = World()
    machines = run(world, [(0.0, {})] * 60)
    assert {machine.token for machine in machines} == {"1000.1"}
    assert len(world.requests) == 1
    assert world.claims == []
    # What docs/explanation/authentication.md says.
    assert max(machine.done_at for machine in machines) < 14
    assert world.calls["read"] < 12 * 60
    assert world.calls["write"] < 5


@pytest.mark.parametrize("seed", range(5))
def test_sixty_machines_make_one_request_if_airflow_is_slow_and_refuses_many_claims(seed):
    world = World(seed=seed, slowness=1.0, refuses_overlaps=True)
    machines = run(world, [(0.0, {})] * 60)
    assert {machine.token for machine in machines} == {"1000.1"}
    assert world.claims == []


def test_sixty_machines_wait_for_a_throttle_with_one_request_each_time():
    def throttle(now):
        if now < 100:
            raise BiginTokenLimitError("The accounts server is not issuing access tokens for now")

    world = World(answer=throttle)
    machines = run(world, [(0.0, {})] * 60)
    assert {machine.token for machine in machines} == {"1000.3"}
    assert len(world.requests) == 3


def test_sixty_machines_take_one_refusal():
    def refuse(now):
        raise BiginAuthenticationError("The refresh token is not valid")

    world = World(answer=refuse)
    machines = run(world, [(0.0, {})] * 60)
    assert {type(machine.error) for machine in machines} == {BiginAuthenticationError}
    assert len(world.requests) == 1


def test_who_comes_later_makes_no_claim():
    world = World()
    run(world, [(0.0, {})])
    world.calls.clear()
    run(world, [(60.0, {})] * 60)
    assert world.calls == {"read": 60}


# ---- some of which freeze or die ----


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param([(0, {"write": 7}), (0, {"request": 20})], id="claimed too late"),
        pytest.param([(0, {"write": 3}), (0, {"request": 20})], id="claimed just in time"),
        pytest.param([(0, {12: 20}), (0, {})], id="confirmed late"),
        pytest.param([(0, {7: 30}), (28, {"request": 29})], id="saw a claim late"),
        pytest.param([(0, {"request": TOLERATED}), *[(0, {})] * 5], id="asked slowly"),
    ],
)
def test_a_machine_that_freezes_for_a_moment_costs_nothing(plan):
    world = World()
    assert all(machine.token == "1000.1" for machine in run(world, plan))
    assert len(world.requests) == 1


def test_sixty_machines_replace_one_that_died_with_the_lock():
    world = World()
    machines = run(world, [(0.0, {"request": math.inf}), *[(2.0, {})] * 60])
    assert {machine.token for machine in machines if not machine.is_dead} == {"1000.2"}
    assert len(world.requests) == 2
    assert world.claims == []
    patience = TIMEOUT + LOCK_OVERHEAD
    assert patience < max(machine.done_at for machine in machines) < patience + SPREAD + CONFIRM_TIME + 10


def freezes(seconds):
    """Freeze a machine at one of its steps."""
    return st.dictionaries(st.integers(0, 30), seconds, max_size=1)


def plans(seconds):
    """Return when each of a few machines starts, and when it freezes for how long."""
    return st.lists(st.tuples(st.just(0.0) | st.floats(0, 20), freezes(seconds)), min_size=1, max_size=6)


worlds = st.builds(World, seed=st.integers(0, 99), refuses_overlaps=st.booleans())
BRIEFLY = st.floats(0, TOLERATED)
FOR_LONG = st.floats(TOLERATED, 1000) | st.just(math.inf)


@given(world=worlds, plan=plans(BRIEFLY))
def test_machines_that_freeze_for_a_moment_make_one_request(world, plan):
    machines = run(world, plan)
    assert {machine.token for machine in machines} == {"1000.1"}
    assert len(world.requests) == 1


@given(world=worlds, plan=plans(BRIEFLY | FOR_LONG))
def test_each_machine_that_dies_or_freezes_for_long_costs_a_request_at_most(world, plan):
    machines = run(world, plan)
    assert all(machine.token or machine.is_dead for machine in machines)
    faulty = sum(any(seconds > TOLERATED for seconds in frozen.values()) for _, frozen in plan)
    assert len(world.requests) <= 1 + faulty
    healthy = [machine.done_at for machine, (_, frozen) in zip(machines, plan, strict=True) if not frozen]
    assert max(healthy, default=0.0) < 20 + 70 * len(machines)
