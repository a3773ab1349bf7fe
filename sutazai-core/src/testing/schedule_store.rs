//! Conformance suite of the port [`ScheduleStore`].

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use futures::future::join_all;
use serde_json::json;

use crate::domain::{
    MAX_SCHEDULES, MissedRuns, NewSchedule, OverlapPolicy, PageRequest, Schedule, ScheduleId, TaskId, UserId,
};
use crate::error::ErrorKind;
use crate::ports::ScheduleStore;
use crate::testing::large_json;

/// Runs every check of the contract, each against an empty store of its own.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: ScheduleStore + ?Sized,
    F: Future<Output = Arc<S>>,
{
    created_schedule_is_found_by_id(&*make().await).await;
    list_gives_schedules_page_by_page(&*make().await).await;
    list_ends_pages_before_they_are_large(&*make().await).await;
    replace_changes_what_can_be_changed(&*make().await).await;
    delete_removes_a_schedule(&*make().await).await;
    schedules_of_an_owner_are_limited(&*make().await).await;
    delete_all_removes_what_is_one_owners(&*make().await).await;
    upcoming_gives_the_earliest_first(&*make().await).await;
    advance_lets_one_fire(&*make().await).await;
    waiting_gives_those_with_queued_times(&*make().await).await;
}

/// A created schedule is found by its id with all its fields; an unknown id finds none.
pub async fn created_schedule_is_found_by_id<S: ScheduleStore + ?Sized>(store: &S) {
    let plain = schedule(None);
    let full = Schedule {
        plan: NewSchedule {
            name: "grüezi 🦀 'quoted' \0".into(),
            payload: json!({ "deep": ["\0", 1.5, null] }),
            priority: 9,
            missed_runs: MissedRuns::All,
            overlap_policy: OverlapPolicy::Queue,
            enabled: false,
            ..plain.plan.clone()
        },
        next_run_at: None,
        last_run_at: Some(at(3)),
        last_task: Some(TaskId::new()),
        queued: vec![at(1), at(2)],
        ..schedule(Some(UserId::new()))
    };
    for schedule in [&plain, &full] {
        store.create(schedule).await.unwrap();
        assert_eq!(store.get(schedule.id).await.unwrap().as_ref(), Some(schedule));
    }
    assert_eq!(store.get(ScheduleId::new()).await.unwrap(), None);
}

/// `list` returns the schedules of one owner, or of all, newest first, page by page.
pub async fn list_gives_schedules_page_by_page<S: ScheduleStore + ?Sized>(store: &S) {
    let (ada, eve) = (UserId::new(), UserId::new());
    let of = [Some(ada), Some(eve), Some(ada), None, Some(ada)].map(schedule);
    for schedule in &of {
        store.create(schedule).await.unwrap();
    }
    let [old, theirs, middle, nobodys, new] = of;
    let page = |cursor, limit| PageRequest::new(cursor, limit).unwrap();
    let first = store.list(Some(ada), page(None, 2)).await.unwrap();
    assert_eq!(first.items, [new.clone(), middle.clone()]);
    // A schedule created between two pages does not shift them.
    store.create(&schedule(Some(ada))).await.unwrap();
    let second = store.list(Some(ada), page(first.next, 2)).await.unwrap();
    assert_eq!((second.items, second.next), (vec![old.clone()], None));
    let all = store.list(None, page(Some(new.id), 100)).await.unwrap();
    assert_eq!((all.items, all.next), (vec![nobodys, middle, theirs, old], None));
    let exact = store.list(Some(eve), page(None, 1)).await.unwrap();
    assert_eq!((exact.items.len(), exact.next), (1, None));
}

/// A page of `list` with several schedules holds at most a megabyte of payloads; a larger schedule has a page of its own.
pub async fn list_ends_pages_before_they_are_large<S: ScheduleStore + ?Sized>(store: &S) {
    let ada = Some(UserId::new());
    let schedules = [30_000, 50_000, 400_000, 10, 10].map(|values| {
        let plan = NewSchedule { payload: large_json(values), ..schedule(ada).plan };
        Schedule { plan, ..schedule(ada) }
    });
    for schedule in &schedules {
        store.create(schedule).await.unwrap();
    }
    for owner in [ada, None] {
        let (mut before, mut sizes, mut found) = (None, Vec::new(), Vec::new());
        loop {
            let page = store.list(owner, PageRequest::new(before, 100).unwrap()).await.unwrap();
            sizes.push(page.items.len());
            found.extend(page.items);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(sizes, [2, 1, 2], "two small ones, the large one, and two that fit together");
        assert!(found.iter().eq(schedules.iter().rev()), "each of them once, newest first");
    }
}

/// `replace` changes everything except the id, the owner, the creation time, and the time and task of the last run; an
/// unknown schedule is `NotFound`.
pub async fn replace_changes_what_can_be_changed<S: ScheduleStore + ?Sized>(store: &S) {
    let (first, other) = (schedule(Some(UserId::new())), schedule(None));
    store.create(&first).await.unwrap();
    store.create(&other).await.unwrap();
    let task = TaskId::new();
    let fired = Schedule {
        next_run_at: Some(at(200)),
        last_run_at: Some(at(100)),
        last_task: Some(task),
        queued: vec![at(100)],
        ..first.clone()
    };
    assert!(store.advance(&first, &fired).await.unwrap());
    let changed = Schedule {
        owner: None,
        plan: NewSchedule {
            name: "other".into(),
            agent: "upper".into(),
            payload: json!([1]),
            priority: 0,
            cron: "1 2 3 4 5".into(),
            time_zone: "Europe/Berlin".into(),
            missed_runs: MissedRuns::Skip,
            overlap_policy: OverlapPolicy::Allow,
            enabled: false,
        },
        next_run_at: None,
        last_run_at: None,
        last_task: None,
        queued: Vec::new(),
        created_at: at(50),
        updated_at: at(60),
        ..first.clone()
    };
    store.replace(&changed).await.unwrap();
    let expected = Schedule {
        owner: first.owner,
        created_at: first.created_at,
        last_run_at: Some(at(100)),
        last_task: Some(task),
        ..changed.clone()
    };
    assert_eq!(store.get(first.id).await.unwrap(), Some(expected));
    assert_eq!(store.get(other.id).await.unwrap(), Some(other));
    let unknown = Schedule { id: ScheduleId::new(), ..changed };
    assert_eq!(store.replace(&unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `delete` removes a schedule and no other; an unknown one is `NotFound`.
pub async fn delete_removes_a_schedule<S: ScheduleStore + ?Sized>(store: &S) {
    let (gone, stays) = (schedule(None), schedule(None));
    store.create(&gone).await.unwrap();
    store.create(&stays).await.unwrap();
    store.delete(gone.id).await.unwrap();
    assert_eq!(store.get(gone.id).await.unwrap(), None);
    assert_eq!(store.get(stays.id).await.unwrap(), Some(stays));
    assert_eq!(store.delete(gone.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!store.advance(&gone, &gone).await.unwrap());
}

/// `upcoming` returns the schedules that have a next time, the earliest first.
pub async fn upcoming_gives_the_earliest_first<S: ScheduleStore + ?Sized>(store: &S) {
    let due = |second| Schedule { next_run_at: Some(at(second)), ..schedule(None) };
    let of = [due(300), due(-5), Schedule { next_run_at: None, ..schedule(None) }, due(20)];
    for schedule in &of {
        store.create(schedule).await.unwrap();
    }
    let [late, early, _, middle] = of;
    assert_eq!(store.upcoming(2).await.unwrap(), [early.clone(), middle.clone()]);
    assert_eq!(store.upcoming(10).await.unwrap(), [early, middle, late]);
}

/// `advance` stores the next time, the last time, the last task and the queued times, if the next and the queued times
/// are unchanged: of concurrent calls one succeeds.
pub async fn advance_lets_one_fire<S: ScheduleStore + ?Sized>(store: &S) {
    let (seen, other) = (schedule(None), schedule(None));
    store.create(&seen).await.unwrap();
    store.create(&other).await.unwrap();
    let ways: Vec<Schedule> = (0..8)
        .map(|_| Schedule {
            next_run_at: Some(at(200)),
            last_run_at: Some(at(110)),
            last_task: Some(TaskId::new()),
            queued: vec![at(120), at(130)],
            ..seen.clone()
        })
        .collect();
    let outcomes = join_all(ways.iter().map(|fired| store.advance(&seen, fired))).await;
    let winners: Vec<_> = ways.iter().zip(&outcomes).filter(|(_, fired)| *fired.as_ref().unwrap()).collect();
    let [(fired, _)] = winners[..] else { panic!("one fires, not {}", winners.len()) };
    assert_eq!(store.get(seen.id).await.unwrap().as_ref(), Some(fired));
    // Firing changes neither the plan nor other schedules.
    let renamed =
        Schedule { plan: NewSchedule { name: "other".into(), ..seen.plan.clone() }, ..fired.clone() };
    let started = Schedule { last_run_at: Some(at(120)), queued: vec![at(130)], ..renamed };
    assert!(store.advance(fired, &started).await.unwrap());
    let expected = Schedule { plan: seen.plan.clone(), ..started.clone() };
    assert_eq!(store.get(seen.id).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(store.get(other.id).await.unwrap(), Some(other));
    assert!(!store.advance(fired, &seen).await.unwrap(), "the first queued time was started already");
    let empty = Schedule { next_run_at: None, queued: Vec::new(), ..expected };
    assert!(store.advance(&started, &empty).await.unwrap());
    assert!(!store.advance(&started, &seen).await.unwrap());
    assert!(store.advance(&empty, &seen).await.unwrap(), "no next time is as good a state as any");
    assert_eq!(store.get(seen.id).await.unwrap(), Some(seen));
}

/// `waiting` returns the schedules that have queued times, in the order of their ids, page by page.
pub async fn waiting_gives_those_with_queued_times<S: ScheduleStore + ?Sized>(store: &S) {
    let with = |queued: &[i64]| Schedule {
        queued: queued.iter().map(|second| at(*second)).collect(),
        ..schedule(Some(UserId::new()))
    };
    let of = [with(&[1]), with(&[]), with(&[2, 3]), with(&[4])];
    for schedule in &of {
        store.create(schedule).await.unwrap();
    }
    let [one, _, two, three] = of;
    assert_eq!(store.waiting(None, 2).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(store.waiting(Some(two.id), 2).await.unwrap(), std::slice::from_ref(&three));
    assert_eq!(store.waiting(Some(three.id), 2).await.unwrap(), []);
    store.replace(&Schedule { queued: Vec::new(), ..two }).await.unwrap();
    assert_eq!(store.waiting(None, 10).await.unwrap(), [one, three]);
}

/// An owner has at most [`MAX_SCHEDULES`], also under concurrent creation: one more is `Conflict`. Schedules without an
/// owner have no limit.
pub async fn schedules_of_an_owner_are_limited<S: ScheduleStore + ?Sized>(store: &S) {
    let ada = UserId::new();
    let many: Vec<Schedule> = (0..MAX_SCHEDULES + 9).map(|_| schedule(Some(ada))).collect();
    let outcomes = join_all(many.iter().map(|new| store.create(new))).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!((outcomes.len() - refused.len(), refused.len()), (MAX_SCHEDULES as usize, 9));
    assert!(refused.iter().all(|e| e.kind() == ErrorKind::Conflict), "{refused:?}");
    for _ in 0..MAX_SCHEDULES + 1 {
        store.create(&schedule(None)).await.unwrap();
    }
}

/// `delete_all` removes all schedules of one owner and returns their number.
pub async fn delete_all_removes_what_is_one_owners<S: ScheduleStore + ?Sized>(store: &S) {
    let ada = UserId::new();
    let of = [Some(ada), Some(ada), Some(UserId::new()), None].map(schedule);
    for schedule in &of {
        store.create(schedule).await.unwrap();
    }
    assert_eq!(store.delete_all(ada).await.unwrap(), 2);
    for (schedule, kept) in of.iter().zip([false, false, true, true]) {
        assert_eq!(store.get(schedule.id).await.unwrap().is_some(), kept);
    }
    assert_eq!(store.delete_all(ada).await.unwrap(), 0);
}

/// Creates a schedule that is due at `at(100)`.
fn schedule(owner: Option<UserId>) -> Schedule {
    Schedule {
        id: ScheduleId::new(),
        owner,
        plan: NewSchedule {
            name: "nightly".into(),
            agent: "echo".into(),
            payload: json!({ "say": "hello" }),
            priority: 5,
            cron: "0 2 * * *".into(),
            time_zone: "UTC".into(),
            missed_runs: MissedRuns::Once,
            overlap_policy: OverlapPolicy::Skip,
            enabled: true,
        },
        next_run_at: Some(at(100)),
        last_run_at: None,
        last_task: None,
        queued: Vec::new(),
        created_at: at(0),
        updated_at: at(0),
    }
}

fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap()
}
