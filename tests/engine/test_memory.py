"""Freed memory is kept for the next step."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from tune_at.engine.memory import keep_memory, return_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def of_steps():
    for _ in range(20):  # the heap grows to what a step needs
        torch.ones(10_000_000)
    before = faults()
    for _ in range(10):
        torch.ones(10_000_000)
    return faults() - before

return_memory()
returned = of_steps()
keep_memory()
print(returned, of_steps())
"""


def pages_faulted(**environment):
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    return [int(word) for word in found.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_pages_are_not_asked_for_again_and_the_user_has_the_last_word():
    returned, kept = pages_faulted()
    assert kept < returned / 10
    returned, as_told = pages_faulted(MALLOC_TRIM_THRESHOLD_="1000000")
    assert as_told > returned / 2
