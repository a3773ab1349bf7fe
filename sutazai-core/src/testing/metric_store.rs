//! Conformance suite of the port [`MetricStore`].

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone, Utc};

use crate::domain::{MetricPoint, MetricSample};
use crate::ports::{MetricStore, SeriesQuery};

/// Host name of the samples in tests that are not about hosts.
const HOST: &str = "machine-1";

/// Runs every check of the contract, each against a store of its own.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: MetricStore + ?Sized,
    F: Future<Output = Arc<S>>,
{
    hosts_are_separate(make().await).await;
    samples_read_back_in_order(make().await).await;
    more_samples_than_points_are_grouped(make().await).await;
    second_sample_replaces_the_first(make().await).await;
    compact_keeps_one_a_minute(make().await).await;
    series_lists_by_prefix(make().await).await;
}

/// The series of one host are separate from those of every other host, even with equal names.
pub async fn hosts_are_separate<S: MetricStore + ?Sized>(store: Arc<S>) {
    // Two hosts with otherwise equal samples, and hosts whose name and series together spell the same text.
    let of = |host: &str, series: &str, second, value| MetricSample {
        host: host.to_owned(),
        ..sample(series, second, value)
    };
    let all = [
        of("one", "a", 5, 1.0),
        of("two", "a", 5, 2.0),
        of("two", "a", 6, 3.0),
        of("two", "b", 5, 4.0),
        of("onea", "", 5, 5.0),
        of("", "onea", 5, 6.0),
        of("ze\0ro", "a\0\u{10ffff}", 5, 7.0),
    ];
    store.append(&all).await.unwrap();
    for (host, series, expected) in [
        ("one", "a", &all[..1]),
        ("two", "a", &all[1..3]),
        ("two", "b", &all[3..4]),
        ("onea", "", &all[4..5]),
        ("", "onea", &all[5..6]),
        ("ze\0ro", "a\0\u{10ffff}", &all[6..]),
        ("zero", "a", &[]),
        ("one", "b", &[]),
        ("ONE", "a", &[]),
        ("three", "a", &[]),
    ] {
        let query = SeriesQuery {
            host: host.to_owned(),
            series: series.to_owned(),
            from: at(0),
            to: at(10),
            max_points: 10,
        };
        assert_eq!(store.range(&query).await.unwrap(), points(expected), "{host}: {series}");
    }
    for (host, expected) in [("one", &["a"][..]), ("two", &["a", "b"]), ("onea", &[""]), ("three", &[])] {
        assert_eq!(store.series(host, "").await.unwrap(), expected, "{host}");
    }

    // The same minutes of different hosts are not averaged with each other.
    assert_eq!(store.compact(at(60), at(0)).await.unwrap(), 1);
    let minute = |host: &str| SeriesQuery {
        host: host.to_owned(),
        series: "a".to_owned(),
        from: at(0),
        to: at(60),
        max_points: 10,
    };
    assert_eq!(store.range(&minute("one")).await.unwrap(), points(&all[..1]));
    let two = store.range(&minute("two")).await.unwrap();
    assert_eq!(two.iter().map(|point| point.mean).collect::<Vec<_>>(), [2.5]);
}

/// Points are returned in ascending order of time, from `from` inclusive to `to` exclusive.
pub async fn samples_read_back_in_order<S: MetricStore + ?Sized>(store: Arc<S>) {
    let samples: Vec<_> = [30, 10, 0, 40, 20].map(|second| sample("a", second, second as f64 + 0.25)).into();
    store.append(&samples[..2]).await.unwrap();
    store.append(&samples[2..]).await.unwrap();
    store.append(&[sample("b", 15, 99.0)]).await.unwrap();
    store.append(&[]).await.unwrap();
    let read = read(&*store, "a", 10, 40, 100).await;
    let expected: Vec<_> = [10, 20, 30].map(|second| sample("a", second, second as f64 + 0.25)).into();
    assert_eq!(read, points(&expected));
    assert_eq!(self::read(&*store, "a", 11, 20, 100).await, []);
    assert_eq!(self::read(&*store, "a", 40, 10, 100).await, [], "an interval that ends before it begins");
    assert_eq!(self::read(&*store, "nobody's", 0, 100, 100).await, []);
}

/// With more samples than `max_points`, the result has at most `max_points` points, each with the mean, the least and
/// the largest of its samples and the time of the first.
pub async fn more_samples_than_points_are_grouped<S: MetricStore + ?Sized>(store: Arc<S>) {
    // Two spikes, one upwards and one downwards, that a mean alone would hide.
    let value = |second| match second {
        33 => 1000.0,
        77 => -1000.0,
        second => second as f64,
    };
    let samples: Vec<_> = (0..120).map(|second| sample("a", second, value(second))).collect();
    store.append(&samples).await.unwrap();
    let all = read(&*store, "a", 0, 120, 120).await;
    assert_eq!(all, points(&samples), "as many samples as points stay as they are");

    let groups = read(&*store, "a", 0, 120, 12).await;
    assert_eq!(groups.len(), 12);
    for (group, point) in groups.iter().enumerate() {
        let values: Vec<f64> = (0..10).map(|offset| value(group as i64 * 10 + offset)).collect();
        let mean = values.iter().sum::<f64>() / 10.0;
        assert_eq!(point.at, at(group as i64 * 10), "{point:?} has not the time of its first sample");
        assert!((point.mean - mean).abs() < 1e-9, "{point:?} is not the mean {mean} of its samples");
        let (min, max) =
            values.iter().fold((f64::MAX, f64::MIN), |(min, max), one| (min.min(*one), max.max(*one)));
        assert_eq!((point.min, point.max), (min, max), "{point:?} hides the least or the largest sample");
    }

    for max_points in [1, 7, 100, 119] {
        let groups = read(&*store, "a", 0, 120, max_points).await;
        assert!(!groups.is_empty() && groups.len() <= max_points as usize, "{} points", groups.len());
        assert!(groups.is_sorted_by(|one, next| one.at < next.at), "{groups:?}");
        let least = groups.iter().map(|point| point.min).fold(f64::MAX, f64::min);
        let largest = groups.iter().map(|point| point.max).fold(f64::MIN, f64::max);
        assert_eq!((least, largest), (-1000.0, 1000.0), "{max_points}");
    }
}

/// A second sample of the same host, series and instant replaces the first.
pub async fn second_sample_replaces_the_first<S: MetricStore + ?Sized>(store: Arc<S>) {
    store.append(&[sample("a", 5, 1.0), sample("b", 5, 2.0)]).await.unwrap();
    store.append(&[sample("a", 5, 3.0)]).await.unwrap();
    assert_eq!(read(&*store, "a", 0, 10, 10).await, points(&[sample("a", 5, 3.0)]));
    assert_eq!(read(&*store, "b", 0, 10, 10).await, points(&[sample("b", 5, 2.0)]));
    store.append(&[sample("a", 6, 4.0), sample("a", 6, 5.0)]).await.unwrap();
    assert_eq!(
        read(&*store, "a", 6, 10, 10).await,
        points(&[sample("a", 6, 5.0)]),
        "of two in one call the last stays"
    );
}

/// `compact` replaces samples older than `fine_until` by their mean per minute, and removes those older than
/// `keep_from`.
pub async fn compact_keeps_one_a_minute<S: MetricStore + ?Sized>(store: Arc<S>) {
    // Four minutes with one sample every 10 s; the first minute is removed, the last one stays unchanged.
    let samples: Vec<_> = (0..24).map(|i| sample("a", i * 10, i as f64)).collect();
    store.append(&samples).await.unwrap();
    store.append(&[sample("old", 10, 1.0)]).await.unwrap();
    let removed = store.compact(at(180), at(60)).await.unwrap();
    assert_eq!(removed, 6 + 5 + 5 + 1);

    let left = read(&*store, "a", 0, 240, 100).await;
    assert_eq!(left.len(), 2 + 6, "{left:?}");
    for (coarse, minute, mean) in [(&left[0], 60, 8.5), (&left[1], 120, 14.5)] {
        assert!(coarse.at >= at(minute) && coarse.at < at(minute + 60), "{coarse:?} left its minute");
        assert!((coarse.mean - mean).abs() < 1e-9, "{coarse:?} is not the mean of its minute");
    }
    assert_eq!(left[2..], points(&samples[18..]), "a fine sample was changed");
    assert_eq!(store.series(HOST, "").await.unwrap(), ["a"], "a series without samples was kept");
    assert_eq!(store.compact(at(180), at(60)).await.unwrap(), 0, "compacting again removed something");
    assert_eq!(read(&*store, "a", 0, 240, 100).await, left);
}

/// `series` lists each series of the host with the prefix once, in ascending order.
pub async fn series_lists_by_prefix<S: MetricStore + ?Sized>(store: Arc<S>) {
    let names = [
        "host.disks[/].used_bytes",
        "host.cpu.used_percent",
        "host.disks[/a%_b].used_bytes",
        "Host",
        "hostx",
    ];
    for second in 0..3 {
        let samples: Vec<_> = names.iter().map(|name| sample(name, second, 1.0)).collect();
        store.append(&samples).await.unwrap();
    }
    let with = |prefix: &'static str| async { store.series(HOST, prefix).await.unwrap() };
    assert_eq!(with("host.").await, [names[1], names[0], names[2]]);
    assert_eq!(with("host.disks[/a%_").await, [names[2]]);
    assert_eq!(with("host.disks[/a__").await, [] as [&str; 0], "the prefix was taken for a pattern");
    assert_eq!(with("").await, ["Host", names[1], names[0], names[2], "hostx"]);
}

async fn read<S: MetricStore + ?Sized>(
    store: &S,
    series: &str,
    from: i64,
    to: i64,
    max_points: u32,
) -> Vec<MetricPoint> {
    let query = SeriesQuery {
        host: HOST.to_owned(),
        series: series.to_owned(),
        from: at(from),
        to: at(to),
        max_points,
    };
    store.range(&query).await.unwrap()
}

/// Returns the points of samples that are not grouped.
fn points(samples: &[MetricSample]) -> Vec<MetricPoint> {
    samples.iter().map(|sample| MetricPoint::single(sample.at, sample.value)).collect()
}

fn sample(series: &str, second: i64, value: f64) -> MetricSample {
    MetricSample { host: HOST.to_owned(), series: series.to_owned(), at: at(second), value }
}

/// Returns a time in 2026; 0 is on a whole minute.
fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600, 0).unwrap() + Duration::seconds(second)
}
