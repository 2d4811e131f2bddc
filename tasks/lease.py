"""The right to train a run: one worker at a time, for 15 seconds, renewed while it lives.

A message can come twice (a broker restarts, a worker dies between two steps) and a worker can be
suspended for a minute; attempt numbers, compared inside Redis, make each of these harmless.
"""

from __future__ import annotations

import secrets
from enum import Enum

from redis import Redis

from tasks import keys

# Nobody holds the run and nobody claimed this attempt before: it is ours (or cancelled before it began).
_CLAIM = """
local lease, claimed, cancel, sent = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local attempt, token, seconds, memory = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', lease) == 1 or attempt <= tonumber(redis.call('GET', claimed) or '0') then
  return 'refused'
end
redis.call('SET', claimed, attempt, 'EX', memory)
redis.call('DEL', sent)
if redis.call('EXISTS', cancel) == 1 then return 'cancelled' end
redis.call('SET', lease, token, 'EX', seconds)
return 'claimed'
"""

# Prolong our lease. Where nobody holds one (Redis was emptied, or we were suspended) take it anew,
# unless a newer attempt was claimed meanwhile.
_RENEW = """
local lease, claimed = KEYS[1], KEYS[2]
local attempt, token, seconds, memory = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local holder = redis.call('GET', lease)
if holder and holder ~= token then return 0 end
if not holder then
  if tonumber(redis.call('GET', claimed) or '0') > attempt then return 0 end
  redis.call('SET', claimed, attempt, 'EX', memory)
end
redis.call('SET', lease, token, 'EX', seconds)
return 1
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then
  redis.call('HINCRBY', KEYS[2], 'count', 1)
  redis.call('HSET', KEYS[2], 'attempt', ARGV[2])
  redis.call('EXPIRE', KEYS[2], ARGV[3])
end
return redis.call('DEL', KEYS[1])
"""


class Claim(Enum):
    """What a worker that asks for a run is told."""

    CLAIMED = "claimed"
    CANCELLED = "cancelled"
    """A person cancelled the run before this attempt began: say so and train nothing."""
    REFUSED = "refused"
    """Another worker has it, or this attempt was claimed before: do nothing."""


class Lease:
    """One worker's lease on one attempt of a run."""

    def __init__(self, redis: Redis, run: str, attempt: int, worker: str) -> None:
        self.redis, self.run, self.attempt, self.worker = redis, run, attempt, worker
        self.token = f"{attempt}:{worker}:{secrets.token_hex(8)}"
        self._claim = redis.register_script(_CLAIM)
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)

    def __repr__(self) -> str:
        return f"Lease({self.run}, {self.token})"

    def claim(self) -> Claim:
        """Take the run if it is free and this attempt is new."""
        run, memory = self.run, keys.MEMORY_SECONDS
        answer = self._claim(
            keys=[keys.lease(run), keys.claimed(run), keys.cancel(run), keys.sent(run)],
            args=[self.attempt, self.token, keys.LEASE_SECONDS, memory],
        )
        if answer == Claim.REFUSED.value and self.redis.get(keys.lease(run)) == self.token:
            return Claim.CLAIMED  # the reply to the first try was lost, and the client tried again
        return Claim(answer)

    def renew(self) -> bool:
        """Hold it for another 15 s; False where a newer attempt has the run."""
        return bool(
            self._renew(
                keys=[keys.lease(self.run), keys.claimed(self.run)],
                args=[self.attempt, self.token, keys.LEASE_SECONDS, keys.MEMORY_SECONDS],
            )
        )

    def release(self, *, give_back: bool = False) -> None:
        """Let it go; ``give_back``: the attempt was ended by a stopping worker and counts as none."""
        attempt = str(self.attempt) if give_back else ""
        self._release(
            keys=[keys.lease(self.run), keys.given_back(self.run)],
            args=[self.token, attempt, keys.MEMORY_SECONDS],
        )
