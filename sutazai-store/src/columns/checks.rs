//! Checks of the lists over a database: they agree with its tables, and every column is read as it was written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    AgentMessage, AgentMessageContent, ApiKey, ApiKeyId, BusMessage, ChatMessage, Chunk, ConcurrencyLimits,
    Conversation, ConversationId, Document, DocumentId, EventKind, EventOffset, FinishReason, InstanceId,
    Invitation, InvitationId, MediaType, MessageId, MissedRuns, ModelUsage, NewEvent, NewSchedule, NewTask,
    OverlapPolicy, PageRequest, Role, Schedule, ScheduleId, Scope, Session, SessionId, SpentToken,
    StoredMessage, Successor, Task, TaskError, TaskEvent, TaskId, TaskStatus, UploadKey, User, UserId,
    UserRole,
};
use sutazai_core::ports::{ClaimRequest, RelayClaim};
use sutazai_core::task_store::{Record, TaskRepository, WriteSet};

use super::{AgentHeartbeat, Cell, Column, Entity, RelayPosition, SAMPLE, SERIES, Wait};
use crate::Stores;
use crate::error::StoreError;

/// Fields whose columns have other names: table, field, column. All other columns are named like their fields,
/// so a list cannot swap two of them.
const RENAMED: [(&str, &str, &str); 11] = [
    ("api_keys", "user", "user_id"),
    ("chunks", "document", "document_id"),
    ("chunks", "index", "number"),
    ("chunks", "start", "start_char"),
    ("chunks", "end", "end_char"),
    ("messages", "conversation", "conversation_id"),
    ("metric_series", "series", "name"),
    ("task_waits", "parent", "parent_id"),
    ("task_waits", "child", "child_id"),
    ("tasks", "parent", "parent_id"),
    ("user_sessions", "user", "user_id"),
];

/// Returns the table of each entity, with the fields and names of its columns.
fn lists() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    fn part<E>(
        table: &'static str,
        columns: &'static [Column<E>],
    ) -> (&'static str, Vec<(&'static str, &'static str)>) {
        (table, columns.iter().map(|column| (column.field, column.name)).collect())
    }
    fn list<E: Entity>(table: &'static str) -> (&'static str, Vec<(&'static str, &'static str)>) {
        part(table, E::COLUMNS)
    }
    vec![
        list::<Record>("tasks"),
        list::<TaskEvent>("task_events"),
        list::<Wait>("task_waits"),
        list::<AgentMessage>("agent_messages"),
        list::<BusMessage>("outbox"),
        list::<RelayPosition>("relay"),
        list::<AgentHeartbeat>("agents"),
        list::<Schedule>("schedules"),
        list::<User>("users"),
        list::<Session>("user_sessions"),
        list::<SpentToken>("spent_refresh_tokens"),
        list::<Invitation>("invitations"),
        list::<ApiKey>("api_keys"),
        list::<Conversation>("conversations"),
        list::<StoredMessage>("messages"),
        list::<Document>("documents"),
        list::<Chunk>("chunks"),
        part("metric_series", SERIES),
        part("metric_samples", SAMPLE),
    ]
}

/// Asserts that each list has the columns of its table, except those that only this database needs, and that
/// no other table is without a list.
pub(crate) fn assert_lists_match(
    tables: &BTreeMap<String, BTreeSet<String>>,
    only_here: &[(&str, &[&str])],
    unlisted: &[&str],
) {
    let lists = lists();
    let listed = lists.iter().map(|(table, _)| *table);
    let known: BTreeSet<&str> = listed.chain(unlisted.iter().copied()).collect();
    assert_eq!(tables.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "tables");
    let only_here: HashMap<&str, &[&str]> = only_here.iter().copied().collect();
    for (table, columns) in lists {
        let more = only_here.get(table).copied().unwrap_or_default();
        let known: Vec<&str> = columns.iter().map(|(_, name)| *name).chain(more.iter().copied()).collect();
        let expected: BTreeSet<String> = known.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(expected.len(), known.len(), "a column of {table} is listed twice");
        assert_eq!(tables[table], expected, "columns of {table}");
        for (field, name) in columns {
            assert!(field == name || RENAMED.contains(&(table, field, name)), "{table}: {field} as {name}");
        }
    }
}

/// Asserts that every column has a value, and no two of them the same.
fn assert_distinct<E: Entity>(entity: &E) {
    let cell = |column: &'static Column<E>| (column.name, (column.get)(entity).unwrap());
    let cells: Vec<_> = E::COLUMNS.iter().map(cell).collect();
    for (place, (name, cell)) in cells.iter().enumerate() {
        assert_ne!(*cell, Cell::Null, "{name}");
        let same = cells[..place].iter().find(|(_, other)| other == cell);
        assert_eq!(same, None, "{name} has no value of its own");
    }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(2_000_000_000 + second, 0).unwrap()
}

fn pending(agent: &str) -> Task {
    let trace = format!("00-{:032x}-{:016x}-01 trace", 1, 2).parse().unwrap();
    Task { trace: Some(trace), ..Task::pending(NewTask::new(agent, json!({})), None, None, at(0)) }
}

/// Returns a new task, claimed, in which every column that INSERT writes has another value, and the task after a
/// change of every column that can change.
fn records(parent: TaskId) -> (Record, Record) {
    let added = Record {
        task: Task {
            owner: Some(UserId::new()),
            title: "title".into(),
            description: "description".into(),
            payload: json!({ "column": "payload" }),
            priority: 9,
            timeout_seconds: 30,
            max_attempts: 40,
            run_at: at(4),
            idempotency_key: Some("idempotency_key".into()),
            unique_key: Some("unique_key".into()),
            status: TaskStatus::Processing,
            attempt: 1,
            parent: Some(parent),
            worker: Some(InstanceId::new()),
            lease_until: Some(at(5)),
            created_at: at(6),
            updated_at: at(7),
            started_at: Some(at(7)),
            ..pending("agent")
        },
        last_sequence: 2,
        awaited: true,
        damaged: Vec::new(),
    };
    let changed = Record {
        task: Task {
            run_at: at(14),
            status: TaskStatus::Failed,
            attempt: 15,
            failures: 16,
            result: Some(json!({ "changed": "result" })),
            error: Some(TaskError { kind: ErrorKind::Timeout, message: "changed".into() }),
            state: Some(json!({ "changed": "state" })),
            waiting_for: 17,
            cancel_requested: true,
            worker: Some(InstanceId::new()),
            lease_until: Some(at(18)),
            updated_at: at(19),
            started_at: Some(at(20)),
            finished_at: Some(at(21)),
            ..added.task.clone()
        },
        last_sequence: 22,
        awaited: false,
        damaged: Vec::new(),
    };
    (added, changed)
}

/// Adds a task and a message between agents with a value in every column, changes every column of the task that
/// can change, and asserts after each write that the task is read as it was written; then does so with waits.
/// Returns the message.
pub(crate) async fn assert_tasks_are_kept(
    rows: &mut impl TaskRepository<Error = StoreError>,
) -> AgentMessage {
    let parent = Record::new(pending("parent"));
    let (added, changed) = records(parent.task.id);
    assert_distinct(&changed);
    for column in Record::changes() {
        assert_ne!((column.get)(&added).unwrap(), (column.get)(&changed).unwrap(), "{}", column.name);
    }
    let id = added.task.id;
    let content = AgentMessageContent::Result(json!({ "column": "payload" }));
    let message = AgentMessage::new(("source", "target"), (parent.task.id, id), content, at(23));
    assert_distinct(&message);
    let messages = std::slice::from_ref(&message);
    let add = WriteSet { added: vec![&parent, &added], changed: vec![], events: &[], messages };
    rows.write(add).await.unwrap();
    assert_kept(&rows.load(&[id]).await.unwrap(), &added);
    let change = WriteSet { added: vec![], changed: vec![&changed], events: &[], messages: &[] };
    rows.write(change).await.unwrap();
    assert_kept(&rows.load(&[id]).await.unwrap(), &changed);
    let parent = parent.task.id;
    rows.set_waits(parent, &[id, parent], &HashSet::from([id])).await.unwrap();
    assert_eq!(rows.waits(&[parent]).await.unwrap(), [(parent, id), (parent, parent)]);
    assert_eq!(rows.close_waits(parent).await.unwrap(), HashSet::new());
    assert_eq!(rows.close_waits(id).await.unwrap(), HashSet::from([parent]));
    message
}

fn assert_kept(read: &[Record], written: &Record) {
    let [read] = read else { panic!("expected one task, got {read:?}") };
    assert_eq!(read.damaged, Vec::<&str>::new());
    assert_eq!(read.task, written.task);
    assert_eq!((read.last_sequence, read.awaited), (written.last_sequence, written.awaited));
}

/// Writes each of the other entities with a value in every column, and asserts that it is read as it was written.
pub(crate) async fn assert_entities_are_kept(stores: &Stores) {
    let user = accounts(stores).await;
    schedules(stores).await;
    conversations(stores, user).await;
    documents(stores, user).await;
    events(stores).await;
}

/// Checks users, sessions, invitations and API keys; returns a user.
async fn accounts(stores: &Stores) -> UserId {
    let identity = &stores.identity;
    let user = User {
        id: UserId::new(),
        username: "Username".into(),
        email: "Email@example.org".into(),
        password_hash: "password_hash".into(),
        role: UserRole::Admin,
        disabled: true,
        created_at: at(1),
        last_login_at: Some(at(2)),
    };
    assert_distinct(&user);
    identity.create_user(&user).await.unwrap();
    assert_eq!(identity.user(user.id).await.unwrap(), Some(user.clone()));
    for login in [&user.username, &user.email] {
        assert_eq!(identity.user_by_login(login).await.unwrap(), Some(user.clone()));
    }
    let (username, email) = ("enabled".to_owned(), "enabled@example.org".to_owned());
    let enabled = User { id: UserId::new(), username, email, disabled: false, ..user };
    identity.create_user(&enabled).await.unwrap();

    let session = Session {
        id: SessionId::new(),
        user: enabled.id,
        refresh_hash: "refresh_hash".into(),
        created_at: at(3),
        refreshed_at: at(4),
        expires_at: at(5),
        revoked_at: Some(at(6)),
        user_agent: Some("user_agent".into()),
    };
    assert_distinct(&session);
    identity.create_session(&session).await.unwrap();
    assert_eq!(identity.session(session.id).await.unwrap(), Some(session.clone()));
    let open = Session { id: SessionId::new(), revoked_at: None, ..session };
    identity.create_session(&open).await.unwrap();
    let new = Successor { hash: "new".into(), salt: "salt".into() };
    identity.rotate(open.id, &open.refresh_hash, &new, at(4), at(5)).await.unwrap();
    let spent = identity.spent_token(open.id, &open.refresh_hash).await.unwrap();
    assert_eq!(spent, Some(SpentToken { spent_at: at(4), salt: Some("salt".into()) }));

    let invitation = Invitation {
        id: InvitationId::new(),
        hash: "hash".into(),
        created_by: Some(enabled.id),
        created_at: at(1),
        expires_at: at(2),
    };
    assert_distinct(&invitation);
    identity.create_invitation(&invitation).await.unwrap();
    assert_eq!(identity.invitations(at(1)).await.unwrap(), [invitation]);

    let key = ApiKey {
        id: ApiKeyId::new(),
        user: enabled.id,
        name: "name".into(),
        prefix: "prefix".into(),
        hash: "hash".into(),
        scopes: vec![Scope::TasksRead],
        requests_per_minute: NonZeroU32::new(1),
        created_at: at(2),
        expires_at: Some(at(3)),
        last_used_at: Some(at(4)),
    };
    assert_distinct(&key);
    stores.api_keys.create(&key).await.unwrap();
    assert_eq!(stores.api_keys.find("hash").await.unwrap(), Some(key));
    enabled.id
}

async fn schedules(stores: &Stores) {
    let schedule = Schedule {
        id: ScheduleId::new(),
        owner: Some(UserId::new()),
        plan: NewSchedule {
            name: "name".into(),
            agent: "agent".into(),
            payload: json!({ "column": "payload" }),
            priority: 1,
            cron: "cron".into(),
            time_zone: "time_zone".into(),
            missed_runs: MissedRuns::Once,
            overlap_policy: OverlapPolicy::Skip,
            enabled: true,
        },
        next_run_at: Some(at(2)),
        last_run_at: Some(at(3)),
        last_task: Some(TaskId::new()),
        queued: vec![at(4)],
        created_at: at(5),
        updated_at: at(6),
    };
    assert_distinct(&schedule);
    stores.schedules.create(&schedule).await.unwrap();
    assert_eq!(stores.schedules.get(schedule.id).await.unwrap(), Some(schedule.clone()));
    let changed = Schedule {
        plan: NewSchedule {
            name: "new name".into(),
            agent: "new agent".into(),
            payload: json!({ "changed": "payload" }),
            priority: 7,
            cron: "new cron".into(),
            time_zone: "new time_zone".into(),
            missed_runs: MissedRuns::Skip,
            overlap_policy: OverlapPolicy::Queue,
            enabled: false,
        },
        next_run_at: Some(at(8)),
        queued: vec![at(9)],
        updated_at: at(10),
        ..schedule.clone()
    };
    for column in Schedule::changes() {
        assert_ne!((column.get)(&schedule).unwrap(), (column.get)(&changed).unwrap(), "{}", column.name);
    }
    stores.schedules.replace(&changed).await.unwrap();
    assert_eq!(stores.schedules.get(changed.id).await.unwrap(), Some(changed));
}

async fn conversations(stores: &Stores, owner: UserId) {
    let conversation = Conversation {
        id: ConversationId::new(),
        owner: Some(owner),
        title: "title".into(),
        model: Some("model".into()),
        system: Some("system".into()),
        created_at: at(1),
        updated_at: at(2),
    };
    assert_distinct(&conversation);
    stores.conversations.create(&conversation).await.unwrap();
    assert_eq!(stores.conversations.get(conversation.id).await.unwrap(), Some(conversation.clone()));
    let message = StoredMessage {
        id: MessageId::new(),
        conversation: conversation.id,
        message: ChatMessage { role: Role::Assistant, content: "content".into() },
        created_at: at(3),
        cut: true,
        usage: Some(ModelUsage {
            backend: "backend".into(),
            model: "model".into(),
            prompt_tokens: 4,
            completion_tokens: 5,
            finish_reason: FinishReason::Stop,
            refusal: None,
            degraded: Some("degraded".into()),
            fluency: None,
        }),
    };
    assert_distinct(&message);
    stores.conversations.append(&message).await.unwrap();
    let read = stores.conversations.messages(conversation.id, None, 10, 1_000).await.unwrap();
    assert_eq!(read, [message]);
}

async fn documents(stores: &Stores, owner: UserId) {
    let document = Document {
        id: DocumentId::new(),
        owner: Some(owner),
        title: "title".into(),
        media_type: MediaType::Markdown,
        size_bytes: 1,
        chunks: 2,
        created_at: at(3),
        upload_key: Some(UploadKey { key: "key".into(), digest: "digest".into() }),
    };
    let chunk = |index| Chunk {
        document: document.id,
        index,
        start: 10 + index,
        end: 20 + index,
        text: "text".into(),
    };
    let chunks = vec![chunk(0), chunk(1)];
    assert_distinct(&document);
    chunks.iter().for_each(assert_distinct);
    stores.documents.add(&document, chunks.clone()).await.unwrap();
    assert_eq!(stores.documents.get(document.id).await.unwrap(), Some(document.clone()));
    assert_eq!(stores.documents.chunks(document.id, 0, 10).await.unwrap(), chunks);
    let again = Document { id: DocumentId::new(), ..document.clone() };
    assert_eq!(stores.documents.add_within(&again, chunks, None).await.unwrap(), document);
}

/// Checks events, and the messages about a deleted task in the outbox.
async fn events(stores: &Stores) {
    let relay = RelayClaim { holder: InstanceId::new(), lease: Duration::from_secs(30), now: at(0) };
    stores.relays.acquire(&relay, EventOffset(0)).await.unwrap().unwrap();
    let task = stores.tasks.enqueue(vec![pending("reporter")]).await.unwrap().remove(0);
    let request = ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["reporter".into()],
        limit: 1,
        lease: Duration::from_secs(30),
        now: at(1),
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let claim = stores.tasks.claim(&request).await.unwrap().remove(0).key();
    let event = NewEvent { at: at(2), kind: EventKind::text("kind") };
    stores.tasks.append(&claim, vec![event.clone()]).await.unwrap();
    let reported = TaskEvent { task_id: task.id, sequence: 3, at: event.at, kind: event.kind };
    assert_distinct(&reported);
    assert_eq!(stores.tasks.events_after(task.id, 2, 10).await.unwrap(), [reported]);
    stores.tasks.reap(at(60)).await.unwrap();
    let cancelled = stores.tasks.cancel(task.id, at(61)).await.unwrap();
    let events = stores.tasks.events_after(task.id, 0, 10).await.unwrap();
    stores.tasks.delete(task.id).await.unwrap();
    let outbox = stores.relays.outbox(10).await.unwrap();
    let expected: Vec<BusMessage> =
        events.iter().map(|event| BusMessage::of_event(event, &cancelled)).collect();
    assert_eq!(outbox.into_iter().map(|left| left.message).collect::<Vec<_>>(), expected);
    assert!(expected.len() > 3, "{expected:?}");
    expected.iter().for_each(assert_distinct);
}

/// Asserts that the store returns this message for its task.
pub(crate) async fn assert_message_is_kept(stores: &Stores, message: &AgentMessage) {
    let page = stores.tasks.agent_messages(message.task_id, PageRequest::default()).await.unwrap();
    assert_eq!(page.items, std::slice::from_ref(message));
}
