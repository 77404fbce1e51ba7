//! Which batches form, when, and which request gets which output.

use std::collections::BTreeSet;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_batch_forms_when_a_worker_frees() {
    let bench = Bench::new(1, 100, 100);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let first = submit(&model.queue, vec![sequence(1, 5)], within(MINUTE));
    let second = submit(&model.queue, vec![sequence(2, 5)], within(MINUTE));
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "2");
    assert!(model.runs.try_recv().is_err(), "no worker is free");
    occupied.finish(Order::Answer);
    model.expect_run(&[1, 2]).await;
    assert_eq!(names(first.await), [1]);
    assert_eq!(names(second.await), [2]);
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "0");
    bench.expect_metric("electra_batch_sequences_sum{model=\"m\"}", "3.0");
    bench.expect_metric("electra_batch_tokens_count{model=\"m\"}", "2");
    bench.expect_metric("electra_tokens_total{model=\"m\"}", "11");
}

/// Queues a request with sequences of these lengths, named 1, 2, …, while the only worker is busy, and checks the batches that form
/// next.
async fn check_batches(padded: bool, budget: usize, lengths: &[usize], batches: &[&[u32]]) {
    let bench = Bench::new(1, 100, budget);
    let mut model = if padded {
        bench.padded_model("m")
    } else {
        bench.model("m")
    };
    let occupied = model.occupy().await;
    let sequences = (1..).zip(lengths);
    let sequences = sequences.map(|(name, &tokens)| sequence(name, tokens));
    let waiting = submit(&model.queue, sequences.collect(), within(MINUTE));
    occupied.finish(Order::Answer);
    for batch in batches {
        model.expect_run(batch).await;
    }
    assert!(
        names(waiting.await)
            .into_iter()
            .eq((1..).take(lengths.len()))
    );
}

#[tokio::test(start_paused = true)]
async fn batches_keep_to_the_budget_and_take_the_nearest_lengths() {
    check_batches(false, 20, &[10, 10, 10], &[&[1, 2], &[3]]).await;
    check_batches(false, 20, &[8, 3, 11, 9], &[&[1, 4, 2], &[3]]).await;
    check_batches(false, 20, &[50, 1], &[&[1], &[2]]).await;
    // The same lengths cost 20 tokens when padded.
    check_batches(false, 15, &[10, 2], &[&[1, 2]]).await;
    check_batches(true, 15, &[10, 2], &[&[1], &[2]]).await;
}

#[tokio::test(start_paused = true)]
async fn priorities_are_weights() {
    let bench = Bench::new(1, 1000, 1);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let request = |name, priority| {
        let forty = vec![sequence(name, 64); 40];
        submit(&model.queue, forty, with_priority(priority))
    };
    let _waiting = [request(1, 1), request(2, 3), request(3, 5)];
    occupied.finish(Order::Answer);
    let mut runs = [0; 3];
    for _ in 0..42 {
        let run = model.next_run().await;
        runs[run.names[0] as usize - 1] += 1;
        run.finish(Order::Answer);
    }
    // Four to one to a quarter.
    assert_eq!(runs, [32, 8, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_short_request_runs_next_whatever_waits_already() {
    let bench = Bench::new(1, 1000, 10);
    let (mut large, mut other) = (bench.model("large"), bench.model("other"));
    let occupied = large.occupy().await;
    let hundred = vec![sequence(1, 512); 100];
    let _flood: Vec<_> = (1..=8)
        .map(|number| submit(&large.queue, hundred.clone(), from_client(number, MINUTE)))
        .collect();
    occupied.finish(Order::Answer);
    // First sequences run in the order in which they arrive.
    for _ in 0..8 {
        large.expect_run(&[1]).await;
    }
    let other_model = other.queue.clone();
    for (name, queue, client) in [
        // Of a client with a flood, of another client, and for another model.
        (2, large.queue.clone(), 8),
        (3, large.queue.clone(), 9),
        (4, other_model, 10),
    ] {
        let run = large.next_run().await;
        let short = submit(&queue, vec![sequence(name, 1)], from_client(client, MINUTE));
        run.finish(Order::Answer);
        let mut runs = Vec::new();
        while !runs.contains(&name) {
            let run = tokio::select! {
                run = large.next_run() => run,
                run = other.next_run() => run,
            };
            runs.extend(&run.names);
            run.finish(Order::Answer);
        }
        assert!(runs.len() <= 2, "{name}: {runs:?}");
        assert_eq!(names(short.await), [name]);
    }
}

#[tokio::test(start_paused = true)]
async fn outputs_keep_the_order_of_the_request() {
    let bench = Bench::new(1, 100, 10);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let submitted = submit(
        &model.queue,
        vec![
            sequence(1, 3),
            sequence(2, 9),
            sequence(3, 4),
            sequence(4, 3),
        ],
        within(MINUTE),
    );
    occupied.finish(Order::Answer);
    model.expect_run(&[1, 4, 3]).await;
    model.expect_run(&[2]).await;
    assert_eq!(names(submitted.await), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn times_are_read_from_the_runtimes_clock() {
    let bench = Bench::new(1, 100, 10);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let submitted = submit(&model.queue, vec![sequence(1, 3)], within(MINUTE));
    advance(Duration::from_secs(3)).await;
    occupied.finish(Order::Answer);
    let run = model.next_run().await;
    advance(Duration::from_secs(2)).await;
    run.finish(Order::Answer);
    let outputs = submitted.await.expect("outputs");
    assert_eq!(outputs[0].queue_time, Duration::from_secs(3));
    assert_eq!(outputs[0].inference_time, Duration::from_secs(2));
    bench.expect_metric("electra_queue_wait_seconds_sum{model=\"m\"}", "3.0");
    bench.expect_metric("electra_inference_duration_seconds_sum{model=\"m\"}", "5.0");
}

#[tokio::test(start_paused = true)]
async fn models_share_the_workers_and_none_starves() {
    let bench = Bench::new(1, 100, 10);
    let mut busy = bench.model("busy");
    let mut quiet = bench.model("quiet");
    let occupied = busy.occupy().await;
    let mut waiting: Vec<_> = (1..=3)
        .map(|name| submit(&busy.queue, vec![sequence(name, 10)], within(MINUTE)))
        .collect();
    let asked = submit(&quiet.queue, vec![sequence(7, 10)], within(MINUTE));
    occupied.finish(Order::Answer);
    // The quiet model gets its turn, however quickly requests for the busy model arrive.
    for name in 1..=3 {
        let run = busy.next_run().await;
        assert_eq!(run.names, [name]);
        advance(Duration::from_millis(1)).await;
        let next = vec![sequence(name + 3, 10)];
        waiting.push(submit(&busy.queue, next, within(MINUTE)));
        run.finish(Order::Answer);
    }
    quiet.expect_run(&[7]).await;
    assert_eq!(names(asked.await), [7]);
    for name in 4..=6 {
        busy.expect_run(&[name]).await;
    }
    for (name, submitted) in (1..).zip(waiting) {
        assert_eq!(names(submitted.await), [name]);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_batches_run_at_once_than_there_are_workers() {
    let bench = Bench::new(2, 100, 1);
    let mut model = bench.model("m");
    let forty = (1..=40).map(|name| sequence(name, 1)).collect();
    let submitted = submit(&model.queue, forty, within(MINUTE));
    let mut runs = Vec::new();
    let mut seen = BTreeSet::new();
    while seen.len() < 40 {
        let run = model.next_run().await;
        seen.extend(run.names.iter().copied());
        runs.push(run);
        // Both workers are busy before the older of the two is freed.
        if runs.len() == 2 {
            runs.remove(0).finish(Order::Answer);
        }
    }
    drop(runs);
    assert_eq!(names(submitted.await), (1..=40).collect::<Vec<_>>());
    assert_eq!(model.model.most_running.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lone_request_is_shared_among_the_free_workers() {
    let bench = Bench::new(2, 100, 1000);
    let mut model = bench.model("m");
    let occupied = [model.occupy().await, model.occupy().await];
    let four = (1..=4).map(|name| sequence(name, 100)).collect();
    let submitted = submit(&model.queue, four, within(MINUTE));
    let [first, second] = occupied;
    first.finish(Order::Answer);
    // Only one worker is free, so it takes all.
    model.expect_run(&[1, 2, 3, 4]).await;
    assert_eq!(names(submitted.await), [1, 2, 3, 4]);
    second.finish(Order::Answer);
    bench.idle(2).await;

    let four = (1..=4).map(|name| sequence(name, 100)).collect();
    let submitted = submit(&model.queue, four, within(MINUTE));
    let runs = [model.next_run().await, model.next_run().await];
    let shares: BTreeSet<_> = runs.iter().map(|run| run.names.clone()).collect();
    assert_eq!(shares, BTreeSet::from([vec![1, 2], vec![3, 4]]));
    drop(runs);
    assert_eq!(names(submitted.await), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn thousands_wait_and_each_runs_once() {
    const THOUSANDS: u32 = 20_000;
    let bench = Bench::new(2, 20_000, 512);
    let mut model = bench.model("m");
    let occupied = [model.occupy().await, model.occupy().await];
    let mut lengths = (1..=100).cycle();
    let waiting: Vec<_> = (1..=THOUSANDS)
        .map(|name| {
            let tokens = lengths.next().expect("an endless cycle");
            submit(&model.queue, vec![sequence(name, tokens)], within(MINUTE))
        })
        .collect();
    drop(occupied);
    let mut run: Vec<u32> = Vec::new();
    while run.len() < waiting.len() {
        run.extend(&model.next_run().await.names);
    }
    run.sort_unstable();
    assert!(run.into_iter().eq(1..=THOUSANDS));
    for (name, submitted) in (1..).zip(waiting) {
        assert_eq!(names(submitted.await), [name]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_long_batch_has_all_cores_until_it_is_done() {
    let bench = Bench::new(2, 100, 100).all_cores_from(50);
    let (mut model, mut other) = (bench.model("m"), bench.model("other"));
    bench.idle(2).await;
    let long = submit(&model.queue, vec![sequence(1, 50)], within(MINUTE));
    let run = model.next_run().await;
    assert_eq!(run.cores, Cores::All);
    // This wakes the other worker, which goes on waiting.
    let next = submit(&other.queue, vec![sequence(2, 60)], within(MINUTE));
    bench.idle(1).await;
    assert!(other.runs.try_recv().is_err(), "all cores are taken");
    run.finish(Order::Panic);
    assert!(matches!(long.await, Err(BatchError::Inference(_))));
    other.expect_run(&[2]).await;
    assert_eq!(names(next.await), [2]);
}

#[tokio::test(start_paused = true)]
async fn short_or_accompanied_batches_have_one_core_each() {
    let bench = Bench::new(2, 100, 50).all_cores_from(50);
    let mut model = bench.model("m");
    for (lengths, expected) in [
        // Too short for all cores.
        (vec![49], vec![Cores::One]),
        // A free worker takes the second sequence.
        (vec![60, 60], vec![Cores::One, Cores::One]),
        (vec![50], vec![Cores::All]),
        // Submitted before the worker has recorded that it is idle.
        (vec![50], vec![Cores::All]),
        (vec![60, 60], vec![Cores::One, Cores::One]),
    ] {
        let sequences = lengths.into_iter().map(|tokens| sequence(1, tokens));
        let submitted = submit(&model.queue, sequences.collect(), within(MINUTE));
        let mut runs = Vec::new();
        for _ in &expected {
            runs.push(model.next_run().await);
        }
        let cores: Vec<Cores> = runs.iter().map(|run| run.cores).collect();
        assert_eq!(cores, expected);
        for run in runs {
            run.finish(Order::Answer);
        }
        submitted.await.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_contention_every_sequence_is_run_or_dropped_once() {
    const CLIENTS: u32 = 32;
    const REQUESTS: u32 = 50;
    let bench = Bench::new(4, 100_000, 64);
    let Told { queue, runs, .. } = bench.model("m");
    // With the orders dropped, each batch answers at once.
    drop(runs);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let queue = queue.clone();
            tokio::spawn(async move {
                for request in 0..REQUESTS {
                    let sequences = vec![sequence(client, 3), sequence(request, 5)];
                    let mut submitted = Box::pin(queue.submit(sequences, within(MINUTE)));
                    if request % 3 == 0 {
                        // Accepted on its first poll, then dropped while it waits, runs or is answered.
                        let _ = submitted
                            .as_mut()
                            .poll(&mut Context::from_waker(Waker::noop()));
                    } else {
                        assert_eq!(names(submitted.await), [client, request]);
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("each output is its own request's");
    }
    let Bench {
        scheduler, metrics, ..
    } = bench;
    // A cancelled request's batch may still run.
    soon("the scheduler has drained", scheduler.drained()).await;
    assert_eq!(metric(&metrics, "electra_queue_depth{model=\"m\"}"), "0");
    let sequences = |series| -> f64 { metric(&metrics, series).parse().expect("a number") };
    let run = sequences("electra_batch_sequences_sum{model=\"m\"}");
    let dropped = sequences("electra_sequences_dropped_total{model=\"m\",reason=\"cancelled\"}");
    assert!((run + dropped - f64::from(CLIENTS * REQUESTS * 2)).abs() < 0.5);
}
