"""An agent that makes a document of every document it needs, once, whatever is killed when.

Three things do it. `listen` tells again what was not dealt with. What is made of a document has a key that follows from the document's, so there is
one of it. And it says which event of the document it was made from: what is there already is not made again, so a model is not asked twice.
"""
import sys
import time
from typing import Any, Callable

import httpx
from contex_client import Contex, ContexError, NotFoundError, Project


def make_each(team: Project, name: str, need: str, source: str, product: str, make: Callable[[Project, str, Any], dict[str, Any]]) -> None:
    """Registers, catches up with what is there, and listens, for ever. `source` and `product` are what the keys begin with."""

    def handle(key: str) -> None:
        made = product + key.removeprefix(source)
        try:
            document = team.get(key)
        except NotFoundError:
            return  # it is gone again
        try:
            if team.get(made).data["made_from"] == document.sequence:
                return
        except NotFoundError:
            pass
        team.publish(made, {**make(team, key, document.data), "of": key, "made_from": document.sequence})

    agent = team.agent(name)
    try:
        team.get(f"ready/{name}")
    except NotFoundError:
        # Once: from here on it is told; what was there before is asked for. Killed in between, it begins again.
        agent.register([need], mode="keyword", filter={"data_key": {"prefix": source}})
        for match in team.matches(need, mode="keyword", threshold=0, filter={"data_key": {"prefix": source}}):
            handle(match.data_key.removesuffix(".root"))
        team.publish(f"ready/{name}", {"ready": name})
    for update in agent.listen():
        if not update.is_deletion:
            handle(update.data_key)


def for_ever(name: str, work: Callable[[Project], None]) -> None:
    """Again after whatever passes: a server that is started anew, a model that does not answer. A work that is done ends it."""
    while True:
        try:
            with Contex(attempts=8) as contex:
                return work(contex.project("team"))
        except (ContexError, httpx.HTTPError) as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            time.sleep(0.2)
