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

#[track_caller]
fn expect_retry_after(refusal: &BatchError, seconds: std::ops::Range<f64>) {
    match refusal {
        BatchError::QueueFull { retry_after }
        | BatchError::DeadlineTooShort { retry_after, .. } => {
            // Half to twice the estimate.
            let (least, most) = (0.5 * seconds.start, 2.0 * seconds.end);
            let found = retry_after.as_secs_f64();
            assert!((least..most).contains(&found), "{refusal:?}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_says_when_to_return() {
    let bench = Bench::new(1, 2, 100);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let waiting = submit(
        &model.queue,
        vec![sequence(1, 50), sequence(2, 50)],
        within(MINUTE),
    );
    let one = || vec![sequence(9, 1)];
    // Nothing has been measured yet.
    expect_retry_after(&refusal(&model.queue, one(), within(MINUTE)), 1.0..1.01);
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "2");
    bench.expect_metric("electra_queue_tokens{model=\"m\"}", "100");
    bench.expect_metric(
        "electra_requests_rejected_total{model=\"m\",reason=\"capacity\"}",
        "1",
    );

    occupied.finish(Order::Answer);
    let run = model.next_run().await;
    assert_eq!(run.names, [1, 2]);
    advance(Duration::from_secs(20)).await;
    run.finish(Order::Answer);
    assert_eq!(names(waiting.await), [1, 2]);
    bench.idle(1).await;
    let occupied = model.occupy().await;
    // By now, 101 tokens took 20 s, so 55 tokens take about 11 s.
    let _waiting = submit(
        &model.queue,
        vec![sequence(4, 50), sequence(5, 5)],
        within(MINUTE),
    );
    expect_retry_after(&refusal(&model.queue, one(), within(MINUTE)), 10.5..11.5);
    occupied.finish(Order::Answer);
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_queue_runs_as_there_is_room() {
    let bench = Bench::new(1, 2, 100);
    let mut model = bench.model("m");
    let occupied = model.occupy().await;
    let five = (1..=5).map(|name| sequence(name, 1)).collect();
    let large = tokio::spawn(submit(&model.queue, five, within(MINUTE)));
    bench.expect_metric("electra_queue_depth{model=\"m\"}", "2");
    occupied.finish(Order::Answer);
    for batch in [&[1, 2][..], &[3, 4], &[5]] {
        model.expect_run(batch).await;
    }
    assert_eq!(names(large.await.expect("no panic")), [1, 2, 3, 4, 5]);
}

/// Has one worker measured at `milliseconds` a token, and occupied. Returns what occupies it.
async fn measured(model: &mut Told, milliseconds: u64) -> Run {
    let hundred = submit(&model.queue, vec![sequence(1, 100)], within(MINUTE));
    let run = model.next_run().await;
    advance(Duration::from_millis(100 * milliseconds)).await;
    run.finish(Order::Answer);
    assert_eq!(names(hundred.await), [1]);
    // The worker records the time before it takes the next batch.
    model.occupy().await
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_requests_wait_too_long_is_refused_and_others_are_not() {
    let bench = Bench::new(1, 1000, 10);
    let mut model = bench.model("m");
    let occupied = measured(&mut model, 10).await;
    let ten = |number| {
        submit(
            &model.queue,
            vec![sequence(2, 10)],
            from_client(number, MINUTE),
        )
    };
    // Each is 100 ms of work: the eleventh would wait for longer than a second.
    let _waiting: Vec<_> = (0..11).map(|_| ten(1)).collect();
    let refused = refusal(&model.queue, vec![sequence(3, 10)], from_client(1, MINUTE));
    assert!(
        matches!(refused, BatchError::QueueFull { .. }),
        "{refused:?}"
    );
    bench.expect_metric(
        "electra_requests_rejected_total{model=\"m\",reason=\"wait\"}",
        "1",
    );
    let gate = bench.scheduler.gate();
    // By fair share, others wait for one sequence of that client at most.
    let _other = ten(2);
    // Forty bytes are ten tokens.
    let refused = gate.check(from_client(1, MINUTE)).expect_err("a long wait");
    assert!(
        matches!(refused, BatchError::QueueFull { .. }),
        "{refused:?}"
    );
    bench.expect_metric(
        "electra_requests_rejected_total{model=\"\",reason=\"wait\"}",
        "1",
    );
    let patient = Schedule {
        when_full: WhenFull::Wait,
        ..from_client(1, MINUTE)
    };
    for schedule in [from_client(3, MINUTE), within(MINUTE), patient] {
        assert_eq!(gate.check(schedule), Ok(()));
    }
    drop(occupied);
}

#[tokio::test(start_paused = true)]
async fn an_estimate_that_refuses_a_lone_request_is_measured_again() {
    let bench = Bench::new(1, 1000, 10);
    let mut model = bench.model("m");
    let occupied = measured(&mut model, 10).await;
    occupied.finish(Order::Answer);
    bench.idle(1).await;
    let hundred = || vec![sequence(2, 100)];
    // A hundred tokens take a second: alone, a quarter of that would do.
    let hurried = from_client(1, Duration::from_millis(260));
    let lone = submit(&model.queue, hundred(), hurried);
    model.expect_run(&[2]).await;
    assert_eq!(names(lone.await), [2]);
    bench.idle(1).await;
    // That took no time, so the rate is lower again.
    drop(measured(&mut model, 10).await);
    bench.idle(1).await;
    let hopeless = || from_client(1, Duration::from_millis(100));
    let refused = refusal(&model.queue, hundred(), hopeless());
    assert!(
        matches!(refused, BatchError::DeadlineTooShort { .. }),
        "{refused:?}"
    );
    // The next one is tried.
    let _again = submit(&model.queue, hundred(), hopeless());
}

#[tokio::test(start_paused = true)]
async fn what_can_not_end_by_its_deadline_does_not_begin() {
    let bench = Bench::new(1, 1000, 10);
    let mut model = bench.model("m");
    let occupied = measured(&mut model, 10).await;
    // A hundred tokens take a second.
    let second = Duration::from_secs(1);
    let hundred = || vec![sequence(2, 100)];
    let hurried = from_client(1, Duration::from_millis(999));
    let refused = refusal(&model.queue, hundred(), hurried);
    let BatchError::DeadlineTooShort { needed, .. } = refused else {
        panic!("{refused:?}");
    };
    assert!((0.99..=1.01).contains(&needed.as_secs_f64()), "{needed:?}");
    bench.expect_metric(
        "electra_requests_rejected_total{model=\"m\",reason=\"deadline\"}",
        "1",
    );
    let past = refusal(&model.queue, hundred(), from_client(1, Duration::ZERO));
    assert_eq!(past, BatchError::DeadlineExceeded);
    let late = submit(&model.queue, hundred(), from_client(1, second));
    let patient = submit(&model.queue, vec![sequence(3, 1)], from_client(1, MINUTE));
    // Accepted, and hopeless by the time that the worker is free: it is answered, and takes nobody's time.
    advance(Duration::from_millis(50)).await;
    occupied.finish(Order::Answer);
    model.expect_run(&[3]).await;
    assert_eq!(late.await, Err(BatchError::DeadlineExceeded));
    assert_eq!(names(patient.await), [3]);
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
        refusal(&model.queue, vec![sequence(9, 1)], within(MINUTE)),
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
        refusal(&model.queue, vec![sequence(1, 1)], within(MINUTE)),
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
        refusal(&narrow.queue, vec![sequence(3, 1)], within(MINUTE)),
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
    bench.expect_metric(
        "electra_requests_rejected_total{model=\"m\",reason=\"capacity\"}",
        "0",
    );
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
