"""Retention, data that ends, erasure and compaction on the real process."""
import datetime
import hashlib
import os
import random
import threading
import time

import pytest

from conftest import ROOT_KEY
from support import Connection, Server, contex, unique

ROOT = {"X-API-Key": ROOT_KEY}


def codes(answer):
    return answer.status, answer.headers["X-Contex-Error"]


@pytest.mark.parametrize("base", ["/api/v1", "/api"])
def test_the_originals_routes(server, base):
    project = unique("kept")
    for number in range(6):
        server.publish(project, f"k{number % 2}", {"n": number})
    status = server.call("GET", f"{base}/admin/retention/{project}").json
    assert {key: status[key] for key in ("project_id", "event_count", "retention_config")} == {
        "project_id": project, "event_count": 6,
        "retention_config": {"events_ttl_days": 30, "agent_inactive_days": 7, "max_events_per_project": 10000}}
    assert datetime.datetime.fromisoformat(status["oldest_event"]) <= datetime.datetime.fromisoformat(status["newest_event"])
    # By default nothing is old enough, and nothing too many.
    assert server.call("POST", f"{base}/admin/cleanup/{project}").json == {
        "status": "success", "stats": {"project_id": project, "events_cleaned_by_age": 0, "events_trimmed": 0}}
    answer = server.call("PUT", f"{base}/admin/retention/{project}", {"max_events_per_project": 2})
    assert answer.status == 200 and answer.json["retention_config"]["max_events_per_project"] == 2
    assert answer.json["own_config"] == {"events_ttl_days": None, "agent_inactive_days": None, "max_events_per_project": 2}
    dry = server.call("POST", f"{base}/admin/cleanup/{project}?dry_run=true").json["stats"]
    assert dry == {"project_id": project, "events_cleaned_by_age": 0, "events_trimmed": 4, "dry_run": True}
    stats = server.call("POST", f"{base}/admin/cleanup").json
    assert stats["status"] == "success" and set(stats["stats"]) == {
        "projects_processed", "total_events_cleaned_by_age", "total_events_trimmed", "agents_cleaned"}
    assert stats["stats"]["total_events_trimmed"] >= 4
    assert server.call("GET", f"{base}/admin/retention/{project}").json["event_count"] == 2
    assert [event["sequence"] for event in server.events(project)] == ["5", "6"]
    # What is live has its data, and the numbers go on.
    assert server.call("GET", f"/api/v1/projects/{project}/data/k0").json["data"] == {"n": 4}
    assert server.publish(project, "k2", 1)["sequence"] == "7"
    # What lies before the horizon is refused by name.
    for path in (f"/projects/{project}/data?as_of=3", f"/projects/{project}/events?since=2"):
        refused = server.call("GET", "/api/v1" + path)
        assert codes(refused) == (410, "history_trimmed") and "event 5" in refused.body.decode(), refused
    assert server.call("GET", f"/api/v1/versions/projects/{project}/data/k0/diff?from_sequence=1&to_sequence=5").status == 410
    unknown = server.call("GET", f"{base}/admin/retention/{unique('none')}").json
    assert unknown["event_count"] == 0 and unknown["oldest_event"] is None
    assert server.call("POST", f"{base}/admin/cleanup/{unique('none')}").status == 404


def test_the_command_line(server):
    project = unique("line")
    for number in range(5):
        server.publish(project, "k", {"n": number})
    assert contex("retention", "set", project, "--events", "3", "--server", server.url).returncode == 0
    assert "would go: 0 events by age, 2 by count" in contex("retention", "run", project, "--dry-run", "--server", server.url).stdout
    assert "gone: 0 events by age, 2 by count" in contex("retention", "run", project, "--server", server.url).stdout
    shown = contex("retention", "show", project, "--server", server.url).stdout
    assert "3 events" in shown and "after event 2" in shown and "the project's own" in shown
    assert contex("retention", "set", project, "--events", "-1", "--server", server.url).returncode == 2


def test_the_servers_rule_and_schedule_are_settings():
    with Server(environment={"RETENTION_MAX_EVENTS_PER_PROJECT": "4", "RETENTION_EVENTS_TTL_DAYS": "9", "CONTEX_RETENTION": "on"}) as server:
        server.publish("p", "k", 1)
        config = server.call("GET", "/api/v1/admin/retention/p").json["retention_config"]
        assert config == {"events_ttl_days": 9, "agent_inactive_days": 7, "max_events_per_project": 4}


def test_data_ends_by_itself(server):
    project = unique("ends")
    server.register(project, "a", ["lion"])
    answer = server.call("POST", "/api/v1/batch/publish", [
        {"project_id": project, "data_key": "short", "data": "a lion for a second", "ttl_seconds": 1},
        {"project_id": project, "data_key": "ever", "data": "a lion for ever"}])
    assert answer.json["successful"] == 2, answer
    held = server.call("GET", f"/api/v1/projects/{project}/data/short").json
    assert datetime.datetime.fromisoformat(held["expires_at"]) > datetime.datetime.fromisoformat(held["timestamp"])
    time.sleep(1.1)
    assert server.call("GET", f"/api/v1/projects/{project}/data/short").status == 404
    keys = server.call("GET", f"/api/v1/projects/{project}/data?include_content=false").json["data_keys"]
    assert keys == ["ever"]
    assert [match["data_key"] for match in server.query(project, "lion")["matches"]] == ["ever.root"] or len(server.query(project, "lion")["matches"]) == 1
    deadline = time.time() + 10
    while server.events(project)[-1]["event_type"] != "short_deleted" and time.time() < deadline:
        time.sleep(0.1)
    assert server.events(project)[-1]["event_type"] == "short_deleted"
    # A publish without an end takes it away; both, and the past, are refused.
    server.publish(project, "again", "x", ttl_seconds=1)
    server.publish(project, "again", "x")
    time.sleep(2.5)
    assert server.call("GET", f"/api/v1/projects/{project}/data/again").status == 200
    body = {"project_id": project, "data_key": "k", "data": 1}
    for more in ({"ttl_seconds": 5, "expires_at": "2999-01-01T00:00:00Z"}, {"expires_at": "2001-01-01T00:00:00Z"}, {"ttl_seconds": 0}, {"expires_at": "soon"}):
        assert server.call("POST", "/api/v1/data/publish", {**body, **more}).status == 422, more
    server.publish(project, "k", 1, expires_at="2999-01-01T00:00:00Z")


def test_erasure_has_a_receipt_and_an_audit_record(guarded):
    project = unique("erased")
    mark = unique("markedtext")

    def call(method, path, body=None):
        return guarded.call(method, path, body, headers=ROOT)

    for number in range(3):
        assert call("POST", "/api/v1/data/publish", {"project_id": project, "data_key": "k", "data": f"{mark} {number}"}).status == 200
        assert call("POST", "/api/v1/data/publish", {"project_id": project, "data_key": "other", "data": number}).status == 200
    assert call("DELETE", f"/api/v1/projects/{project}/data/none?history=erase").status == 404
    receipt = call("DELETE", f"/api/v1/projects/{project}/data/k?history=erase").json["receipt"]
    assert (receipt["project_id"], receipt["data_key"], receipt["events"], receipt["versions"]) == (project, "k", "3", "3")
    assert hashlib.sha256(bytes.fromhex(receipt["public_key"])).hexdigest() == receipt["key_fingerprint"]
    assert len(receipt["signature"]) == 128
    assert call("GET", f"/api/v1/projects/{project}/data/k").status == 404
    assert mark not in call("GET", f"/api/v1/projects/{project}/events?count=100").body.decode()
    assert call("GET", f"/api/v1/versions/projects/{project}/data/k/history").json["count"] == 0
    # The whole project only with its name once more, and only for those who may.
    assert call("DELETE", f"/api/v1/projects/{project}").status == 422
    assert call("DELETE", f"/api/v1/projects/{project}?confirm=other").status == 422
    key = call("POST", "/api/v1/auth/keys?name=publisher").json
    assert call("POST", f"/api/v1/auth/roles?key_id={key['key_id']}&role=publisher").status == 200
    mine = {"X-API-Key": key["api_key"]}
    assert guarded.call("DELETE", f"/api/v1/projects/{project}?confirm={project}", headers=mine).status == 403
    assert guarded.call("DELETE", f"/api/v1/projects/{project}/data/other?history=erase", headers=mine).status == 403
    whole = call("DELETE", f"/api/v1/projects/{project}?confirm={project}").json["receipt"]
    assert int(whole["records"]) > 10 and int(whole["position"]) > int(receipt["position"])
    assert project not in [entry["project_id"] for entry in call("GET", "/api/v1/projects").json["projects"]]
    records = call("GET", "/api/v1/audit/events?limit=1000").json["events"]
    assert any(receipt["signature"] in str(record) for record in records)


def hits(path, mark):
    with open(path, "rb") as file:
        data = file.read()
    return sum(data.count(text) for text in (mark.encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be")))


def test_nothing_is_left_in_the_file_after_compact(tmp_path):
    mark, kept = unique("markedtext"), unique("kepttext")
    with Server(environment={"CONTEX_JOURNAL": "keep:7d"}) as server:
        for number in range(20):
            server.publish("p", "k", {"text": f"{mark} {number} " * 40})
            server.publish("p", "other", {"text": f"{kept} {number} " * 40})
            server.publish("q", f"k{number}", {"text": f"{mark} {number} " * 40})
        server.register("q", "a", [f"{mark} of the river"])
        data = os.path.join(server.data_dir, "store/data.mdb")
        assert hits(data, mark) > 0
        assert server.call("DELETE", "/api/v1/projects/p/data/k?history=erase").status == 200
        assert server.call("DELETE", "/api/v1/projects/q?confirm=q").status == 200
        # Beside the running server.
        copy = tmp_path / "copy"
        done = contex("compact", "--data-dir", server.data_dir, "--to", str(copy))
        assert done.returncode == 0, done
        assert hits(copy / "store/data.mdb", mark) == 0 and hits(copy / "store/data.mdb", kept) > 0
        assert contex("check", "--data-dir", str(copy)).returncode == 0
        # Not in place while it serves.
        assert contex("compact", "--data-dir", server.data_dir).returncode == 4
        server.stop()
        assert contex("compact", "--data-dir", server.data_dir).returncode == 0
        assert hits(data, mark) == 0 and hits(data, kept) > 0
        server.start()
        assert server.call("GET", "/api/v1/projects/p/data/other").status == 200
        assert server.publish("p", "k", "fresh")["sequence"]
        server.stop()
        assert contex("check", "--data-dir", server.data_dir).returncode == 0


def test_killed_while_it_trims_and_erases():
    """kill -9 at a random moment of a trim or an erasure: the store is whole, and what was begun is finished after the next start."""
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    chance = random.Random(seed)
    with Server(environment={"CONTEX_JOURNAL": "keep:7d"}) as server:
        for number in range(int(os.environ.get("CONTEX_RETENTION_ROUNDS") or 8)):
            marks = [f"m{chance.getrandbits(48):x}" for _ in range(2)]
            items = [{"project_id": "p", "data_key": "live", "data": "always here"}]
            items += [{"project_id": "p", "data_key": f"k{n % 40}", "data": {"n": n, "mark": marks[0]}} for n in range(240)]
            items += [{"project_id": "q", "data_key": f"k{n}", "data": {"n": n, "mark": marks[1]}} for n in range(120)]
            assert server.call("POST", "/api/v1/batch/publish", items).json["failed"] == 0
            assert server.call("PUT", "/api/v1/admin/retention/p", {"max_events_per_project": chance.randrange(5, 100)}).status == 200

            def work():
                connection = Connection(server.http_port)
                try:
                    for method, path in [("POST", "/api/v1/admin/cleanup/p"), ("DELETE", "/api/v1/projects/p/data/k7?history=erase"),
                                         ("DELETE", "/api/v1/projects/q?confirm=q")]:
                        connection.call(method, path)
                except (OSError, Exception):  # noqa: B014 - cut off
                    pass

            worker = threading.Thread(target=work)
            worker.start()
            time.sleep(chance.random() * 0.25)
            server.kill()
            worker.join()
            checked = contex("check", "--data-dir", server.data_dir)
            assert checked.returncode == 0, f"round {number}: {checked.stdout}"
            server.start()
            assert server.call("GET", "/api/v1/projects/p/data/live").json["data"] == "always here"
            for method, path in [("POST", "/api/v1/admin/cleanup/p"), ("DELETE", "/api/v1/projects/p/data/k7?history=erase"),
                                 ("DELETE", "/api/v1/projects/q?confirm=q")]:
                deadline = time.time() + 10
                while (answer := server.call(method, path)).status not in (200, 404) and time.time() < deadline:
                    time.sleep(0.05)
                assert answer.status in (200, 404), answer
            deadline = time.time() + 10
            while '"q"' in server.call("GET", "/api/v1/projects").body.decode() and time.time() < deadline:
                time.sleep(0.05)
            assert server.call("GET", "/api/v1/projects/p/data/k7").status == 404
            events = server.events("p")
            assert all("k7" not in event["data"] for event in events)
            numbers = [int(event["sequence"]) for event in events]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        server.stop()
        assert contex("check", "--data-dir", server.data_dir).returncode == 0
        assert contex("compact", "--data-dir", server.data_dir).returncode == 0
        assert hits(os.path.join(server.data_dir, "store/data.mdb"), marks[1]) == 0
