//! Why the relay does not do what it is asked for, and the one table from that to what a peer is told.

use av_wire::RefusalCode;

use crate::store::StoreError;

/// A refusal. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Unknown, not in good standing, not allowed, or not proven: one answer for all.
    #[error("not authorized")]
    NotAuthorized,
    /// An invite that is unknown, expired, used or revoked, or a request that proves nothing.
    #[error("the invite cannot be used")]
    InviteRefused,
    /// A recipient that is unknown, foreign or not in good standing.
    #[error("the recipient cannot be written to")]
    RecipientUnavailable,
    /// More than the recipient takes, or than AV/1 allows.
    #[error("too large")]
    TooLarge,
    /// As much as there may be is there already.
    #[error("over quota")]
    OverQuota,
    /// What is named is not there, or not in a state that allows it.
    #[error("not found")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Seconds after which a request that met a failing store is worth repeating.
const RETRY_AFTER_FAILURE: u32 = 2;

impl Refusal {
    /// What a peer is told.
    pub(crate) const fn code(&self) -> RefusalCode {
        match self {
            Self::NotAuthorized => RefusalCode::NotAuthorized,
            Self::InviteRefused => RefusalCode::InviteRefused,
            Self::RecipientUnavailable => RefusalCode::RecipientUnavailable,
            Self::TooLarge => RefusalCode::TooLarge,
            Self::OverQuota => RefusalCode::OverQuota,
            Self::NotFound => RefusalCode::NotFound,
            Self::Store(_) => RefusalCode::Unavailable,
        }
    }

    /// Seconds to wait before another try; 0 where another try is of no use.
    pub(crate) const fn retry_after(&self) -> u32 {
        match self {
            Self::Store(_) => RETRY_AFTER_FAILURE,
            _ => 0,
        }
    }
}
