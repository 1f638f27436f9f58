"""Names of topics: by a file, under a prefix, and refused in words where Kafka would refuse them."""

from pathlib import Path

import pytest

from export.errors import ConfigError
from stream.config import StreamConfig
from stream.faust.app import build_app
from stream.topic_names import Topics, read_topics

DEFAULT = ("clicks", "recommendations", "clicks.rejected", "models", "nextclick-sessions-changelog")
NAMES = {"clicks": "eu.clicks", "rejected": "eu.dead", "changelog": "eu.state"}


def test_topics_without_names_or_prefix_are_the_default_ones() -> None:
    assert read_topics() == Topics.named() == Topics()
    assert Topics().all("nextclick") == DEFAULT
    assert Topics().as_options() == ""


def test_prefix_stands_before_every_topic_and_the_group() -> None:
    topics = Topics.named(prefix="shop1.")
    assert topics.all("nextclick") == tuple(f"shop1.{name}" for name in DEFAULT)
    assert topics.as_options() == " --topic-prefix shop1."
    config = StreamConfig(bootstrap_servers="h:1", registry="r", topics=topics)
    assert (config.consumer_group, config.changelog_topic) == ("shop1.nextclick", "shop1.nextclick-sessions-changelog")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.toml", 'clicks = "eu.clicks"\nrejected = "eu.dead"  # letters\nchangelog = "eu.state"\n'),
        ("names.properties", "# ours\n\nclicks=eu.clicks\n rejected = eu.dead \nchangelog=eu.state"),
        ("names", "\ufeffclicks=eu.clicks\r\nrejected=eu.dead\r\nchangelog=eu.state\r\n"),
    ],
)
def test_file_names_some_topics_and_the_prefix_comes_before_these_too(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_topics(tmp_path / name) == Topics.named(NAMES)
    found = read_topics(tmp_path / name, "a-")
    assert found.all("g") == ("a-eu.clicks", "a-recommendations", "a-eu.dead", "a-models", "a-eu.state")
    assert found.as_options() == " --topic-prefix a- --topics FILE"


@pytest.mark.parametrize(
    ("topics", "changelog"),
    [(Topics(), "g-sessions-changelog"), (Topics.named(NAMES, "a-"), "a-eu.state")],
)
def test_faust_is_given_the_group_and_the_changelog_of_these_names(topics: Topics, changelog: str) -> None:
    config = StreamConfig(bootstrap_servers="h:1", registry="r", group="g", topics=topics)
    app, table = build_app(config, lambda: pytest.fail("nothing is taken in before the start"))
    assert app.conf.id == topics.prefix + "g"
    assert table.changelog_topic.get_topic_name() == table.changelog_topic_name == changelog
    assert (table.changelog_topic.compacting, table.changelog_topic.internal) == (True, True)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.toml", "clicks = eu", "not TOML"),
        ("x.toml", "clicks = 7", "must be a string"),
        ("x.toml", '[clicks]\nname = "a"', "must be a string"),
        ("x.toml", 'click = "a"', "no topic 'click'; those that can be named are clicks, recommendations"),
        ("x", "click=a", "no topic 'click'"),
        ("x", "prefix=a", "no topic 'prefix'"),
        ("x", "models=m\nclicks eu", "line 2 has not the form word=name"),
        ("x", "clicks=a\nclicks=b", "line 2 names a topic twice"),
        ("x", "clicks=", "must have 1 to 249 characters, not 0"),
        ("x", "clicks=" + "a" * 250, "1 to 249 characters, not 250"),
        ("x", "clicks=a b", "can't be named 'a b'"),
        ("x", "clicks=ä", "can't be named"),
        ("x", "clicks=..", "can't be named '..'"),
        ("x", "clicks=models", "clicks and models can't both be named 'models'"),
        ("x", "clicks=a.b\nrejected=a_b", "clicks and rejected can't both"),
        ("x", "changelog=clicks", "clicks and changelog can't both"),
    ],
)
def test_file_that_is_no_good_is_refused_with_its_name(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_topics(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"clicks=\xe4")
    with pytest.raises(ConfigError, match="none can't be read: No such file"):
        read_topics(tmp_path / "none")
    with pytest.raises(ConfigError, match="latin can't be read: it is not UTF-8"):
        read_topics(tmp_path / "latin")
    (tmp_path / "long").write_bytes(b"#" * 65_537)
    with pytest.raises(ConfigError, match="long have more than 65,536 bytes"):
        read_topics(tmp_path / "long")


def test_all_words_can_be_named_and_prefixed() -> None:
    found = Topics.named({"similar": "alike", "impressions": "shown"}, "a.")
    assert (found.items, found.similar, found.impressions) == ("a.items", "a.alike", "a.shown")
    with pytest.raises(ConfigError, match="clicks and impressions can't both"):
        Topics.named({"impressions": "clicks"})


@pytest.mark.parametrize("prefix", ["a b", "a/", "ä", "x" * 240])
def test_prefix_that_no_topic_can_have_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError):
        Topics.named(prefix=prefix)


@pytest.mark.parametrize("group", ["a b", "g" * 240])
def test_group_that_no_changelog_can_be_named_after_is_refused(group: str) -> None:
    with pytest.raises(ConfigError, match="the topic of its sessions is named after it"):
        StreamConfig(bootstrap_servers="h:1", registry="r", group=group)
