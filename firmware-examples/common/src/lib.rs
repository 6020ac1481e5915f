//! What the images share.
#![no_std]
// All but stack.rs, which paints memory and says why.
#![deny(unsafe_code)]

pub mod stack;
pub mod store;
