"""What the services of one machine have in common, and what each has for itself."""

from __future__ import annotations

import logging

import pytest

from cli.options import service
from export.errors import ConfigError
from stream.ops.metrics import Metrics
from stream.ops.web import Health, WebServer

EACH = (service.Worker, service.Trainer, service.Scoreboard, service.Feedback, service.Similar, service.Serve)


def test_every_service_has_a_port_of_its_own_on_loopback() -> None:
    assert len({kind().web_port for kind in EACH}) == len(EACH)
    assert {kind().web_host for kind in EACH} == {"127.0.0.1"}


def test_a_level_that_does_not_exist_is_refused_before_anything_is_done() -> None:
    with pytest.raises(ConfigError, match="--log-level must be one of debug, info, warning, error, not 'loud'"):
        service.Serve(log_level="loud")
    service.Serve(log_level="Warning").log_as_told()
    assert logging.getLogger().level == logging.WARNING


def test_it_answers_until_the_service_ends_whatever_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = service.Feedback(web_port=0)
    web = WebServer(told.web_host, told.web_port, lambda: Health(ready=True), Metrics())

    def run() -> None:
        with told.answering(web, "health"):
            assert "health on http://127.0.0.1:" in caplog.text
            raise RuntimeError("the service failed")

    with pytest.raises(RuntimeError, match="the service failed"):
        run()
    assert web._server is None, "and nobody listens any more"
