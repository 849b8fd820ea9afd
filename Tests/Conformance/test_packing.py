"""Answers within a budget of tokens, many queries at once, and why a key is no match."""
from support import unique


def call(server, path, body):
    answer = server.call("POST", path, body)
    assert answer.status == 200, answer
    return answer.json


def fill(server, project):
    for number in range(30):
        text = f"Step {number} of the deployment. " + "The shop is deployed by hand on every second Friday. " * (5 + number)
        server.publish(project, f"step{number}", {"text": text, "number": number})
    server.publish(project, "rules", {"lunch": "soup"})


def test_budget(server):
    project = unique("packing")
    fill(server, project)
    query = {"query": "how is the shop deployed", "top_k": 50, "threshold": 0, "max_tokens": 2000, "pinned": ["rules"], "response_format": "json"}
    answer = call(server, f"/api/v1/projects/{project}/query", query)
    packing, matches = answer["packing"], answer["matches"]
    assert sum(match["tokens"] for match in matches) == packing["tokens"] <= 2000
    # ASCII data: json.dumps has a blank after each comma and colon, so it is never the smaller one.
    assert all(match["tokens"] <= match["token_count"] for match in matches)
    assert matches[0]["data_key"] == "rules.root" and matches[0]["pinned"] is True
    assert packing["truncated"] and packing["omitted"] == len(packing["omitted_keys"]) == 31 - len(matches)
    toon = call(server, "/api/v1/batch/query", [{**query, "project_id": project, "response_format": "toon"}])["results"][0]
    assert toon["total_matches"] >= len(matches) and toon["content"].startswith("query: how is the shop deployed\n")


def test_batch_is_of_one_moment_and_fails_by_item(server):
    project = unique("batch")
    fill(server, project)
    items = [{"project_id": project, "query": f"step {number}", "top_k": 3, "threshold": 0} for number in range(50)]
    answer = call(server, "/api/v1/batch/query", items + [{"project_id": project, "query": "q", "query_vector": [1, 2]}])
    assert (answer["total"], answer["successful"], answer["failed"]) == (51, 50, 1)
    for item, result in zip(items, answer["results"]):
        single = call(server, f"/api/v1/projects/{project}/query", {**item, "response_format": "json"})
        assert result["matches"] == single["matches"]
    assert "2 numbers" in answer["results"][-1]["error"]


def test_why_not(server):
    project = unique("why")
    fill(server, project)
    # Thirty texts that all say so: none of them stands out much.
    query = {"query": "how is the shop deployed", "top_k": 2, "threshold": 0.1, "explain_keys": ["rules", "step3", "nowhere"], "response_format": "json"}
    explained = call(server, f"/api/v1/projects/{project}/query", query)["explained"]
    assert [entry["outcome"] for entry in explained][0::2] == ["below_threshold", "not_there"]
    assert explained[0]["explanation"]["similarity"] < 0.1 <= explained[1]["explanation"]["similarity"]
