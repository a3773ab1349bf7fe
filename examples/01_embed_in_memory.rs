//! Hello world: an agent made of a function, a task, and its result. Offline, and done within a second.
//!
//! Run it: `cargo run --example 01_embed_in_memory`

#![allow(clippy::print_stdout)] // an example prints what it does

use sutazai::prelude::*;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Count {
    words: usize,
}

async fn count(input: Text, _: AgentContext) -> Result<Count> {
    Ok(Count { words: input.text.split_whitespace().count() })
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder().agent(agent("word-counter", count)).start().await?;
    let text = Text { text: "nothing leaves the machine".into() };
    let count: Count = engine.submit("word-counter", text).await?.output().await?;
    println!("{}", count.words);
    engine.shutdown().await
}
