//! The five acts, one file each.

pub(crate) mod enroll;
pub(crate) mod relay;
pub(crate) mod revoke;
pub(crate) mod search;
pub(crate) mod talk;
