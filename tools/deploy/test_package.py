"""The packages as their users meet them. Run by tools/deploy/test."""
import contextlib
import email
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile

import pexpect
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".build/package"
CLEAN = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
BIN = pathlib.Path(sys.executable).parent


def one(pattern):
    found = list(PACKAGES.glob(pattern))
    assert len(found) == 1, (pattern, found)
    return found[0]


def run(*arguments, **more):
    result = subprocess.run([str(one) for one in arguments], capture_output=True, text=True, timeout=600, **more)
    assert result.returncode == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"no {program} on this machine")


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@contextlib.contextmanager
def serving(command, port, environment=None, **more):
    """Until it answers; the seconds that it took. Stopped as an operator does, and must end with 0."""
    started = time.monotonic()
    process = subprocess.Popen([str(one) for one in command], env=environment or CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, **more)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() - started < 90, process.communicate()[0]
                time.sleep(0.05)
        yield time.monotonic() - started
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def ask(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def publish_and_query(port):
    ask(port, "/api/v1/data/publish", {"project_id": "shop", "data_key": "tech", "data": {"db": "PostgreSQL 15", "cache": "Redis"}})
    ask(port, "/api/v1/data/publish", {"project_id": "shop", "data_key": "team", "data": {"lead": "Ada", "office": "Zurich"}})
    found = ask(port, "/api/v1/projects/shop/query", {"query": "which database do we use", "threshold": 0.2, "response_format": "json"})
    assert found["matches"][0]["data"]["db"] == "PostgreSQL 15", found


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """The tarball, unpacked where nobody but its owner looks, and read-only as after an installation by root."""
    folder = tmp_path_factory.mktemp("tarball")
    with tarfile.open(one("contex-*-linux-*.tar.gz")) as archive:
        archive.extractall(folder, filter="tar")
    return next(folder.iterdir())


@pytest.fixture(scope="session")
def version(tree):
    return json.loads(run(tree / "bin/contex", "version", "--json", env=CLEAN))["version"]


def test_sums():
    lines = (PACKAGES / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == {path.name for path in PACKAGES.iterdir()} - {"SHA256SUMS"}
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((PACKAGES / name).read_bytes()).hexdigest() == digest, name


def test_one_version(version):
    need("dpkg-deb")
    assert run("dpkg-deb", "-f", one("contex_*.deb"), "Version").strip() == version
    with zipfile.ZipFile(one("*.whl")) as wheel:
        about = email.message_from_bytes(wheel.read(f"contex_server-{version}.dist-info/METADATA"))
    assert about["Version"] == version
    assert f'version "{version}"' in (PACKAGES / "contex.rb").read_text()
    assert json.loads(one("*.cdx.json").read_text())["metadata"]["component"]["version"] == version
    pages = ROOT / "docs/install.md"
    assert f"contex_{version}_amd64.deb" in pages.read_text(), "docs/install.md names another version"


# MARK: The tarball

def test_tarball(tree, tmp_path):
    model = tree / "share/contex/all-MiniLM-L6-v2"
    before = {path: path.stat().st_mtime_ns for path in model.rglob("*")}
    port = free_port()
    command = [tree / "bin/contex", "serve", "--data-dir", tmp_path / "data", "--http-port", port, "--resp-port", "off", "--wire-port", "off"]
    with serving(command, port):
        publish_and_query(port)
    assert {path: path.stat().st_mtime_ns for path in model.rglob("*")} == before, "the packed weights were not taken: the server made them anew"
    # Called through a link, from elsewhere, it still finds its model.
    (tmp_path / "contex").symlink_to(tree / "bin/contex")
    with serving([tmp_path / "contex", *command[1:]], port, cwd=tmp_path):
        pass


def test_it_needs_glibc_alone(tree):
    need("readelf")
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", tree / "lib/contex/contex")))
    assert needed <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    assert "RUNPATH" not in run("readelf", "-d", tree / "lib/contex/contex")


# MARK: The .deb

@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A Debian that has nothing but the smallest set of packages."""
    need("mmdebstrap", "chroot", "unshare")
    if os.geteuid() != 0:
        pytest.skip("a clean root needs root")
    cached = ROOT / ".build/package-root.tar"
    sources = [path for path in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list") if os.path.exists(path)]
    if not cached.exists():
        run("mmdebstrap", "--variant=minbase", "bookworm", cached, *sources[:1])
    folder = tmp_path_factory.mktemp("root")
    run("tar", "-xf", cached, "-C", folder)
    shutil.copyfile("/etc/resolv.conf", folder / "etc/resolv.conf")
    return folder


def inside(root, *command):
    """The command line of it in the root, with a /proc of its own mounts."""
    return ["unshare", "-m", "sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', str(root), *(str(part) for part in command)]


def test_deb_in_a_clean_root(root, version):
    def here(*command):
        return run(*inside(root, *command), env={**CLEAN, "DEBIAN_FRONTEND": "noninteractive"})
    assert not (root / "opt/swift").exists() and subprocess.run(inside(root, "which", "swift"), env=CLEAN, capture_output=True).returncode != 0
    shutil.copyfile(one("contex_*.deb"), root / "tmp/contex.deb")
    here("apt-get", "update", "--quiet")
    here("apt-get", "install", "--yes", "--no-install-recommends", "/tmp/contex.deb")
    assert here("contex", "version").startswith(f"contex {version} ")
    assert here("stat", "-c", "%U:%G %a", "/var/lib/contex").strip() == "contex:contex 750"
    assert here("stat", "-c", "%U:%G %a", "/etc/contex/contex.env").strip() == "root:contex 640"
    assert here("dpkg", "--verify", "contex") == ""
    # Started by hand, as the service does it, with the settings of the file that belongs to its user alone.
    port = free_port()
    settings = root / "etc/contex/contex.env"
    with open(settings, "a") as file:
        file.write(f"CONTEX_HTTP_PORT={port}\nCONTEX_RESP_PORT=off\nCONTEX_WIRE_PORT=off\n")
    unit = (root / "lib/systemd/system/contex.service").read_text()
    start = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].split()
    model = root / "usr/share/contex/all-MiniLM-L6-v2"
    with serving(inside(root, "setpriv", "--reuid=contex", "--regid=contex", "--init-groups", *start), port) as seconds:
        publish_and_query(port)
        found = here("env", f"CONTEX_SERVER=http://127.0.0.1:{port}", "contex", "query", "shop", "who leads the team")
        assert "Ada" in found
    assert seconds < 10, f"{seconds:.1f} s: the packed weights were not taken"
    assert sorted(path.name for path in model.glob("*.packed")) == ["model.float32.packed", "model.int8.packed"]
    # The same package again: what its operator wrote stays. Removed: the data stays. Purged: nothing does, and nothing is asked.
    here("dpkg", "--install", "/tmp/contex.deb")
    assert f"CONTEX_HTTP_PORT={port}" in settings.read_text() and here("stat", "-c", "%U:%G %a", "/etc/contex/contex.env").strip() == "root:contex 640"
    with serving(inside(root, "setpriv", "--reuid=contex", "--regid=contex", "--init-groups", *start), port):
        assert "Ada" in here("env", f"CONTEX_SERVER=http://127.0.0.1:{port}", "contex", "query", "shop", "who leads the team")
    here("dpkg", "--remove", "contex")
    assert not (root / "usr/bin/contex").exists() and (root / "var/lib/contex/store/data.mdb").exists() and settings.exists()
    here("dpkg", "--purge", "contex")
    assert not (root / "var/lib/contex").exists() and not (root / "etc/contex").exists()
    assert subprocess.run(inside(root, "getent", "passwd", "contex"), env=CLEAN, capture_output=True).returncode != 0


def test_service(tree, tmp_path):
    need("systemd-analyze")
    unit = tmp_path / "contex.service"
    # Programs that are not here would be all that it has to say.
    unit.write_text((tree / "lib/systemd/system/contex.service").read_text().replace("/usr/lib/contex/contex", "/bin/true"))
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert "contex.service" not in said.stderr, said.stderr
    exposure = run("systemd-analyze", "security", "--offline=true", unit)
    assert float(re.search(r"exposure level for contex.service: ([\d.]+)", exposure)[1]) <= 2.0, exposure


# MARK: The wheel

def test_wheel(tmp_path):
    """Two commands from nothing to the first answer, without Swift: less than 30 s, the download aside. Of processor time, since others compute too."""
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    started, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run(tmp_path / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", one("*.whl"),
        env={**CLEAN, "HOME": str(tmp_path)})
    installed = time.monotonic() - started
    port = free_port()
    environment = {"PATH": f"{tmp_path / 'venv/bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}
    assert not shutil.which("swift", path=environment["PATH"])
    command = ["contex", "serve", "--data-dir", tmp_path / "data", "--http-port", port, "--resp-port", "off", "--wire-port", "off"]
    with serving([tmp_path / "venv/bin/contex", *command[1:]], port, environment):
        publish_and_query(port)
        whole = time.monotonic() - started
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    print(f"installed after {installed:.1f} s, answered after {whole:.1f} s, {processor:.1f} s of processor time")
    assert processor < 30
    with serving([tmp_path / "venv/bin/python", "-m", "contex_server", *command[1:]], port, environment):
        publish_and_query(port)
    # Installed by somebody else: the packed weights go to a folder of the user's.
    package = next((tmp_path / "venv/lib").glob("python*/site-packages/contex_server"))
    for path in package.glob("all-MiniLM-L6-v2/*.packed"):
        path.unlink()
    if os.geteuid() == 0:
        for path in [tmp_path, *tmp_path.parents[:2]]:
            path.chmod(0o755)
        home = tmp_path / "other"
        home.mkdir()
        os.chown(home, 65534, 65534)
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/env", "python3", "-m", "contex_server"]
        if not os.access("/usr/bin/python3", os.X_OK):
            return
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(package.parent)}
        with serving([*other, *command[1:3], home / "data", *command[4:]], port, environment):
            publish_and_query(port)
        assert len(list(home.glob(".cache/contex-server/*/*.packed"))) == 2
        assert not list(package.glob("all-MiniLM-L6-v2/*.packed"))


def test_wheel_is_what_its_name_says(version):
    """By the tool that decides which wheels may be uploaded."""
    need("patchelf")
    said = run(BIN / "auditwheel", "show", one("*.whl"))
    tag = re.search(r"(manylinux_\d+_\d+_\w+)", one("*.whl").name)[1]
    assert tag in said, said


# MARK: The command line

def test_completions(tree):
    assert run("bash", "-n", tree / "share/bash-completion/completions/contex") == ""
    for shell, path in (("zsh", "zsh/site-functions/_contex"), ("fish", "fish/vendor_completions.d/contex.fish")):
        if shutil.which(shell):
            assert run(shell, "-n", tree / "share" / path) == ""
    if shutil.which("fish"):
        environment = {**CLEAN, "PATH": f"{tree / 'bin'}:{CLEAN['PATH']}", "HOME": "/tmp"}
        said = run("fish", "--no-config", "-c", f"source {tree / 'share/fish/vendor_completions.d/contex.fish'}; complete -C 'contex qu'", env=environment)
        assert said.startswith("query\t"), said


def test_bash_completes(tree):
    shell = pexpect.spawn("bash", ["--norc", "--noprofile", "-i"], env={**CLEAN, "PATH": f"{tree / 'bin'}:{CLEAN['PATH']}", "TERM": "dumb", "PS1": "> "},
                          encoding="utf-8", timeout=20)
    try:
        shell.expect_exact("> ")
        shell.sendline(f". {tree / 'share/bash-completion/completions/contex'}; echo loa''ded")
        shell.expect_exact("loaded")
        shell.send("contex qu\t")
        shell.expect_exact("contex query ")
        shell.send("--thr\t")
        shell.expect_exact("--threshold ")
        shell.send("0.2 --mode sem\t")
        shell.expect_exact("--mode semantic ")
        shell.sendcontrol("u")
        shell.send("contex ba\tpr\t")
        shell.expect_exact("contex backup prune ")
    finally:
        shell.close(force=True)


def test_man_pages(tree, tmp_path):
    folder = tree / "share/man/man1"
    commands = [one["commandName"] for one in json.loads(run(tree / "bin/contex", "--experimental-dump-help", env=CLEAN))["command"]["subcommands"]]
    assert {path.name for path in folder.iterdir()} == {"contex.1.gz"} | {f"contex-{name}.1.gz" for name in commands if name != "help"}
    need("mandoc")
    for page in folder.iterdir():
        plain = tmp_path / page.name.removesuffix(".gz")
        plain.write_text(run("gzip", "-cd", page))
    said = subprocess.run(["mandoc", "-T", "lint", *sorted(tmp_path.iterdir())], capture_output=True, text=True).stdout
    assert [line for line in said.splitlines() if "referenced manual not found" not in line] == []
    text = re.sub(".\b", "", run("mandoc", "-T", "utf8", tmp_path / "contex-serve.1"))
    for flag in re.findall(r"^  (--[a-z-]+)", run(tree / "bin/contex", "serve", "--help", env=CLEAN), re.M):
        assert flag in text
    if shutil.which("man"):
        assert "query [--vector file]" in re.sub(".\b", "", run("man", "-l", tmp_path / "contex-query.1", env={**CLEAN, "MANWIDTH": "120"}))


# MARK: What is said of them, and what has no engine here

def test_sbom(tree):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    text = one("*.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    for pin in json.loads((ROOT / "Package.resolved").read_text())["pins"]:
        assert parts[pin["identity"]]["version"] == pin["state"]["version"] and parts[pin["identity"]]["licenses"]
    model = tree / "share/contex/all-MiniLM-L6-v2/model.safetensors"
    assert parts["all-MiniLM-L6-v2"]["hashes"][0]["content"] == hashlib.sha256(model.read_bytes()).hexdigest()
    need("dpkg-deb")
    for dependency in run("dpkg-deb", "-f", one("contex_*.deb"), "Depends").split(","):
        name = dependency.split()[0]
        assert name in ("adduser", "libc6", "libgcc-s1") or name in parts, f"{name} is linked and not in the SBOM"


def test_image_and_compose():
    """Linted only: there is no engine here to run them."""
    run(BIN / "hadolint", ROOT / "tools/deploy/oci/Containerfile")
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "tools/deploy/oci/compose.yaml")


def test_formula():
    need("ruby")
    formula = (PACKAGES / "contex.rb").read_text()
    run("ruby", "-c", PACKAGES / "contex.rb")
    assert "@" not in formula and hashlib.sha256(one("contex-*-linux-*.tar.gz").read_bytes()).hexdigest() in formula


def test_scripts():
    need("shellcheck")
    run("shellcheck", *sorted((ROOT / "tools/deploy/debian").glob("p*")), ROOT / "tools/deploy/contex.sh", ROOT / "tools/deploy/test")
