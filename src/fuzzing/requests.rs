//! Requests of all transports, answered by a fake model. An answer that is an internal error is a failure.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::access::Guard;
use crate::batch::Priority;
use crate::error::ServiceError;
use crate::grpc;
use crate::http::HttpState;
use crate::http::testing::Client;
use crate::inflight::InflightBytes;
use crate::limits::{Limits, Timeouts};
use crate::service::RequestContext;
use crate::service::testing::Fixture;
use crate::task::Task;

/// More sequences than a body of a few kilobytes can hold.
const QUEUE_CAPACITY: usize = 1 << 16;

/// A service for each task, in the order of [`Task::ALL`].
static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let tasks = runtime.block_on(async {
        Task::ALL.map(|task| {
            let fixture = Fixture::with(task, Limits::default(), QUEUE_CAPACITY);
            let state = HttpState::new(
                fixture.service.clone(),
                Guard::open(),
                fixture.metrics.clone(),
                Timeouts::default(),
                InflightBytes::new(64 << 20),
            );
            (task, fixture, Client::new(state))
        })
    });
    Served { runtime, tasks }
});

struct Served {
    runtime: Runtime,
    tasks: [(Task, Fixture, Client); Task::ALL.len()],
}

impl Served {
    /// The service that a byte selects.
    fn choose(&self, byte: u8) -> &(Task, Fixture, Client) {
        &self.tasks[usize::from(byte) % self.tasks.len()]
    }

    fn post(&self, client: &Client, path: &str, json_length: Option<usize>, body: &[u8]) {
        let kind = match json_length {
            None => "application/json",
            Some(_) => "application/octet-stream",
        };
        let mut headers = vec![("content-type", kind.to_owned())];
        let length = json_length.map(|length| length.to_string());
        headers.extend(length.map(|length| ("inference-header-content-length", length)));
        let answer = client.post(path, &headers, body.to_vec());
        let (status, answer) = self.runtime.block_on(answer);
        let answer = String::from_utf8_lossy(&answer);
        assert_ne!(status, 500, "{path}: {answer}");
    }
}

/// The body of a task's route, or of its pipeline. The first byte, a letter in the corpus, selects one of them.
pub fn json(bytes: &[u8]) {
    let Some((&first, body)) = bytes.split_first() else {
        return;
    };
    let served = &*SERVED;
    let (task, _, client) = served.choose(first);
    let path = match task {
        _ if first.is_ascii_uppercase() => "/models/model",
        Task::Discriminate => "/discriminate",
        Task::Classify => "/classify",
        Task::Tag => "/tag",
        Task::Qa => "/qa",
    };
    served.post(client, path, None, body);
}

/// Tensors in JSON. The first byte selects the model's task.
pub fn oip_json(bytes: &[u8]) {
    let Some((&first, body)) = bytes.split_first() else {
        return;
    };
    let served = &*SERVED;
    let (_, _, client) = served.choose(first);
    served.post(client, "/v2/models/model/infer", None, body);
}

/// Tensors as binary data after JSON. The first byte selects the model's task, the next two are the length of the
/// JSON in little-endian order.
pub fn oip_binary(bytes: &[u8]) {
    let Some((&[first, low, high], body)) = bytes.split_first_chunk() else {
        return;
    };
    let served = &*SERVED;
    let (_, _, client) = served.choose(first);
    let length = usize::from(u16::from_le_bytes([low, high]));
    served.post(client, "/v2/models/model/infer", Some(length), body);
}

/// A request message. The first byte selects the model's task, and its bit 7 the Open Inference Protocol.
pub fn grpc(bytes: &[u8]) {
    let Some((&first, message)) = bytes.split_first() else {
        return;
    };
    let served = &*SERVED;
    let (task, fixture, _) = served.choose(first);
    let service = &fixture.service;
    let answer = served.runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_secs(30);
        let context = RequestContext::new(Priority::default(), deadline);
        if first & 0x80 == 0 {
            grpc::testing::answer(service, *task, message, &context).await
        } else {
            grpc::testing::infer(service, message, &context).await
        }
    });
    let internal = matches!(answer, Some(Err(ServiceError::Internal)));
    assert!(!internal, "an internal error");
}
