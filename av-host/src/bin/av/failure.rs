//! How a command ends when it does not succeed: one sentence and an exit code that scripts can rely on.

use std::fmt::Display;
use std::process::ExitCode;

use av_host::Error;

use crate::terminal::hint;
use av_host::av_proto::wire::RefusalCode;
use av_host::store::StoreError;
use av_host::transport::TransportError;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Failed = 1,
    Usage = 2,
    Refused = 3,
    State = 4,
}

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    pub(crate) fn failed(message: impl Display) -> Self {
        Self { code: Code::Failed, message: message.to_string() }
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: Code::Usage, message: message.to_string() }
    }

    pub(crate) fn refused(message: impl Display) -> Self {
        Self { code: Code::Refused, message: message.to_string() }
    }

    /// A refusal that the relay gave a code for.
    pub(crate) fn refused_with(what: impl Display, code: RefusalCode) -> Self {
        Self::refused(format!("{what}: {}", explain(code)))
    }

    pub(crate) fn state(message: impl Display) -> Self {
        Self { code: Code::State, message: message.to_string() }
    }

    /// Ctrl-C or SIGTERM, where the command had not done its work.
    pub(crate) fn interrupted() -> Self {
        Self::failed("interrupted")
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Prints the sentence and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        hint!("{}", self.message);
        ExitCode::from(self.code as u8)
    }
}

/// What a person can make of the relay's code.
pub(crate) fn explain(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Malformed => "the relay does not understand this device; are both of the same version?",
        RefusalCode::NotAuthorized => "the relay does not let this device do that",
        RefusalCode::InviteRefused => "the invite is unknown, expired, used or withdrawn; ask for a new one",
        RefusalCode::RecipientUnavailable => {
            "the recipient cannot be written to: it is suspended, revoked or unknown"
        }
        RefusalCode::TooLarge => "it is larger than the recipient takes",
        RefusalCode::OverQuota => "a quota is used up; try later",
        RefusalCode::RateLimited => "too fast; try again later",
        RefusalCode::Unavailable => "the relay cannot store anything just now; try again",
        RefusalCode::NotFound => "it is not there, or not in a state that allows this",
        RefusalCode::Superseded => "another process runs as this device",
        RefusalCode::WrongOrigin => "the relay goes by another origin than this device knows",
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::state(error)
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::failed(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(format!("cannot read or write the terminal: {error}"))
    }
}
