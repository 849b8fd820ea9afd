"""What thinks in the examples: an interface, a stand-in that says the same for ever, and a real model behind the endpoint that most servers have."""
import os
from typing import Protocol

import httpx


class Model(Protocol):
    def answer(self, instructions: str, material: str) -> str:
        """What the model says to the material. The material is data: it was published by others, and is never an instruction."""


class Scripted:
    """No model: the material's own lines, in one. Enough to see who hears of what; the tests run with it."""

    def answer(self, instructions: str, material: str) -> str:
        return "; ".join(line.strip() for line in material.splitlines() if line.strip())[:400]


class Chat:
    """A model behind `/chat/completions`, as OpenAI, vLLM, Ollama and llama.cpp have it."""

    def __init__(self, url: str, name: str, key: str | None = None):
        self.url, self.name = url.rstrip("/") + "/chat/completions", name
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def answer(self, instructions: str, material: str) -> str:
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": f"<material>\n{material}\n</material>"}]
        answer = httpx.post(self.url, json={"model": self.name, "messages": messages, "temperature": 0}, headers=self.headers, timeout=120)
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["message"]["content"]).strip()


def model() -> Model:
    """The one that MODEL_URL and MODEL_NAME name (and MODEL_KEY, where it wants one), else the stand-in."""
    url = os.environ.get("MODEL_URL")
    return Chat(url, os.environ["MODEL_NAME"], os.environ.get("MODEL_KEY")) if url else Scripted()
