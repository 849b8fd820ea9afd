"""tools/slo: its arithmetic on scrapes by hand, and on what a real server and a real Prometheus tell."""
import importlib.machinery
import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest

from alarms import RULES, Watch
from support import CHECKOUT, watched

TOOL = CHECKOUT / "tools/slo"


def slo():
    loader = importlib.machinery.SourceFileLoader("slo", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("slo", loader))
    loader.exec_module(module)
    return module


def run(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True, timeout=120)


def scrape(at, started, ok, bad, fast=0, slow=0):
    return f"""# scraped_at {at}
# TYPE contex_http_requests_total counter
process_start_time_seconds {started}
contex_http_requests_total{{method="GET",endpoint="/a \\"b\\"",status_code="200"}} {ok}
contex_http_requests_total{{method="GET",endpoint="/a",status_code="404"}} 3
contex_http_requests_total{{method="POST",endpoint="/a",status_code="507"}} {bad}
contex_query_duration_seconds_bucket{{project_id="p",le="0.05"}} {fast}
contex_query_duration_seconds_bucket{{project_id="p",le="+Inf"}} {fast + slow}
contex_query_duration_seconds_count{{project_id="p"}} {fast + slow}
"""


def of(told, name):
    return next(one for one in told["objectives"] if one["objective"] == name)


def test_budget_by_hand(tmp_path):
    (tmp_path / "kept").write_text(scrape(1_000, 1, 1_000, 0) + scrape(4_600, 1, 10_997, 2, fast=90, slow=10))
    done = run(tmp_path / "kept", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1, "queries missed theirs"
    assert told["window"]["seconds"] == 3_600 and told["window"]["restarts"] == 0
    availability = of(told, "availability")
    # 9,997 good ones and 2 bad: 9.999 may be bad, so 80 % of the budget is left.
    assert (availability["events"], availability["bad"], availability["met"]) == (9_999, 2, True)
    assert availability["budget_left"] == pytest.approx(1 - 2 / 9.999)
    queries = of(told, "query latency")
    assert (queries["events"], queries["bad"], queries["met"]) == (100, 10, False)
    assert queries["share"] == pytest.approx(0.9) and queries["budget_left"] == pytest.approx(-1)
    assert of(told, "webhooks")["share"] is None
    lines = run(tmp_path / "kept").stdout.splitlines()
    assert any(line.startswith("query latency") and line.endswith("MISSED") for line in lines), lines


def test_restarts_and_order(tmp_path):
    """A start in between is no loss and no gain, also when the counter has overtaken what it was; files may come in any order."""
    (tmp_path / "c").write_text(scrape(3, 2, 900, 1))
    (tmp_path / "a").write_text(scrape(1, 1, 100, 0))
    (tmp_path / "b").write_text(scrape(2, 1, 500, 5))
    told = json.loads(run(tmp_path / "c", tmp_path / "a", tmp_path / "b", "--json").stdout)
    availability = of(told, "availability")
    # 400 and 5, then 900, 3 and 1 since the start.
    assert (availability["events"], availability["bad"], told["window"]["restarts"]) == (400 + 5 + 900 + 3 + 1, 6, 1)


@pytest.mark.parametrize("text", ["", scrape(1, 1, 1, 1), "# scraped_at 1\ncontex_http_requests_total many\n" * 2, "no measures"])
def test_what_is_no_report(tmp_path, text):
    (tmp_path / "kept").write_text(text)
    done = run(tmp_path / "kept")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("slo: "), done
    assert run().returncode == 2 and run("http://127.0.0.1:9", "--seconds", "0").returncode == 2


def test_objectives_are_those_of_the_document_and_the_alerts():
    rows = re.findall(r"(?m)^\| ([a-z ]+) \| (.+?) \| ([\d.]+) % \| `(\w+)` \|$", (CHECKOUT / "docs/slo.md").read_text())
    objectives = slo().OBJECTIVES
    assert [(name, float(share)) for name, _, share, _ in rows] == [(one.name, pytest.approx(100 * one.share)) for one in objectives]
    for (_, good, _, family), one in zip(rows, objectives):
        assert {name for name, _ in (*one.total, *one.good, *one.bad)} <= {family, family + "_count", family + "_bucket"}
        for _, labels in one.good:
            if "le" in labels:
                assert f"within {float(labels['le'].replace(chr(92), '')) * 1_000:.0f} ms" in good
    alerts = (RULES / "alerts.yml").read_text()
    for words in ("14.4 * 0.001", "6 * 0.001", "p95_5m > 0.05", "p95_5m > 0.1", "success:ratio_rate1h < 0.95"):
        assert words in alerts


def used(server):
    for number in range(30):
        server.publish("shop", f"k{number}", {"a": str(number % 3)})
        server.query("shop", f"question {number % 3}")
    server.register("shop", "agent", ["a"])


def test_a_real_server(tmp_path):
    with watched() as server:
        measures, kept = f"http://127.0.0.1:{server.metrics_port}", tmp_path / "kept"
        assert run("--record", kept, measures).returncode == 0
        used(server)
        server.call("GET", "/api/v1/no/such/path")
        server.stop()
        server.start()
        assert run("--record", kept, measures).returncode == 0
        used(server)
        assert run("--record", kept, measures).returncode == 0
        assert kept.stat().st_size < 100_000
        told = json.loads(run(kept, "--json").stdout)
        assert told["window"] | {"from": 0, "to": 0, "seconds": 0} == {"from": 0, "to": 0, "seconds": 0, "scrapes": 3, "restarts": 1}
        # What came between a look and the stop is not known to anybody; the second 30 are.
        assert of(told, "query latency")["events"] == 30 and of(told, "freshness")["events"] == 30 and of(told, "registration latency")["events"] == 1
        assert of(told, "availability")["events"] >= 61 and of(told, "availability")["bad"] == 0
        # The bounds are among those of the histograms: else all would be bad.
        with open(kept) as file:
            bounds = set(re.findall(r'contex_(\w+)_duration_seconds_bucket\{.*le="([\d.]+)"', file.read()))
        assert {("query", "0.05"), ("publish", "0.1"), ("registration", "0.25")} <= bounds
        live = json.loads(run(measures, "--seconds", "0.2", "--json").stdout)
        assert of(live, "query latency")["share"] is None


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not there (Debian: prometheus)")
def test_a_real_prometheus():
    with watched() as server, Watch(server.metrics_port) as watch:
        # What a counter has at the first look was there before it: the samples must be there first.
        used(server)
        watch.until(lambda: watch.value('sum(contex_query_duration_seconds_count)') == 30, 20, "no first look")
        used(server)
        watch.until(lambda: watch.value('sum(contex_query_duration_seconds_count)') == 60, 20, "no second look")
        told = json.loads(run("--prometheus", f"http://127.0.0.1:{watch.port}", "--days", "0.01", "--json").stdout)
        # 30 between the looks; with so few of them `increase` reckons far beyond the first and the last, which is Prometheus' own matter.
        assert 29 <= of(told, "query latency")["events"] <= 30 * 20
        assert of(told, "registration latency")["events"] < of(told, "freshness")["events"]
        assert of(told, "availability")["bad"] == 0 and of(told, "availability")["met"] is True
        assert run("--prometheus", f"http://127.0.0.1:{watch.port}", "--days", "0.01", "--match", 'instance="none"').stdout.count("nothing happened") == 5
