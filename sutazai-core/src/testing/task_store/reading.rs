//! Checks about reading: events, listings, statistics and wake-ups.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::sync::broadcast;

use super::stage::{
    LEASE, all_of, at, claim, claimed, due, enqueue, error, events, read, record_outcomes, request, task,
    task_with,
};
use crate::domain::{
    Backlog, ClaimKey, EventKind, Evidence, Finding, FindingCounts, InstanceId, MAX_AHEAD, NewEvent, NewTask,
    Outcome, PageRequest, PriorityLevel, Remedy, Severity, Task, TaskCount, TaskId, TaskQuery, TaskSearch,
    TaskStatistics, TaskStatus, TaskSummary, UserId,
};
use crate::error::ErrorKind;
use crate::ports::{TaskStore, WakeUp};
use crate::testing::{large_json, real_time};

/// Every kind of event that an agent reports is read back as it was appended.
pub async fn events_read_back_unchanged(store: Arc<dyn TaskStore>) {
    let held = claimed(&*store, task()).await;
    let evidence = |value, since| Evidence {
        metric: "host.disks[/a \"b\"].used_percent".into(),
        value,
        unit: "percent".into(),
        threshold: Some(95.0),
        since,
    };
    let finding = Finding {
        id: "disk_space:/a".into(),
        rule: "disk_space".into(),
        severity: Severity::Critical,
        resource: "disk /a".into(),
        summary: "Disk /a is 96.4 % full \u{1f600}.".into(),
        evidence: vec![evidence(96.5, Some(at(1))), evidence(0.25, None)],
        remedies: vec![Remedy { text: "Look.".into(), command: Some("df -h | sort".into()) }],
    };
    let kinds = [
        EventKind::Progress { fraction: 0.2, message: "1 finding".into(), stage: Some("judging".into()) },
        EventKind::Findings { findings: vec![finding] },
        EventKind::Findings { findings: Vec::new() },
        EventKind::Text { text: "Disk /a".into(), finding_id: Some("disk_space:/a".into()) },
        EventKind::text(""),
    ];
    let reported = kinds.clone().map(|kind| NewEvent { at: at(2), kind }).to_vec();
    store.append(&held.key(), reported).await.unwrap();
    let read = events(&*store, held.task.id).await.into_iter().skip(2).map(|event| event.kind);
    assert_eq!(read.collect::<Vec<_>>(), kinds);
}

/// Event sequences are 1, 2, 3 ... without gaps within a task, also under concurrent appends; `append` under a spent
/// claim is `Conflict` and adds nothing.
pub async fn event_sequences_have_no_gaps(store: Arc<dyn TaskStore>) {
    let held = claimed(&*store, task()).await;
    let other = claimed(&*store, task()).await;
    let (id, key) = (held.task.id, held.key());
    let text = |text: String| NewEvent { at: at(2), kind: EventKind::text(text) };
    let progress = NewEvent { at: at(1), kind: EventKind::progress(0.25, "¼") };
    store.append(&key, vec![progress.clone(), text("a".into())]).await.unwrap();
    store.append(&key, Vec::new()).await.unwrap();
    let so_far = events(&*store, id).await;
    assert_eq!((so_far.len(), &so_far[2].kind, so_far[2].at), (4, &progress.kind, at(1)));

    let writers = (0..8).map(|writer| {
        let (store, key) = (store.clone(), if writer == 7 { other.key() } else { key });
        tokio::spawn(async move {
            for n in 0..20 {
                let pair = vec![text(format!("{writer}/{n}a")), text(format!("{writer}/{n}b"))];
                store.append(&key, pair).await.unwrap();
            }
        })
    });
    let beside = store.clone();
    let users = tokio::spawn(async move { beside.cancel(id, at(2)).await.unwrap() });
    join_all(writers.chain([tokio::spawn(async move {
        users.await.unwrap();
    })]))
    .await
    .into_iter()
    .for_each(|writer| writer.unwrap());
    let all = events(&*store, id).await;
    let texts: Vec<&str> = all
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Text { text, .. } => Some(text.as_str()),
            EventKind::Status { .. } | EventKind::Progress { .. } | EventKind::Findings { .. } => None,
        })
        .collect();
    assert_eq!((all.len(), texts.len()), (4 + 7 * 40, 1 + 7 * 40), "an event was lost");
    for writer in 0..7 {
        let mine: Vec<&str> =
            texts.iter().copied().filter(|text| text.starts_with(&format!("{writer}/"))).collect();
        let expected: Vec<String> =
            (0..20).flat_map(|n| [format!("{writer}/{n}a"), format!("{writer}/{n}b")]).collect();
        assert_eq!(mine, expected, "the events of one writer in its order");
    }
    assert_eq!(events(&*store, other.task.id).await.len(), 2 + 40, "each task counts for itself");

    let page = store.events_after(id, 100, 7).await.unwrap();
    assert_eq!(page, all[100..107]);
    assert_eq!(store.events_after(id, all.len() as u64, 7).await.unwrap(), []);
    record_outcomes(&*store, &held, Outcome::Released, 3).await.unwrap();
    let before = all_of(&*store, id).await;
    let foreign = ClaimKey { worker: InstanceId::new(), ..other.key() };
    for spent in [key, foreign, ClaimKey { task: TaskId::new(), ..key }] {
        for late in [vec![text("late".into()), progress.clone()], Vec::new()] {
            assert_eq!(store.append(&spent, late).await.unwrap_err().kind(), ErrorKind::Conflict);
        }
    }
    assert_eq!(all_of(&*store, id).await, before);
    assert_eq!(events(&*store, other.task.id).await.len(), 2 + 40);
}

/// `list` is newest first, filters by every field of the query, and pages without losing or repeating a task while
/// others are added.
pub async fn list_pages_without_losing_or_doubling(store: Arc<dyn TaskStore>) {
    let (ada, eve) = (UserId::new(), UserId::new());
    let mut tasks = Vec::new();
    for n in 0..45_i64 {
        let owner = [None, Some(ada), Some(eve)][n as usize % 3];
        let agent = ["echo", "upper"][n as usize % 2];
        let new = task_with(|new| new.title = format!("Look {n}"), owner);
        tasks.push(Task { created_at: at(n), agent: agent.into(), ..new });
    }
    store.enqueue(tasks.clone()).await.unwrap();
    // One parent with two children, one running task, one ended task.
    let held = claim(&*store, 100).await;
    let child = || Task { priority: 9, created_at: at(50), ..task_with(|_| {}, held.task.owner) };
    let children: Vec<Task> = (0..2).map(|_| child()).collect();
    record_outcomes(&*store, &held, Outcome::wait_for_all(children.clone(), json!(0)), 100).await.unwrap();
    let ended = claim(&*store, 100).await;
    record_outcomes(&*store, &ended, Outcome::Completed(json!(1)), 100).await.unwrap();
    let mut expected = Vec::new();
    for task in tasks.iter().chain(&children).rev() {
        expected.push(read(&*store, task.id).await);
    }

    let page = |limit| PageRequest::new(None, limit).unwrap();
    let all = TaskQuery { page: page(10), ..TaskQuery::default() };
    let parent = TaskQuery { parent: Some(held.task.id), ..all.clone() };
    type Fits<'a> = &'a dyn Fn(&Task) -> bool;
    let searched = |text: &str| TaskQuery { search: Some(TaskSearch::new(text).unwrap()), ..all.clone() };
    let an_id = tasks[7].id;
    let some_ids = [tasks[4].id, tasks[32].id, TaskId::new(), children[1].id];
    let queries: [(TaskQuery, Fits<'_>); 14] = [
        (all.clone(), &|_| true),
        (TaskQuery { ids: some_ids.to_vec(), ..all.clone() }, &|task| some_ids.contains(&task.id)),
        (TaskQuery { ids: some_ids.to_vec(), owner: Some(ada), ..all.clone() }, &|task| {
            some_ids.contains(&task.id) && task.owner == Some(ada)
        }),
        (TaskQuery { owner: Some(ada), ..all.clone() }, &|task| task.owner == Some(ada)),
        (TaskQuery { statuses: vec![TaskStatus::Completed], ..all.clone() }, &|task| {
            task.status == TaskStatus::Completed
        }),
        (
            TaskQuery { statuses: vec![TaskStatus::Completed, TaskStatus::Processing], ..all.clone() },
            &|task| [TaskStatus::Completed, TaskStatus::Processing].contains(&task.status),
        ),
        (searched("K 1"), &|task| task.title.contains("k 1")),
        (searched(""), &|_| true),
        (searched(&an_id.to_string()), &|task| task.id == an_id),
        (TaskQuery { agent: Some("upper".into()), ..all.clone() }, &|task| task.agent == "upper"),
        (parent.clone(), &|task| task.parent.is_some()),
        (TaskQuery { created_after: Some(at(20)), ..all.clone() }, &|task| task.created_at >= at(20)),
        (TaskQuery { created_before: Some(at(20)), ..all.clone() }, &|task| task.created_at < at(20)),
        (
            TaskQuery {
                owner: Some(eve),
                agent: Some("echo".into()),
                statuses: vec![TaskStatus::Pending],
                created_after: Some(at(5)),
                created_before: Some(at(30)),
                page: page(3),
                ..all.clone()
            },
            &|task| {
                (task.owner, task.agent.as_str(), task.status) == (Some(eve), "echo", TaskStatus::Pending)
                    && (at(5)..at(30)).contains(&task.created_at)
            },
        ),
    ];
    for (query, fits) in &queries {
        let wanted: Vec<Task> = expected.iter().filter(|task| fits(task)).cloned().collect();
        assert!(!wanted.is_empty(), "the query finds nothing to prove: {query:?}");
        assert_eq!(pages(&*store, query, false).await, wanted, "{query:?}");
        let mut summaries = Vec::new();
        let mut query = query.clone();
        loop {
            let page = store.summaries(&query).await.unwrap();
            assert!(page.items.len() <= query.page.limit.get() as usize, "a page longer than its limit");
            summaries.extend(page.items);
            query.page.cursor = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(summaries, wanted.into_iter().map(TaskSummary::from).collect::<Vec<_>>(), "{query:?}");
    }
    let by_id = searched(&an_id.to_string()[..8]);
    assert!(pages(&*store, &by_id, false).await.iter().any(|task| task.id == an_id));
    for nowhere in ["%", "_", "task  1", "'; --", "ÄÖÜ", &TaskId::new().to_string()] {
        assert_eq!(pages(&*store, &searched(nowhere), false).await, [], "{nowhere}");
    }
    for nobodys in ["", "\0", "echo\0", "\u{10ffff}0", "'; --", "%"] {
        let query = TaskQuery { agent: Some(nobodys.into()), ..all.clone() };
        assert_eq!(pages(&*store, &query, false).await, [], "{nobodys:?}");
    }
    let completed = TaskQuery { statuses: vec![TaskStatus::Completed], ..parent };
    assert_eq!(pages(&*store, &completed, false).await.len(), 1);
    let nobody = TaskQuery { owner: Some(UserId::new()), ..all.clone() };
    assert_eq!(pages(&*store, &nobody, false).await, []);
    assert_eq!(pages(&*store, &TaskQuery { page: page(47), ..all.clone() }, false).await.len(), 47);
    assert_eq!(pages(&*store, &all, true).await, expected, "what came in between shifted the pages");
}

/// A page of `list` with several tasks has at most 1 MB of payloads, results and states; a larger task has a page of
/// its own.
pub async fn list_ends_pages_before_they_are_large(store: Arc<dyn TaskStore>) {
    let ada = Some(UserId::new());
    let tasks: Vec<Task> = [30_000, 50_000, 400_000, 10, 10]
        .iter()
        .zip(0..)
        .map(|(values, n)| Task { created_at: at(n), payload: large_json(*values), ..task_with(|_| {}, ada) })
        .collect();
    store.enqueue(tasks.clone()).await.unwrap();
    for owner in [ada, None] {
        let query = TaskQuery { owner, statuses: vec![TaskStatus::Pending], ..TaskQuery::default() };
        for query in [TaskQuery { statuses: vec![], ..query.clone() }, query] {
            let (mut cursor, mut sizes, mut found) = (None, Vec::new(), Vec::new());
            loop {
                let page = PageRequest::new(cursor, 100).unwrap();
                let page = store.list(&TaskQuery { page, ..query.clone() }).await.unwrap();
                sizes.push(page.items.len());
                found.extend(page.items.into_iter().map(|task| task.id));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(sizes, [2, 1, 2], "two small ones, the large one, and two that fit together");
            assert_eq!(found, tasks.iter().rev().map(|task| task.id).collect::<Vec<_>>());
        }
    }
}

/// `summaries` lists the same tasks in the same order without their payloads, results and states, which do not count towards
/// the size of a page.
pub async fn summaries_have_no_content(store: Arc<dyn TaskStore>) {
    let ada = Some(UserId::new());
    let large = large_json(400_000);
    let payload = |n| if n < 4 { large.clone() } else { json!({}) };
    let new = |n: i64| Task { created_at: at(n), payload: payload(n), ..task_with(|_| {}, ada) };
    store.enqueue((0..8).map(new).collect()).await.unwrap();
    let finding = |severity: serde_json::Value| json!({ "id": "a", "severity": severity });
    let found =
        ["critical", "info", "info", "warning", "odd\"", "critical,info"].map(|word| finding(word.into()));
    let odd = [json!("critical"), json!(["severity", "info"]), json!({}), finding(json!(3)), json!(null)];
    for result in [
        json!({ "priority_level": "high", "snapshot": large, "findings": found }),
        json!({ "priority_level": "unknown", "findings": odd }),
        json!({ "findings": { "severity": "info" } }),
        json!({ "findings": [] }),
        json!({ "priority_level": "unheard of" }),
        json!({ "priority_level": 3 }),
        json!(["priority_level"]),
    ] {
        let held = claim(&*store, 10).await;
        record_outcomes(&*store, &held, Outcome::Completed(result), 10).await.unwrap();
    }
    for query in [
        TaskQuery { owner: ada, ..TaskQuery::default() },
        TaskQuery { statuses: vec![TaskStatus::Completed, TaskStatus::Pending], ..TaskQuery::default() },
    ] {
        let page = store.summaries(&query).await.unwrap();
        assert_eq!((page.items.len(), page.next), (8, None));
        for summary in &page.items {
            assert_eq!(*summary, TaskSummary::from(read(&*store, summary.task.id).await));
            assert_eq!((&summary.task.payload, &summary.task.result), (&serde_json::Value::Null, &None));
        }
        let levels: Vec<_> = page.items.iter().filter_map(|summary| summary.priority_level).collect();
        assert_eq!(levels, [PriorityLevel::High]);
        let mut counts: Vec<_> = page.items.iter().filter_map(|summary| summary.findings).collect();
        counts.sort_by_key(|counts| counts.critical);
        let none = FindingCounts::default();
        assert_eq!(counts, [none, none, FindingCounts { critical: 1, warning: 1, info: 2 }]);
    }
}

/// Reads all pages one after the other; with `busy`, new tasks are enqueued in between.
async fn pages(store: &dyn TaskStore, query: &TaskQuery, busy: bool) -> Vec<Task> {
    let (mut found, mut query) = (Vec::new(), query.clone());
    let mut seen = HashSet::new();
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.items.len() <= query.page.limit.get() as usize, "a page longer than its limit");
        assert!(page.next.is_none() || !page.items.is_empty(), "an empty page with another after it");
        for task in page.items {
            assert!(seen.insert(task.id), "a task came twice: {}", task.id);
            found.push(task);
        }
        query.page.cursor = page.next;
        if page.next.is_none() {
            return found;
        }
        if busy {
            store.enqueue(vec![task(), task(), task()]).await.unwrap();
        }
    }
}

/// `statistics` counts tasks by agent and status: those of one owner, or all.
pub async fn statistics_counts(store: Arc<dyn TaskStore>) {
    assert_eq!(store.statistics(None).await.unwrap(), TaskStatistics::default());
    one_of_each_kind(&*store).await;
    let count = |agent: &str, status, count| TaskCount { agent: agent.into(), status, count };
    assert_eq!(
        store.statistics(None).await.unwrap().counts,
        [
            count("echo", TaskStatus::Pending, 4),
            count("echo", TaskStatus::Processing, 1),
            count("echo", TaskStatus::Failed, 1),
            count("other", TaskStatus::Pending, 1),
        ]
    );
    let ada = Some(UserId::new());
    assert_eq!(store.statistics(ada).await.unwrap().counts, []);
    enqueue(&*store, task_with(|_| {}, ada)).await;
    enqueue(&*store, task_with(|_| {}, Some(UserId::new()))).await;
    assert_eq!(store.statistics(ada).await.unwrap().counts, [count("echo", TaskStatus::Pending, 1)]);
    assert_eq!(store.statistics(None).await.unwrap().counts[0], count("echo", TaskStatus::Pending, 6));
}

/// `ahead` counts the due tasks of the same owner that wait for no child and have an earlier scheduling key, at most
/// [`MAX_AHEAD`].
pub async fn ahead_counts_what_is_claimed_first(store: Arc<dyn TaskStore>) {
    let (ada, eve) = (Some(UserId::new()), Some(UserId::new()));
    let new = |owner, priority, second| Task { priority, run_at: at(second), ..task_with(|_| {}, owner) };
    let [third, second, first, last, later] =
        [(5, 20), (5, 10), (9, 500), (0, 5), (5, 10_000)].map(|(priority, at)| new(ada, priority, at));
    let (theirs, nobodys) = (new(eve, 9, 1), new(None, 9, 1));
    let all = [&third, &second, &first, &last, &later, &theirs, &nobodys];
    store.enqueue(all.into_iter().cloned().collect()).await.unwrap();
    for (task, now, expected) in [
        (&first, 600, 0),
        (&second, 600, 1),
        (&third, 600, 2),
        (&last, 600, 3),
        (&third, 15, 1),
        (&later, 20_000, 4),
        (&theirs, 600, 0),
        (&nobodys, 600, 0),
    ] {
        assert_eq!(store.ahead(task, at(now)).await.unwrap(), expected, "{task:?} at {now}");
    }
    let claimed = due(&*store, 600).await;
    let mine = [first.id, second.id, third.id, last.id];
    assert_eq!(claimed.into_iter().filter(|id| mine.contains(id)).collect::<Vec<_>>(), mine);
    assert_eq!(store.ahead(&later, at(20_000)).await.unwrap(), 0, "running tasks are not ahead");
    let many = (0..MAX_AHEAD + 5).map(|_| new(ada, 5, 700)).collect();
    store.enqueue(many).await.unwrap();
    assert_eq!(store.ahead(&later, at(20_000)).await.unwrap(), MAX_AHEAD);
}

/// `backlog` counts the pending tasks that wait for no child and returns the due time of the oldest; ended tasks do not
/// slow it down.
pub async fn backlog_tells_how_far_the_queue_is_behind(store: Arc<dyn TaskStore>) {
    assert_eq!(store.backlog().await.unwrap(), Backlog::default());
    one_of_each_kind(&*store).await;
    let all = Backlog { tasks: 4, oldest: Some(at(1)) };
    assert_eq!(
        store.backlog().await.unwrap(),
        all,
        "the child is due since it was asked for, its parent is not"
    );
    assert_eq!(due(&*store, 2).await, [], "nothing of this agent is due");
    assert_eq!(store.backlog().await.unwrap(), all, "a claim that takes nothing changes nothing");
    let mut request = request(1, 2);
    request.agents = vec!["other".into()];
    assert_eq!(store.claim(&request).await.unwrap().len(), 1);
    let found = store.backlog().await.unwrap();
    assert_eq!(found, Backlog { tasks: 3, oldest: Some(at(500)) });
}

/// Creates a parent that waits for a child of the agent `other`, a failed task, a running one, and three that are due
/// later.
async fn one_of_each_kind(store: &dyn TaskStore) {
    let later = |second| task_with(|new| new.run_at = Some(at(second)), None);
    let parent = claimed(store, task()).await;
    let wait = Outcome::wait_for_all(
        vec![Task::pending(NewTask::new("other", json!({})), None, None, at(1))],
        json!({}),
    );
    record_outcomes(store, &parent, wait, 1).await.unwrap();
    let failed = claimed(store, task()).await;
    record_outcomes(store, &failed, Outcome::Failed(error("no")), 1).await.unwrap();
    claimed(store, task()).await;
    for second in [700, 500, 600] {
        enqueue(store, later(second)).await;
    }
}

/// Subscribers receive `Queue` after an enqueue, a retry and a released claim, and `Task` after every new event.
pub async fn subscriber_is_notified(store: Arc<dyn TaskStore>) {
    let store = &*store;
    let (mut wake_ups, mut second) = (store.subscribe(), store.subscribe());
    let id = enqueue(store, task()).await;
    receives(&mut wake_ups, &[WakeUp::Queue, WakeUp::Task(id)], "enqueue").await;
    let held = claim(store, 0).await;
    receives(&mut wake_ups, &[WakeUp::Task(id)], "claim").await;
    let progress = NewEvent { at: at(1), kind: EventKind::progress(0.5, "") };
    store.append(&held.key(), vec![progress]).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Task(id)], "append").await;
    record_outcomes(store, &held, Outcome::Retry { at: at(1), error: error("once") }, 1).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Queue, WakeUp::Task(id)], "a retry by the worker").await;
    let held = claim(store, 1).await;
    receives(&mut wake_ups, &[WakeUp::Task(id)], "claim").await;
    record_outcomes(store, &held, Outcome::Released, 1).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Queue, WakeUp::Task(id)], "hand-back").await;
    claim(store, 1).await;
    receives(&mut wake_ups, &[WakeUp::Task(id)], "claim").await;
    store.reap(at(1 + LEASE)).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Queue, WakeUp::Task(id)], "expire").await;

    let held = claim(store, 1 + LEASE).await;
    receives(&mut wake_ups, &[WakeUp::Task(id)], "claim").await;
    let child = task();
    let wait = Outcome::wait_for_all(vec![child.clone()], json!(0));
    record_outcomes(store, &held, wait, 40).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Queue, WakeUp::Task(id), WakeUp::Task(child.id)], "wait").await;
    let running = claim(store, 40).await;
    receives(&mut wake_ups, &[WakeUp::Task(child.id)], "claim").await;
    record_outcomes(store, &running, Outcome::Completed(json!(0)), 41).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Queue, WakeUp::Task(child.id)], "the end of the last child").await;
    let held = claim(store, 41).await;
    receives(&mut wake_ups, &[WakeUp::Task(id)], "claim").await;
    record_outcomes(store, &held, Outcome::Failed(error("no")), 42).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Task(id)], "failed").await;
    store.retry(id, at(43)).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Queue, WakeUp::Task(id)], "a retry by a user").await;
    store.cancel(id, at(44)).await.unwrap();
    receives(&mut wake_ups, &[WakeUp::Task(id)], "cancel").await;
    receives(&mut second, &[WakeUp::Queue, WakeUp::Task(id), WakeUp::Task(child.id)], "everything").await;
}

/// Waits for these wake-ups, among others, and then drains the receiver, so that none of them counts for a later step.
async fn receives(wake_ups: &mut broadcast::Receiver<WakeUp>, expected: &[WakeUp], after: &str) {
    let mut missing = expected.to_vec();
    while !missing.is_empty() {
        let wake_up_received = real_time::within(Duration::from_secs(10), wake_ups.recv()).await;
        let wake_up_received =
            wake_up_received.unwrap_or_else(|| panic!("after {after} nobody heard {missing:?}")).unwrap();
        missing.retain(|wake_up| *wake_up != wake_up_received);
    }
    while wake_ups.try_recv().is_ok() {}
}

/// A read that its caller does not poll blocks no other call: it holds nothing that others wait for.
pub async fn reads_that_are_not_polled_hinder_no_others(store: Arc<dyn TaskStore>) {
    let id = enqueue(&*store, task()).await;
    let query = TaskQuery::default();
    let mut unpolled = Vec::new();
    for n in 0..64 {
        let store = store.clone();
        let mut read = Box::pin(async move { store.events_after(id, n % 2, 100).await.map(drop) });
        // Polled until it waits for a connection or for the answer.
        if futures::poll!(&mut read).is_pending() {
            unpolled.push(read);
        }
    }
    let others = async {
        for _ in 0..8 {
            assert_eq!(store.list(&query).await.unwrap().items.len(), 1);
            assert_eq!(store.events_after(id, 0, 100).await.unwrap().len(), 1);
            assert_eq!(store.get(id).await.unwrap().unwrap().id, id);
        }
        due(&*store, 1).await
    };
    let limit = Duration::from_secs(2);
    let due = real_time::within(limit, others).await.expect("others wait for reads that nobody polls");
    assert_eq!(due, [id]);
    join_all(unpolled).await.into_iter().for_each(|read| read.unwrap());
}
