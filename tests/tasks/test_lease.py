"""The lease: one worker a run, one claim an attempt, whatever comes twice or late."""

from __future__ import annotations

from tasks import keys
from tasks.lease import Claim, Lease
from tests.tasks.stack import Stack


def test_a_free_run_is_claimed_for_fifteen_seconds(queue: Stack) -> None:
    queue.redis.set(keys.sent("r"), 1)
    lease = Lease(queue.redis, "r", 1, "w")
    assert lease.claim() is Claim.CLAIMED
    assert queue.redis.get(keys.lease("r")) == lease.token
    assert 10 < queue.redis.ttl(keys.lease("r")) <= 15
    assert queue.redis.get(keys.claimed("r")) == "1"
    assert queue.redis.exists(keys.sent("r")) == 0


def test_a_held_run_is_refused(queue: Stack) -> None:
    Lease(queue.redis, "r", 1, "w").claim()
    assert Lease(queue.redis, "r", 2, "v").claim() is Claim.REFUSED


def test_an_attempt_is_claimed_once_even_after_its_release(queue: Stack) -> None:
    first = Lease(queue.redis, "r", 1, "w")
    first.claim()
    first.release()
    assert Lease(queue.redis, "r", 1, "v").claim() is Claim.REFUSED
    assert Lease(queue.redis, "r", 2, "v").claim() is Claim.CLAIMED


def test_a_claim_whose_answer_was_lost_is_still_ours(queue: Stack) -> None:
    lease = Lease(queue.redis, "r", 1, "w")
    lease.claim()
    assert lease.claim() is Claim.CLAIMED


def test_a_cancelled_run_is_not_taken(queue: Stack) -> None:
    queue.redis.set(keys.cancel("r"), 1)
    assert Lease(queue.redis, "r", 1, "w").claim() is Claim.CANCELLED
    assert queue.redis.exists(keys.lease("r")) == 0


def test_renewing_prolongs(queue: Stack) -> None:
    lease = Lease(queue.redis, "r", 1, "w")
    lease.claim()
    queue.redis.expire(keys.lease("r"), 2)
    assert lease.renew()
    assert queue.redis.ttl(keys.lease("r")) > 10


def test_renewing_fails_where_another_holds_the_run(queue: Stack) -> None:
    suspended = Lease(queue.redis, "r", 1, "w")
    suspended.claim()
    queue.redis.delete(keys.lease("r"))
    Lease(queue.redis, "r", 2, "v").claim()
    assert not suspended.renew()


def test_renewing_fails_where_a_newer_attempt_came_and_went(queue: Stack) -> None:
    suspended = Lease(queue.redis, "r", 1, "w")
    suspended.claim()
    queue.redis.delete(keys.lease("r"))
    newer = Lease(queue.redis, "r", 2, "v")
    newer.claim()
    newer.release()
    assert not suspended.renew()


def test_renewing_takes_the_lease_again_after_the_queue_was_emptied(queue: Stack) -> None:
    lease = Lease(queue.redis, "r", 1, "w")
    lease.claim()
    queue.redis.flushall()
    assert lease.renew()
    assert queue.redis.get(keys.lease("r")) == lease.token
    assert Lease(queue.redis, "r", 1, "v").claim() is Claim.REFUSED


def test_releasing_leaves_another_workers_lease_alone(queue: Stack) -> None:
    late = Lease(queue.redis, "r", 1, "w")
    late.claim()
    queue.redis.delete(keys.lease("r"))
    holder = Lease(queue.redis, "r", 2, "v")
    holder.claim()
    late.release(give_back=True)
    assert queue.redis.get(keys.lease("r")) == holder.token
    assert queue.redis.exists(keys.given_back("r")) == 0


def test_giving_back_is_counted(queue: Stack) -> None:
    lease = Lease(queue.redis, "r", 3, "w")
    lease.claim()
    lease.release(give_back=True)
    assert queue.redis.hgetall(keys.given_back("r")) == {"count": "1", "attempt": "3"}
    assert queue.redis.exists(keys.lease("r")) == 0
