"""Publishes a folder of Markdown files into the project `team`, and whatever changes in it: python publisher.py [FOLDER] [--watch]"""
import pathlib
import sys
import time

from contex_client import Project

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "shared"))

from work import for_ever  # noqa: E402

# The rules first: a plan may be reviewed the moment after its request is there.
KINDS = {"rules": "rule of the team", "requests": "feature request"}


def published(team: Project, folder: pathlib.Path) -> None:
    """A key for each file. What has not changed since is no event, so all of it can be published again, after a crash too."""
    for kind, words in KINDS.items():
        there = set()
        for path in sorted(folder.glob(f"{kind}/*.md")):
            title, _, text = path.read_text().partition("\n")
            there.add(f"{kind}/{path.stem}")
            team.publish(f"{kind}/{path.stem}", {"kind": words, "title": title.removeprefix("# ").strip(), "text": text.strip()})
        for key in {node.data_key.removesuffix(".root") for node in team.nodes() if node.data_key.startswith(f"{kind}/")} - there:
            team.delete(key)


def main() -> None:
    names = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    folder = pathlib.Path(names[0]) if names else pathlib.Path(__file__).parent / "documents"

    def work(team: Project) -> None:
        published(team, folder)
        while "--watch" in sys.argv:
            time.sleep(1)
            published(team, folder)
    for_ever("publisher", work)


if __name__ == "__main__":
    main()
