"""Three agents that work together through Contex and know nothing of each other: requests become plans, plans become reviews.

    python team.py publisher 20 &    # publishes 20 feature requests
    python team.py planner &         # hears of requests, publishes a plan for each
    python team.py reviewer          # hears of plans, asks for the team's rules, publishes a review of each

Kill any of them, or the server, and start it again: nothing is lost and nothing is done twice. That takes two things. `listen` tells an agent again
what it had not dealt with; and what an agent makes of a document has a key that follows from the document's, so that doing it again changes nothing.

`think` stands for a language model, so that the example runs anywhere.
"""
import sys
import time
from typing import Callable

from contex_client import Contex, ContexError, NotFoundError, Project, Update

RULES = {"rules/deploys": {"rule": "Deploys are frozen on Fridays"}, "rules/tests": {"rule": "A plan names the tests that prove it"}}


def think(prompt: str) -> str:
    return "; ".join(line.strip() for line in prompt.splitlines() if line.strip())[:200]


def publisher(team: Project, count: int) -> None:
    for key, rule in RULES.items():
        team.publish(key, rule)
    for n in range(count):
        # A key for each: published again after a crash, it is unchanged, and nobody is told.
        team.publish(f"requests/{n}", {"kind": "feature request", "title": f"Export report number {n}"})


def work(team: Project, name: str, need: str, source: str, make: Callable[[Update], tuple[str, dict[str, str]]]) -> None:
    agent = team.agent(name)
    try:
        team.get(f"ready/{name}")
    except NotFoundError:
        # Once: from here on it is told; what was there before is asked for. Killed in between, it begins again.
        agent.register([need], mode="keyword", filter={"data_key": {"prefix": source}})
        for match in team.matches(need, mode="keyword", threshold=0, filter={"data_key": {"prefix": source}}):
            team.publish(*make(Update("", 0, match.data_key.removesuffix(".root"), "first_match", match.data)))
        team.publish(f"ready/{name}", {"ready": name})
    for update in agent.listen():
        if not update.is_deletion:
            team.publish(*make(update))


def plan(update: Update) -> tuple[str, dict[str, str]]:
    title = str(update.data["title"])
    return update.data_key.replace("requests/", "plans/"), {"kind": "implementation plan", "title": title, "plan": think(f"Plan how to {title}")}


def review(team: Project, update: Update) -> tuple[str, dict[str, str]]:
    rules = team.query("rules for plans and deploys", threshold=0, filter={"data_key": {"prefix": "rules/"}})
    told = "\n".join(str(match.data["rule"]) for match in rules)
    return update.data_key.replace("plans/", "reviews/"), {"kind": "review", "of": update.data_key, "review": think(f"{update.data['plan']}\n{told}")}


def main() -> None:
    role, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
    while True:
        try:
            with Contex(attempts=8) as contex:
                team = contex.project("team")
                if role == "publisher":
                    return publisher(team, count)
                if role == "planner":
                    work(team, role, "feature request", "requests/", plan)
                else:
                    work(team, role, "implementation plan", "plans/", lambda update: review(team, update))
        except ContexError as error:
            print(f"{role}: {error}", file=sys.stderr)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
