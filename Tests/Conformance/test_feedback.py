"""Needs that learn from what agents say of their deliveries: through the door, over a restart and a kill, and with input that is none."""
import concurrent.futures
import json
import math
import random
import subprocess

import support
from support import unique

NEED = "where the database is configured"
OFF_TOPIC = "the price of fish in Lisbon"


def deliveries(server, project, agent="a"):
    answer = server.call("GET", f"/api/v1/projects/{project}/agents/{agent}/inbox?explain=true&limit=100")
    assert answer.status == 200, answer
    return answer.json["entries"]


def judge(server, project, sequence, useful, agent="a", **more):
    return server.call("POST", f"/api/v1/projects/{project}/agents/{agent}/feedback", {"sequence": sequence, "useful": useful, **more})


def learned(server, project, agent="a"):
    return server.call("GET", f"/api/v1/projects/{project}/agents/{agent}").json.get("feedback", [])


def least(usual, shift):
    """As docs/needs.md has it."""
    return 1 / (1 + math.exp(-(math.log(usual / (1 - usual)) + shift)))


def texts(count):
    return [f"{'The database is configured in settings.yaml' if number % 2 else OFF_TOPIC}, note {number}" for number in range(count)]


def test_verdicts_move_the_cut_and_are_taken_back(server, project):
    for agent in "a", "b":
        server.register(project, agent, [NEED], min_similarity=0.05)
    for number, text in enumerate(texts(8)):
        server.publish(project, f"k{number}", {"text": text})
    before = deliveries(server, project)
    assert before and len(before) == len(deliveries(server, project, "b"))
    for entry in before:
        assert judge(server, project, entry["sequence"], False).status == 200
    [own] = learned(server, project)
    assert (own["judged"], own["useful"]) == (len(before), 0) and own["shift"] > 0
    assert abs(own["min_similarity"] - least(0.05, own["shift"])) < 1e-9
    assert learned(server, project, "b") == []
    # What comes now reaches the one by its own cut, and the other as before.
    reached = server.call("POST", f"/api/v1/projects/{project}/match", {"data": {"text": texts(2)[1]}}).json["agents"]
    cuts = {agent["agent_id"]: agent["matches"][0]["min_similarity"] for agent in reached}
    assert cuts == {"a": own["min_similarity"], "b": 0.05}
    for number, text in enumerate(texts(20)):
        server.publish(project, f"later{number}", {"text": text})
    later = {entry["data_key"]: entry["matches"][0]["similarity"] for entry in deliveries(server, project, "b") if entry["data_key"].startswith("later")}
    told = {entry["data_key"] for entry in deliveries(server, project) if entry["data_key"].startswith("later")}
    assert told == {key for key, similarity in later.items() if similarity >= own["min_similarity"]}
    undone = server.call("DELETE", f"/api/v1/projects/{project}/agents/a/feedback")
    assert undone.status == 200 and undone.json["changed"] == len(before)
    assert learned(server, project) == []
    reached = server.call("POST", f"/api/v1/projects/{project}/match", {"data": {"text": texts(2)[1]}}).json["agents"]
    assert {agent["matches"][0]["min_similarity"] for agent in reached} == {0.05}


def test_what_is_no_delivery_is_refused(server, project):
    server.register(project, "a", [NEED], min_similarity=0.05)
    server.register(project, "other", [OFF_TOPIC], min_similarity=0.9)
    server.publish(project, "k", {"text": texts(2)[1]})
    [entry] = deliveries(server, project)
    path = f"/api/v1/projects/{project}/agents/a/feedback"
    bodies = [b"", b"{", b"[]", b"7", b'{"sequence":1}', b'{"useful":true}', b'{"sequence":1e400,"useful":true}', b'{"sequence":1.5,"useful":true}',
              b'{"sequence":[1],"useful":true}', b'{"sequence":"\xff","useful":true}',
              b'{"sequence":1,"useful":2}', json.dumps({"sequence": 1, "useful": True, "need": "x" * 70_000}).encode(),
              json.dumps({"sequence": 1, "useful": True, "need": "a\0b"}).encode()]
    for body in bodies:
        answer = server.call("POST", path, body)
        assert answer.status in (400, 413, 422), (body[:80], answer)
        assert answer.headers["X-Contex-Error"], body[:80]
    for sequence in int(entry["sequence"]) + 1, 2**62, 2**63 - 1, 2**64:
        answer = judge(server, project, sequence, True)
        assert (answer.status, answer.headers["X-Contex-Error"]) == (404, "delivery_not_found"), answer
    assert judge(server, project, entry["sequence"], True, agent="other").headers["X-Contex-Error"] == "delivery_not_found"
    assert judge(server, project, entry["sequence"], True, agent="nobody").headers["X-Contex-Error"] == "agent_not_found"
    assert judge(server, "nowhere", entry["sequence"], True).headers["X-Contex-Error"] == "agent_not_found"
    assert judge(server, project, entry["sequence"], True, need="another").status == 422
    assert learned(server, project) == []
    # Of needs that another registration has replaced.
    server.register(project, "a", [NEED], min_similarity=0.05)
    answer = judge(server, project, entry["sequence"], True)
    assert answer.status == 409, answer
    # Of what is acknowledged.
    assert server.call("POST", f"/api/v1/projects/{project}/agents/a/inbox/ack", {"cursor": entry["cursor"]}).status == 200
    assert judge(server, project, entry["sequence"], True).headers["X-Contex-Error"] == "delivery_not_found"
    assert learned(server, project) == []


def test_what_was_learned_outlives_restart_and_kill(fresh):
    project = unique("project")
    fresh.register(project, "a", [NEED, OFF_TOPIC], min_similarity=0.05)
    for number, text in enumerate(texts(10)):
        fresh.publish(project, f"k{number}", {"text": text})
    entries = deliveries(fresh, project)
    rng, expected = random.Random(5), {}
    for turn in range(6):
        acknowledged = []
        for entry in rng.sample(entries, min(4, len(entries))):
            useful = rng.random() < 0.5
            answer = judge(fresh, project, entry["sequence"], useful)
            assert answer.status == 200, answer
            acknowledged.append(answer.json)
            expected[entry["sequence"]] = useful
        before = learned(fresh, project)
        # What was answered is on the disk, however the process ends.
        if turn % 2:
            assert fresh.stop() == 0
        else:
            fresh.kill()
        fresh.start()
        assert learned(fresh, project) == before
        for entry in deliveries(fresh, project):
            for match in entry["matches"]:
                assert match.get("useful") == expected.get(entry["sequence"])
    fresh.stop()
    checked = subprocess.run([support.BINARY, "check", "--data-dir", fresh.data_dir], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_many_judge_at_once(server, project):
    agents = [f"a{number}" for number in range(8)]
    for agent in agents:
        server.register(project, agent, [NEED], min_similarity=0.05)
    for number, text in enumerate(texts(6)):
        server.publish(project, f"k{number}", {"text": text})
    sequences = [entry["sequence"] for entry in deliveries(server, project, "a0")]

    def work(place):
        for sequence in sequences:
            assert judge(server, project, sequence, place % 2 == 0, agent=agents[place]).status == 200
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    for place, agent in enumerate(agents):
        [own] = learned(server, project, agent)
        assert (own["judged"], own["useful"]) == (len(sequences), len(sequences) if place % 2 == 0 else 0)


def test_the_command_line_judges(server, project):
    server.register(project, "a", [NEED], min_similarity=0.05)
    server.publish(project, "k", {"text": texts(2)[1]})
    [entry] = deliveries(server, project)

    def run(*arguments):
        return subprocess.run([support.BINARY, "agent", "feedback", "a", *arguments, "--project", project, "--server", server.url],
                              capture_output=True, text=True, check=False)
    noted = run(entry["sequence"], "--not-useful")
    assert noted.returncode == 0 and "0 of 1 useful" in noted.stdout, noted
    assert learned(server, project)[0]["judged"] == 1
    assert run("99", "--useful").returncode != 0 and run("--useful").returncode != 0 and run(entry["sequence"]).returncode != 0
    assert run("--forget").returncode == 0 and learned(server, project) == []
