"""Hears of plans in the project `team`, asks for the rules that concern each, and publishes a review."""
import pathlib
import sys
from typing import Any

from contex_client import Project

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "shared"))

from model import model  # noqa: E402
from work import for_ever, make_each  # noqa: E402

INSTRUCTIONS = "You review plans by the rules of the team, which come behind the plan. Say for each rule whether the plan keeps it, in one line."
THINKER = model()


def review(team: Project, key: str, plan: Any) -> dict[str, Any]:
    rules = team.query(f"rules for: {plan['title']}", threshold=0, max_tokens=1_000, filter={"data_key": {"prefix": "rules/"}})
    told = "\n".join(f"{match.data['title']}. {match.data['text']}" for match in rules)
    return {"kind": "review", "title": plan["title"], "review": THINKER.answer(INSTRUCTIONS, f"{plan['plan']}\n{told}")}


if __name__ == "__main__":
    for_ever("reviewer", lambda team: make_each(team, "reviewer", "implementation plan", "plans/", "reviews/", review))
