"""Hears of feature requests in the project `team`, and publishes a plan for each."""
import pathlib
import sys
from typing import Any

from contex_client import Project

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "shared"))

from model import model  # noqa: E402
from work import for_ever, make_each  # noqa: E402

INSTRUCTIONS = "You plan software. Write the steps in which this feature is built, one a line, at most seven, the last one its tests."
THINKER = model()


def plan(team: Project, key: str, request: Any) -> dict[str, Any]:
    steps = THINKER.answer(INSTRUCTIONS, f"{request['title']}\n{request.get('text', '')}")
    return {"kind": "implementation plan", "title": request["title"], "plan": steps}


if __name__ == "__main__":
    for_ever("planner", lambda team: make_each(team, "planner", "feature request", "requests/", "plans/", plan))
