//! Conversations over scripted models.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::Error;
use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::domain::{ChatMessage, Role};
use sutazai_core::testing::{ScriptedAnswer, ScriptedModelBackend};

use crate::endless::Endless;
use crate::support::{Server, User, failure, names, success};

const PATH: &str = "/api/v1/conversations";

async fn scripted<A: Into<ScriptedAnswer>>(
    answers: impl IntoIterator<Item = A>,
) -> (Server, Arc<ScriptedModelBackend>) {
    let model = Arc::new(ScriptedModelBackend::new(answers));
    (Server::start_with_model(model.clone(), AdmissionControlConfig::default()).await, model)
}

async fn begin(user: &User<'_>, body: Value) -> String {
    let conversation = success(user.post(PATH, &body).await, 201).await;
    conversation["id"].as_str().unwrap().to_owned()
}

async fn say(user: &User<'_>, id: &str, content: &str) -> Response {
    user.post(&format!("{PATH}/{id}/messages"), &json!({ "content": content })).await
}

/// Parses the name and the data of each event.
async fn events(answer: Response) -> Vec<(String, Value)> {
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    let event = |block: &str| {
        let (name, data) = block.split_once('\n')?;
        let data = serde_json::from_str(data.strip_prefix("data: ")?).unwrap();
        Some((name.strip_prefix("event: ")?.to_owned(), data))
    };
    text.split("\n\n").filter_map(event).collect()
}

async fn messages(user: &User<'_>, id: &str) -> Vec<Value> {
    let shown = success(user.get(&format!("{PATH}/{id}")).await, 200).await;
    shown["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn conversation_history_is_sent_to_the_model() {
    let (server, model) = scripted(["It is salty.", "Because of rivers."]).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({ "title": "The sea", "system": "Be brief." })).await;
    let told = events(say(&ada, &id, "How is the sea?").await).await;
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["text", "text", "text", "done"]);
    let text: String = told[..3].iter().map(|(_, data)| data["text"].as_str().unwrap()).collect();
    assert_eq!(text, "It is salty.");
    let done = &told[3].1;
    assert_eq!(
        (&done["message"]["content"], &done["message"]["cut"]),
        (&json!("It is salty."), &json!(false))
    );
    assert_eq!(done["message"]["usage"]["completion_tokens"], 3);
    events(say(&ada, &id, "Why?").await).await;
    let kept = messages(&ada, &id).await;
    let said: Vec<_> = kept
        .iter()
        .map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    let expected = [
        ("user", "How is the sea?"),
        ("assistant", "It is salty."),
        ("user", "Why?"),
        ("assistant", "Because of rivers."),
    ];
    assert_eq!(said, expected);
    assert_eq!(kept[1], done["message"]);
    assert_eq!(kept[0]["id"], done["in_reply_to"]);
    let asked = &model.requests()[1];
    let roles: Vec<Role> = asked.messages.iter().map(|message| message.role).collect();
    assert_eq!(asked.messages[0], ChatMessage::system("Be brief."));
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
}

#[tokio::test]
async fn long_history_is_cut_to_the_context() {
    let model = Arc::new(Endless::default());
    let server = Server::start_with_model(model.clone(), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({})).await;
    for _ in 0..20 {
        drop(say(&ada, &id, "A sentence of some words.").await);
        model.until_writing(0).await;
    }
    // The history may use half of the context of 64 tokens. A message takes 17 tokens, half an answer at least 10.
    assert!((1..=2).contains(&model.shown()), "{}", model.shown());
}

#[tokio::test]
async fn answer_is_cut_when_its_reader_disconnects() {
    let model = Arc::new(Endless::default());
    let server = Server::start_with_model(model.clone(), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({})).await;
    let mut pieces = say(&ada, &id, "Go").await.bytes_stream();
    pieces.next().await.unwrap().unwrap();
    drop(pieces);
    model.until_writing(0).await;
    let kept = async {
        loop {
            let kept = messages(&ada, &id).await;
            if kept.len() == 2 {
                return kept;
            }
        }
    };
    let kept = tokio::time::timeout(Duration::from_secs(10), kept).await.unwrap();
    assert_eq!((&kept[1]["cut"], &kept[1]["usage"]), (&json!(true), &Value::Null));
    assert!(kept[1]["content"].as_str().unwrap().starts_with("on on "));
}

#[tokio::test]
async fn message_is_kept_when_the_model_fails() {
    let broken = ScriptedAnswer::Broken("It ".into(), Error::unavailable("cut"));
    let (server, _) = scripted([Error::unavailable("away").into(), broken]).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({})).await;
    failure(say(&ada, &id, "One?").await, 503, "unavailable").await;
    let told = events(say(&ada, &id, "Two?").await).await;
    assert_eq!((told[1].0.as_str(), &told[1].1["code"]), ("error", &json!("unavailable")));
    let kept = messages(&ada, &id).await;
    let said: Vec<_> = kept
        .iter()
        .map(|message| (message["content"].as_str().unwrap(), message["cut"].as_bool().unwrap()))
        .collect();
    assert_eq!(said, [("One?", false), ("Two?", false), ("It ", true)]);
}

#[tokio::test]
async fn conversations_are_paged_and_deleted() {
    let (server, _) = scripted(["a", "b", "c"]).await;
    let ada = server.user("ada").await;
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        ids.push(begin(&ada, json!({ "title": title })).await);
    }
    let first = success(ada.get(&format!("{PATH}?limit=2")).await, 200).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!((&first["items"][0]["title"], &first["items"][1]["title"]), (&json!("three"), &json!("two")));
    let second = success(ada.get(&format!("{PATH}?limit=2&cursor={cursor}")).await, 200).await;
    assert_eq!((&second["items"][0]["title"], &second["next_cursor"]), (&json!("one"), &Value::Null));
    for content in ["1", "2", "3"] {
        events(say(&ada, &ids[0], content).await).await;
    }
    let path = format!("{PATH}/{}", ids[0]);
    let latest = success(ada.get(&format!("{path}?limit=4")).await, 200).await;
    assert_eq!(
        (&latest["messages"][0]["content"], &latest["messages"][3]["content"]),
        (&json!("2"), &json!("c"))
    );
    let cursor = latest["next_cursor"].as_str().unwrap();
    let before = success(ada.get(&format!("{path}?limit=4&cursor={cursor}")).await, 200).await;
    assert_eq!(
        (&before["messages"][0]["content"], &before["messages"][1]["content"]),
        (&json!("1"), &json!("a"))
    );
    assert_eq!(before["next_cursor"], Value::Null);
    let gone = success(ada.request(Method::DELETE, &path).send().await.unwrap(), 200).await;
    assert_eq!(gone["id"], ids[0].as_str());
    failure(ada.get(&path).await, 404, "not_found").await;
}

#[tokio::test]
async fn conversations_of_another_user_are_404() {
    let (server, model) = scripted(["secret"]).await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let id = begin(&ada, json!({ "title": "mine" })).await;
    let path = format!("{PATH}/{id}");
    failure(eve.get(&path).await, 404, "not_found").await;
    failure(eve.request(Method::DELETE, &path).send().await.unwrap(), 404, "not_found").await;
    failure(say(&eve, &id, "hello").await, 404, "not_found").await;
    assert_eq!(success(eve.get(PATH).await, 200).await["items"], json!([]));
    assert_eq!(model.requests().len(), 0);
    assert_eq!(success(ada.get(&path).await, 200).await["messages"], json!([]));
}

#[tokio::test]
async fn invalid_conversation_or_message_names_the_field() {
    let (server, model) = scripted(["x"]).await;
    let ada = server.user("ada").await;
    for (body, field) in [
        (json!({ "title": "x".repeat(201) }), "title"),
        (json!({ "system": "" }), "system"),
        (json!({ "model": "a\u{0}b" }), "model"),
        (json!({ "titel": "x" }), "titel"),
    ] {
        names(ada.post(PATH, &body).await, 422, "invalid_input", field).await;
    }
    let id = begin(&ada, json!({})).await;
    let path = format!("{PATH}/{id}/messages");
    for (body, field) in [
        (json!({}), "content"),
        (json!({ "content": "" }), "content"),
        (json!({ "content": "x", "max_tokens": 0 }), "max_tokens"),
        (json!({ "content": "x", "temperature": 2.5 }), "temperature"),
    ] {
        names(ada.post(&path, &body).await, 422, "invalid_input", field).await;
    }
    for query in ["limit=0", "limit=101"] {
        names(ada.get(&format!("{PATH}?{query}")).await, 422, "invalid_input", "limit").await;
        names(ada.get(&format!("{PATH}/{id}?{query}")).await, 422, "invalid_input", "limit").await;
    }
    names(ada.get(&format!("{PATH}?cursor=1")).await, 422, "invalid_input", "cursor").await;
    assert_eq!((model.requests().len(), messages(&ada, &id).await.len()), (0, 0));
    let unknown = begin(&ada, json!({ "model": "gpt-4" })).await;
    failure(say(&ada, &unknown, "x").await, 404, "not_found").await;
}

#[tokio::test]
async fn roles_alternate_after_failures_cuts_and_concurrency() {
    let broken = ScriptedAnswer::Broken("It ".into(), Error::unavailable("cut"));
    let answers = [
        Error::unavailable("away").into(),
        ScriptedAnswer::Text("Yes.".into()),
        broken,
        ScriptedAnswer::Text("x".into()),
    ];
    let (server, model) = scripted(answers).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({ "system": "Be brief." })).await;
    failure(say(&ada, &id, "hello 0").await, 503, "unavailable").await;
    for text in ["hello 1", "hello 2", "hello 3"] {
        events(say(&ada, &id, text).await).await;
    }
    let shown: Vec<_> = model.requests().into_iter().map(|request| request.messages).collect();
    let system = ChatMessage::system("Be brief.");
    let first = ChatMessage::user("hello 0\n\nhello 1");
    assert_eq!(shown[1], [system.clone(), first.clone()]);
    let [two, three] = ["hello 2", "hello 3"].map(ChatMessage::user);
    assert_eq!(
        shown[3],
        [system, first, ChatMessage::assistant("Yes."), two, ChatMessage::assistant("It "), three]
    );
}

#[tokio::test]
async fn concurrent_messages_get_alternating_roles() {
    let model = Arc::new(ScriptedModelBackend::replying(|_| "An answer."));
    let server = Server::start_with_model(model.clone(), AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({})).await;
    let said = (0..8).map(|n| {
        let (ada, id) = (&ada, &id);
        async move { say(ada, id, &format!("hello {n}")).await.text().await.unwrap() }
    });
    futures::future::join_all(said).await;
    for request in model.requests() {
        let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
        let expected: Vec<Role> = (0..roles.len()).map(|i| [Role::User, Role::Assistant][i % 2]).collect();
        assert_eq!(roles, expected, "{:?}", request.messages);
        assert_eq!(roles.last(), Some(&Role::User));
    }
}

#[tokio::test]
async fn refusal_is_stored_and_history_shrinks_on_context_overflow() {
    let full = || Error::context_length("messages", "expected at most 7 tokens, got 9");
    let (server, model) =
        scripted([ScriptedAnswer::Refusal("I may not.".into()), full().into(), "x".into()]).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({})).await;
    let told = events(say(&ada, &id, "One?").await).await;
    assert_eq!(
        (&told[0].1["text"], &told[1].1["message"]["content"]),
        (&json!("I may not."), &json!("I may not."))
    );
    let told = events(say(&ada, &id, "Two?").await).await;
    assert_eq!((told[0].1["text"].as_str(), model.requests().len()), (Some("x"), 3));
}

async fn listed(user: &User<'_>) -> Vec<String> {
    let page = success(user.get(PATH).await, 200).await;
    let titles = page["items"].as_array().unwrap().iter();
    titles.map(|item| item["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn conversation_is_renamed() {
    let (server, _) = scripted(["x"]).await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let id = begin(&ada, json!({ "title": "old" })).await;
    let path = format!("{PATH}/{id}/title");
    let rename = async |user: &User<'_>, body: Value| {
        user.request(Method::PUT, &path).json(&body).send().await.unwrap()
    };
    let renamed = success(rename(&ada, json!({ "title": "Über 🦀" })).await, 200).await;
    assert_eq!((&renamed["id"], &renamed["title"]), (&json!(id), &json!("Über 🦀")));
    let shown = success(ada.get(&format!("{PATH}/{id}")).await, 200).await;
    assert_eq!(shown["conversation"], renamed);
    for (body, field) in [
        (json!({ "title": "x".repeat(201) }), "title"),
        (json!({ "title": "a\u{0}b" }), "title"),
        (json!({}), "title"),
        (json!({ "name": "x" }), "name"),
    ] {
        names(rename(&ada, body).await, 422, "invalid_input", field).await;
    }
    failure(rename(&eve, json!({ "title": "mine" })).await, 404, "not_found").await;
    assert_eq!(listed(&ada).await, ["Über 🦀"]);
}

#[tokio::test]
async fn untitled_conversation_is_called_by_its_first_words() {
    let (server, _) = scripted(["a", "b", "c"]).await;
    let ada = server.user("ada").await;
    let id = begin(&ada, json!({})).await;
    events(say(&ada, &id, "Why is\n the sea salty?").await).await;
    assert_eq!(listed(&ada).await, ["Why is the sea salty?"]);
    events(say(&ada, &id, "And the lakes?").await).await;
    assert_eq!(listed(&ada).await, ["Why is the sea salty?"], "only the first message counts");
    let titled = begin(&ada, json!({ "title": "mine" })).await;
    events(say(&ada, &titled, "Hello").await).await;
    assert_eq!(listed(&ada).await, ["mine", "Why is the sea salty?"]);
}

#[tokio::test]
async fn conversation_with_the_latest_message_comes_first() {
    let (server, _) = scripted(["a", "b"]).await;
    let ada = server.user("ada").await;
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        ids.push(begin(&ada, json!({ "title": title })).await);
    }
    events(say(&ada, &ids[0], "hello").await).await;
    assert_eq!(listed(&ada).await, ["one", "three", "two"]);
    let first = success(ada.get(&format!("{PATH}?limit=1")).await, 200).await;
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    // A conversation that moves to the front does not come twice.
    events(say(&ada, &ids[1], "hello").await).await;
    let rest = success(ada.get(&format!("{PATH}?limit=10&cursor={cursor}")).await, 200).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["items"][0]["title"]), (1, &json!("three")));
    for bad in [&cursor[1..], &cursor.to_uppercase(), &ids[0].replace('-', "")] {
        if bad != cursor {
            names(ada.get(&format!("{PATH}?cursor={bad}")).await, 422, "invalid_input", "cursor").await;
        }
    }
}

#[tokio::test]
async fn model_is_asked_again_about_the_latest_message() {
    let broken = ScriptedAnswer::Broken("It ".into(), Error::unavailable("cut"));
    let answers = [broken, "It is salty.".into(), "Because of rivers.".into()];
    let (server, model) = scripted(answers).await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let id = begin(&ada, json!({})).await;
    let path = format!("{PATH}/{id}/answer");
    failure(ada.post(&path, &json!({})).await, 409, "conflict").await;
    events(say(&ada, &id, "How is the sea?").await).await;
    failure(eve.post(&path, &json!({})).await, 404, "not_found").await;
    for (body, field) in [
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "temperature": 3 }), "temperature"),
        (json!({ "x": 1 }), "x"),
    ] {
        names(ada.post(&path, &body).await, 422, "invalid_input", field).await;
    }
    let told = events(ada.request(Method::POST, &path).send().await.unwrap()).await;
    let done = &told.last().unwrap().1;
    let kept = messages(&ada, &id).await;
    let said: Vec<&str> = kept.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["How is the sea?", "It ", "It is salty."]);
    assert_eq!((&done["message"], &done["in_reply_to"]), (&kept[2], &kept[0]["id"]));
    let question = ChatMessage::user("How is the sea?");
    assert_eq!(model.requests()[1].messages, std::slice::from_ref(&question), "not the answer that was cut");
    events(say(&ada, &id, "Why?").await).await;
    let history = [question, ChatMessage::assistant("It is salty."), ChatMessage::user("Why?")];
    assert_eq!(model.requests()[2].messages, history, "only the last answer");
}
