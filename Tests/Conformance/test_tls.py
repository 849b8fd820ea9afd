"""TLS at every door, with the clients of others: Python's ssl, curl, redis, websockets, openssl; and what must not get through."""
import asyncio
import base64
import concurrent.futures
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
import redis
import websockets

from certificates import Authority, Certificate, written
from conftest import ROOT_KEY
from support import BINARY, CHECKOUT, HOST, Connection, Server, contex, free_port, unique

sys.path.insert(0, str(CHECKOUT / "tools/sdk/python/src"))

import contex_wire  # noqa: E402
from contex_client import Contex  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning", "ignore:ssl.OP:DeprecationWarning")


class SecureServer(Server):
    """A server with a certificate of `authority`, and a client that trusts it."""

    def __init__(self, folder, certificate, authority, environment=None, flags=()):
        self.metrics_port = free_port()
        settings = {"CONTEX_TLS_CERT": certificate.path, "CONTEX_TLS_KEY": certificate.key, "CONTEX_TLS_RELOAD_SECONDS": "1",
                    "CONTEX_METRICS_PORT": str(self.metrics_port)}
        super().__init__(str(folder / unique("data")), {**settings, **(environment or {})}, flags)
        self.certificate, self.authority = certificate, authority
        self.url = f"https://{HOST}:{self.http_port}"
        self.context = ssl.create_default_context(cafile=authority.path)

    def connection(self, source=None, context=None, port=None, timeout=60):
        connection = Connection(self.http_port, timeout)
        connection.raw = http.client.HTTPSConnection(
            HOST, port or self.http_port, timeout=timeout, context=context or self.context, source_address=(source, 0) if source else None)
        return connection

    def call(self, method, path, body=None, headers=None, timeout=60, context=None, port=None):
        connection = self.connection(context=context, port=port, timeout=timeout)
        try:
            return connection.call(method, path, body, headers)
        finally:
            connection.close()

    def metric(self, name, context=None):
        """The sum of its samples whose text begins so."""
        text = self.call("GET", "/metrics", port=self.metrics_port, context=context).body.decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def serial(self, context=None):
        with socket.create_connection((HOST, self.http_port), 10) as raw, (context or self.context).wrap_socket(raw, server_hostname=HOST) as tls:
            der = tls.getpeercert(binary_form=True)
        from cryptography import x509
        return x509.load_der_x509_certificate(der).serial_number

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"), "authority")


@pytest.fixture(scope="module")
def secure(authority, tmp_path_factory):
    """All doors with TLS 1.3, no client certificates, every word of the log."""
    with SecureServer(tmp_path_factory.mktemp("server"), authority.server(), authority, {"CONTEX_LOG_LEVEL": "trace"}) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(authority, tmp_path_factory):
    """Keys, and client certificates that stand for some of them. The ids of keys are known when they are made, so the map comes by SIGHUP."""
    folder = tmp_path_factory.mktemp("mutual")
    settings = folder / "contex.conf"
    settings.write_text("")
    environment = {"CONTEX_TLS_CLIENT_CA": authority.path, "CONTEX_TLS_CLIENT": "optional", "AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": ROOT_KEY,
                   "CONTEX_RATE_LIMIT_ADMINISTRATION": "1000", "CONTEX_CONFIG": str(settings), "CONTEX_LOG_LEVEL": "debug"}
    with SecureServer(folder, authority.server("mutual-server"), authority, environment) as running:
        running.settings, running.lines = settings, []
        yield running


def stands_for(server, name, role="publisher", query=""):
    """A key, and a certificate's name that stands for it from now on."""
    root = {"X-API-Key": ROOT_KEY}
    answer = server.call("POST", f"/api/v1/auth/keys?name={unique('key')}{query}", headers=root)
    assert answer.status == 200, answer
    key = answer.json["key_id"]
    assert server.call("POST", f"/api/v1/auth/roles?key_id={key}&role={role}", headers=root).status == 200
    server.lines.append(f"{name}={key}")
    remap(server)
    return key


def remap(server):
    server.settings.write_text("CONTEX_TLS_CLIENT_MAP=" + ",".join(server.lines) + "\n")
    before = server.log().count("settings read again")
    server.process.send_signal(signal.SIGHUP)
    wait(lambda: server.log().count("settings read again") > before)


def wait(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def showing(authority, certificate):
    context = ssl.create_default_context(cafile=authority.path)
    context.load_cert_chain(certificate.path, certificate.key)
    return context


def handshake(port, context, name=HOST):
    with socket.create_connection((HOST, port), 10) as raw, context.wrap_socket(raw, server_hostname=name) as tls:
        return tls.version(), tls.cipher()[0]


# MARK: - HTTP


def test_https_and_its_headers(secure):
    answer = secure.call("GET", "/health")
    assert answer.status == 200
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    secure.publish("shop", "tech", {"database": "PostgreSQL"})
    assert secure.query("shop", "which database", threshold=0)["matches"]
    assert handshake(secure.http_port, secure.context)[0] == "TLSv1.3"


def test_no_hsts_without_tls_or_when_switched_off(server, authority, tmp_path):
    assert "Strict-Transport-Security" not in server.call("GET", "/health").headers
    with SecureServer(tmp_path, authority.server("no-hsts"), authority, {"ENABLE_HSTS": "false"}) as running:
        assert "Strict-Transport-Security" not in running.call("GET", "/health").headers


def test_plain_words_to_a_tls_port(secure):
    before = secure.metric('contex_tls_handshake_failures_total{reason="plain_text"}')
    answer = Server.call(secure, "GET", "/health")
    assert answer.status == 400 and "https" in answer.json["detail"]
    with socket.create_connection((HOST, secure.resp_port), 10) as raw:
        raw.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert raw.recv(100).startswith(b"-ERR this port speaks TLS")
    with pytest.raises(contex_wire.ContexError, match="TLS"), contex_wire.SyncClient(HOST, secure.wire_port, attempts=1) as wire:
        wire.query(contex_wire.Query("p", text="a"))
    assert secure.metric('contex_tls_handshake_failures_total{reason="plain_text"}') >= before + 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_curl(secure, authority):
    command = ["curl", "--silent", "--show-error", "--cacert", authority.path, "--write-out", "%{http_version} %{ssl_verify_result}",
               "--output", os.devnull, f"https://localhost:{secure.http_port}/health"]
    for version, shown in (("--http1.1", "1.1 0"), ("--http2", "2 0")):
        assert subprocess.run([*command, version], capture_output=True, text=True, check=True).stdout == shown
    assert subprocess.run([part for part in command if part not in ("--cacert", authority.path)], capture_output=True).returncode == 60


def test_bodies_streams_and_websockets(secure):
    """Pieces of megabytes both ways, an event stream, a socket: what the plain door does, this one does."""
    project = unique("large")
    text = "the quick brown fox jumps over the lazy dog " * 40_000
    secure.publish(project, "big", text)
    answer = secure.call("GET", f"/api/v1/projects/{project}/data/big")
    assert answer.status == 200 and len(answer.body) > len(text)
    connection = secure.connection()
    connection.raw.request("GET", f"/api/v1/projects/{project}/stream", headers={"Accept": "text/event-stream"})
    stream = connection.raw.getresponse()
    assert stream.status == 200
    secure.publish(project, "news", {"said": "something"})
    seen = b""
    while b"something" not in seen:
        piece = stream.read1(65_536)
        assert piece
        seen += piece
    connection.close()

    async def socket_too():
        address = f"wss://{HOST}:{secure.http_port}/api/v1/ws"
        async with websockets.connect(address, ssl=secure.context, subprotocols=["contex.v1"]) as web:
            await web.send(json.dumps({"type": "ping"}))
            return json.loads(await asyncio.wait_for(web.recv(), 10))
    assert asyncio.run(socket_too())["type"] == "pong"


# MARK: - HTTP/2

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4


def curl(server, *arguments, **more):
    return subprocess.run(["curl", "--silent", "--show-error", "--http2", "--cacert", server.authority.path, *arguments], capture_output=True, timeout=60,
                          **more)


class Frames:
    """HTTP/2 by hand, for what a well-behaved client does not do."""

    def __init__(self, server, source=None, settings=b""):
        context = ssl.create_default_context(cafile=server.authority.path)
        context.set_alpn_protocols(["h2"])
        self.authority = f"{HOST}:{server.http_port}".encode()
        raw = socket.create_connection((HOST, server.http_port), 10, source_address=(source, 0) if source else None)
        self.tls = context.wrap_socket(raw, server_hostname=HOST)
        assert self.tls.selected_alpn_protocol() == "h2"
        self.tls.settimeout(10)
        self.buffer = b""
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(SETTINGS, settings))

    @staticmethod
    def frame(kind, payload=b"", flags=0, stream=0):
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    def request(self, stream, path=b"/health", flags=END_STREAM | END_HEADERS):
        head = b"\x82\x87\x44" + bytes([len(path)]) + path + b"\x41" + bytes([len(self.authority)]) + self.authority
        return self.frame(HEADERS, head, flags, stream)

    def send(self, data):
        self.tls.sendall(data)

    def read(self):
        """The next frame: kind, flags, stream, payload; None at the end."""
        while True:
            if len(self.buffer) >= 9:
                length = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + length:
                    kind, flags, stream = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big")
                    payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
                    return kind, flags, stream, payload
            try:
                data = self.tls.recv(65_536)
            except OSError:
                return None
            if not data:
                return None
            self.buffer += data

    def until(self, kind):
        while (found := self.read()) is not None:
            if found[0] == kind:
                return found
        return None

    def is_ended(self):
        """Whether the server ends the connection, after what it still says."""
        return self.until(-1) is None

    def close(self):
        self.tls.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_http2_with_curl(secure, tmp_path):
    """The same answers, bodies both ways, refusals, a stream, and many requests at once."""
    project = unique("two")
    url = f"https://localhost:{secure.http_port}/api/v1"
    words = "words of a long text " * 60_000
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"project_id": project, "data_key": "big", "data": words}))
    published = curl(secure, "--json", f"@{body}", "--write-out", "%{http_code} %{http_version}", f"{url}/data/publish")
    assert published.stdout.endswith(b"200 2"), published
    one, two = (curl(secure, version, f"{url}/projects/{project}/data/big").stdout for version in ("--http1.1", "--http2"))
    assert one == two and len(one) > len(words)
    query = ["--json", json.dumps({"query": "long text", "response_format": "json", "threshold": 0}), f"{url}/projects/{project}/query"]
    assert json.loads(curl(secure, *query).stdout)["matches"][0]["data_key"].startswith("big")
    assert curl(secure, "--write-out", "%{http_code}", "--output", os.devnull, f"{url}/nowhere").stdout == b"404"
    large = tmp_path / "large.json"
    large.write_bytes(b'"' + b"x" * (12 << 20) + b'"')
    assert curl(secure, "--write-out", "%{http_code}", "--output", os.devnull, "--json", f"@{large}", f"{url}/data/publish").stdout == b"413"
    head = curl(secure, "--head", f"https://localhost:{secure.http_port}/health").stdout.lower()
    assert b"strict-transport-security" in head and b"connection:" not in head and b"transfer-encoding" not in head
    many = tmp_path / "many"
    many.write_text("".join(f'url = "https://localhost:{secure.http_port}/health?{n}"\noutput = "{os.devnull}"\n' for n in range(400)))
    told = curl(secure, "--parallel", "--parallel-max", "90", "--write-out", "%{http_code} %{num_connects}\\n", "--config", str(many))
    rows = [line.split() for line in told.stdout.decode().split("\n") if line]
    assert all(len(row) == 2 for row in rows), told
    assert len(rows) == 400 and {row[0] for row in rows} == {"200"} and sum(int(row[1]) for row in rows) < 100
    stream = subprocess.Popen(["curl", "--silent", "--no-buffer", "--http2", "--cacert", secure.authority.path, f"{url}/projects/{project}/stream"],
                              stdout=subprocess.PIPE)
    time.sleep(0.5)
    secure.publish(project, "news", {"said": "something"})
    seen = b""
    while b"something" not in seen:
        line = stream.stdout.readline()
        assert line
        seen += line
    stream.kill()
    stream.wait()


def test_http2_by_hand(secure):
    link = Frames(secure)
    link.send(link.request(1))
    kind, _, stream, _ = link.until(HEADERS)
    assert stream == 1
    assert b"healthy" in link.until(DATA)[3]
    settings = {}
    other = Frames(secure)
    payload = other.until(SETTINGS)[3]
    for place in range(0, len(payload), 6):
        settings[int.from_bytes(payload[place:place + 2], "big")] = int.from_bytes(payload[place + 2:place + 6], "big")
    assert settings[3] == 100 and settings[6] == 16 << 10
    for each in (link, other):
        each.close()


def test_http2_that_floods_is_ended_and_others_are_served(secure):
    """Rapid reset, settings, pings, heads without end, heads too large, more streams than there are, frames that are none."""
    def rapid_reset(link):
        for place in range(2_000):
            link.send(link.request(2 * place + 1) + link.frame(RST_STREAM, (8).to_bytes(4, "big"), stream=2 * place + 1))

    def flood(kind, payload=b""):
        def run(link):
            for _ in range(5_000):
                link.send(link.frame(kind, payload))
        return run

    def endless_head(link):
        link.send(link.request(1, flags=0))
        for _ in range(2_000):
            link.send(link.frame(CONTINUATION, b"\x00\x01a\x01b", 0, 1))

    def large_head(link):
        head = link.request(1)[9:]
        fields = b"".join(b"\x00\x05" + f"x{n:04d}".encode() + b"\x7e" + b"v" * 126 for n in range(200))
        whole = head + fields
        link.send(link.frame(HEADERS, whole[:16_000], END_STREAM, 1))
        for start in range(16_000, len(whole), 16_000):
            link.send(link.frame(CONTINUATION, whole[start:start + 16_000], END_HEADERS if start + 16_000 >= len(whole) else 0, 1))

    def nonsense(link):
        link.send(os.urandom(4_000))

    for attack in (rapid_reset, flood(SETTINGS), flood(PING, bytes(8)), endless_head, large_head, nonsense):
        link = Frames(secure, source="127.0.0.7")
        try:
            attack(link)
        except OSError:
            pass
        assert link.is_ended(), attack
        link.close()
        assert secure.call("GET", "/health").status == 200
    link = Frames(secure)
    link.send(b"".join(link.request(2 * place + 1, path=b"/api/v1/agents", flags=END_HEADERS) for place in range(101)))
    refused = link.until(RST_STREAM) or link.until(GOAWAY)
    assert refused is None or refused[0] in (RST_STREAM, GOAWAY)
    link.close()
    assert secure.call("GET", "/health").status == 200


def test_streams_count_as_connections_of_their_address(secure):
    """512 of an address, whether they are connections or streams."""
    # Those of the tests before are gone.
    wait(lambda: secure.metric("contex_http_connections") < 20)
    links = [Frames(secure, source="127.0.0.8") for _ in range(6)]
    for link in links:
        # Heads whose bodies do not come: each holds a place.
        post = b"\x83\x87\x44\x14/api/v1/data/publish\x41" + bytes([len(link.authority)]) + link.authority
        link.send(b"".join(link.frame(HEADERS, post, END_HEADERS, 2 * place + 1) for place in range(100)))
    wait(lambda: secure.metric("contex_http_connections") >= 500)
    time.sleep(0.5)
    assert secure.metric("contex_http_connections") <= 530
    assert secure.call("GET", "/health").status == 200
    for link in links:
        link.close()
    wait(lambda: secure.metric("contex_http_connections") < 20)


def test_http2_without_a_window_is_in_nobodys_way(secure):
    """Eight addresses ask for four thousand large answers and take nothing of them: others are answered, memory has its bound, and the streams are cut."""
    wait(lambda: secure.metric("contex_http_connections") < 20)
    assert len(secure.call("GET", "/openapi.json").body) > 128 << 10
    window = (4).to_bytes(2, "big") + bytes(4)
    links = [Frames(secure, source=f"127.0.1.{address}", settings=window) for address in range(1, 9) for _ in range(5)]
    begun = time.monotonic()
    for link in links:
        link.send(b"".join(link.request(2 * place + 1, path=b"/openapi.json") for place in range(100)))
    # Until they are worked on.
    wait(lambda: secure.metric("contex_http_connections") > 3_000, 25)
    wait(lambda: secure.metric("contex_http_requests_running") < 10, 25)
    for _ in range(5):
        assert secure.call("GET", "/health", timeout=5).status == 200
        assert secure.call("GET", "/openapi.json", timeout=5).status in (200, 503)
        time.sleep(0.2)
    held = secure.metric('contex_inflight_bytes{gate="answering"}')
    limit = secure.metric('contex_inflight_limit_bytes{gate="answering"}')
    assert limit / 16 < held < 1.25 * limit + (8 << 20), (held, limit)
    # Well before a connection is idle (60 s), stream by stream: the connection is well.
    link = links[0]
    link.tls.settimeout(60)
    while (found := link.until(RST_STREAM)) is not None and found[2] != 1:
        pass
    assert found is not None and 25 < time.monotonic() - begun < 58
    link.send(link.frame(PING, b"are you?", 0))
    link.tls.settimeout(10)
    assert link.until(PING)[3] == b"are you?"
    wait(lambda: secure.metric('contex_inflight_bytes{gate="answering"}') < (1 << 20), 30)
    for each in links:
        each.close()
    wait(lambda: secure.metric("contex_http_connections") < 20)


def test_a_stop_ends_http2_in_good_order(authority, tmp_path):
    with SecureServer(tmp_path, authority.server("stopping"), authority) as running:
        link = Frames(running)
        link.send(link.request(1))
        assert link.until(HEADERS)
        started = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        assert link.until(GOAWAY)
        # The server asks whether it was heard, and closes when it was.
        ping = link.until(PING)
        link.send(link.frame(PING, ping[3], 1))
        assert link.is_ended()
        assert running.process.wait(20) == 0 and time.monotonic() - started < 15
        link.close()


# MARK: - Versions and ciphers


def lax(least, most, ciphers="ALL:@SECLEVEL=0"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = least, most
    return context


V = ssl.TLSVersion


@pytest.mark.parametrize("version", [V.TLSv1, V.TLSv1_1, V.TLSv1_2])
def test_older_versions_are_refused(secure, version):
    for port in (secure.http_port, secure.wire_port, secure.resp_port, secure.metrics_port):
        with pytest.raises((ssl.SSLError, OSError)):
            handshake(port, lax(version, version))


def test_what_1_2_may_do_when_it_is_let_in(authority, tmp_path):
    with SecureServer(tmp_path, authority.server("twelve"), authority, {"CONTEX_TLS_MIN": "1.2"}) as running:
        version, cipher = handshake(running.http_port, lax(V.TLSv1_2, V.TLSv1_2))
        assert version == "TLSv1.2" and re.match(r"ECDHE-ECDSA-(AES\d+-GCM|CHACHA20)", cipher)
        assert handshake(running.http_port, running.context)[0] == "TLSv1.3"
        for version in (V.TLSv1, V.TLSv1_1):
            with pytest.raises((ssl.SSLError, OSError)):
                handshake(running.http_port, lax(version, version))
        for weak in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-SHA", "AES256-GCM-SHA384", "NULL", "ADH", "DHE"):
            try:
                context = lax(V.TLSv1_2, V.TLSv1_2, f"{weak}:@SECLEVEL=0")
            except ssl.SSLError:
                continue  # not even this client has it
            with pytest.raises((ssl.SSLError, OSError)):
                handshake(running.http_port, context)
        # Nobody begins again within a connection.
        asked = subprocess.run(["openssl", "s_client", "-tls1_2", "-connect", f"{HOST}:{running.http_port}", "-CAfile", authority.path],
                               input="R\n", capture_output=True, text=True, timeout=20)
        assert "RENEGOTIATING" in asked.stdout + asked.stderr
        assert "no renegotiation" in (asked.stdout + asked.stderr).lower() or asked.returncode != 0
        assert running.call("GET", "/health").status == 200


# MARK: - The other doors


def test_redis_over_tls(secure):
    project, agent = unique("project"), unique("agent")
    secure.register(project, agent, ["which database"])
    client = redis.Redis(HOST, secure.resp_port, ssl=True, ssl_ca_certs=secure.authority.path, socket_timeout=10)
    assert client.ping()
    listener = client.pubsub()
    listener.subscribe(f"agent:{agent}:updates")
    assert listener.get_message(timeout=10)["type"] == "subscribe"
    secure.publish(project, "tech", {"database": "PostgreSQL is our database"})
    assert json.loads(listener.get_message(timeout=10)["data"])
    with pytest.raises(redis.ConnectionError):
        redis.Redis(HOST, secure.resp_port, ssl=True, socket_timeout=10).ping()


def test_the_binary_protocol_over_tls(secure, authority, tmp_path):
    trust = contex_wire.tls_context(ca_file=authority.path)
    with contex_wire.SyncClient(HOST, secure.wire_port, tls=trust, attempts=1) as wire:
        wire.publish(contex_wire.Publish("wire", "a", text="which database: PostgreSQL"))
        assert wire.query(contex_wire.Query("wire", text="database", threshold=0)).matches
    stranger = Authority(tmp_path, "stranger")
    for options in ({"tls": contex_wire.tls_context(ca_file=stranger.path)}, {"tls": True}, {"tls": trust, "server_name": "other.example"}):
        with pytest.raises(contex_wire.ConnectionLost), contex_wire.SyncClient(HOST, secure.wire_port, attempts=1, **options) as wire:
            wire.query(contex_wire.Query("wire", text="database"))


def test_the_python_client(secure, authority):
    for wire in (None, f"contexs://{HOST}:{secure.wire_port}"):
        with Contex(secure.url, ca_file=authority.path, wire=wire) as client:
            project = client.project(unique("python"))
            project.publish("tech", {"database": "PostgreSQL"})
            assert project.query("which database", threshold=0).matches
    with pytest.raises(Exception, match="(?i)certificate"), Contex(secure.url, attempts=1) as client:
        client.project("p").query("which database")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not there")
def test_the_node_client(secure, authority):
    script = ("import { Contex } from './index.mjs'; const contex = new Contex(process.env.CONTEX_URL); const project = contex.project('node-tls');"
              "await project.publish('tech', { db: 'PostgreSQL' }); console.log('published')")
    environment = {"PATH": os.environ["PATH"], "CONTEX_URL": f"https://localhost:{secure.http_port}"}
    run = lambda more: subprocess.run(["node", "--input-type=module", "-e", script], cwd=CHECKOUT / "tools/sdk/node",  # noqa: E731
                                      env={**environment, **more}, capture_output=True, text=True, timeout=60)
    trusted = run({"NODE_EXTRA_CA_CERTS": authority.path})
    assert trusted.stdout == "published\n", trusted
    assert run({}).returncode != 0


def test_the_command_line(secure, authority):
    project = unique("command")
    secure.publish(project, "tech", {"database": "PostgreSQL"})
    assert "PostgreSQL" in contex("query", project, "which database", "--server", secure.url, "--ca-file", authority.path, "--threshold", "0").stdout
    refused = contex("query", project, "which database", "--server", secure.url)
    assert refused.returncode != 0 and "--ca-file" in refused.stderr
    wrong = contex("query", project, "which database", "--server", f"http://{HOST}:{secure.http_port}")
    assert wrong.returncode != 0 and "https" in wrong.stderr


# MARK: - Client certificates


def knocks(server, context):
    """Whether an answer comes. With 1.3 a client learns that its certificate is refused when it reads."""
    try:
        return server.call("GET", "/health", context=context).status == 200
    except (ssl.SSLError, OSError, http.client.HTTPException):
        return False


def test_whose_certificates_open_the_door(authority, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    good = showing(authority, authority.client("good"))
    bad = {
        "unknown": showing(authority, stranger.client("unknown")),
        "same name, other authority": showing(authority, Authority(tmp_path, "authority").client("good")),
        "ended": showing(authority, authority.client("ended", begins=-10, ends=-1)),
        "not yet": showing(authority, authority.client("not-yet", begins=1, ends=10)),
        "a server's": showing(authority, authority.server("a-servers")),
        "by itself": showing(authority, Authority(tmp_path, "itself")),
        "of a client's": showing(authority, Certificate(tmp_path, "below", authority.client("above"), client=True)),
    }
    required = SecureServer(tmp_path, authority.server("required"), authority, {"CONTEX_TLS_CLIENT_CA": authority.path})
    required.context = good
    with required as running:
        assert knocks(running, good)
        assert not knocks(running, ssl.create_default_context(cafile=authority.path))
        assert {name: knocks(running, context) for name, context in bad.items()} == {name: False for name in bad}
        for port in (running.wire_port, running.resp_port):
            with socket.create_connection((HOST, port), 10) as raw, pytest.raises((ssl.SSLError, OSError)):
                with ssl.create_default_context(cafile=authority.path).wrap_socket(raw, server_hostname=HOST) as tls:
                    tls.sendall(b"PING\r\n")
                    assert tls.recv(100) == b"never"
        assert running.metric('contex_tls_handshake_failures_total{reason="certificate_refused"}') >= len(bad)
        assert running.metric('contex_tls_handshake_failures_total{reason="certificate_missing"}') >= 3
    with SecureServer(tmp_path, authority.server("optional"), authority,
                      {"CONTEX_TLS_CLIENT_CA": authority.path, "CONTEX_TLS_CLIENT": "optional"}) as running:
        assert knocks(running, ssl.create_default_context(cafile=authority.path)) and knocks(running, good)
        assert not any(knocks(running, context) for context in bad.values())


def test_a_certificate_stands_for_a_key(mutual, authority):
    mine = authority.client("agent-one", dns=["agent-one.example"], uris=["spiffe://example/agent-one"], emails=["one@example.org"])
    key = stands_for(mutual, "uri:spiffe://example/agent-one", role="publisher")
    me, nobody = showing(authority, mine), showing(authority, authority.client("nobody", dns=["nobody.example"]))
    project = unique("project")
    body = {"project_id": project, "data_key": "a", "data": {"database": "PostgreSQL"}}
    assert mutual.call("POST", "/api/v1/data/publish", body, context=me).status == 200
    # Its role holds: a publisher makes no keys.
    assert mutual.call("POST", "/api/v1/auth/keys?name=x", context=me).status == 403
    # A certificate that is good and in no list is nobody's; so is none at all.
    assert mutual.call("POST", "/api/v1/data/publish", body, context=nobody).status == 401
    assert mutual.call("POST", "/api/v1/data/publish", body).status == 401
    # A key that is given goes before it, the right one and the wrong one.
    assert mutual.call("POST", "/api/v1/data/publish", body, {"X-API-Key": "ck_wrong"}, context=me).status == 401
    assert mutual.call("POST", "/api/v1/auth/keys?name=y", headers={"X-API-Key": ROOT_KEY}, context=me).status == 200
    # What it did is written down under the key.
    records = mutual.call("GET", "/api/v1/audit/events?limit=100", None, {"X-API-Key": ROOT_KEY})
    assert records.status == 200 and key in records.body.decode()
    # The other doors: nothing is said of a key.
    trust = contex_wire.tls_context(authority.path, mine.path, mine.key)
    with contex_wire.SyncClient(HOST, mutual.wire_port, tls=trust, attempts=1) as wire:
        assert wire.publish(contex_wire.Publish(project, "b", text="by wire")).sequence
    with pytest.raises(contex_wire.ContexError, match="(?i)key"), \
            contex_wire.SyncClient(HOST, mutual.wire_port, tls=contex_wire.tls_context(authority.path), attempts=1) as wire:
        wire.publish(contex_wire.Publish(project, "c", text="by wire"))
    client = redis.Redis(HOST, mutual.resp_port, ssl=True, ssl_ca_certs=authority.path, ssl_certfile=mine.path, ssl_keyfile=mine.key, socket_timeout=10)
    assert client.ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(HOST, mutual.resp_port, ssl=True, ssl_ca_certs=authority.path, socket_timeout=10).ping()
    # Revoked: refused from that moment on, on what is open too.
    link = contex_wire.SyncClient(HOST, mutual.wire_port, tls=trust, attempts=1)
    link.publish(contex_wire.Publish(project, "d", text="by wire"))
    kept = mutual.connection(context=me)
    assert kept.call("POST", "/api/v1/data/publish", body).status == 200
    assert mutual.call("DELETE", f"/api/v1/auth/keys/{key}", None, {"X-API-Key": ROOT_KEY}).status in (200, 204)
    assert kept.call("POST", "/api/v1/data/publish", body).status == 401
    with pytest.raises(contex_wire.ContexError):
        link.publish(contex_wire.Publish(project, "e", text="by wire"))
    link.close()
    with pytest.raises((redis.ConnectionError, redis.AuthenticationError, redis.ResponseError)):
        client.ping()
        client.ping()


def test_terms_of_the_key_hold(mutual, authority):
    me = showing(authority, authority.client("elsewhere", common_name="elsewhere"))
    stands_for(mutual, "cn:elsewhere", role="readonly", query="&allowed_addresses=192.0.2.0/24")
    assert mutual.call("GET", "/api/v1/projects", context=me).status == 403
    # Of names that stand for different keys none holds.
    both = showing(authority, authority.client("both", dns=["first.example", "second.example"]))
    stands_for(mutual, "dns:first.example", role="readonly")
    assert mutual.call("GET", "/api/v1/projects", context=both).status == 200
    stands_for(mutual, "dns:second.example", role="admin")
    assert mutual.call("GET", "/api/v1/projects", context=both).status == 401
    # The kind of a name matters.
    assert mutual.call("GET", "/api/v1/projects", context=showing(authority, authority.client("other", common_name="first.example"))).status == 401


# MARK: - New certificates


def test_a_new_certificate_is_taken_by_itself_and_a_bad_one_is_not(authority, tmp_path):
    certificate = authority.server("renewed")
    with SecureServer(tmp_path, certificate, authority) as running:
        assert running.serial() == certificate.serial
        kept = running.connection()
        assert kept.call("GET", "/health").status == 200
        second = authority.server("renewed")
        wait(lambda: running.serial() == second.serial)
        # A connection goes on with the certificate that it began with.
        assert kept.call("GET", "/health").status == 200
        bad = [b"nothing", b"", open(certificate.path, "rb").read()[:200], open(authority.server("other").path, "rb").read()]
        for number, content in enumerate(bad):
            written(certificate.path, content)
            wait(lambda: running.metric('contex_tls_reloads_total{status="refused"}') > number)
            assert running.serial() == second.serial
            assert running.metric("contex_tls_certificate_stale") == 1
        assert "the certificate on the disk is not taken" in running.log()
        os.remove(certificate.path)
        time.sleep(1.5)
        assert running.serial() == second.serial
        # One that has ended is worse than the one that is there.
        authority.server("renewed", begins=-10, ends=-1)
        time.sleep(2.5)
        assert running.serial() == second.serial
        third = authority.server("renewed")
        wait(lambda: running.serial() == third.serial)
        assert running.metric("contex_tls_certificate_stale") == 0
        fourth = authority.server("renewed")
        running.process.send_signal(signal.SIGHUP)
        wait(lambda: running.serial() == fourth.serial, 1)


def test_reload_under_load_fails_no_request(authority, tmp_path):
    certificate = authority.server("busy")
    with SecureServer(tmp_path, certificate, authority) as running:
        running.publish("shop", "tech", {"database": "PostgreSQL"})
        end, serials = time.monotonic() + 6, set()

        def asking(keeps):
            count, connection = 0, running.connection()
            while time.monotonic() < end:
                assert connection.call("POST", "/api/v1/projects/shop/query", {"query": "which database"}).status == 200
                count += 1
                if not keeps:
                    connection.close()
                    connection = running.connection()
            connection.close()
            return count

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            work = [pool.submit(asking, keeps) for keeps in (True, True, False, False, False, False)]
            while time.monotonic() < end - 0.5:
                serials.add(authority.server("busy").serial)
                running.process.send_signal(signal.SIGHUP)
                time.sleep(0.3)
            counts = [job.result() for job in work]
        assert len(serials) >= 10 and running.metric('contex_tls_reloads_total{status="taken"}') >= 10
        assert min(counts) > 20


# MARK: - Strangers


def test_handshakes_that_are_never_done(secure):
    """500 connections that say nothing: the first 256 of an address wait for ten seconds, the others are cut at once, and everybody else is served."""
    quiet = []
    for number in range(500):
        raw = socket.socket()
        raw.bind(("127.0.0.9", 0))
        raw.connect((HOST, secure.http_port))
        if number % 3 == 0:
            raw.sendall(b"\x16\x03\x01\x00")  # half a record
        quiet.append(raw)
    try:
        wait(lambda: secure.metric('contex_tls_handshake_failures_total{reason="limited"}') >= 200)
        assert 200 <= secure.metric("contex_tls_handshakes_pending") <= 256
        started = time.monotonic()
        for _ in range(20):
            assert secure.call("GET", "/health").status == 200
        assert time.monotonic() - started < 5
        before = secure.metric('contex_tls_handshake_failures_total{reason="timeout"}')
        wait(lambda: secure.metric("contex_tls_handshakes_pending") <= 5, 20)
        assert secure.metric('contex_tls_handshake_failures_total{reason="timeout"}') >= before + 100
    finally:
        for raw in quiet:
            raw.close()
    assert secure.connection(source="127.0.0.9").call("GET", "/health").status == 200


def test_bytes_that_are_no_handshake(secure):
    import random
    generator = random.Random(7)
    for port in (secure.http_port, secure.wire_port, secure.resp_port, secure.metrics_port):
        for number in range(60):
            with socket.create_connection((HOST, port), 10) as raw:
                length = generator.randrange(1, 600)
                content = bytes(generator.randrange(256) for _ in range(length))
                raw.sendall((b"\x16\x03\x01" + length.to_bytes(2, "big") if number % 2 else b"") + content)
                raw.shutdown(socket.SHUT_WR)
                raw.settimeout(10)
                try:
                    while raw.recv(4_096):
                        pass
                except OSError:
                    pass
    assert secure.call("GET", "/health").status == 200


# MARK: - At the start


def start(environment, flags=()):
    """Of a server that should not start: what it says."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONTEX_TLS")}
    folder = f"/tmp/{unique('never')}"
    finished = subprocess.run(
        [BINARY, "serve", "--data-dir", folder, "--http-port", "0", "--wire-port", "off", "--resp-port", "off", *flags],
        env={**inherited, "CONTEX_MODEL_DIR": "/nowhere", **environment}, capture_output=True, text=True, timeout=30)
    shutil.rmtree(folder, ignore_errors=True)
    return finished.returncode, finished.stderr + finished.stdout


def test_settings_that_make_no_sense(authority, tmp_path):
    good, other = authority.server("good-server"), authority.server("other-server")
    both = {"CONTEX_TLS_CERT": good.path, "CONTEX_TLS_KEY": good.key}
    for environment, word in [
        ({"CONTEX_TLS_CERT": good.path}, "CONTEX_TLS_KEY"), ({"CONTEX_TLS_KEY": good.key}, "the certificate is missing"),
        ({"CONTEX_TLS_CLIENT_CA": authority.path}, "CONTEX_TLS_CLIENT_CA"), ({**both, "CONTEX_TLS_CLIENT": "required"}, "CONTEX_TLS_CLIENT_CA"),
        ({**both, "CONTEX_TLS_CLIENT": "maybe", "CONTEX_TLS_CLIENT_CA": authority.path}, "optional or required"),
        ({**both, "CONTEX_TLS_MIN": "1.1"}, "1.2 or 1.3"), ({**both, "CONTEX_TLS_DOORS": "http,ftp"}, "http, wire, resp, metrics"),
        ({**both, "CONTEX_TLS_CLIENT_CA": authority.path, "CONTEX_TLS_CLIENT_MAP": "agent-one=0123456789abcdef"}, "KIND:NAME=KEYID"),
        ({**both, "CONTEX_TLS_CLIENT_MAP": "cn:a=0123456789abcdef"}, "CONTEX_TLS_CLIENT_CA"),
    ]:
        code, said = start(environment)
        assert code != 0 and word in said, (environment, said)


def test_files_that_cannot_be_used(authority, tmp_path):
    good, other = authority.server("usable"), authority.server("another")
    locked = authority.server("locked", password=b"secret")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    model = {"CONTEX_MODEL_DIR": os.environ.get("CONTEX_MODEL_DIR") or str(CHECKOUT / ".models/all-MiniLM-L6-v2")}
    for certificate, key, word in [
        (good.path, locked.key, "is encrypted"), (good.path, other.key, "does not belong"), ("/nowhere.pem", good.key, "cannot be read"),
        (str(empty), good.key, "no certificate in PEM"), (good.path, good.path, "no private key in PEM"), (str(tmp_path), good.key, "no regular file"),
    ]:
        code, said = start({**model, "CONTEX_TLS_CERT": certificate, "CONTEX_TLS_KEY": key})
        assert code != 0 and word in said, said
        assert "PRIVATE KEY-----" not in said


def test_plain_text_beyond_this_machine(authority):
    """0.0.0.0 as in a container: without a certificate it goes on as before and warns, with one every door must use it."""
    certificate = authority.server("container")
    tls = {"CONTEX_TLS_CERT": certificate.path, "CONTEX_TLS_KEY": certificate.key}
    model = {"CONTEX_MODEL_DIR": os.environ.get("CONTEX_MODEL_DIR") or str(CHECKOUT / ".models/all-MiniLM-L6-v2")}
    auth = {**model, "AUTH_ENABLED": "true", "CONTEX_HTTP_HOST": "0.0.0.0"}
    code, said = start({**auth, **tls, "CONTEX_TLS_DOORS": "wire"})
    assert code != 0 and "--allow-plaintext" in said
    code, said = start({**auth, "CONTEX_ALLOW_PLAINTEXT": "false"})
    assert code != 0 and "--allow-plaintext" in said
    for environment in ({}, {**tls, "CONTEX_TLS_DOORS": "wire", "CONTEX_ALLOW_PLAINTEXT": "1"}):
        with Server(environment={"AUTH_ENABLED": "true", "CONTEX_HTTP_HOST": "0.0.0.0", **environment}) as running, open(running.log_path) as log:
            assert "can be read on the way" in log.read()
    with SecureServer(authority.folder, certificate, authority, {"AUTH_ENABLED": "true", "CONTEX_HTTP_HOST": "0.0.0.0"}) as running:
        assert "can be read on the way" not in running.log()


# MARK: - What operators see


def test_measures_and_the_doctor(secure, authority, tmp_path):
    ends = secure.metric("contex_tls_certificate_end_seconds")
    assert 89 * 86_400 < ends < 90 * 86_400
    assert secure.metric("contex_tls_handshakes_total") > 0
    assert "certificate" not in contex("doctor", "--server", secure.url, "--ca-file", authority.path).stdout
    soon = authority.server("soon", ends=10)
    with SecureServer(tmp_path, soon, authority) as running:
        told = contex("doctor", "--server", running.url, "--ca-file", authority.path)
        assert told.returncode == 1 and re.search(r"certificate ends in (9|10) days", told.stdout) and "certificate.md" in told.stdout
    other, ended = authority.server("third"), authority.server("over", begins=-10, ends=-3)
    assert "does not belong" in contex("doctor", "--tls-cert", soon.path, "--tls-key", other.key).stdout
    assert re.search(r"ended [34] days ago", contex("doctor", "--tls-cert", ended.path, "--tls-key", ended.key).stdout)
    assert contex("doctor", "--tls-cert", other.path, "--tls-key", other.key).returncode == 0
    os.chmod(other.key, 0o644)
    assert "every user" in contex("doctor", "--tls-cert", other.path, "--tls-key", other.key).stdout


def test_no_secret_is_logged(secure):
    """After all that happened above, at the level trace."""
    said = secure.log()
    secret = "".join(open(secure.certificate.key).read().splitlines()[1:-1])
    assert len(said) > 1_000 and "PRIVATE KEY" not in said
    assert not any(secret[start:start + 24] in said for start in range(0, len(secret) - 24, 8))
    raw = secure.certificate.private.private_numbers().private_value.to_bytes(32, "big")
    assert raw.hex() not in said and base64.b64encode(raw).decode() not in said
    assert '"failure":"plain_text"' in said or "failure=plain_text" in said
