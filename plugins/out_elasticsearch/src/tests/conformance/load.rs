//! How much a server is burdened with, and documents that are changed to fit it.

use std::sync::{
    Arc as Shared,
    atomic::{AtomicUsize, Ordering},
};

use super::*;

/// Chunks that are written at once.
const CHUNKS: usize = 40;

#[tokio::test]
async fn more_goes_to_a_server_that_keeps_up_and_one_at_a_time_to_one_that_does_not() {
    let site = Site::new(json!({ "bulk_max_bytes": "16KiB", "max_in_flight": 8 })).await;
    let (now, most) = (
        Shared::<AtomicUsize>::default(),
        Shared::<AtomicUsize>::default(),
    );
    let (here, top) = (Shared::clone(&now), Shared::clone(&most));
    site.server.delay(move || {
        let held = here.fetch_add(1, Ordering::SeqCst) + 1;
        top.fetch_max(held, Ordering::SeqCst);
        let here = Shared::clone(&here);
        async move {
            tokio::time::sleep(Duration::from_millis(2)).await;
            here.fetch_sub(1, Ordering::SeqCst);
        }
    });
    let frames = [numbers(100)];
    for _ in 0..5 {
        let all = (0..CHUNKS).map(|_| site.write(&frames));
        let outcomes = futures(all).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == Outcome::Delivered)
        );
    }
    let most = most.load(Ordering::SeqCst);
    let len = site.server.requests()[0].body.len();
    assert!(
        most > 2 && most * len <= 8 * (16 << 10),
        "{most} requests of {len} bytes at once"
    );
    assert_eq!(now.load(Ordering::SeqCst), 0);
    let before = site.limit_bytes();
    for _ in 0..8 {
        site.server.then(refused(429, BUSY, "rejected execution"));
        site.write(&frames).await;
    }
    assert!(site.limit_bytes() <= before);
    site.write(&frames).await;
}

/// More than this a server does not do in time, in bytes.
const TIMELY: usize = 100_000;
/// Records of a chunk that is too much.
const LARGE: i64 = 200;

#[tokio::test]
async fn what_is_never_answered_in_time_is_sent_in_smaller_requests() {
    let late: [fn() -> Reply; 2] = [|| plain(504, ""), silence];
    for late in late {
        let site = Site::new(json!({ "request_timeout": "500ms" })).await;
        site.server.later(move |request| {
            if request.body.len() > TIMELY {
                late()
            } else {
                all(request)
            }
        });
        let padding = "x".repeat(8_000);
        let record = |n| json!({ "n": n, "padding": padding });
        let records: Vec<Value> = (0..LARGE).map(record).collect();
        let frames = [frame(7, "app", &records)];
        let end = site.deliver(&frames).await;
        assert!(end.dead.is_empty() && end.tries > 2, "{end:?}");
        let mut taken: Vec<i64> = Vec::new();
        for request in site.server.requests() {
            if request.body.len() <= TIMELY {
                taken.extend(request.numbers());
            }
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..LARGE).collect::<Vec<_>>(), "each once");
        // Only time was short: nothing is divided because of its size, and when there is time, requests are large again.
        assert_eq!(site.count("splits_total{reason=\"size\"}"), 0);
        let before = site.server.requests().len();
        site.server.later(all);
        for _ in 0..10 {
            assert!(site.deliver(&frames).await.dead.is_empty());
        }
        let requests = site.server.requests().split_off(before);
        let last = requests.last().unwrap();
        assert_eq!(last.numbers(), (0..LARGE).collect::<Vec<_>>());
    }
}

/// All of them at once.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        let mut is_pending = false;
        for (future, done) in &mut pending {
            if done.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => is_pending = true,
                }
            }
        }
        if is_pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    pending.into_iter().filter_map(|(_, done)| done).collect()
}

/// One record that does not fit, among four.
fn misfit() -> Reply {
    let words = "failed to parse field [n] of type [text] in document with id 'x'. Preview of field's value: '2'";
    let mut list = vec![done("create"); 4];
    list[2] = failed("create", 400, MAPPING, words);
    answer(&list)
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_sent_as_text_or_under_another_name() {
    for (how, field) in [("stringify", "n"), ("rename", "n_conflict")] {
        let site = Site::new(json!({ "on_mapping_conflict": how })).await;
        site.server.then(misfit());
        site.deliver(&[numbers(4)]).await.all_arrived(1);
        let [first, second] = site.server.requests().try_into().unwrap();
        assert_eq!(second.ids(), [first.ids()[2].clone()]);
        let document = &second.documents()[0];
        assert_eq!(
            (&document[field], document.as_object().unwrap().len()),
            (&json!("2"), 2)
        );
        assert_eq!((site.items("repaired"), site.items("created")), (1, 4));
    }
}

#[tokio::test]
async fn a_document_that_does_not_fit_even_then_goes_to_the_dead_letter() {
    let site = Site::new(json!({ "on_mapping_conflict": "stringify" })).await;
    let words = "failed to parse field [n] of type [long]";
    site.server.then(misfit());
    site.server
        .then(answer(&[failed("create", 400, MAPPING, words)]));
    let end = site.deliver(&[numbers(4)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(2, FailureKind::Mapping)])
    );
    assert_eq!(site.items("mapping_error"), 1);
    // One that is to be sent again comes as the record is, not as it was changed.
    site.server.then(misfit());
    site.server
        .then(answer(&[failed("create", 429, BUSY, "busy")]));
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    let last = site.server.requests().pop().unwrap();
    assert_eq!(last.documents()[0]["n"], 2);
}
