"""The three agents of tools/sdk/python/examples/team.py, each a process that is killed and started again at random, as is the server."""
import os
import random
import subprocess
import sys
import time

from support import CHECKOUT, Server

sys.path.insert(0, str(CHECKOUT / "tools/sdk/python/src"))

from contex_client import Contex  # noqa: E402

EXAMPLE = CHECKOUT / "tools/sdk/python/examples/team.py"
REQUESTS = 60


def test_a_team_that_is_killed_loses_nothing(tmp_path):
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    choice = random.Random(seed)
    with Server() as server, open(tmp_path / "log", "wb") as log:
        environment = {**os.environ, "CONTEX_URL": server.url, "PYTHONPATH": str(CHECKOUT / "tools/sdk/python/src")}

        def start(role):
            return subprocess.Popen([sys.executable, str(EXAMPLE), role, str(REQUESTS)], env=environment, stdout=log, stderr=log)
        agents = {role: start(role) for role in ("planner", "reviewer", "publisher")}
        kills = {"planner": 0, "reviewer": 0, "publisher": 0, "server": 0}
        wanted, deadline = {"planner": 4, "reviewer": 4, "publisher": 2, "server": 2}, time.monotonic() + 90
        try:
            with Contex(server.url, attempts=8) as contex:
                team = contex.project("team")
                while True:
                    assert time.monotonic() < deadline, (kills, (tmp_path / "log").read_text()[-3_000:])
                    time.sleep(choice.uniform(0.05, 0.4))
                    left = [name for name in kills if kills[name] < wanted[name]]
                    if left:
                        name = choice.choice(left)
                        kills[name] += 1
                        if name == "server":
                            server.kill()
                            server.start()
                        else:
                            agents[name].kill()
                            agents[name].wait()
                            agents[name] = start(name)
                        continue
                    keys = {node.data_key.removesuffix(".root") for node in team.nodes()}
                    if all(f"{kind}/{n}" in keys for kind in ("requests", "plans", "reviews") for n in range(REQUESTS)):
                        break
                assert len(keys) == 3 * REQUESTS + 4
                for n in range(REQUESTS):
                    made = team.get(f"reviews/{n}").data
                    assert made["of"] == f"plans/{n}" and f"report number {n};" in made["review"] and "frozen on Fridays" in made["review"]
                # Nothing was done twice: what is published again unchanged is no event.
                log_keys = [event.data_key for event in team.events()]
                assert len(log_keys) == len(set(log_keys)) == 3 * REQUESTS + 4
        finally:
            for agent in agents.values():
                agent.kill()
                agent.wait()
        print(kills)
