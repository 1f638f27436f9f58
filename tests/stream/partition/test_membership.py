"""What the group's refusals mean."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaConnectionError,
)

from export.errors import ConfigError
from stream.errors import AccessRefused
from stream.partition.membership import Membership
from stream.partition.partitions import Partitions


def member(error: Exception | None, *, started: bool = True) -> Membership:
    app: Any = SimpleNamespace(_consumer=SimpleNamespace(refusal=lambda: error) if started else None)
    return Membership(app, Partitions("clicks"), session_timeout_s=6.0, has_ended=lambda: False)


def test_check_admission_session_timeout_refused_names_option_and_settings() -> None:
    with pytest.raises(ConfigError, match=r"--broker-session-timeout-s within .* group.min.session.timeout.ms"):
        member(InvalidSessionTimeoutError()).check_admission()


@pytest.mark.parametrize("error", [GroupAuthorizationFailedError("shop"), InvalidGroupIdError()])
def test_check_admission_group_refused_says_what_to_allow(error: Exception) -> None:
    with pytest.raises(AccessRefused, match="allow READ on the group"):
        member(error).check_admission()


@pytest.mark.parametrize("error", [None, KafkaConnectionError("away")])
def test_check_admission_of_a_member_or_while_the_broker_is_away_passes(error: Exception | None) -> None:
    member(error).check_admission()


def test_check_admission_before_there_is_a_consumer_passes() -> None:
    member(None, started=False).check_admission()
