//! Conversion of the service's errors to gRPC statuses, and of tonic's own refusals to the service's errors.

use std::error::Error;
use std::sync::Arc;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::error::{GrpcStatus, ServiceError, seconds};
use crate::quote::cut_quotation;

/// Trailing metadata with an error's code.
const ERROR_CODE: &str = "error-code";
/// Trailing metadata with the time to wait before a retry, in seconds.
const RETRY_AFTER: &str = "retry-after";

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        let sentence = error.to_string();
        status_with_message(error, sentence)
    }
}

/// The status of an error, with another sentence as its message.
pub fn status_with_message(error: ServiceError, sentence: String) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(ERROR_CODE, MetadataValue::from_static(error.code()));
    if let Some(wait) = error.retry_after() {
        metadata.insert(RETRY_AFTER, seconds(wait).into());
    }
    let mut status = Status::with_metadata(code(error.grpc_status()), sentence, metadata);
    status.set_source(Arc::new(error));
    status
}

/// The service's error that a status was made from. `None` if tonic made the status.
pub fn error(status: &Status) -> Option<&ServiceError> {
    status.source()?.downcast_ref()
}

/// Explains why tonic could not read a request. `limit` is the longest message that it accepts, in bytes.
pub fn unreadable(status: &Status, limit: usize) -> ServiceError {
    // The errors of a body that is counted. tonic hands on their metadata, and not their source.
    let code = status.metadata().get(ERROR_CODE);
    let counted = [ServiceError::Overloaded, ServiceError::BodyStalled];
    let counted = counted
        .into_iter()
        .find(|error| code.is_some_and(|code| code == error.code()));
    if let Some(error) = counted {
        return error;
    }
    let reason = cut_quotation(status.message().trim_end_matches('.'));
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => ServiceError::BodyTooLarge { limit },
        Code::Unimplemented => ServiceError::UnsupportedCompression { reason },
        _ => ServiceError::InvalidMessage { reason },
    }
}

fn code(status: GrpcStatus) -> Code {
    match status {
        GrpcStatus::InvalidArgument => Code::InvalidArgument,
        GrpcStatus::DeadlineExceeded => Code::DeadlineExceeded,
        GrpcStatus::NotFound => Code::NotFound,
        GrpcStatus::Unauthenticated => Code::Unauthenticated,
        GrpcStatus::PermissionDenied => Code::PermissionDenied,
        GrpcStatus::ResourceExhausted => Code::ResourceExhausted,
        GrpcStatus::Unimplemented => Code::Unimplemented,
        GrpcStatus::Internal => Code::Internal,
        GrpcStatus::Unavailable => Code::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_status_says_what_the_error_says() {
        let full = ServiceError::QueueFull {
            retry_after: Duration::from_millis(1200),
        };
        let status = Status::from(full.clone());
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), full.to_string());
        assert_eq!(status.metadata().get(ERROR_CODE).unwrap(), "queue_full");
        assert_eq!(status.metadata().get(RETRY_AFTER).unwrap(), "2");
        assert_eq!(error(&status), Some(&full));
        let status = Status::from(ServiceError::DeadlineExceeded);
        assert!(status.metadata().get(RETRY_AFTER).is_none());
    }

    #[test]
    fn what_tonic_refuses_is_an_error_of_the_table() {
        let handed_on = |error: ServiceError| {
            let status = Status::from(error);
            Status::with_metadata(status.code(), status.message(), status.metadata().clone())
        };
        for (status, code) in [
            (Status::out_of_range("too large"), "body_too_large"),
            (Status::resource_exhausted("too large"), "body_too_large"),
            (Status::unimplemented("br"), "unsupported_media_type"),
            (Status::internal("not a message."), "invalid_message"),
            (handed_on(ServiceError::Overloaded), "overloaded"),
            (handed_on(ServiceError::BodyStalled), "deadline_exceeded"),
        ] {
            let known = error(&status).cloned();
            let found = known.unwrap_or_else(|| unreadable(&status, 7));
            assert_eq!(found.code(), code);
        }
    }
}
