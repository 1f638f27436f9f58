"""Whether a cluster is the one that comes with librdkafka, which answers less than Kafka does."""

__all__ = ["is_in_process"]

_BEGINS = "mockCluster"


def is_in_process(cluster_id: str | None) -> bool:
    """By the identity that the cluster gives itself. It has no settings and no identities of topics, and leaves a
    request for them without an answer."""
    return str(cluster_id).startswith(_BEGINS)
