"""contex-move on exports in lines, into a real server. Chroma and Qdrant themselves are in tools/adapters/contex-move/tests."""
import contextlib
import gzip
import io
import json
import os
import random
import subprocess
import sys
import time

import pytest

from support import CHECKOUT, Server, unique

PATHS = [str(CHECKOUT / "tools/adapters/contex-move/src"), str(CHECKOUT / "tools/sdk/python/src")]
sys.path[:0] = PATHS

from contex_move.__main__ import main  # noqa: E402


def state(folder, arguments):
    return folder / f".contex-move-{arguments[arguments.index('--project') + 1]}.json"


def started(server, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "CONTEX_URL": server.url}
    return subprocess.Popen([sys.executable, "-m", "contex_move", *map(str, arguments)], cwd=folder, env=environment, stderr=subprocess.DEVNULL)


def run(server, folder, *arguments):
    """The same in this process: exit code, what it prints, what it complains of."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*map(str, arguments), "--url", server.url, "--state", str(state(folder, arguments))])
    return code, out.getvalue(), err.getvalue()


def moved(server, folder, *arguments):
    code, out, err = run(server, folder, *arguments, "--json", "--quiet")
    assert out, err
    return code, json.loads(out)


def written(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


SHAPES = {
    "pinecone": lambda n: {"id": f"r{n}", "values": [0.5] * 8, "metadata": {"text": f"what was said in meeting {n}", "room": n % 3}},
    "weaviate": lambda n: {"id": f"r{n}", "class": "Note", "properties": {"content": f"what was said in meeting {n}", "room": n % 3}, "vector": [0.5] * 8},
    "opensearch": lambda n: {"_index": "notes", "_id": f"r{n}", "_source": {"body": f"what was said in meeting {n}", "room": n % 3}},
    "flat": lambda n: {"id": f"r{n}", "embedding": "[0.5,0.25]", "text": f"what was said in meeting {n}", "room": n % 3},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(server, tmp_path, project, shape):
    path = written(tmp_path / "export", map(SHAPES[shape], range(30)))
    code, report = moved(server, tmp_path, "lines", path, "--project", project)
    assert code == 0 and report["complete"], report
    assert (report["counted"], report["read"], report["published"], report["documents"], report["compared"]) == (30, 30, 30, 30, 30)
    assert ("vectors; the server's model makes its own" in report["left_out"]) == (shape != "opensearch")
    document = server.call("GET", f"/api/v1/projects/{project}/data/r7").json
    assert document["data"] == {"text": "what was said in meeting 7"} and document["metadata"] == {"room": 1}
    found = server.query(project, "meeting 7", filter={"metadata.room": 1}, threshold=0.1)["matches"]
    assert found[0]["data"]["text"].endswith("meeting 7")
    assert not list(tmp_path.glob(".contex-move*")), "what is complete leaves no state"


def test_gzip_dry_run_and_a_project_that_is_not_empty(server, tmp_path, project):
    with gzip.open(tmp_path / "export.gz", "wt") as file:
        file.writelines(json.dumps(SHAPES["flat"](n)) + "\n" for n in range(5))
    code, report = moved(server, tmp_path, "lines", tmp_path / "export.gz", "--project", project, "--dry-run")
    assert code == 0 and report["read"] == 5 and report["dry_run"] and report["published"] == 0
    assert server.call("GET", f"/api/v1/projects/{project}/events").json["events"] == []
    server.publish(project, "mine", {"a": "b"})
    code, out, err = run(server, tmp_path, "lines", tmp_path / "export.gz", "--project", project)
    assert code == 1 and "has 1 documents" in err and not out
    code, report = moved(server, tmp_path, "lines", tmp_path / "export.gz", "--project", project, "--add", "--prefix", "old/")
    assert code == 0 and report["documents"] == 6 and report["documents_before"] == 1
    assert server.call("GET", f"/api/v1/projects/{project}/data/old%2Fr3").status == 200


def test_vectors_are_kept_or_told(server, tmp_path, project):
    lines = [{"id": "x", "text": "about x", "embedding": [1.0, 0.0, 0.0]}, {"id": "y", "text": "about y", "embedding": [0.0, 1.0, 0.0]},
             {"id": "z", "text": "about z", "embedding": [0.1] * 500}]
    code, report = moved(server, tmp_path, "lines", written(tmp_path / "e", lines), "--project", project, "--vectors")
    assert code == 0 and report["left_out"] == {"vectors of 500 numbers, over 384; the server's model makes its own": 1}
    answer = server.call("POST", f"/api/v1/projects/{project}/query", {
        "query_vector": [0.0, 1.0] + [0.0] * 382, "response_format": "json", "threshold": 0.9, "mode": "semantic"})
    assert [match["data"]["text"] for match in answer.json["matches"]] == ["about y"], answer


def test_what_is_refused_is_counted(server, tmp_path, project):
    lines = [SHAPES["flat"](n) for n in range(10)] + [{"id": "long" * 400, "text": "a key that is too long"}, {"id": "none", "room": 3}]
    code, report = moved(server, tmp_path, "lines", written(tmp_path / "e", lines), "--project", project)
    assert code == 1 and not report["complete"] and sum(report["refused"].values()) == 1 and report["published"] == 11, report
    assert report["without_text"] == 1
    assert server.call("GET", f"/api/v1/projects/{project}/data/none").json["data"] == {"room": 3}
    assert (tmp_path / f".contex-move-{project}.json").exists()


@pytest.mark.parametrize("text, what", [
    ("no json\n", "JSONDecodeError"), ('{"text": "no id"}\n', "KeyError"), ('{"id": "a"}\n{"id": "b", "text"', "ends at byte 30"), ('["a"]\n', "no object"),
    ('{"id": "a", "text": "x", "embedding": "[1,"}\n', "JSONDecodeError")])
def test_lines_that_cannot_be_read(server, tmp_path, project, text, what):
    (tmp_path / "e").write_text(text)
    code, out, err = run(server, tmp_path, "lines", tmp_path / "e", "--project", project)
    assert code == 1 and what in err and not out, err
    assert "there is no file" in run(server, tmp_path, "lines", tmp_path / "none", "--project", project)[2]


def test_a_move_that_is_killed_goes_on(tmp_path):
    """The program is killed at random, and so is the server; the same command goes on, and nothing is lost or there twice."""
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    chance, count, project = random.Random(seed), 3_000, unique("project")
    path = written(tmp_path / "export", ({"id": str(n), "text": f"entry number {n}", "embedding": [1.0, n / count]} for n in range(count)))
    command = ["lines", path, "--project", project, "--vectors"]
    with Server() as server:
        kills = 0
        for round_number in range(6):
            process = started(server, tmp_path, *command, "--quiet")
            time.sleep(chance.uniform(0.3, 1.2))
            if round_number == 2:
                server.kill()
                time.sleep(0.3)
                server.start()
                time.sleep(chance.uniform(0, 0.5))
            process.kill()
            kills += process.wait() != 0
        kept = state(tmp_path, command)
        print(f"{kills} of 6 runs were killed; {json.loads(kept.read_text())['report']['read'] if kept.exists() else 'all'} read")
        code, report = moved(server, tmp_path, *command, *([] if kept.exists() else ["--add"]))
        assert code == 0 or not report["resumed"], report
        assert server.call("GET", "/api/v1/projects").json["projects"][0]["documents"] == count
        events = server.events(project)
        assert len(events) == count, "what is sent twice is no event"
        kept.write_text(json.dumps({"mark": 3, "report": {"source": "lines elsewhere", "project": project}}))
        code, out, err = run(server, tmp_path, *command, "--add")
        assert code == 1 and "is of another move" in err
