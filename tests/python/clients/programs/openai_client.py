"""A client journey with the official `openai` package for Python. Prints the results as JSON."""

import json
import sys
import time

import openai

base_url, key, model, embedding_model, schema = sys.argv[1:]
client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60)
messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How is the sea?"}]
met = {"models": [one.id for one in client.models.list()]}

answer = client.chat.completions.create(model=model, messages=messages, max_completion_tokens=24)
met["text"] = answer.choices[0].message.content
# The answer is sent back unchanged, as part of the history.
messages += [answer.choices[0].message, {"role": "user", "content": "And the lake?"}]

begun, met["pieces"] = time.monotonic(), []
for chunk in client.chat.completions.create(
    model=model, messages=messages, max_tokens=24, stream=True, stream_options={"include_usage": True}
):
    if chunk.choices and chunk.choices[0].delta.content:
        met["pieces"].append([time.monotonic() - begun, chunk.choices[0].delta.content])
met["tokens"] = chunk.usage.completion_tokens

kept = {"type": "json_schema", "json_schema": {"name": "pair", "strict": True, "schema": json.loads(schema)}}
answer = client.chat.completions.create(model=model, messages=messages[:2], max_tokens=200, response_format=kept)
met["json"] = answer.choices[0].message.content

made = client.embeddings.create(model=embedding_model, input=["The sea.", "A lake."])
met["vectors"] = [len(one.embedding) for one in made.data]

try:
    client.chat.completions.create(model="gpt-4", messages=messages[:2])
except openai.NotFoundError as e:
    met["error"] = e.code
print(json.dumps(met))
