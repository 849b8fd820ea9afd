"""What was acknowledged is there after a stop and after a kill: same answers, agents still registered, next update delivered."""
import json

import pytest

from support import MODEL, contex, free_port, unique
from test_notifications import SyncSubscriber, payload

DOCUMENTS = {
    "tech": {"backend": "Python FastAPI", "db": "PostgreSQL"},
    "style": {"indent": "four spaces", "quotes": "double"},
    "guide": "# Deploying\n\nPush to the main branch. The pipeline builds an image and rolls it out.\n\n## Rolling back\n\nTag the old image.",
    "people": "name,role\nAda,programmer\nGrace,admiral\n",
    "limits": {"requests": {"per_minute": 100}, "body": {"megabytes": 10}},
}
QUESTIONS = ["which database is used", "how to roll back a deployment", "who is the admiral", "how many requests per minute", "quotes"]


def answers(server, project):
    return [server.call("POST", f"/api/v1/projects/{project}/query",
                        {"query": text, "threshold": 0, "top_k": 10, "mode": mode, "response_format": form}).body
            for text in QUESTIONS for mode in ("hybrid", "semantic", "keyword") for form in ("json", "toon")]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_restart(fresh, project, end):
    agent, need = unique("agent"), "backend: Python FastAPI | db: PostgreSQL"
    for key, data in DOCUMENTS.items():
        fresh.publish(project, key, data)
    registered = fresh.register(project, agent, [need])
    before = (answers(fresh, project), fresh.events(project), fresh.call("GET", f"/api/v1/projects/{project}/data").body,
              fresh.call("GET", f"/api/v1/agents/{agent}").json)
    assert registered["matched_needs"][need] >= 1

    if end == "stop":
        assert fresh.stop() == 0, fresh.log_tail()
    else:
        fresh.kill()
    checked = contex("check", "--data-dir", fresh.data_dir)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    fresh.start()
    after = (answers(fresh, project), fresh.events(project), fresh.call("GET", f"/api/v1/projects/{project}/data").body,
             fresh.call("GET", f"/api/v1/agents/{agent}").json)
    assert after == before
    subscriber = SyncSubscriber(fresh.resp_port, 3)
    try:
        channel = f"agent:{agent}:updates"
        subscriber.subscribe(channel)
        changed = {**DOCUMENTS["tech"], "cache": "Redis"}
        assert fresh.publish(project, "tech", changed, data_format="json")["sequence"] == str(len(DOCUMENTS) + 1)
        update = json.loads(payload(subscriber.next(), channel))
        assert update == {"type": "data_update", "sequence": "6", "data_key": "tech", "format": "json", "data": changed}
    finally:
        subscriber.close()


def test_second_server_on_the_same_data_is_refused(fresh):
    second = contex("serve", "--data-dir", fresh.data_dir, "--http-port", str(free_port()), "--resp-port", "off", "--wire-port", "off",
                    "--model-dir", MODEL, timeout=30)
    assert second.returncode != 0
    assert fresh.data_dir in second.stderr + second.stdout
    assert fresh.call("GET", "/health").status == 200


def test_check_beside_a_running_server(fresh, project):
    fresh.publish(project, "tech", DOCUMENTS["tech"])
    checked = contex("check", "--data-dir", fresh.data_dir)
    assert checked.returncode == 0, checked.stdout + checked.stderr
