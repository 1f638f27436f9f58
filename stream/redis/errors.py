"""What Redis answers in place of OK, by a word for the metric, and what its owner can do about it."""

import redis

__all__ = ["is_for_good", "reason_of", "remedy_for"]

_REASONS: dict[type[Exception], str] = {
    redis.exceptions.MovedError: "moved",
    redis.exceptions.AskError: "moved",
    redis.exceptions.ClusterCrossSlotError: "moved",
    redis.exceptions.ClusterDownError: "cluster_down",
    redis.exceptions.OutOfMemoryError: "out_of_memory",
    redis.exceptions.ReadOnlyError: "read_only",
    redis.exceptions.NoPermissionError: "no_permission",
    redis.exceptions.AuthenticationError: "no_permission",
    redis.exceptions.BusyLoadingError: "loading",
}
_CODES = {  # by which Redis' answers begin; older clients know fewer of them by a class
    "MISCONF": "cannot_save",
    "NOREPLICAS": "no_replicas",
    "MASTERDOWN": "primary_down",
    "MOVED": "moved",
    "ASK": "moved",
    "CROSSSLOT": "moved",
    "CLUSTERDOWN": "cluster_down",
    "OOM": "out_of_memory",
    "READONLY": "read_only",
    "NOPERM": "no_permission",
    "NOAUTH": "no_permission",
    "WRONGPASS": "no_permission",
    "LOADING": "loading",
}
_REMEDIES = {
    "moved": "it is a node of a cluster: say redis+cluster://HOST:PORT in place of redis://",
    "cluster_down": "the cluster serves not all of its keys: `redis-cli cluster info`",
    "out_of_memory": "raise its maxmemory, set maxmemory-policy volatile-ttl, or shorten --redis-ttl",
    "read_only": "it is a replica: give the worker the address of the primary",
    "no_permission": "check user and password, and that its ACL allows EVAL, GET, SET and DEL on the keys",
    "cannot_save": "it can't save to its disk: mend that, or set stop-writes-on-bgsave-error no",
    "no_replicas": "it wants more replicas than it has: min-replicas-to-write",
}


def reason_of(error: Exception) -> str:
    """A slug; the same few ones whatever Redis says."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError):
        return "away"
    return _CODES.get(str(error).partition(" ")[0], "other")


def is_for_good(error: Exception) -> bool:
    """Whether the same write will be refused again."""
    return reason_of(error) in ("moved", "no_permission", "other")


def remedy_for(error: Exception) -> str:
    """What to do; empty where it goes away by itself."""
    return _REMEDIES.get(reason_of(error), "")
