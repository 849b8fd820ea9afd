import pytest

from support import Server, unique

ROOT_KEY = "conformance-root-key-given-by-the-operator"


@pytest.fixture(scope="session")
def server():
    """A server without authentication, shared by the tests that do not restart it."""
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def guarded():
    """A server with authentication on and a known admin key."""
    environment = {"AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": ROOT_KEY, "CONTEX_RATE_LIMIT_ADMINISTRATION": "1000"}
    with Server(environment=environment) as running:
        running.root_key = ROOT_KEY
        yield running


@pytest.fixture
def fresh():
    """A server of its own for a test that stops, kills or restarts it."""
    with Server() as running:
        yield running


@pytest.fixture
def project():
    return unique("project")
