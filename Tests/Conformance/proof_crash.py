"""kill -9 under load on the real process, round after round, on one data directory.

Threads publish (single and in batches, several projects), delete keys, register and remove agents. At a random moment the
process is killed; now and then also while it is starting. After each round `contex check` reads the dead store, the server
starts again on it, and everything that was acknowledged must be there:

* sequences 1, 2, 3... without a gap; at the sequence that an answer named stands the event that it acknowledged;
* no event that nobody asked for, and none twice: an unanswered request left either its whole event or nothing;
* each key's data is what its last acknowledged write left (or, when the kill cut a request off, what that would have left);
* each agent is registered or not, likewise, with its needs;
* its journal takes a second store forward to the same content hash.

Each thread owns its keys and agents, so the order of what happened to one of them is known.
"""
import argparse
import http.client
import os
import random
import shutil
import subprocess
import sys
import threading
import time

from support import Connection, Server, ServerFailed, contex

PROJECTS = ["crash-a", "crash-b", "crash-c"]
THREADS, KEYS, AGENTS = 6, 8, 4
WORDS = "login token retry queue index replica backup quota alert metric deploy branch schema cache socket".split()
ABSENT = None


class Failed(Exception):
    pass


class Model:
    """What must be there. One per worker thread; read by the verifier when the workers have ended."""

    def __init__(self, number):
        self.number = number
        self.keys = {}       # (project, key) -> data, or ABSENT
        self.agents = {}     # (project, agent) -> needs, or ABSENT
        self.acknowledged = {}  # (project, sequence) -> (key, data) of publishes
        self.pending = []    # the writes of the one request that was cut off: (project, key, data or ABSENT)
        self.pending_agent = None  # (project, agent, needs or ABSENT)
        self.requests = 0


class Worker(threading.Thread):
    def __init__(self, model, port, seed, stop):
        super().__init__(daemon=True)
        self.model, self.port, self.random, self.stop = model, port, random.Random(seed), stop
        self.problem = None

    def run(self):
        try:
            connection = Connection(self.port, timeout=60)
            while not self.stop.is_set():
                self.random.choices([self.publish, self.batch, self.delete, self.register, self.unregister],
                                    [60, 12, 10, 12, 6])[0](connection)
                self.model.requests += 1
        except (OSError, http.client.HTTPException):
            pass  # the kill; what was under way stays in `pending`
        except Exception as problem:
            self.problem = problem

    def expect(self, answer, status=200):
        if answer.status != status:
            raise Failed(f"expected {status}, got {answer!r}")
        return answer.json

    def document(self, nonce):
        return {"nonce": nonce, "text": " ".join(self.random.choices(WORDS, k=self.random.randint(3, 40)))}

    def write(self):
        nonce = f"{self.model.number}-{self.random.getrandbits(64):016x}"
        return self.random.choice(PROJECTS), f"key-{self.model.number}-{self.random.randrange(KEYS)}", self.document(nonce)

    def acknowledge(self, project, key, data, sequence):
        self.model.keys[project, key] = data
        if data is not ABSENT:
            if (project, int(sequence)) in self.model.acknowledged:
                raise Failed(f"sequence {sequence} of {project} was given twice")
            self.model.acknowledged[project, int(sequence)] = (key, data)

    def publish(self, connection):
        project, key, data = self.write()
        self.model.pending = [(project, key, data)]
        answer = self.expect(connection.call("POST", "/api/v1/data/publish", {"project_id": project, "data_key": key, "data": data}))
        self.acknowledge(project, key, data, answer["sequence"])
        self.model.pending = []

    def batch(self, connection):
        writes = list({(w[0], w[1]): w for w in (self.write() for _ in range(self.random.randint(1, 10)))}.values())
        self.model.pending = writes
        body = [{"project_id": p, "data_key": k, "data": d} for p, k, d in writes]
        answer = self.expect(connection.call("POST", "/api/v1/batch/publish", body))
        if answer["failed"]:
            raise Failed(f"a batch failed in part: {answer}")
        for (project, key, data), result in zip(writes, answer["results"], strict=True):
            self.acknowledge(project, key, data, result["sequence"])
        self.model.pending = []

    def delete(self, connection):
        present = [place for place, data in self.model.keys.items() if data is not ABSENT]
        if not present:
            return
        project, key = self.random.choice(present)
        self.model.pending = [(project, key, ABSENT)]
        self.expect(connection.call("DELETE", f"/api/v1/projects/{project}/data/{key}"))
        self.acknowledge(project, key, ABSENT, None)
        self.model.pending = []

    def register(self, connection):
        project, agent = self.random.choice(PROJECTS), f"agent-{self.model.number}-{self.random.randrange(AGENTS)}"
        if any(needs is not ABSENT for place, needs in self.model.agents.items() if place[1] == agent and place[0] != project):
            return  # ids are per project; the id-only routes would answer for the other one
        needs = [" ".join(self.random.choices(WORDS, k=3)) for _ in range(self.random.randint(0, 3))]
        self.model.pending_agent = (project, agent, needs)
        self.expect(connection.call("POST", "/api/v1/agents/register", {
            "agent_id": agent, "project_id": project, "data_needs": needs, "last_seen_sequence": "1000000000", "response_format": "json"}))
        self.model.agents[project, agent] = needs
        self.model.pending_agent = None

    def unregister(self, connection):
        present = [place for place, needs in self.model.agents.items() if needs is not ABSENT]
        if not present:
            return
        project, agent = self.random.choice(present)
        self.model.pending_agent = (project, agent, ABSENT)
        self.expect(connection.call("DELETE", f"/api/v1/agents/{agent}"))
        self.model.agents[project, agent] = ABSENT
        self.model.pending_agent = None


class Proof:
    def __init__(self, server, seed):
        self.server, self.random = server, random.Random(seed)
        self.models = [Model(number) for number in range(THREADS)]
        self.verified = dict.fromkeys(PROJECTS, 0)  # the last sequence read so far
        self.landed = set()  # nonces of unanswered publishes whose event is there

    def load(self, seconds):
        stop = threading.Event()
        workers = [Worker(m, self.server.http_port, self.random.getrandbits(64), stop) for m in self.models]
        for worker in workers:
            worker.start()
        time.sleep(seconds)
        self.server.kill()
        stop.set()
        for worker in workers:
            worker.join(90)
            if worker.problem:
                raise Failed(f"worker {worker.model.number}: {worker.problem!r}\n{self.server.log_tail()}")

    def check_store(self):
        started = time.perf_counter()
        result = contex("check", "--data-dir", self.server.data_dir)
        if result.returncode != 0:
            raise Failed(f"contex check ended with {result.returncode}:\n{result.stdout}{result.stderr}")
        self.check_replay()
        return time.perf_counter() - started

    def check_replay(self):
        """The journal of the dead store takes a second one forward, round after round, and both say the same, byte by byte."""
        follower = self.server.data_dir + ".replayed"
        for arguments in (("replay", "--from", self.server.data_dir, "--data-dir", follower), ("check", "--data-dir", follower)):
            result = contex(*arguments)
            # Killed before its first command the store has no journal.
            if result.returncode == 3 and "has no journal" in result.stderr:
                return
            if result.returncode != 0:
                raise Failed(f"contex {arguments[0]} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
        hashes = [contex("check", "--content-hash", "--data-dir", folder).stdout for folder in (self.server.data_dir, follower)]
        if hashes[0] != hashes[1] or len(hashes[0].strip()) != 64:
            raise Failed(f"the replayed store is another one: {hashes}")

    def verify_events(self):
        acknowledged, pending, self.landed = {}, {}, set()
        for model in self.models:
            acknowledged.update(model.acknowledged)
            for project, key, data in model.pending:
                if data is not ABSENT:
                    pending[data["nonce"]] = (project, key, data)
        for project in PROJECTS:
            last = self.verified[project]
            for event in self.server.events(project, since=last):
                sequence = int(event["sequence"])
                if sequence != last + 1:
                    raise Failed(f"{project}: after sequence {last} comes {sequence}")
                last = sequence
                key, data = next(iter(event["data"].items()), (None, None)) if event["data"] else (None, None)
                if (project, sequence) in acknowledged:
                    if acknowledged.pop((project, sequence)) != (key, data):
                        raise Failed(f"{project}: sequence {sequence} is not what was acknowledged: {event}")
                elif isinstance(data, dict) and "nonce" in data:
                    if pending.pop(data["nonce"], None) != (project, key, data):
                        raise Failed(f"{project}: sequence {sequence} is an event that nobody waits for, or is there twice: {event}")
                    self.landed.add(data["nonce"])
            self.verified[project] = last
        if acknowledged:
            raise Failed(f"{len(acknowledged)} acknowledged publishes are lost, for instance {next(iter(acknowledged.items()))}")
        for model in self.models:
            model.acknowledged = {}

    def verify_data(self):
        stored = {}
        for project in PROJECTS:
            answer = self.server.call("GET", f"/api/v1/projects/{project}/data")
            if answer.status != 200:
                raise Failed(f"data of {project}: {answer!r}")
            for node in answer.json:
                stored[project, node["data_key"].removesuffix(".root")] = node["data"]
        for model in self.models:
            allowed = {place: [data] for place, data in model.keys.items()}
            for project, key, data in model.pending:
                allowed.setdefault((project, key), [ABSENT]).append(data)
            for place, states in allowed.items():
                found = stored.pop(place, ABSENT)
                if found not in states:
                    raise Failed(f"{place} should be one of {states}, is {found}")
                model.keys[place] = found
            for project, key, data in model.pending:
                if data is not ABSENT and (data["nonce"] in self.landed) != (model.keys[project, key] == data):
                    raise Failed(f"half a publish: {(project, key, data)}; its event is there: {data['nonce'] in self.landed}")
            model.pending = []
        if stored:
            raise Failed(f"data that nobody published: {list(stored.items())[:3]}")

    def verify_agents(self):
        listed = set(self.server.call("GET", "/api/v1/agents").json["agents"])
        for model in self.models:
            allowed = {place: [needs] for place, needs in model.agents.items()}
            if model.pending_agent:
                project, agent, needs = model.pending_agent
                allowed.setdefault((project, agent), [ABSENT]).append(needs)
            by_agent = {}
            for (project, agent), states in allowed.items():
                by_agent.setdefault(agent, []).append((project, states))
            for agent, places in by_agent.items():
                answer = self.server.call("GET", f"/api/v1/agents/{agent}")
                found = (answer.json["project_id"], answer.json["needs"]) if answer.status == 200 else ABSENT
                if answer.status not in (200, 404) or (answer.status == 200) != (agent in listed):
                    raise Failed(f"agent {agent}: {answer!r}, listed: {agent in listed}")
                if found is ABSENT and any(ABSENT not in states for _, states in places):
                    raise Failed(f"agent {agent} is lost; allowed: {places}")
                if found is not ABSENT and not any(p == found[0] and found[1] in states for p, states in places):
                    raise Failed(f"agent {agent} is {found}; allowed: {places}")
                for project, _ in places:
                    model.agents[project, agent] = found[1] if found and found[0] == project else ABSENT
            model.pending_agent = None

    def verify_search(self):
        """One document of each project is found by its own words, in each mode."""
        for project in PROJECTS:
            present = [(key, data) for m in self.models for (p, key), data in m.keys.items() if p == project and data is not ABSENT]
            if not present:
                continue
            key, data = self.random.choice(sorted(present))
            text = f"nonce: {data['nonce']} | text: {data['text']}"
            for mode in ("hybrid", "semantic", "keyword"):
                matches = self.server.query(project, text, threshold=0, top_k=50, mode=mode)["matches"]
                if f"{key}.root" not in [match["data_key"] for match in matches]:
                    raise Failed(f"{project}: {key} is stored and not found with mode {mode}")


def run(rounds, seed, report=print):
    """Raises Failed. The seed gives the choices, not the moments: the machine's own timing differs from run to run."""
    server = Server(environment={"CONTEX_JOURNAL": "keep:64GiB"})
    proof = Proof(server, seed)
    slowest_start = checks = 0.0
    killed_starting = 0
    try:
        server.start()
        for number in range(1, rounds + 1):
            proof.load(proof.random.uniform(0.05, 1.5))
            if proof.random.random() < 0.2:  # and once more while it starts
                server.launch()
                time.sleep(proof.random.uniform(0, 0.4))
                server.kill()
                killed_starting += 1
            checks += proof.check_store()
            try:
                server.launch()
                slowest_start = max(slowest_start, server.wait_until_healthy())
            except ServerFailed as problem:
                raise Failed(f"no start after the kill: {problem}") from problem
            proof.verify_events()
            proof.verify_data()
            proof.verify_agents()
            proof.verify_search()
            if number % 10 == 0 or number == rounds:
                events, requests = sum(proof.verified.values()), sum(m.requests for m in proof.models)
                report(f"round {number}: {requests} requests, {events} events, {killed_starting} kills while starting; all there")
        proof.verified = dict.fromkeys(PROJECTS, 0)
        for project in PROJECTS:  # once more from the beginning: no gap anywhere
            sequences = [int(event["sequence"]) for event in server.events(project)]
            if sequences != list(range(1, len(sequences) + 1)):
                raise Failed(f"{project}: the log has gaps")
        if server.stop() != 0:
            raise Failed(f"SIGTERM: exit code {server.process.returncode}\n{server.log_tail()}")
        proof.check_store()
        return {"rounds": rounds, "seed": seed, "requests": sum(m.requests for m in proof.models), "kills while starting": killed_starting,
                "slowest start, s": round(slowest_start, 2), "mean check, s": round(checks / rounds, 2)}
    except Failed:
        kept = server.data_dir + ".failed"
        if server.process.poll() is None:
            server.kill()
        os.rename(server.data_dir, kept)
        server.own_folder = False
        report(f"the data directory is kept: {kept}, the log: {server.log_path}")
        raise
    finally:
        shutil.rmtree(server.data_dir + ".replayed", ignore_errors=True)
        server.close()


def main():
    parser = argparse.ArgumentParser(prog="tools/proof crash", description="kill -9 under load; nothing acknowledged may be lost")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().getrandbits(32)
    print(f"seed {seed} (tools/proof crash --rounds {arguments.rounds} --seed {seed})", flush=True)
    try:
        result = run(arguments.rounds, seed, lambda text: print(text, flush=True))
    except (Failed, ServerFailed, subprocess.TimeoutExpired) as problem:
        print(f"FAILED: {problem}", file=sys.stderr)
        return 1
    print("| " + " | ".join(result) + " |\n|" + "---|" * len(result) + "\n| " + " | ".join(map(str, result.values())) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
