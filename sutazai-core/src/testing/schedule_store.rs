//! The suite of [`ScheduleStore`].

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use futures::future::join_all;
use serde_json::json;

use crate::domain::{MAX_SCHEDULES, MissedRuns, NewSchedule, Schedule, ScheduleId, ScheduleQuery, UserId};
use crate::error::ErrorKind;
use crate::ports::ScheduleStore;

/// Every bullet of the contract, each against an empty store of its own.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: ScheduleStore + ?Sized,
    F: Future<Output = Arc<S>>,
{
    a_created_schedule_is_found_by_its_id(&*make().await).await;
    list_gives_schedules_page_by_page(&*make().await).await;
    replace_changes_what_can_be_changed(&*make().await).await;
    delete_removes_a_schedule(&*make().await).await;
    an_owner_has_so_many_schedules(&*make().await).await;
    delete_all_removes_what_is_one_owners(&*make().await).await;
    upcoming_gives_the_earliest_first(&*make().await).await;
    advance_lets_one_fire(&*make().await).await;
}

/// A created schedule is found by its id, whole; an unknown id finds none.
pub async fn a_created_schedule_is_found_by_its_id<S: ScheduleStore + ?Sized>(store: &S) {
    let plain = schedule(None);
    let full = Schedule {
        plan: NewSchedule {
            name: "grüezi 🦀 'quoted' \0".into(),
            payload: json!({ "deep": ["\0", 1.5, null] }),
            priority: 9,
            missed_runs: MissedRuns::All,
            enabled: false,
            ..plain.plan.clone()
        },
        next_run_at: None,
        last_run_at: Some(at(3)),
        ..schedule(Some(UserId::new()))
    };
    for schedule in [&plain, &full] {
        store.create(schedule).await.unwrap();
        assert_eq!(store.get(schedule.id).await.unwrap().as_ref(), Some(schedule));
    }
    assert_eq!(store.get(ScheduleId::new()).await.unwrap(), None);
}

/// `list` gives one owner's schedules, or everybody's, newest first, page by page.
pub async fn list_gives_schedules_page_by_page<S: ScheduleStore + ?Sized>(store: &S) {
    let (ada, eve) = (UserId::new(), UserId::new());
    let of = [Some(ada), Some(eve), Some(ada), None, Some(ada)].map(schedule);
    for schedule in &of {
        store.create(schedule).await.unwrap();
    }
    let [old, theirs, middle, nobodys, new] = of;
    let query = |owner, before, limit| ScheduleQuery { owner, before, limit };
    let first = store.list(&query(Some(ada), None, 2)).await.unwrap();
    assert_eq!(first.items, [new.clone(), middle.clone()]);
    // One that comes in between two pages moves nothing.
    store.create(&schedule(Some(ada))).await.unwrap();
    let second = store.list(&query(Some(ada), first.next, 2)).await.unwrap();
    assert_eq!((second.items, second.next), (vec![old.clone()], None));
    let all = store.list(&query(None, Some(new.id), 100)).await.unwrap();
    assert_eq!((all.items, all.next), (vec![nobodys, middle, theirs, old], None));
    let exact = store.list(&query(Some(eve), None, 1)).await.unwrap();
    assert_eq!((exact.items.len(), exact.next), (1, None));
}

/// `replace` changes everything but the id, the owner, when it was made and when it fired last; one that is not there is `NotFound`.
pub async fn replace_changes_what_can_be_changed<S: ScheduleStore + ?Sized>(store: &S) {
    let (first, other) = (schedule(Some(UserId::new())), schedule(None));
    store.create(&first).await.unwrap();
    store.create(&other).await.unwrap();
    assert!(store.advance(first.id, at(100), Some(at(100)), Some(at(200))).await.unwrap());
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
            enabled: false,
        },
        next_run_at: None,
        last_run_at: None,
        created_at: at(50),
        updated_at: at(60),
        ..first.clone()
    };
    store.replace(&changed).await.unwrap();
    let expected = Schedule {
        owner: first.owner,
        created_at: first.created_at,
        last_run_at: Some(at(100)),
        ..changed.clone()
    };
    assert_eq!(store.get(first.id).await.unwrap(), Some(expected));
    assert_eq!(store.get(other.id).await.unwrap(), Some(other));
    let unknown = Schedule { id: ScheduleId::new(), ..changed };
    assert_eq!(store.replace(&unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `delete` removes a schedule and no other; one that is not there is `NotFound`.
pub async fn delete_removes_a_schedule<S: ScheduleStore + ?Sized>(store: &S) {
    let (gone, stays) = (schedule(None), schedule(None));
    store.create(&gone).await.unwrap();
    store.create(&stays).await.unwrap();
    store.delete(gone.id).await.unwrap();
    assert_eq!(store.get(gone.id).await.unwrap(), None);
    assert_eq!(store.get(stays.id).await.unwrap(), Some(stays));
    assert_eq!(store.delete(gone.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!store.advance(gone.id, at(100), None, None).await.unwrap());
}

/// `upcoming` gives those that have a next time, the earliest first.
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

/// `advance` sets the next time and the last one, if the next time is still the one that was fired for: of those who fire at once one does.
pub async fn advance_lets_one_fire<S: ScheduleStore + ?Sized>(store: &S) {
    let schedule = schedule(None);
    store.create(&schedule).await.unwrap();
    let firing =
        join_all((0..8).map(|_| store.advance(schedule.id, at(100), Some(at(110)), Some(at(200))))).await;
    let fired = firing.into_iter().filter(|fired| *fired.as_ref().unwrap()).count();
    assert_eq!(fired, 1);
    let expected = Schedule { next_run_at: Some(at(200)), last_run_at: Some(at(110)), ..schedule.clone() };
    assert_eq!(store.get(schedule.id).await.unwrap(), Some(expected.clone()));
    assert!(!store.advance(schedule.id, at(100), None, None).await.unwrap(), "fired for that already");
    // What was skipped leaves the last time as it was.
    assert!(store.advance(schedule.id, at(200), None, None).await.unwrap());
    assert_eq!(store.get(schedule.id).await.unwrap(), Some(Schedule { next_run_at: None, ..expected }));
}

/// An owner has at most [`MAX_SCHEDULES`], however many are added at once: one more is `Conflict`. Nobody may have any number.
pub async fn an_owner_has_so_many_schedules<S: ScheduleStore + ?Sized>(store: &S) {
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

/// `delete_all` does so with all of one owner's, and tells how many those were.
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

/// Due at `at(100)`.
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
            enabled: true,
        },
        next_run_at: Some(at(100)),
        last_run_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap()
}
