"""The real server for the tests of the adapters, one for all of them."""
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/Conformance"), str(ROOT / "tools/sdk/python/src"),
                *(str(path) for path in sorted((ROOT / "tools/adapters").glob("*/src")))]


@pytest.fixture(scope="session")
def contex():
    from contex_client import Contex
    from support import Server
    with Server() as server, Contex(server.url) as client:
        yield client


@pytest.fixture
def project(contex):
    from support import unique
    return contex.project(unique("project"))
