//! What the two devices play, in order.

pub mod conversation;
pub mod enrollment;
pub mod hostile;
