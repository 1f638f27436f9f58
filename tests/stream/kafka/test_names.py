"""Names that Kafka would refuse are refused here first, in words."""

import pytest

from export.errors import ConfigError
from stream.kafka.names import MAX_TOPIC, check_group, check_topic


@pytest.mark.parametrize("name", ["clicks", "shop.eu_1-clicks", "x" * MAX_TOPIC, "..."])
def test_check_topic_legal_name_is_returned(name: str) -> None:
    assert check_topic(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "clicks/eu", "clicks\n", "klicks-ü", "x" * (MAX_TOPIC + 1)])
def test_check_topic_illegal_name_raises_config_error(name: str) -> None:
    with pytest.raises(ConfigError, match="no name of a topic"):
        check_topic(name)


def test_check_group_leaves_room_for_the_topic_named_after_it() -> None:
    longest = "x" * (MAX_TOPIC - len("-sessions-changelog"))
    assert check_group(longest) == longest
    check_topic(f"{longest}-sessions-changelog")
    for wrong in (longest + "x", "a b", ""):
        with pytest.raises(ConfigError, match="no name of a group"):
            check_group(wrong)
