//! Batched reads: concurrent reads share statements, and each gets the result that it would get alone.

use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use sutazai_core::domain::{NewTask, PageRequest, Task, TaskId, TaskQuery, TaskSummary, UserId};
use sutazai_core::ports::{Clock, SystemClock};

use crate::place::database;

fn task(owner: UserId, n: usize) -> Task {
    Task::pending(NewTask::new("echo", json!({ "n": n })), Some(owner), None, SystemClock.now())
}

fn first_of(owner: UserId, limit: u32) -> TaskQuery {
    TaskQuery { owner: Some(owner), page: PageRequest::new(None, limit).unwrap(), ..TaskQuery::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_sees_earlier_commits_and_gets_its_own_result() {
    let store = sutazai_store::open(&database().await).await.unwrap().tasks;
    let one = |user: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            let owner = UserId::new();
            let mut added = Vec::new();
            for n in 0..20 {
                let new = store.enqueue(vec![task(owner, user * 1_000 + n)]).await.unwrap().remove(0);
                added.insert(0, TaskSummary::from(new.clone()));
                // Dropping a read must not lose the result of another one.
                drop(tokio::time::timeout(std::time::Duration::ZERO, store.get(new.id)).await);
                let (found, unknown) = tokio::join!(store.get(new.id), store.get(TaskId::new()));
                assert_eq!((found.unwrap(), unknown.unwrap()), (Some(new.clone()), None));
                let (page, same, tail) = tokio::join!(
                    async { store.summaries(&first_of(owner, 5)).await.unwrap() },
                    async { store.summaries(&first_of(owner, 5)).await.unwrap() },
                    async {
                        let page = PageRequest::new(Some(added[0].task.id), 3).unwrap();
                        store.summaries(&TaskQuery { page, ..first_of(owner, 3) }).await.unwrap()
                    },
                );
                assert_eq!(page, same);
                assert_eq!(page.items[..], added[..added.len().min(5)]);
                assert_eq!(page.next, (added.len() > 5).then(|| added[4].task.id));
                assert_eq!(tail.items[..], added[1..added.len().min(4)]);
                assert_eq!(tail.next, (added.len() > 4).then(|| added[3].task.id));
            }
        })
    };
    for outcome in join_all((0..40).map(one)).await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn unreadable_row_is_shown_as_damaged() {
    let url = database().await;
    let store = sutazai_store::open(&url).await.unwrap().tasks;
    let owners = [UserId::new(), UserId::new()];
    let tasks = owners.map(|owner| task(owner, 1));
    store.enqueue(tasks.to_vec()).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let broken = "UPDATE tasks SET trace = 'no trace' WHERE id = $1";
    sqlx::query(broken).bind(tasks[0].id.0).execute(&mut connection).await.unwrap();
    let gets = join_all([0, 1, 0, 1].map(|n: usize| store.get(tasks[n].id))).await;
    let queries = owners.map(|owner| first_of(owner, 10));
    let lists = join_all([0, 1, 0, 1].map(|n: usize| store.summaries(&queries[n]))).await;
    for n in [0, 2] {
        for shown in [gets[n].as_ref().unwrap().as_ref().unwrap(), &lists[n].as_ref().unwrap().items[0].task]
        {
            let says = &shown.error.as_ref().unwrap().message;
            assert_eq!(says, "the stored task is damaged: cannot read its trace");
            assert_eq!((shown.id, &shown.trace), (tasks[0].id, &None));
        }
        assert_eq!(gets[n + 1].as_ref().unwrap().as_ref().unwrap().id, tasks[1].id);
        assert_eq!(lists[n + 1].as_ref().unwrap().items[0].task.id, tasks[1].id);
    }
}
