//! Conformance suite of the port [`ModelBackend`].
//!
//! It checks behavior and never wording, so it runs against a test server and a real model alike. Answers are limited
//! to a few tokens and the time limits are generous: a small model on a slow machine passes in about a minute.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use serde_json::json;

use crate::domain::{
    ChatMessage, Constraint, Embeddings, FinishReason, GenerateRequest, ModelEvent, ModelUsage,
};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Clock, ModelBackend, SystemClock};
use crate::testing::real_time;

/// Time limit of a single answer on the slowest supported machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// Time for a backend to notice an expired time limit: one token of a slow model, or one chunk of a prompt.
const GRACE: Duration = Duration::from_secs(10);

/// A model name that no backend has.
const NO_SUCH_MODEL: &str = "a-model-that-is-nowhere";

/// Runs every check of the contract. `make` returns a backend with at least one model, which may be the same each time.
pub async fn run_all<B, F>(make: impl Fn() -> F)
where
    B: ModelBackend + ?Sized,
    F: Future<Output = Arc<B>>,
{
    models_lists_what_is_there(&*make().await).await;
    generate_streams_text_and_one_done(&*make().await).await;
    max_tokens_bounds_the_answer(&*make().await).await;
    unknown_model_is_not_found(&*make().await).await;
    json_schema_is_enforced(&*make().await).await;
    denied_constraint_is_unsupported(&*make().await).await;
    stream_ends_at_the_timeout(&*make().await).await;
    dropped_stream_stops_the_model(&*make().await).await;
    concurrent_requests_all_end(&*make().await).await;
    loaded_model_answers_as_before(&*make().await).await;
    embed_gives_a_vector_a_text_or_is_unsupported(&*make().await).await;
}

/// Runs the checks of embeddings. `make` returns a backend whose first model computes them; it need not generate text.
pub async fn run_embeddings<B, F>(make: impl Fn() -> F)
where
    B: ModelBackend + ?Sized,
    F: Future<Output = Arc<B>>,
{
    let backend = make().await;
    let made = embed_gives_a_vector_a_text_or_is_unsupported(&*backend).await;
    assert!(made.is_some(), "{} makes no embeddings", backend.name());
    embeddings_of_an_unknown_model_are_not_found(&*make().await).await;
    texts_are_embedded_alone_as_in_company(&*make().await).await;
    concurrent_embeddings_all_end(&*make().await).await;
}

/// `models` lists the models that are available: each can be requested by its name, and answers under it.
pub async fn models_lists_what_is_there<B: ModelBackend + ?Sized>(backend: &B) {
    let models = backend.models().await.unwrap();
    assert!(!models.is_empty(), "{} lists no model", backend.name());
    let keys: BTreeSet<_> = models.iter().map(|model| (&model.backend, &model.name)).collect();
    assert_eq!(keys.len(), models.len(), "a model is listed twice: {models:?}");
    for model in &models {
        assert!(!model.name.is_empty() && !model.backend.is_empty(), "{model:?}");
    }
    let first = &models[0].name;
    let (_, usage) =
        answer(backend, GenerateRequest { model: Some(first.clone()), ..story(2) }).await.unwrap();
    assert_eq!(&usage.model, first);
}

/// An unreachable backend is `Unavailable`. Not part of [`run_all`], because only a backend behind a network can be
/// unreachable; `backend` must be.
pub async fn unreachable_backend_is_unavailable<B: ModelBackend + ?Sized>(backend: &B) {
    assert_eq!(backend.models().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(answer(backend, story(2)).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// `generate` streams pieces of text and then exactly one `Done` with backend, model and token counts.
pub async fn generate_streams_text_and_one_done<B: ModelBackend + ?Sized>(backend: &B) {
    let mut stream = in_time(backend.generate(story(12))).await.unwrap();
    let mut text = String::new();
    let usage = loop {
        match in_time(stream.next()).await {
            Some(Ok(ModelEvent::Text(piece))) => text.push_str(&piece),
            Some(Ok(ModelEvent::Done(usage))) => break usage,
            Some(Err(e)) => panic!("the answer broke off: {e}"),
            None => panic!("the stream ended without `Done` after {text:?}"),
        }
    };
    assert!(in_time(stream.next()).await.is_none(), "something came after `Done`");
    assert!(!text.is_empty(), "no text");
    assert!(!usage.backend.is_empty() && !usage.model.is_empty(), "{usage:?}");
    assert!(usage.prompt_tokens > 0 && usage.completion_tokens > 0, "{usage:?}");
    let listed = backend.models().await.unwrap();
    assert!(
        listed.iter().any(|model| model.name == usage.model && model.backend == usage.backend),
        "{usage:?} is not listed in {listed:?}"
    );
}

/// `max_tokens` limits the answer, and the finish reason then is `Length`.
pub async fn max_tokens_bounds_the_answer<B: ModelBackend + ?Sized>(backend: &B) {
    for limit in [1, 3] {
        let (_, usage) = answer(backend, story(limit)).await.unwrap();
        assert!(usage.completion_tokens <= limit, "{limit} allowed: {usage:?}");
        assert_eq!(usage.finish_reason, FinishReason::Length, "a story of {limit} tokens: {usage:?}");
    }
}

/// An unknown model is `NotFound` and names the available ones.
pub async fn unknown_model_is_not_found<B: ModelBackend + ?Sized>(backend: &B) {
    let request = GenerateRequest { model: Some(NO_SUCH_MODEL.into()), ..story(2) };
    let e = answer(backend, request).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
    let models = backend.models().await.unwrap();
    assert!(models.iter().any(|model| e.message().contains(&model.name)), "names none of {models:?}: {e}");
}

/// `embed` returns one vector per text in their order, all of the same length, and names the model; or it is
/// `Unsupported`. Returns the embeddings.
pub async fn embed_gives_a_vector_a_text_or_is_unsupported<B: ModelBackend + ?Sized>(
    backend: &B,
) -> Option<Embeddings> {
    let texts = ["The sea is salty.", "A cat", "The sea is salty."].map(String::from);
    let made = match in_time(backend.embed(None, &texts)).await {
        Ok(made) => made,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
            return None;
        }
    };
    let [sea, cat, again] = made.vectors.as_slice() else { panic!("not one a text: {made:?}") };
    assert!(sea.len() > 1 && sea.len() == cat.len() && sea.len() == again.len(), "{made:?}");
    assert!(made.vectors.iter().flatten().all(|number| number.is_finite()), "{made:?}");
    assert!(
        same_direction(sea, again) && !same_direction(sea, cat),
        "not in the order of the texts: {made:?}"
    );
    let listed = backend.models().await.unwrap();
    assert!(
        listed.iter().any(|model| model.name == made.model && model.backend == made.backend),
        "{} of {} is not listed in {listed:?}",
        made.model,
        made.backend
    );
    let named = in_time(backend.embed(Some(made.model.clone()), &texts[..1])).await.unwrap();
    assert!(same_direction(&named.vectors[0], sea), "another model than the one that was named");
    if let (Some(all), Some(one)) = (made.prompt_tokens, named.prompt_tokens) {
        assert!(one > 0 && all > 2 * one, "{all} tokens of three texts, {one} of one");
    }
    Some(made)
}

/// An unknown model is `NotFound` and names the available ones, also for embeddings.
pub async fn embeddings_of_an_unknown_model_are_not_found<B: ModelBackend + ?Sized>(backend: &B) {
    let e = in_time(backend.embed(Some(NO_SUCH_MODEL.into()), &["a".into()])).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
    let models = backend.models().await.unwrap();
    assert!(models.iter().any(|model| e.message().contains(&model.name)), "names none of {models:?}: {e}");
}

/// `embed` computes the same vector for a text alone and in a batch of any size.
pub async fn texts_are_embedded_alone_as_in_company<B: ModelBackend + ?Sized>(backend: &B) {
    let texts: Vec<_> =
        (0..40).map(|number| format!("{} of {number} cats", "a long tale ".repeat(number))).collect();
    let together = in_time(backend.embed(None, &texts)).await.unwrap();
    assert_eq!(together.vectors.len(), texts.len());
    for at in [0, 7, 39] {
        let alone = in_time(backend.embed(None, &texts[at..=at])).await.unwrap();
        assert!(same_direction(&alone.vectors[0], &together.vectors[at]), "text {at}");
    }
}

/// Several concurrent requests all end, also for embeddings, and a dropped one does not affect the others.
pub async fn concurrent_embeddings_all_end<B: ModelBackend + ?Sized>(backend: &B) {
    let texts: Vec<_> = (0..6).map(|number| [format!("{number} cats sat by the sea.")]).collect();
    let alone = in_time(backend.embed(None, &texts[5])).await.unwrap();
    let dropped = real_time::within(Duration::from_millis(1), backend.embed(None, &texts[0])).await;
    drop(dropped);
    let all = in_time(join_all(texts.iter().map(|text| backend.embed(None, text)))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert!(same_direction(&all[5].as_ref().unwrap().vectors[0], &alone.vectors[0]));
}

/// Returns whether two vectors have the same direction, apart from rounding.
fn same_direction(one: &[f32], other: &[f32]) -> bool {
    let product =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    product(one, other) / (product(one, one) * product(other, other)).sqrt() > 0.999
}

/// A JSON Schema is enforced or the answer is an error: a text that ends with `Stop` conforms to the schema.
pub async fn json_schema_is_enforced<B: ModelBackend + ?Sized>(backend: &B) {
    let constraint = schema();
    if !backend.supports(&constraint) {
        return;
    }
    for seed in 1..=2 {
        let mut request = ask("Describe a cat as a JSON object with its name and its number of legs.", 96);
        request.constraint = Some(constraint.clone());
        request.seed = Some(seed);
        match answer(backend, request).await {
            Ok((text, usage)) if usage.finish_reason == FinishReason::Stop => {
                constraint.check(&text).unwrap()
            }
            Ok(_) => {} // truncated by the token limit, as the finish reason says
            Err(e) => assert_ne!(e.kind(), ErrorKind::Unsupported, "{e}"),
        }
    }
}

/// A constraint that `supports` rejects is `Unsupported`; an accepted grammar or text is enforced, and the fluency of
/// the text is measured.
pub async fn denied_constraint_is_unsupported<B: ModelBackend + ?Sized>(backend: &B) {
    let grammar = Constraint::Grammar("start: \"yes\" | \"no\"".into());
    let whole = "Water makes other things wet.";
    for constraint in [schema(), grammar.clone(), Constraint::Text(whole.into())] {
        let mut request = ask("Is water wet? Answer yes or no.", 8);
        request.constraint = Some(constraint.clone());
        if !backend.supports(&constraint) {
            assert_eq!(answer(backend, request).await.unwrap_err().kind(), ErrorKind::Unsupported);
        } else if constraint == grammar {
            let (text, _) = answer(backend, request).await.unwrap();
            assert!(["yes", "no"].contains(&text.as_str()), "not of the grammar: {text:?}");
        } else if let Constraint::Text(wanted) = &constraint {
            let (text, usage) = answer(backend, GenerateRequest { max_tokens: 48, ..request }).await.unwrap();
            assert_eq!((&text, usage.finish_reason), (wanted, FinishReason::Stop));
            let fluency = usage.fluency.expect("the text was not measured");
            assert!(fluency > 0.0 && fluency <= 1.0, "{fluency}");
        }
    }
}

/// Checks that the stream ends with `Timeout` when the request's timeout expires.
pub async fn stream_ends_at_the_timeout<B: ModelBackend + ?Sized>(backend: &B) {
    let timeout = Duration::from_millis(150);
    let begun = SystemClock.monotonic();
    let result = answer(backend, GenerateRequest { timeout: Some(timeout), ..story(1_000) }).await;
    let took = SystemClock.monotonic() - begun;
    match result {
        // A backend that generates a thousand tokens within the limit has nothing to interrupt.
        Ok((_, usage)) => assert!(took < timeout + GRACE / 10, "ended well after {took:?}: {usage:?}"),
        Err(e) => assert_eq!(e.kind(), ErrorKind::Timeout, "{e}"),
    }
    assert!(took < timeout + GRACE, "a limit of {timeout:?} was noticed after {took:?}");
}

/// Dropping the stream stops the model; the backend serves the next request.
pub async fn dropped_stream_stops_the_model<B: ModelBackend + ?Sized>(backend: &B) {
    for _ in 0..3 {
        let mut stream = in_time(backend.generate(story(1_000))).await.unwrap();
        in_time(stream.next()).await.unwrap().unwrap();
        drop(stream);
    }
    answer(backend, story(2)).await.unwrap();
}

/// Several concurrent requests all end.
pub async fn concurrent_requests_all_end<B: ModelBackend + ?Sized>(backend: &B) {
    let answers = join_all((0..4).map(|_| answer(backend, story(6)))).await;
    for answer in answers {
        let (text, usage) = answer.unwrap();
        assert!(!text.is_empty() && usage.completion_tokens > 0, "{usage:?}");
    }
}

/// `load` of an available model succeeds and the model answers as before; of another it is `NotFound`.
pub async fn loaded_model_answers_as_before<B: ModelBackend + ?Sized>(backend: &B) {
    let first = backend.models().await.unwrap()[0].name.clone();
    for model in [None, Some(first.clone())] {
        in_time(backend.load(model)).await.unwrap();
    }
    let (_, usage) =
        answer(backend, GenerateRequest { model: Some(first.clone()), ..story(2) }).await.unwrap();
    assert_eq!(usage.model, first);
    let e = in_time(backend.load(Some(NO_SUCH_MODEL.into()))).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
}

/// Returns a schema that only short texts fit.
fn schema() -> Constraint {
    Constraint::JsonSchema(json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "legs": { "type": "integer", "minimum": 0, "maximum": 9 },
        },
        "required": ["name", "legs"],
        "additionalProperties": false,
    }))
}

fn ask(prompt: &str, max_tokens: u32) -> GenerateRequest {
    GenerateRequest { max_tokens, ..GenerateRequest::new(vec![ChatMessage::user(prompt)]) }
}

/// Returns a request for a text that no model ends within a few tokens.
fn story(max_tokens: u32) -> GenerateRequest {
    ask("Tell me a very long story about a ship and its crew, with many chapters.", max_tokens)
}

/// Returns the whole answer, or the error that ended it.
async fn answer<B: ModelBackend + ?Sized>(
    backend: &B,
    request: GenerateRequest,
) -> Result<(String, ModelUsage)> {
    let whole = async {
        let mut stream = backend.generate(request).await?;
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match event? {
                ModelEvent::Text(piece) => text.push_str(&piece),
                ModelEvent::Done(usage) => return Ok((text, usage)),
            }
        }
        Err(Error::internal("the stream ended without `Done`"))
    };
    in_time(whole).await
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    real_time::within(ANSWER_TIMEOUT, future)
        .await
        .unwrap_or_else(|| panic!("nothing came for {ANSWER_TIMEOUT:?}"))
}
