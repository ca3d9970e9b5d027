from sidecar.identity.backoff import Backoff


def test_delays_grow_to_the_longest_and_begin_again_after_a_success() -> None:
    backoff = Backoff(first=1, longest=5, factor=2, draw=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next() == 1


def test_jitter_takes_up_to_half_of_a_delay() -> None:
    assert Backoff(first=2, draw=lambda: 0.0).next() == 1
    assert 1 <= Backoff(first=2).next() <= 2
