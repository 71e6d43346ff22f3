"""Random numbers of decisions: the same whoever asks, and distributed as they should be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from warpzone.noise import gumbel

MASK = (1 << 64) - 1


def slow(seed: int, decision: int, actions: int, action: int) -> float:
    """The same in Python's own numbers."""

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    number = decision * actions + action + 1
    bits = mix((mix(seed) + number * 0x9E3779B97F4A7C15) & MASK)
    return -math.log(-math.log(((bits >> 41) + 0.5) / 2**23))


@pytest.mark.parametrize("seed", [0, 3, 2**63, 2**64 - 1])
@pytest.mark.parametrize("first", [0, 1000, 10**12])
def test_it_is_a_hash_of_seed_decision_and_action(seed: int, first: int) -> None:
    noise = gumbel(seed, first, (3, 5, 7))
    assert noise.dtype == np.float32
    expected = [[slow(seed, first + d, 7, a) for a in range(7)] for d in range(15)]
    np.testing.assert_array_equal(noise.reshape(15, 7), np.array(expected, np.float32))


def test_the_native_core_has_the_same_numbers() -> None:
    # The same four stand in native/tests/play_test.cpp.
    expected = np.array([-0.200110927, 0.3054851, 1.63915741, 0.208034575], np.float32)
    np.testing.assert_array_equal(gumbel(3, 1000, (1, 4))[0], expected)


def test_asking_in_parts_gives_the_same() -> None:
    whole = gumbel(5, 40, (30, 7))
    parts = [gumbel(5, 40 + begin, (10, 7)) for begin in (0, 10, 20)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_some_games_of_many_draw_what_they_draw_among_all() -> None:
    whole = gumbel(5, 40, (6, 9, 7))
    np.testing.assert_array_equal(gumbel(5, 40 + 3, (6, 4, 7), 9), whole[:, 3:7])


def test_it_draws_with_the_probabilities_of_the_policy() -> None:
    probabilities, draws = np.array([0.5, 0.3, 0.15, 0.05]), 40_000
    for seed in (0, 1):
        actions = (np.log(probabilities) + 3 + gumbel(seed, 0, (draws, 4))).argmax(1)
        observed = np.bincount(actions, minlength=4) / draws
        # Four standard deviations of a binomial share.
        bound = 4 * np.sqrt(probabilities * (1 - probabilities) / draws)
        assert (np.abs(observed - probabilities) < bound).all()


def test_neighbours_have_nothing_to_do_with_each_other() -> None:
    one, later, other = (
        gumbel(0, 0, (20_000, 1)),
        gumbel(0, 1, (20_000, 1)),
        gumbel(1, 0, (20_000, 1)),
    )
    for beside in (later, other):
        assert abs(np.corrcoef(one.ravel(), beside.ravel())[0, 1]) < 4 / math.sqrt(20_000)


def test_every_number_is_finite() -> None:
    noise = gumbel(7, 0, (400_000, 7))
    assert np.isfinite(noise).all()
    assert -2.9 < noise.min() < noise.max() < 16.7
