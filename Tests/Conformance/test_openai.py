"""OpenAI's own client against the endpoint for embeddings, with the base URL as the only change."""
import math

import openai
import pytest


def test_embeddings(guarded):
    client = openai.OpenAI(base_url=guarded.url + "/api/v1", api_key=guarded.root_key, max_retries=0)
    texts = ["Which database do we use?", "We store orders in PostgreSQL.", "Grilled salmon with lemon."]
    answer = client.embeddings.create(model="text-embedding-3-small", input=texts)
    vectors = [entry.embedding for entry in answer.data]
    assert [entry.index for entry in answer.data] == [0, 1, 2]
    assert all(len(vector) == 384 and math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in vectors)
    question, related, unrelated = vectors
    assert sum(a * b for a, b in zip(question, related)) > sum(a * b for a, b in zip(question, unrelated)) + 0.1
    assert answer.usage.total_tokens > 10
    # The client asks for base64 unless told otherwise: both are the same numbers.
    plain = client.embeddings.create(model="any", input=texts[0], encoding_format="float").data[0].embedding
    assert plain == pytest.approx(question, abs=1e-7)


def test_refusals(guarded):
    client = openai.OpenAI(base_url=guarded.url + "/api/v1", api_key="ck_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.embeddings.create(model="any", input="text")
    assert stranger.value.code == "invalid_api_key" and stranger.value.body["message"] == "Invalid API Key"
    client = openai.OpenAI(base_url=guarded.url + "/api/v1", api_key=guarded.root_key, max_retries=0)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.embeddings.create(model="any", input="")
    assert refused.value.body["message"] == "input: String should have at least 1 character"
    assert (refused.value.type, refused.value.param, refused.value.code) == ("invalid_request_error", "input", None)


def test_every_form_of_input(guarded):
    """LangChain and others send tokens of cl100k_base instead of text."""
    client = openai.OpenAI(base_url=guarded.url + "/api/v1", api_key=guarded.root_key, max_retries=0)

    def vectors(given):
        return [entry.embedding for entry in client.embeddings.create(model="any", input=given, user="somebody").data]

    hello = vectors("Hello world")
    assert vectors([9906, 1917]) == hello and vectors(["Hello world"]) == hello
    assert vectors([[9906, 1917], [9906]]) == hello + vectors("Hello")
    for wrong in ([100_300], [[-1]], [[]], []):
        with pytest.raises(openai.UnprocessableEntityError):
            vectors(wrong)
