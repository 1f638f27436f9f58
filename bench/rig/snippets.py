"""The clients in docs/, as a shop would run them: a command for each program in each language."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench.rig.brokers.base import BrokerMissing
from bench.rig.brokers.jars import kafka_jars, require_java
from bench.rig.node import node_folder

__all__ = ["LANGUAGES", "client_command"]

_CLIENTS = Path(__file__).parents[2] / "docs" / "clients"
_SHORT_LIVED = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def client_command(language: str, *words: str) -> list[str]:
    """The command of one of the clients, by the words of its name (`send`, `clicks`); BrokerMissing where what it
    needs can't be had."""
    return LANGUAGES[language](words)


def _python(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, str(_CLIENTS / "python" / f"{'_'.join(words)}.py")]


def _java(words: tuple[str, ...]) -> list[str]:
    """Compiled as it starts."""
    if shutil.which("javac") is None:
        raise BrokerMissing("javac is not on the PATH; install it (Debian: apt-get install openjdk-17-jdk-headless)")
    file = _CLIENTS / "java" / f"{''.join(word.capitalize() for word in words)}.java"
    return [require_java(), *_SHORT_LIVED, "-cp", f"{kafka_jars()}/*", str(file)]


def _node(words: tuple[str, ...]) -> list[str]:
    return ["node", str(node_folder() / f"{'-'.join(words)}.mjs")]


LANGUAGES: dict[str, Callable[[tuple[str, ...]], list[str]]] = {"python": _python, "java": _java, "node": _node}
