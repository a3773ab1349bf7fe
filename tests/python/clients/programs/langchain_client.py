"""A client journey with LangChain's classes for OpenAI. Prints the results as JSON."""

import json
import sys
import time

import openai
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

base_url, key, model, embedding_model, schema = sys.argv[1:]
chat = ChatOpenAI(model=model, base_url=base_url, api_key=key, max_retries=0, timeout=60, max_tokens=24)
messages = [("system", "Be brief."), ("human", "How is the sea?")]
met = {"models": [one.id for one in chat.root_client.models.list()]}

answer = chat.invoke(messages)
met["text"] = answer.content
messages += [answer, ("human", "And the lake?")]

begun, met["pieces"] = time.monotonic(), []
for chunk in chat.stream(messages):
    if chunk.content:
        met["pieces"].append([time.monotonic() - begun, chunk.content])
    if chunk.usage_metadata:
        met["tokens"] = chunk.usage_metadata["output_tokens"]

described = {"title": "pair", "description": "A pair of words.", **json.loads(schema)}
long = chat.model_copy(update={"max_tokens": 200})
kept = long.with_structured_output(described, method="json_schema", strict=True, include_raw=True)
met["json"] = kept.invoke(messages[:2])["raw"].content

# By default LangChain sends token numbers of OpenAI's vocabulary; docs/http-models.md describes this setting.
embeddings = OpenAIEmbeddings(
    model=embedding_model, base_url=base_url, api_key=key, max_retries=0, check_embedding_ctx_length=False
)
met["vectors"] = [len(one) for one in embeddings.embed_documents(["The sea.", "A lake."])]

try:
    chat.model_copy(update={"model_name": "gpt-4"}).invoke(messages[:2])
except openai.NotFoundError as e:
    met["error"] = e.code
print(json.dumps(met))
