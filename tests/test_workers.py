"""The same work in one process or several."""

import os

import cv2
import pytest
import torch

from reasound.errors import UserError
from reasound.evaluation.workers import each


def start():
    return os.getpid()


def square(state, item):
    return item * item, state == os.getpid(), torch.get_num_threads()


def nothing_to_start_with():
    raise UserError("there is no model")


def broken(state, item):
    raise ValueError(f"item {item} is broken")


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_from_processes_of_one_thread_each(processes):
    found = list(each(start, square, range(5), processes))
    assert [value for value, _, _ in found] == [0, 1, 4, 9, 16]
    assert all(own and threads == 1 for _, own, threads in found)


def test_threads_are_as_before():
    before = torch.get_num_threads(), cv2.getNumThreads()
    seen = list(each(start, lambda state, item: cv2.getNumThreads(), [1], 1))
    assert seen == [1] and (torch.get_num_threads(), cv2.getNumThreads()) == before


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_ends_the_work_and_says_what_it_was(processes):
    with pytest.raises(ValueError, match="item 0 is broken"):
        list(each(start, broken, range(3), processes))


@pytest.mark.parametrize("processes", [1, 2])
def test_what_the_user_gave_wrong_at_the_start_is_said_in_its_own_words(processes):
    with pytest.raises(UserError, match="there is no model"):
        list(each(nothing_to_start_with, square, range(3), processes))
