"""A client journey with LlamaIndex's classes for OpenAI. Prints the results as JSON."""

import json
import sys
import time

import openai
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

base_url, key, model, embedding_model, schema = sys.argv[1:]
shared = {"api_base": base_url, "api_key": key, "max_retries": 0, "timeout": 60}
chat = OpenAILike(model=model, is_chat_model=True, max_tokens=24, **shared)
messages = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="How is the sea?")]
met = {"models": [one.id for one in chat._get_client().models.list()]}

answer = chat.chat(messages)
met["text"] = answer.message.content
messages += [answer.message, ChatMessage(role="user", content="And the lake?")]

begun, met["pieces"] = time.monotonic(), []
for chunk in chat.stream_chat(messages):
    if chunk.delta:
        met["pieces"].append([time.monotonic() - begun, chunk.delta])

kept = {"type": "json_schema", "json_schema": {"name": "pair", "strict": True, "schema": json.loads(schema)}}
met["json"] = chat.chat(messages[:2], max_tokens=200, response_format=kept).message.content

embeddings = OpenAILikeEmbedding(model_name=embedding_model, **shared)
met["vectors"] = [len(one) for one in embeddings.get_text_embedding_batch(["The sea.", "A lake."])]

try:
    OpenAILike(model="gpt-4", is_chat_model=True, **shared).chat(messages[:2])
except openai.NotFoundError as e:
    met["error"] = e.code
print(json.dumps(met))
