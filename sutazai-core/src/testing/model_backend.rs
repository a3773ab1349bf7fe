//! The suite of [`ModelBackend`].
//!
//! It judges behaviour, never wording, so that it runs over a test server and over a real model alike. Answers are
//! kept to a few tokens and the limits are wide: a small model on a slow machine passes in about a minute.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use serde_json::json;

use crate::domain::{
    ChatMessage, Constraint, Embeddings, FinishReason, GenerateRequest, ModelEvent, ModelUsage,
};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::ModelBackend;

/// No single answer may take longer than this, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a backend may need to notice that a time limit ran out: one token of a slow model, or a chunk of a prompt.
const GRACE: Duration = Duration::from_secs(10);

/// A name that no backend has.
const NO_SUCH_MODEL: &str = "a-model-that-is-nowhere";

/// Every bullet of the contract. `make` gives a backend that has at least one model; the same one each time is well.
pub async fn run_all<B, F>(make: impl Fn() -> F)
where
    B: ModelBackend + ?Sized,
    F: Future<Output = Arc<B>>,
{
    models_lists_what_is_there(&*make().await).await;
    generate_streams_text_and_one_done(&*make().await).await;
    max_tokens_bounds_the_answer(&*make().await).await;
    an_unknown_model_is_not_found(&*make().await).await;
    a_json_schema_is_enforced(&*make().await).await;
    a_denied_constraint_is_unsupported(&*make().await).await;
    the_stream_ends_when_the_timeout_runs_out(&*make().await).await;
    a_dropped_stream_stops_the_model(&*make().await).await;
    several_requests_at_once_all_end(&*make().await).await;
    a_loaded_model_answers_as_before(&*make().await).await;
    embed_gives_a_vector_a_text_or_is_unsupported(&*make().await).await;
}

/// The bullets that are about embeddings. `make` gives a backend whose first model makes them; it need write no text.
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
    several_embeddings_at_once_all_end(&*make().await).await;
}

/// `models` lists what is really there: each can be asked by its name, and answers by it.
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

/// A backend that cannot be reached is `Unavailable`. Not part of [`run_all`]: only what lies behind a network can be
/// out of reach; `backend` is one that is.
pub async fn a_backend_out_of_reach_is_unavailable<B: ModelBackend + ?Sized>(backend: &B) {
    assert_eq!(backend.models().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(answer(backend, story(2)).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// `generate` streams text pieces and then exactly one `Done`, which names the backend and the model and counts the tokens.
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

/// `max_tokens` bounds the answer, and the finish reason then is `Length`.
pub async fn max_tokens_bounds_the_answer<B: ModelBackend + ?Sized>(backend: &B) {
    for limit in [1, 3] {
        let (_, usage) = answer(backend, story(limit)).await.unwrap();
        assert!(usage.completion_tokens <= limit, "{limit} allowed: {usage:?}");
        assert_eq!(usage.finish_reason, FinishReason::Length, "a story of {limit} tokens: {usage:?}");
    }
}

/// An unknown model is `NotFound` and names what there is.
pub async fn an_unknown_model_is_not_found<B: ModelBackend + ?Sized>(backend: &B) {
    let request = GenerateRequest { model: Some(NO_SUCH_MODEL.into()), ..story(2) };
    let e = answer(backend, request).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
    let models = backend.models().await.unwrap();
    assert!(models.iter().any(|model| e.message().contains(&model.name)), "names none of {models:?}: {e}");
}

/// `embed` gives one vector a text, in their order, all of one length, and says which model made them; or it is
/// `Unsupported`. Gives what was made.
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
    assert!(alike(sea, again) && !alike(sea, cat), "not in the order of the texts: {made:?}");
    let listed = backend.models().await.unwrap();
    assert!(
        listed.iter().any(|model| model.name == made.model && model.backend == made.backend),
        "{} of {} is not listed in {listed:?}",
        made.model,
        made.backend
    );
    let named = in_time(backend.embed(Some(made.model.clone()), &texts[..1])).await.unwrap();
    assert!(alike(&named.vectors[0], sea), "another model than the one that was named");
    if let (Some(all), Some(one)) = (made.prompt_tokens, named.prompt_tokens) {
        assert!(one > 0 && all > 2 * one, "{all} tokens of three texts, {one} of one");
    }
    Some(made)
}

/// An unknown model is `NotFound` and names what there is: also where embeddings are asked for.
pub async fn embeddings_of_an_unknown_model_are_not_found<B: ModelBackend + ?Sized>(backend: &B) {
    let e = in_time(backend.embed(Some(NO_SUCH_MODEL.into()), &["a".into()])).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound, "{e}");
    let models = backend.models().await.unwrap();
    assert!(models.iter().any(|model| e.message().contains(&model.name)), "names none of {models:?}: {e}");
}

/// `embed` gives one vector a text: the same whatever stands beside it, and however many.
pub async fn texts_are_embedded_alone_as_in_company<B: ModelBackend + ?Sized>(backend: &B) {
    let texts: Vec<_> =
        (0..40).map(|number| format!("{} of {number} cats", "a long tale ".repeat(number))).collect();
    let together = in_time(backend.embed(None, &texts)).await.unwrap();
    assert_eq!(together.vectors.len(), texts.len());
    for at in [0, 7, 39] {
        let alone = in_time(backend.embed(None, &texts[at..=at])).await.unwrap();
        assert!(alike(&alone.vectors[0], &together.vectors[at]), "text {at}");
    }
}

/// Several requests at once all end: also those for embeddings, and one that nobody waits for harms none.
pub async fn several_embeddings_at_once_all_end<B: ModelBackend + ?Sized>(backend: &B) {
    let texts: Vec<_> = (0..6).map(|number| [format!("{number} cats sat by the sea.")]).collect();
    let alone = in_time(backend.embed(None, &texts[5])).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(1), backend.embed(None, &texts[0])).await;
    drop(dropped);
    let all = in_time(join_all(texts.iter().map(|text| backend.embed(None, text)))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert!(alike(&all[5].as_ref().unwrap().vectors[0], &alone.vectors[0]));
}

/// Whether two vectors point the same way, but for rounding.
fn alike(one: &[f32], other: &[f32]) -> bool {
    let product =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    product(one, other) / (product(one, one) * product(other, other)).sqrt() > 0.999
}

/// A JSON Schema is enforced, or the answer is an error: what ends with `Stop` fits the schema.
pub async fn a_json_schema_is_enforced<B: ModelBackend + ?Sized>(backend: &B) {
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
            Ok(_) => {} // cut off by the limit, and said so
            Err(e) => assert_ne!(e.kind(), ErrorKind::Unsupported, "{e}"),
        }
    }
}

/// A constraint that `supports` denies is `Unsupported`; a grammar or a text that it does not deny is kept to, and the
/// text is measured.
pub async fn a_denied_constraint_is_unsupported<B: ModelBackend + ?Sized>(backend: &B) {
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

/// When the request's timeout runs out the stream ends with `Timeout`.
pub async fn the_stream_ends_when_the_timeout_runs_out<B: ModelBackend + ?Sized>(backend: &B) {
    let timeout = Duration::from_millis(150);
    let begun = Instant::now();
    let result = answer(backend, GenerateRequest { timeout: Some(timeout), ..story(1_000) }).await;
    let took = begun.elapsed();
    match result {
        // A backend that writes a thousand tokens in time has nothing to break off.
        Ok((_, usage)) => assert!(took < timeout + GRACE / 10, "ended well after {took:?}: {usage:?}"),
        Err(e) => assert_eq!(e.kind(), ErrorKind::Timeout, "{e}"),
    }
    assert!(took < timeout + GRACE, "a limit of {timeout:?} was noticed after {took:?}");
}

/// Dropping the stream stops the model; the backend serves the next request.
pub async fn a_dropped_stream_stops_the_model<B: ModelBackend + ?Sized>(backend: &B) {
    for _ in 0..3 {
        let mut stream = in_time(backend.generate(story(1_000))).await.unwrap();
        in_time(stream.next()).await.unwrap().unwrap();
        drop(stream);
    }
    answer(backend, story(2)).await.unwrap();
}

/// Several requests at once all end.
pub async fn several_requests_at_once_all_end<B: ModelBackend + ?Sized>(backend: &B) {
    let answers = join_all((0..4).map(|_| answer(backend, story(6)))).await;
    for answer in answers {
        let (text, usage) = answer.unwrap();
        assert!(!text.is_empty() && usage.completion_tokens > 0, "{usage:?}");
    }
}

/// `load` of a model that is there succeeds and the model answers as before; of another it is `NotFound`.
pub async fn a_loaded_model_answers_as_before<B: ModelBackend + ?Sized>(backend: &B) {
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

/// A schema whose every text is short.
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

/// What no model ends within a few tokens.
fn story(max_tokens: u32) -> GenerateRequest {
    ask("Tell me a very long story about a ship and its crew, with many chapters.", max_tokens)
}

/// The whole answer; whatever error ends it.
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
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("nothing came for {PATIENCE:?}"))
}
