"""Metadata that the original's client sends, and filters over it by plain HTTP."""
import json

import pytest
from contex import ContexClient

from support import Connection, unique


@pytest.fixture
def http(server):
    connection = Connection(server.http_port)
    yield connection
    connection.close()


def keys(http, project, filter, status=200):
    answer = http.call("POST", f"/api/v1/projects/{project}/query",
                       {"query": "the orders of the shop", "threshold": 0, "top_k": 50, "response_format": "json", "filter": filter})
    assert answer.status == status, answer
    if status != 200:
        return answer.json["detail"][0]
    return sorted({match["data_key"].split(".")[0] for match in answer.json["matches"]})


def test_metadata_of_the_client_is_filtered(server, project, http):
    client = ContexClient(url=server.url)
    for number in range(12):
        published = client.publish(project, f"k{number}", {"text": f"orders of shop {number}"},
                                   metadata={"team": ["core", "web", "ops"][number % 3], "size": number, "tags": ["x", f"t{number}"],
                                             "due": f"2026-01-{number + 1:02d}T12:00:00+02:00"})
        assert published == {"status": "published", "project_id": project, "data_key": f"k{number}", "sequence": str(number + 1)}
    client.publish(project, "plain", {"text": "orders of shop"})

    assert keys(http, project, {"metadata.team": "core"}) == ["k0", "k3", "k6", "k9"]
    assert keys(http, project, {"metadata.size": {"gte": 3, "lt": 6}}) == ["k3", "k4", "k5"]
    assert keys(http, project, {"metadata.tags": ["t2", "t7"]}) == ["k2", "k7"]
    assert keys(http, project, {"metadata.due": {"gt": "2026-01-10T10:00:00Z"}}) == ["k10", "k11"]
    assert keys(http, project, {"not": {"metadata.team": {"exists": True}}}) == ["plain"]
    assert keys(http, project, {"or": [{"data_key": "plain"}, {"metadata.team": "web", "metadata.size": {"lte": 4}}]}) == ["k1", "k4", "plain"]
    assert keys(http, project, {"data_key": {"prefix": "k1"}, "published_by": None}) == ["k1", "k10", "k11"]
    # The client reads such answers, with more in them than it knows.
    assert client.query(project, "orders of shop 3", max_results=3).matches
    # Publishing again with other metadata moves the key; deleting it takes it out.
    client.publish(project, "k0", {"text": "orders of shop 0"}, metadata={"team": "web"})
    assert keys(http, project, {"metadata.team": "core"}) == ["k3", "k6", "k9"]
    assert http.call("DELETE", f"/api/v1/projects/{project}/data/k3").status == 200
    assert keys(http, project, {"metadata.team": "core"}) == ["k6", "k9"]

    wrong = keys(http, project, {"and": [{}, {"metadata.x": {"gte": []}}]}, status=422)
    assert wrong["loc"] == ["body", "filter", "and", 1, "metadata.x", "gte"]
    assert "filter.and[1].metadata.x.gte" in wrong["msg"]
    deep = b'{"query":"x","filter":' + b'{"not":' * 1_000 + b"{}" + b"}" * 1_001
    answer = http.call("POST", f"/api/v1/projects/{project}/query", deep)
    assert answer.status == 422 and answer.json["detail"][0]["loc"][:2] == ["body", "filter"]


def test_filters_outlive_the_process(fresh):
    project = unique("project")
    client = ContexClient(url=fresh.url)
    client.publish(project, "a", {"text": "orders"}, metadata={"team": "core"})
    client.publish(project, "b", {"text": "orders"}, metadata={"team": "web"})
    fresh.kill()
    fresh.start()
    connection = Connection(fresh.http_port)
    assert keys(connection, project, {"metadata.team": "core"}) == ["a"]
    exported = connection.call("GET", f"/api/v1/projects/{project}/data?include_events=true&include_embeddings=true")
    assert [event["metadata"] for event in exported.json["data"]["events"]] == [{"team": "core"}, {"team": "web"}]
    copy = json.loads(exported.body)
    copy["project_id"] = project + "-copy"
    assert connection.call("POST", f"/api/v1/projects/{project}-copy/import", copy).status == 200
    assert keys(connection, project + "-copy", {"metadata.team": ["web"]}) == ["b"]
    connection.close()
