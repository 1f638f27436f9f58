"""The inference thread: what waits is ranked together, and each batch gets its own answers."""

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from stream.path.answers import Answer
from stream.path.commit import Prepared
from stream.path.inference import Inference
from tests.stream.records import batch, click


def prepared(name: str) -> Prepared:
    return Prepared(batch(click(0, name, "1")))


class Runs:
    """Holds each run until `go` is set, and notes which batches were in it."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.sizes: list[int] = []

    def rank(self, batches: Sequence[Prepared]) -> tuple[list[list[Answer]], str]:
        self.begun.set()
        assert self.go.wait(10)
        self.sizes.append(len(batches))
        return [[Answer([(one.batch.records[0].key.decode(), 1.0)], False)] for one in batches], "7"  # type: ignore[union-attr]


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


def test_batches_that_wait_are_ranked_in_one_run_and_keep_their_answers_apart() -> None:
    runs = Runs()

    async def main() -> list[str]:
        inference = Inference(runs.rank)
        inference.start()
        first = inference.submit(prepared("a"))
        await wait_for(runs.begun)
        others = [inference.submit(prepared(name)) for name in "bcd"]
        runs.go.set()
        found = [await future for future in (first, *others)]
        inference.stop()
        assert {ranked.model for ranked in found} == {"7"}
        return [ranked.answers[0].items[0][0] for ranked in found]

    assert asyncio.run(main()) == ["a", "b", "c", "d"]
    assert runs.sizes == [1, 3]


def test_batches_of_one_turn_of_the_loop_are_ranked_in_one_run_though_the_thread_is_free() -> None:
    runs = Runs()
    runs.go.set()

    async def main() -> None:
        inference = Inference(runs.rank)
        inference.start()
        first = inference.submit(prepared("a"))
        runs.begun.wait(0.1)  # for as long as that, the thread may begin what it has
        await asyncio.gather(first, *[inference.submit(prepared(name)) for name in "bcd"])
        inference.stop()

    asyncio.run(main())
    assert runs.sizes == [4]


def test_how_long_runs_take_is_not_told_by_a_single_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 0.0, monotonic=lambda: now[0])
    monkeypatch.setattr("stream.path.inference.time", clock)

    def rank(batches: Sequence[Prepared]) -> tuple[list[list[Answer]], str]:
        now[0] += float(batches[0].batch.records[0].key or b"0")
        return [[] for _ in batches], "7"

    async def main() -> list[float]:
        inference = Inference(rank)
        inference.start()
        said = []
        for seconds in ("0.25", "0.5", "8", "1", "1", "1"):
            await inference.submit(prepared(seconds))
            said.append(inference.run_s)
        inference.stop()
        return said

    assert asyncio.run(main()) == [0.0, 0.0, 0.25, 0.5, 1.0, 1.0]


def test_when_a_run_will_be_over_is_told_by_how_long_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = [0.0], []
    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: 0.0, monotonic=lambda: now[0])
    monkeypatch.setattr("stream.path.inference.time", clock)

    def rank(batches: Sequence[Prepared]) -> tuple[list[list[Answer]], str]:
        told.append(inference.over_at)
        now[0] += 1.0
        return [[] for _ in batches], "7"

    inference = Inference(rank)

    async def main() -> None:
        inference.start()
        for _ in range(4):
            await inference.submit(prepared("a"))
        inference.stop()

    asyncio.run(main())
    assert told == [0.0, 1.0, 2.0, 4.0], "nothing is known of the first few"


def test_enough_for_a_run_is_handed_over_at_once() -> None:
    runs = Runs()

    async def main() -> None:
        inference = Inference(runs.rank)
        inference.start()
        large = Prepared(batch(*[click(number, "a", "1") for number in range(300)]))
        first = inference.submit(large)
        assert runs.begun.wait(10), "the loop has not had a turn meanwhile"
        second = inference.submit(prepared("b"))
        runs.go.set()
        await asyncio.gather(first, second)
        inference.stop()

    asyncio.run(main())
    assert runs.sizes == [1, 1]


def test_an_error_reaches_every_batch_of_the_run_and_the_thread_goes_on() -> None:
    failing = [True]

    def rank(batches: Sequence[Prepared]) -> tuple[list[list[Answer]], str]:
        if failing.pop():
            raise MemoryError("no room")
        return [[] for _ in batches], ""

    async def main() -> None:
        inference = Inference(rank)
        inference.start()
        with pytest.raises(MemoryError, match="no room"):
            await inference.submit(prepared("a"))
        failing.append(False)
        assert (await inference.submit(prepared("b"))).answers == []
        inference.stop()

    asyncio.run(main())


def test_a_batch_given_up_while_it_was_ranked_disturbs_nobody() -> None:
    runs = Runs()

    async def main() -> None:
        inference = Inference(runs.rank)
        inference.start()
        lost, kept = inference.submit(prepared("a")), inference.submit(prepared("b"))
        await wait_for(runs.begun)
        lost.cancel()
        runs.go.set()
        assert (await kept).answers
        inference.stop()

    asyncio.run(main())


def test_stop_leaves_unranked_what_waits() -> None:
    runs = Runs()

    async def main() -> None:
        inference = Inference(runs.rank)
        inference.start()
        inference.submit(prepared("a"))
        await wait_for(runs.begun)
        inference.stop()
        waiting = inference.submit(prepared("b"))
        runs.go.set()
        await asyncio.sleep(0.05)
        assert not waiting.done()

    asyncio.run(main())
    assert runs.sizes == [1]
