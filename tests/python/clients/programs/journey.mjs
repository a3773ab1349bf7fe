// A client journey with the official `openai` package for JavaScript, in Node.js and in a page.

export async function journey(OpenAI, baseURL, apiKey, model, embeddingModel, schema) {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000, dangerouslyAllowBrowser: true });
  const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "How is the sea?" }];
  const met = { models: [], pieces: [] };
  for await (const one of await client.models.list()) met.models.push(one.id);

  const answer = await client.chat.completions.create({ model, messages, max_completion_tokens: 24 });
  met.text = answer.choices[0].message.content;
  // The answer is sent back unchanged, as part of the history.
  messages.push(answer.choices[0].message, { role: "user", content: "And the lake?" });

  const begun = Date.now();
  const stream = await client.chat.completions.create({
    model, messages, max_tokens: 24, stream: true, stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    const text = chunk.choices[0]?.delta?.content;
    if (text) met.pieces.push([(Date.now() - begun) / 1000, text]);
    if (chunk.usage) met.tokens = chunk.usage.completion_tokens;
  }

  const response_format = { type: "json_schema", json_schema: { name: "pair", strict: true, schema: JSON.parse(schema) } };
  const kept = await client.chat.completions.create({
    model, messages: messages.slice(0, 2), max_tokens: 200, response_format,
  });
  met.json = kept.choices[0].message.content;

  const made = await client.embeddings.create({ model: embeddingModel, input: ["The sea.", "A lake."] });
  met.vectors = made.data.map((one) => one.embedding.length);

  try {
    await client.chat.completions.create({ model: "gpt-4", messages: messages.slice(0, 2) });
  } catch (e) {
    met.error = e.code;
  }
  return met;
}
