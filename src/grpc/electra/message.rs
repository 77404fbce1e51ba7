//! What the request messages of all tasks have in common.

use crate::error::ServiceError;
use crate::service::{RequestContext, Service, Timings};
use crate::task::Task;

/// A request message of one of the tasks.
pub trait TaskRequest: Send + 'static {
    /// The task.
    const TASK: Task;

    /// The response message.
    type Response: Send + 'static;

    /// The model that is asked for by name.
    fn model(&self) -> Option<&str>;

    /// Converts the message, calls the service, and converts its answer.
    ///
    /// # Errors
    /// Those of the conversion and of the service.
    fn answer(
        self,
        service: &Service,
        context: &RequestContext,
    ) -> impl Future<Output = Result<(Self::Response, Timings), ServiceError>> + Send;
}
