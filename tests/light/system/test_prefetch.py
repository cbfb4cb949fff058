from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit.system.threads import prefetch


@given(st.lists(st.integers(), max_size=30), st.integers(1, 4))
@settings(max_examples=20)
def test_results_are_complete_and_in_order(items: list[int], workers: int) -> None:
    assert list(prefetch(lambda item: item * 2, items, workers)) == [item * 2 for item in items]


def test_the_order_is_kept_when_the_first_takes_longest() -> None:
    released = threading.Event()

    def slow_first(item: int) -> int:
        released.wait(5) if item == 0 else released.set()
        return item

    assert list(prefetch(slow_first, range(6))) == list(range(6))


def test_a_bounded_number_of_results_is_computed_ahead() -> None:
    taken: list[int] = []

    def counted() -> Iterator[int]:
        for i in itertools.count():
            taken.append(i)
            yield i

    results = prefetch(lambda item: item, counted(), workers=2)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert 10 < len(taken) <= 10 + 4
    results.close()  # type: ignore[attr-defined]


def test_an_error_is_raised_at_its_place_in_the_order() -> None:
    def fails_at_3(item: int) -> int:
        if item == 3:
            raise ValueError("item 3")
        return item

    results = prefetch(fails_at_3, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="item 3"):
        next(results)


def test_stopping_early_ends_all_threads() -> None:
    before = threading.active_count()
    results = prefetch(lambda item: time.sleep(0.001) or item, itertools.count())
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_stopping_early_cancels_work_that_has_not_started() -> None:
    made: list[int] = []
    go_on = threading.Event()

    def wait_after_the_first(item: int) -> int:
        made.append(item)
        if item:
            go_on.wait(5)
        return item

    results = prefetch(wait_after_the_first, itertools.count(), workers=1)
    next(results)
    threading.Timer(0.2, go_on.set).start()
    results.close()  # type: ignore[attr-defined]
    assert made[:1] == [0]
    assert len(made) <= 2
