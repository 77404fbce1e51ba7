//! Refusals, and accepted requests that end without outputs: expired, cancelled, failed, closed.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_expired_request_is_answered_at_its_deadline_and_not_run() {
    let bench = Bench::new(1, 100, 10);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let hasty = tokio::spawn(submit(
        &model.queue,
        vec![sequence(1, 1), sequence(2, 1)],
        within(Duration::from_secs(5)),
    ));
    let patient = submit(&model.queue, vec![sequence(3, 1)], within(MINUTE));
    tokio::task::yield_now().await;
    advance(Duration::from_secs(5)).await;
    let outputs = hasty.await.expect("no panic");
    assert_eq!(outputs, Err(BatchError::DeadlineExceeded));
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "1");
    bench.expect_metric(
        "electra_sequences_dropped_total{model=\"m\",reason=\"expired\"}",
        "2",
    );
    occupied.finish(Order::Answer);
    model.expect_run(&[3]).await;
    assert_eq!(names(patient.await), [3]);
}

#[tokio::test(start_paused = true)]
async fn workers_drop_what_expired_before_its_own_timer_fired() {
    let bench = Bench::new(1, 100, 10);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    // These are not polled again before the batch forms, so they cannot withdraw themselves. One is in front of the
    // live entry, one behind it.
    let hasty = |name, priority| {
        let schedule = Schedule {
            priority: Priority::try_from(priority).expect("a priority"),
            ..within(Duration::from_secs(5))
        };
        submit(&model.queue, vec![sequence(name, 1)], schedule)
    };
    let expired = [hasty(1, 3), hasty(2, 5)];
    let live = submit(&model.queue, vec![sequence(3, 1)], within(MINUTE));
    advance(Duration::from_secs(5)).await;
    occupied.finish(Order::Answer);
    model.expect_run(&[3]).await;
    assert_eq!(names(live.await), [3]);
    // The requests have not been polled, so it was the worker that removed their entries.
    bench.idle(1).await;
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "0");
    bench.expect_metric(
        "electra_sequences_dropped_total{model=\"m\",reason=\"expired\"}",
        "2",
    );
    for submitted in expired {
        assert_eq!(submitted.await, Err(BatchError::DeadlineExceeded));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_during_the_run_is_kept() {
    let bench = Bench::new(1, 100, 10);
    let mut model = bench.model("m");
    let submitted = submit(
        &model.queue,
        vec![sequence(1, 1)],
        within(Duration::from_secs(5)),
    );
    let run = model.next_run().await;
    advance(Duration::from_secs(5)).await;
    assert_eq!(submitted.await, Err(BatchError::DeadlineExceeded));
    run.finish(Order::Answer);
    // The worker is free again.
    let next = submit(&model.queue, vec![sequence(2, 1)], within(MINUTE));
    model.expect_run(&[2]).await;
    assert_eq!(names(next.await), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_is_not_run() {
    let bench = Bench::new(1, 2, 10);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let cancelled = submit(
        &model.queue,
        vec![sequence(1, 1), sequence(2, 1)],
        within(MINUTE),
    );
    drop(cancelled);
    bench.expect_metric(
        "electra_sequences_dropped_total{model=\"m\",reason=\"cancelled\"}",
        "2",
    );
    // The cancelled request's room is free at once.
    let submitted = submit(
        &model.queue,
        vec![sequence(3, 1), sequence(4, 1)],
        within(MINUTE),
    );
    occupied.finish(Order::Answer);
    model.expect_run(&[3, 4]).await;
    assert_eq!(names(submitted.await), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_takes_all_or_nothing_and_says_when_to_return() {
    let bench = Bench::new(1, 3, 100);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let waiting = submit(
        &model.queue,
        vec![sequence(1, 50), sequence(2, 50)],
        within(MINUTE),
    );
    let two = || vec![sequence(8, 1), sequence(9, 1)];
    // Nothing has been measured yet.
    let retry_after = Duration::from_secs(1);
    assert_eq!(
        refusal(&model.queue, two()),
        BatchError::QueueFull { retry_after }
    );
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "2");
    bench.expect_metric("electra_requests_rejected_total{model=\"m\"}", "1");
    let third = submit(&model.queue, vec![sequence(3, 10)], within(MINUTE));

    occupied.finish(Order::Answer);
    let run = model.next_run().await;
    assert_eq!(run.names, [1, 2]);
    advance(Duration::from_secs(20)).await;
    run.finish(Order::Answer);
    assert_eq!(names(waiting.await), [1, 2]);
    let run = model.next_run().await;
    assert_eq!(run.names, [3]);
    // By now, 101 tokens took 20 s, so 55 tokens take about 11 s.
    let _waiting = submit(
        &model.queue,
        vec![sequence(4, 50), sequence(5, 5)],
        within(MINUTE),
    );
    match refusal(&model.queue, two()) {
        BatchError::QueueFull { retry_after } => {
            assert!(
                (10.5..11.5).contains(&retry_after.as_secs_f64()),
                "{retry_after:?}"
            );
        }
        other => panic!("{other}"),
    }
    run.finish(Order::Answer);
    assert_eq!(names(third.await), [3]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_takes_a_request_of_any_size() {
    let bench = Bench::new(1, 2, 100);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let five = (1..=5).map(|name| sequence(name, 1)).collect();
    let large = submit(&model.queue, five, within(MINUTE));
    assert!(matches!(
        refusal(&model.queue, vec![sequence(9, 1)]),
        BatchError::QueueFull { .. }
    ));
    occupied.finish(Order::Answer);
    model.expect_run(&[1, 2, 3, 4, 5]).await;
    assert_eq!(names(large.await), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_sequences_has_no_outputs() {
    let bench = Bench::new(1, 2, 100);
    let model = bench.model("m");
    assert_eq!(model.queue.submit(vec![], within(MINUTE)).await, Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_worker_outlives_what_the_model_does() {
    let bench = Bench::new(1, 100, 100);
    let mut model = bench.model("m");
    for (order, reason) in [
        (Order::Fail, "out of memory"),
        (Order::Panic, "the model panicked: told to"),
        (
            Order::LoseOne,
            "the model returned 0 outputs for 1 sequences",
        ),
    ] {
        let submitted = submit(&model.queue, vec![sequence(1, 1)], within(MINUTE));
        model.next_run().await.finish(order);
        let Err(BatchError::Inference(error)) = submitted.await else {
            panic!("it was answered");
        };
        assert_eq!(error.to_string(), reason);
    }
    let submitted = submit(&model.queue, vec![sequence(2, 1)], within(MINUTE));
    model.expect_run(&[2]).await;
    assert_eq!(names(submitted.await), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_request_takes_the_rest_of_itself_back() {
    let bench = Bench::new(1, 100, 1);
    let mut model = bench.model("m");
    let two = vec![sequence(1, 1), sequence(2, 1)];
    let failing = tokio::spawn(submit(&model.queue, two, with_priority(5)));
    let failed = model.next_run().await;
    assert_eq!(failed.names, [1]);
    let next = submit(&model.queue, vec![sequence(3, 1)], within(MINUTE));
    failed.finish(Order::Fail);
    let running = model.next_run().await;
    assert_eq!(running.names, [3]);
    let outputs = failing.await.expect("no panic of the task");
    assert!(matches!(outputs, Err(BatchError::Inference(_))));
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "0");
    running.finish(Order::Answer);
    assert_eq!(names(next.await), [3]);
}

#[tokio::test(start_paused = true)]
async fn closing_runs_what_was_accepted_and_refuses_the_rest() {
    let bench = Bench::new(2, 100, 1);
    let mut model = bench.model("m");
    let occupied = [model.occupy().await, model.occupy().await];
    let waiting: Vec<_> = (1..=3)
        .map(|name| submit(&model.queue, vec![sequence(name, 1)], within(MINUTE)))
        .collect();
    bench.scheduler.close();
    assert_eq!(
        refusal(&model.queue, vec![sequence(9, 1)]),
        BatchError::Closed
    );
    let scheduler = Arc::clone(&bench.scheduler);
    let drained = tokio::spawn(async move { scheduler.drained().await });
    tokio::task::yield_now().await;
    assert!(!drained.is_finished(), "three requests wait");
    // Runs whose orders are dropped answer.
    drop(occupied);
    for _ in 0..3 {
        drop(model.next_run().await);
    }
    for (name, submitted) in (1..).zip(waiting) {
        assert_eq!(names(submitted.await), [name]);
    }
    soon("the scheduler has drained", drained)
        .await
        .expect("the workers end");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_scheduler_closes() {
    let bench = Bench::new(1, 100, 1);
    let model = bench.model("m");
    drop(bench);
    assert_eq!(
        refusal(&model.queue, vec![sequence(1, 1)]),
        BatchError::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_goes_with_its_last_handle_and_request() {
    let bench = Bench::new(2, 100, 1);
    let mut told = bench.model("m");
    let other = bench.model("m");
    let answered = submit(&told.queue, vec![sequence(1, 1)], within(MINUTE));
    let run = told.next_run().await;
    let model = Arc::downgrade(&told.model);
    drop((told.model, told.queue));
    let waiting = submit(&other.queue, vec![sequence(2, 1)], within(MINUTE));
    // An accepted request keeps its model alive until it is answered.
    run.finish(Order::Answer);
    assert_eq!(names(answered.await), [1]);
    eventually("the model is dropped", async || model.strong_count() == 0).await;
    let mut other = other;
    other.expect_run(&[2]).await;
    assert_eq!(names(waiting.await), [2]);
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "0");
}

#[tokio::test(start_paused = true)]
async fn queues_of_one_name_have_their_own_bounds_and_add_up_in_the_metrics() {
    let bench = Bench::new(1, 100, 1);
    let mut first = bench.model("m");
    let narrow = bench.bounded_model("m", 1);
    let occupied = first.occupy().await;
    let _waiting = [
        submit(&first.queue, vec![sequence(1, 1)], within(MINUTE)),
        submit(&narrow.queue, vec![sequence(2, 1)], within(MINUTE)),
    ];
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "2");
    assert!(matches!(
        refusal(&narrow.queue, vec![sequence(3, 1)]),
        BatchError::QueueFull { .. }
    ));
    drop(occupied);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_room_runs_once_there_is_some() {
    let bench = Bench::new(1, 1, 1);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let first = submit(&model.queue, vec![sequence(1, 1)], within(MINUTE));
    let patient = Schedule {
        when_full: WhenFull::Wait,
        ..within(MINUTE)
    };
    let waiting = tokio::spawn(submit(&model.queue, vec![sequence(2, 1)], patient));
    let hasty = Schedule {
        deadline: Instant::now() + Duration::from_secs(5),
        ..patient
    };
    let expiring = submit(&model.queue, vec![sequence(3, 1)], hasty);
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "1");
    advance(Duration::from_secs(5)).await;
    assert_eq!(expiring.await, Err(BatchError::DeadlineExceeded));
    occupied.finish(Order::Answer);
    model.expect_run(&[1]).await;
    model.expect_run(&[2]).await;
    assert_eq!(names(first.await), [1]);
    assert_eq!(names(waiting.await.expect("no panic of the task")), [2]);
    bench.expect_metric("electra_requests_rejected_total{model=\"m\"}", "0");
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_wait_for_room() {
    let bench = Bench::new(1, 1, 1);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let _first = submit(&model.queue, vec![sequence(1, 1)], within(MINUTE));
    let patient = Schedule {
        when_full: WhenFull::Wait,
        ..within(MINUTE)
    };
    let waiting = submit(&model.queue, vec![sequence(2, 1)], patient);
    bench.scheduler.close();
    assert_eq!(
        soon("the request is refused", waiting).await,
        Err(BatchError::Closed)
    );
    drop(occupied);
}
