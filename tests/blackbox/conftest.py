"""Fixtures: servers on the shop and on the scripted project, shared by all tests of a run or fresh for one."""

import pytest
from harness import PROJECTS, SHOP, Bedplate


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The shop with the rehearsal model and no key: what a newcomer starts."""
    server = Bedplate(SHOP, tmp_path_factory.mktemp("shop") / "data").start()
    yield server
    server.assert_healthy()
    assert server.stop() == 0


@pytest.fixture(scope="session")
def scripted(tmp_path_factory):
    """A project whose agents answer from scripts: slow, endless, failing, streaming."""
    server = Bedplate(PROJECTS / "scripted", tmp_path_factory.mktemp("scripted") / "data").start()
    yield server
    server.assert_healthy()
    assert server.stop() == 0


@pytest.fixture
def start(tmp_path):
    """Starts servers that belong to one test; `start(project)`, or the same `data` again."""
    servers = []

    def begin(project=SHOP, *arguments, data="data", **env):
        server = Bedplate(project, tmp_path / data, *arguments, **env)
        servers.append(server)
        return server.start()

    yield begin
    for server in servers:
        if server.process and server.process.poll() is None:
            server.stop()
        assert "panicked" not in server.output(), server.output()
