//! Conformance suite of the port [`ConversationStore`].

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use futures::future::join_all;

use crate::domain::{
    ChatMessage, Conversation, ConversationId, FinishReason, MessageQuota, ModelUsage, PageLimit,
    PageRequest, Role, StoredMessage, UserId,
};
use crate::error::ErrorKind;
use crate::ports::ConversationStore;

/// Runs every check of the contract, each against an empty store of its own and two users known to the store.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: ConversationStore + ?Sized,
    F: Future<Output = (Arc<S>, UserId, UserId)>,
{
    let (store, ada, _) = make().await;
    created_conversation_is_found_by_id(&*store, ada).await;
    let (store, ada, eve) = make().await;
    list_gives_conversations_page_by_page(&*store, ada, eve).await;
    let (store, ada, _) = make().await;
    list_ends_pages_before_they_are_large(&*store, ada).await;
    let (store, ada, _) = make().await;
    rename_sets_the_title(&*store, ada).await;
    let (store, ada, _) = make().await;
    append_adds_a_message(&*store, ada).await;
    let (store, ada, _) = make().await;
    append_to_what_is_not_there_is_not_found(&*store, ada).await;
    let (store, ada, _) = make().await;
    messages_gives_the_latest_oldest_first(&*store, ada).await;
    let (store, ada, _) = make().await;
    messages_stops_at_its_bytes(&*store, ada).await;
    let (store, ada, _) = make().await;
    delete_removes_a_conversation_with_its_messages(&*store, ada).await;
    let (store, ada, eve) = make().await;
    limit_holds_under_concurrent_additions(&*store, ada, eve).await;
    let (store, ada, eve) = make().await;
    message_quota_holds_under_concurrent_additions(&*store, ada, eve).await;
    let (store, ada, eve) = make().await;
    delete_all_removes_what_is_one_owners(&*store, ada, eve).await;
}

/// A created conversation is found by its id with all its fields; an unknown id finds none.
pub async fn created_conversation_is_found_by_id<S: ConversationStore + ?Sized>(store: &S, ada: UserId) {
    let plain = conversation(Some(ada));
    let full = Conversation {
        title: "grüezi 🦀 'quoted'".into(),
        model: Some("a-model:latest".into()),
        system: Some("Be brief.\nAlways.".into()),
        updated_at: at(9),
        ..conversation(None)
    };
    for conversation in [&plain, &full] {
        store.create(conversation).await.unwrap();
        assert_eq!(store.get(conversation.id).await.unwrap().as_ref(), Some(conversation));
    }
    assert_eq!(store.get(ConversationId::new()).await.unwrap(), None);
}

/// `list` returns the conversations of one owner, or of all, the one with the latest message first, page by page; of those
/// with the same time the newer one comes first.
pub async fn list_gives_conversations_page_by_page<S: ConversationStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let of = [Some(ada), Some(eve), Some(ada), None, Some(ada)].map(conversation);
    for conversation in &of {
        store.create(conversation).await.unwrap();
    }
    let [old, theirs, middle, nobodys, new] = of;
    let page = |cursor, limit| PageRequest::new(cursor, limit).unwrap();
    let first = store.list(Some(ada), page(None, 2)).await.unwrap();
    assert_eq!(first.items, [new.clone(), middle.clone()]);
    // A conversation created between two pages does not shift them.
    store.create(&conversation(Some(ada))).await.unwrap();
    let second = store.list(Some(ada), page(first.next, 2)).await.unwrap();
    assert_eq!((second.items, second.next), (vec![old.clone()], None));
    let all = store.list(None, page(Some(new.cursor()), 100)).await.unwrap();
    assert_eq!((all.items, all.next), (vec![nobodys, middle.clone(), theirs, old.clone()], None));
    // A message brings its conversation to the begin of the list.
    for (conversation, second) in [(&middle, 10), (&old, 20)] {
        store.append(&message(conversation.id, second)).await.unwrap();
    }
    let used =
        |conversation: &Conversation, second| Conversation { updated_at: at(second), ..conversation.clone() };
    let first = store.list(Some(ada), page(None, 1)).await.unwrap();
    assert_eq!((first.items, first.next), (vec![used(&old, 20)], Some(used(&old, 20).cursor())));
    let second = store.list(Some(ada), page(first.next, 1)).await.unwrap();
    assert_eq!(second.items, [used(&middle, 10)]);
    let rest = store.list(Some(ada), page(second.next, 10)).await.unwrap();
    assert_eq!((rest.items.len(), &rest.items[1]), (2, &new));
    let exact = store.list(Some(eve), page(None, 1)).await.unwrap();
    assert_eq!((exact.items.len(), exact.next), (1, None));
    assert_eq!(store.list(Some(UserId::new()), page(None, 10)).await.unwrap().items, []);
}

/// A page of `list` with several conversations holds at most a megabyte of titles, names of models and instructions.
pub async fn list_ends_pages_before_they_are_large<S: ConversationStore + ?Sized>(store: &S, ada: UserId) {
    // 10,000 characters of four bytes each: 25 of them are a megabyte with nothing else.
    let many: Vec<Conversation> = (0..30)
        .map(|_| Conversation { system: Some("🦀".repeat(10_000)), ..conversation(Some(ada)) })
        .collect();
    for conversation in &many {
        store.create(conversation).await.unwrap();
    }
    for owner in [Some(ada), None] {
        let first = store.list(owner, PageLimit::MAX.into()).await.unwrap();
        assert_eq!(first.items.len(), 25);
        let second = store.list(owner, PageRequest::new(first.next, 100).unwrap()).await.unwrap();
        assert_eq!((second.items.len(), second.next), (5, None));
        assert!(
            first.items.iter().chain(&second.items).eq(many.iter().rev()),
            "each of them once, newest first"
        );
    }
}

/// `rename` sets the title and nothing else; an unknown conversation is `NotFound`.
pub async fn rename_sets_the_title<S: ConversationStore + ?Sized>(store: &S, ada: UserId) {
    let [one, other] = [conversation(Some(ada)), conversation(Some(ada))];
    for conversation in [&one, &other] {
        store.create(conversation).await.unwrap();
        store.append(&message(conversation.id, 10)).await.unwrap();
    }
    for title in ["grüezi 🦀 'quoted'", ""] {
        store.rename(one.id, title).await.unwrap();
        let expected = Conversation { title: title.into(), updated_at: at(10), ..one.clone() };
        assert_eq!(store.get(one.id).await.unwrap(), Some(expected));
    }
    assert_eq!(store.get(other.id).await.unwrap(), Some(Conversation { updated_at: at(10), ..other }));
    assert_eq!(store.messages(one.id, None, 10, u64::MAX).await.unwrap().len(), 1);
    assert_eq!(store.rename(ConversationId::new(), "x").await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `append` adds a message unchanged and sets the time of the conversation's latest use, which never moves back.
pub async fn append_adds_a_message<S: ConversationStore + ?Sized>(store: &S, ada: UserId) {
    let conversation = conversation(Some(ada));
    store.create(&conversation).await.unwrap();
    let question = message(conversation.id, 10);
    let usage = ModelUsage {
        backend: "llama-cpp".into(),
        model: "small".into(),
        prompt_tokens: 12,
        completion_tokens: 34,
        finish_reason: FinishReason::Length,
        refusal: None,
        degraded: Some("another was away".into()),
        fluency: None,
    };
    let answer = StoredMessage {
        message: ChatMessage::assistant("42 🦀\n\t\"yes\" <b>'; DROP TABLE messages; --"),
        usage: Some(usage),
        ..message(conversation.id, 20)
    };
    let broken =
        StoredMessage { message: ChatMessage::assistant(""), cut: true, ..message(conversation.id, 15) };
    for message in [&question, &answer, &broken] {
        store.append(message).await.unwrap();
    }
    assert_eq!(
        store.messages(conversation.id, None, 10, u64::MAX).await.unwrap(),
        [question, answer, broken]
    );
    let expected = Conversation { updated_at: at(20), ..conversation };
    assert_eq!(store.get(expected.id).await.unwrap(), Some(expected));
}

/// `append` to an unknown conversation is `NotFound`.
pub async fn append_to_what_is_not_there_is_not_found<S: ConversationStore + ?Sized>(store: &S, ada: UserId) {
    let nowhere = message(ConversationId::new(), 1);
    assert_eq!(store.append(&nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
    let gone = conversation(Some(ada));
    store.create(&gone).await.unwrap();
    store.delete(gone.id).await.unwrap();
    assert_eq!(store.append(&message(gone.id, 1)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `messages` returns the latest messages of one conversation, or the latest before one of them, oldest first.
pub async fn messages_gives_the_latest_oldest_first<S: ConversationStore + ?Sized>(store: &S, ada: UserId) {
    let [one, other] = [conversation(Some(ada)), conversation(Some(ada))];
    store.create(&one).await.unwrap();
    store.create(&other).await.unwrap();
    let mut said: Vec<StoredMessage> = Vec::new();
    for second in 0..5 {
        said.push(message(one.id, second));
        store.append(&said[said.len() - 1]).await.unwrap();
        store.append(&message(other.id, second)).await.unwrap();
    }
    assert_eq!(store.messages(one.id, None, 100, u64::MAX).await.unwrap(), said);
    assert_eq!(store.messages(one.id, None, 2, u64::MAX).await.unwrap(), said[3..]);
    assert_eq!(store.messages(one.id, Some(said[3].id), 2, u64::MAX).await.unwrap(), said[1..3]);
    assert_eq!(store.messages(one.id, Some(said[0].id), 2, u64::MAX).await.unwrap(), []);
    assert_eq!(store.messages(ConversationId::new(), None, 2, u64::MAX).await.unwrap(), []);
}

/// `messages` stops after the message with which the contents reach `max_bytes`, and loads no content beyond it.
pub async fn messages_stops_at_its_bytes<S: ConversationStore + ?Sized>(store: &S, ada: UserId) {
    let one = conversation(Some(ada));
    store.create(&one).await.unwrap();
    let mut said: Vec<StoredMessage> = Vec::new();
    for second in 0..5 {
        // 25 characters of 4 bytes: the limit counts bytes.
        let message =
            StoredMessage { message: ChatMessage::user("🦀".repeat(25)), ..message(one.id, second) };
        store.append(&message).await.unwrap();
        said.push(message);
    }
    for (max_bytes, first) in
        [(0, 5), (1, 4), (100, 4), (101, 3), (399, 1), (400, 1), (401, 0), (u64::MAX, 0)]
    {
        let found = store.messages(one.id, None, 10, max_bytes).await.unwrap();
        assert_eq!(found, said[first..], "{max_bytes}");
    }
    assert_eq!(store.messages(one.id, None, 2, 401).await.unwrap(), said[3..]);
    assert_eq!(store.messages(one.id, Some(said[3].id), 10, 150).await.unwrap(), said[1..3]);
}

/// `delete` removes a conversation with its messages and no other; an unknown one is `NotFound`.
pub async fn delete_removes_a_conversation_with_its_messages<S: ConversationStore + ?Sized>(
    store: &S,
    ada: UserId,
) {
    let [one, other] = [conversation(Some(ada)), conversation(Some(ada))];
    for conversation in [&one, &other] {
        store.create(conversation).await.unwrap();
        store.append(&message(conversation.id, 1)).await.unwrap();
    }
    store.delete(one.id).await.unwrap();
    assert_eq!(store.get(one.id).await.unwrap(), None);
    assert_eq!(store.messages(one.id, None, 10, u64::MAX).await.unwrap(), []);
    assert_eq!(store.messages(other.id, None, 10, u64::MAX).await.unwrap().len(), 1);
    assert_eq!(store.delete(one.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// With a limit, a conversation beyond it is `Conflict` and is not added, also under concurrent creation. Conversations
/// without an owner have no limit.
pub async fn limit_holds_under_concurrent_additions<S: ConversationStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let many: Vec<Conversation> = (0..12).map(|_| conversation(Some(ada))).collect();
    let outcomes = join_all(many.iter().map(|new| store.create_within(new, Some(5)))).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!((outcomes.len() - refused.len(), refused.len()), (5, 7), "{outcomes:?}");
    assert!(refused.iter().all(|e| e.kind() == ErrorKind::Conflict), "{refused:?}");
    assert_eq!(store.list(Some(ada), PageLimit::MAX.into()).await.unwrap().items.len(), 5);
    store.create_within(&conversation(Some(eve)), Some(1)).await.unwrap();
    for _ in 0..3 {
        store.create_within(&conversation(None), Some(1)).await.unwrap();
    }
    store.create(&conversation(Some(ada))).await.unwrap();
}

/// With a quota a message after which the conversations of its owner would have more messages or bytes is `Conflict` and is not added, however many are added at once. What was deleted does not count, and nobody's conversations have no quota.
pub async fn message_quota_holds_under_concurrent_additions<S: ConversationStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let [one, two] = [0; 2].map(|_| conversation(Some(ada)));
    let (theirs, nobodys) = (conversation(Some(eve)), conversation(None));
    for conversation in [&one, &two, &theirs, &nobodys] {
        store.create(conversation).await.unwrap();
    }
    let say = |conversation: &Conversation, bytes: usize| StoredMessage {
        message: ChatMessage::user("x".repeat(bytes)),
        ..message(conversation.id, 1)
    };
    let counts = Some(MessageQuota { messages: 5, bytes: 1_000_000 });
    let many: Vec<StoredMessage> = (0..12).map(|n| say([&one, &two][n % 2], 100)).collect();
    let outcomes = join_all(many.iter().map(|said| store.append_within(said, counts))).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!((outcomes.len() - refused.len(), refused.len()), (5, 7), "{outcomes:?}");
    assert!(refused.iter().all(|e| e.kind() == ErrorKind::Conflict), "{refused:?}");
    assert!(refused[0].message().contains("at most 5 messages"), "{}", refused[0]);
    let mut kept = 0;
    for conversation in [&one, &two] {
        kept += store.messages(conversation.id, None, 100, u64::MAX).await.unwrap().len();
    }
    assert_eq!(kept, 5, "a refused message was added");

    // Five messages have 500 bytes by now.
    let bytes = Some(MessageQuota { messages: 100, bytes: 700 });
    let e = store.append_within(&say(&one, 201), bytes).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Conflict);
    assert!(e.message().contains("at most 700 bytes"), "{e}");
    store.append_within(&say(&one, 200), bytes).await.unwrap();
    assert_eq!(store.append_within(&say(&two, 1), bytes).await.unwrap_err().kind(), ErrorKind::Conflict);
    // An answer is added whatever the quota.
    store.append(&say(&two, 1_000)).await.unwrap();
    store.append_within(&say(&theirs, 700), bytes).await.unwrap();
    for _ in 0..3 {
        store.append_within(&say(&nobodys, 700), bytes).await.unwrap();
    }
    store.delete(two.id).await.unwrap();
    let left = store.messages(one.id, None, 100, u64::MAX).await.unwrap();
    let left = left.iter().map(|said| said.message.content.len()).sum::<usize>();
    store.append_within(&say(&one, 700 - left), bytes).await.unwrap();
    let missing = say(&two, 1);
    assert_eq!(store.append_within(&missing, bytes).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `delete_all` removes all conversations of one owner with their messages and returns their number.
pub async fn delete_all_removes_what_is_one_owners<S: ConversationStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let of = [Some(ada), Some(ada), Some(eve), None].map(conversation);
    for conversation in &of {
        store.create(conversation).await.unwrap();
        store.append(&message(conversation.id, 1)).await.unwrap();
    }
    assert_eq!(store.delete_all(ada).await.unwrap(), 2);
    for (conversation, kept) in of.iter().zip([false, false, true, true]) {
        assert_eq!(store.get(conversation.id).await.unwrap().is_some(), kept);
        assert_eq!(
            store.messages(conversation.id, None, 10, u64::MAX).await.unwrap().len(),
            usize::from(kept)
        );
    }
    assert_eq!(store.delete_all(ada).await.unwrap(), 0);
}

fn conversation(owner: Option<UserId>) -> Conversation {
    Conversation {
        id: ConversationId::new(),
        owner,
        title: String::new(),
        model: None,
        system: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn message(conversation: ConversationId, second: i64) -> StoredMessage {
    StoredMessage::new(conversation, Role::User, format!("said at {second}"), at(second))
}

/// Returns a whole second of 2026, which every store can keep.
fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap()
}
