"""The shipping of logs: real lines through the stages of promtail's and filebeat's configurations, as their manuals describe each stage. The programs
themselves are not to be had here; a stage or processor that this does not know fails."""
import datetime
import json
import re
import time

import pytest
import yaml

from support import CHECKOUT, HOST, watched

OBSERVABILITY = CHECKOUT / "tools/deploy/observability"
KEY = "the-key-of-the-operator-in-the-logs"
LEVELS = {"TRACE", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"}


@pytest.fixture(scope="module")
def lines():
    """A log with entries of many kinds, and what the server greets with."""
    environment = {"AUTH_ENABLED": "true", "CONTEX_SLOW_MS": "1", "CONTEX_WEBHOOK_WAITS": "0.05", "CONTEX_WEBHOOK_ALLOW": "127.0.0.0/8",
                   "CONTEX_LOG_LEVEL": "debug", "CONTEX_TRACES_ENDPOINT": f"http://{HOST}:9"}
    with watched(environment) as server:
        key = re.search(r"\bck_\w+", open(server.log_path).read())[0]
        root = {"X-API-Key": key}
        server.call("POST", "/api/v1/data/publish", {"project_id": "shop", "data_key": "k", "data": {"a": "word " * 2_000}}, root)
        server.call("POST", "/api/v1/projects/shop/query", {"query": "word \n\"quoted\" " * 100}, root)
        endpoint = {"name": "e", "url": f"http://{HOST}:9/hook", "events": ["data.published"], "max_retries": 1}
        assert server.call("POST", "/api/v1/webhooks/endpoints", endpoint, root).status == 201
        server.call("POST", "/api/v1/data/publish", {"project_id": "shop", "data_key": "l", "data": {"a": "b"}}, root)
        for _ in range(3):
            server.call("GET", "/api/v1/projects", None, {"X-API-Key": "ck_" + "x" * 48})
        deadline = time.monotonic() + 20
        while "webhook given up" not in open(server.log_path).read() and time.monotonic() < deadline:
            time.sleep(0.1)
        server.stop()
        found = open(server.log_path, encoding="utf-8").read().splitlines()
    assert any(key in line for line in found), "the greeting has the key: that is what must not be shipped"
    return key, found


def promtail(line, stages):
    """Of a line its entry, or None when it is dropped: (time, labels, structured metadata)."""
    extracted, at, labels, beside = {}, None, {}, {}
    for stage in stages:
        (name, what), = stage.items()
        if name == "drop":
            if re.search(what["expression"], line):
                return None
        elif name == "json":
            try:
                members = json.loads(line)
            except ValueError:
                if what["drop_malformed"]:
                    return None
                continue
            for into, path in what["expressions"].items():
                assert re.fullmatch(r"\w+", path), f"no plain name: {path}"
                if path in members:
                    extracted[into] = members[path]
        elif name == "timestamp":
            assert what["format"] == "RFC3339Nano"
            at = datetime.datetime.fromisoformat(extracted[what["source"]])
        elif name in ("labels", "structured_metadata"):
            into = labels if name == "labels" else beside
            into.update({label: extracted[source or label] for label, source in what.items() if (source or label) in extracted})
        else:
            raise AssertionError(f"stage {name}")
    return at, labels, beside


def test_promtail(lines):
    key, log = lines
    job, = yaml.safe_load((OBSERVABILITY / "loki/promtail.yml").read_text())["scrape_configs"]
    entries = [(line, promtail(line, job["pipeline_stages"])) for line in log]
    kept = [(line, entry) for line, entry in entries if entry]
    assert len(kept) == sum(line.startswith("{") for line in log) > 10
    assert not any(key in line for line, _ in kept)
    now = datetime.datetime.now(datetime.timezone.utc)
    for line, (at, labels, beside) in kept:
        assert datetime.timedelta(0) <= now - at < datetime.timedelta(minutes=5), line
        assert set(labels) == {"level", "logger"} and labels["level"] in LEVELS and re.fullmatch(r"[\w.]+", labels["logger"]), line
    assert any(beside.get("project") == "shop" and re.fullmatch(r"[0-9a-f]{32}", beside["request"]) for _, (_, _, beside) in kept)
    assert promtail('{"timestamp": cut of', job["pipeline_stages"]) is None


def field(document, path, value=None, remove=False):
    """Reads, sets or removes a field by its dotted path."""
    *parents, last = path.split(".")
    for part in parents:
        document = document.setdefault(part, {})
    if remove:
        return document.pop(last, None)
    if value is not None:
        document[last] = value
    return document.get(last)


def elastic(line, source, processors):
    """Of a line its document, or None when filebeat does not take it."""
    if not any(re.search(pattern, line) for pattern in source["include_lines"]):
        return None
    parser, = source["parsers"]
    document = {parser["ndjson"]["target"]: json.loads(line)}
    for processor in processors:
        (name, what), = processor.items()
        if field(document, what["field"]) is None:
            assert what.get("ignore_missing"), f"{what['field']} is not there: {line}"
            continue
        if name == "date":
            assert what["formats"] == ["ISO8601"]
            document["@timestamp"] = datetime.datetime.fromisoformat(field(document, what["field"]))
        elif name == "rename":
            assert field(document, what["target_field"]) is None, "rename does not write over a field"
            field(document, what["target_field"], field(document, what["field"], remove=True))
        elif name == "lowercase":
            field(document, what["field"], field(document, what["field"]).lower())
        elif name == "convert":
            field(document, what["field"], {"float": float, "long": int}[what["type"]](field(document, what["field"])))
        elif name == "remove":
            field(document, what["field"], remove=True)
        else:
            raise AssertionError(f"processor {name}")
    return document


def test_filebeat(lines):
    key, log = lines
    source, = yaml.safe_load((OBSERVABILITY / "elastic/filebeat.yml").read_text())["filebeat.inputs"]
    pipeline = json.loads((OBSERVABILITY / "elastic/pipeline.json").read_text())
    documents = [document for line in log if (document := elastic(line, source, pipeline["processors"]))]
    assert len(documents) == sum(line.startswith("{") for line in log) and key not in str(documents)
    assert all(one["@timestamp"] and one["message"] and one["log"]["level"] in {level.lower() for level in LEVELS} for one in documents)
    slow = [one for one in documents if one["message"] == "slow operation"]
    assert slow and all(one["contex"]["duration_ms"] > 0 and one["http"]["request"]["id"] for one in slow)
    assert any(one["message"] == "login failed" and one["source"]["ip"] == HOST for one in documents)


def test_the_questions_ask_for_what_is_there(lines):
    """Messages, loggers and fields that docs/logs.md names are in real lines."""
    _, log = lines
    entries = [json.loads(line) for line in log if line.startswith("{")]
    fields = {name for entry in entries for name in entry}
    rows = [row for row in (CHECKOUT / "docs/logs.md").read_text().splitlines() if row.startswith("| ") and '{job="contex"' in row]
    assert len(rows) == 7
    for row in (row.replace("\\|", "|") for row in rows):
        for message in re.findall(r'\|= "([^"]+)"', row):
            assert any(entry["message"] == message for entry in entries), message
        for logger in re.findall(r'(?:log\.)?logger(?:=| : )"([^"]+)"', row):
            assert any(entry["logger"] == logger for entry in entries), logger
        for name in re.findall(r"\| (\w+)(?:=| >)|unwrap (\w+)|by \((\w+)\)|\{\{\.(\w+)\}\}|contex\.(\w+) [:>]", row):
            name = "".join(name)
            assert name in fields | {"agent"}, name
