//! What the images share.
#![no_std]
// All but clock.rs and stack.rs, which say why.
#![deny(unsafe_code)]

pub mod clock;
pub mod stack;
pub mod store;
