"""A byte of one project's data turns on the disk: that project is refused at every door, the others go on, and a repair brings it back."""
import json
import os
import subprocess

import pytest

from support import BINARY, Server, unique


def turn(folder, marker):
    """Turns a bit of every copy of a text in the store's file, as a disk does. The server is stopped."""
    path = os.path.join(folder, "store", "data.mdb")
    with open(path, "r+b") as file:
        content = file.read()
        place, count = content.find(marker), 0
        while place >= 0:
            file.seek(place)
            file.write(bytes([content[place] ^ 0x01]))
            count += 1
            place = content.find(marker, place + 1)
    assert count, marker
    return count


def check(folder, *arguments):
    done = subprocess.run([BINARY, "check", "--data-dir", folder, "--json", *arguments], capture_output=True, text=True, timeout=180)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


def stored(server, project):
    """All that a project answers."""
    return {path: server.call("GET", f"/api/v1/projects/{project}/{path}").body for path in ("data", "events?count=1000", "settings")}


def code(answer):
    return answer.status, answer.headers.get("X-Contex-Error")


def refused(server, project, expected):
    assert code(server.call("GET", f"/api/v1/projects/{project}/data")) == expected
    assert code(server.call("GET", f"/api/v1/projects/{project}/events")) == expected
    assert code(server.call("POST", f"/api/v1/projects/{project}/query", {"query": "ferries"})) == expected
    publish = {"project_id": project, "data_key": "more", "data": "ferries"}
    assert code(server.call("POST", "/api/v1/data/publish", publish)) == expected
    batch = server.call("POST", "/api/v1/batch/publish", [publish, dict(publish, project_id="sound", data_key="k1")])
    results = batch.json["results"]
    assert [item.get("code") for item in results] == ["project_quarantined", None], batch.json


def test_a_damaged_project_is_kept_apart_and_mended(tmp_path):
    folder = str(tmp_path / "data")
    marker = unique("ferry").encode()
    with Server(folder) as server:
        for number in range(40):
            server.publish("hurt", f"k{number}", {"text": f"ferries and harbours {number}"})
            server.publish("sound", f"k{number}", {"text": f"owls and foxes {number}"})
        server.publish("hurt", "mark", {"text": marker.decode()})
        before = {project: stored(server, project) for project in ("hurt", "sound")}
        server.own_folder = False
    turn(folder, marker)
    exit_code, report = check(folder)
    assert exit_code == 1 and any("seal" in finding for finding in report["findings"]), report
    with Server(folder) as server:
        # Whoever meets it is told that data is damaged, and whose; from then on nobody is answered.
        met = server.call("GET", "/api/v1/projects/hurt/events?count=1000")
        assert code(met)[0] == 500 and code(met)[1] in ("data_damaged", "project_quarantined"), met
        refused(server, "hurt", (500, "project_quarantined"))
        assert stored(server, "sound")["settings"] == before["sound"]["settings"]
        found = server.call("POST", "/api/v1/projects/sound/query", {"query": "owls"})
        assert found.status == 200 and found.json["matches"]
        listed = {entry["project_id"]: entry.get("status") for entry in server.call("GET", "/api/v1/projects").json["projects"]}
        assert listed == {"hurt": "quarantined", "sound": None}
        health = server.call("GET", "/api/v1/health").json
        assert health["status"] == "degraded" and "hurt" in json.dumps(health) and "sound" not in health["components"]["integrity"]["message"], health
        looked = server.call("POST", "/api/v1/admin/check/hurt").json
        assert looked["status"] == "quarantined" and looked["findings"], looked
        assert server.call("POST", "/api/v1/admin/check/sound").json["status"] == "sound"
        metrics = server.call("GET", "/metrics").body.decode()
        assert "contex_quarantined_projects 1" in metrics
        server.own_folder = False
    # The log itself is hurt: a repair says so, and touches nothing of it.
    exit_code, report = check(folder, "--repair")
    assert exit_code == 1 and report["left"], report


@pytest.mark.parametrize("kind", [0x31, 0x41, 0x23])
def test_what_can_be_made_again_is(tmp_path, kind):
    """A vector, a posting and an entry of a key, each with a bit turned: after the repair every answer is the one of before."""
    folder = str(tmp_path / "data")
    with Server(folder) as server:
        for number in range(30):
            server.publish("hurt", f"k{number}", {"text": f"ferries and harbours {number} {'sea ' * (number % 7)}"})
        server.publish("sound", "k", {"text": "owls"})
        before = stored(server, "hurt")
        answer = server.call("POST", "/api/v1/projects/hurt/query", {"query": "ferries"}).json
        server.own_folder = False
    # The keys of a leaf are followed by their values: the seal's checksum begins two bytes behind.
    path = os.path.join(folder, "store", "data.mdb")
    with open(path, "r+b") as file:
        content = file.read()
        prefix = bytes([0, 0, 0, 1, 0, 0, 0, 1, kind])
        place, count = content.find(prefix), 0
        while place >= 0:
            # Node header before the key: two bytes of its length.
            length = int.from_bytes(content[place - 2:place], "little")
            flags = int.from_bytes(content[place - 4:place - 2], "little")
            if 9 <= length <= 60 and flags == 0:
                file.seek(place + length + 3)
                file.write(bytes([content[place + length + 3] ^ 0x10]))
                count += 1
            place = content.find(prefix, place + 1)
    if not count:
        pytest.skip(f"no record of kind {kind:#x} lies on a leaf")
    exit_code, report = check(folder)
    assert exit_code == 1, report
    exit_code, report = check(folder, "--repair")
    assert exit_code == 0 and report["mended"] and report["left"] == [] and os.path.exists(report["kept"]), report
    assert check(folder)[0] == 0
    with Server(folder) as server:
        assert stored(server, "hurt") == before
        after = server.call("POST", "/api/v1/projects/hurt/query", {"query": "ferries"}).json
        assert [match["data_key"] for match in after["matches"]] == [match["data_key"] for match in answer["matches"]]
        assert server.call("GET", "/api/v1/health").json["components"]["integrity"]["status"] == "healthy"
