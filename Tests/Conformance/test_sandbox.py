"""The sandbox as curl sees it: http-api.md section 3, with real data."""
import json
import subprocess
import time


def publish(server, key):
    body = {"project_id": "p", "data_key": key, "data": {"text": f"zebra crossing {key}"}}
    return server.call("POST", "/api/v1/data/publish", body)


def test_the_sandbox_with_curl(fresh):
    stream = subprocess.Popen(
        ["curl", "-sN", "-G", f"{fresh.url}/sandbox/subscribe", "--data-urlencode", "project_id=p", "--data-urlencode", 'data_needs=["zebra crossing"]',
         "--data-urlencode", "session_id=visitor"], stdout=subprocess.PIPE)
    events = (json.loads(line[6:]) for line in stream.stdout if line.startswith(b"data: "))
    assert next(events) == {"type": "initial_context", "message": "Subscribed to p", "matched_needs": {"zebra crossing": 0}}
    assert publish(fresh, "k").status == 200
    assert next(events) == {"type": "data_update", "data_key": "k", "sequence": "1", "data": {"text": "zebra crossing k"}}
    assert fresh.call("GET", "/api/v1/agents").json["agents"] == ["visitor"]
    stream.kill()
    stream.wait()
    deadline = time.monotonic() + 20
    while fresh.call("GET", "/api/v1/agents").json["agents"]:
        assert time.monotonic() < deadline, "the agent of a visit that ended is still there"
        time.sleep(0.05)
    found = subprocess.run(["curl", "-s", f"{fresh.url}/sandbox/query", "--data-urlencode", "project_id=p", "--data-urlencode", "query=zebra"],
                           capture_output=True, text=True, check=True).stdout
    assert "Results for &quot;zebra&quot;" in found and "k.root" in found
