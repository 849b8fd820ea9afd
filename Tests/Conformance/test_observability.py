"""The server as operators and their programs see it: Prometheus and its promtool, logs without secrets, levels at run time, the doctor."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest

from support import CHECKOUT, HOST, Connection, Server, contex, free_port, watched

RULES = CHECKOUT / "tools/deploy/observability/prometheus"
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not there (Debian: prometheus)")
prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not there (Debian: prometheus)")


def busy(server):
    """Something of everything, refusals too."""
    server.publish("shop", "tech", {"db": "LMDB", "cache": "none"})
    server.register("shop", "reader", ["which database"])
    for text in ("which database", "which database", "something else"):
        server.query("shop", text)
    server.call("GET", "/api/v1/no/such/path")
    server.call("POST", "/api/v1/data/publish", b"{no json")
    server.call("GET", '/api/v1/projects/%22quoted%22%5C%0Aproject/data')
    server.call("POST", "/api/v1/projects/%22q%22%5C%0Ap/query", {"query": "a name full of signs"})


@promtool
def test_promtool_finds_nothing_to_say():
    with watched() as server:
        busy(server)
        text = Connection(server.metrics_port).call("GET", "/metrics").body
        found = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        assert found.returncode == 0, found.stderr.decode()
        assert b'project_id="\\"q\\"\\\\\\np"' in text


@promtool
def test_rules_and_their_cases():
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "recording.yml", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=RULES, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    alerts = [line.split(":")[1].strip() for line in (RULES / "alerts.yml").read_text().splitlines() if "- alert:" in line]
    cases = (RULES / "alerts_test.yml").read_text()
    for alert in alerts:
        assert f"name: {alert} fires" in cases and f"name: {alert} is silent" in cases, alert


def metrics_and_labels():
    """Of docs/metrics.md, which a test of the server holds equal to what is printed: name -> labels, with what Prometheus makes of histograms."""
    known = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}
    for name, kind, labels in re.findall(r"(?m)^\| `(\w+)` \| (\w+) \| (.*?) \|", (CHECKOUT / "docs/metrics.md").read_text()):
        own = set(re.findall(r"`(\w+)`", labels)) | {"job", "instance"}
        known[name] = own
        if kind == "histogram":
            known.update({f"{name}_sum": own, f"{name}_count": own, f"{name}_bucket": own | {"le"}})
    for name in re.findall(r"record: (\S+)", (RULES / "recording.yml").read_text()):
        known[name] = {"stage"}
    return known


def expressions():
    """(where, expression) of every panel of the dashboards, every alert and every recording rule."""
    for path in sorted((RULES.parent / "grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]
                for label in re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")):
                    assert re.search(rf"\b{label}\b", target["expr"]) or any(
                        label in labels for name, labels in metrics_and_labels().items() if name in target["expr"]), (path.name, label)
    for name in ("alerts.yml", "recording.yml"):
        for expression in re.findall(r"(?m)^ +expr: (.+)$", (RULES / name).read_text()):
            yield name, expression


def test_dashboards_and_rules_name_what_is_there():
    known = metrics_and_labels()
    assert len(known) > 120
    found = list(expressions())
    assert len(found) > 100
    for where, expression in found:
        bare = re.sub(r'"[^"]*"', '""', expression)
        names = set(re.findall(r"\b(?:contex[:_][\w:]+|process_\w+|up|ALERTS)\b", bare))
        assert names and names <= set(known), (where, names - set(known))
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", bare))
        labels |= {label for group in re.findall(r"\bby \(([^)]*)\)", bare) for label in re.split(r"\W+", group)}
        assert labels <= set().union(*(known[name] for name in names)), (where, labels)


@promtool
def test_expressions_of_dashboards_can_be_asked(tmp_path):
    rules = [f"      - record: dashboard:{number}\n        expr: {json.dumps(expression)}" for number, (_, expression) in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text("groups:\n  - name: all\n    rules:\n" + "\n".join(rules) + "\n")
    done = subprocess.run(["promtool", "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@prometheus
def test_a_real_prometheus_scrapes_it(tmp_path):
    with watched() as server:
        busy(server)
        port = free_port()
        configuration = (RULES / "prometheus.yml").read_text().replace("127.0.0.1:8004", f"{HOST}:{server.metrics_port}").replace(": 15s", ": 1s")
        (tmp_path / "prometheus.yml").write_text(configuration)
        for name in ("recording.yml", "alerts.yml"):
            shutil.copy(RULES / name, tmp_path)
        with open(tmp_path / "log", "wb") as log:
            process = subprocess.Popen(
                ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address={HOST}:{port}"],
                stdout=log, stderr=log)
        try:
            def ask(query):
                answer = Connection(port).call("GET", "/api/v1/query?query=" + urllib.parse.quote(query)).json
                return {json.dumps(r["metric"], sort_keys=True): float(r["value"][1]) for r in answer["data"]["result"]}

            deadline, up = time.time() + 60, {}
            while time.time() < deadline and list(up.values()) != [1.0]:
                time.sleep(0.5)
                try:
                    up = ask('up{job="contex"}')
                except OSError:
                    pass
            assert list(up.values()) == [1.0], (tmp_path / "log").read_text()[-2000:]
            assert sum(ask('contex_queries_total{project_id="shop",status="success"}').values()) == 3
            assert sum(ask("count({__name__=~\"contex_.*\"})").values()) > 300
            targets = Connection(port).call("GET", "/api/v1/targets").json["data"]["activeTargets"]
            assert [t["lastError"] for t in targets] == [""]
            rules = Connection(port).call("GET", "/api/v1/rules").json["data"]["groups"]
            assert all(not rule.get("lastError") for group in rules for rule in group["rules"])
        finally:
            process.terminate()
            process.wait(30)


def test_a_scrape_that_never_reads_costs_its_connection():
    with watched() as server:
        deaf = []
        for _ in range(64):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((HOST, server.metrics_port))
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
            deaf.append(connection)
        # All places are taken, and the server serves.
        assert server.call("GET", "/metrics").status == 200
        # Ten seconds after the last byte that was taken a place is free again; on a busy machine later.
        deadline = time.monotonic() + 60
        while True:
            time.sleep(2)
            try:
                assert Connection(server.metrics_port).call("GET", "/metrics").status == 200
                break
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < deadline
        for connection in deaf:
            connection.close()


SECRETS = {
    "key": "ck_SECRETwrongkey" + "x" * 30, "root": "SECRETroot-key-given-by-the-operator", "webhook": "SECRETwebhooksecret", "data": "SECRETpublisheddata",
    "text": "SECRETquerytext", "password": "SECRETurlpassword", "bearer": "SECRETbearertoken", "query": "SECRETinthequerystring",
}


def test_no_secret_is_in_log_metrics_or_errors():
    environment = {"AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": SECRETS["root"], "CONTEX_LOG_LEVEL": "trace", "CONTEX_LOG_JSON": "true",
                   "CONTEX_SLOW_MS": "1", "CONTEX_WEBHOOK_WAITS": "0.05", "CONTEX_WEBHOOK_ALLOW": "127.0.0.0/8"}
    with watched(environment) as server:
        root = {"X-API-Key": SECRETS["root"]}
        said = []

        def call(method, path, body=None, headers=None, expected=None):
            answer = server.call(method, path, body, root if headers is None else headers)
            if expected:
                assert answer.status in expected, answer
            if answer.status >= 400:
                said.append(answer.body.decode(errors="replace") + str(answer.headers))
            return answer

        call("PUT", "/api/v1/admin/log-level", {"level": "trace", "logger": "contex.http"}, expected=[200])
        for headers in ({"X-API-Key": SECRETS["key"]}, {"Authorization": "Bearer " + SECRETS["bearer"]}, {"Authorization": SECRETS["bearer"]}):
            for _ in range(13):
                call("GET", "/api/v1/projects", headers=headers, expected=[401, 429])
        call("GET", f"/api/v1/projects?api_key={SECRETS['query']}", headers={}, expected=[401, 429])
        data = {"project_id": "shop", "data_key": "k", "data": {"a": SECRETS["data"] * 40}}
        call("POST", "/api/v1/data/publish", data, expected=[200])
        call("POST", "/api/v1/data/publish", {**data, "data_format": "toml"})
        call("POST", "/api/v1/projects/shop/query", {"query": SECRETS["text"] + " words" * 400}, expected=[200])
        agent = {"agent_id": "a", "project_id": "shop", "data_needs": ["anything"], "notification_method": "webhook", "webhook_secret": SECRETS["webhook"]}
        call("POST", "/api/v1/agents/register", {**agent, "webhook_url": f"http://{HOST}:9/hook"}, expected=[200])
        call("POST", "/api/v1/agents/register", {**agent, "webhook_url": f"http://u:{SECRETS['password']}@{HOST}:9/hook"})
        endpoint = call("POST", "/api/v1/webhooks/endpoints", {"name": "e", "url": f"http://{HOST}:9/hook", "events": ["data.published"]})
        made = [endpoint.json.get("secret") or endpoint.json.get("signing_secret")] if endpoint.status == 201 else []
        made.append(call("POST", "/api/v1/auth/keys?name=other", expected=[200, 201]).json["key"])
        call("POST", "/api/v1/data/publish", data, expected=[200])
        time.sleep(1.5)
        metrics = call("GET", "/metrics", expected=[200]).body.decode() + Connection(server.metrics_port).call("GET", "/metrics").body.decode()
        server.stop()
        log = open(server.log_path).read()
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        assert any(line["message"] == "slow operation" and line["action"] == "query" and "snapshot_ms" in line for line in lines), "the slow log says why"
        assert any(line["message"] == "login failed" for line in lines)
        assert all(line["timestamp"] and line["level"] and line["logger"] for line in lines)
        looked_for = list(SECRETS.values()) + [secret for secret in made if secret]
        assert len(looked_for) >= len(SECRETS) + 1
        for secret in looked_for:
            for name, text in (("log", log), ("metrics", metrics), ("errors", "\n".join(said))):
                # What a client has sent in a field may be told to it again, in an excerpt; never a key.
                if name == "errors" and secret in (SECRETS["data"], SECRETS["password"]):
                    continue
                assert secret not in text, f"{secret} is in the {name}"


def test_settings_are_read_again(tmp_path):
    settings = tmp_path / "contex.conf"
    settings.write_text("CONTEX_LOG_LEVEL=warning\nCONTEX_SLOW_MS=0\n")
    with Server(environment={"CONTEX_CONFIG": str(settings), "CONTEX_LOG_JSON": "true"}) as server:
        server.publish("shop", "k", {"a": "b"})
        server.query("shop", "not slow")
        settings.write_text("CONTEX_LOG_LEVEL=info\nCONTEX_SLOW_MS=1\nCONTEX_LOG_TEXTS=true\n")
        server.process.send_signal(signal.SIGHUP)
        deadline = time.time() + 10
        while server.call("GET", "/api/v1/admin/log-level").json["level"] != "info" and time.time() < deadline:
            time.sleep(0.05)
        for number in range(20):
            server.query("shop", f"slow enough {number} " + "word " * 3_000)
        settings.write_text("CONTEX_LOG_LEVEL=nonsense\n")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert server.call("GET", "/api/v1/admin/log-level").json["level"] == "info", "what is wrong changes nothing"
        log = open(server.log_path).read()
    slow = [json.loads(line) for line in log.splitlines() if "slow operation" in line]
    assert slow and not any("not slow" in line.get("text", "") for line in slow)
    assert any("slow enough" in line.get("text", "") for line in slow) and "the settings stay as they were" in log


def test_the_doctor(tmp_path):
    with watched() as server:
        busy(server)
        well = contex("doctor", "--server", server.url)
        assert well.returncode == 0 and "nothing is wrong" in well.stdout, well
        folder = contex("doctor", "--data-dir", server.data_dir)
        assert folder.returncode == 0, folder
        server.stop()
        os.rename(os.path.join(server.data_dir, "pepper"), os.path.join(server.data_dir, "pepper.away"))
        ill = contex("doctor", "--data-dir", server.data_dir, "--json")
        assert ill.returncode == 1 and "pepper" in json.loads(ill.stdout)[0]["finding"], ill
        store = pathlib.Path(server.data_dir, "store", "data.mdb")
        with open(store, "r+b") as file:
            file.write(b"\xff" * 16384)
        damaged = contex("doctor", "--data-dir", server.data_dir)
        assert damaged.returncode == 1 and "store-damage.md" in damaged.stdout, damaged
    assert contex("doctor", "--server", f"http://{HOST}:1").returncode == 6
    assert contex("doctor", "--data-dir", str(tmp_path / "none")).returncode == 3
