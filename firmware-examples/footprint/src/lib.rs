//! One agent endpoint, driven the same way in the image that is measured and in the one that records its frames.
//!
//! The agent's generator is seeded with a constant, so that it makes the same keys in both images and the recorded
//! frames are for it. A device would be worthless so; a measurement can be repeated.
#![no_std]
#![forbid(unsafe_code)]

pub mod agent;
pub mod gauge;
pub mod script;

/// What went wrong.
#[derive(Clone, Copy, Debug)]
pub struct Failure(pub &'static str);
