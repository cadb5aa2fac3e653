"""Ids are UUIDv7, and those of one process sort in the order they were made."""

import time

from scheduler.ids import new_id


def test_ids_made_one_after_the_other_sort_that_way_even_within_a_millisecond() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_an_id_is_a_version_7_uuid_that_tells_its_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    # Never earlier; it may be later in a process whose clock was set back, because ids never go back.
    assert before <= made.int >> 80
