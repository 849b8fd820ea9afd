"""Users that wait for answers, for locust (pip install locust==2.47.0): publishers, askers, and agents that register and wait for updates.

    locust -f tools/load/locustfile.py --headless --users 50 --spawn-rate 10 --run-time 1m --host http://localhost:8001

Each user asks when it has its answer, so a slow server is asked less: for latencies at a rate there is tools/load/open-loop. CONTEX_API_KEY is the key.
"""
import os
import random
import uuid

from locust import HttpUser, between, task

WORDS = "order payment login token invoice customer refund stock price search index queue worker deploy release report export mail".split()
PROJECTS = [f"load-{number}" for number in range(3)]


def text(count):
    return " ".join(random.choices(WORDS, k=count))


class ContexUser(HttpUser):
    abstract = True
    wait_time = between(0.1, 0.5)

    def on_start(self):
        self.project = random.choice(PROJECTS)
        if key := os.environ.get("CONTEX_API_KEY"):
            self.client.headers["X-API-Key"] = key


class Publisher(ContexUser):
    weight = 2

    @task(9)
    def publish(self):
        self.client.post("/api/v1/data/publish", name="publish", json={
            "project_id": self.project, "data_key": f"doc-{random.randrange(2_000)}", "data": {"text": text(40)}})

    @task(1)
    def publish_batch(self):
        self.client.post("/api/v1/batch/publish", name="publish a batch of 20", json=[
            {"project_id": self.project, "data_key": f"doc-{random.randrange(2_000)}", "data": {"text": text(40)}} for _ in range(20)])


class Asker(ContexUser):
    weight = 7

    @task(4)
    def ask(self):
        self.client.post(f"/api/v1/projects/{self.project}/query", name="query", json={"query": text(8), "response_format": "json"})

    @task(1)
    def ask_within_a_budget(self):
        self.client.post(f"/api/v1/projects/{self.project}/query", name="query with a budget", json={
            "query": text(8), "max_tokens": 1_000, "response_format": "json"})


class Agent(ContexUser):
    """Registers, waits for what concerns it, acknowledges."""
    weight = 1

    def on_start(self):
        super().on_start()
        self.agent, self.cursor = f"locust-{uuid.uuid4().hex[:10]}", None
        self.client.post("/api/v1/agents/register", name="register", json={
            "agent_id": self.agent, "project_id": self.project, "data_needs": [text(5)], "min_similarity": 0.3, "response_format": "json"})

    @task
    def wait_for_updates(self):
        path = f"/api/v1/agents/{self.agent}/inbox?project_id={self.project}&wait=2" + (f"&cursor={self.cursor}" if self.cursor else "")
        answer = self.client.get(path, name="inbox, waiting up to 2 s")
        if answer.ok and answer.json()["entries"]:
            self.cursor = answer.json()["cursor"]
            self.client.post(f"/api/v1/agents/{self.agent}/inbox/ack?project_id={self.project}", name="acknowledge", json={"cursor": self.cursor})

    def on_stop(self):
        self.client.delete(f"/api/v1/agents/{self.agent}?project_id={self.project}", name="unregister")
