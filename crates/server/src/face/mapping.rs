//! The one place where errors become codes, and codes become statuses.
//!
//! Invariant: every match here is exhaustive, so a new error cannot slip through as something else.
//! Not here: how a refusal is written (see `problem`).

use super::problem::{Code, Problem};
use http::StatusCode;
use openevent_store::Error as StoreError;

impl Code {
    /// All codes, for documents and tests.
    pub const ALL: [Self; 16] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::ValidationError,
        Self::SignalInvalid,
        Self::BadRequest,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::RateLimitExceeded,
        Self::RequestTimeout,
        Self::InternalError,
        Self::ServiceUnavailable,
    ];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::ValidationError => "VALIDATION_ERROR",
            Self::SignalInvalid => "validation_error",
            Self::BadRequest => "BAD_REQUEST",
            Self::Conflict => "CONFLICT",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::Unprocessable => "UNPROCESSABLE",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
            Self::RequestTimeout => "REQUEST_TIMEOUT",
            Self::InternalError => "INTERNAL_ERROR",
            Self::ServiceUnavailable => "SERVICE_UNAVAILABLE",
        }
    }

    /// The status it is answered with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ValidationError | Self::SignalInvalid | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimitExceeded => StatusCode::TOO_MANY_REQUESTS,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The title in problem+json: the same for every refusal of this code.
    pub fn title(self) -> &'static str {
        match self {
            Self::Unauthorized => "Invalid or missing API key",
            Self::Forbidden => "Insufficient permissions",
            Self::NotFound => "Resource not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::ValidationError => "Request validation failed",
            Self::SignalInvalid => "Invalid event format",
            Self::BadRequest => "Invalid request",
            Self::Conflict => "Conflict",
            Self::PreconditionFailed => "Precondition failed",
            Self::PayloadTooLarge => "Body too large",
            Self::UnsupportedMediaType => "Unsupported content type",
            Self::Unprocessable => "Idempotency key reused",
            Self::RateLimitExceeded => "Too many requests",
            Self::RequestTimeout => "Request too slow",
            Self::InternalError => "Server error",
            Self::ServiceUnavailable => "Service unavailable",
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Exists { .. } => Self::new(Code::Conflict, "There is one with this key already"),
            StoreError::Missed(_) => {
                Self::new(Code::Conflict, "It was changed meanwhile; read it again and repeat")
            }
            StoreError::Newer { .. } | StoreError::Corrupt(_) | StoreError::Refused(_) => {
                Self::internal(error)
            }
        }
    }
}

/// The refusal for a status that the router or a library answered without words of ours.
pub(crate) fn of_status(status: StatusCode) -> Problem {
    let (code, message) = match status {
        StatusCode::UNAUTHORIZED => return Problem::unauthorized(),
        StatusCode::FORBIDDEN => (Code::Forbidden, "This is not allowed"),
        StatusCode::NOT_FOUND => (Code::NotFound, "There is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => (Code::MethodNotAllowed, "This path does not take this method"),
        StatusCode::CONFLICT => (Code::Conflict, "The request conflicts with the present state"),
        StatusCode::PRECONDITION_FAILED => (Code::PreconditionFailed, "The precondition does not hold"),
        StatusCode::PAYLOAD_TOO_LARGE => (Code::PayloadTooLarge, "The body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (Code::UnsupportedMediaType, "This content type is not read here")
        }
        StatusCode::UNPROCESSABLE_ENTITY => (Code::Unprocessable, "The request contradicts an earlier one"),
        StatusCode::TOO_MANY_REQUESTS => (Code::RateLimitExceeded, "Too many requests"),
        StatusCode::REQUEST_TIMEOUT => (Code::RequestTimeout, "The request did not arrive in time"),
        StatusCode::SERVICE_UNAVAILABLE => (Code::ServiceUnavailable, "The server cannot do this right now"),
        other if other.is_client_error() => (Code::BadRequest, "The request is not acceptable"),
        _ => (Code::InternalError, "Something went wrong on our side"),
    };
    Problem::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_word_of_its_own() {
        let words: HashSet<_> = Code::ALL.into_iter().map(Code::word).collect();
        assert_eq!(words.len(), Code::ALL.len());
    }

    #[test]
    fn a_bare_status_becomes_a_refusal_of_the_same_status() {
        for status in [400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(of_status(status).status(), status);
        }
    }

    #[test]
    fn a_database_that_is_away_is_503_and_a_bug_is_500() {
        let away = Problem::from(StoreError::Unavailable("disk full".into()));
        assert_eq!(away.code(), Code::ServiceUnavailable);
        assert!(!away.message().contains("disk"));
        assert_eq!(Problem::from(StoreError::Corrupt("x".into())).code(), Code::InternalError);
        assert_eq!(Problem::from(StoreError::Missed("x")).code(), Code::Conflict);
    }
}
