"""The clients for Node and Go (tools/sdk/node, tools/sdk/go): their own tests, against a real server that is killed when they ask for it.
Where there is no Node 18 or no Go, theirs are skipped and say so."""
import os
import re
import shutil
import subprocess
import threading

import pytest

from support import CHECKOUT, Server

SDK = CHECKOUT / "tools/sdk"


def run(command, folder, tmp_path, server, **environment):
    """The command's output. `CONTEX_KILL` names a file: where it is made, the server is killed and started again, and the file goes."""
    wish, done = tmp_path / "kill", threading.Event()

    def reaper():
        while not done.wait(0.02):
            if wish.exists():
                server.kill()
                server.start()
                wish.unlink()
    watching = threading.Thread(target=reaper)
    watching.start()
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300,
                             env={**os.environ, "CONTEX_URL": server.url, "CONTEX_KILL": str(wish), **environment})
    finally:
        done.set()
        watching.join()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture
def own():
    with Server() as running:
        yield running


def node():
    found = shutil.which("node")
    if found is None:
        pytest.skip("no node here: the client for Node is not tested")
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < 18:
        pytest.skip(f"node {version} is older than 18: the client for Node is not tested")
    return found


def test_node(own, tmp_path):
    files = sorted(str(path) for path in (SDK / "node/test").glob("*.test.mjs"))
    output = run([node(), "--test", *files], SDK / "node", tmp_path, own)
    assert "# fail 0" in output and "# skipped 0" in output and len(files) == 2, output


def blocks(language):
    return [code for code in re.findall(rf"```{language}\n(.*?)```", (CHECKOUT / "docs/clients.md").read_text(), re.S)]


def test_node_examples(server, tmp_path):
    """The examples of the document run as they stand, but for the server's address."""
    examples = blocks("js")
    assert len(examples) >= 2
    for code in examples:
        code = code.replace("http://localhost:8001", server.url)
        assert run([node(), "--input-type=module", "-e", code], SDK / "node", tmp_path, server).strip(), code


def test_node_types():
    """tsc --strict: the sources, the declarations against them, programs that use them, and programs that must not compile."""
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("no tsc here (Debian: apt-get install node-typescript): the declarations are not checked")
    ran = subprocess.run([tsc, "-p", "tsconfig.json"], cwd=SDK / "node", capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def test_go(own, tmp_path):
    go = os.environ.get("CONTEX_GO") or shutil.which("go")
    if go is None:
        pytest.skip("no go here: the client for Go is not tested (tools/adapters/test does it)")
    vet = subprocess.run([go, "vet", "./..."], cwd=SDK / "go", capture_output=True, text=True, env={**os.environ, "GOTOOLCHAIN": "local"})
    assert vet.returncode == 0, vet.stderr
    run([go, "test", "-count=1", "./..."], SDK / "go", tmp_path, own, GOTOOLCHAIN="local")
    (example,) = blocks("go")
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "main.go").write_text(example.replace("http://localhost:8001", own.url))
    (folder / "go.mod").write_text("module example\n\ngo 1.23\n")
    subprocess.run([go, "mod", "edit", "-require", "contex/client@v0.0.0", "-replace", f"contex/client={SDK / 'go'}"], cwd=folder, check=True)
    assert "PostgreSQL" in run([go, "run", "."], folder, tmp_path, own, GOTOOLCHAIN="local", GOFLAGS="-mod=mod")
