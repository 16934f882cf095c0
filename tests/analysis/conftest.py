"""Pictures that a test has drawn are closed after it."""

import pytest


@pytest.fixture(autouse=True)
def _close_pictures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
