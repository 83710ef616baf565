"""Rules and fixtures for all tests.

What needs a GPU is skipped without one, and ``--forbid-skips`` lets nothing else be skipped. Seeded randomness, free
photographs and the shipped model are here for every room.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from ftforensics.engine.models import find_model

if TYPE_CHECKING:
    from newsroom import Newsroom

Pixels = NDArray[np.uint8]

# A busy machine must not fail a test. All else stays as it was: with CI=true in the environment, Hypothesis draws the
# same examples in every run.
settings.register_profile("no-deadline", settings(), deadline=None)
settings.load_profile("no-deadline")


# A shell starts jobs in the background with Ctrl-C ignored, and so would be every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng() -> np.random.Generator:
    """Randomness that is the same in every run."""
    return np.random.default_rng(20260)


@pytest.fixture
def file_size_limit() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file be written beyond so many bytes, root included: with file_size_limit(1000). Like a full disk.

    Only inside the block: the report of a test run may be such a file itself.
    """

    @contextmanager
    def limited(limit_bytes: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def photographs() -> dict[str, Pixels]:
    """Free photographs, uint8 (H, W, 3) sRGB: a portrait, an animal, a still life, a scene."""
    data = pytest.importorskip("skimage.data")
    return {
        "astronaut": data.astronaut(),
        "chelsea": data.chelsea(),
        "coffee": data.coffee(),
        "rocket": data.rocket(),
    }


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The folder of the shipped model."""
    return find_model()


@pytest.fixture(scope="session")
def newsroom(tmp_path_factory: pytest.TempPathFactory) -> Newsroom:
    """Keys, registry, trust list and tagged photographs, made once by the real program."""
    from newsroom import make_newsroom

    return make_newsroom(tmp_path_factory.mktemp("newsroom"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--forbid-skips", action="store_true", help="fail if anything but a test marked gpu is skipped")


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the cores, threads of each that wait for one another by spinning cost tenfold."""
    if config.getoption("numprocesses", None):
        for library in ("OMP", "OPENBLAS"):
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is not None and not _has_gpu():
        pytest.skip("needs an NVIDIA GPU with its driver")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--forbid-skips") and _forbidden_skips(session.config):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    skips = _forbidden_skips(config)
    if config.getoption("--forbid-skips") and skips:
        terminalreporter.section("skipped, but not marked gpu")
        for report in skips:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[-1]}")


def _forbidden_skips(config: pytest.Config) -> list[Any]:
    """Skipped tests, and modules skipped whole, that do not carry the marker."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    return [report for report in skipped if "gpu" not in getattr(report, "keywords", {})]


@lru_cache(maxsize=1)
def _has_gpu() -> bool:
    """Whether the driver starts and has a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
